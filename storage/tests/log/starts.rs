//! What a start changes must be durable before anything relies on it: found by crash points.

use std::path::Path;
use std::sync::Arc;

use ottla_storage::disk::{Disk, Open};
use ottla_storage::log::PartitionLog;
use ottla_storage::sim::{CrashStyle, SimDisk};

use crate::harness::{append, new_log, opening, small};

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

/// A log start that is the base of a segment is in no checkpoint.
#[test]
fn a_log_that_starts_over_does_so_for_good() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drop(new_log(&shared, Path::new(DIR), small()).unwrap());
    disk.sync_dir(Path::new(DIR)).unwrap();
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
