//! Fetches: at every offset, across rolls, with bounds, by time, and of sealed segments that are
//! opened and closed as they are read.

use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, RealDisk};
use ottla_storage::log::{
    Isolation, LogRole, PartitionLog, Read, ReadError, TimestampAndOffset, TimestampQuery,
};
use ottla_storage::sim::SimDisk;
use ottla_storage::validate::Validated;

use crate::harness::{
    NOW_MS, all_values, append, as_leader, batch, check_every_offset, new_log, opening, read_at,
    small, values_from,
};

fn new_sim() -> Arc<dyn Disk> {
    Arc::new(SimDisk::new())
}

const DIR: &str = "data/t-0";

/// Rolls at every number of index entries that a segment may have, and fetches at every offset of
/// every sealed segment.
#[test]
fn every_offset_after_rolls_at_every_index_position() {
    for entries in 2u32..8 {
        for count in 1..4 {
            let log = new_log(
                &new_sim(),
                Path::new(DIR),
                LogConfig { segment_bytes: 100_000, segment_index_bytes: entries * 12, ..small() },
            )
            .unwrap();
            let mut value = 0;
            while log.segments_count() < 5 {
                append(&log, value, count).unwrap();
                value += count;
            }
            check_every_offset(&log);
        }
    }
}

#[test]
fn every_offset_with_sparse_indexes_of_the_real_disk() {
    let root = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let dir = root.path().join("t-0");
    let config = LogConfig { segment_bytes: 3_000, ..LogConfig::default() };
    let config = LogConfig { index_interval_bytes: 300, ..config };
    let log = new_log(&disk, &dir, config.clone()).unwrap();
    for value in 0..150 {
        append(&log, value, 1).unwrap();
    }
    assert!(log.segments_count() > 3);
    check_every_offset(&log);
    log.close().unwrap();
    let mut open = opening(&disk, &dir, config);
    open.after = ottla_storage::producer_state::snapshots::Shutdown::Clean;
    check_every_offset(&PartitionLog::open(open).unwrap());
}

#[test]
fn a_damaged_index_only_costs_time() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = LogConfig { segment_bytes: 2_000, segment_index_bytes: 4_096, ..small() };
    let log = new_log(&shared, Path::new(DIR), config.clone()).unwrap();
    for value in 0..60 {
        append(&log, value, 1).unwrap();
    }
    let segments = log.segments_count();
    assert!(segments > 2);
    log.close().unwrap();
    let index = Path::new(DIR).join("00000000000000000000.index");
    let good = disk.contents(&index).unwrap();
    for damage in [vec![0; good.len()], vec![0xff; good.len()], vec![0x11; good.len()]] {
        disk.corrupt(&index, 0, &damage);
        let mut open = opening(&shared, Path::new(DIR), config.clone());
        open.after = ottla_storage::producer_state::snapshots::Shutdown::Clean;
        let log = PartitionLog::open(open).unwrap();
        assert_eq!(all_values(&log), (0..60).collect::<Vec<_>>());
        for offset in 0..60 {
            assert_eq!(values_from(&log, offset, 100)[0], offset as u64);
        }
        log.close().unwrap();
    }
}

fn read(log: &PartitionLog, start_offset: i64, isolation: Isolation) -> Read {
    let _ = log;
    Read { start_offset, bytes_max: 1 << 20, isolation, min_one_batch: true }
}

#[test]
fn reads_end_at_their_bound() {
    let mut open = opening(&new_sim(), Path::new(DIR), small());
    open.environment.disk.create_dir_all(Path::new(DIR)).unwrap();
    open.role = LogRole::Replicated;
    let log = PartitionLog::open(open).unwrap();
    for value in 0..12 {
        append(&log, value, 1).unwrap();
    }
    assert_eq!(log.offsets().high_watermark, 0);
    assert!(read_at(&log, 0, 100).is_none());
    let to_end = log.read(read(&log, 0, Isolation::LogEnd)).unwrap();
    assert!(to_end.region.is_some());
    for high_watermark in 1..=12 {
        assert!(log.advance_high_watermark(high_watermark));
        assert!(!log.advance_high_watermark(high_watermark), "it moves forward only");
        let expected: Vec<u64> = (0..high_watermark as u64).collect();
        assert_eq!(values_from(&log, 0, 1 << 20), expected);
        assert!(read_at(&log, high_watermark, 100).is_none());
    }
    assert!(!log.advance_high_watermark(13), "not beyond the log end");
    for offset in [-1, 13] {
        let outcome = log.read(read(&log, offset, Isolation::HighWatermark));
        assert!(matches!(outcome, Err(ReadError::OffsetOutOfRange { .. })), "{offset}");
    }
    log.advance_log_start(5).unwrap();
    let outcome = log.read(read(&log, 4, Isolation::HighWatermark));
    assert!(matches!(outcome, Err(ReadError::OffsetOutOfRange { requested: 4, .. })));
    assert_eq!(all_values(&log), (5..12).collect::<Vec<_>>());
}

