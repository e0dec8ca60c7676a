//! Making records durable: one sync for all who wait.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::PartitionLog;
use crate::error::{StorageError, StorageErrorKind};
use crate::file_name::FileKind;
use crate::producer_state::snapshot;
use crate::segment::Segment;
use crate::txn_index;

/// The recovery point, and who may move it.
///
/// Whoever finds no sync under way makes one for everything appended so far; those who come
/// meanwhile wait, and when it ends the first of them makes the next, for all of them at once. The
/// number of syncs is that of sync times passed, not that of appends.
#[derive(Debug)]
pub(super) struct GroupCommit {
    /// The first offset that is not known to be durable.
    recovery_point: AtomicI64,
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug)]
struct State {
    /// Somebody syncs or truncates.
    busy: bool,
    /// The base offset of the first segment that was sealed and not flushed since. All its records
    /// may be durable already, but then its indexes are not.
    sealed_from: Option<i64>,
    /// For want of space the leader epochs of records from this offset on are in no file: a load
    /// must find them in the records.
    epochs_from: Option<i64>,
    /// The base offset of the segment that is being sealed.
    rolling_from: Option<i64>,
    /// Where the log is about to be cut: what is durable behind it will not be there.
    cutting_to: Option<i64>,
    last_flush_ms: i64,
}

/// Leave to move the recovery point, given back when dropped.
pub(super) struct Turn<'a>(&'a GroupCommit);

impl GroupCommit {
    pub(super) fn new(recovery_point: i64, now_ms: i64) -> Self {
        Self {
            recovery_point: AtomicI64::new(recovery_point),
            state: Mutex::new(State {
                busy: false,
                sealed_from: None,
                epochs_from: None,
                rolling_from: None,
                cutting_to: None,
                last_flush_ms: now_ms,
            }),
            idle: Condvar::new(),
        }
    }

    pub(super) fn recovery_point(&self) -> i64 {
        self.recovery_point.load(Ordering::Acquire)
    }

    pub(super) fn raise_recovery_point(&self, offset: i64) {
        self.recovery_point.fetch_max(offset, Ordering::AcqRel);
    }

    /// Sets it for an emptied log. For the holder of the turn.
    pub(super) fn set_recovery_point(&self, offset: i64) {
        self.recovery_point.store(offset, Ordering::Release);
        self.state().sealed_from = None;
    }

    /// Lowers it to a log end that moved back into the segment at `active_base_offset`. For the
    /// holder of the turn.
    pub(super) fn lower_recovery_point(&self, offset: i64, active_base_offset: i64) {
        self.recovery_point.fetch_min(offset, Ordering::AcqRel);
        self.state().sealed_from.take_if(|sealed| *sealed >= active_base_offset);
    }

    /// The segment at `sealed_base_offset` is about to be sealed. Returns how far a checkpoint may
    /// have been written before; from here on it does not reach beyond that segment.
    pub(super) fn begin_roll(&self, sealed_base_offset: i64) -> i64 {
        self.state().rolling_from = Some(sealed_base_offset);
        self.recovery_point()
    }

    /// It goes on being appended to.
    pub(super) fn undo_roll(&self) {
        self.state().rolling_from = None;
    }

    /// The segment at `sealed_base_offset` was sealed.
    pub(super) fn note_roll(&self, sealed_base_offset: i64) {
        let mut state = self.state();
        state.sealed_from.get_or_insert(sealed_base_offset);
        state.rolling_from = None;
    }

    /// The log is about to be cut at `offset`: the checkpoint must be there before.
    pub(super) fn begin_cut(&self, offset: i64) {
        self.state().cutting_to = Some(offset);
    }

    /// It was cut, and the recovery point lowered.
    pub(super) fn end_cut(&self) {
        self.state().cutting_to = None;
    }

    /// The log now begins with the segment at `first_base_offset`.
    pub(super) fn raise_sealed(&self, first_base_offset: i64) {
        if let Some(sealed_from) = &mut self.state().sealed_from {
            *sealed_from = first_base_offset.max(*sealed_from);
        }
    }

    fn is_roll_noted(&self) -> bool {
        self.state().sealed_from.is_some()
    }

    /// What may be written into the checkpoint: a load after a crash checks everything from there,
    /// and trusts everything below.
    pub(super) fn checkpoint(&self) -> i64 {
        let recovery_point = self.recovery_point();
        let state = self.state();
        let limits = [state.sealed_from, state.epochs_from, state.rolling_from, state.cutting_to];
        limits.into_iter().flatten().fold(recovery_point, i64::min)
    }

    pub(super) fn last_flush_ms(&self) -> i64 {
        self.state().last_flush_ms
    }

    pub(super) fn note_flush(&self, now_ms: i64) {
        self.state().last_flush_ms = now_ms;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn; `None` when the recovery point has passed `offset` meanwhile.
    fn turn_unless_durable(&self, offset: i64) -> Option<Turn<'_>> {
        let mut state = self.state();
        loop {
            if self.recovery_point() >= offset {
                return None;
            }
            if !state.busy {
                state.busy = true;
                return Some(Turn(self));
            }
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for its turn.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.turn_unless_durable(i64::MAX).expect("no recovery point is as large")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().busy = false;
        self.0.idle.notify_all();
    }
}

impl PartitionLog {
    /// From where on the log must be checked after a crash: nothing behind it is known to be
    /// durable.
    pub fn recovery_point(&self) -> i64 {
        self.commit.checkpoint()
    }

