//! What deletion and compaction of other logs do to a load.
//!
//! Two backlogs are laid before anything is measured. Each segment of the first has its own time
//! of expiry, so that, once `retention.ms` is set, segments go all the time and not in one wave.
//! The second has keys and is not compacted before its policy is changed. That it all went on
//! during the measurement is checked on the disk.

use std::io::{self, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};

use crate::load::Target;
use crate::paced::Paced;
use crate::wire::{self, topics};
use crate::{compaction, partitions};

/// The least that Kafka 4 takes as `segment.bytes`.
const EXPIRING_SEGMENT_BYTES: u64 = 1 << 20;
/// How long after one segment the next expires: 100 segments a second.
const EXPIRY_GAP: Duration = Duration::from_millis(10);
/// Whatever expires is so old.
const AGE: Duration = Duration::from_secs(24 * 3600);
/// Where a batch has what its CRC covers, and its timestamps.
const SUMMED_FROM: usize = 21;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const KEYED_SEGMENT_BYTES: &str = "16777216";
/// Different keyed batches, which are sent again and again.
const KEYED_BATCHES: usize = 512;
const KEYED_RECORDS: i32 = 200;
const KEYED_RECORD_BYTES: usize = 256;
/// Requests on the way while a backlog is laid.
const IN_FLIGHT: usize = 5;

/// Produce at a fixed rate, alone and while logs are deleted and compacted.
///
/// The broker must look for work often: `log.retention.check.interval.ms=100` and
/// `log.cleaner.backoff.ms=100`, and delete files soon: `log.segment.delete.delay.ms=500`.
#[derive(Args)]
pub(crate) struct Maintenance {
    #[command(flatten)]
    target: Target,
    /// The broker's log directory.
    #[arg(long)]
    data: PathBuf,
    /// How long each of the two measurements is, seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u32,
    /// Topics to compact.
    #[arg(long, default_value_t = 32)]
    keyed_topics: u32,
    /// MiB of each.
    #[arg(long, default_value_t = 128)]
    keyed_mib: u64,
    /// Different keys of each.
    #[arg(long, default_value_t = 200_000)]
    keys: u64,
}

/// What is to be seen on the disk.
struct Seen {
    segments: usize,
    clean_topics: usize,
}

