//! `buffer.memory`: how many bytes of records may wait, and who waits for room.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::settings::ProducerSettings;
use crate::error::{Error, ErrorKind};

/// Counts the bytes of batches that are not sent yet. Who finds no room waits, the first first.
#[derive(Debug)]
pub(super) struct Memory {
    bytes_max: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Tickets of those that wait, in their order.
    waiting: VecDeque<u64>,
    next_ticket: u64,
    is_closed: bool,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// It would not fit even if nothing else were there.
    TooLarge,
    /// There was none in time.
    TimedOut,
    Closed,
}

impl NoRoom {
    /// What is told to whom wanted so many bytes.
    pub(super) fn error(self, bytes: usize, settings: &ProducerSettings) -> Error {
        let (max, timeout) = (settings.memory_bytes, settings.block_max);
        match self {
            Self::TooLarge => {
                let detail = format!("{bytes} bytes are needed; buffer.memory is {max}");
                Error::new(ErrorKind::Usage, detail)
            }
            Self::TimedOut => {
                let detail = format!(
                    "buffer.memory, {max} bytes, is full: records come faster than they are taken"
                );
                Error::new(ErrorKind::Timeout(timeout), detail)
            }
            Self::Closed => Error::closed("producer"),
        }
    }
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), freed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room if there is some and nobody has waited for longer.
    pub(super) fn try_take(&self, bytes: usize) -> bool {
        let mut state = self.state();
        let has_room = state.waiting.is_empty() && self.has_room(&state, bytes);
        if has_room {
            state.used += bytes;
        }
        has_room
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        bytes <= self.bytes_max.saturating_sub(state.used)
    }

    /// Takes room, and waits for it. `begin_waiting` is called before it waits, if it must.
    ///
    /// # Errors
    /// There was none in time, or never will be.
    pub(super) fn take(
        &self,
        bytes: usize,
        timeout: Duration,
        begin_waiting: impl FnOnce(),
    ) -> Result<(), NoRoom> {
        if bytes > self.bytes_max {
            return Err(NoRoom::TooLarge);
        }
        if self.try_take(bytes) {
            return Ok(());
        }
        let until = Instant::now().checked_add(timeout);
        let ticket = {
            let mut state = self.state();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.push_back(ticket);
            ticket
        };
        // Somebody who could send what lies here is to know that it is waited for.
        begin_waiting();
        let mut state = self.state();
        let result = loop {
            if state.is_closed {
                break Err(NoRoom::Closed);
            }
            if state.waiting.front() == Some(&ticket) && self.has_room(&state, bytes) {
                state.used += bytes;
                break Ok(());
            }
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break Err(NoRoom::TimedOut);
            }
            let waited = self.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiting.retain(|of| *of != ticket);
        drop(state);
        // The next one may have room as well.
        self.freed.notify_all();
        result
    }

    /// Gives room back.
    pub(super) fn give(&self, bytes: usize) {
        let mut state = self.state();
        debug_assert!(bytes <= state.used, "{bytes} of {} given back", state.used);
        state.used = state.used.saturating_sub(bytes);
        let is_waited_for = !state.waiting.is_empty();
        drop(state);
        if is_waited_for {
            self.freed.notify_all();
        }
    }

    /// Whether somebody waits for room.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Nobody waits any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_does_not_fit_waits_in_its_order() {
        let memory = Arc::new(Memory::new(100));
        assert!(memory.try_take(80));
        let (sender, order) = mpsc::channel();
        let take = |bytes: usize| {
            let (memory, sender) = (Arc::clone(&memory), sender.clone());
            let (begun, waits) = mpsc::channel();
            let taking = thread::spawn(move || {
                memory.take(bytes, LONG, || begun.send(()).unwrap()).unwrap();
                sender.send(bytes).unwrap();
            });
            waits.recv().unwrap();
            taking
        };
        let threads = [take(60), take(30)];
        // 20 are left, but others were there before.
        assert!(!memory.try_take(10));
        assert!(memory.is_waited_for());
        memory.give(30);
        assert!(order.recv_timeout(Duration::from_millis(20)).is_err());
        memory.give(20);
        assert_eq!(order.recv().unwrap(), 60);
        memory.give(30);
        assert_eq!(order.recv().unwrap(), 30);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(memory.state().used, 90);
        assert!(!memory.is_waited_for());
    }

    #[test]
    fn waiting_has_an_end() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(101, LONG, || {}), Err(NoRoom::TooLarge));
        memory.take(100, LONG, || panic!("there was room")).unwrap();
        let short = Duration::from_millis(5);
        assert_eq!(memory.take(1, short, || {}), Err(NoRoom::TimedOut));
        assert!(!memory.is_waited_for());
        assert_eq!(memory.take(1, LONG, || memory.close()), Err(NoRoom::Closed));
    }
}
