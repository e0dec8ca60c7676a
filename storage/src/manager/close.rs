//! Stopping in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::dirs::Dir;
use super::{LogManager, for_each};
use crate::clean_shutdown;
use crate::error::StorageError;
use crate::log::PartitionLog;

/// Logs of a directory that are closed at a time. Closing is waiting for syncs, and syncs that wait
/// together share a commit of the file system's journal.
const CLOSE_THREADS: usize = 8;

impl LogManager {
    /// Closes every log, writes the checkpoints, and marks each directory whose logs were all
    /// closed without an error as cleanly stopped; then lets the locks go. `broker_epoch` goes into
    /// the marker, -1 if not known. Directories are closed at the same time.
    ///
    /// # Errors
    /// The first failure: its directory has no marker and will be recovered.
    pub fn close(&self, broker_epoch: i64) -> Result<(), StorageError> {
        let watermarks = self.checkpoint_high_watermarks();
        let closed: Vec<_> = thread::scope(|scope| {
            let online = self.dirs.iter().filter(|dir| dir.log_dir.is_online());
            let closing: Vec<_> =
                online.map(|dir| scope.spawn(|| self.close_dir(dir, broker_epoch))).collect();
            closing.into_iter().map(|closing| closing.join()).collect()
        });
        let closed = for_each(closed, |outcome| {
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        for dir in &self.dirs {
            dir.unlock(&*self.disk);
        }
        watermarks.and(closed)
    }

    fn close_dir(&self, dir: &Dir, broker_epoch: i64) -> Result<(), StorageError> {
        let closed = close_all(&self.logs_in(&dir.log_dir));
        let checkpointed = self.checkpoint_dir(&dir.log_dir);
        closed.and(checkpointed)?;
        dir.log_dir.check()?;
        let root = dir.log_dir.path();
        clean_shutdown::write(&*self.disk, root, broker_epoch)
            .map_err(StorageError::io("mark as cleanly stopped", root))
    }
}

fn close_all(logs: &[Arc<PartitionLog>]) -> Result<(), StorageError> {
    let next = AtomicUsize::new(0);
    let close_some = || {
        let more = std::iter::from_fn(|| logs.get(next.fetch_add(1, Ordering::Relaxed)));
        for_each(more, |log| log.close())
    };
    let closed: Vec<_> = thread::scope(|scope| {
        let threads = CLOSE_THREADS.min(logs.len());
        let closing: Vec<_> = (0..threads).map(|_| scope.spawn(close_some)).collect();
        closing.into_iter().map(|closing| closing.join()).collect()
    });
    for_each(closed, |outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
