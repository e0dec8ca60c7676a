//! The broker is killed, stopped, halted and signalled under load, again and again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_check::event::{Crash, Event, Policy, What};

use super::load::relay::Program;
use super::load::{Load, Mix};
use super::random::Random;
use super::round::{
    Plan, Verdict, conclude, judge_early, prepare, read_everything, wait_for_deletions,
};
use super::shared::Shared;
use super::site::{Broker, Site};
use super::{Common, raw, sabotage};
use crate::gate::Outcome;
use crate::interop::Relays;

/// Cycles on the same topics, before everything is read and judged.
const ROUND: u32 = 50;
/// The history so far is judged after so many cycles.
const LOOK: u32 = 25;
/// Without an answer for so long, something hangs.
const STALL: Duration = Duration::from_secs(20);
/// How long an orderly stop should take at most; this machine may be busy.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Starts and kills in a row, without load, that must leave nothing behind.
const RESTARTS: u32 = 100;

/// Work in the background that comes soon enough to be hit.
pub(crate) const SETTINGS: &str = "log.cleaner.backoff.ms=50
log.cleaner.min.cleanable.ratio=0.01
log.retention.check.interval.ms=100
log.initial.task.delay.ms=50
log.flush.offset.checkpoint.interval.ms=200
log.flush.start.offset.checkpoint.interval.ms=200
replica.high.watermark.checkpoint.interval.ms=200
log.index.interval.bytes=512
log.segment.delete.delay.ms=100
metadata.log.max.record.bytes.between.snapshots=100000
metadata.max.retention.bytes=1000000
";

/// Topics of a round: one that keeps all, one that expires, one that is compacted.
pub(crate) const PLANS: [Plan; 3] = [
    Plan {
        name: "keep",
        partitions: 4,
        policy: Policy::Keep,
        synced: true,
        padding_bytes: 200,
        configs: &[("segment.ms", "500")],
    },
    Plan {
        name: "expire",
        partitions: 2,
        policy: Policy::Expire { bytes: 2_097_152 },
        synced: true,
        padding_bytes: 8_000,
        configs: &[("segment.bytes", "1048576"), ("retention.bytes", "2097152")],
    },
    Plan {
        name: "compact",
        partitions: 2,
        policy: Policy::Compact { keys: 8 },
        synced: true,
        padding_bytes: 300,
        configs: &[
            ("cleanup.policy", "compact"),
            ("segment.ms", "300"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ],
    },
];

pub(crate) const MIX: Mix = Mix {
    idempotent: 2,
    plain: 1,
    consumers: 1,
    committers: 2,
    administrators: 1,
    synced_offsets: true,
    sessions_end: false,
};

/// What is done to a broker under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGKILL, and again during the recovery from it.
    KillTwice,
    /// SIGTERM; nothing may be left to recover.
    Stop,
    /// SIGTERM, and SIGKILL before it is done.
    KillStopping,
    /// SIGSTOP for a moment, then SIGKILL.
    Halt,
    /// Signals that must not end it, then SIGKILL.
    Nudge,
}

fn pick(random: &mut Random) -> Fault {
    match random.below(20) {
        0..=11 => Fault::Kill,
        12..=13 => Fault::KillTwice,
        14..=15 => Fault::Stop,
        16..=17 => Fault::KillStopping,
        18 => Fault::Halt,
        _ => Fault::Nudge,
    }
}

