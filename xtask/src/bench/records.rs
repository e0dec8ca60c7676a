//! The plain workloads: produce at saturation and at a rate, and one request at a time.

use anyhow::Result;

use super::Subject;
use super::goal::{Bound, row};
use super::report::Figures;
use super::workload::{EVERY, Floor, Place, Run, Workload};

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    produced("produce", Place::Shared, produce),
    produced("produce-small-records", Place::Shared, produce_small_records),
    produced("one-in-flight", Place::Shared, one_in_flight),
    produced("paced", Place::Own(""), paced),
];

const fn produced(
    name: &'static str,
    place: Place,
    run: fn(&Run<'_>, &mut Figures) -> Result<()>,
) -> Workload {
    Workload { name, place, floors: &[Floor::Produce], kafka_rounds: EVERY, run }
}

/// What Kafka is given before it is measured: some 20 s of produce of both kinds, and of fetch.
pub(super) fn warm_up(run: &Run<'_>) -> Result<()> {
    let load = |command: &str, args: &[&str]| run.bench.load(&run.target.args(command, args));
    let mib = |full| run.size(full);
    load("produce", &["--topic", "warm-up", "--mib", &mib(3072)])?;
    load("produce", &[&["--topic", "warm-up-small", "--mib", &mib(1024)], SMALL_RECORDS].concat())?;
    load(
        "produce",
        &[&["--topic", "warm-up-one", "--mib", &mib(ONE_IN_FLIGHT_MIB)], ONE_IN_FLIGHT].concat(),
    )?;
    warm_up_fetch(run)
}

/// Of the topic `warm-up`.
pub(super) fn warm_up_fetch(run: &Run<'_>) -> Result<()> {
    let mib = run.size(6144);
    let fetch = ["--topic", "warm-up", "--mib", &mib];
    run.warm_up(("fetch", &fetch))?;
    run.warm_up(("fetch", &[&fetch[..], &["--sessions"]].concat()))
}

fn produce(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    run.warm_pages(2048)?;
    let rows = [
        row("produce 64 KiB batches, CPU s/GiB", "cpu_s_per_gib")
            .to(&[Bound::MostOf(1.7, Subject::Floor), Bound::MostOf(0.22, Subject::Kafka)]),
        row("produce 64 KiB batches, MiB/s", "mib_per_s"),
    ];
    run.take(("produce", &["--mib", &run.size(2048)]), &rows, figures)
}

/// Some 16 KiB a batch, as a producer of many small records makes them by default (Kafka,
/// `batch.size`).
const SMALL_RECORDS: &[&str] =
    &["--record-bytes", "100", "--batch-records", "150", "--connections", "3"];

fn produce_small_records(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    run.warm_pages(1024)?;
    let mib = run.size(1024);
    let args = ["--topic", "small-records", "--mib", &mib];
    let rows = [
        row("produce 100 B records, 16 KiB batches, 3 connections, CPU s/GiB", "cpu_s_per_gib")
            .to(&[Bound::MostOf(1.8, Subject::Floor), Bound::MostOf(0.27, Subject::Kafka)]),
        row("produce 100 B records, 16 KiB batches, 3 connections, records/s", "records_per_s")
            .to(&[Bound::Least(3e6)]),
    ];
    run.take(("produce", &[&args, SMALL_RECORDS].concat()), &rows, figures)
}

const ONE_IN_FLIGHT: &[&str] =
    &["--record-bytes", "1024", "--batch-records", "1", "--in-flight", "1"];
const ONE_IN_FLIGHT_MIB: usize = 40;

fn one_in_flight(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    run.warm_pages(ONE_IN_FLIGHT_MIB)?;
    let mib = run.size(ONE_IN_FLIGHT_MIB);
    let args = ["--topic", "one-in-flight", "--mib", &mib];
    let rows = [
        row("one 1 KiB record in flight, requests/s", "requests_per_s")
            .to(&[Bound::LeastOf(0.8, Subject::Floor), Bound::LeastOf(1.5, Subject::Kafka)]),
        row("one 1 KiB record in flight, CPU us/request", "cpu_us_per_request")
            .to(&[Bound::MostOf(1.7, Subject::Floor)]),
    ];
    run.take(("produce", &[&args, ONE_IN_FLIGHT].concat()), &rows, figures)
}

/// On a broker of its own: on the shared one the disk may be busy with what was appended before.
fn paced(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if run.wants_warm_up() {
        let mib = run.size(1536);
        let batches = ["--topic", "warm-up", "--batch-records", "10", "--mib", &mib];
        run.warm_up(("produce", &batches))?;
        run.warm_up(("paced", &["--topic", "warm-up", "--seconds", &run.size(5)]))?;
    }
    run.warm_pages(256)?;
    let rows = [
        row("20,000 records/s of 1 KiB in batches of 10, CPU us/record", "cpu_us_per_record")
            .to(&[Bound::MostOf(1.6, Subject::Floor), Bound::MostOf(0.45, Subject::Kafka)]),
        row("20,000 records/s of 1 KiB in batches of 10, ack p50 ms", "p50_ms"),
        row("20,000 records/s of 1 KiB in batches of 10, ack p99 ms", "p99_ms"),
        row("20,000 records/s of 1 KiB in batches of 10, ack p99.9 ms", "p999_ms"),
    ];
    let seconds = run.size(10);
    run.take(("paced", &["--topic", "paced", "--seconds", &seconds]), &rows, figures)
}
