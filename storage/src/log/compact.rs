//! Putting cleaned segments in the place of those that they were made of.
//!
//! 1. The directory is synced: a start after a kill sees names of the last swap that may not be
//!    durable, and a `.swap` that came back beside a `.cleaned` would be removed. Then the output
//!    is written and synced under names that end in `.cleaned`. A load removes these.
//! 2. They are renamed `.swap`, and the directory is synced. From here on a load finishes the swap.
//! 3. The old segments are retired: readers that hold their files go on, others wait for step 5.
//!    Their files are renamed `.deleted`, and the directory is synced: an old segment that came
//!    back beside the new one would bring its records twice.
//! 4. The `.swap` files get the names that count, and the directory is synced.
//! 5. The list of segments is replaced.
//!
//! Appends never wait. Reads and syncs wait from step 3 to 5: for renames and two syncs of a
//! directory.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::structure::Cleaning;
use super::{PartitionLog, Removal};
use crate::cleaner::LastRecord;
use crate::error::StorageError;
use crate::file_name::{FileKind, segment_file_name};
use crate::segment::{CLEANED, CleanedSegment, NewCleaned, SWAP, Segment};
use crate::txn_index;

/// The files of a segment that the cleaner makes.
const KINDS: [FileKind; 4] =
    [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex];

impl PartitionLog {
    /// All segments as they are now.
    pub(crate) fn segments_now(&self) -> Arc<Vec<Arc<Segment>>> {
        self.segments.all()
    }

    /// What the log has last of each of its producers.
    pub(crate) fn last_records(&self) -> HashMap<i64, LastRecord> {
        self.with_producers(|state| {
            let last = |(producer_id, entry): (i64, &crate::producer_state::ProducerEntry)| {
                let last_data_offset = entry.last_batch().map(|batch| batch.last_offset);
                let producer_epoch = entry.producer_epoch;
                (producer_id, LastRecord { last_data_offset, producer_epoch })
            };
            state.producers().map(last).collect()
        })
    }

    /// Aborted transactions with records within `bounds`, as the indexes have them.
    pub(crate) fn aborted_between(
        &self,
        bounds: Range<i64>,
    ) -> Result<Vec<txn_index::AbortedTxn>, StorageError> {
        let mut aborted = Vec::new();
        for segment in self.segments.from(bounds.start) {
            let path = segment.path_of(FileKind::TxnIndex);
            let found = txn_index::search(&*self.disk, &path, bounds.clone())?;
            aborted.extend(found.aborted);
            if found.is_complete {
                break;
            }
        }
        Ok(aborted)
    }

    /// Makes everything below `offset` durable: what recovery looks at again must not have been
    /// cleaned, since it could not tell a gap from a loss.
    pub(crate) fn flush_below(&self, offset: i64) -> Result<(), StorageError> {
        self.check_open()?;
        self.flush_to(offset)?;
        if self.recovery_point() < offset {
            // A roll is noted, of a segment whose indexes are not durable.
            self.flush_sealed()?;
        }
        Ok(())
    }

    /// Begins a segment that will replace some from `base_offset` on.
    pub(crate) fn create_cleaned(
        &self,
        base_offset: i64,
        buffer_bytes: usize,
    ) -> Result<CleanedSegment, StorageError> {
        self.log_dir.watch(self.sync_dir())?;
        let config = self.config.load();
        CleanedSegment::create(NewCleaned {
            disk: &self.disk,
            dir: &self.dir,
            base_offset,
            index_bytes: config.segment_index_bytes,
            index_interval_bytes: config.index_interval_bytes,
            buffer_bytes,
        })
    }

