//! Recovering the segments of a plan, and telling what was lost.

use std::sync::Arc;

use super::plan::Plan;
use super::{Loader, RebuildTo};
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::leader_epoch::{EpochEntry, LeaderEpochCache};
use crate::log::damage::{Cut, Recovery};
use crate::producer_state::snapshots::{LogRange, Shutdown};
use crate::segment::{BatchAt, BatchScanner, RecoverSegment, Recovered, Segment};
use crate::txn_index;

impl Loader<'_> {
    /// Recovers the segments of the plan, in their order.
    pub(super) fn recover_all(
        &mut self,
        plan: &Plan,
        recovery: &Recovery<'_>,
    ) -> Result<(), StorageError> {
        let recovery_base = self.recovery_base();
        let mut n = 0;
        while let Some(segment) = self.segments.get(n) {
            let base_offset = segment.base_offset();
            if let Some(&summed_to) = plan.get(&base_offset) {
                // The next start trusts those below again, indexes that are there included.
                let recovered = if base_offset < recovery_base {
                    let segment = Arc::clone(segment);
                    let aside = segment.with_indexes_aside()?;
                    let recovered = self.recover(n, &aside, summed_to, recovery)?;
                    segment.take_indexes_of(&aside)?;
                    recovered
                } else {
                    self.recover(n, &Arc::clone(segment), summed_to, recovery)?
                };
                self.has_cut |= recovered.truncated_bytes > 0;
                let may_drop = recovery.cut == Cut::AboveRecoveryPoint;
                let checked = base_offset >= recovery_base && may_drop;
                if self.is_broken_off(n, &recovered, checked) {
                    self.drop_behind(n, &recovered)?;
                } else if recovered.truncated_bytes > 0 {
                    self.tell_cut(n, &recovered, &[]);
                }
            }
            n += 1;
        }
        Ok(())
    }

    /// The leader epochs as the batches tell them, for a log whose list of them is damaged.
    pub(super) fn read_epochs_of_batches(&mut self) -> Result<(), StorageError> {
        for segment in &self.segments {
            let (file, path) = (segment.file()?, segment.path());
            let mut scanner = BatchScanner::new(&*file, &path, 0, segment.size());
            // Damage ends the segment here; the plan has decided about it.
            while let Ok(Some(batch)) = scanner.next() {
                note_epoch(&mut self.epochs, &batch);
            }
            segment.release();
        }
        Ok(())
    }

    /// Puts the epochs of records that the list of them does not reach in front of it. A crash
    /// takes the log start back to its checkpoint, and the list may have been written since the
    /// start was moved: then records are there again whose epochs are not.
    pub(super) fn read_epochs_before_list(&mut self) -> Result<(), StorageError> {
        let Some(first) = self.epochs.earliest() else { return Ok(()) };
        if first.start_offset <= self.log_start_offset {
            return Ok(());
        }
        let mut epochs = LeaderEpochCache::default();
        for segment in &self.segments {
            let (file, path) = (segment.file()?, segment.path());
            let mut scanner = BatchScanner::new(&*file, &path, 0, segment.size());
            let mut is_reached = false;
            while let Ok(Some(batch)) = scanner.next()
                && !is_reached
                && batch.base_offset < first.start_offset
                && batch.leader_epoch <= first.epoch
            {
                note_epoch(&mut epochs, &batch);
                // They never fall: what follows up to the list is of this epoch.
                is_reached = batch.leader_epoch == first.epoch;
            }
            segment.release();
            if is_reached || first.start_offset <= segment.base_offset() {
                break;
            }
        }
        for entry in self.epochs.entries() {
            // None is negative, which is all that could be wrong.
            let _changed = epochs.assign(*entry);
        }
        self.epochs = epochs;
        Ok(())
    }

    /// Checks segment number `n` and builds the indexes of `segment`, which has its batches, with
    /// what else these tell.
    fn recover(
        &mut self,
        n: usize,
        segment: &Arc<Segment>,
        summed_to: u64,
        recovery: &Recovery<'_>,
    ) -> Result<Recovered, StorageError> {
        log::debug!("{}: recovering", segment.path().display());
        let base_offset = segment.base_offset();
        let log_start_offset = self.log_start_offset.min(base_offset);
        let at_end = self.snapshot_at_end(n);
        let mut producers = match self.recovered_up_to(base_offset) {
            Some(producers) => producers,
            None => {
                let mut producers = self.producers();
                producers.rebuild(
                    &self.segments[..n],
                    RebuildTo {
                        range: LogRange { log_start_offset, end_offset: base_offset },
                        after: Shutdown::Unclean,
                        now_ms: self.open.now_ms,
                    },
                    &mut |_, _| Ok(()),
                )?;
                producers
            }
        };
        let (epochs, disk) = (&mut self.epochs, &*self.disk);
        txn_index::reset(disk, &segment.path_of(FileKind::TxnIndex))?;
        let how = RecoverSegment {
            index_bytes: self.open.config.segment_index_bytes,
            index_interval_bytes: self.open.config.index_interval_bytes,
            summed_to,
            on_bytes: recovery.on_bytes,
        };
        let recovered = segment.recover(&how, &mut |found| {
            if found.batch.magic < 2 {
                producers.state.set_map_end_offset(found.batch.last_offset + 1);
                return Ok(());
            }
            note_epoch(epochs, found.batch);
            let control = found.control.unwrap_or_default();
            producers.replay_batch(segment, found.header, control, &mut |segment, txn| {
                crate::log::txn::add(disk, segment, &[txn])
            })
        })?;
        producers.take_snapshot_on_the_way()?;
        if let Some(offset) = at_end
            && !producers.snapshots.contains(offset)
        {
            producers.remove_files(&[offset])?;
        }
        self.snapshots = producers.snapshots.clone();
        self.recovered_producers = Some(producers);
        Ok(recovered)
    }

    /// Takes the snapshot out of the set that was taken at the log end, if segment `n` is the last.
    /// It counts for nothing now. But where nothing was appended since, the one to be taken behind
    /// the recovery is the same again: to remove the files of thousands of logs and make them anew
    /// was half of the time of a start.
    fn snapshot_at_end(&mut self, n: usize) -> Option<i64> {
        let base_offset = self.segments[n].base_offset();
        let is_last = n + 1 == self.segments.len();
        let offset = self.snapshots.newest().filter(|offset| is_last && base_offset < *offset)?;
        self.snapshots.remove(offset);
        Some(offset)
    }

    /// Whether segments behind number `n` do not join on to it. Kafka asks only whether it was cut.
    /// But a power loss may also take a whole number of batches off the end of a segment, or the
    /// name of a segment, and leave a later one: unless compaction could have made the gap, the
    /// later ones are then not what followed the record that is now last. Below the log start,
    /// where an unfinished removal leaves gaps, nothing is anybody's loss; below the recovery
    /// point, where all was durable, no loss of power made it.
    fn is_broken_off(&self, n: usize, recovered: &Recovered, checked: bool) -> bool {
        let Some(next) = self.segments.get(n + 1) else { return false };
        if next.base_offset() <= self.open.log_start_offset {
            return false;
        }
        let gap = recovered.next_offset < next.base_offset()
            && next.base_offset() > self.open.recovery_point;
        recovered.truncated_bytes > 0 || checked && gap && !self.open.config.cleanup_compact
    }

    /// Segment `n` was cut: what follows it no longer joins on.
    fn drop_behind(&mut self, n: usize, recovered: &Recovered) -> Result<(), StorageError> {
        let dropped = self.segments.split_off(n + 1);
        self.tell_cut(n, recovered, &dropped);
        // From the end, so that a kill leaves no gap; and for good: one that came back would be in
        // the way of what is appended in its place.
        let last_first: Vec<_> = dropped.into_iter().rev().collect();
        self.remove(&last_first)?;
        self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir))
    }

    /// Says exactly what is gone.
    fn tell_cut(&self, n: usize, recovered: &Recovered, dropped: &[Arc<Segment>]) {
        let Recovered { truncated_bytes, next_offset, ref problem, lost_to } = *recovered;
        let lost_to = match dropped.last() {
            Some(last) => last.read_end().ok().map(|(end_offset, _)| end_offset),
            None => lost_to,
        };
        let bytes = dropped.iter().map(|segment| segment.size()).sum::<u64>() + truncated_bytes;
        let path = self.segments[n].path();
        let path = path.display();
        let at = self.segments[n].size();
        let why = problem.as_deref().unwrap_or("the next segment does not join on");
        let files = dropped.len() + usize::from(truncated_bytes > 0);
        match lost_to.map(|end| end - 1).filter(|last| *last >= next_offset) {
            Some(last) => log::warn!(
                "{path}: cut off at byte {at}: {why}; records with offsets {next_offset} to \
                 {last}, {bytes} bytes in {files} files, had not been flushed and are lost"
            ),
            None => log::warn!(
                "{path}: cut off at byte {at}: {why}; {bytes} bytes held no whole batch; the log \
                 goes on with offset {next_offset}"
            ),
        }
    }
}

fn note_epoch(epochs: &mut LeaderEpochCache, batch: &BatchAt) {
    let (epoch, start_offset) = (batch.leader_epoch, batch.base_offset);
    if epoch >= 0 && epochs.latest().is_none_or(|latest| latest.epoch < epoch) {
        // Neither is negative, which is all that could be wrong.
        let _changed = epochs.assign(EpochEntry { epoch, start_offset });
    }
}
