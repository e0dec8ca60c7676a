//! What a start changes must be durable before anything relies on it: found by crash points.

use std::path::Path;
use std::sync::Arc;

use ottla_storage::disk::Disk;
use ottla_storage::log::PartitionLog;
use ottla_storage::sim::{CrashStyle, SimDisk};

use crate::harness::{append, new_log, opening, small};

const DIR: &str = "d/t-0";

fn segments(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().filter(|name| name.ends_with(".log")).collect()
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
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = new_log(&shared, Path::new(DIR), small()).unwrap();
    for n in 0..12 {
        append(&log, n * 3, 3).unwrap();
    }
    log.flush().unwrap();
    drop(log);
    let first = format!("{DIR}/00000000000000000000.log");
    assert!(2 < segments(&disk).len());
    disk.corrupt(Path::new(&first), 100, &[0xff; 8]);
    drop(PartitionLog::open(opening(&shared, Path::new(DIR), small())).unwrap());
    let after = disk.crash(1, CrashStyle::DropPending);
    assert_eq!(segments(&after), [first]);
}
