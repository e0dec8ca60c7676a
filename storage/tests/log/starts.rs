//! What a start changes must be durable before anything relies on it: found by crash points.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::BatchOptions;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, Open};
use ottla_storage::log::{OpenLog, PartitionLog, TimestampQuery};
use ottla_storage::sim::{CrashStyle, SimDisk, Stop};

use crate::harness::{NOW_MS, all_values, append, batch, new_log, opening, small};

const DIR: &str = "d/t-0";

fn segments(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().filter(|name| name.ends_with(".log")).collect()
}

/// A log of 12 batches of 3 records in several segments, flushed and left as a kill leaves it.
fn flushed() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = new_log(&shared, Path::new(DIR), small()).unwrap();
    for n in 0..12 {
        append(&log, n * 3, 3).unwrap();
    }
    log.flush().unwrap();
    drop(log);
    (disk, shared)
}

/// A durable log without records.
fn empty() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drop(new_log(&shared, Path::new(DIR), small()).unwrap());
    disk.sync_dir(Path::new(DIR)).unwrap();
    (disk, shared)
}

/// A log start that is the base of a segment is in no checkpoint.
#[test]
fn a_log_that_starts_over_does_so_for_good() {
    let (disk, shared) = empty();
    let mut open = opening(&shared, Path::new(DIR), small());
    open.log_start_offset = 5;
    drop(PartitionLog::open(open).unwrap());
    let after = disk.crash(1, CrashStyle::DropPending);
    assert_eq!(segments(&after), [format!("{DIR}/00000000000000000005.log")]);
}

/// A dropped segment that comes back lies amid what was appended in its place.
#[test]
fn a_segment_that_does_not_join_on_stays_away() {
    let (disk, shared) = flushed();
    let first = format!("{DIR}/00000000000000000000.log");
    assert!(2 < segments(&disk).len());
    disk.corrupt(Path::new(&first), 100, &[0xff; 8]);
    drop(PartitionLog::open(opening(&shared, Path::new(DIR), small())).unwrap());
    let after = disk.crash(1, CrashStyle::DropPending);
    assert_eq!(segments(&after), [first]);
}

/// Below the recovery point a start looks only at the shape of indexes, so those that it makes anew
/// there must be on the disk before the next one.
#[test]
fn indexes_made_anew_below_the_recovery_point_stay() {
    let (disk, shared) = flushed();
    for kind in ["index", "timeindex"] {
        let path = format!("{DIR}/00000000000000000000.{kind}");
        let path = Path::new(&path);
        let before = disk.durable_contents(path).unwrap();
        assert!(!before.is_empty());
        disk.unlink(path).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        let mut open = opening(&shared, Path::new(DIR), small());
        open.recovery_point = 36;
        drop(PartitionLog::open(open).unwrap());
        let after = disk.crash(1, CrashStyle::DropPending);
        assert_eq!(after.contents(path), Some(before), "{kind}");
    }
}

/// Zeros are what a page reads as that was never written.
#[test]
fn a_time_index_of_zeros_is_made_anew() {
    let (disk, shared) = flushed();
    let path = format!("{DIR}/00000000000000000000.timeindex");
    let path = Path::new(&path);
    let before = disk.contents(path).unwrap();
    let file = disk.open(path, Open::ReadWrite).unwrap();
    file.set_len(12).unwrap();
    disk.corrupt(path, 0, &[0; 12]);
    let mut open = opening(&shared, Path::new(DIR), small());
    open.recovery_point = 36;
    drop(PartitionLog::open(open).unwrap());
    assert_eq!(disk.contents(path), Some(before));
}

/// Opens the log that a crash has left, of which everything below `recovery_point` was flushed.
fn reopen(disk: &SimDisk, recovery_point: i64, log_start_offset: i64) -> Arc<PartitionLog> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let open = opening(&shared, Path::new(DIR), small());
    PartitionLog::open(OpenLog { recovery_point, log_start_offset, ..open }).unwrap()
}

