//! Retention on a whole log and on a manager's.

use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::BatchOptions;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{Isolation, PartitionLog, Read, ReadError, Tally};
use ottla_storage::manager::LogManager;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::retention::{Moment, TrustedNow};
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};
use ottla_storage::validate::Validated;

use crate::harness::{
    NOW_MS, all_values, append, as_leader, batch, check_every_offset, new_partition, open_manager,
    opening, small,
};

/// 10 batches of 2 records, two batches a segment; values and timestamps count up.
fn filled(config: &LogConfig) -> (SimDisk, LogManager, Arc<PartitionLog>) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let manager = open_manager(&shared, config).unwrap();
    let log = manager.create(new_partition("t", config), NOW_MS).unwrap();
    for n in 0..10 {
        append(&log, n * 2, 2).unwrap();
    }
    (disk, manager, log)
}

fn at(now_ms: i64) -> TrustedNow {
    TrustedNow { now_ms, doubted_ms: 0, is_new_doubt: false }
}

fn two_a_segment() -> LogConfig {
    LogConfig { segment_bytes: 200, retention_ms: -1, ..small() }
}

fn count_deleted(disk: &SimDisk) -> usize {
    disk.files().iter().filter(|path| path.ends_with(".deleted")).count()
}

/// As in Kafka, retention stops at the high watermark, not at the last stable offset: an open
/// transaction loses its records, and is open still.
#[test]
fn an_open_transaction_holds_no_segment_back() {
    let config = LogConfig { retention_bytes: 300, ..two_a_segment() };
    let shared: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let mut open = opening(&shared, Path::new("data/t-0"), config);
    open.producer_settings.verification_enabled = false;
    shared.create_dir_all(Path::new("data/t-0")).unwrap();
    let log = PartitionLog::open(open).unwrap();
    let transactional = BatchOptions {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    };
    let first = Validated::from_built(batch(0, 2, transactional)).unwrap();
    log.append_as_leader(&first, as_leader()).unwrap();
    for n in 1..10 {
        append(&log, n * 2, 2).unwrap();
    }
    assert_eq!((log.offsets().last_stable_offset, log.offsets().high_watermark), (0, 20));
    assert!(log.expire_segments(at(NOW_MS)).unwrap().by_size.segments > 0);
    let offsets = log.offsets();
    assert!(offsets.log_start_offset > 2);
    assert_eq!(offsets.last_stable_offset, offsets.log_start_offset);
    // DeleteRecords takes any offset up to the high watermark too.
    log.advance_log_start(19).unwrap();
    assert_eq!(log.offsets().last_stable_offset, 19);
    assert!(log.advance_log_start(21).is_err());
    log.advance_log_start(20).unwrap();
    assert_eq!((log.offsets().last_stable_offset, log.offsets().high_watermark), (20, 20));
    append(&log, 20, 2).unwrap();
    assert_eq!(log.offsets().last_stable_offset, 20, "until the transaction ends");
}

#[test]
fn old_segments_go_whole_and_their_files_later() {
    let config = LogConfig { retention_ms: 100, ..two_a_segment() };
    let (disk, manager, log) = filled(&config);
    assert_eq!(log.segments_count(), 5);
    // Records 0 to 7 are of NOW_MS to NOW_MS + 7, and too old; record 11 is not.
    let report = manager.delete_old_segments(at(NOW_MS + 110));
    assert!(report.errors.is_empty());
    assert_eq!(report.expired.by_time.segments, 2);
    assert_eq!(log.offsets().log_start_offset, 8);
    assert_eq!(all_values(&log), (8..20).collect::<Vec<_>>());
    check_every_offset(&log);
    let read =
        Read { start_offset: 7, bytes_max: 100, isolation: Isolation::LogEnd, min_one_batch: true };
    assert!(matches!(log.read(read), Err(ReadError::OffsetOutOfRange { .. })));
    assert!(count_deleted(&disk) >= 6);
    manager.remove_due_files(NOW_MS + 110 + config.file_delete_delay_ms - 1);
    assert!(count_deleted(&disk) >= 6);
    manager.remove_due_files(NOW_MS + 110 + config.file_delete_delay_ms);
    assert_eq!(count_deleted(&disk), 0);
    assert!(manager.delete_old_segments(at(NOW_MS + 110)).expired == Default::default());
}

