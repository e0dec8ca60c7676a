//! The plain workloads: produce at saturation and at a rate, one request at a time, fetch, starts.

use anyhow::{Context, Result};

use super::report::Figures;
use super::workload::{Floor, Place, Run, Workload};

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload { name: "produce", place: Place::Shared, floor: Some(Floor::Produce), run: produce },
    Workload {
        name: "produce-small-records",
        place: Place::Shared,
        floor: Some(Floor::Produce),
        run: produce_small_records,
    },
    Workload {
        name: "one-in-flight",
        place: Place::Shared,
        floor: Some(Floor::Produce),
        run: one_in_flight,
    },
    Workload { name: "paced", place: Place::Own(""), floor: Some(Floor::Produce), run: paced },
    Workload { name: "fetch", place: Place::Shared, floor: Some(Floor::Fetch), run: fetch },
    Workload { name: "starts", place: Place::Stopped, floor: None, run: starts },
];

/// What Kafka is given before it is measured: some 20 s of produce of both kinds, and of fetch.
pub(super) fn warm_up(run: &Run<'_>) -> Result<()> {
    let load = |command: &str, args: &[&str]| run.bench.load(&run.target.args(command, args));
    let mib = |full| run.size(full);
    load("produce", &["--topic", "warm-up", "--mib", &mib(3072)])?;
    load("produce", &[&["--topic", "warm-up-small", "--mib", &mib(1024)], SMALL_RECORDS].concat())?;
    load("produce", &[&["--topic", "warm-up-one", "--mib", &mib(40)], ONE_IN_FLIGHT].concat())?;
    let fetch = ["--topic", "warm-up", "--mib", &mib(6144)];
    load("fetch", &fetch)?;
    load("fetch", &[&fetch[..], &["--sessions"]].concat())?;
    Ok(())
}

fn produce(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    run.warm_pages(2048)?;
    let rows = [
        ("produce 64 KiB batches, CPU s/GiB", "cpu_s_per_gib"),
        ("produce 64 KiB batches, MiB/s", "mib_per_s"),
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
        ("produce 100 B records, 16 KiB batches, 3 connections, CPU s/GiB", "cpu_s_per_gib"),
        ("produce 100 B records, 16 KiB batches, 3 connections, records/s", "records_per_s"),
    ];
    run.take(("produce", &[&args, SMALL_RECORDS].concat()), &rows, figures)
}

const ONE_IN_FLIGHT: &[&str] =
    &["--record-bytes", "1024", "--batch-records", "1", "--in-flight", "1"];

fn one_in_flight(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    run.warm_pages(100)?;
    let mib = run.size(100);
    let args = ["--topic", "one-in-flight", "--mib", &mib];
    let rows = [
        ("one 1 KiB record in flight, requests/s", "requests_per_s"),
        ("one 1 KiB record in flight, CPU us/request", "cpu_us_per_request"),
    ];
    run.take(("produce", &[&args, ONE_IN_FLIGHT].concat()), &rows, figures)
}

/// On a broker of its own: on the shared one the disk may be busy with what was appended before.
fn paced(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if run.wants_warm_up() {
        let mib = run.size(1536);
        let batches = ["--topic", "warm-up", "--batch-records", "10", "--mib", &mib];
        run.take(("produce", &batches), &[], figures)?;
        run.take(("paced", &["--topic", "warm-up", "--seconds", &run.size(5)]), &[], figures)?;
    }
    run.warm_pages(256)?;
    let rows = [
        ("20,000 records/s of 1 KiB in batches of 10, CPU us/record", "cpu_us_per_record"),
        ("20,000 records/s of 1 KiB in batches of 10, ack p50 ms", "p50_ms"),
        ("20,000 records/s of 1 KiB in batches of 10, ack p99 ms", "p99_ms"),
        ("20,000 records/s of 1 KiB in batches of 10, ack p99.9 ms", "p999_ms"),
    ];
    let seconds = run.size(10);
    run.take(("paced", &["--topic", "paced", "--seconds", &seconds]), &rows, figures)
}

/// Of a topic that it fills itself.
fn fetch(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if !run.target.floor {
        let fill = run.size(1024);
        let args = run.target.args("produce", &["--topic", "fetched", "--mib", &fill]);
        run.bench.load(&args)?;
    }
    let mib = run.size(8192);
    let rows = [
        ("fetch from the page cache, CPU s/GiB", "cpu_s_per_gib"),
        ("fetch from the page cache, MiB/s", "mib_per_s"),
    ];
    run.take(("fetch", &["--topic", "fetched", "--mib", &mib]), &rows, figures)
}

/// From the start of the process to the first acknowledged record: on an empty directory (Kafka's
/// is formatted before), after an orderly stop, and after SIGKILL. On both processors: what the
/// generator starts stays where it is itself.
fn starts(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let (site, kind) = run.broker.context("the floor does not start")?;
    for (name, kill) in [
        ("first start to first ack, ms", false),
        ("start after a stop to first ack, ms", true),
        ("start after kill -9 to first ack, ms", false),
    ] {
        let start = site.command(kind)?;
        let words: Vec<&str> = std::iter::once(start.get_program())
            .chain(start.get_args())
            .map(|word| word.to_str().context("a path that is not UTF-8"))
            .collect::<Result<_>>()?;
        let mut args = vec!["cold-start", "--address", site.bootstrap()];
        args.extend(kill.then_some("--kill"));
        args.push("--");
        args.extend(words);
        figures.take(name, run.subject, &run.bench.generate(&args)?, "first_ack_ms")?;
    }
    Ok(())
}
