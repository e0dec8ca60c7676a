//! One descriptor that is kept back, so that a directory can be synced when there are no more.
//!
//! A directory is opened anew for each sync: a broker with 10,000 partitions cannot hold one open
//! for each. If that open failed for want of descriptors, a sync would be missing that nothing can
//! make up for, and the log directory would have to go offline, though its disk is well.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::is_out_of_descriptors;

/// The process's own: the limit is one of the process, not of a [`super::Disk`].
pub(super) static SPARE: Spare = Spare { kept: Mutex::new(None) };

/// How often the open is tried when another thread has taken the descriptor that was given up.
const ATTEMPTS_MAX: u32 = 500;
/// Between two of them. All of them take 5 s: longer than a burst of connections or look-ups.
const PAUSE: Duration = Duration::from_millis(10);

/// A descriptor of no use but to be closed. The first sync opens it.
#[derive(Debug)]
pub(super) struct Spare {
    kept: Mutex<Option<File>>,
}

impl Spare {
    /// Syncs the directory that `open` opens, if need be with the descriptor that is kept.
    ///
    /// # Errors
    /// What `open` or the sync says; `EMFILE` and `ENFILE` only after seconds.
    pub(super) fn sync_dir(&self, open: impl Fn() -> io::Result<File>) -> io::Result<()> {
        match open() {
            Err(error) if is_out_of_descriptors(&error) => self.sync_with_spare(&open),
            opened => {
                let synced = opened?.sync_all();
                self.keep();
                synced
            }
        }
    }

    fn sync_with_spare(&self, open: &impl Fn() -> io::Result<File>) -> io::Result<()> {
        // One thread at a time: the others would take the descriptor from each other.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut attempts = 0;
        loop {
            drop(kept.take());
            attempts += 1;
            match open() {
                Err(error) if is_out_of_descriptors(&error) && attempts < ATTEMPTS_MAX => {
                    thread::sleep(PAUSE);
                }
                opened => {
                    let dir = opened?;
                    let synced = dir.sync_all();
                    // Not closed and another one opened: somebody else might come in between.
                    *kept = Some(dir);
                    return synced;
                }
            }
        }
    }

    fn keep(&self) {
        if let Ok(mut kept) = self.kept.try_lock()
            && kept.is_none()
        {
            // The root, for it is always there, and to hold it open keeps nobody from unmounting
            // the file system of a log directory.
            *kept = File::open("/").ok();
        }
    }
}
