//! SIGKILL at the n-th call of a kind, for many n: from the first calls of a start, which is a
//! recovery from the kill before, to some hundred calls into the load.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottla_check::event::{Crash, Event, What};

use super::table::Call;
use super::tracer::killed_at;
use super::{MIX, Row, fresh};
use crate::torture::load::Load;
use crate::torture::random::Random;
use crate::torture::round::{judge, prepare, read_everything, save};
use crate::torture::shared::Shared;
use crate::torture::{Common, kill, raw};

/// A start that makes fewer calls than that within this time is killed another way.
const REACH: Duration = Duration::from_millis(1_500);
/// After so many numbers that were not reached, no higher one is tried.
const MISSES_MAX: u32 = 2;
/// Beginning with each of the first calls; then the steps grow.
const FIRST: u32 = 6;
const LAST: u32 = 2_000;

/// Kills at one call after the other, all on the same directory, then judges.
pub(crate) fn run(common: &Common, call: &Call, random: &mut Random) -> Result<Row> {
    let site = fresh(common)?;
    let shared = Shared::new(site.address, random.below(1 << 40) << 16);
    let broker = site.start()?;
    let targets = prepare(&shared, &kill::PLANS)?;
    let load = Load::start(&shared, &targets, MIX, random);
    thread::sleep(Duration::from_millis(200));
    let began_ns = shared.now_ns();
    broker.kill()?;
    crashed(&shared, began_ns);
    let (mut nth, mut hits, mut misses, mut furthest) = (1, 0, 0, 0);
    while nth <= LAST && misses < MISSES_MAX {
        let began_ns = shared.now_ns();
        let mut broker = site.spawn_as(killed_at(call, nth, &site)?)?;
        let start = Instant::now();
        while start.elapsed() < REACH && broker.ended()?.is_none() {
            thread::sleep(Duration::from_millis(2));
        }
        match broker.end()? {
            Some(status) if status.code().is_none() => {
                (hits, furthest) = (hits + 1, nth);
            }
            Some(status) => {
                let text = fs::read_to_string(site.folder.join("broker.log")).unwrap_or_default();
                shared.complain(format!("number {nth}: ended with {status}: {text}"));
                break;
            }
            None => misses += 1,
        }
        crashed(&shared, began_ns);
        nth = if nth < FIRST { nth + 1 } else { nth + 1 + nth / 2 };
    }
    let broker = site.start().context("the start after the last kill")?;
    shared.note_now(What::Restarted);
    load.finish();
    read_everything(&shared, &targets)?;
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    raw::read_all(&shared, &site.data, &targets)?;
    let verdict = judge(&shared);
    if !verdict.problems.is_empty() {
        save(&shared, &site)?;
    }
    let name = format!("{} SIGKILL at 1st..{furthest}th", call.name);
    let (acked, problems) = (verdict.acked, verdict.problems);
    let ended = "killed".to_owned();
    Ok(Row { name, injected: hits, ended, acked, problems, ..Row::default() })
}

fn crashed(shared: &Shared, began_ns: u64) {
    let ended_ns = shared.now_ns();
    shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Process) });
}
