//! Appends: producers, transactions, epochs, followers, rolls, group commit.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use ottla_protocol::record::batch::HeaderFields;
use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::record::control::EndTxnMarker;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::leader_epoch::EpochEnd;
use ottla_storage::log::{
    AppendAsLeader, AppendError, Appended, Isolation, OpenLog, PartitionLog, Read,
};
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{Origin, ProducerError, ProducerSettings};
use ottla_storage::sim::SimDisk;
use ottla_storage::validate::Validated;

use crate::harness::{
    NOW_MS, all_values, append, as_leader, batch, bytes_of, new_log, opening, read_at, small,
    values_from,
};

const DIR: &str = "data/t-0";

fn new_sim() -> Arc<dyn Disk> {
    Arc::new(SimDisk::new())
}

fn produce(
    log: &PartitionLog,
    first: u64,
    count: u64,
    options: BatchOptions,
) -> Result<Appended, AppendError> {
    let bytes = batch(first, count, options);
    log.append_as_leader(&Validated::from_built(bytes).unwrap(), as_leader())
}

fn of_producer(base_sequence: i32) -> BatchOptions {
    BatchOptions { producer_id: 9, producer_epoch: 0, base_sequence, ..Default::default() }
}

#[test]
fn a_duplicate_is_as_durable_as_it_is_said_to_be() {
    let disk = new_sim();
    let log = new_log(&disk, Path::new(DIR), small()).unwrap();
    produce(&log, 0, 2, of_producer(0)).unwrap();
    assert_eq!(log.recovery_point(), 0, "nobody asked for a sync");
    log.set_config(LogConfig { flush_messages: 1, ..small() });
    assert!(produce(&log, 0, 2, of_producer(0)).unwrap().duplicate);
    assert_eq!(log.recovery_point(), 2);
}

#[test]
fn duplicates_are_answered_and_not_written() {
    let disk = new_sim();
    let log = new_log(&disk, Path::new(DIR), small()).unwrap();
    for n in 0..8 {
        produce(&log, n * 2, 2, of_producer(n as i32 * 2)).unwrap();
    }
    let size = log.size_bytes();
    let again = produce(&log, 14, 2, of_producer(14)).unwrap();
    assert_eq!((again.base_offset, again.last_offset, again.duplicate), (14, 15, true));
    let gap = produce(&log, 18, 1, of_producer(18));
    assert!(matches!(
        gap,
        Err(AppendError::Producer(ProducerError::OutOfOrderSequence { last: 15, got: 18, .. }))
    ));
    assert_eq!(log.size_bytes(), size);

    // The last batch is known after a clean stop and after a kill.
    for after in [Shutdown::Clean, Shutdown::Unclean] {
        let mut open = opening(&disk, Path::new(DIR), small());
        open.after = after;
        if after == Shutdown::Clean {
            log.close().unwrap();
        }
        let log = PartitionLog::open(open).unwrap();
        let again = produce(&log, 14, 2, of_producer(14)).unwrap();
        assert_eq!((again.base_offset, again.duplicate), (14, true), "{after:?}");
        assert!(produce(&log, 0, 1, of_producer(20)).is_err());
        assert_eq!(log.offsets().log_end_offset, 16);
    }
}

fn coordinator() -> AppendAsLeader {
    AppendAsLeader { origin: Origin::Coordinator, ..as_leader() }
}

fn end_txn(log: &PartitionLog, producer_id: i64, committed: bool) -> Appended {
    let options = BatchOptions { producer_id, producer_epoch: 0, ..Default::default() };
    let marker = EndTxnMarker { committed, coordinator_epoch: 0 };
    let bytes = marker.to_batch(options, NOW_MS).unwrap();
    log.append_as_leader(&Validated::from_built(bytes).unwrap(), coordinator()).unwrap()
}

/// A producer may have five batches on the way when the broker dies; it sends them all again.
#[test]
fn five_batches_are_remembered_through_two_kills() {
    let disk = new_sim();
    let open = opening(&disk, Path::new(DIR), small());
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let log = PartitionLog::open(open.clone()).unwrap();
    for n in 0..6 {
        produce(&log, n, 1, of_producer(i32::try_from(n).unwrap())).unwrap();
    }
    drop(log);
    for _ in 0..2 {
        let log = PartitionLog::open(open.clone()).unwrap();
        for n in 1..6 {
            let again = produce(&log, n, 1, of_producer(i32::try_from(n).unwrap())).unwrap();
            assert_eq!((again.base_offset, again.duplicate), (n.cast_signed(), true));
        }
    }
}

fn transactional(producer_id: i64, base_sequence: i32) -> BatchOptions {
    let transactional = true;
    BatchOptions { producer_id, transactional, ..of_producer(base_sequence) }
}

