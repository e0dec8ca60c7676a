//! Records with keys, and the time in which a broker compacts them.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::wire;
use crate::wire::topics;

/// Where a log directory says how far its logs are clean.
pub(crate) const CHECKPOINT: &str = "cleaner-offset-checkpoint";
const TIME_MAX: Duration = Duration::from_secs(600);

/// Produce records with keys, then have them compacted.
///
/// The broker must look for work often: `log.cleaner.backoff.ms=100`.
#[derive(Args)]
pub(crate) struct Compaction {
    #[command(flatten)]
    target: Target,
    /// The broker's log directory.
    #[arg(long)]
    data: PathBuf,
    /// MiB to compact.
    #[arg(long, default_value_t = 512)]
    mib: u64,
    /// Different keys.
    #[arg(long, default_value_t = 200_000)]
    keys: u64,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 256)]
    record_bytes: usize,
}

impl Compaction {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let segments = [("segment.bytes", "67108864"), ("cleanup.policy", "delete")];
        self.target.prepare_with(1, &segments)?;
        let mut stream = self.target.connect()?;
        let mut answer = Vec::new();
        let (mut chance, mut bytes, mut end) = (1, 0, 0);
        while bytes < self.mib << 20 {
            let records = 200;
            let batch = wire::batch_of(records, self.record_bytes, |_| {
                Some(format!("key-{:012}", next(&mut chance) % self.keys))
            });
            bytes += batch.len() as u64;
            let frame = wire::produce(&self.target.topic, 0, &batch);
            wire::call(&mut stream, &frame, &mut answer)?;
            end = wire::produced(&answer, &self.target.topic)? + i64::from(records);
        }
        // The active segment is never compacted: the last record, which comes late, gets it to
        // itself.
        let mut alter = |stream: &mut _, configs: &[_]| {
            let alter = topics::alter_configs(&self.target.topic, configs);
            wire::call(stream, &alter, &mut answer)?;
            topics::altered(&answer)
        };
        alter(&mut stream, &[("segment.ms", "1000")])?;
        std::thread::sleep(Duration::from_millis(1500));
        let last = wire::batch_of(1, 1, |_| Some("last".to_owned()));
        let last = wire::produce(&self.target.topic, 0, &last);
        let mut answer = Vec::new();
        wire::call(&mut stream, &last, &mut answer)?;
        wire::produced(&answer, &self.target.topic)?;
        let compact = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.001")];
        let meter = Meter::start(self.target.pid)?;
        alter(&mut stream, &compact)?;
        self.wait(end)?;
        let (wall, cpu) = meter.spent()?;
        let mib = bytes as f64 / f64::from(1 << 20);
        Ok(json!({
            "mib": mib,
            "wall_s": wall,
            "mib_per_s": mib / wall,
            "cpu_s": cpu,
            "cpu_s_per_gib": cpu * 1024.0 / mib,
        }))
    }

    /// Until the log is clean up to this offset.
    fn wait(&self, offset: i64) -> io::Result<()> {
        let begun = Instant::now();
        let line = format!("{} 0 ", self.target.topic);
        while begun.elapsed() < TIME_MAX {
            // It is not there before the first cleaning, and replaced by each.
            let text = std::fs::read_to_string(self.data.join(CHECKPOINT)).unwrap_or_default();
            let clean = text.lines().find_map(|entry| entry.strip_prefix(&line));
            if clean.and_then(|clean| clean.parse::<i64>().ok()).is_some_and(|to| to >= offset) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(io::Error::other(format!("not clean up to offset {offset} in ten minutes")))
    }
}

/// A step of xorshift: the same keys in every run.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
