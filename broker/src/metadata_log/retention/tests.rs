//! Snapshots and what they stand for, by size and by time.

use ottla_metadata::controller::Records;
use ottla_protocol::metadata::cluster::NoOpRecord;
use ottla_storage::disk::Disk;
use ottla_storage::sim::SimDisk;

use super::super::tests::{NOW_MS, SETTINGS, bootstrap, open_with};
use super::*;

fn grow(log: &mut MetadataLog, replay: &mut Replay, now_ms: i64) {
    let mut records = Records::new();
    records.push(&NoOpRecord::default().into(), 0);
    log.append(&records, now_ms).unwrap();
    log.sync().unwrap();
    log.replay(replay).unwrap();
}

fn ends(log: &MetadataLog) -> Vec<i64> {
    let mut ids = snapshots(&*log.disk, &log.dir).unwrap();
    ids.sort_unstable();
    ids.iter().map(|id| id.end_offset).collect()
}

fn segments(disk: &SimDisk, log: &MetadataLog) -> usize {
    let entries = disk.list(&log.dir).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(".log")).count()
}

#[test]
fn a_snapshot_is_due_by_bytes_and_by_time_if_there_is_anything_new() {
    let disk = SimDisk::new();
    let settings =
        MetadataSettings { metadata_log_max_record_bytes_between_snapshots: 2000, ..SETTINGS };
    let (mut log, mut replay) = open_with(&disk, settings).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    log.snapshot_if_due(&replay, NOW_MS).unwrap();
    assert!(ends(&log).is_empty(), "small growth is no reason");
    while log.due.bytes < 2000 {
        grow(&mut log, &mut replay, NOW_MS);
    }
    log.snapshot_if_due(&replay, NOW_MS).unwrap();
    let first = replay.offset() + 1;
    assert_eq!(ends(&log), [first]);

    log.snapshot_if_due(&replay, NOW_MS + 7_200_000).unwrap();
    assert_eq!(ends(&log), [first], "nothing is new");
    grow(&mut log, &mut replay, NOW_MS);
    log.snapshot_if_due(&replay, NOW_MS + 3_599_999).unwrap();
    assert_eq!(ends(&log), [first]);
    log.snapshot_if_due(&replay, NOW_MS + 3_600_000).unwrap();
    assert_eq!(ends(&log), [first, first + 1]);
}

#[test]
fn each_byte_since_the_last_snapshot_counts_once() {
    let disk = SimDisk::new();
    for _ in 0..2 {
        let (mut log, mut replay) = open_with(&disk, SETTINGS).unwrap();
        assert_eq!(log.due.bytes, log.log.size_bytes());
        bootstrap(&mut log, &mut replay).unwrap();
        assert_eq!(log.due.bytes, log.log.size_bytes());
        log.close().unwrap();
    }
}

#[test]
fn the_oldest_snapshot_and_the_log_below_the_next_go_by_age() {
    let disk = SimDisk::new();
    let settings = MetadataSettings { metadata_log_segment_bytes: 1000, ..SETTINGS };
    let (mut log, mut replay) = open_with(&disk, settings.clone()).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    for day in 0..3 {
        for _ in 0..20 {
            grow(&mut log, &mut replay, NOW_MS + day * 86_400_000);
        }
        log.snapshot(&replay, NOW_MS).unwrap();
    }
    let all = ends(&log);
    let before = segments(&disk, &log);
    log.clean(NOW_MS + 604_800_000).unwrap();
    assert_eq!(ends(&log), all, "not yet older than a week");
    log.clean(NOW_MS + 604_800_001).unwrap();
    assert_eq!(ends(&log), all[1..]);
    assert_eq!(log.log.offsets().log_start_offset, all[1]);
    assert!(segments(&disk, &log) < before);
    log.clean(NOW_MS + 100 * 86_400_000).unwrap();
    assert_eq!(ends(&log), all[2..], "the last one stays");

    let image = replay.image().clone();
    log.close().unwrap();
    let (_, again) = open_with(&disk, settings).unwrap();
    assert_eq!(again.image().features(), image.features());
    assert_eq!(again.offset(), image.offset() + 1, "and one leader change more");
}

