//! SIGKILL at the n-th call of a kind, for many n: from the first calls of a start, which is a
//! recovery from the kill before, to some hundred calls into the load.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottla_check::event::{Crash, Event, What};

use super::table::Call;
use super::tracer::killed_at;
use super::{Row, Under, case, loaded};
use crate::torture::random::Random;
use crate::torture::round::read_everything;
use crate::torture::shared::Shared;
use crate::torture::site::Site;
use crate::torture::{Common, raw};

/// A start that makes fewer calls than that within this time is killed another way.
const REACH: Duration = Duration::from_millis(1_500);
/// After so many numbers that were not reached, no higher one is tried.
const MISSES_MAX: u32 = 2;
/// Beginning with each of the first calls; then the steps grow.
const FIRST: u32 = 6;
const LAST: u32 = 2_000;

/// Kills at one call after the other, all on the same directory, then judges.
pub(crate) fn run(common: &Common, call: &Call, random: &mut Random) -> Result<Row> {
    let name = format!("{} SIGKILL", call.name);
    case(common, random, name, |shared, site, random, row| {
        row.ended = "killed".to_owned();
        sweep(shared, site, random, row, call)
    })
}

fn sweep(
    shared: &Arc<Shared>,
    site: &Site,
    random: &mut Random,
    row: &mut Row,
    call: &Call,
) -> Result<()> {
    let Under { broker, load, targets, began_ns } = loaded(shared, site, random)?;
    broker.kill()?;
    crashed(shared, began_ns);
    let (mut nth, mut misses) = (1, 0);
    while nth <= LAST && misses < MISSES_MAX {
        let began_ns = shared.now_ns();
        let mut broker = site.spawn_as(killed_at(call, nth, site)?)?;
        let start = Instant::now();
        while start.elapsed() < REACH && broker.ended()?.is_none() {
            thread::sleep(Duration::from_millis(2));
        }
        match broker.end()? {
            Some(status) if status.code().is_none() => {
                row.injected += 1;
                row.name = format!("{} SIGKILL at 1st..{nth}th", call.name);
            }
            Some(status) => {
                let text = fs::read_to_string(site.folder.join("broker.log")).unwrap_or_default();
                shared.complain(format!("number {nth}: ended with {status}: {text}"));
                break;
            }
            None => misses += 1,
        }
        crashed(shared, began_ns);
        nth = if nth < FIRST { nth + 1 } else { nth + 1 + nth / 2 };
    }
    let broker = site.start().context("the start after the last kill")?;
    shared.note_now(What::Restarted);
    load.finish();
    read_everything(shared, &targets)?;
    row.acked = shared.acked.load(Ordering::Relaxed);
    broker.signal("TERM")?;
    broker.wait_for_stop()?;
    raw::read_all(shared, &site.data, &targets).context("the files")
}

fn crashed(shared: &Shared, began_ns: u64) {
    let ended_ns = shared.now_ns();
    shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Process) });
}
