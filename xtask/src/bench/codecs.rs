//! Compressed batches: taken as they come, given out, and put into a topic of another codec.
//!
//! Both brokers unpack a compressed batch to look at its records, since a producer may have them
//! wrong; what a fetch gives out is as it lies in the log. A topic that has a `compression.type` of
//! its own has its records packed anew.

use anyhow::Result;

use super::Subject;
use super::goal::{Bound, Goal, row};
use super::report::Figures;
use super::workload::{EVERY, Place, Run, Workload};

/// These.
pub(super) const WORKLOADS: &[Workload] =
    &[shared("codecs", codecs), shared("recompress", recompress)];

const fn shared(name: &'static str, run: fn(&Run<'_>, &mut Figures) -> Result<()>) -> Workload {
    Workload { name, place: Place::Shared, floors: &[], kafka_rounds: EVERY, run }
}

/// Of what has to be unpacked.
const UNPACKED: Goal = &[Bound::MostOf(0.6, Subject::Kafka)];
/// A fetch gives out what lies in the log: as dear as uncompressed, a GiB on the wire.
const AS_PLAIN: Goal = &[Bound::Most(1.1)];

/// What a JVM is warmed up by, for each way through it.
const WARM_UP_MIB: usize = 256;
const PLAIN_MIB: usize = 512;
/// Unpacked it is twice as much.
const PACKED_MIB: usize = 256;
const REPACKED_MIB: usize = 128;
const FETCHED_MIB: usize = 1024;

/// Each codec into a topic of `compression.type=producer`. What is told beside uncompressed batches
/// has goals where the records stay packed; to unpack them is more work than to take them.
fn codecs(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let produced = |codec: &str| format!("produce {codec} batches of 64 KiB, {PRODUCE_CPU}");
    let fetched = |codec: &str| format!("fetch {codec} batches of 64 KiB, CPU s/GiB on the wire");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("codec-{codec}");
        let (mib, goal) =
            if codec == "none" { (PLAIN_MIB, &[][..]) } else { (PACKED_MIB, UNPACKED) };
        let batches = format!("{codec} batches of 64 KiB");
        produce(run, (mib, goal), (codec, "producer"), &topic, &batches, figures)?;
        let args = ["--topic", &topic, "--mib", &run.size(FETCHED_MIB)];
        run.take(("fetch", &args), &[row(&fetched(codec), "cpu_s_per_gib")], figures)?;
        if codec == "none" {
            continue;
        }
        for (what, goal, of) in [
            ("produce", &[][..], &produced as &dyn Fn(&str) -> String),
            ("fetch", AS_PLAIN, &fetched),
        ] {
            let name = format!("{what} {codec} batches / uncompressed, CPU a GiB on the wire");
            figures.add_ratio((&name, goal), run.subject, (&of(codec), &of("none")))?;
        }
    }
    Ok(())
}

/// Batches of one codec into a topic of another one.
fn recompress(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let ways = [("zstd", "lz4"), ("lz4", "zstd"), ("gzip", "uncompressed"), ("none", "lz4")];
    for (codec, into) in ways {
        let topic = format!("{codec}-into-{into}");
        let batches = format!("{codec} batches of 64 KiB into a topic of {into}");
        produce(run, (REPACKED_MIB, UNPACKED), (codec, into), &topic, &batches, figures)?;
    }
    Ok(())
}

fn produce(
    run: &Run<'_>,
    (mib, goal): (usize, Goal),
    (codec, into): (&str, &str),
    topic: &str,
    batches: &str,
    figures: &mut Figures,
) -> Result<()> {
    let setting = format!("compression.type={into}");
    let packing = ["--codec", codec, "--topic-config", &setting];
    if run.wants_warm_up() {
        let (topic, mib) = (format!("warm-{topic}"), run.size(WARM_UP_MIB));
        let args = [&["--topic", &topic, "--mib", &mib][..], &packing].concat();
        run.warm_up(("produce", &args))?;
    }
    // What is stored may be twice what is sent.
    run.warm_pages(2 * mib)?;
    let mib = run.size(mib);
    let args = [&["--topic", topic, "--mib", &mib][..], &packing].concat();
    let [cpu, speed] =
        [PRODUCE_CPU, "MiB/s on the wire"].map(|unit| format!("produce {batches}, {unit}"));
    let rows = [row(&cpu, "cpu_s_per_gib").to(goal), row(&speed, "mib_per_s")];
    run.take(("produce", &args), &rows, figures)
}

const PRODUCE_CPU: &str = "CPU s/GiB on the wire";
