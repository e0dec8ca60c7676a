//! Who may replace or remove segments: one at a time, and a cleaning gives way to all others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::PartitionLog;

/// Taken before the append lock. A cleaning holds it for as long as it works, and must ask
/// whether it is unwanted every so often; nobody else holds it for longer than some renames.
#[derive(Debug, Default)]
pub(super) struct Structure {
    lock: Mutex<()>,
    /// How many wait for a cleaning to end.
    waiting: AtomicUsize,
}

/// No cleaning is under way or begins while this is held.
#[derive(Debug)]
pub(crate) struct Still<'a> {
    _guard: MutexGuard<'a, ()>,
}

impl PartitionLog {
    /// Makes a cleaning that is under way give up, and keeps others from beginning.
    pub(super) fn stop_cleaning(&self) -> Still<'_> {
        self.structure.waiting.fetch_add(1, Ordering::AcqRel);
        let guard = self.structure.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.structure.waiting.fetch_sub(1, Ordering::AcqRel);
        Still { _guard: guard }
    }
}
