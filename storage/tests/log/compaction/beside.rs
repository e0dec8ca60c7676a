//! Cleaning while others work, and on a disk that fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use ottla_protocol::record::builder::BatchOptions;
use ottla_storage::cleaner::{CleanOutcome, Cleaner, CleanerSettings, FullSpeed, Pace};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, DiskFile, DiskLock, Entry, Open, RealDisk, Space};
use ottla_storage::log::{Isolation, PartitionLog, Read, TimestampQuery};
use ottla_storage::manager::LogManager;
use ottla_storage::retention::TrustedNow;
use ottla_storage::sim::{CrashStyle, Fault, OpKind, SimDisk, Struck};

use super::{
    append, clean_all, compacted, consume, create, end_txn, log_of, open, plain, put, table,
};
use crate::harness::{NOW_MS, bytes_of, new_partition};

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
            if disk.struck().iter().any(Struck::is_sync) {
                // Nothing was synced before: a failed sync may lose the end of the log.
                let kept = 0..u32::try_from(log.offsets().log_end_offset).unwrap();
                let before = kept.map(|n| ((n % 7) as u8, n)).collect();
                assert_eq!(found, before, "{how}");
            } else {
                assert_eq!(found, before, "{how}");
            }
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

/// A disk that does something the moment a file is opened.
struct Hooked {
    disk: SimDisk,
    hook: Mutex<Option<Hook>>,
}

/// When which file is opened, and what happens then.
type Hook = (PathBuf, Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl Hooked {
    fn new() -> Arc<Self> {
        Arc::new(Self { disk: SimDisk::new(), hook: Mutex::default() })
    }

    fn when_opened(&self, path: &str, hook: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap() = Some((path.into(), Box::new(hook)));
    }
}

impl Disk for Hooked {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let hook = self.hook.lock().unwrap().take_if(|(at, _)| at == path);
        if let Some((_, hook)) = hook {
            hook();
        }
        self.disk.open(path, how)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.disk.unlink(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock(path)
    }
    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }
}

/// A log with a segment per record but for the active one, closed and opened again, so that a
/// retention pass has to open each time index that it looks at.
fn one_by_one(disk: &Arc<Hooked>, config: &LogConfig) -> (Arc<LogManager>, Arc<PartitionLog>) {
    let shared: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    let manager = open(&shared, config);
    let log = create(&manager, config);
    let txn = BatchOptions {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..plain()
    };
    for n in 0..5_u32 {
        append(&log, &[put(n as u8, n)], if n == 2 { txn } else { plain() });
    }
    assert_eq!(log.segments_count(), 5);
    manager.close(1).unwrap();
    drop((log, manager));
    let manager = Arc::new(open(&shared, config));
    let log = log_of(&manager);
    (manager, log)
}

fn at(now_ms: i64) -> TrustedNow {
    TrustedNow { now_ms, doubted_ms: 0, is_new_doubt: false }
}

fn one_a_segment() -> LogConfig {
    LogConfig { segment_bytes: 80, cleanup_delete: true, retention_ms: 1000, ..compacted() }
}

/// The segments that are too old become one while a retention pass looks at the one behind them.
#[test]
fn retention_beside_a_swap_takes_what_is_old_and_no_more() {
    let disk = Hooked::new();
    let (manager, log) = one_by_one(&disk, &one_a_segment());
    log.set_config(LogConfig { segment_bytes: 100_000, ..one_a_segment() });
    let swapped = Arc::new(AtomicBool::new(false));
    let (cleaner, done) = (Arc::clone(&manager), Arc::clone(&swapped));
    disk.when_opened("data/t-0/00000000000000000002.timeindex", move || {
        let tally = clean_all(&cleaner, NOW_MS)[0].tally;
        assert_eq!((tally.segments_read, tally.segments_written), (2, 1));
        done.store(true, Ordering::Relaxed);
    });
    // Records 0 and 1 are older than a second, 2 is not.
    let expired = log.expire_segments(at(NOW_MS + 1002)).unwrap();
    assert!(swapped.load(Ordering::Relaxed));
    assert_eq!((expired.by_time.segments, log.offsets().log_start_offset), (2, 2));
    let left: Vec<_> = consume(&log, Isolation::HighWatermark, 1 << 20);
    assert_eq!(left.iter().map(|record| record.offset).collect::<Vec<_>>(), [2, 3, 4]);
}

