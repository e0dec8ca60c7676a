//! Making the indexes of a segment anew that every start trusts.
//!
//! A start checks no more of such indexes than their shape. So what a power loss leaves must at any
//! moment be either what was there, with the reason to make it anew, or all of the new one: they
//! are built under names that a load clears away, in Kafka too, and get the names that count once
//! they are durable.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::cleaned::CLEANED;
use super::{OpenBudget, Segment, Suffixes};
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::txn_index;

impl Segment {
    /// The same batches, with indexes to be built beside the present ones.
    pub(crate) fn with_indexes_aside(&self) -> Result<Arc<Self>, StorageError> {
        // After a kill the names that count may be seen and not durable. The finished output of a
        // cleaning that has its former name again would go, were there unfinished output beside it.
        self.sync_dir()?;
        let (disk, dir, budget) = (Arc::clone(&self.disk), &self.place.dir, OpenBudget::new(1));
        let suffixes = Suffixes { log: "", indexes: CLEANED };
        let base_offset = self.base_offset();
        Ok(Arc::new(Self::with_suffixes(disk, dir, base_offset, budget, suffixes)))
    }

    /// Puts the indexes of `aside`, which were built by a recovery, in the place of its own. All of
    /// it is durable then, its batches too.
    pub(crate) fn take_indexes_of(&self, aside: &Self) -> Result<(), StorageError> {
        let disk = &*self.disk;
        aside.release();
        aside.flush()?;
        txn_index::sync(disk, &aside.path_of(FileKind::TxnIndex))?;
        self.release();
        self.take_file_of(aside, FileKind::TxnIndex)?;
        self.take_file_of(aside, FileKind::TimeIndex)?;
        // A missing offset index is what most often brought this about: while it is not there, all
        // is made anew once more.
        self.sync_dir()?;
        self.take_file_of(aside, FileKind::OffsetIndex)?;
        self.sync_dir()?;
        self.size.store(aside.size(), Ordering::Release);
        self.set_max_timestamp(*aside.max_timestamp_slot());
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        let dir = &self.place.dir;
        self.disk.sync_dir(dir).map_err(StorageError::sync(dir))
    }

    /// Of a segment in which nothing was aborted there is no transaction index.
    fn take_file_of(&self, aside: &Self, kind: FileKind) -> Result<(), StorageError> {
        let (from, to) = (aside.path_of(kind), self.path_of(kind));
        match self.disk.rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map_err(StorageError::io("rename", &from)),
        }
        match self.disk.unlink(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::io("remove", &to)(error))
            }
            _ => Ok(()),
        }
    }
}