#[test]
fn limits_hold_but_for_the_first_batch() {
    let config = LogConfig { segment_bytes: 10_000, ..small() };
    let log = new_log(&new_sim(), Path::new(DIR), config).unwrap();
    append(&log, 0, 3).unwrap();
    append(&log, 3, 3).unwrap();
    let size = log.size_bytes() as u32 / 2;
    let want = Read {
        start_offset: 1,
        bytes_max: 10,
        isolation: Isolation::HighWatermark,
        min_one_batch: true,
    };
    let whole = log.read(want).unwrap();
    assert_eq!((whole.region.unwrap().length, whole.first_batch_incomplete), (size, false));
    let cut = log.read(Read { min_one_batch: false, ..want }).unwrap();
    assert_eq!((cut.region.unwrap().length, cut.first_batch_incomplete), (10, true));
    let none = log.read(Read { min_one_batch: false, bytes_max: 0, ..want }).unwrap();
    assert!(none.region.is_none() && none.first_batch_incomplete);
    let more = log.read(Read { bytes_max: size + 5, ..want }).unwrap();
    assert_eq!(more.region.unwrap().length, size + 5, "a region may end inside a batch");
}

#[test]
fn offsets_by_time() {
    for codec in [Codec::None, Codec::Zstd] {
        let log = new_log(&new_sim(), Path::new(DIR), small()).unwrap();
        for first in (0..40).step_by(4) {
            let compression = Compression::new(codec);
            let bytes = batch(first, 4, BatchOptions { compression, ..Default::default() });
            log.append_as_leader(&Validated::from_built(bytes).unwrap(), as_leader()).unwrap();
        }
        assert!(log.segments_count() > 1);
        let at = |query| log.offset_for_timestamp(query).unwrap();
        let found = |offset: i64| {
            Some(TimestampAndOffset {
                timestamp_ms: NOW_MS + offset,
                offset,
                leader_epoch: Some(0),
            })
        };
        for offset in 0..40 {
            assert_eq!(at(TimestampQuery::At(NOW_MS + offset)), found(offset), "{codec:?}");
        }
        assert_eq!(at(TimestampQuery::At(0)), found(0));
        assert_eq!(at(TimestampQuery::At(NOW_MS + 40)), None);
        assert_eq!(at(TimestampQuery::MaxTimestamp), found(39));
        log.advance_log_start(17).unwrap();
        assert_eq!(at(TimestampQuery::At(NOW_MS + 2)), found(17));
        let bare =
            |offset| Some(TimestampAndOffset { timestamp_ms: -1, offset, leader_epoch: Some(0) });
        assert_eq!(at(TimestampQuery::Earliest), bare(17));
        assert_eq!(at(TimestampQuery::Latest(Isolation::HighWatermark)), bare(40));
    }
}

#[test]
fn readers_of_removed_segments_keep_what_they_hold() {
    let log = new_log(&new_sim(), Path::new(DIR), small()).unwrap();
    for value in 0..20 {
        append(&log, value, 1).unwrap();
    }
    let region = read_at(&log, 0, 60).unwrap();
    let before = crate::harness::bytes_of(&region);
    log.truncate_fully_and_start_at(50, NOW_MS).unwrap();
    log.remove_due_files(NOW_MS + 60_000);
    assert_eq!(crate::harness::bytes_of(&region), before);
    assert!(read_at(&log, 50, 60).is_none());
    append(&log, 7, 1).unwrap();
    assert_eq!(values_from(&log, 50, 100), [7]);
}

/// A consumer that keeps up asks for what was just appended, which needs no lookup; a roll, a
/// truncation and another append in between must not mislead it.
#[test]
fn the_last_append_is_found_through_rolls_and_truncations() {
    let log = new_log(&new_sim(), Path::new(DIR), small()).unwrap();
    let mut value = 0;
    for round in 0..30u64 {
        let next = log.offsets().log_end_offset;
        let count = 1 + round % 3;
        append(&log, value, count).unwrap();
        assert_eq!(values_from(&log, next, 70), (value..value + count).collect::<Vec<_>>());
        value += count;
        if round % 5 == 4 {
            log.truncate_to(next, NOW_MS).unwrap();
            assert!(read_at(&log, next, 100).is_none());
            append(&log, value, 2).unwrap();
            assert_eq!(values_from(&log, next, 1 << 20), [value, value + 1]);
            value += 2;
        }
    }
}