/// Below the recovery point a start looks only at the shape of indexes: what a power loss amid
/// making them anew leaves must not look well and be wrong.
#[test]
fn a_power_loss_amid_making_indexes_anew_leaves_none_that_lie() {
    let (flushed, _) = flushed();
    for kind in ["index", "timeindex"] {
        let path = format!("{DIR}/00000000000000000000.{kind}");
        flushed.unlink(Path::new(&path)).unwrap();
        flushed.sync_dir(Path::new(DIR)).unwrap();
        for op in 0..24 {
            let disk = flushed.crash(0, CrashStyle::ProcessKill);
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            disk.stop(Stop::Before(disk.ops() + op));
            let mut open = opening(&shared, Path::new(DIR), small());
            open.recovery_point = 36;
            drop(PartitionLog::open(open));
            for (n, style) in CrashStyle::POWER_LOSS.into_iter().enumerate() {
                let seed = op.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(n as u32);
                let log = reopen(&disk.crash(seed, style), 36, 0);
                let found = log.offset_for_timestamp(TimestampQuery::At(NOW_MS + 1)).unwrap();
                let how = format!("{kind} {op} {style:?}");
                assert_eq!(found.map(|found| found.offset), Some(1), "{how}");
                assert_eq!(all_values(&log), (0..36).collect::<Vec<u64>>(), "{how}");
            }
        }
    }
}

/// Indexes on their way to be made anew have the names of unfinished output, beside which a start
/// discards finished output: a kill amid finishing a swap has left names that are not durable.
#[test]
fn indexes_are_made_anew_only_where_the_last_swap_is_durable() {
    let (flushed, _) = flushed();
    let path = |kind: &str| format!("{DIR}/00000000000000000000.{kind}");
    let rename = |from: &str, to: &str| flushed.rename(Path::new(from), Path::new(to)).unwrap();
    flushed.unlink(Path::new(&path("index"))).unwrap();
    for kind in ["log", "timeindex"] {
        rename(&path(kind), &format!("{}.swap", path(kind)));
    }
    flushed.sync_dir(Path::new(DIR)).unwrap();
    for kind in ["log", "timeindex"] {
        rename(&format!("{}.swap", path(kind)), &path(kind));
    }
    for op in 0..24 {
        let disk = flushed.crash(0, CrashStyle::ProcessKill);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        disk.stop(Stop::Before(disk.ops() + op));
        let open = opening(&shared, Path::new(DIR), small());
        drop(PartitionLog::open(OpenLog { recovery_point: 36, ..open }));
        for seed in 0..16_u64 {
            let seed = (seed * 41 + op).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let log = reopen(&disk.crash(seed, CrashStyle::Names), 36, 0);
            let all = (0..36).collect::<Vec<u64>>();
            assert_eq!(all_values(&log), all, "{op}, seed {seed}");
        }
    }
}

/// A log without its first segment looks as retention leaves one: nothing of it may stay that lies
/// behind a segment whose name is lost.
#[test]
fn a_log_never_loses_its_first_records_alone() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = new_log(&shared, Path::new(DIR), small()).unwrap();
    for n in 0..12 {
        append(&log, n * 3, 3).unwrap();
    }
    for seed in 0..64 {
        let log = reopen(&disk.crash(seed << 32 | seed, CrashStyle::Names), 0, 0);
        assert_eq!(log.offsets().log_start_offset, 0, "seed {seed}");
    }
    // The same where retention has taken the first segments, and the log start is written down.
    log.advance_log_start(20).unwrap();
    assert!(0 < log.remove_expired_segments(NOW_MS).unwrap());
    for seed in 0..64 {
        let log = reopen(&disk.crash(seed << 32 | seed, CrashStyle::Names), 0, 20);
        assert_eq!(log.offsets().log_start_offset, 20, "seed {seed}");
    }
}

/// What a start has cut off must not come back behind what was appended in its place.
#[test]
fn what_a_start_cuts_off_stays_away() {
    let (disk, _shared) = empty();
    let second = batch(3, 3, BatchOptions { base_offset: 3, ..BatchOptions::default() });
    let file =
        disk.open(Path::new(&format!("{DIR}/00000000000000000000.log")), Open::ReadWrite).unwrap();
    file.write_all_at(&[IoSlice::new(&vec![0; second.len()])], 0).unwrap();
    file.write_all_at(&[IoSlice::new(&second)], second.len() as u64).unwrap();
    let log = reopen(&disk, 0, 0);
    assert_eq!(append(&log, 0, 3).unwrap().base_offset, 0);
    for seed in 0..64_u64 {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let log = reopen(&disk.crash(seed, CrashStyle::Subset), 0, 0);
        assert!(log.offsets().log_end_offset <= 3, "seed {seed}");
    }
}

/// A log of two batches behind which a truncation, or a start, has cut two durable ones off, and
/// was killed before it could sync that.
fn cut_and_killed() -> SimDisk {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = new_log(&shared, Path::new(DIR), LogConfig::default()).unwrap();
    append(&log, 0, 3).unwrap();
    append(&log, 3, 3).unwrap();
    let path = segments(&disk).pop().unwrap();
    let kept = disk.contents(Path::new(&path)).unwrap().len() as u64;
    append(&log, 6, 3).unwrap();
    append(&log, 9, 3).unwrap();
    log.flush().unwrap();
    shared.open(Path::new(&path), Open::ReadWrite).unwrap().set_len(kept).unwrap();
    disk
}