#[test]
fn committed_reads_stop_at_open_transactions_and_name_aborted_ones() {
    let disk = new_sim();
    let mut open = opening(&disk, Path::new(DIR), small());
    open.producer_settings =
        ProducerSettings { verification_enabled: false, ..ProducerSettings::default() };
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let log = PartitionLog::open(open.clone()).unwrap();
    produce(&log, 0, 2, transactional(1, 0)).unwrap();
    produce(&log, 2, 3, transactional(2, 0)).unwrap();
    append(&log, 5, 1).unwrap();
    assert_eq!(log.offsets().last_stable_offset, 0);
    let committed = |log: &PartitionLog, start_offset: i64| {
        log.read(Read {
            start_offset,
            bytes_max: 1 << 20,
            isolation: Isolation::TxnCommitted,
            min_one_batch: true,
        })
        .unwrap()
    };
    assert!(committed(&log, 0).region.is_none());
    assert_eq!(end_txn(&log, 1, true).base_offset, 6);
    assert_eq!(log.offsets().last_stable_offset, 2);
    assert!(committed(&log, 0).region.is_some());
    assert_eq!(end_txn(&log, 2, false).base_offset, 7);
    let offsets = log.offsets();
    assert_eq!((offsets.last_stable_offset, offsets.high_watermark), (8, 8));
    let check = |log: &PartitionLog| {
        let aborted = committed(log, 0).aborted.unwrap();
        assert_eq!(
            aborted.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect::<Vec<_>>(),
            [(2, 2)]
        );
        assert!(committed(log, 8).region.is_none());
    };
    check(&log);
    // A kill and a recovery that makes all indexes anew: the same.
    let log = PartitionLog::open(open.clone()).unwrap();
    assert_eq!(log.offsets().last_stable_offset, 8);
    check(&log);
    // An open transaction holds readers back through a restart.
    produce(&log, 8, 1, transactional(1, 2)).unwrap();
    log.close().unwrap();
    open.after = Shutdown::Clean;
    let log = PartitionLog::open(open).unwrap();
    assert_eq!(log.offsets().last_stable_offset, 8);
    assert_eq!(log.offsets().high_watermark, 9);
}

#[test]
fn epochs_are_kept() {
    let disk = new_sim();
    let log = new_log(&disk, Path::new(DIR), small()).unwrap();
    log.begin_leader_epoch(0).unwrap();
    append(&log, 0, 3).unwrap();
    log.begin_leader_epoch(4).unwrap();
    assert_eq!(log.latest_epoch(), Some(4));
    let how = AppendAsLeader { leader_epoch: 4, ..as_leader() };
    for first in 3..9 {
        let bytes = batch(first, 1, BatchOptions::default());
        log.append_as_leader(&Validated::from_built(bytes).unwrap(), how).unwrap();
    }
    let end = |leader_epoch, end_offset| EpochEnd { leader_epoch, end_offset };
    let check = |log: &PartitionLog| {
        assert_eq!(log.end_offset_for_epoch(0), end(0, 3));
        assert_eq!(log.end_offset_for_epoch(2), end(0, 3));
        assert_eq!(log.end_offset_for_epoch(4), end(4, 9));
        assert_eq!(log.end_offset_for_epoch(5), end(-1, -1));
        assert_eq!(log.epoch_for_offset(3), Some(4));
    };
    check(&log);
    // A crash that loses the checkpoint: the batches tell.
    disk.unlink(&Path::new(DIR).join("leader-epoch-checkpoint")).unwrap();
    let log = PartitionLog::open(opening(&disk, Path::new(DIR), small())).unwrap();
    check(&log);
    log.truncate_to(3, NOW_MS).unwrap();
    assert_eq!(log.end_offset_for_epoch(0), end(0, 3));
    assert_eq!(log.end_offset_for_epoch(4), end(-1, -1));
}

#[test]
fn epochs_of_records_that_are_there_again_are_found_in_them() {
    let disk = new_sim();
    let log = new_log(&disk, Path::new(DIR), small()).unwrap();
    for (epoch, first) in [(1, 0), (1, 3), (2, 6), (5, 9), (5, 12), (6, 15)] {
        log.begin_leader_epoch(epoch).unwrap();
        let how = AppendAsLeader { leader_epoch: epoch, ..as_leader() };
        let bytes = batch(first, 3, BatchOptions::default());
        log.append_as_leader(&Validated::from_built(bytes).unwrap(), how).unwrap();
        if first == 12 {
            log.advance_log_start(13).unwrap();
        }
    }
    // The list is written with the first epoch from 13 on, and the new log start is lost.
    log.flush().unwrap();
    for (log_start_offset, epochs) in
        [(13, vec![]), (10, vec![(12, 5)]), (7, vec![(7, 2), (12, 5)]), (0, vec![(0, 1), (8, 2)])]
    {
        let copy = OpenLog { log_start_offset, ..opening(&disk, Path::new(DIR), small()) };
        let log = PartitionLog::open(copy).unwrap();
        for (offset, epoch) in epochs {
            assert_eq!(log.epoch_for_offset(offset), Some(epoch), "{offset} of {log_start_offset}");
        }
        assert_eq!(log.epoch_for_offset(13), Some(5));
        assert_eq!(log.latest_epoch(), Some(6));
        assert_eq!(log.epoch_for_offset(log_start_offset - 1), None);
    }
}

