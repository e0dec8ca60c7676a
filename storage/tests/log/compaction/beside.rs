//! Cleaning while others work, and on a disk that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ottla_storage::cleaner::{CleanOutcome, Cleaner, CleanerSettings, FullSpeed, Pace};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, RealDisk};
use ottla_storage::log::{Isolation, PartitionLog, Read, TimestampQuery};
use ottla_storage::manager::LogManager;
use ottla_storage::sim::{CrashStyle, Fault, SimDisk};

use super::{append, clean_all, compacted, consume, create, log_of, open, plain, put, table};
use crate::harness::{NOW_MS, bytes_of};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn fill(log: &PartitionLog) {
    for n in 0..30_u32 {
        append(log, &[put((n % 7) as u8, n)], plain());
    }
}

fn unfinished(disk: &SimDisk) -> Vec<String> {
    let mut files = disk.files();
    files.retain(|path| path.ends_with(".cleaned") || path.ends_with(".swap"));
    files
}

/// Every operation of a cleaning fails once.
#[test]
fn a_disk_that_fails() {
    for errno in [EIO, ENOSPC] {
        let mut offline = 0;
        let mut went_on = 0;
        for op in 0.. {
            let disk = SimDisk::new();
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let manager = open(&shared, &compacted());
            let log = create(&manager, &compacted());
            fill(&log);
            let before = table(&consume(&log, Isolation::HighWatermark, 1 << 20));
            let first = disk.ops();
            disk.inject(Fault::at_op(first + op, errno));
            let report =
                Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &FullSpeed);
            let done = disk.ops() - first <= op;
            disk.clear_faults();
            let how = format!("{errno} at {op}: {report:?}");
            let cleaned = matches!(report.unwrap().outcome, CleanOutcome::Cleaned { .. });
            assert!(cleaned || !done, "{how}");
            if log.log_dir().is_online() {
                went_on += 1;
                assert_eq!(unfinished(&disk), [""; 0], "{how}");
                assert_eq!(table(&consume(&log, Isolation::HighWatermark, 1 << 20)), before);
                assert!(cleaned || clean_all(&manager, NOW_MS).len() == 1, "{how}");
                append(&log, &[put(50, 1)], plain());
            } else {
                offline += 1;
                assert!(!cleaned, "{how}");
            }
            drop((log, manager));
            let after: Arc<dyn Disk> = Arc::new(disk.crash(op, CrashStyle::ProcessKill));
            let log = log_of(&open(&after, &compacted()));
            let mut found = table(&consume(&log, Isolation::HighWatermark, 1 << 20));
            found.remove(&50);
            assert_eq!(found, before, "{how}");
            if done {
                break;
            }
        }
        // Without space the log goes on but amid a swap; the last run is the one without a fault.
        assert!(offline > 20 && went_on > if errno == EIO { 0 } else { 20 });
    }
}

/// Readers, an appender, a flusher and two cleaners at once, on a real disk.
#[test]
fn nobody_is_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let config = LogConfig { segment_bytes: 4000, segment_index_bytes: 1000, ..compacted() };
    let path = dir.path().to_str().unwrap();
    let manager = super::open_in(&disk, &config, path);
    let log = create(&manager, &config);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for isolation in [Isolation::HighWatermark, Isolation::TxnCommitted] {
            let (log, ended) = (&log, &ended);
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    read_all_once(log, isolation);
                    log.offset_for_timestamp(TimestampQuery::At(NOW_MS + 500)).unwrap();
                    log.offset_for_timestamp(TimestampQuery::MaxTimestamp).unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut cleaner = Cleaner::new(CleanerSettings::default());
                while !ended.load(Ordering::Relaxed) {
                    if let Some(report) = cleaner.clean_once(&manager, NOW_MS, &FullSpeed) {
                        assert!(!matches!(report.outcome, CleanOutcome::Failed(_)), "{report:?}");
                    }
                }
            });
        }
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                manager.flush_due(NOW_MS).unwrap();
                manager.remove_due_files(i64::MAX);
                manager.checkpoint_recovery_points().unwrap();
            }
        });
        for n in 0..3000_u32 {
            append(&log, &[put((n % 10) as u8, n), put(77, n)], plain());
        }
        ended.store(true, Ordering::Relaxed);
    });
    clean_all(&manager, NOW_MS);
    let expected: Vec<(u8, u32)> =
        (0..10).map(|key| (key, 2990 + u32::from(key))).chain([(77, 2999)]).collect();
    let mut found: Vec<_> =
        table(&consume(&log, Isolation::HighWatermark, 1 << 20)).into_iter().collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(log.size_bytes() < 100_000, "{} bytes", log.size_bytes());
    // Deleted amid a cleaning.
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut cleaner = Cleaner::new(CleanerSettings::default());
            while manager.get(log.topic_partition()).is_some() {
                if let Some(report) = cleaner.clean_once(&manager, NOW_MS, &FullSpeed) {
                    assert!(!matches!(report.outcome, CleanOutcome::Failed(_)), "{report:?}");
                }
            }
        });
        for n in 0..300_u32 {
            append(&log, &[put(1, n), put(2, n)], plain());
        }
        manager.delete(log.topic_partition(), 1, NOW_MS).unwrap();
    });
    assert!(log.log_dir().is_online());
}

/// Reads from the start to where the end was.
fn read_all_once(log: &PartitionLog, isolation: Isolation) {
    let end = log.offsets().high_watermark;
    let mut next = log.offsets().log_start_offset;
    while next < end {
        let read = Read { start_offset: next, bytes_max: 3000, isolation, min_one_batch: true };
        let region = log.read(read).unwrap().region.expect("there is more");
        let mut behind = next;
        for batch in ottla_protocol::record::set::Batches::new(&bytes_of(&region)) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            assert!(batch.header().last_offset() >= behind);
            behind = batch.header().last_offset() + 1;
        }
        assert!(behind > next);
        next = behind;
    }
}

/// Goes on only when somebody wants the cleaning to end.
struct Waits<'a> {
    begun: &'a AtomicBool,
}

impl Pace for Waits<'_> {
    fn spend(&self, _bytes: u64, is_unwanted: &dyn Fn() -> bool) -> bool {
        self.begun.store(true, Ordering::Release);
        while !is_unwanted() {
            thread::yield_now();
        }
        true
    }
}

#[test]
fn a_cleaning_gives_way() {
    type Change = fn(&LogManager, &Arc<PartitionLog>);
    let changes: [Change; 4] = [
        |manager, log| manager.truncate_to(log, 20, NOW_MS).unwrap(),
        |_, log| log.truncate_fully_and_start_at(50, NOW_MS).unwrap(),
        |manager, log| assert!(manager.delete(log.topic_partition(), 1, NOW_MS).unwrap()),
        |manager, _| manager.close(1).unwrap(),
    ];
    for change in changes {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let manager = open(&shared, &compacted());
        let log = create(&manager, &compacted());
        fill(&log);
        let begun = AtomicBool::new(false);
        thread::scope(|scope| {
            let cleaning = scope.spawn(|| {
                let pace = Waits { begun: &begun };
                Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &pace)
            });
            while !begun.load(Ordering::Acquire) {
                thread::yield_now();
            }
            change(&manager, &log);
            let report = cleaning.join().unwrap().unwrap();
            assert!(matches!(report.outcome, CleanOutcome::GivenUp), "{report:?}");
        });
        assert!(log.log_dir().is_online());
        assert_eq!(unfinished(&disk), [""; 0]);
    }
}
