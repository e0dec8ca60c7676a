//! A round: fresh topics, load under faults, then everything is read and judged.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_check::event::{Outcome, Policy, Read, Reader, Register, Topic, What};
use ottla_check::judge::{Limits, check};
use ottla_check::violation::{Rule, Violation};
use ottla_protocol::error_code::ErrorCode;

use super::load::administer::{list, note_list};
use super::load::{ask, commit, consume};
use super::shared::{Client, Shared, Target};
use super::site::Site;
use super::wire::Connection;

/// How long the end of a round waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic to make.
pub(crate) struct Plan {
    /// What its name begins with.
    pub(crate) name: &'static str,
    pub(crate) partitions: i32,
    pub(crate) policy: Policy,
    pub(crate) synced: bool,
    pub(crate) padding_bytes: u64,
    pub(crate) configs: &'static [(&'static str, &'static str)],
}

/// Makes the round's topics, and removes those of rounds before.
pub(crate) fn prepare(shared: &Arc<Shared>, plans: &[Plan]) -> Result<Vec<Target>> {
    let mut client = Client::new(shared);
    let old = client.insist(PATIENCE, ask::topics).context("no list of topics")?.1;
    for topic in old {
        client.insist(PATIENCE, |c| ask::delete(c, &topic.name)).context("no deletion")?;
    }
    let mut targets = Vec::new();
    for plan in plans {
        let name = format!("{}-{}", plan.name, shared.run);
        let create = |c: &mut Connection| ask::create(c, &name, plan.partitions, plan.configs);
        let (times, made) = client.insist(PATIENCE, create).context("no creation")?;
        let id = match made {
            Ok(id) => id,
            Err(code) => bail!("{name} cannot be created: {code:?}"),
        };
        let (partitions, policy, synced) = (plan.partitions, plan.policy, plan.synced);
        let topic = Topic { id, partitions, policy, synced };
        client.note(times, What::Created { topic, outcome: Outcome::Acked });
        targets.push(Target { name, topic, padding_bytes: plan.padding_bytes });
    }
    let whole =
        |c: &mut Connection| ask::topics(c).map(|listed| listed.iter().all(|topic| topic.whole));
    wait_until(&mut client, "no coordinator", ask::coordinator)?;
    wait_until(&mut client, "partitions without a leader", whole)?;
    client.retire();
    Ok(targets)
}

/// Asks again until the answer is yes.
fn wait_until(
    client: &mut Client,
    otherwise: &'static str,
    mut ask: impl FnMut(&mut Connection) -> io::Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if client.insist(PATIENCE, &mut ask).context(otherwise)?.1 {
            return Ok(());
        }
    }
    bail!("{otherwise} in {} s", PATIENCE.as_secs())
}

/// Reads everything: all records, ends, commits and topics.
pub(crate) fn read_everything(shared: &Arc<Shared>, targets: &[Target]) -> Result<()> {
    let mut client = Client::new(shared);
    for target in targets {
        for place in target.places() {
            let name = &target.name;
            let ends = |c: &mut Connection| ask::ends(c, name, place.partition);
            let Some((times, Some((start, end)))) = client.insist(PATIENCE, ends) else {
                shared.complain(format!("{name}-{} does not tell its ends", place.partition));
                continue;
            };
            client.note(times, What::Ends { place, log_start: Some(start), end: Some(end) });
            let mut at = start;
            while at < end {
                let run = shared.run;
                let wanted = [(place, at)];
                let fetch = |c: &mut Connection| consume::fetch(c, &wanted, Reader::Final, run);
                let (times, mut answers) =
                    client.insist(PATIENCE, fetch).context("no answer to the last reader")?;
                let answer = answers.pop().context("an empty answer")?;
                let is_read = answer.error_code == ErrorCode::NONE && answer.read.next > at;
                if !is_read {
                    // Retention may go on while this reads.
                    let ends = |c: &mut Connection| ask::ends(c, name, place.partition);
                    let told = client.insist(PATIENCE, ends).and_then(|(_, told)| told);
                    if let Some((start, _)) = told.filter(|told| told.0 > at) {
                        at = start;
                        continue;
                    }
                    let text = format!("{name}-{} at {at} of {end}", place.partition);
                    shared.complain(format!("{text}: cannot be read: {:?}", answer.error_code));
                    break;
                }
                at = answer.read.next;
                client.note(times, What::Read(answer.read));
            }
            if start == end {
                client.note(times, What::Read(nothing(place, start)));
            }
        }
    }
    read_registers(shared, &mut client)?;
    list(&mut client);
    client.retire();
    Ok(())
}