    /// Removes what a cleaning has left that was given up. What cannot be removed is left to the
    /// next load.
    pub(crate) fn discard_cleaned(&self, base_offset: i64) {
        // A load would take some of the finished ones for the rest of a swap, but for none beside
        // an unfinished one: so one becomes that again, until the others are gone for good.
        let (swap, unfinished) =
            [SWAP, CLEANED].map(|suffix| self.path_with(base_offset, FileKind::Log, suffix)).into();
        match self.disk.rename(&swap, &unfinished) {
            Ok(()) => {
                if self.log_dir.watch(self.sync_dir()).is_err() {
                    return;
                }
                self.unlink_all(base_offset, SWAP);
                if self.log_dir.watch(self.sync_dir()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                log::warn!("{}: {error}; what is left of a cleaning stays", swap.display());
                return;
            }
        }
        self.unlink_all(base_offset, CLEANED);
    }

    fn unlink_all(&self, base_offset: i64, suffix: &str) {
        for kind in KINDS {
            let path = self.path_with(base_offset, kind, suffix);
            if let Err(error) = super::leftovers::unlink(&*self.disk, &path) {
                log::warn!("{error}");
            }
        }
    }

    fn path_with(&self, base_offset: i64, kind: FileKind, suffix: &str) -> PathBuf {
        let mut name = segment_file_name(base_offset, kind);
        name.push_str(suffix);
        self.dir.join(name)
    }

    /// Puts the finished output at the base of the first of `old` in their place. `old` are sealed
    /// neighbors. After an error the output is gone, or the log directory is offline and a load
    /// will finish what was begun.
    pub(crate) fn swap_in(
        &self,
        _cleaning: &Cleaning<'_>,
        old: &[Arc<Segment>],
        now_ms: i64,
    ) -> Result<(), StorageError> {
        self.check_open()?;
        let base_offset = old[0].base_offset();
        // A load tells from a file that is still called so that the output is not finished, so none
        // of the names may be lost.
        self.log_dir.watch(self.sync_dir())?;
        if let Err(error) = self.rename_all(base_offset, CLEANED, SWAP) {
            self.discard_cleaned(base_offset);
            return self.log_dir.watch(Err(error));
        }
        let _turn = self.commit.turn();
        let _swap = self.structure.begin_swap();
        let swapped = self.swap_files(old, now_ms);
        let new = match swapped {
            Ok(new) => new,
            Err(error) => {
                // Neither the old segments nor the new one can be had: a load makes it whole.
                self.log_dir.fail(&error);
                return Err(error);
            }
        };
        let _appender = self.appender();
        let all = self.segments.all();
        let from = all.partition_point(|segment| segment.base_offset() < base_offset);
        let mut segments = all[..from].to_vec();
        segments.push(new);
        segments.extend_from_slice(&all[from + old.len()..]);
        self.segments.replace(segments);
        Ok(())
    }

    fn swap_files(&self, old: &[Arc<Segment>], now_ms: i64) -> Result<Arc<Segment>, StorageError> {
        let base_offset = old[0].base_offset();
        self.sync_dir()?;
        let due_ms = now_ms.saturating_add(self.config.load().file_delete_delay_ms);
        for segment in old {
            let is_first = segment.base_offset() == base_offset;
            let kept = is_first.then_some(FileKind::ProducerSnapshot);
            let renamed = segment.mark_deleted_but(kept)?;
            self.removals().extend(renamed.into_iter().map(|path| Removal { path, due_ms }));
            if !is_first {
                self.producers().snapshots.remove(segment.base_offset());
            }
        }
        self.sync_dir()?;
        self.rename_all(base_offset, SWAP, "")?;
        self.sync_dir()?;
        let (disk, budget) = (Arc::clone(&self.disk), Arc::clone(&self.open_segments));
        Segment::open(disk, &self.dir, base_offset, budget)
    }

    fn rename_all(&self, base_offset: i64, from: &str, to: &str) -> Result<(), StorageError> {
        for kind in KINDS {
            let path = self.path_with(base_offset, kind, from);
            match self.disk.rename(&path, &self.path_with(base_offset, kind, to)) {
                // Most segments have no transaction index.
                Err(error)
                    if kind == FileKind::TxnIndex && error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(StorageError::io("rename", &path))?,
            }
        }
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir))
    }
}
