//! Ten thousand connections that say nothing, and ten thousand partitions that are written to.

use anyhow::Result;

use super::report::Figures;
use super::workload::{Place, Run, Workload};

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "idle-connections",
        // Of more that connect at once, some would ask again a second later.
        place: Place::Own("\nsocket.listen.backlog.size=1024\n"),
        floor: None,
        run: idle_connections,
    },
    Workload { name: "many-partitions", place: Place::Own(""), floor: None, run: many_partitions },
];

const CONNECTIONS: usize = 10_000;

fn idle_connections(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let connections = run.size(CONNECTIONS);
    if run.wants_warm_up() {
        let seconds = run.size(10);
        run.take(("idle", &["--connections", "100", "--seconds", &seconds]), &[], figures)?;
    }
    let rows = [
        ("10,000 idle connections: memory, KiB each", "kib_per_connection"),
        ("10,000 idle connections: opened and greeted, s", "open_s"),
        ("10,000 idle connections: opened and greeted, CPU us each", "open_cpu_us"),
        ("1,000 pings/s alone, p50 us", "alone_p50_us"),
        ("1,000 pings/s alone, p99 us", "alone_p99_us"),
        ("1,000 pings/s alone, CPU us/ping", "alone_cpu_us"),
        ("1,000 pings/s beside 10,000 idle connections, p50 us", "among_p50_us"),
        ("1,000 pings/s beside 10,000 idle connections, p99 us", "among_p99_us"),
        ("1,000 pings/s beside 10,000 idle connections, CPU us/ping", "among_cpu_us"),
    ];
    run.take(("idle", &["--connections", &connections]), &rows, figures)
}

const SPREAD_MIB: usize = 512;
const WARM_UP_MIB: usize = 2048;
/// Of each topic: a request may make 10,000 topics and partitions at most.
const PARTITIONS: &str = "100";

fn many_partitions(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if run.wants_warm_up() {
        let mib = run.size(WARM_UP_MIB);
        let args = ["--topic", "warm", "--partitions", "10", "--mib", &mib];
        run.take(("spread", &args), &[], figures)?;
        let args = [&args[..], &["--existing", "--batches", "10"]].concat();
        run.take(("spread", &args), &[], figures)?;
    }
    spread(run, "1 partition", &["--topic", "one"], false, figures)?;
    for (name, topic, topics) in
        [("1,000 partitions", "thousand", 10), ("10,000 partitions", "many", 100)]
    {
        let topics = run.size(topics);
        let args = ["--topic", topic, "--topics", &topics, "--partitions", PARTITIONS];
        spread(run, name, &args, true, figures)?;
        let args = [&args[..], &["--existing", "--batches", "10"]].concat();
        let [cpu, speed] = ["CPU us/batch", "batches/s"]
            .map(|unit| format!("{name}: produce 10 batches of 16 KiB a request, {unit}"));
        let rows = [(cpu.as_str(), "cpu_us_per_batch"), (speed.as_str(), "batches_per_s")];
        load(run, &args, &rows, figures)?;
    }
    Ok(())
}

/// A request for a partition, the next for the next one.
fn spread(
    run: &Run<'_>,
    name: &str,
    args: &[&str],
    has_many: bool,
    figures: &mut Figures,
) -> Result<()> {
    let [cpu, speed] =
        ["CPU us/request", "requests/s"].map(|unit| format!("{name}: produce 16 KiB, {unit}"));
    let first = format!("{name}: first two times 16 KiB to each, CPU us/request");
    let [made, loaded] =
        ["as made", "with records"].map(|state| format!("{name}: memory, {state}, KiB each"));
    let rows = [
        (cpu.as_str(), "cpu_us_per_request"),
        (speed.as_str(), "requests_per_s"),
        (first.as_str(), "first_cpu_us_per_request"),
        (made.as_str(), "kib_per_partition_made"),
        (loaded.as_str(), "kib_per_partition"),
    ];
    // What is told of each partition tells nothing of one.
    load(run, args, if has_many { &rows } else { &rows[..2] }, figures)
}

fn load(run: &Run<'_>, args: &[&str], rows: &[(&str, &str)], figures: &mut Figures) -> Result<()> {
    // And two batches of 16 KiB to each of 10,000 partitions before.
    run.warm_pages(SPREAD_MIB + 320)?;
    run.take(("spread", &[args, &["--mib", &run.size(SPREAD_MIB)]].concat()), rows, figures)
}