/// The clock is set back by a year: files are not kept for a year.
#[test]
fn files_go_when_the_clock_was_set_back() {
    let config = LogConfig { retention_ms: 100, ..two_a_segment() };
    let (disk, manager, log) = filled(&config);
    manager.delete_old_segments(at(NOW_MS + 110));
    assert!(count_deleted(&disk) > 0);
    let delay_ms = config.file_delete_delay_ms;
    let before = NOW_MS - 365 * 86_400_000;
    manager.remove_due_files(before);
    assert!(count_deleted(&disk) > 0);
    manager.remove_due_files(before + delay_ms);
    assert_eq!(count_deleted(&disk), 0);
    manager.delete(log.topic_partition(), 1, NOW_MS).unwrap();
    let is_there = || disk.files().iter().any(|path| path.contains("-delete/"));
    manager.remove_due_files(before);
    assert!(is_there());
    manager.remove_due_files(before + delay_ms);
    assert!(!is_there());
}

#[test]
fn when_all_is_old_a_new_segment_begins_at_the_log_end() {
    let config = LogConfig { retention_ms: 100, ..two_a_segment() };
    let (disk, manager, log) = filled(&config);
    let report = manager.delete_old_segments(at(NOW_MS + 1000));
    assert_eq!(report.expired.by_time.segments, 5);
    let offsets = log.offsets();
    assert_eq!((offsets.log_start_offset, offsets.log_end_offset), (20, 20));
    assert_eq!((log.segments_count(), log.first_segment_base_offset()), (1, 20));
    append(&log, 20, 3).unwrap();
    assert_eq!(all_values(&log), [20, 21, 22]);
    // Once more: the rolled segment holds records that are young enough, then not.
    assert!(!manager.delete_old_segments(at(NOW_MS + 122)).expired.is_any());
    assert!(manager.delete_old_segments(at(NOW_MS + 123)).expired.is_any());
    manager.close(1).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let again = open_manager(&shared, &config).unwrap();
    let log = again.get(&TopicPartition::new("t", 0)).unwrap();
    let offsets = log.offsets();
    assert_eq!((offsets.log_start_offset, offsets.log_end_offset), (23, 23));
}

#[test]
fn a_log_is_kept_to_its_bytes() {
    let config = LogConfig { retention_bytes: 300, ..two_a_segment() };
    let (_, manager, log) = filled(&config);
    let before = log.size_bytes();
    let by_size = manager.delete_old_segments(at(NOW_MS)).expired.by_size;
    assert_eq!(log.size_bytes(), before - by_size.bytes);
    let first = log.size_bytes() / log.segments_count() as u64;
    assert!((300..300 + first).contains(&log.size_bytes()), "{}", log.size_bytes());
}

#[test]
fn deleted_records_go_whatever_the_policy() {
    let config = LogConfig { cleanup_delete: false, retention_ms: 0, ..two_a_segment() };
    let (_, manager, log) = filled(&config);
    assert!(!manager.delete_old_segments(at(i64::MAX)).expired.is_any());
    log.advance_log_start(9).unwrap();
    let report = manager.delete_old_segments(at(i64::MAX));
    assert_eq!(report.expired.by_start.segments, 2);
    assert_eq!((log.offsets().log_start_offset, log.first_segment_base_offset()), (9, 8));
    assert_eq!(all_values(&log), (9..20).collect::<Vec<_>>());
}

