//! Ten thousand connections that say nothing, and ten thousand partitions that are written to.

use anyhow::Result;

use super::Subject;
use super::goal::{Bound, Goal, Row, row};
use super::machine;
use super::report::Figures;
use super::workload::{Floor, Place, Run, Workload};

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "idle-connections",
        // Of more that connect at once, some would ask again a second later.
        place: Place::Own("\nsocket.listen.backlog.size=1024\n"),
        floors: &[],
        kafka_rounds: 1,
        run: idle_connections,
    },
    Workload {
        name: "many-partitions",
        place: Place::Kept,
        floors: &[Floor::Produce, Floor::ProduceToHundreds(10), Floor::ProduceToHundreds(100)],
        kafka_rounds: 1,
        run: many_partitions,
    },
];

const CONNECTIONS: usize = 10_000;
const PING_ALONE: &str = "1,000 pings/s alone, p99 us";
const PING_AMONG: &str = "1,000 pings/s beside 10,000 idle connections, p99 us";
/// What is called unchanged.
const UNCHANGED: Goal = &[Bound::Most(1.1)];

fn idle_connections(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let connections = run.size(CONNECTIONS);
    if run.wants_warm_up() {
        let seconds = run.size(10);
        run.warm_up(("idle", &["--connections", "100", "--seconds", &seconds]))?;
    }
    let rows = [
        row("10,000 idle connections: memory, KiB each", "kib_per_connection")
            .to(&[Bound::Most(4.0)]),
        row("10,000 idle connections: opened and greeted, s", "open_s"),
        row("10,000 idle connections: opened and greeted, CPU us each", "open_cpu_us"),
        row("1,000 pings/s alone, p50 us", "alone_p50_us"),
        row(PING_ALONE, "alone_p99_us"),
        row("1,000 pings/s alone, CPU us/ping", "alone_cpu_us"),
        row("1,000 pings/s beside 10,000 idle connections, p50 us", "among_p50_us"),
        row(PING_AMONG, "among_p99_us"),
        row("1,000 pings/s beside 10,000 idle connections, CPU us/ping", "among_cpu_us"),
    ];
    // A JVM's heap grows and shrinks by more than they hold.
    let rows = if run.subject == Subject::Kafka { &rows[1..] } else { &rows };
    run.take(("idle", &["--connections", &connections]), rows, figures)?;
    let ratio = ("ping p99 beside 10,000 idle connections / alone", UNCHANGED);
    figures.add_ratio(ratio, run.subject, (PING_AMONG, PING_ALONE))
}

/// More than a broker takes in the seconds.
const SPREAD_MIB: usize = 4096;
const SPREAD_SECONDS: usize = 4;
const WARM_UP_MIB: usize = 2048;
/// Of each topic: a request may make 10,000 topics and partitions at most.
const PARTITIONS: &str = "100";

/// Of a partition.
const MEMORY: Goal = &[Bound::Most(12.0)];
/// Requests/s in shares of those of one partition.
const AS_ONE: Goal = &[Bound::Least(0.9)];

const ONE: &str = "1 partition";
/// With the hundreds of partitions, which are topics.
const MANY: [(&str, &str, usize); 2] =
    [("1,000 partitions", "thousand", 10), ("10,000 partitions", "many", 100)];

fn many_partitions(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if run.wants_warm_up() {
        let mib = run.size(WARM_UP_MIB);
        let args = ["--topic", "warm", "--partitions", "10", "--mib", &mib];
        run.warm_up(("spread", &args))?;
        run.warm_up(("spread", &[&args[..], &["--existing", "--batches", "10"]].concat()))?;
    }
    let hundreds = match run.floor {
        Some(Floor::ProduceToHundreds(hundreds)) => Some(hundreds),
        _ => None,
    };
    if hundreds.is_none() {
        let topic = ["--topic", "one"];
        run.warm_up(("spread", &[&topic[..], &["--mib", "1"]].concat()))?;
        requests(run, ONE, &topic, figures)?;
    }
    for (name, topic, topics) in MANY {
        if run.floor.is_some() && hundreds != Some(topics) {
            continue;
        }
        let topics = run.size(topics);
        let args = ["--topic", topic, "--topics", &topics, "--partitions", PARTITIONS];
        make(run, name, &args, figures)?;
        // Some work is done for new partitions after they can be used.
        machine::until_idle(run.pid()?)?;
        requests(run, name, &args, figures)?;
        let ratio = format!("{name} / {ONE}, requests/s");
        let rows = (per_s(name), per_s(ONE));
        figures.add_ratio((&ratio, AS_ONE), run.subject, (&rows.0, &rows.1))?;
        // The floor appends a request to one file.
        if run.floor.is_none() {
            batches(run, name, &args, figures)?;
        }
    }
    Ok(())
}

/// Makes partitions, and sends two batches to each.
fn make(run: &Run<'_>, name: &str, args: &[&str], figures: &mut Figures) -> Result<()> {
    let first = format!("{name}: first two times 16 KiB to each, CPU us/request");
    let [made, loaded] = ["as made", "with two batches in each"]
        .map(|state| format!("{name}: memory, {state}, KiB each"));
    let rows = [
        row(&first, "first_cpu_us_per_request"),
        row(&made, "kib_per_partition_made").to(MEMORY),
        row(&loaded, "kib_per_partition").to(MEMORY),
    ];
    // A JVM's heap and the floor's one buffer tell nothing of a partition.
    let rows = if run.subject == Subject::Ottla { &rows[..] } else { &rows[..1] };
    run.warm_pages(320)?;
    run.take(("spread", &[args, &["--mib", "1"]].concat()), rows, figures)
}

/// A request for a partition, the next for the next one.
fn requests(run: &Run<'_>, name: &str, args: &[&str], figures: &mut Figures) -> Result<()> {
    let cpu = format!("{name}: produce 16 KiB, CPU us/request");
    let speed = per_s(name);
    let rows = [row(&cpu, "cpu_us_per_request"), row(&speed, "requests_per_s")];
    load(run, args, &rows, figures)
}

/// A request for ten partitions, the next for the next ten.
fn batches(run: &Run<'_>, name: &str, args: &[&str], figures: &mut Figures) -> Result<()> {
    let [cpu, speed] = ["CPU us/batch", "batches/s"]
        .map(|unit| format!("{name}: produce 10 batches of 16 KiB a request, {unit}"));
    let rows = [row(&cpu, "cpu_us_per_batch"), row(&speed, "batches_per_s")];
    load(run, &[args, &["--batches", "10"]].concat(), &rows, figures)
}

fn per_s(name: &str) -> String {
    format!("{name}: produce 16 KiB, requests/s")
}

/// To topics that are there.
fn load(run: &Run<'_>, args: &[&str], rows: &[Row<'_>], figures: &mut Figures) -> Result<()> {
    // Some 600 MiB/s are taken.
    run.warm_pages(2560 + 320)?;
    let (mib, seconds) = (run.size(SPREAD_MIB), run.size(SPREAD_SECONDS));
    let args = [args, &["--existing", "--mib", &mib, "--seconds", &seconds]].concat();
    run.take(("spread", &args), rows, figures)
}