/// What was cut off before a kill must not come back either behind what the next start appends,
/// which sees no more than a log that ends well.
#[test]
fn what_was_cut_off_before_a_kill_stays_away() {
    for segment_bytes in [200, 1 << 20] {
        let disk = cut_and_killed();
        let log = reopen(&disk, 6, 0);
        log.set_config(LogConfig { segment_bytes, ..LogConfig::default() });
        assert_eq!(append(&log, 6, 1).unwrap().base_offset, 6);
        for seed in 0..64_u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let log = reopen(&disk.crash(seed, CrashStyle::Subset), 6, 0);
            assert!(log.offsets().log_end_offset <= 7, "{segment_bytes}, seed {seed}");
            assert!(all_values(&log).len() <= 7, "{segment_bytes}, seed {seed}");
        }
    }
}

/// An orderly stop vouches for where the log ends.
#[test]
fn what_was_cut_off_stays_away_after_an_orderly_stop() {
    let disk = cut_and_killed();
    let path = segments(&disk)[0].clone();
    reopen(&disk, 6, 0).close().unwrap();
    let after = disk.crash(1, CrashStyle::DropPending);
    assert_eq!(after.contents(Path::new(&path)), disk.contents(Path::new(&path)));
}

/// A start does not know whether names that it sees, or misses, are durable.
#[test]
fn a_segment_that_a_killed_start_has_dropped_stays_away() {
    let (disk, shared) = flushed();
    let all = segments(&disk);
    let dropped = all.last().unwrap();
    disk.rename(Path::new(dropped), Path::new(&format!("{dropped}.deleted"))).unwrap();
    let log = PartitionLog::open(opening(&shared, Path::new(DIR), small())).unwrap();
    let end = log.offsets().log_end_offset;
    assert_eq!(append(&log, end as u64, 1).unwrap().base_offset, end);
    let after = disk.crash(1, CrashStyle::DropPending);
    assert!(!segments(&after).contains(dropped));
}

/// A recovery point in front of the first segment, as of a lost checkpoint, does not keep a sync
/// from what is there.
#[test]
fn a_sync_reaches_a_log_that_begins_behind_its_recovery_point() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drop(new_log(&shared, Path::new(DIR), small()).unwrap());
    let log = reopen(&disk, 0, 5);
    assert_eq!(append(&log, 5, 3).unwrap().base_offset, 5);
    log.flush().unwrap();
    let after = disk.crash(1, CrashStyle::DropPending);
    assert_eq!(all_values(&reopen(&after, log.recovery_point(), 5)), [5, 6, 7]);
}

fn snapshot_at_end() -> String {
    format!("{DIR}/00000000000000000036.snapshot")
}

/// With thousands of logs, files that are made anew for nothing are most of a start.
#[test]
fn a_crash_that_left_all_well_costs_no_write() {
    let (disk, shared) = flushed();
    PartitionLog::open(opening(&shared, Path::new(DIR), small())).unwrap().close().unwrap();
    assert!(disk.files().contains(&snapshot_at_end()));
    let before = disk.ops();
    let mut open = opening(&shared, Path::new(DIR), small());
    open.recovery_point = 36;
    drop(PartitionLog::open(open).unwrap());
    assert_eq!(disk.ops(), before, "{:#?}", disk.trace_before(disk.ops()));
}

/// Neither what is left of one, nor one of records that are lost.
#[test]
fn a_snapshot_at_the_end_stays_only_if_it_is_right() {
    let (disk, shared) = flushed();
    let open = || {
        let mut open = opening(&shared, Path::new(DIR), small());
        open.recovery_point = 30;
        PartitionLog::open(open).unwrap()
    };
    open().close().unwrap();
    let snapshot = snapshot_at_end();
    let snapshot = Path::new(&snapshot);
    let before = disk.contents(snapshot).unwrap();
    disk.corrupt(snapshot, 3, &[0xff]);
    drop(open());
    assert_eq!(disk.contents(snapshot), Some(before));
    let last = segments(&disk).pop().unwrap();
    let last = shared.open(Path::new(&last), Open::ReadWrite).unwrap();
    last.set_len(last.len().unwrap() - 1).unwrap();
    let log = open();
    assert_eq!(log.offsets().log_end_offset, 33);
    assert_eq!(disk.contents(snapshot), None);
}