/// Lets a broker remove what deleted topics have left. Those of the round live for a fraction of a
/// second each, too short for it, and in thousands of cycles that would add up.
pub(crate) fn wait_for_deletions(site: &Site) -> Result<()> {
    let start = Instant::now();
    let is_left = |path: &PathBuf| path.to_string_lossy().contains("-delete/");
    while site.files()?.iter().any(is_left) {
        ensure!(start.elapsed() < PATIENCE, "deleted topics still have files");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// An empty partition was read, too.
fn nothing(place: ottla_check::event::Place, at: i64) -> Read {
    Read {
        place,
        reader: Reader::Final,
        from: at,
        next: at,
        high_watermark: Some(at),
        log_start: Some(at),
        records: Vec::new(),
    }
}

fn read_registers(shared: &Arc<Shared>, client: &mut Client) -> Result<()> {
    let registers: BTreeSet<Register> = shared.with_history(|history| {
        let of_set = |what: &What| match what {
            What::Set { register, .. } => Some(register.clone()),
            _ => None,
        };
        history.iter().filter_map(|event| of_set(&event.what)).collect()
    });
    for register in registers {
        // Settings have no slash in their names.
        let Some((group, topic)) = register.name.split_once('/') else { continue };
        let mut answer = None;
        for _ in 0..1_000 {
            let ask = |c: &mut Connection| commit::committed(c, group, topic);
            let (times, found) = client.insist(PATIENCE, ask).context("no committed offset")?;
            if let Some(value) = found {
                answer = Some((times, value));
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        match answer {
            Some((times, value)) => client.note(times, What::Got { register, value }),
            None => shared.complain(format!("{group} cannot be read")),
        }
    }
    let (times, listed) = client.insist(PATIENCE, ask::topics).context("no list of topics")?;
    note_list(client, times, &listed);
    Ok(())
}

/// What came of a round.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) events: usize,
    pub(crate) acked: u64,
    pub(crate) relayed: u64,
    /// Why it ended before its time, if it did.
    pub(crate) broken_off: Option<String>,
    /// What went wrong that no event tells, that, and all violations, as text.
    pub(crate) problems: Vec<String>,
    pub(crate) violations: Vec<Violation>,
}

/// What is wrong already while the load goes on. Of a record that is on its way nothing is noted
/// yet, and a consumer may have read it: whether somebody sent it is seen in the end.
pub(crate) fn judge_early(shared: &Shared) {
    let violations = shared.with_history(|history| check(history, &Limits::default()));
    let may_be_pending = |rule| matches!(rule, Rule::Phantom | Rule::FailedVisible);
    for violation in violations.iter().filter(|violation| !may_be_pending(violation.rule)) {
        shared.complain(violation.to_string());
    }
}

/// Runs a round to its end, or to the error that breaks it off, and judges what was noted until
/// then. The history of what failed is kept. The round finishes its load, and ends its broker.
pub(crate) fn conclude(
    shared: &Shared,
    site: &Site,
    round: impl FnOnce() -> Result<()>,
) -> Verdict {
    let broken_off = round().err().map(|error| format!("{error:#}"));
    // What comes behind the cause may be its consequence.
    let mut problems: Vec<String> = broken_off.iter().cloned().collect();
    problems.extend(shared.take_complaints());
    let (events, violations) =
        shared.with_history(|history| (history.len(), check(history, &Limits::default())));
    problems.extend(violations.iter().map(ToString::to_string));
    if !problems.is_empty()
        && let Err(error) = save(shared, site)
    {
        problems.push(format!("the history cannot be kept: {error}"));
    }
    let acked = shared.acked.load(Ordering::Relaxed);
    let relayed = shared.relayed.load(Ordering::Relaxed);
    Verdict { events, acked, relayed, broken_off, problems, violations }
}

/// Keeps the history as text.
fn save(shared: &Shared, site: &Site) -> io::Result<()> {
    let path = site.folder.join("history.txt");
    let lines: String = shared.with_history(|history| {
        history.sort_by_key(|event| event.began_ns);
        history.iter().map(|event| format!("{event:?}\n")).collect()
    });
    std::fs::write(path, lines)
}
