//! Compressed batches: taken as they come, given out, and put into a topic of another codec.
//!
//! Both brokers unpack a compressed batch to look at its records, since a producer may have them
//! wrong; what a fetch gives out is as it lies in the log. A topic that has a `compression.type` of
//! its own has its records packed anew.

use anyhow::Result;

use super::report::Figures;
use super::workload::{Place, Run, Workload};

/// These.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload { name: "codecs", place: Place::Shared, floor: None, run: codecs },
    Workload { name: "recompress", place: Place::Own(""), floor: None, run: recompress },
];

/// What a JVM is warmed up by, for each way through it.
const WARM_UP_MIB: usize = 256;
const PLAIN_MIB: usize = 512;
/// Unpacked it is twice as much.
const PACKED_MIB: usize = 256;
const REPACKED_MIB: usize = 128;
const FETCHED_MIB: usize = 2048;

/// Each codec into a topic of `compression.type=producer`.
fn codecs(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("codec-{codec}");
        let mib = if codec == "none" { PLAIN_MIB } else { PACKED_MIB };
        let batches = format!("{codec} batches of 64 KiB");
        produce(run, mib, (codec, "producer"), &topic, &batches, figures)?;
        let fetched = run.size(FETCHED_MIB);
        let row = format!("fetch {batches}, CPU s/GiB on the wire");
        let args = ["--topic", &topic, "--mib", &fetched];
        run.take(("fetch", &args), &[(&row, "cpu_s_per_gib")], figures)?;
    }
    Ok(())
}

/// Batches of one codec into a topic of another one.
fn recompress(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    let ways = [("zstd", "lz4"), ("lz4", "zstd"), ("gzip", "uncompressed"), ("none", "lz4")];
    for (codec, into) in ways {
        let topic = format!("{codec}-into-{into}");
        let batches = format!("{codec} batches of 64 KiB into a topic of {into}");
        produce(run, REPACKED_MIB, (codec, into), &topic, &batches, figures)?;
    }
    Ok(())
}

fn produce(
    run: &Run<'_>,
    mib: usize,
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
        run.take(("produce", &args), &[], figures)?;
    }
    // What is stored may be twice what is sent.
    run.warm_pages(2 * mib)?;
    let mib = run.size(mib);
    let args = [&["--topic", topic, "--mib", &mib][..], &packing].concat();
    let [cpu, speed] = ["CPU s/GiB on the wire", "MiB/s on the wire"]
        .map(|unit| format!("produce {batches}, {unit}"));
    run.take(("produce", &args), &[(&cpu, "cpu_s_per_gib"), (&speed, "mib_per_s")], figures)
}
