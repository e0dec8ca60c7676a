//! What an append, a read and a look into the indexes cost: `cargo bench -p ottla-storage --bench
//! partition_log`. Everything is in the page cache.
//!
//! - Appends of one batch: of one record of 100 bytes, and of 16 KiB and 64 KiB of such. Both
//!   indexes get an entry for every `index.interval.bytes`; `append_indexed` has one for each batch
//!   and `append_unindexed` none, so that their difference is an entry in each.
//! - Reads of 64 KiB, which find the bytes but do not read them: at the end and in the middle of 64
//!   segments. With an entry for each batch a read is the look into the index and one header;
//!   what is more with the usual interval is the headers up to 4 KiB further on.
//! - A look for a time, which the time index answers to within its interval.
//!
//! Allocations are counted, with their bytes.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::RealDisk;
use ottla_storage::log::{
    AppendAsLeader, Isolation, LogEnvironment, LogRole, OpenBudget, OpenLog, PartitionLog, Read,
    TimestampQuery,
};
use ottla_storage::log_dir::LogDir;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::validate::Validated;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW_MS: i64 = 1_700_000_000_000;
/// The first has room for one record only.
const SIZES: [usize; 3] = [200, 16 << 10, 64 << 10];
const SEGMENTS: usize = 64;
const SEGMENT_BYTES: u32 = 1 << 20;
/// `index.interval.bytes`: an entry for each batch, and the default.
const INTERVALS: [u32; 2] = [0, 4096];

fn main() {
    divan::main();
}

/// One batch of about `size` bytes, its first record of this time.
fn batch_at(size: usize, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let value = [7; 100];
    while builder.size_bytes() + value.len() < size || builder.records_count() == 0 {
        let record = NewRecord { timestamp, value: Some(&value), ..Default::default() };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

fn batch(size: usize) -> Vec<u8> {
    batch_at(size, NOW_MS)
}

fn new_log(config: LogConfig) -> (TempDir, Arc<PartitionLog>) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    std::fs::create_dir(&dir).unwrap();
    let log = PartitionLog::open(OpenLog {
        environment: LogEnvironment {
            disk: Arc::new(RealDisk),
            log_dir: LogDir::new(root.path()),
            open_segments: OpenBudget::new(1000),
        },
        dir,
        topic_partition: TopicPartition::new("t", 0),
        config,
        role: LogRole::SoleReplica,
        producer_settings: ProducerSettings::default(),
        recovery_point: 0,
        log_start_offset: 0,
        after: Shutdown::Unclean,
        now_ms: NOW_MS,
    });
    (root, log.unwrap())
}

const HOW: AppendAsLeader = AppendAsLeader {
    leader_epoch: 0,
    now_ms: NOW_MS,
    origin: Origin::Client,
    guard: VerificationGuard::NONE,
};

fn with_interval(index_interval_bytes: u32) -> LogConfig {
    LogConfig { index_interval_bytes, ..LogConfig::default() }
}

fn begin_anew_when_large(log: &PartitionLog) {
    if log.size_bytes() > 512 << 20 {
        log.truncate_fully_and_start_at(log.offsets().log_end_offset, NOW_MS).unwrap();
        log.remove_due_files(i64::MAX);
    }
}

fn append_to(bencher: Bencher<'_, '_>, config: LogConfig, size: usize) {
    let (_root, log) = new_log(config);
    let bytes = batch(size);
    let batch = Validated::from_built(&bytes[..]).unwrap();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        begin_anew_when_large(&log);
        log.append_as_leader(&batch, HOW).unwrap()
    });
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append(bencher: Bencher<'_, '_>, size: usize) {
    append_to(bencher, LogConfig::default(), size);
}

/// One record and an entry in the offset index; its time is that of the last entry in the time
/// index, which gets none.
#[divan::bench(max_time = 1)]
fn append_indexed(bencher: Bencher<'_, '_>) {
    append_to(bencher, with_interval(0), SIZES[0]);
}

