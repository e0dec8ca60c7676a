//! Rules of compaction, one at a time.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression, Compressor};
use ottla_protocol::record::set::Batches;
use ottla_storage::cleaner::{CleanOutcome, Cleaner, CleanerSettings, FullSpeed, Pace};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{Isolation, TimestampQuery};
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::retention::TrustedNow;
use ottla_storage::sim::{Fault, OpKind, SimDisk};
use ottla_storage::validate::Validated;

use super::{
    Found, append, clean_all, clean_with, compacted, compressed, consume, create, end_txn, log_of,
    open, plain, put, table, tombstone,
};
use crate::harness::{NOW_MS, as_leader, read_at};

fn offsets(found: &[Found]) -> Vec<i64> {
    found.iter().map(|record| record.offset).collect()
}

fn all(log: &ottla_storage::log::PartitionLog) -> Vec<Found> {
    consume(log, Isolation::HighWatermark, 1 << 20)
}

fn disk() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    (disk.clone(), Arc::new(disk))
}

/// Appends 40 batches, each with another value of one key: several segments, and only the last
/// batch is to stay.
fn put_over_and_over(log: &ottla_storage::log::PartitionLog) {
    for n in 0..40 {
        append(log, &[put(1, n)], plain());
    }
}

#[test]
fn of_each_key_the_last_record_stays_and_small_segments_are_merged() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    for n in 0..40_u32 {
        append(&log, &[put((n % 4) as u8, n)], plain());
    }
    let segments = log.segments_count();
    // As many as fit one segment of this size become one.
    log.set_config(LogConfig {
        segment_bytes: 100_000,
        segment_index_bytes: 4096,
        ..config.clone()
    });
    let reports = clean_all(&manager, NOW_MS);
    assert_eq!(reports.len(), 1);
    let tally = reports[0].tally;
    assert_eq!((tally.keys, tally.segments_read), (4, segments - 1));
    assert!(tally.bytes_written < tally.bytes_read && tally.segments_written == 1, "{tally:?}");
    assert_eq!(log.segments_count(), 2);
    let CleanOutcome::Cleaned { end_offset } = reports[0].outcome else { unreachable!() };
    let kept = offsets(&all(&log));
    let expected: Vec<i64> = (end_offset - 4..40).collect();
    assert_eq!(kept, expected);
    assert_eq!(manager.cleaned_offset(&log), Some(end_offset));
    let checkpoint = sim.contents(Path::new("data/cleaner-offset-checkpoint")).unwrap();
    assert_eq!(checkpoint, format!("0\n1\nt 0 {end_offset}\n").as_bytes());
    assert!(sim.files().iter().any(|path| path.ends_with("0.log.deleted")));
    manager.remove_due_files(i64::MAX);
    assert!(!sim.files().iter().any(|path| path.ends_with(".deleted")));
    // Nothing is dirty now, and a start finds the same.
    assert!(clean_all(&manager, NOW_MS).is_empty());
    manager.close(1).unwrap();
    let manager = open(&disk, &config);
    assert_eq!(offsets(&all(&log_of(&manager))), expected);
    assert_eq!(manager.cleaned_offset(&log_of(&manager)), Some(end_offset));
}