#[test]
fn the_oldest_snapshots_go_by_size() {
    let disk = SimDisk::new();
    let settings = MetadataSettings {
        metadata_log_segment_bytes: 1000,
        metadata_max_retention_bytes: 3000,
        ..SETTINGS
    };
    let (mut log, mut replay) = open_with(&disk, settings).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    for _ in 0..6 {
        grow(&mut log, &mut replay, NOW_MS);
        log.snapshot(&replay, NOW_MS).unwrap();
    }
    let all = ends(&log);
    log.clean(NOW_MS).unwrap();
    let kept = ends(&log);
    assert!((1..6).contains(&kept.len()), "{kept:?}");
    assert!(all.ends_with(&kept));
    let bytes: u64 = snapshots(&disk, &log.dir)
        .unwrap()
        .into_iter()
        .map(|id| log.snapshot_size_bytes(id).unwrap())
        .sum();
    assert!(kept.len() == 1 || bytes + log.log.size_bytes() <= 3000, "{bytes}");
}

#[test]
fn a_snapshot_says_how_old_it_is() {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open_with(&disk, SETTINGS).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    let (_, bytes) = snapshot::of_replay(&replay, NOW_MS + 5).unwrap();
    assert_eq!(last_contained_log_timestamp(&bytes), Some(NOW_MS));
    assert_eq!(last_contained_log_timestamp(&bytes[..70]), None);
}

/// A good snapshot, then a damaged one, both of records of last week, with all of the log; and the
/// level of metadata.version in them.
fn damaged_behind_good(settings: &MetadataSettings) -> (SimDisk, i16) {
    let disk = SimDisk::new();
    let (mut log, mut replay) = open_with(&disk, settings.clone()).unwrap();
    bootstrap(&mut log, &mut replay).unwrap();
    for _ in 0..2 {
        for _ in 0..20 {
            grow(&mut log, &mut replay, NOW_MS - 8 * 86_400_000);
        }
        log.snapshot(&replay, NOW_MS).unwrap();
    }
    log.close().unwrap();
    let mut ids = snapshots(&disk, &log.dir).unwrap();
    ids.sort_unstable();
    let path = log.dir.join(ids[1].to_string());
    let mut bytes = whole_file::read(&disk, &path).unwrap().unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    whole_file::replace(&disk, &path, &bytes).unwrap();
    (disk, replay.image().metadata_version())
}

#[test]
fn nothing_goes_that_only_a_damaged_snapshot_stands_for() {
    let segments = MetadataSettings { metadata_log_segment_bytes: 1000, ..SETTINGS };
    let small = MetadataSettings { metadata_max_retention_bytes: 1, ..segments.clone() };
    for settings in [segments, small] {
        let (disk, version) = damaged_behind_good(&settings);
        let (mut log, replay) = open_with(&disk, settings.clone()).unwrap();
        let before = ends(&log);
        for minute in 0..3 {
            log.snapshot_if_due(&replay, NOW_MS + minute * CLEAN_EVERY_MS).unwrap();
        }
        assert!(ends(&log).starts_with(&before), "{before:?} became {:?}", ends(&log));
        assert_eq!(log.log.offsets().log_start_offset, 0);
        log.close().unwrap();
        let (again, replay_again) = open_with(&disk, settings.clone()).unwrap();
        assert_eq!(replay_again.image().metadata_version(), version);

        // A good one stands for all of them, be they damaged or not.
        let (mut log, mut replay) = (again, replay_again);
        grow(&mut log, &mut replay, NOW_MS);
        log.snapshot(&replay, NOW_MS).unwrap();
        log.clean(NOW_MS).unwrap();
        assert_eq!(ends(&log), [replay.offset() + 1]);
        assert_eq!(log.log.offsets().log_start_offset, replay.offset() + 1);
        log.close().unwrap();
        let (_, replay) = open_with(&disk, settings).unwrap();
        assert_eq!(replay.image().metadata_version(), version);
    }
}

#[test]
fn a_snapshot_that_rots_while_the_log_is_open_costs_nothing() {
    let (disk, _) = damaged_behind_good(&SETTINGS);
    let (mut log, mut replay) = open_with(&disk, SETTINGS).unwrap();
    grow(&mut log, &mut replay, NOW_MS);
    log.snapshot(&replay, NOW_MS).unwrap();
    let before = ends(&log);
    let path = log.dir.join(snapshots(&disk, &log.dir).unwrap().iter().max().unwrap().to_string());
    whole_file::replace(&disk, &path, b"").unwrap();
    log.clean(NOW_MS + 100 * 86_400_000).unwrap();
    assert_eq!(ends(&log), before);
    log.close().unwrap();
    open_with(&disk, SETTINGS).unwrap();
}
