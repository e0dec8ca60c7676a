//! Who may replace or remove segments: one at a time, and a cleaning gives way to all others.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::PartitionLog;
use crate::error::StorageError;

/// Taken before the append lock. A cleaning holds it for as long as it works, and must ask
/// [`Cleaning::is_unwanted`] every so often; nobody else holds it for longer than some renames.
#[derive(Debug, Default)]
pub(super) struct Structure {
    lock: Mutex<()>,
    /// How many wait for a cleaning to end.
    waiting: AtomicUsize,
    /// Held while the list has segments whose files are gone. Taken behind the turn to sync.
    swap: Mutex<()>,
}

impl Structure {
    pub(super) fn begin_swap(&self) -> MutexGuard<'_, ()> {
        self.swap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No cleaning is under way or begins while this is held.
#[derive(Debug)]
pub(crate) struct Still<'a> {
    _guard: MutexGuard<'a, ()>,
}

/// A cleaning is under way.
#[derive(Debug)]
pub(crate) struct Cleaning<'a> {
    _guard: MutexGuard<'a, ()>,
    waiting: &'a AtomicUsize,
}

impl Cleaning<'_> {
    /// Whether somebody waits for the cleaning to end, who has better reasons to change segments.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// How often work is tried that meets segments which are being replaced or removed.
const TRIES: usize = 3;

impl PartitionLog {
    /// Does `work` on the segments. When it meets one whose files are gone it is done anew, after
    /// the swap or removal that is under way; at last with none allowed beside it.
    pub(super) fn beside_swaps<T, E: AsStorageError>(
        &self,
        mut work: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        for _ in 1..TRIES {
            match work() {
                Err(error) if error.as_storage_error().is_some_and(is_gone) => {
                    drop(self.structure.begin_swap());
                }
                result => return result,
            }
        }
        let _no_swap = self.structure.begin_swap();
        work()
    }

    /// Makes a cleaning that is under way give up, and keeps others from beginning.
    pub(super) fn stop_cleaning(&self) -> Still<'_> {
        self.structure.waiting.fetch_add(1, Ordering::AcqRel);
        let guard = self.structure.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.structure.waiting.fetch_sub(1, Ordering::AcqRel);
        Still { _guard: guard }
    }

    /// Begins a cleaning, unless somebody else is at the segments.
    pub(crate) fn begin_cleaning(&self) -> Option<Cleaning<'_>> {
        let guard = match self.structure.lock.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Cleaning { _guard: guard, waiting: &self.structure.waiting })
    }
}

/// An error that may be a [`StorageError`].
pub(super) trait AsStorageError {
    /// The storage error that it is.
    fn as_storage_error(&self) -> Option<&StorageError>;
}

impl AsStorageError for StorageError {
    fn as_storage_error(&self) -> Option<&StorageError> {
        Some(self)
    }
}

/// Whether a file was cut or removed between the look at the segments and its use.
fn is_gone(error: &StorageError) -> bool {
    let gone = [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof];
    matches!(error, StorageError::Io { source, .. } if gone.contains(&source.kind()))
}
