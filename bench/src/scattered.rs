//! A topic of many small segments, and fetches from chance places of it.

use std::io;
use std::time::Instant;

use clap::Args;
use serde_json::Value;

use crate::compaction;
use crate::latency::Latency;
use crate::load::{Meter, Target};
use crate::wire;

/// The least that Kafka 4 takes as `segment.bytes`.
const SEGMENT_BYTES: usize = 1 << 20;
/// Records in a batch of the topic, of 1 KiB each: about 16 KiB.
const BATCH_RECORDS: i32 = 16;

/// Fill a topic of many segments and fetch from chance places of it, one fetch at a time.
#[derive(Args)]
pub(crate) struct Scattered {
    #[command(flatten)]
    target: Target,
    /// Segments of 1 MiB.
    #[arg(long, default_value_t = 100)]
    segments: usize,
    /// Fetches.
    #[arg(long, default_value_t = 20_000)]
    fetches: u64,
    /// The most bytes an answer may carry.
    #[arg(long, default_value_t = 64 << 10)]
    fetch_bytes: i32,
}

impl Scattered {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let end = self.fill()?;
        let mut stream = self.target.connect()?;
        let (mut frame, offset_at) = wire::fetch(&self.target.topic, 0, self.fetch_bytes);
        let mut latency = Latency::new()?;
        let (mut chance, mut bytes, mut answer) = (1, 0, Vec::new());
        let meter = Meter::start(self.target.pid)?;
        for number in 0..self.fetches {
            let offset = compaction::next(&mut chance) % end;
            frame.number(number as i32);
            frame.0[offset_at..offset_at + 8].copy_from_slice(&offset.to_be_bytes());
            let begun = Instant::now();
            wire::call(&mut stream, &frame, &mut answer)?;
            latency.record(begun, Instant::now(), 1)?;
            let set = wire::fetched(&answer, &self.target.topic)?;
            wire::check_set(set, offset.cast_signed())?;
            bytes += set.len() as u64;
        }
        let mut figures = meter.stop(bytes, self.fetches, self.fetches)?;
        latency.tell("", &mut figures);
        Ok(figures)
    }

    /// Makes the topic and fills all segments, the last one too; returns the end offset.
    fn fill(&self) -> io::Result<u64> {
        let segment_bytes = SEGMENT_BYTES.to_string();
        self.target.prepare_with(1, &[("segment.bytes", &segment_bytes)])?;
        let batch = wire::batch(BATCH_RECORDS, 1024);
        let frame = wire::produce(&self.target.topic, 0, &batch);
        let mut stream = self.target.connect()?;
        let (mut answer, mut end) = (Vec::new(), 0);
        for _ in 0..self.segments * (SEGMENT_BYTES / batch.len()) {
            wire::call(&mut stream, &frame, &mut answer)?;
            let base = wire::produced(&answer, &self.target.topic)?;
            end = base.unsigned_abs() + u64::from(BATCH_RECORDS.unsigned_abs());
        }
        Ok(end)
    }
}
