//! What deletion and compaction do to a load beside them.

use anyhow::{Context, Result};

use super::goal::{Bound, Row, row};
use super::records;
use super::report::Figures;
use super::workload::{Place, Run, Workload};

/// This.
pub(super) const WORKLOADS: &[Workload] = &[Workload {
    name: "maintenance",
    place: Place::Own(SETTINGS),
    floors: &[],
    kafka_rounds: 1,
    run: maintenance,
}];

/// Both are looked for all the time, where minutes and 15 s would be the default.
const SETTINGS: &str = "
log.initial.task.delay.ms=100
log.retention.check.interval.ms=100
log.segment.delete.delay.ms=500
log.cleaner.backoff.ms=100
";
/// What the two loads append and the cleaner writes while they run, about. What is laid before
/// is not measured.
const WRITTEN_MIB: usize = 2 * 1024;
/// Of each of the two measurements.
const SECONDS: usize = 8;
/// More than are compacted in that time; 128 MiB each.
const KEYED_TOPICS: usize = 32;

const ROWS: [Row<'_>; 7] = [
    row("20,000 records/s before retention and cleaner run, ack p50 ms", "without_p50_ms"),
    row("20,000 records/s before retention and cleaner run, ack p99 ms", "without_p99_ms"),
    row("20,000 records/s before retention and cleaner run, ack p99.9 ms", "without_p999_ms"),
    row("20,000 records/s while retention and cleaner run, ack p50 ms", "with_p50_ms"),
    row("20,000 records/s while retention and cleaner run, ack p99 ms", "with_p99_ms"),
    row("20,000 records/s while retention and cleaner run, ack p99.9 ms", "with_p999_ms"),
    row("retention and cleaner: ack p99 while they run / before", "p99_ratio")
        .to(&[Bound::Most(2.0)]),
];

fn maintenance(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let (site, _) = run.broker.context("a floor deletes nothing")?;
    if run.wants_warm_up() {
        records::warm_up(run)?;
        let warm = run.target.args("paced", &["--topic", "warm-up-paced"]);
        run.bench.load(&warm)?;
    }
    run.warm_pages(WRITTEN_MIB)?;
    let data = site.data().display().to_string();
    // What must have happened in the measurement takes some seconds, however small it all is.
    let seconds = run.bench.size(SECONDS).max(3).to_string();
    let topics = run.bench.size(KEYED_TOPICS).max(12).to_string();
    let args = ["--topic", "load", "--data", &data];
    let sizes = ["--seconds", &seconds, "--keyed-topics", &topics];
    run.take(("maintenance", &[&args[..], &sizes].concat()), &ROWS, figures)
}