#[divan::bench(max_time = 1)]
fn append_unindexed(bencher: Bencher<'_, '_>) {
    append_to(bencher, with_interval(i32::MAX as u32), SIZES[0]);
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_idempotent(bencher: Bencher<'_, '_>, size: usize) {
    let (_root, log) = new_log(LogConfig::default());
    let mut bytes = batch(size);
    let count = Validated::from_built(&bytes[..]).unwrap().last_offset_delta() + 1;
    // The producer's fields are patched without a new CRC, which the log does not look at.
    bytes[43..51].copy_from_slice(&9i64.to_be_bytes());
    bytes[51..53].copy_from_slice(&0i16.to_be_bytes());
    let mut sequence = 0;
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        begin_anew_when_large(&log);
        bytes[53..57].copy_from_slice(&i32::to_be_bytes(sequence));
        sequence += count;
        log.append_as_leader(&Validated::from_built(&bytes[..]).unwrap(), HOW).unwrap()
    });
}

/// 64 segments of small batches, one ms apart.
fn filled(index_interval_bytes: u32) -> (TempDir, Arc<PartitionLog>) {
    let config = LogConfig { segment_bytes: SEGMENT_BYTES, ..with_interval(index_interval_bytes) };
    let (root, log) = new_log(config);
    let mut timestamp = NOW_MS;
    while log.segments_count() < SEGMENTS {
        let bytes = batch_at(1 << 10, timestamp);
        log.append_as_leader(&Validated::from_built(&bytes[..]).unwrap(), HOW).unwrap();
        timestamp += 1;
    }
    (root, log)
}

fn read(log: &PartitionLog, start_offset: i64) {
    let read = Read {
        start_offset,
        bytes_max: 64 << 10,
        isolation: Isolation::HighWatermark,
        min_one_batch: true,
    };
    black_box(log.read(read).unwrap());
}

/// Nothing is there yet.
#[divan::bench(max_time = 1)]
fn read_at_the_end(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled(4096);
    let offset = log.offsets().log_end_offset;
    bencher.bench_local(|| read(&log, offset));
}

/// What a consumer reads that is woken by an append.
#[divan::bench(max_time = 1)]
fn read_last_append(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled(4096);
    let count = Validated::from_built(batch(1 << 10)).unwrap().last_offset_delta() + 1;
    let offset = log.offsets().log_end_offset - i64::from(count);
    bencher.bench_local(|| read(&log, offset));
}

#[divan::bench(args = INTERVALS, max_time = 1)]
fn read_near_the_end(bencher: Bencher<'_, '_>, index_interval_bytes: u32) {
    let (_root, log) = filled(index_interval_bytes);
    let offset = log.offsets().log_end_offset - 20;
    bencher.bench_local(|| read(&log, offset));
}

/// In the middle of the 32nd of 64 segments.
#[divan::bench(args = INTERVALS, max_time = 1)]
fn read_in_the_middle(bencher: Bencher<'_, '_>, index_interval_bytes: u32) {
    let (_root, log) = filled(index_interval_bytes);
    let offset = log.offsets().log_end_offset / 2;
    bencher.bench_local(|| read(&log, offset));
}

#[divan::bench(args = INTERVALS, max_time = 1)]
fn read_anywhere(bencher: Bencher<'_, '_>, index_interval_bytes: u32) {
    let (_root, log) = filled(index_interval_bytes);
    let end = log.offsets().log_end_offset;
    let mut offset = 0;
    bencher.bench_local(|| {
        // A step that is prime to all that matters visits every part of the log.
        offset = (offset + 7_368_787) % end;
        read(&log, offset);
    });
}

#[divan::bench(args = INTERVALS, max_time = 1)]
fn find_timestamp(bencher: Bencher<'_, '_>, index_interval_bytes: u32) {
    let (_root, log) = filled(index_interval_bytes);
    let batches = (i64::from(SEGMENT_BYTES) * SEGMENTS as i64) >> 10;
    let mut ms = 0;
    bencher.bench_local(|| {
        ms = (ms + 7_919) % batches;
        black_box(log.offset_for_timestamp(TimestampQuery::At(NOW_MS + ms)).unwrap());
    });
}
