//! A process that has no more descriptors. It has a program for itself: the limit is one of the
//! process.

use std::fs::File;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ottla_storage::disk::{Disk, RealDisk};

#[test]
fn a_directory_is_synced_when_there_are_no_more() {
    let dir = tempfile::tempdir().unwrap();
    // As at every start: the names of new files are synced while there are descriptors.
    RealDisk.sync_dir(dir.path()).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(File::open(dir.path()).is_err(), "none is left of {}", held.len());
    for _ in 0..3 {
        RealDisk.sync_dir(dir.path()).unwrap();
    }
    assert!(File::open(dir.path()).is_err(), "the spare one is still kept");
}
