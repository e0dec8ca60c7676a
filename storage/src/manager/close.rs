//! Stopping in order.

use super::dirs::Dir;
use super::spread::spread;
use super::{LogManager, for_each};
use crate::clean_shutdown;
use crate::error::StorageError;

/// Logs of a directory that are closed at a time. Closing is waiting for syncs, and syncs that wait
/// together share a commit of the file system's journal.
const CLOSE_THREADS: usize = 8;

impl LogManager {
    /// Closes every log, writes the checkpoints, and marks each directory whose logs were all
    /// closed without an error as cleanly stopped; then lets the locks go. `broker_epoch` goes into
    /// the marker, -1 if not known. A directory with a damaged log is not marked. Directories are
    /// closed at the same time.
    ///
    /// # Errors
    /// The first failure: its directory has no marker and will be recovered.
    pub fn close(&self, broker_epoch: i64) -> Result<(), StorageError> {
        let watermarks = self.checkpoint_high_watermarks();
        let online: Vec<_> = self.dirs.iter().filter(|dir| dir.log_dir.is_online()).collect();
        let closed =
            spread(&*self.disk, online.len(), &online, |dir| self.close_dir(dir, broker_epoch));
        let closed = for_each(closed, |outcome| outcome);
        for dir in &self.dirs {
            dir.unlock(&*self.disk);
        }
        watermarks.and(closed)
    }

    fn close_dir(&self, dir: &Dir, broker_epoch: i64) -> Result<(), StorageError> {
        let logs = self.logs_in(&dir.log_dir);
        let closed = spread(&*self.disk, CLOSE_THREADS, &logs, |log| log.close());
        let closed = for_each(closed, |outcome| outcome);
        let checkpointed = self.checkpoint_dir(&dir.log_dir);
        closed.and(checkpointed)?;
        dir.log_dir.check()?;
        let root = dir.log_dir.path();
        let damaged = self.damaged_in(&dir.log_dir);
        if !damaged.is_empty() {
            // A start that finds the mark trusts what it finds, and would serve the damage.
            log::warn!(
                "{}: not marked as cleanly stopped, since {} partitions in it are damaged: the \
                 next start checks the ends of all logs",
                root.display(),
                damaged.len()
            );
            return Ok(());
        }
        let marked = clean_shutdown::write(&*self.disk, root, broker_epoch);
        dir.log_dir.watch(marked.map_err(StorageError::io("mark as cleanly stopped", root)))
    }
}
