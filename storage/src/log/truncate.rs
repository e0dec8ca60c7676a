//! Taking records off the end, and ending the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::offsets::{Mark, Place};
use super::producers::RebuildTo;
use super::{PartitionLog, Removal};
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::producer_state::snapshots::{LogRange, Shutdown};
use crate::segment::Segment;
use crate::txn_index;

impl PartitionLog {
    /// From now on until [`PartitionLog::truncate_to`] is done the recovery point is `offset` at
    /// most. Returns whether a checkpoint may be above that.
    pub(crate) fn begin_truncation(&self, offset: i64) -> bool {
        let may_be_above = self.commit.recovery_point() > offset;
        if may_be_above {
            self.commit.begin_cut(offset);
        }
        may_be_above
    }

    /// Removes all records from `offset` on; a batch that holds `offset` goes whole. The log end is
    /// `offset` afterwards. Does nothing when the log ends there or before.
    ///
    /// A recovery point checkpoint above the new end must have been lowered before, or a start
    /// after a kill finds records gone that it vouches for; see
    /// [`LogManager::truncate_to`](crate::manager::LogManager::truncate_to).
    pub fn truncate_to(&self, offset: i64, now_ms: i64) -> Result<(), StorageError> {
        let _still = self.stop_cleaning();
        let mut appender = self.appender();
        self.check_open()?;
        if offset >= self.marks().log_end().offset {
            self.commit.end_cut();
            return Ok(());
        }
        // A sync under way must not raise the recovery point above the new end.
        let _turn = self.commit.turn();
        let all = self.segments.all();
        if all[0].base_offset() > offset {
            let started = self.start_over_at(offset, now_ms);
            appender.writer = self.new_writer(offset, now_ms);
            self.commit.end_cut();
            return self.log_dir.watch(started);
        }
        let kept = all.partition_point(|segment| segment.base_offset() <= offset);
        let truncated = self.truncate_in_turn(offset, &all[..kept], &all[kept..], now_ms);
        appender.writer = self.new_writer(self.segments.active().base_offset(), now_ms);
        self.log_dir.watch(truncated)
    }

    fn truncate_in_turn(
        &self,
        offset: i64,
        kept: &[Arc<Segment>],
        dropped: &[Arc<Segment>],
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let active = kept.last().expect("the first segment is kept");
        let cut = active.find_batch(offset, active.size())?;
        let position = cut.map_or(active.size(), |batch| batch.position);
        // The offsets first: who looks at them from here on sees nothing that is about to go.
        let place = Place { segment_base_offset: active.base_offset(), position };
        self.marks().truncate_to(Mark { offset, place: Some(place) });
        self.segments.replace(kept.to_vec());
        self.commit.lower_recovery_point(offset, active.base_offset());
        self.commit.end_cut();
        // From the end, so that a kill leaves no gap.
        let last_first: Vec<_> = dropped.iter().rev().cloned().collect();
        self.remove_segments(&last_first, now_ms)?;
        if !dropped.is_empty() {
            self.disk.sync_dir(self.dir()).map_err(StorageError::sync(self.dir()))?;
            active.activate(self.config.load().segment_index_bytes)?;
        }
        active.truncate_to(offset)?;
        // What was cut off must not come back behind what is appended in its place.
        active.flush_log()?;
        txn_index::truncate(&*self.disk, &active.path_of(FileKind::TxnIndex), offset)?;
        {
            let mut epochs = self.epochs();
            if epochs.truncate_from_end(offset) {
                self.write_epochs(&epochs)?;
            }
        }
        let log_start_offset = self.offsets().log_start_offset;
        let mut producers = self.producers();
        producers.rebuild(
            kept,
            RebuildTo {
                range: LogRange { log_start_offset, end_offset: offset },
                after: Shutdown::Unclean,
                now_ms,
            },
            &mut |_, _| Ok(()),
        )?;
        self.marks().set_first_unstable(producers.state.first_unstable_offset());
        Ok(())
    }