/// While a retention pass is at a compacted log no cleaning is: it counts bytes that would go.
#[test]
fn retention_and_cleaning_take_turns() {
    let disk = Hooked::new();
    let (manager, log) = one_by_one(&disk, &one_a_segment());
    let refused = Arc::new(AtomicBool::new(false));
    let (cleaner, done) = (Arc::clone(&manager), Arc::clone(&refused));
    disk.when_opened("data/t-0/00000000000000000002.timeindex", move || {
        done.store(clean_all(&cleaner, NOW_MS).is_empty(), Ordering::Relaxed);
    });
    manager.delete_old_segments_of_compacted(at(NOW_MS + 1002));
    assert!(refused.load(Ordering::Relaxed));
    end_txn(&log, 7, true);
    assert!(!clean_all(&manager, NOW_MS).is_empty(), "then it is again");
}

/// All is too old, and a record comes before the active segment can be rolled.
#[test]
fn retention_beside_appends_takes_what_is_sealed() {
    let disk = Hooked::new();
    let config = LogConfig { cleanup_compact: false, ..one_a_segment() };
    let (_manager, log) = one_by_one(&disk, &config);
    log.set_config(LogConfig { segment_bytes: 100_000, ..config });
    let appended = Arc::clone(&log);
    disk.when_opened("data/t-0/00000000000000000000.timeindex", move || {
        append(&appended, &[put(1, 1)], plain());
    });
    let expired = log.expire_segments(at(NOW_MS + 5000)).unwrap();
    assert_eq!((expired.by_time.segments, log.offsets().log_start_offset), (4, 4));
    assert_eq!(log.remove_expired_segments(NOW_MS).unwrap(), 4);
    assert_eq!(consume(&log, Isolation::HighWatermark, 1 << 20).len(), 2);
}

/// A roll that no append follows: what was appended last is in a segment that can be compacted.
#[test]
fn a_read_at_the_last_append_finds_it_after_a_compaction() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open(&shared, &compacted());
    let log = create(&manager, &compacted());
    let mut last = 0;
    for n in 0..5 {
        last = append(&log, &[put(1, n)], plain());
    }
    disk.inject(Fault::on(OpKind::Write, ENOSPC).path("00000000000000000005.log"));
    assert!(crate::harness::append(&log, 0, 20).is_err());
    assert_eq!((log.segments_count(), log.offsets().log_end_offset), (2, 5));
    assert_eq!(clean_all(&manager, NOW_MS)[0].tally.records_kept, 1);
    let region = crate::harness::read_at(&log, last, 1 << 20).expect("there is a batch");
    let bytes = bytes_of(&region);
    let batch = ottla_protocol::record::set::Batches::new(&bytes).next().unwrap().unwrap();
    batch.check_crc().unwrap();
    assert_eq!(batch.header().last_offset(), last);
}

/// A log that cannot be cleaned for the time being does not keep the others from it.
#[test]
fn one_that_fails_comes_last() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open(&shared, &compacted());
    let logs = ["dirtiest", "other"].map(|topic| {
        let log = manager.create(new_partition(topic, &compacted()), NOW_MS).unwrap();
        fill(&log);
        log
    });
    clean_all(&manager, NOW_MS);
    fill(&logs[0]);
    fill(&logs[0]);
    fill(&logs[1]);
    disk.inject(Fault::on(OpKind::Write, ENOSPC).path(".cleaned").sticky());
    let mut cleaner = Cleaner::new(CleanerSettings::default());
    let mut tried = || {
        let report = cleaner.clean_once(&manager, NOW_MS, &FullSpeed).unwrap();
        assert!(matches!(report.outcome, CleanOutcome::Failed(_)), "{report:?}");
        report.topic_partition.topic.to_string()
    };
    assert_eq!([tried(), tried(), tried()], ["dirtiest", "other", "dirtiest"]);
    disk.clear_faults();
    assert_eq!(clean_all(&manager, NOW_MS).len(), 2);
}

struct Panics;

impl Pace for Panics {
    fn spend(&self, _bytes: u64, _is_unwanted: &dyn Fn() -> bool) -> bool {
        panic!("a defect");
    }
}

/// A defect that one log brings out must not come out again and again.
#[test]
fn a_log_that_panics_is_left_alone() {
    let shared: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let manager = open(&shared, &compacted());
    let log = create(&manager, &compacted());
    fill(&log);
    let cleaned = thread::scope(|scope| {
        let cleaning = scope.spawn(|| {
            Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &Panics)
        });
        cleaning.join()
    });
    assert!(cleaned.is_err());
    assert_eq!(manager.uncleanable(), [log.topic_partition().clone()]);
    assert!(clean_all(&manager, NOW_MS).is_empty());
    append(&log, &[put(1, 1)], plain());
    manager.close(1).unwrap();
}
