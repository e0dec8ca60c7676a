//! What other threads leave for a Processor: answers and new connections. The Processor is woken
//! only when it sleeps, and once for all that is left before it looks.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::{Registry, Token, Waker};

use crate::acceptor::Accepted;
use crate::counters::Counters;
use crate::outbound::Command;
use crate::service::{Address, Answer};

/// The Processor works and will look into the inbox before it sleeps.
const AWAKE: u8 = 0;
/// The Processor waits, or is about to, and must be woken.
const ASLEEP: u8 = 1;
/// Something was left since it last looked.
const NOTIFIED: u8 = 2;

/// What a Processor is told to do.
pub(crate) const RUN: u8 = 0;
/// Answer what is in flight, take nothing new, end when no connection is left.
pub(crate) const DRAIN: u8 = 1;
/// Close all connections and end.
pub(crate) const FORCE: u8 = 2;

/// The inbox of one Processor. Bounded by what may be in it: one answer per connection, and
/// connections, which have limits of their own.
pub(crate) struct Inbox {
    left: Mutex<Left>,
    state: AtomicU8,
    waker: Waker,
    counters: Arc<Counters>,
    /// Connections that the Processor owns, or will when it looks.
    pub(crate) connections: AtomicUsize,
    stop: AtomicU8,
}

/// What lies in an inbox.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) answers: Vec<(Address, Answer)>,
    pub(crate) accepted: Vec<Accepted>,
    /// Wishes about outbound connections, in their order.
    pub(crate) commands: Vec<Command>,
    closed: bool,
}

impl Inbox {
    pub(crate) fn new(
        registry: &Registry,
        token: Token,
        counters: Arc<Counters>,
    ) -> io::Result<Inbox> {
        Ok(Inbox {
            left: Mutex::default(),
            state: AtomicU8::new(AWAKE),
            waker: Waker::new(registry, token)?,
            counters,
            connections: AtomicUsize::new(0),
            stop: AtomicU8::new(RUN),
        })
    }

    pub(crate) fn answer(&self, address: Address, answer: Answer) {
        self.leave(|left| left.answers.push((address, answer)));
    }

    pub(crate) fn accepted(&self, accepted: Accepted) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.leave(|left| left.accepted.push(accepted));
    }

    pub(crate) fn command(&self, command: Command) {
        self.leave(|left| left.commands.push(command));
    }

    /// Tells the Processor to [`DRAIN`] or to [`FORCE`].
    pub(crate) fn stop(&self, how: u8) {
        self.stop.fetch_max(how, Ordering::SeqCst);
        self.wake();
    }

    /// What the Processor was told: [`RUN`], [`DRAIN`] or [`FORCE`].
    pub(crate) fn told(&self) -> u8 {
        self.stop.load(Ordering::SeqCst)
    }

    /// Makes the Processor look around.
    pub(crate) fn wake(&self) {
        if self.state.swap(NOTIFIED, Ordering::SeqCst) != ASLEEP {
            return;
        }
        self.counters.processor_wakeups.one();
        if let Err(error) = self.waker.wake() {
            log::error!("a network thread cannot be woken: {error}");
        }
    }

    /// Takes what was left into `into`, which must be empty: its memory is used again.
    pub(crate) fn take(&self, into: &mut Left) {
        assert!(into.answers.is_empty() && into.accepted.is_empty(), "all was handled");
        assert!(into.commands.is_empty(), "all was handled");
        // Before looking: what comes after the look sets it again and forbids the sleep.
        self.state.store(AWAKE, Ordering::SeqCst);
        let mut left = self.lock();
        std::mem::swap(&mut left.answers, &mut into.answers);
        std::mem::swap(&mut left.accepted, &mut into.accepted);
        std::mem::swap(&mut left.commands, &mut into.commands);
    }

    /// Whether the Processor may wait; false when something was left meanwhile.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether something was left since the last look.
    pub(crate) fn is_notified(&self) -> bool {
        self.state.load(Ordering::SeqCst) == NOTIFIED
    }

    /// From now on whatever is left here is dropped: the Processor is gone.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut left = self.lock();
            std::mem::replace(&mut *left, Left { closed: true, ..Left::default() })
        };
        // Outside the lock: answers own things that may be slow to drop.
        drop(dropped);
    }

    fn leave(&self, put: impl FnOnce(&mut Left)) {
        let mut left = self.lock();
        if left.closed {
            return;
        }
        put(&mut left);
        drop(left);
        self.wake();
    }

    /// A poisoned lock guards two vectors that are whole between any two statements.
    fn lock(&self) -> std::sync::MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("connections", &self.connections).finish_non_exhaustive()
    }
}