    /// Removes everything; the log is empty and begins and ends at `offset` afterwards.
    pub fn truncate_fully_and_start_at(
        &self,
        offset: i64,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let _still = self.stop_cleaning();
        let mut appender = self.appender();
        self.check_open()?;
        let _turn = self.commit.turn();
        let started = self.start_over_at(offset, now_ms);
        appender.writer = self.new_writer(offset, now_ms);
        self.log_dir.watch(started)
    }

    fn start_over_at(&self, offset: i64, now_ms: i64) -> Result<(), StorageError> {
        let _swap = self.structure.begin_swap();
        let all = self.segments.all();
        self.remove_segments(&all, now_ms)?;
        let segment = match self.create_segment(offset) {
            Ok(segment) => segment,
            Err(error) => {
                // Without a segment there is no log to go on with.
                self.log_dir.fail(&error);
                return Err(error);
            }
        };
        self.disk.sync_dir(self.dir()).map_err(StorageError::sync(self.dir()))?;
        self.segments.replace(vec![segment]);
        let place = Place { segment_base_offset: offset, position: 0 };
        self.marks().start_over(Mark { offset, place: Some(place) });
        self.commit.set_recovery_point(offset);
        self.producers().start_over(offset)?;
        let mut epochs = self.epochs();
        if epochs.clear() {
            self.write_epochs(&epochs)?;
        }
        Ok(())
    }

    /// Renames the segments' files, to be unlinked after `file.delete.delay.ms`.
    pub(super) fn remove_segments(
        &self,
        segments: &[Arc<Segment>],
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let due_ms = now_ms.saturating_add(self.config.load().file_delete_delay_ms);
        for segment in segments {
            let renamed = segment.mark_deleted()?;
            self.producers().snapshots.remove(segment.base_offset());
            self.removals().extend(renamed.into_iter().map(|path| Removal { path, due_ms }));
            // A pass may rename hundreds of files.
            thread::yield_now();
        }
        Ok(())
    }

    /// Periodic work: unlinks files whose time has come. What cannot be unlinked is left to the
    /// next load.
    pub fn remove_due_files(&self, now_ms: i64) {
        let mut due = Vec::new();
        let delay_ms = self.config.load().file_delete_delay_ms;
        self.removals().retain_mut(|removal| {
            // A clock that was set back must not keep files for as long as it went back.
            removal.due_ms = removal.due_ms.min(now_ms.saturating_add(delay_ms));
            let is_due = removal.due_ms <= now_ms;
            if is_due {
                due.push(std::mem::take(&mut removal.path));
            }
            !is_due
        });
        for path in due {
            if let Err(error) = super::leftovers::unlink_in_steps(&*self.disk, &path) {
                log::warn!("{error}");
            }
            // Many may be due at once; nobody waits for them.
            thread::yield_now();
        }
    }

    /// Ends the log in order: everything is flushed, indexes are trimmed, producers are kept in a
    /// snapshot. Nothing can be done with it afterwards. A log in a directory that is offline is
    /// left as it is, with an error.
    pub fn close(&self) -> Result<(), StorageError> {
        let _still = self.stop_cleaning();
        let _appender = self.appender();
        self.check_open()?;
        let _turn = self.commit.turn();
        self.closed.store(true, Ordering::Release);
        self.log_dir.watch(self.close_in_turn())
    }

    fn close_in_turn(&self) -> Result<(), StorageError> {
        // Everything is written first and synced once.
        self.producers().take_snapshot()?;
        self.segments.active().end()?;
        self.flush_segments(true)?;
        for segment in self.segments.all().iter() {
            segment.release();
        }
        Ok(())
    }

    /// Closes what is open without writing anything: the log is about to be deleted.
    pub(crate) fn abandon(&self) {
        let _still = self.stop_cleaning();
        let _appender = self.appender();
        let _turn = self.commit.turn();
        self.closed.store(true, Ordering::Release);
        for segment in self.segments.all().iter() {
            segment.retire();
        }
    }
}
