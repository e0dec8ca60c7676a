//! The same for every client: so many records, and what the process took for them.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::json;

use crate::{Consume, Produce};

/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 100;

/// How long a consumer may have nothing to hand over.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many records there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) measured: u64,
    /// Those before.
    pub(crate) warm_up: u64,
}

/// What a producer is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    /// Of one batch, at most.
    pub(crate) bytes: usize,
    /// Of all records that wait.
    pub(crate) memory_bytes: usize,
}

/// Sends the records, with their numbers in them.
pub(crate) fn produce(producer: &mut impl Produce, counts: Counts) -> Result<()> {
    let mut value = [b'x'; VALUE_BYTES];
    let mut send = |from: u64, to: u64| {
        for number in from..to {
            value[..8].copy_from_slice(&number.to_be_bytes());
            producer.send(&value)?;
        }
        producer.flush()
    };
    send(0, counts.warm_up)?;
    let start = Start::now()?;
    send(counts.warm_up, counts.warm_up + counts.measured)?;
    start.tell(counts.measured)
}

/// Reads the records, whose numbers have to follow one another.
pub(crate) fn consume(consumer: &mut impl Consume, counts: Counts) -> Result<()> {
    let end = counts.warm_up + counts.measured;
    let (mut next, mut is_in_order) = (0u64, true);
    let (mut start, mut since) = (None, Instant::now());
    while next < end {
        let before = next;
        consumer.next(&mut |value| {
            if next == counts.warm_up {
                start = Some(Start::now());
            }
            is_in_order &= value.len() == VALUE_BYTES && value.starts_with(&next.to_be_bytes());
            next += 1;
            next < end
        })?;
        ensure!(is_in_order, "a record before {next} is not as it was sent");
        if next > before {
            since = Instant::now();
        }
        ensure!(since.elapsed() < PATIENCE, "nothing comes after {next} records");
    }
    start.context("there is a first record")??.tell(counts.measured)
}

/// When what is measured began.
struct Start {
    at: Instant,
    cpu_s: f64,
}

impl Start {
    fn now() -> Result<Self> {
        println!("go");
        Ok(Self { at: Instant::now(), cpu_s: cpu_s()? })
    }

    fn tell(&self, records: u64) -> Result<()> {
        let seconds = self.at.elapsed().as_secs_f64();
        let cpu_s = cpu_s()? - self.cpu_s;
        let told = json!({
            "records_per_s": records as f64 / seconds,
            "records_per_cpu_s": records as f64 / cpu_s,
            "peak_mib": peak_mib()?,
        });
        println!("{told}");
        Ok(())
    }
}

/// Of all threads since the process's start, in user and in kernel mode.
fn cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The most memory that was ever resident.
fn peak_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).context("no VmHWM line")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