#[test]
fn a_follower_gets_the_leaders_bytes() {
    let leader = new_log(&new_sim(), Path::new(DIR), small()).unwrap();
    for first in (0..30).step_by(3) {
        append(&leader, first, 3).unwrap();
    }
    let follower = new_log(&new_sim(), Path::new(DIR), LogConfig { segment_bytes: 700, ..small() });
    let follower = follower.unwrap();
    while let Some(region) = read_at(&leader, follower.offsets().log_end_offset, 250) {
        let bytes = bytes_of(&region);
        follower.append_as_follower(&bytes, NOW_MS).unwrap();
    }
    assert_eq!(all_values(&follower), all_values(&leader));
    assert_eq!(follower.end_offset_for_epoch(0), leader.end_offset_for_epoch(0));

    let bytes = bytes_of(&read_at(&leader, 0, 1 << 20).unwrap());
    let refused = follower.append_as_follower(&bytes, NOW_MS);
    assert!(matches!(
        refused,
        Err(AppendError::UnexpectedOffset { first_offset: 0, log_end_offset: 30 })
    ));
    assert!(matches!(follower.append_as_follower(&bytes[..50], NOW_MS), Err(AppendError::Empty)));
    let mut broken = bytes;
    broken[80] ^= 1;
    assert!(matches!(follower.append_as_follower(&broken, NOW_MS), Err(AppendError::Batch(_))));
    assert_eq!(follower.offsets().log_end_offset, 30);
}

#[test]
fn rolls_by_time() {
    let config = LogConfig { segment_ms: 10, segment_bytes: 100_000, ..small() };
    let log = new_log(&new_sim(), Path::new(DIR), config).unwrap();
    // Record timestamps count: the value is the time.
    for (value, segments) in [(0, 1), (5, 1), (10, 1), (11, 2), (21, 2), (22, 3), (4, 3)] {
        append(&log, value, 1).unwrap();
        assert_eq!(log.segments_count(), segments, "at {value}");
    }
}

#[test]
fn rolls_before_offsets_overflow() {
    let log = new_log(&new_sim(), Path::new(DIR), small()).unwrap();
    append(&log, 0, 1).unwrap();
    let far = i64::from(i32::MAX) + 1;
    let mut bytes = batch(1, 1, BatchOptions::default());
    let view = ottla_protocol::record::batch::BatchHeader::new(&bytes).unwrap();
    let header = HeaderFields { base_offset: far, partition_leader_epoch: 0, ..view.into() };
    bytes[..61].copy_from_slice(&header.to_bytes());
    log.append_as_follower(&bytes, NOW_MS).unwrap();
    assert_eq!(log.segments_count(), 2);
    assert_eq!(log.offsets().log_end_offset, far + 1);
    assert_eq!(values_from(&log, far, 100), [1]);
    assert!(read_at(&log, 5, 100).is_some(), "a gap is read over");
}

#[test]
fn too_much_for_a_segment_is_refused() {
    let log = new_log(&new_sim(), Path::new(DIR), small()).unwrap();
    let outcome = append(&log, 0, 40);
    assert!(matches!(outcome, Err(AppendError::RecordListTooLarge { segment_bytes: 400, .. })));
    assert_eq!(log.offsets().log_end_offset, 0);
}

#[test]
fn one_sync_serves_many_appends() {
    let root = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(ottla_storage::disk::RealDisk);
    let config = LogConfig { flush_messages: 1, ..LogConfig::default() };
    let log = new_log(&disk, &root.path().join("t-0"), config).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..25 {
                    let appended = append(log, thread * 100 + n, 1).unwrap();
                    assert!(log.recovery_point() > appended.last_offset);
                    assert!(log.offsets().high_watermark > appended.last_offset);
                }
            });
        }
    });
    assert_eq!(all_values(&log).len(), 100);
}

#[test]
fn readers_beside_an_appender_see_whole_batches() {
    let root = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(ottla_storage::disk::RealDisk);
    let log =
        new_log(&disk, &root.path().join("t-0"), LogConfig { segment_bytes: 4_000, ..small() })
            .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 0..600 {
                append(&log, value, 1).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut next = 0;
                while next < 600 {
                    let Some(region) = read_at(&log, next, 300) else {
                        thread::yield_now();
                        continue;
                    };
                    let bytes = bytes_of(&region);
                    for batch in ottla_protocol::record::set::Batches::new(&bytes) {
                        let batch = batch.unwrap();
                        batch.check_crc().unwrap();
                        assert_eq!(batch.header().base_offset(), next);
                        next = batch.header().last_offset() + 1;
                    }
                }
            });
        }
    });
}