    /// Makes everything appended so far durable. Appends go on meanwhile.
    ///
    /// After a failure nothing is retried: the log directory goes offline.
    pub fn flush(&self) -> Result<(), StorageError> {
        self.check_open()?;
        let log_end_offset = self.marks().log_end().offset;
        if self.recovery_point() >= log_end_offset {
            return Ok(());
        }
        let _turn = self.commit.turn();
        // It may have been deleted meanwhile, and its files have other names.
        self.check_open()?;
        self.log_dir.watch(self.flush_in_turn())
    }

    /// Makes sealed segments durable with their indexes.
    pub(super) fn flush_sealed(&self) -> Result<(), StorageError> {
        let _turn = self.commit.turn();
        self.log_dir.watch(self.flush_in_turn())
    }

    /// Makes everything below `offset` durable, and as much more as there is.
    pub(super) fn flush_to(&self, offset: i64) -> Result<(), StorageError> {
        let Some(turn) = self.commit.turn_unless_durable(offset) else { return Ok(()) };
        // One who waited through a failed sync must not be told that all is well, nor sync again;
        // nor must one whose log was deleted meanwhile look for files that have other names.
        self.check_open()?;
        let flushed = self.log_dir.watch(self.flush_in_turn());
        drop(turn);
        flushed
    }

    /// The holder of the turn syncs every segment with offsets between the recovery point and the
    /// log end, then moves the recovery point there.
    pub(super) fn flush_in_turn(&self) -> Result<(), StorageError> {
        self.flush_segments(false)
    }

    /// As [`Self::flush_in_turn`]; when `closing`, the active segment too was brought to its end,
    /// and it and the snapshot at the log end must be as durable as the others.
    pub(super) fn flush_segments(&self, closing: bool) -> Result<(), StorageError> {
        // A sync may have failed while this one waited for its turn. Another may succeed, and say
        // nothing of what the first has lost.
        self.log_dir.check()?;
        let recovery_point = self.commit.recovery_point();
        let start = self.commit.checkpoint();
        let log_end_offset = self.marks().log_end().offset;
        let epochs_from = match self.flush_epochs() {
            // The records need no more space, and who waits for them need not be refused.
            Err(error) if error.kind() == StorageErrorKind::Full && !closing => {
                log::warn!("{error}; a load will find the epochs in the records");
                Some(start)
            }
            other => other.map(|()| None)?,
        };
        let dir = self.dir();
        let mut new_names = closing;
        let mut active_base_offset = start;
        // A recovery point whose checkpoint is lost, or older than a log that started over, lies in
        // front of all segments; so does any when retention takes some meanwhile.
        let mut segments = self.segments.all_from(start);
        while let Some(segment) = segments.next() {
            let base_offset = segment.base_offset();
            if base_offset >= recovery_point {
                new_names = true;
                snapshot::sync(&*self.disk, dir, base_offset)
                    .map_err(StorageError::io("sync a snapshot in", dir))?;
            }
            match segments.following_base_offset() {
                Some(_) => {
                    segment.flush()?;
                    txn_index::sync(&*self.disk, &segment.path_of(FileKind::TxnIndex))?;
                }
                None if closing => {
                    if recovery_point < log_end_offset
                        || self.config.load().preallocate
                        || self.start_is_unsynced.load(Ordering::Acquire)
                    {
                        segment.flush_log()?;
                    }
                    segment.flush_indexes()?;
                    txn_index::sync(&*self.disk, &segment.path_of(FileKind::TxnIndex))?;
                    let synced = snapshot::sync(&*self.disk, dir, log_end_offset);
                    synced.map_err(StorageError::io("sync a snapshot in", dir))?;
                }
                // A recovery always rebuilds the indexes of the segment that holds the recovery
                // point, so those of the active one need not be durable.
                None => segment.flush_log()?,
            }
            active_base_offset = base_offset;
        }
        if new_names {
            self.disk.sync_dir(dir).map_err(StorageError::sync(dir))?;
        }
        self.commit.raise_recovery_point(log_end_offset);
        let mut state = self.commit.state();
        let rolled_since = self.segments.active().base_offset() > active_base_offset;
        state.sealed_from = rolled_since.then_some(active_base_offset);
        state.epochs_from = epochs_from;
        Ok(())
    }

    /// Makes where a start has found the end of the log durable, before anything is appended to
    /// `active`, its last segment, or another one begins: what this start has cut off, or one
    /// before it that was killed, or a truncation, must not come back behind what follows. Nothing
    /// that was seen after a kill tells whether it is durable. A start does not wait for it.
    pub(super) fn flush_start(&self, active: &Segment) -> Result<(), StorageError> {
        if self.start_is_unsynced.load(Ordering::Acquire) {
            active.flush_log()?;
            self.disk.sync_dir(self.dir()).map_err(StorageError::sync(self.dir()))?;
            self.start_is_unsynced.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Periodic work: flushes what `flush.ms` has let wait too long, and what was sealed by a roll
    /// since the last time.
    pub fn flush_if_due(&self, now_ms: i64) -> Result<(), StorageError> {
        if self.check_open().is_err() {
            return Ok(());
        }
        let waited_ms = now_ms.saturating_sub(self.commit.last_flush_ms());
        let due = waited_ms >= self.config.load().flush_ms;
        if due || self.commit.is_roll_noted() {
            let _turn = self.commit.turn();
            if self.check_open().is_err() {
                return Ok(());
            }
            self.log_dir.watch(self.flush_in_turn())?;
            self.commit.note_flush(now_ms);
        }
        Ok(())
    }
}
