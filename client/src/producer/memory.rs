//! `buffer.memory`: how many bytes of records may wait, and who waits for room.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::settings::ProducerSettings;
use crate::error::{Error, ErrorKind};

/// Counts the bytes of batches that are not finished. Who finds no room waits, the first first.
#[derive(Debug)]
pub(super) struct Memory {
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Rooms that are taken, by their order.
    taken: BTreeSet<u64>,
    next_room: u64,
    /// Tickets of those that wait for room, in their order.
    waiting: VecDeque<u64>,
    next_ticket: u64,
    /// How many wait for others to be finished.
    flushes: usize,
    is_closed: bool,
}

/// Room for a batch. It is given back when the batch, or the last of the parts that share it, is
/// dropped.
#[derive(Debug)]
pub(super) struct Room {
    memory: Arc<Memory>,
    pub(super) bytes: usize,
    number: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        state.used -= self.bytes;
        state.taken.remove(&self.number);
        let is_waited_for = !state.waiting.is_empty() || state.flushes > 0;
        drop(state);
        if is_waited_for {
            self.memory.changed.notify_all();
        }
    }
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
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, state: Mutex::default(), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room if there is some; `is_next`: nobody has waited for longer.
    fn try_take(self: &Arc<Self>, state: &mut State, bytes: usize, is_next: bool) -> Option<Room> {
        if !is_next || bytes > self.bytes_max.saturating_sub(state.used) {
            return None;
        }
        state.used += bytes;
        let number = state.next_room;
        state.next_room += 1;
        state.taken.insert(number);
        Some(Room { memory: Arc::clone(self), bytes, number })
    }

    /// Takes room, and waits for it. `begin_waiting` is called before it waits, if it must.
    ///
    /// # Errors
    /// There was none in time, or never will be.
    pub(super) fn take(
        self: &Arc<Self>,
        bytes: usize,
        timeout: Duration,
        begin_waiting: impl FnOnce(),
    ) -> Result<Room, NoRoom> {
        if bytes > self.bytes_max {
            return Err(NoRoom::TooLarge);
        }
        let until = Instant::now().checked_add(timeout);
        let mut state = self.state();
        let is_next = state.waiting.is_empty();
        if let Some(room) = self.try_take(&mut state, bytes, is_next) {
            return Ok(room);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        drop(state);
        // Somebody who could send what lies here is to know that it is waited for.
        begin_waiting();
        let mut state = self.state();
        let result = loop {
            if state.is_closed {
                break Err(NoRoom::Closed);
            }
            let is_next = state.waiting.front() == Some(&ticket);
            if let Some(room) = self.try_take(&mut state, bytes, is_next) {
                break Ok(room);
            }
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break Err(NoRoom::TimedOut);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiting.retain(|of| *of != ticket);
        drop(state);
        // The next one may have room as well.
        self.changed.notify_all();
        result
    }

    /// Waits until all room that is taken now was given back. `begin_waiting` is called before.
    pub(super) fn flush(&self, begin_waiting: impl FnOnce()) {
        let mut state = self.state();
        let end = state.next_room;
        state.flushes += 1;
        drop(state);
        begin_waiting();
        let mut state = self.state();
        while state.taken.first().is_some_and(|first| *first < end) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.flushes -= 1;
    }

    /// Whether somebody waits for room, or for what is there to be finished.
    pub(super) fn is_waited_for(&self) -> bool {
        let state = self.state();
        !state.waiting.is_empty() || state.flushes > 0
    }

    /// How many rooms are taken.
    pub(super) fn taken(&self) -> usize {
        self.state().taken.len()
    }

    /// Nobody gets room any more by waiting for it.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn take(memory: &Arc<Memory>, bytes: usize) -> Room {
        memory.take(bytes, LONG, || panic!("there was room")).unwrap()
    }

    #[test]
    fn what_does_not_fit_waits_in_its_order() {
        let memory = Memory::new(100);
        let (first, second) = (take(&memory, 50), take(&memory, 30));
        let (sender, order) = mpsc::channel();
        let wait = |bytes: usize| {
            let (memory, sender) = (Arc::clone(&memory), sender.clone());
            let (begun, waits) = mpsc::channel();
            let waiting = thread::spawn(move || {
                let room = memory.take(bytes, LONG, || begun.send(()).unwrap()).unwrap();
                sender.send(bytes).unwrap();
                room
            });
            waits.recv().unwrap();
            waiting
        };
        let threads = [wait(60), wait(10)];
        // 20 are left, which the second of these would fit into; but the first was before it.
        assert!(memory.is_waited_for());
        drop(second);
        assert!(order.recv_timeout(Duration::from_millis(20)).is_err());
        drop(first);
        let mut came = [order.recv().unwrap(), order.recv().unwrap()];
        came.sort_unstable();
        assert_eq!(came, [10, 60]);
        let rooms = threads.map(|thread| thread.join().unwrap());
        assert_eq!(memory.state().used, 70);
        assert_eq!(memory.taken(), 2);
        assert!(!memory.is_waited_for());
        drop(rooms);
        assert_eq!(memory.state().used, 0);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn waiting_has_an_end() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(101, LONG, || {}).unwrap_err(), NoRoom::TooLarge);
        let _all = take(&memory, 100);
        let short = Duration::from_millis(5);
        assert_eq!(memory.take(1, short, || {}).unwrap_err(), NoRoom::TimedOut);
        assert!(!memory.is_waited_for());
        assert_eq!(memory.take(1, LONG, || memory.close()).unwrap_err(), NoRoom::Closed);
    }

    #[test]
    fn a_flush_waits_for_what_was_before_it_alone() {
        let memory = Memory::new(100);
        memory.flush(|| {});
        let before = take(&memory, 10);
        let other = Arc::clone(&memory);
        let (begun, waits) = mpsc::channel();
        let flushing = thread::spawn(move || other.flush(|| begun.send(()).unwrap()));
        waits.recv().unwrap();
        assert!(memory.is_waited_for());
        let _after = take(&memory, 10);
        drop(before);
        flushing.join().unwrap();
        assert_eq!(memory.taken(), 1);
    }
}
