//! The wish to stop, and the signals that express it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

/// A flag that is raised once, when the broker is to stop, and that one can wait for. Clones
/// share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_requested: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it, for ever.
    pub fn request(&self) {
        *self.shared.is_requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
    }

    /// Whether it is raised.
    pub fn is_requested(&self) -> bool {
        *self.shared.is_requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until it is raised.
    pub fn wait(&self) {
        let guard = self.shared.is_requested.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = self.shared.changed.wait_while(guard, |is_requested| !*is_requested);
        drop(raised.unwrap_or_else(PoisonError::into_inner));
    }

    /// Blocks until it is raised or `timeout` has passed; says whether it is raised.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let guard = self.shared.is_requested.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(guard, timeout, |raised| !*raised);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// From now on SIGTERM and SIGINT raise the flag, and end the process at once, with code
    /// 128 and the signal's number, when it is raised already. SIGHUP is ignored, so that the
    /// broker outlives its terminal; SIGXFSZ, so that a write above the limit of a file's size
    /// fails as one to a full disk does; SIGUSR1 and SIGUSR2, which nobody means as an end.
    /// SIGPIPE is ignored by Rust's runtime: writing to a
    /// connection that the client closed is an error there, not the end of the process.
    ///
    /// # Errors
    /// The system grants neither the handlers nor the thread that waits for them.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ, SIGUSR1, SIGUSR2])?;
        let stop = self.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if signal != SIGTERM && signal != SIGINT {
                    log::debug!("signal {signal} is ignored");
                } else if stop.is_requested() {
                    log::warn!("a second signal: ending without a clean stop");
                    std::process::exit(128 + signal);
                } else {
                    let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
                    log::info!("{name}: stopping; once more ends at once");
                    stop.request();
                }
            }
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_it_is_raised() {
        let stop = Stop::new();
        assert!(!stop.wait_timeout(Duration::ZERO));
        let waiter = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait()
        });
        stop.request();
        waiter.join().unwrap();
        assert!(stop.is_requested() && stop.wait_timeout(Duration::from_secs(60)));
    }
}