/// Runs so many cycles.
pub(crate) fn run(common: &Common, cycles: u32) -> Result<Outcome> {
    let folder = common.target.join("kill");
    let data = vec![folder.join("data")];
    let site = Site::fresh(&common.root, &folder, data, &common.broker, SETTINGS)?;
    let mut random = Random::new(common.seed);
    let mut outcome = Outcome::default();
    let (relays, missing) = Relays::prepare(&common.root)?;
    outcome.not_run.extend(missing);
    let (mut done, start) = (0, Instant::now());
    let (mut acked, mut events, mut relayed) = (0, 0, 0);
    while done < cycles {
        let count = ROUND.min(cycles - done);
        let round = round(&site, &mut random, count, Extra::Relays(&relays));
        done += if round.problems.is_empty() { count } else { 0 };
        acked += round.acked;
        events += round.events;
        relayed += round.relayed;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "kill: {done} cycles, {acked} records acknowledged ({relayed} to real clients), \
             {events} events, {seconds:.0} s"
        );
        outcome.add(report("kill", &round.problems));
        if !round.problems.is_empty() {
            println!("kill: history and logs are in {}", site.folder.display());
            return Ok(outcome);
        }
        outcome.add(Outcome { passed: u64::from(count), ..Outcome::default() });
    }
    outcome.add(restarts(&site)?);
    Ok(outcome)
}

/// Prints problems, but not thousands of them.
pub(crate) fn report(lane: &str, problems: &[String]) -> Outcome {
    const SHOWN: usize = 20;
    for problem in problems.iter().take(SHOWN) {
        println!("{lane}: {problem}");
    }
    if problems.len() > SHOWN {
        println!("{lane}: and {} more", problems.len() - SHOWN);
    }
    let failed = problems.len() as u64;
    Outcome { passed: u64::from(failed == 0), failed, not_run: Vec::new() }
}

/// What a round has beside the clients of every round.
pub(crate) enum Extra<'a> {
    /// Real clients.
    Relays(&'a Relays),
    /// A bug that strikes once, between a kill and the next start.
    Plant(&'a mut sabotage::Saboteur),
}

/// Runs a round, and judges it.
pub(crate) fn round(site: &Site, random: &mut Random, cycles: u32, extra: Extra) -> Verdict {
    let shared = Shared::new(site.address, random.below(1 << 40) << 16);
    conclude(&shared, site, || run_round(&shared, site, random, cycles, extra))
}

fn run_round(
    shared: &Arc<Shared>,
    site: &Site,
    random: &mut Random,
    cycles: u32,
    extra: Extra,
) -> Result<()> {
    let mut broker = site.start()?;
    let targets = prepare(shared, &PLANS)?;
    let mut load = Load::start(shared, &targets, MIX, random);
    let mut saboteur: Option<&mut sabotage::Saboteur> = None;
    match extra {
        Extra::Relays(relays) => {
            for (name, command) in relays.commands(&site.address.to_string()) {
                load.relay(Program { name, command }, &targets, random);
            }
        }
        Extra::Plant(bug) => {
            if bug.cuts_off() {
                load.cut_off(&targets, random);
            }
            saboteur = Some(bug);
        }
    }
    for n in 0..cycles {
        wait_for_answers(shared, random)?;
        thread::sleep(saboteur.as_ref().map_or(Duration::ZERO, |bug| bug.life()));
        let fault = if saboteur.is_some() { Fault::Kill } else { pick(random) };
        inflict(shared, broker, fault, random).with_context(|| format!("cycle {n}: {fault:?}"))?;
        if let Some(saboteur) = saboteur.as_deref_mut() {
            saboteur.between(n, site, &targets)?;
        }
        raw::note_segments(shared, &site.data, &targets)?;
        broker = restart(shared, site, fault, random)
            .with_context(|| format!("after cycle {n}: {fault:?}"))?;
        if n % LOOK == LOOK - 1 && saboteur.is_none() {
            judge_early(shared);
        }
    }
    load.finish();
    read_everything(shared, &targets)?;
    wait_for_deletions(site)?;
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    raw::read_all(shared, &site.data, &targets).context("the files")
}

/// Most kills come when clients have got something done, some in the midst of the start.
fn wait_for_answers(shared: &Shared, random: &mut Random) -> Result<()> {
    if !random.once_in(5) {
        let before = shared.acked.load(Ordering::Relaxed);
        let start = Instant::now();
        while shared.acked.load(Ordering::Relaxed) == before {
            ensure!(start.elapsed() < STALL, "nothing acknowledged in {} s", STALL.as_secs());
            thread::sleep(Duration::from_micros(500));
        }
    }
    thread::sleep(Duration::from_micros(random.below(150_000)));
    Ok(())
}

fn inflict(shared: &Shared, broker: Broker, fault: Fault, random: &mut Random) -> Result<()> {
    let began_ns = shared.now_ns();
    match fault {
        Fault::Kill | Fault::KillTwice => broker.kill()?,
        Fault::Stop => {
            broker.signal("TERM")?;
            let took = broker.wait_for_stop()?;
            if took > STOP_MAX {
                shared.complain(format!("a stop took {} ms", took.as_millis()));
            }
        }
        Fault::KillStopping => {
            broker.signal("TERM")?;
            thread::sleep(Duration::from_micros(random.below(30_000)));
            // It may have been faster.
            broker.end()?;
        }
        Fault::Halt => {
            broker.signal("STOP")?;
            thread::sleep(Duration::from_millis(random.below(1_500)));
            broker.signal("CONT")?;
            thread::sleep(Duration::from_millis(random.below(100)));
            broker.kill()?;
        }
        Fault::Nudge => {
            for signal in ["HUP", "PIPE", "XFSZ", "USR1", "WINCH"] {
                broker.signal(signal)?;
            }
            thread::sleep(Duration::from_millis(random.below(100)));
            broker.kill().context("HUP, PIPE, XFSZ, USR1, WINCH")?;
        }
    }
    let ended_ns = shared.now_ns();
    shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Process) });
    Ok(())
}

