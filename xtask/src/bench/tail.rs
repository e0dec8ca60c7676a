//! Reading: in fetch sessions, along with a producer, and by many at a time.

use anyhow::Result;

use super::report::Figures;
use super::workload::{Floor, Place, Run, Workload};

/// These. Latencies are told of brokers of their own: on the shared one the disk may still be busy
/// with what other workloads have appended.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "fetch-sessions",
        place: Place::Shared,
        floor: Some(Floor::Fetch),
        run: fetch_sessions,
    },
    Workload { name: "tail", place: Place::Own(""), floor: None, run: tail },
    Workload { name: "fan-out", place: Place::Own(""), floor: None, run: fan_out },
];

/// Of a topic that it fills itself.
fn fetch_sessions(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if !run.target.floor {
        let fill = run.size(1024);
        let args = run.target.args("produce", &["--topic", "fetched-in-session", "--mib", &fill]);
        run.bench.load(&args)?;
    }
    let mib = run.size(8192);
    let rows = [
        ("fetch in a session from the page cache, CPU s/GiB", "cpu_s_per_gib"),
        ("fetch in a session from the page cache, MiB/s", "mib_per_s"),
    ];
    let args = ["--topic", "fetched-in-session", "--mib", &mib, "--sessions"];
    run.take(("fetch", &args), &rows, figures)
}

/// What a JVM has compiled at the end of this, it runs the measured load by. On a topic of its own:
/// what it is late with in its first seconds is not to be measured.
fn warm_up(run: &Run<'_>, command: &str) -> Result<()> {
    if !run.wants_warm_up() {
        return Ok(());
    }
    let seconds = run.size(20);
    let args = run.target.args(command, &["--topic", "warm-up", "--seconds", &seconds]);
    run.bench.load(&args).map(drop)
}

fn tail(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    warm_up(run, "tail")?;
    run.warm_pages(1024)?;
    let rows = [
        ("tail 50,000 records/s of 1 KiB, 16 partitions: CPU us/record", "cpu_us_per_record"),
        ("tail 50,000 records/s of 1 KiB, 16 partitions: end to end p50 ms", "p50_ms"),
        ("tail 50,000 records/s of 1 KiB, 16 partitions: end to end p99 ms", "p99_ms"),
        ("tail 50,000 records/s of 1 KiB, 16 partitions: end to end p99.9 ms", "p999_ms"),
        ("tail 50,000 records/s of 1 KiB, 16 partitions: batches/answer", "batches_per_answer"),
    ];
    let seconds = run.size(10);
    let args = ["--topic", "tail", "--warm-up", "2", "--seconds", &seconds];
    run.take(("tail", &args), &rows, figures)
}

/// At 100 batches a second, 10,000 answers: with more, who cannot follow is asked for several
/// batches at a time, and so for less work a record.
fn fan_out(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    warm_up(run, "fan-out")?;
    let rows = [
        ("100 consumers, 100 batches/s of 10 KiB: CPU us/delivered record", "cpu_us_per_record"),
        ("100 consumers, 100 batches/s of 10 KiB: to the last p50 ms", "p50_ms"),
        ("100 consumers, 100 batches/s of 10 KiB: to the last p99 ms", "p99_ms"),
        ("100 consumers, 100 batches/s of 10 KiB: batches/answer", "batches_per_answer"),
    ];
    let seconds = run.size(10);
    let args = ["--topic", "fan-out", "--warm-up", "2", "--seconds", &seconds];
    run.take(("fan-out", &args), &rows, figures)
}