impl Maintenance {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let oldest_ms = self.lay_expiring()?;
        self.lay_keyed()?;
        // What was laid is not to be written back while something is measured.
        nix::unistd::sync();
        let without = self.paced("without")?;
        nix::unistd::sync();
        let before = self.look()?;
        let retention = now_ms()?.saturating_sub(oldest_ms).to_string();
        self.alter(&self.expiring(), &[("retention.ms", &retention)])?;
        let compact = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.001")];
        for number in 0..self.keyed_topics {
            self.alter(&self.keyed(number), &compact)?;
        }
        let with = self.paced("with")?;
        let after = self.look()?;
        let deleted = before.segments.saturating_sub(after.segments);
        let cleaned = after.clean_topics.saturating_sub(before.clean_topics);
        self.check(deleted, cleaned)?;
        let ratio = |key: &str| {
            let of = |figures: &Value| figures[key].as_f64().unwrap_or(f64::NAN);
            of(&with) / of(&without)
        };
        Ok(json!({
            "without_p50_ms": without["p50_ms"],
            "without_p99_ms": without["p99_ms"],
            "without_p999_ms": without["p999_ms"],
            "with_p50_ms": with["p50_ms"],
            "with_p99_ms": with["p99_ms"],
            "with_p999_ms": with["p999_ms"],
            "p99_ratio": ratio("p99_ms"),
            "deleted_segments": deleted,
            "cleaned_topics": cleaned,
            "with_cpu_s": with["cpu_s"],
            "without_cpu_s": without["cpu_s"],
        }))
    }

    fn expiring(&self) -> String {
        format!("{}-expiring", self.target.topic)
    }

    fn keyed(&self, number: u32) -> String {
        format!("{}-keyed-{number}", self.target.topic)
    }

    /// Half of what was to expire has to be gone: the checks, and the delay of the files, come
    /// later than the expiry. Compaction must have ended for one topic, and not for all: else it
    /// was over before the measurement was.
    fn check(&self, deleted: usize, cleaned: usize) -> io::Result<()> {
        let wanted = self.expiring_segments(self.seconds) / 2;
        if (deleted as u64) < wanted {
            let told = format!("only {deleted} segments were deleted, at least {wanted} should be");
            return Err(io::Error::other(told));
        }
        let topics = self.keyed_topics;
        if cleaned == 0 || cleaned >= topics as usize {
            let told = format!(
                "{cleaned} of {topics} topics were clean at the end: more than none and fewer than \
                 all should be"
            );
            return Err(io::Error::other(told));
        }
        Ok(())
    }

    fn paced(&self, of: &str) -> io::Result<Value> {
        let topic = format!("{}-{of}", self.target.topic);
        Paced::usual(self.target.with_topic(&topic), self.seconds).run()
    }

    fn expiring_segments(&self, seconds: u32) -> u64 {
        (f64::from(seconds) / EXPIRY_GAP.as_secs_f64()) as u64
    }

    /// Segments that expire one after the other; returns the timestamp of the first.
    fn lay_expiring(&self) -> io::Result<u64> {
        let target = self.target.with_topic(&self.expiring());
        let segment_bytes = EXPIRING_SEGMENT_BYTES.to_string();
        let oldest_ms = now_ms()? - AGE.as_millis() as u64;
        let configs = [("segment.bytes", segment_bytes.as_str()), ("retention.ms", "-1")];
        let batch = wire::batch(63, 1024);
        let a_segment = EXPIRING_SEGMENT_BYTES as usize / batch.len();
        let segment = |number: u64| {
            let stamp_ms = oldest_ms + number * EXPIRY_GAP.as_millis() as u64;
            std::iter::repeat_n(stamped(&batch, stamp_ms), a_segment)
        };
        // Those of the last seconds are never reached.
        lay(&target, &configs, (0..self.expiring_segments(self.seconds + 5)).flat_map(segment))?;
        Ok(oldest_ms)
    }

    fn lay_keyed(&self) -> io::Result<()> {
        let mut chance = 1;
        let batches: Vec<_> = (0..KEYED_BATCHES)
            .map(|_| {
                wire::batch_of(KEYED_RECORDS, KEYED_RECORD_BYTES, |_| {
                    Some(format!("key-{:012}", compaction::next(&mut chance) % self.keys))
                })
            })
            .collect();
        let configs = [("segment.bytes", KEYED_SEGMENT_BYTES), ("cleanup.policy", "delete")];
        for number in 0..self.keyed_topics {
            let target = self.target.with_topic(&self.keyed(number));
            let count = (self.keyed_mib << 20).div_ceil(batches[0].len() as u64);
            lay(&target, &configs, batches.iter().cycle().take(count as usize))?;
        }
        Ok(())
    }

    fn alter(&self, topic: &str, configs: &[(&str, &str)]) -> io::Result<()> {
        let mut answer = Vec::new();
        let alter = topics::alter_configs(topic, configs);
        wire::call(&mut self.target.connect()?, &alter, &mut answer)?;
        topics::altered(&answer)
    }

    fn look(&self) -> io::Result<Seen> {
        let segments = segments(&self.data.join(format!("{}-0", self.expiring())))?;
        // It is not there before the first cleaning.
        let text = std::fs::read_to_string(self.data.join(compaction::CHECKPOINT));
        let prefix = format!("{}-keyed-", self.target.topic);
        let clean = |line: &&str| line.starts_with(&prefix) && !line.ends_with(" 0");
        let clean_topics = text.unwrap_or_default().lines().filter(clean).count();
        Ok(Seen { segments, clean_topics })
    }
}

/// Makes a topic of one partition and sends it batches, several on the way.
fn lay(
    target: &Target,
    configs: &[(&str, &str)],
    batches: impl Iterator<Item = impl AsRef<[u8]>>,
) -> io::Result<()> {
    let mut stream = target.connect()?;
    create(&mut stream, &target.topic, configs)?;
    let mut answer = Vec::new();
    let mut take = |stream: &mut TcpStream| {
        wire::read_frame(stream, &mut answer)?;
        wire::produced(&answer, &target.topic).map(drop)
    };
    let mut flying = 0;
    for batch in batches {
        if flying == IN_FLIGHT {
            take(&mut stream)?;
            flying -= 1;
        }
        stream.write_all(&wire::produce(&target.topic, 0, batch.as_ref()).0)?;
        flying += 1;
    }
    (0..flying).try_for_each(|_| take(&mut stream))
}

/// Makes a topic of one partition, and waits until it is usable, with nothing in it.
fn create(stream: &mut TcpStream, topic: &str, configs: &[(&str, &str)]) -> io::Result<()> {
    let topics = [topic.to_owned()];
    let mut answer = Vec::new();
    wire::call(stream, &topics::create_topics(&topics, 1, configs), &mut answer)?;
    topics::created(&answer, 1)?;
    let usable = topics::list_offsets(&topics, 1);
    partitions::until(stream, &usable, &mut answer, |answer| {
        Ok(topics::listed_offsets(answer)? == 1)
    })
}

/// A batch with another timestamp.
fn stamped(batch: &[u8], timestamp_ms: u64) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[BASE_TIMESTAMP_AT..MAX_TIMESTAMP_AT].copy_from_slice(&timestamp_ms.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp_ms.to_be_bytes());
    let sum = crc32c::crc32c(&batch[SUMMED_FROM..]);
    batch[SUMMED_FROM - 4..SUMMED_FROM].copy_from_slice(&sum.to_be_bytes());
    batch
}

/// The segments of a partition that are not deleted.
fn segments(partition: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(partition)? {
        count += usize::from(entry?.path().extension().is_some_and(|kind| kind == "log"));
    }
    Ok(count)
}

fn now_ms() -> io::Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(now.as_millis() as u64)
}
