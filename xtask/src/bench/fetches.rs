//! Reading from the page cache, a MiB an answer, in a fetch session and without one.
//!
//! Where `socket.send.buffer.bytes` is not set, Kafka takes its default of 102,400, and Ottla
//! leaves the size to the kernel, as Kafka does where the setting is -1. Both brokers are measured
//! as they come, and with -1.

use anyhow::Result;

use super::goal::{Bound, Goal, row};
use super::report::Figures;
use super::workload::{EVERY, Floor, Place, Run, Workload};
use super::{Subject, records};

const FLOORS: &[Floor] = &[Floor::Fetch, Floor::FetchAligned];

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "fetch",
        place: Place::Shared,
        floors: FLOORS,
        kafka_rounds: EVERY,
        run: |run, figures| fetch(run, AS_THEY_COME, figures),
    },
    Workload {
        name: "fetch-buffer",
        place: Place::Own("\nsocket.send.buffer.bytes=-1\n"),
        floors: FLOORS,
        kafka_rounds: EVERY,
        run: fetch_buffer,
    },
];

const AS_THEY_COME: &str = "send buffers: Ottla's automatic, Kafka's of 100 KiB";
const AUTOMATIC: &str = "both socket.send.buffer.bytes=-1";

const GOAL: Goal = &[Bound::MostOf(1.3, Subject::Floor), Bound::MostOf(0.5, Subject::Kafka)];

fn fetch_buffer(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    if run.wants_warm_up() {
        let mib = run.size(1024);
        run.warm_up(("produce", &["--topic", "warm-up", "--mib", &mib]))?;
        records::warm_up_fetch(run)?;
    }
    fetch(run, AUTOMATIC, figures)
}

/// Of a topic that it fills itself.
fn fetch(run: &Run<'_>, buffers: &str, figures: &mut Figures) -> Result<()> {
    if !run.target.floor {
        run.warm_up(("produce", &["--topic", "fetched", "--mib", &run.size(1024)]))?;
    }
    let mib = run.size(8192);
    let args = ["--topic", "fetched", "--mib", &mib];
    for (session, more) in [("", &[][..]), (" in a session", &["--sessions"][..])] {
        let name = format!("fetch{session} from the page cache ({buffers})");
        let [cpu, speed] = ["CPU s/GiB", "MiB/s"].map(|unit| format!("{name}, {unit}"));
        // Whole pages only the floor can be asked for. Ottla's figures are the same beside both.
        let aligned = format!("{name}, beside a floor that sends whole pages, CPU s/GiB");
        let rows = [
            row(&cpu, "cpu_s_per_gib").to(GOAL),
            row(&speed, "mib_per_s"),
            row(&aligned, "cpu_s_per_gib"),
        ];
        let rows = match run.floor {
            Some(Floor::FetchAligned) => &rows[2..],
            Some(_) => &rows[..2],
            None => &rows,
        };
        run.take(("fetch", &[&args, more].concat()), rows, figures)?;
    }
    Ok(())
}
