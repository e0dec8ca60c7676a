//! Counts the threads of a server, so that a stop can wait for them with a deadline.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// The threads that run now.
#[derive(Debug, Default)]
pub(crate) struct Running {
    threads: Mutex<Threads>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Threads {
    pub(crate) acceptors: usize,
    pub(crate) processors: usize,
    pub(crate) handlers: usize,
    /// A second stop wants the first to wait no longer.
    pub(crate) forced: bool,
    /// How often a stop has told Processors to end whatever is in flight.
    pub(crate) cuts: usize,
}

impl Threads {
    pub(crate) fn all(&self) -> usize {
        self.acceptors + self.processors + self.handlers
    }
}

impl Running {
    /// Starts a thread that is counted where `count` says, however it ends.
    pub(crate) fn spawn(
        self: &Arc<Running>,
        name: String,
        count: fn(&mut Threads) -> &mut usize,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.change(|threads| *count(threads) += 1);
        let running = Arc::clone(self);
        let result = thread::Builder::new().name(name).spawn(move || {
            let _ended = Ended { running, count };
            run();
        });
        if result.is_err() {
            self.change(|threads| *count(threads) -= 1);
        }
        result.map(drop)
    }

    pub(crate) fn now(&self) -> Threads {
        *self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Threads)) {
        change(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until `done` or the deadline; tells what it is like then.
    pub(crate) fn wait(&self, until: Instant, done: impl Fn(&Threads) -> bool) -> Threads {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while !done(&threads) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(threads, left);
            threads = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *threads
    }
}

/// Counts a thread out, however it ends.
struct Ended {
    running: Arc<Running>,
    count: fn(&mut Threads) -> &mut usize,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.running.change(|threads| *(self.count)(threads) -= 1);
    }
}
