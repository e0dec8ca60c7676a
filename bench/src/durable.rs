//! Appends that are acknowledged when they are on the disk: many producers, and the disk alone.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::latency::Latency;
use crate::load::{Meter, Target};
use crate::poller::Poller;
use crate::{process, wire};

/// Every message is flushed before it is acknowledged.
const FLUSH_EACH: [(&str, &str); 1] = [("flush.messages", "1")];

/// Produce with `flush.messages=1` and acks=all, one request in flight on each connection.
#[derive(Args)]
pub(crate) struct Durable {
    #[command(flatten)]
    target: Target,
    /// Producers, each with a connection of its own.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Partitions, over which the producers are spread.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Bytes of a record's value; a batch has one record.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// How long, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// A file on the disk whose syncs are to be counted, which other processes add to.
    #[arg(long)]
    data: PathBuf,
}

impl Durable {
    pub(crate) fn run(&self) -> io::Result<Value> {
        self.target.prepare_with(self.partitions, &FLUSH_EACH)?;
        let batch = wire::batch(1, self.record_bytes);
        let frame =
            |index: usize| wire::produce_all(&self.target.topic, self.partition(index), &batch);
        let mut frames: Vec<_> = (0..self.connections).map(frame).collect();
        let mut poller = Poller::connect(&self.target, self.connections)?;
        let mut sent = vec![Instant::now(); self.connections];
        let mut latency = Latency::new()?;
        let mut ready = Vec::new();
        let syncs = process::disk_flushes(&self.data)?;
        let meter = Meter::start(self.target.pid)?;
        for (index, frame) in frames.iter_mut().enumerate() {
            sent[index] = Instant::now();
            poller.ask(index, frame)?;
        }
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let (mut records, mut flying) = (0u64, self.connections);
        while flying > 0 {
            poller.wait(false, &mut ready)?;
            for &index in &ready {
                poller.hear(index, |answer| {
                    let now = Instant::now();
                    wire::produced(answer, &self.target.topic)?;
                    records += 1;
                    flying -= 1;
                    latency.record(sent[index], now, 1)
                })?;
                if poller.flying(index) == 0 && Instant::now() < end {
                    sent[index] = Instant::now();
                    poller.ask(index, &mut frames[index])?;
                    flying += 1;
                }
            }
        }
        let (wall, cpu) = meter.spent()?;
        let share = meter.generator_cpu_share()?;
        let synced = process::disk_flushes(&self.data)?.zip(syncs).map(|(now, then)| now - then);
        let mut figures = told(records, wall, &latency);
        figures["generator_cpu_share"] = json!(share);
        figures["cpu_us_per_record"] = json!(cpu * 1e6 / records as f64);
        figures["disk_flushes_per_record"] = json!(synced.map(|n| n as f64 / records as f64));
        Ok(figures)
    }

    fn partition(&self, index: usize) -> i32 {
        (index % self.partitions.unsigned_abs().max(1) as usize) as i32
    }
}

/// Append to a file and `fdatasync` it, again and again: what one producer can get of this disk.
#[derive(Args)]
pub(crate) struct FloorSync {
    /// The file, which is made anew and removed in the end.
    #[arg(long)]
    file: PathBuf,
    /// Bytes of an append.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// How long, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

impl FloorSync {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&self.file)?;
        let append = vec![1; self.bytes];
        let mut latency = Latency::new()?;
        let syncs = process::disk_flushes(&self.file)?;
        let begun = Instant::now();
        let mut records = 0;
        while begun.elapsed() < Duration::from_secs(self.seconds) {
            let at = Instant::now();
            file.write_all_at(&append, records * self.bytes as u64)?;
            file.sync_data()?;
            records += 1;
            latency.record(at, Instant::now(), 1)?;
        }
        let wall = begun.elapsed().as_secs_f64();
        let synced = process::disk_flushes(&self.file)?.zip(syncs).map(|(now, then)| now - then);
        std::fs::remove_file(&self.file)?;
        let mut figures = told(records, wall, &latency);
        figures["disk_flushes_per_record"] = json!(synced.map(|n| n as f64 / records as f64));
        Ok(figures)
    }
}

fn told(records: u64, wall: f64, latency: &Latency) -> Value {
    let mut figures = json!({ "records_per_s": records as f64 / wall });
    latency.tell("", &mut figures);
    figures
}