#[test]
fn compacted_logs_are_left_to_the_cleaner() {
    let config = LogConfig { cleanup_compact: true, retention_ms: 0, ..two_a_segment() };
    let (_, manager, log) = filled(&config);
    assert!(!manager.delete_old_segments(at(i64::MAX)).expired.is_any());
    assert_eq!(log.segments_count(), 5);
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing() {
    let config = LogConfig { retention_ms: 3_600_000, ..two_a_segment() };
    let (_, manager, log) = filled(&config);
    let pass = |wall_ms, monotonic_ms| {
        let now = manager.trusted_now(Moment { wall_ms, monotonic_ms });
        manager.delete_old_segments(now)
    };
    assert!(!pass(NOW_MS + 300_000, 0).expired.is_any());
    let year = 365 * 86_400_000;
    let report = pass(NOW_MS + year, 300_000);
    assert_eq!((report.logs_spared, report.expired.by_time), (1, Tally::default()));
    assert_eq!(report.expired.spared.segments, 5);
    assert_eq!(manager.spared_passes(), 1);
    assert_eq!(log.segments_count(), 5);
    // By the clock that only runs forward the records do become old.
    assert!(pass(NOW_MS + year + 3_600_000, 3_900_000).expired.is_any());
}

#[test]
fn a_sync_beside_a_removal_finds_what_is_left() {
    let config = LogConfig { retention_ms: 100, ..two_a_segment() };
    let (disk, manager, log) = filled(&config);
    // Nothing was flushed yet: the first segment that must be is among those that go.
    manager.delete_old_segments(at(NOW_MS + 110));
    log.flush().unwrap();
    assert_eq!(log.recovery_point(), 20);
    let after = disk.crash(1, CrashStyle::DropPending);
    let shared: Arc<dyn Disk> = Arc::new(after);
    let again = open_manager(&shared, &config).unwrap();
    let log = again.get(&TopicPartition::new("t", 0)).unwrap();
    assert_eq!(all_values(&log), (8..20).collect::<Vec<_>>());
}

/// Cut at every step, a removal leaves a log that begins where it did before or after.
#[test]
fn a_crash_amid_a_removal() {
    let config = LogConfig { retention_ms: 100, ..two_a_segment() };
    let work = |disk: &SimDisk, stop_after: Option<u64>| -> (u64, u64) {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let manager = open_manager(&shared, &config).unwrap();
        let log = manager.create(new_partition("t", &config), NOW_MS).unwrap();
        for n in 0..10 {
            append(&log, n * 2, 2).unwrap();
        }
        log.flush().unwrap();
        let start = disk.ops();
        if let Some(op) = stop_after {
            disk.stop(Stop::Amid(start + op));
        }
        manager.delete_old_segments(at(NOW_MS + 110));
        manager.remove_due_files(i64::MAX);
        (start, disk.ops())
    };
    let (start, end) = work(&SimDisk::new(), None);
    assert!(end > start + 10);
    for op in 0..=end - start {
        let disk = SimDisk::new();
        work(&disk, Some(op));
        for style in [CrashStyle::ProcessKill].into_iter().chain(CrashStyle::POWER_LOSS) {
            let after: Arc<dyn Disk> = Arc::new(disk.crash(op, style));
            let manager = open_manager(&after, &config).unwrap();
            let log = manager.get(&TopicPartition::new("t", 0)).unwrap();
            let start = log.offsets().log_start_offset;
            assert!(start == 0 || start == 8, "{op} {style:?}: {start}");
            let values: Vec<u64> = (start as u64..20).collect();
            assert_eq!(all_values(&log), values, "{op} {style:?}");
            assert!(after.exists(Path::new("data/t-0")).unwrap());
        }
    }
}

#[test]
fn retention_makes_room_on_a_disk_without_any() {
    let config = LogConfig { retention_bytes: 1, ..two_a_segment() };
    let (disk, manager, log) = filled(&config);
    disk.set_capacity(Some(0));
    let report = manager.delete_old_segments(at(NOW_MS));
    assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
    assert_eq!(log.segments_count(), 4, "the first, of which no hole can come");
    let image = disk.crash(1, CrashStyle::DropPending);
    let names = |disk: &SimDisk| {
        let files = disk.files().into_iter();
        files.filter(|path| path.ends_with("00000000000000000000.log")).count()
    };
    assert_eq!(names(&image), 0, "its removal is durable");
    manager.delete_old_segments(at(NOW_MS));
    assert_eq!(log.segments_count(), 3, "the second a pass later");
    disk.set_capacity(None);
    manager.delete_old_segments(at(NOW_MS));
    assert_eq!(log.segments_count(), 1);
}
