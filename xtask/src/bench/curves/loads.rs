//! The load of a curve's point, and what is measured of it.
//!
//! A broker is new at each point. What it does once for each thing that it has many of, such as to
//! make a log's file, is done and over before it is measured.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::{Bench, Target, machine};

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1 << 20;

/// Seconds of a load at a fixed rate.
const SECONDS: usize = 3;
/// Of one with some hundred requests a second, of which few are the slowest hundredth.
const SECONDS_OF_FEW: usize = 10;
/// Longer than the five seconds after which a broker writes all high watermarks.
const SECONDS_OF_PARTITIONS: usize = 6;
/// How many times it is appended as fast as answers come.
const SLICES: usize = 2;
/// How long each takes, seconds, about: within two seconds the host may take freed pages back.
const SLICE_SECONDS: f64 = 1.6;
const SLICE_MIB_MAX: f64 = 3072.0;

/// One point of one load.
pub(super) struct Sample {
    /// Behind the broker's name: which load, when there are several.
    pub(super) load: &'static str,
    pub(super) cpu_s_per_gib: f64,
    pub(super) p99_ms: f64,
}

type Answer = BTreeMap<String, Value>;

/// A server that is measured.
pub(super) struct Stage<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) target: Target<'a>,
    /// What all topics are called, or begin with.
    pub(super) topic: &'static str,
}

impl Stage<'_> {
    /// Runs the generator. What was written before is on the disk by then.
    pub(super) fn load(&self, command: &str, args: &[&str]) -> Result<Answer> {
        nix::unistd::sync();
        let topic = ["--topic", self.topic];
        self.bench.load(&self.target.args(command, &[&topic[..], args].concat()))
    }

    fn seconds(&self, full: usize) -> String {
        self.bench.size(full).to_string()
    }

    /// Waits until the server has nothing to do any more; tells when it never has.
    fn settle(&self) -> Result<()> {
        machine::until_idle(self.target.pid.parse()?)
    }
}

/// The processor time of one answer and the latency of another.
fn sample(load: &'static str, cpu: &Answer, latency: &Answer) -> Result<Sample> {
    let cpu_s_per_gib = number(cpu, "cpu_s_per_gib")?;
    Ok(Sample { load, cpu_s_per_gib, p99_ms: number(latency, "p99_ms")? })
}

fn number(answer: &Answer, key: &str) -> Result<f64> {
    let value = answer.get(key).and_then(Value::as_f64);
    value.with_context(|| format!("no {key} in {answer:?}"))
}

/// Batches of so many bytes, first as fast as answers come and then at a fixed rate.
pub(super) fn batch(stage: &Stage<'_>, bytes: u64) -> Result<Vec<Sample>> {
    // What a batch of one record has around its value.
    let record_bytes = (bytes - 68).saturating_sub(if bytes < KIB { 0 } else { 4 }).to_string();
    let of = ["--record-bytes", &record_bytes, "--batch-records", "1"];
    let produce = |mib: usize| {
        stage.bench.warm_pages(mib as u64)?;
        stage.load("produce", &[&of[..], &["--mib", &mib.to_string()]].concat())
    };
    let first = produce(stage.bench.size((bytes * 20_000 / MIB).clamp(4, 256) as usize))?;
    let mib = (number(&first, "mib_per_s")? * SLICE_SECONDS).clamp(1.0, SLICE_MIB_MAX);
    let (mut cpu_s, mut gib) = (0.0, 0.0);
    for _ in 0..SLICES {
        let slice = produce(stage.bench.size(mib as usize))?;
        cpu_s += number(&slice, "cpu_s")?;
        gib += number(&slice, "gib")?;
    }
    ensure!(gib > 0.0, "nothing was appended");

    let rate = (100 * MIB / bytes).min(2000);
    let full = if rate < 1000 { SECONDS_OF_FEW } else { SECONDS };
    let (rate, seconds) = (rate.to_string(), stage.seconds(full));
    stage.bench.warm_pages(stage.bench.size(100 * full) as u64)?;
    let paced = [&of[..], &["--rate", &rate, "--seconds", &seconds]].concat();
    let p99_ms = number(&stage.load("paced", &paced)?, "p99_ms")?;
    Ok(vec![Sample { load: "", cpu_s_per_gib: cpu_s / gib, p99_ms }])
}

/// A fixed rate from so many connections in turn.
pub(super) fn connections(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let (count, seconds) = (count.to_string(), stage.seconds(SECONDS));
    let args = ["--connections", &count, "--seconds", &seconds];
    let answer = stage.load("connections", &args)?;
    Ok(vec![sample("", &answer, &answer)?])
}

/// A fixed rate to so many partitions in turn, all of which have files and indexes.
pub(super) fn partitions(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    // One cannot be in ten topics.
    let topics = count.min(10);
    let (each, topics) = ((count / topics).to_string(), topics.to_string());
    let args = ["--topics", &topics, "--partitions", &each];
    // Batches of more than `index.interval.bytes`: the first makes the log's file, and the second
    // its index.
    let fill = [&args[..], &["--batch-records", "8"]].concat();
    stage.load("fill", &fill)?;
    stage.load("fill", &[&fill[..], &["--existing"]].concat())?;
    nix::unistd::sync();
    stage.settle()?;
    let seconds = stage.seconds(SECONDS_OF_PARTITIONS);
    let args = [&args[..], &["--existing", "--seconds", &seconds]].concat();
    let answer = stage.load("connections", &args)?;
    Ok(vec![sample("", &answer, &answer)?])
}

/// Fetches from a partition of so many segments, and then a fixed rate to it.
pub(super) fn segments(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    // The command fills before it fetches: all but one are filled, and written, before.
    if count > 1 {
        let rest = (count - 1).to_string();
        stage.load("scattered", &["--segments", &rest, "--fetches", "1"])?;
        nix::unistd::sync();
        stage.settle()?;
    }
    let fetches = stage.bench.size(60_000).to_string();
    let fetched = stage.load("scattered", &["--segments", "1", "--fetches", &fetches])?;
    let seconds = stage.seconds(SECONDS);
    let paced = ["--batch-records", "1", "--rate", "2000", "--seconds", &seconds];
    let paced = stage.load("paced", &paced)?;
    Ok(vec![sample(", fetch", &fetched, &fetched)?, sample(", produce", &paced, &paced)?])
}

/// A fixed rate that so many read along.
pub(super) fn consumers(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let (count, seconds) = (count.to_string(), stage.seconds(SECONDS_OF_FEW));
    let answer = stage.load("fan-out", &["--consumers", &count, "--seconds", &seconds])?;
    Ok(vec![sample("", &answer, &answer)?])
}

/// The same two loads on a broker that has so many processors.
pub(super) fn processors(stage: &Stage<'_>, _count: u64) -> Result<Vec<Sample>> {
    let seconds = stage.seconds(SECONDS);
    // 80 MiB/s.
    let produced = ["--connections", "100", "--record-bytes", "16384", "--seconds", &seconds];
    stage.bench.warm_pages(stage.bench.size(80 * (SECONDS + 1)) as u64)?;
    let produced = stage.load("connections", &produced)?;
    let seconds = stage.seconds(SECONDS_OF_FEW);
    let read = ["--consumers", "50", "--seconds", &seconds];
    let read = stage.load("fan-out", &read)?;
    Ok(vec![
        sample(", 100 producers", &produced, &produced)?,
        sample(", 50 consumers", &read, &read)?,
    ])
}
