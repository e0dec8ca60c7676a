//! What opening a log after a crash costs, from the page cache: `cargo bench -p ottla-storage
//! --bench recovery`.
//!
//! Every batch is summed and its header looked at; both indexes are made anew. `floor` reads the
//! same bytes in the same steps and sums them in one go: what no recovery can beat.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, DiskFile, Open, RealDisk};
use ottla_storage::log::{LogEnvironment, LogRole, OpenBudget, OpenLog, PartitionLog};
use ottla_storage::log_dir::LogDir;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::ProducerSettings;
use ottla_storage::producer_state::snapshots::Shutdown;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// One segment.
const SEGMENT_BYTES: usize = 256 << 20;
/// Bytes of a record's value; one record a batch.
const SIZES: [usize; 4] = [200, 4 << 10, 16 << 10, 1 << 20];
const READ_BYTES: usize = 512 << 10;

fn main() {
    divan::main();
}

fn filled(value_bytes: usize) -> (TempDir, PathBuf, Arc<dyn DiskFile>) {
    filled_by(BatchOptions::default(), value_bytes)
}

fn filled_by(options: BatchOptions, value_bytes: usize) -> (TempDir, PathBuf, Arc<dyn DiskFile>) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    RealDisk.create_dir_all(&dir).unwrap();
    let file = RealDisk.open(&dir.join("00000000000000000000.log"), Open::Create).unwrap();
    let mut builder = BatchBuilder::new(options).unwrap();
    let value = vec![7; value_bytes];
    builder
        .append(&NewRecord {
            timestamp: 1_700_000_000_000,
            value: Some(&value),
            ..Default::default()
        })
        .unwrap();
    let batch = builder.build().unwrap();
    let mut offset = 0_i64;
    let mut bytes = Vec::new();
    let mut position = 0;
    while position + bytes.len() + batch.len() <= SEGMENT_BYTES {
        let start = bytes.len();
        bytes.extend_from_slice(&batch);
        bytes[start..start + 8].copy_from_slice(&offset.to_be_bytes());
        offset += 1;
        if bytes.len() > 4 << 20 {
            file.write_all_at(&[IoSlice::new(&bytes)], position as u64).unwrap();
            position += bytes.len();
            bytes.clear();
        }
    }
    file.write_all_at(&[IoSlice::new(&bytes)], position as u64).unwrap();
    (root, dir, file)
}

fn opening(dir: &Path) -> OpenLog {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    OpenLog {
        environment: LogEnvironment {
            disk,
            log_dir: LogDir::new(dir.parent().unwrap()),
            open_segments: OpenBudget::new(2),
        },
        dir: dir.to_owned(),
        topic_partition: TopicPartition::new("t", 0),
        config: LogConfig::default(),
        role: LogRole::SoleReplica,
        producer_settings: ProducerSettings::default(),
        recovery_point: 0,
        log_start_offset: 0,
        after: Shutdown::Unclean,
        now_ms: 1_700_000_000_000,
    }
}

#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn recover(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let (_root, dir, file) = filled(value_bytes);
    let bytes = file.len().unwrap() as usize;
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| black_box(PartitionLog::open(opening(&dir)).unwrap()));
}

/// Every batch is of one idempotent producer.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn recover_idempotent(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let options = BatchOptions { producer_id: 7, producer_epoch: 0, ..BatchOptions::default() };
    let (_root, dir, file) = filled_by(options, value_bytes);
    let bytes = file.len().unwrap() as usize;
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| black_box(PartitionLog::open(opening(&dir)).unwrap()));
}

/// The last half of the segment is behind the recovery point, so that the first is checked before
/// anything is changed.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn recover_half_durable(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let (_root, dir, file) = filled(value_bytes);
    let bytes = file.len().unwrap() as usize;
    let end = PartitionLog::open(opening(&dir)).unwrap().offsets().log_end_offset;
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let open = OpenLog { recovery_point: end / 2, ..opening(&dir) };
        black_box(PartitionLog::open(open).unwrap())
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn floor(bencher: Bencher<'_, '_>) {
    let (_root, _dir, file) = filled(16 << 10);
    let bytes = file.len().unwrap() as usize;
    let mut buffer = vec![0; READ_BYTES];
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let mut sum = 0;
        for position in (0..bytes).step_by(READ_BYTES) {
            let n = READ_BYTES.min(bytes - position);
            file.read_exact_at(&mut buffer[..n], position as u64).unwrap();
            sum = crc32c::crc32c_append(sum, &buffer[..n]);
        }
        black_box(sum)
    });
}
