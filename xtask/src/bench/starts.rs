//! From the start of the process to the first acknowledged record. On both processors: what the
//! generator starts stays where it is itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::goal::{Bound, Goal};
use super::report::Figures;
use super::workload::{Place, Run, Workload};
use super::{Subject, Target};

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload { name: "starts", place: Place::Stopped, floors: &[], kafka_rounds: 1, run: starts },
    Workload {
        name: "start-dirty",
        place: Place::Stopped,
        floors: &[],
        kafka_rounds: 1,
        run: start_dirty,
    },
];

/// On an empty directory (Kafka's is formatted before), after an orderly stop, and after SIGKILL.
fn starts(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let starts: [(&str, bool, Goal); 3] = [
        ("first start to first ack, ms", false, &[Bound::Most(50.0)]),
        ("start after a stop to first ack, ms", true, &[Bound::Most(50.0)]),
        ("start after kill -9 to first ack, ms", false, &[Bound::Most(100.0)]),
    ];
    for (name, kill, goal) in starts {
        figures.aim(name, goal);
        figures.take(name, run.subject, &cold_start(run, kill)?, "first_ack_ms")?;
    }
    Ok(())
}

/// What was appended and never synced when the broker was killed; all of it is in one segment.
const DIRTY_MIB: usize = 64;

/// The floor reads and sums the same bytes, which lie in the page cache for both.
fn start_dirty(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let (site, kind) = run.broker.context("the floor does not start")?;
    // Makes the topic of the first record, which is not to be made when it counts.
    cold_start(run, false)?;
    let running = site.start_on(kind, 0)?;
    let target = Target { address: site.bootstrap(), pid: running.id().to_string(), floor: false };
    let mib = run.size(DIRTY_MIB);
    run.bench.load(&target.args("fill", &["--topic", "dirty", "--mib", &mib]))?;
    running.kill()?;
    let data = site.data().display().to_string();
    let reading_ms = number(&run.bench.load(&["floor-sum", "--data", &data])?, "wall_s")? * 1e3;
    let start_ms = number(&cold_start(run, false)?, "first_ack_ms")?;
    let name = format!("start after kill -9 with {DIRTY_MIB} MiB to recover, to first ack");
    if run.subject == Subject::Ottla {
        figures.add(&format!("{name}, ms (floor: reading them)"), Subject::Floor, reading_ms);
    }
    figures.add(&format!("{name}, ms (floor: reading them)"), run.subject, start_ms);
    let beyond = format!("{name}, beyond the reading, ms");
    figures.aim(&beyond, &[Bound::Most(100.0)]);
    figures.add(&beyond, run.subject, start_ms - reading_ms);
    Ok(())
}

fn cold_start(run: &Run<'_>, kill: bool) -> Result<BTreeMap<String, Value>> {
    let (site, kind) = run.broker.context("the floor does not start")?;
    let start = site.command(kind)?;
    let words: Vec<&str> = std::iter::once(start.get_program())
        .chain(start.get_args())
        .map(|word| word.to_str().context("a path that is not UTF-8"))
        .collect::<Result<_>>()?;
    let mut args = vec!["cold-start", "--address", site.bootstrap()];
    args.extend(kill.then_some("--kill"));
    args.push("--");
    args.extend(words);
    run.bench.generate(&args)
}

fn number(answer: &BTreeMap<String, Value>, key: &str) -> Result<f64> {
    let value = answer.get(key).and_then(Value::as_f64);
    value.with_context(|| format!("no {key} in {answer:?}"))
}
