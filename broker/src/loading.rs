//! Opening the logs at a start, with a line in the log every few seconds while it takes long.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ottla_storage::manager::{FoundLog, Known, LoadProgress, LockedDirs, LogManager, ManagerError};

/// How often to tell.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// Opens every log; `known` says which belong here.
///
/// # Errors
/// As [`LockedDirs::load`].
pub(crate) fn load(
    locked: LockedDirs,
    now_ms: i64,
    known: &(dyn Fn(&FoundLog) -> Known + Sync),
) -> Result<LogManager, ManagerError> {
    let begun = Instant::now();
    let progress = LoadProgress::default();
    let line = || {
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        progress.now().line(elapsed_ms)
    };
    let done = Done::default();
    let loaded = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.wait(TELL_EVERY) {
                log::info!("opening logs: {}", line());
            }
        });
        // Told even if this panics: the scope waits for the thread.
        let _told = Tell(&done);
        locked.load_with(now_ms, known, &progress)
    });
    log::info!("logs opened in {} ms: {}", begun.elapsed().as_millis(), line());
    loaded
}

/// Whether the load has ended.
#[derive(Default)]
struct Done {
    is_done: Mutex<bool>,
    changed: Condvar,
}

struct Tell<'a>(&'a Done);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        *self.0.is_done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Done {
    /// Waits so long at most for the end; whether it has come.
    fn wait(&self, at_most: Duration) -> bool {
        let is_done = self.is_done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_done, at_most, |is_done| !*is_done);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