#[test]
fn batches_keep_their_codec_range_and_timestamps() {
    let (_, disk) = disk();
    let config = LogConfig { segment_bytes: 1000, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for codec in codecs {
        append(&log, &[put(1, 1), put(codec.id() + 10, 2), put(1, 3)], compressed(codec));
    }
    while log.segments_count() == 1 {
        append(&log, &[put(1, 9)], plain());
    }
    clean_all(&manager, NOW_MS);
    let region = read_at(&log, 0, 1 << 20).unwrap();
    let bytes = crate::harness::bytes_of(&region);
    let batches: Vec<_> = Batches::new(&bytes).map(Result::unwrap).collect();
    for (n, codec) in codecs.into_iter().enumerate() {
        let header = batches[n].header();
        assert_eq!(batches[n].codec(), Some(codec));
        let range = (header.base_offset(), header.last_offset(), header.records_count());
        assert_eq!(range, (n as i64 * 3, n as i64 * 3 + 2, 1));
    }
    let found = all(&log);
    assert!(found.iter().all(|record| record.timestamp == NOW_MS + record.offset));
}

#[test]
fn tombstones_stay_until_their_horizon() {
    let (_, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    append(&log, &[put(1, 1), put(2, 2)], plain());
    append(&log, &[tombstone(1)], plain());
    let fill = || {
        let count = log.segments_count();
        while log.segments_count() == count {
            append(&log, &[put(9, 9)], plain());
        }
    };
    fill();
    clean_all(&manager, NOW_MS);
    assert_eq!(offsets(&all(&log))[..2], [1, 2], "the value is gone, the tombstone is not");
    fill();
    clean_all(&manager, NOW_MS + 999);
    assert_eq!(offsets(&all(&log))[..2], [1, 2]);
    fill();
    clean_all(&manager, NOW_MS + 1000);
    let found = all(&log);
    assert_eq!((found[0].offset, found[1].key), (1, 9));
    assert!(found.iter().all(|record| record.key != 1));
}

#[test]
fn what_is_undecided_or_young_is_not_touched() {
    let (_, disk) = disk();
    let config = LogConfig { min_compaction_lag_ms: 100, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    put_over_and_over(&log);
    assert!(clean_all(&manager, NOW_MS + 50).is_empty());
    assert!(!clean_all(&manager, NOW_MS + 120).is_empty());
    // A transaction that is open.
    let producer = BatchOptions {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..plain()
    };
    let first = append(&log, &[put(1, 100)], producer);
    put_over_and_over(&log);
    clean_all(&manager, NOW_MS + 1000);
    assert!(manager.cleaned_offset(&log).unwrap() <= first);
    end_txn(&log, 7, true);
    clean_all(&manager, NOW_MS + 1000);
    assert!(manager.cleaned_offset(&log).unwrap() > first);
}

#[test]
fn what_is_too_old_is_cleaned_however_little_it_is() {
    let (_, disk) = disk();
    let config = LogConfig { min_cleanable_dirty_ratio: 1.0, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    put_over_and_over(&log);
    assert!(clean_all(&manager, NOW_MS + 10_000).is_empty());
    log.set_config(LogConfig { max_compaction_lag_ms: 5000, ..config });
    assert!(clean_all(&manager, NOW_MS + 5000).is_empty());
    assert_eq!(clean_all(&manager, NOW_MS + 5001).len(), 1);
}

#[test]
fn producers_are_remembered_by_headers_and_the_log_end_too() {
    let (_, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    let producer = |base_sequence| BatchOptions {
        producer_id: 5,
        producer_epoch: 0,
        base_sequence,
        ..plain()
    };
    append(&log, &[put(1, 1), put(1, 2)], producer(0));
    append(&log, &[put(1, 3), put(1, 4)], producer(2));
    put_over_and_over(&log);
    clean_all(&manager, NOW_MS);
    let region = read_at(&log, 0, 1 << 20).unwrap();
    let bytes = crate::harness::bytes_of(&region);
    let first = Batches::new(&bytes).next().unwrap().unwrap();
    let header = first.header();
    assert_eq!((header.base_offset(), header.last_offset()), (2, 3));
    assert_eq!((header.records_count(), first.bytes().len()), (0, 61));
    assert_eq!((header.producer_id(), header.base_sequence()), (5, 2));
    // After a crash that leaves only the log, the next sequence is still known.
    let last = |manager: &ottla_storage::manager::LogManager| {
        log_of(manager).with_producers(|state| state.producer(5).unwrap().last_sequence())
    };
    drop(manager);
    assert_eq!(last(&open(&disk, &config)), 3);
}

#[test]
fn aborted_records_go_and_markers_follow() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    let txn = |base_sequence| BatchOptions {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence,
        transactional: true,
        ..plain()
    };
    append(&log, &[put(1, 1)], plain());
    append(&log, &[put(1, 100), put(2, 100)], txn(0));
    end_txn(&log, 7, false);
    append(&log, &[put(3, 5)], txn(2));
    end_txn(&log, 7, true);
    let fill = || {
        let count = log.segments_count();
        while log.segments_count() == count {
            append(&log, &[put(9, 9)], plain());
        }
    };
    fill();
    clean_all(&manager, NOW_MS);
    assert_eq!(offsets(&all(&log))[..2], [0, 4], "1 and 2 were aborted, and 3 and 5 are markers");
    let markers = |from: i64| {
        let bytes = crate::harness::bytes_of(&read_at(&log, from, 1 << 20).unwrap());
        let control = |batch: &ottla_protocol::record::set::Batch<'_>| {
            batch.header().attributes().is_control() && batch.header().records_count() > 0
        };
        let batches = Batches::new(&bytes).map(Result::unwrap).filter(control);
        batches.map(|batch| batch.header().base_offset()).collect::<Vec<_>>()
    };
    assert_eq!(markers(0), [3, 5]);
    let index = Path::new("data/t-0/00000000000000000000.txnindex");
    assert_eq!(sim.contents(index).unwrap().len(), 34);
    // Nothing is left before the abort: its marker gets a horizon, and goes after it.
    fill();
    clean_all(&manager, NOW_MS + 10);
    assert_eq!(markers(0), [3, 5]);
    assert_eq!(sim.contents(index), None, "its entry is gone");
    fill();
    clean_all(&manager, NOW_MS + 1010);
    assert_eq!(markers(0), [5], "3 is gone, 5 ends a transaction that has records");
    assert_eq!(consume(&log, Isolation::TxnCommitted, 1 << 20), all(&log));
}

#[test]
fn a_small_map_takes_several_passes() {
    let (_, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    for n in 0..200_u32 {
        append(&log, &[put((n % 50) as u8, n)], plain());
    }
    let settings = CleanerSettings { map_bytes: 24 * 10, ..CleanerSettings::default() };
    assert!(clean_with(&manager, NOW_MS, settings).len() > 10);
    let cleaned = manager.cleaned_offset(&log).unwrap();
    let found = all(&log);
    let below = found.iter().filter(|record| record.offset < cleaned).count();
    assert_eq!(below, 50);
}

#[test]
fn damage_is_not_copied_and_the_log_is_left_alone() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    put_over_and_over(&log);
    manager.checkpoint_recovery_points().unwrap();
    let before = sim.files();
    sim.corrupt(Path::new("data/t-0/00000000000000000000.log"), 65, &[0xff]);
    let report = Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &FullSpeed);
    assert!(matches!(report.unwrap().outcome, CleanOutcome::Failed(_)));
    assert!(clean_all(&manager, NOW_MS).is_empty());
    assert_eq!(manager.uncleanable(), [TopicPartition::new("t", 0)]);
    assert!(log.log_dir().is_online());
    assert_eq!(sim.files(), before, "nothing was left or removed");
    manager.delete(&TopicPartition::new("t", 0), 1, NOW_MS).unwrap();
    assert!(manager.uncleanable().is_empty());
}

/// Gives up at the `n`th chunk.
struct GiveUp(std::cell::Cell<u32>);

impl Pace for GiveUp {
    fn spend(&self, bytes: u64, is_unwanted: &dyn Fn() -> bool) -> bool {
        assert!(bytes > 0 && !is_unwanted());
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() > 0
    }
}

#[test]
fn a_cleaning_that_is_given_up_leaves_nothing() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    put_over_and_over(&log);
    let before = all(&log);
    let settings = CleanerSettings { buffer_bytes: 100, ..CleanerSettings::default() };
    for n in 1.. {
        let pace = GiveUp(std::cell::Cell::new(n));
        let report = Cleaner::new(settings).clean_once(&manager, NOW_MS, &pace).unwrap();
        let unfinished = |path: &&String| path.ends_with(".cleaned") || path.ends_with(".swap");
        assert_eq!(sim.files().iter().filter(unfinished).count(), 0);
        if matches!(report.outcome, CleanOutcome::Cleaned { .. }) {
            assert!(n > 20, "{n} chunks");
            break;
        }
        assert!(matches!(report.outcome, CleanOutcome::GivenUp));
        // Whole segments may be done.
        assert_eq!(table(&all(&log)), table(&before));
        assert_eq!(manager.cleaned_offset(&log), None);
    }
    assert!(all(&log).len() < before.len());
}

#[test]
fn compacted_and_deleted_too() {
    let (_, disk) = disk();
    let config = LogConfig { cleanup_delete: true, retention_ms: 1000, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    for n in 0..40 {
        append(&log, &[put(n as u8, n)], plain());
    }
    clean_all(&manager, NOW_MS);
    let at = |now_ms| TrustedNow { now_ms, doubted_ms: 0, is_new_doubt: false };
    assert!(!manager.delete_old_segments_of_compacted(at(NOW_MS + 1000)).expired.is_any());
    let report = manager.delete_old_segments_of_compacted(at(NOW_MS + 2000));
    assert!(report.expired.by_time.segments > 0 && report.errors.is_empty());
    assert_eq!((all(&log).len(), log.offsets().log_start_offset), (0, 40));
    append(&log, &[put(1, 1)], plain());
    assert_eq!(offsets(&all(&log)), [40]);
    assert!(clean_all(&manager, NOW_MS + 2000).is_empty());
}

#[test]
fn a_truncation_makes_dirty_what_it_cuts() {
    let (_, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    for n in 0..100 {
        append(&log, &[put((n % 50) as u8, n)], plain());
    }
    clean_all(&manager, NOW_MS);
    let cleaned = manager.cleaned_offset(&log).unwrap();
    assert!(cleaned > 60);
    manager.truncate_to(&log, 60, NOW_MS).unwrap();
    assert_eq!(log.offsets().log_end_offset, 60);
    let lowered = manager.cleaned_offset(&log).unwrap();
    assert!(lowered <= 60, "{lowered}");
    for n in 100..150 {
        append(&log, &[put((n % 50) as u8, n)], plain());
    }
    clean_all(&manager, NOW_MS);
    assert!(manager.cleaned_offset(&log).unwrap() > 60);
    let found = all(&log);
    assert!(found.iter().filter(|record| record.offset < 90).all(|record| record.offset >= 10));
}

#[test]
fn timestamps_are_found_across_gaps() {
    let (_, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    for n in 0..40_u32 {
        append(&log, &[put((n % 20) as u8, n)], plain());
    }
    clean_all(&manager, NOW_MS);
    let found = all(&log);
    for wanted in 0..40 {
        let answer = log.offset_for_timestamp(TimestampQuery::At(NOW_MS + wanted)).unwrap();
        let expected = found.iter().find(|record| record.offset >= wanted);
        assert_eq!(answer.map(|at| at.offset), expected.map(|record| record.offset), "{wanted}");
    }
    assert_eq!(log.offset_for_timestamp(TimestampQuery::At(NOW_MS + 40)).unwrap(), None);
    let max = log.offset_for_timestamp(TimestampQuery::MaxTimestamp).unwrap();
    assert_eq!(max.unwrap().offset, 39);
}

#[test]
fn records_without_a_key_go() {
    let (_, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    // Such a topic was not always compacted.
    log.set_config(LogConfig { segment_bytes: 10_000, ..config });
    for n in 0..100 {
        crate::harness::append(&log, n, 2).unwrap();
    }
    log.set_config(LogConfig { segment_bytes: 100_000, ..log.config().as_ref().clone() });
    let reports = clean_all(&manager, NOW_MS);
    let tally = reports[0].tally;
    assert_eq!(tally.records_without_key, tally.records_read);
    assert_eq!(tally.records_kept, 0);
    assert!(read_at(&log, 0, 1 << 20).is_some());
}

/// A record that was sent compressed may be many times as large as `max.message.bytes`.
#[test]
fn a_record_that_decompresses_to_much_is_compacted_too() {
    let (_, disk) = disk();
    let config = LogConfig { segment_bytes: 20_000, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    let value = vec![0; 9 << 20];
    let mut builder = BatchBuilder::new(compressed(Codec::Zstd)).unwrap();
    for key in [1, 2] {
        let (key, value) = (&[key], &value[..(9 << 20) / key as usize]);
        let record =
            NewRecord { timestamp: NOW_MS, key: Some(key), value: Some(value), headers: &[] };
        builder.append(&record).unwrap();
    }
    let batch = Validated::from_built(builder.build().unwrap()).unwrap();
    assert!(batch.size_bytes() < 20_000);
    log.append_as_leader(&batch, as_leader()).unwrap();
    while log.segments_count() == 1 {
        append(&log, &[put(2, 1)], plain());
    }
    let tally = clean_all(&manager, NOW_MS)[0].tally;
    assert_eq!((tally.keys, manager.uncleanable().len()), (2, 0));
    let bytes = crate::harness::bytes_of(&read_at(&log, 0, 1 << 20).unwrap());
    let first = Batches::new(&bytes).next().unwrap().unwrap();
    assert_eq!((first.header().base_offset(), first.header().records_count()), (0, 1));
}

/// Adds up what it is told.
struct Sum(std::cell::Cell<u64>);

impl Pace for Sum {
    fn spend(&self, bytes: u64, _is_unwanted: &dyn Fn() -> bool) -> bool {
        self.0.set(self.0.get() + bytes);
        true
    }
}

#[test]
fn all_that_is_read_and_written_counts() {
    let (_, disk) = disk();
    let config = LogConfig { segment_bytes: 10_000, segment_index_bytes: 1000, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    for n in 0..1000 {
        append(&log, &[put(1, n)], plain());
    }
    let sum = Sum(std::cell::Cell::new(0));
    let report = Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &sum);
    let tally = report.unwrap().tally;
    // Once to count the records, once to note the keys, once to copy.
    let read = 2 * tally.bytes_mapped + tally.bytes_read;
    assert!(tally.bytes_mapped > 50_000 && sum.0.get() >= read + tally.bytes_written);
}

/// Which offsets a batch has no checksum covers.
#[test]
fn an_offset_too_far_from_its_segment_is_damage() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    let set = |base_offset: i64| {
        let mut batch = crate::harness::batch(0, 1, plain());
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        batch[12..16].copy_from_slice(&0_i32.to_be_bytes());
        batch
    };
    let size = set(0).len() as u64;
    for offset in [0, 1, 1 << 33] {
        log.append_as_follower(&set(offset), NOW_MS).unwrap();
    }
    log.advance_high_watermark(i64::MAX);
    assert_eq!(log.segments_count(), 2);
    let path = Path::new("data/t-0/00000000000000000000.log");
    sim.corrupt(path, size, &(1_i64 << 32).to_be_bytes());
    let report = Cleaner::new(CleanerSettings::default()).clean_once(&manager, NOW_MS, &FullSpeed);
    let CleanOutcome::Failed(error) = report.unwrap().outcome else { panic!("it is damaged") };
    assert!(error.to_string().contains("out of the segment's reach"), "{error}");
    assert_eq!(manager.uncleanable().len(), 1);
}

#[test]
fn damage_met_when_a_log_is_chosen_is_told_once() {
    let (sim, disk) = disk();
    let config = LogConfig { max_compaction_lag_ms: 1000, ..compacted() };
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    put_over_and_over(&log);
    sim.corrupt(Path::new("data/t-0/00000000000000000000.log"), 8, &[0xff; 4]);
    assert!(clean_all(&manager, NOW_MS).is_empty());
    assert_eq!(manager.uncleanable(), [log.topic_partition().clone()]);
}

/// What a checkpoint says of a log that was deleted, or has lost its end, says nothing of what
/// is appended later.
#[test]
fn a_checkpoint_of_what_is_lost_is_forgotten() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    append(&log, &[put(1, 0)], plain());
    manager.close(1).unwrap();
    drop((log, manager));
    let path = Path::new("data/cleaner-offset-checkpoint");
    let text = b"0\n2\nt 0 40\ngone 0 40\n";
    let file = disk.open(path, ottla_storage::disk::Open::Create).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(text)], 0).unwrap();
    drop(file);
    let manager = open(&disk, &config);
    assert_eq!(sim.contents(path).unwrap(), b"0\n0\n");
    let log = log_of(&manager);
    for n in 1..80 {
        append(&log, &[put(1, n)], plain());
    }
    let tally = clean_all(&manager, NOW_MS)[0].tally;
    assert_eq!(tally.first_dirty_offset, 0);
}

/// A log that is deleted is forgotten even if that cannot be written down.
#[test]
fn a_deleted_log_is_forgotten_on_a_full_disk_too() {
    let (sim, disk) = disk();
    let config = compacted();
    let manager = open(&disk, &config);
    let log = create(&manager, &config);
    put_over_and_over(&log);
    clean_all(&manager, NOW_MS);
    let full = Fault::on(OpKind::Write, 28).path("-checkpoint.tmp").sticky();
    sim.inject(full);
    assert!(manager.delete(log.topic_partition(), 1, NOW_MS).is_err());
    sim.clear_faults();
    let log = create(&manager, &config);
    assert_eq!(manager.cleaned_offset(&log), None);
}

/// A message of magic 0 or 1, as brokers before 0.11 wrote it.
fn old_message(
    magic: u8,
    offset: i64,
    attributes: u8,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend((NOW_MS + offset).to_be_bytes());
    }
    for field in [key, value] {
        let length = field.map_or(-1, |field| field.len() as i32);
        body.extend(length.to_be_bytes());
        body.extend(field.unwrap_or_default());
    }
    let mut message = offset.to_be_bytes().to_vec();
    message.extend((body.len() as i32 + 4).to_be_bytes());
    message.extend(crc32fast::hash(&body).to_be_bytes());
    message.extend(body);
    message
}

#[test]
fn old_messages_become_batches() {
    let (sim, disk) = disk();
    let config = LogConfig { segment_bytes: 400, ..compacted() };
    let manager = open(&disk, &config);
    drop((create(&manager, &config), manager));
    let value = |n: u32| n.to_be_bytes();
    let inner: Vec<u8> = [(0, 3_u8), (1, 1), (2, 4)]
        .iter()
        .flat_map(|(n, key)| old_message(1, *n, 0, Some(&[*key]), Some(&value(50 + *n as u32))))
        .collect();
    let mut compressor = Compressor::new(Compression::new(Codec::Gzip), Vec::new()).unwrap();
    compressor.write_all(&inner).unwrap();
    let blob = compressor.finish().unwrap();
    let set = [
        old_message(0, 0, 0, Some(&[1]), Some(&value(1))),
        old_message(0, 1, 0, Some(&[2]), Some(&value(2))),
        old_message(1, 2, 0, Some(&[3]), None),
        old_message(1, 5, Codec::Gzip.id(), None, Some(&blob)),
        old_message(1, 6, 0, Some(&[4]), None),
    ]
    .concat();
    let path = Path::new("data/t-0/00000000000000000000.log");
    let file = disk.open(path, ottla_storage::disk::Open::ReadWrite).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&set)], 0).unwrap();
    drop(file);
    let manager = open(&disk, &config);
    let log = log_of(&manager);
    assert_eq!(log.offsets().log_end_offset, 7);
    while log.segments_count() == 1 {
        append(&log, &[put(9, 9)], plain());
    }
    clean_all(&manager, NOW_MS);
    assert!(manager.uncleanable().is_empty());
    let found = all(&log);
    let brief: Vec<_> =
        found[..4].iter().map(|one| (one.offset, one.key, one.value, one.timestamp)).collect();
    // Offset 3 has key 3, and so on.
    let expected = [
        (1, 2, Some(2), -1),
        (3, 3, Some(50), NOW_MS),
        (4, 1, Some(51), NOW_MS + 1),
        (6, 4, None, NOW_MS + 6),
    ];
    assert_eq!(brief, expected);
    let bytes = sim.contents(path).unwrap();
    assert!(Batches::new(&bytes).all(|batch| batch.is_ok()), "all are of magic 2");
}

/// Any byte of a sealed segment may be another: nothing panics, and what is not seen to be damaged
/// was not covered by a sum.
#[test]
fn any_damage_is_an_error_at_most() {
    let config = compacted();
    let path = Path::new("data/t-0/00000000000000000000.log");
    for at in 0..300 {
        let bit = if at % 2 == 0 { 0x01 } else { 0x80 };
        let (sim, disk) = disk();
        let manager = open(&disk, &config);
        let log = create(&manager, &config);
        for n in 0..20 {
            let codec = Codec::from_id((n % 5) as u8).unwrap();
            append(&log, &[put(1, n), put(2, n)], compressed(codec));
        }
        let byte = sim.contents(path).unwrap()[at];
        sim.corrupt(path, at as u64, &[byte ^ bit]);
        let mut cleaner = Cleaner::new(CleanerSettings::default());
        let report = cleaner.clean_once(&manager, NOW_MS, &FullSpeed).unwrap();
        let is_seen = matches!(report.outcome, CleanOutcome::Failed(_));
        assert_eq!(is_seen, !manager.uncleanable().is_empty(), "byte {at}");
        assert!(log.log_dir().is_online(), "byte {at}");
    }
}