fn restart(shared: &Shared, site: &Site, fault: Fault, random: &mut Random) -> Result<Broker> {
    if fault == Fault::KillTwice {
        for _ in 0..=random.below(2) {
            let began_ns = shared.now_ns();
            let broker = site.spawn()?;
            thread::sleep(Duration::from_micros(random.below(40_000)));
            broker.kill()?;
            let ended_ns = shared.now_ns();
            let what = What::Crash(Crash::Process);
            shared.note(Event { began_ns, ended_ns, client: 0, what });
        }
    }
    let mut broker = site.spawn()?;
    broker.wait_until_ready()?;
    if fault == Fault::Stop {
        let log = broker.log();
        // The metadata log is looked through at every start, as Kafka does.
        let is_told = |line: &&str| line.contains("recovering") && !line.contains("__cluster_");
        for line in log.lines().filter(is_told) {
            shared.complain(format!("after an orderly stop: {line}"));
        }
    }
    shared.note_now(What::Restarted);
    Ok(broker)
}

/// Starts and kills without load must leave no more files than there were.
fn restarts(site: &Site) -> Result<Outcome> {
    let before = settled_files(site)?;
    let (mut first, mut last) = (Duration::ZERO, Duration::ZERO);
    for n in 0..RESTARTS {
        let start = Instant::now();
        let broker = site.start().with_context(|| format!("restart {n}"))?;
        let took = start.elapsed();
        if n < RESTARTS / 2 {
            first += took;
        } else {
            last += took;
        }
        broker.kill()?;
    }
    let after = settled_files(site)?;
    let half = RESTARTS / 2;
    println!(
        "kill: {RESTARTS} restarts: {} files before, {} after; {} ms each, then {} ms",
        before.len(),
        after.len(),
        (first / half).as_millis(),
        (last / half).as_millis()
    );
    let mut problems = Vec::new();
    if after.len() > before.len() {
        let new: Vec<_> = after.difference(&before).collect();
        problems.push(format!("kill: restarts leave files behind: {new:?}"));
    }
    Ok(Outcome::of_problems(&problems))
}

/// The files there are when a broker has tidied up and was stopped. A kill may come while one is
/// written, before it gets its name.
fn settled_files(site: &Site) -> Result<BTreeSet<PathBuf>> {
    let broker = site.start()?;
    thread::sleep(Duration::from_secs(2));
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    site.files()
}

/// A copy of a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
