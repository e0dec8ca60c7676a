//! The end of a consumer.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{Consumer, TIMEOUT_MAX};
use crate::error::Error;
use crate::pending::Pending;

/// As long as Java's consumers, too.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

impl Consumer {
    /// Commits what polls have returned, if that is done automatically, waits for commits that are
    /// on their way, leaves the group, has brokers forget what was fetched, and ends. It takes no
    /// longer than this.
    ///
    /// # Errors
    /// What was to be committed was not.
    pub fn close(self, timeout: Duration) -> Result<(), Error> {
        self.end(timeout)
    }

    fn end(&self, timeout: Duration) -> Result<(), Error> {
        let until = Instant::now() + timeout.min(TIMEOUT_MAX);
        let mut state = self.shared.state();
        // Once is enough.
        if std::mem::replace(&mut state.is_ending, true) {
            return Ok(());
        }
        let offsets = state.consumed();
        drop(state);
        let mut result = Ok(());
        if self.shared.settings.auto_commit.is_some() && !offsets.is_empty() {
            let deadline = until.min(self.api_deadline());
            result = self.commit_until(deadline, offsets, true).and_then(Pending::wait);
        }
        self.leave_group();
        let mut state = self.shared.state();
        state.positions.assign(&[]);
        state.closing = Some(until);
        drop(state);
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        handle.wake();
        handle.join();
        result
    }
}

/// As [`Consumer::close`] with 30 seconds; an error is logged.
impl Drop for Consumer {
    fn drop(&mut self) {
        if let Err(error) = self.end(CLOSE_TIMEOUT) {
            log::warn!("the consumer was closed: {error}");
        }
    }
}
