//! What a test takes of memory, and whether any thread has panicked meanwhile.

use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::HEAP;

static ALONE: Mutex<()> = Mutex::new(());
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A test that is alone in the process, as far as its others take one too.
pub(crate) struct Alone {
    begun_bytes: usize,
    _guard: MutexGuard<'static, ()>,
}

impl Alone {
    pub(crate) fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let default = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
                default(info);
            }));
        });
        // One that has failed fails alone.
        let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).clear();
        HEAP.reset_peak_usage();
        Self { begun_bytes: HEAP.current_usage(), _guard: guard }
    }

    /// The most bytes that were taken at a time since the beginning.
    pub(crate) fn peak_bytes(&self) -> usize {
        HEAP.peak_usage().saturating_sub(self.begun_bytes)
    }

    /// The bytes that are taken now, beside those at the beginning.
    pub(crate) fn held_bytes(&self) -> usize {
        HEAP.current_usage().saturating_sub(self.begun_bytes)
    }

    /// The panics of this process's threads since the beginning: a client's thread that panics
    /// would only be silent.
    pub(crate) fn panics(&self) -> Vec<String> {
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
