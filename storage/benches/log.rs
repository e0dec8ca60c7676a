//! What the log's choices cost: `cargo bench -p ottla-storage`.
//!
//! - Appending by `pwrite` against storing into a map. The map is written in 32-bit words, all that
//!   the seam under the log offers; `map_touched` writes pages that are in the map already and so
//!   shows what the words cost, and the rest of `map_fresh` is page faults.
//! - Sending by `sendfile` against reading into a buffer and writing that.
//! - The log itself: appends, and reads at the end, at random, and by time.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::io::{IoSlice, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, DiskFile, Open, RealDisk};
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

/// Appended to one file before it is begun anew.
const FILE_BYTES: usize = 64 << 20;
/// Batches do not end at page borders.
const SIZES: [usize; 3] = [(4 << 10) + 52, (16 << 10) + 52, (64 << 10) + 52];
const NOW_MS: i64 = 1_700_000_000_000;

fn main() {
    divan::main();
}

/// A file that is cut and begun anew when it is full, outside of what is measured.
struct Fresh {
    _root: TempDir,
    file: Arc<dyn DiskFile>,
    position: usize,
}

impl Fresh {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&root.path().join("f"), Open::Create).unwrap();
        Self { _root: root, file, position: 0 }
    }

    fn next(&mut self, bytes: usize) -> usize {
        if self.position + bytes > FILE_BYTES {
            self.file.set_len(0).unwrap();
            self.position = 0;
        }
        self.position += bytes;
        self.position - bytes
    }
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_pwrite(bencher: Bencher<'_, '_>, size: usize) {
    let mut fresh = Fresh::new();
    let bytes = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let position = fresh.next(size);
        let slices = [IoSlice::new(&bytes[..61]), IoSlice::new(&bytes[61..])];
        fresh.file.write_all_at(&slices, position as u64).unwrap();
    });
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_map_fresh(bencher: Bencher<'_, '_>, size: usize) {
    let mut fresh = Fresh::new();
    fresh.file.set_len(FILE_BYTES as u64).unwrap();
    let mut map = fresh.file.map(FILE_BYTES).unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        if fresh.position + size > FILE_BYTES {
            fresh.position = FILE_BYTES;
            fresh.next(size);
            fresh.file.set_len(FILE_BYTES as u64).unwrap();
            map = fresh.file.map(FILE_BYTES).unwrap();
        }
        let position = fresh.next(size);
        for word in (position..position + size).step_by(4) {
            map.store_u32(word, 7);
        }
    });
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_map_touched(bencher: Bencher<'_, '_>, size: usize) {
    let fresh = Fresh::new();
    fresh.file.set_len(size as u64).unwrap();
    let map = fresh.file.map(size).unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        for word in (0..size).step_by(4) {
            map.store_u32(word, 7);
        }
    });
}

/// A socket whose other end is read by a thread, and a file in the page cache.
fn sending(size: usize) -> (TempDir, File, UnixStream) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("f");
    std::fs::write(&path, vec![7; size]).unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        while far.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    (root, File::open(path).unwrap(), near)
}

const SENT: [usize; 5] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

#[divan::bench(args = SENT, max_time = 1)]
fn fetch_sendfile(bencher: Bencher<'_, '_>, size: usize) {
    let (_root, file, socket) = sending(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut offset = 0;
        while (offset as usize) < size {
            let left = size - offset as usize;
            nix::sys::sendfile::sendfile(&socket, &file, Some(&mut offset), left).unwrap();
        }
    });
}

#[divan::bench(args = SENT, max_time = 1)]
fn fetch_read_write(bencher: Bencher<'_, '_>, size: usize) {
    use std::os::unix::fs::FileExt;
    let (_root, file, mut socket) = sending(size);
    let mut buffer = vec![0; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        file.read_exact_at(&mut buffer, 0).unwrap();
        socket.write_all(&buffer).unwrap();
    });
}

/// One batch of about `size` bytes.
fn batch(size: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let value = vec![7; 100.min(size / 2)];
    while builder.size_bytes() + value.len() < size || builder.records_count() == 0 {
        let record = NewRecord { timestamp: NOW_MS, value: Some(&value), ..Default::default() };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
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

#[divan::bench(args = [200, 4 << 10, 16 << 10, 64 << 10], max_time = 1)]
fn log_append(bencher: Bencher<'_, '_>, size: usize) {
    let (_root, log) = new_log(LogConfig::default());
    let bytes = batch(size);
    let batch = Validated::from_built(&bytes[..]).unwrap();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        if log.size_bytes() > 512 << 20 {
            log.truncate_fully_and_start_at(log.offsets().log_end_offset, NOW_MS).unwrap();
            log.remove_due_files(i64::MAX);
        }
        log.append_as_leader(&batch, HOW).unwrap()
    });
}

#[divan::bench(args = [200, 16 << 10], max_time = 1)]
fn log_append_idempotent(bencher: Bencher<'_, '_>, size: usize) {
    let (_root, log) = new_log(LogConfig::default());
    let bytes = batch(size);
    let count = Validated::from_built(&bytes[..]).unwrap().last_offset_delta() + 1;
    let mut sequence = 0;
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        // The producer's fields are patched without a new CRC, which the log does not look at.
        let mut bytes = bytes.clone();
        bytes[43..51].copy_from_slice(&9i64.to_be_bytes());
        bytes[51..53].copy_from_slice(&0i16.to_be_bytes());
        bytes[53..57].copy_from_slice(&i32::to_be_bytes(sequence));
        sequence += count;
        log.append_as_leader(&Validated::from_built(&bytes[..]).unwrap(), HOW).unwrap()
    });
}

/// 64 MiB of small batches in segments of 16 MiB.
fn filled() -> (TempDir, Arc<PartitionLog>) {
    let (root, log) = new_log(LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() });
    let bytes = batch(1 << 10);
    let batch = Validated::from_built(&bytes[..]).unwrap();
    while log.size_bytes() < 64 << 20 {
        log.append_as_leader(&batch, HOW).unwrap();
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

#[divan::bench(max_time = 1)]
fn log_read_near_the_end(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled();
    let offset = log.offsets().log_end_offset - 20;
    bencher.bench_local(|| read(&log, offset));
}

#[divan::bench(max_time = 1)]
fn log_read_last_append(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled();
    let count = Validated::from_built(batch(1 << 10)).unwrap().last_offset_delta() + 1;
    let offset = log.offsets().log_end_offset - i64::from(count);
    bencher.bench_local(|| read(&log, offset));
}

#[divan::bench(max_time = 1)]
fn log_read_at_the_end(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled();
    let offset = log.offsets().log_end_offset;
    bencher.bench_local(|| read(&log, offset));
}

#[divan::bench(max_time = 1)]
fn log_read_anywhere(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled();
    let end = log.offsets().log_end_offset;
    let mut offset = 0;
    bencher.bench_local(|| {
        // A step that is prime to all that matters visits every part of the log.
        offset = (offset + 7_368_787) % end;
        read(&log, offset);
    });
}

#[divan::bench(max_time = 1)]
fn log_find_timestamp(bencher: Bencher<'_, '_>) {
    let (_root, log) = filled();
    bencher
        .bench_local(|| black_box(log.offset_for_timestamp(TimestampQuery::At(NOW_MS)).unwrap()));
}
