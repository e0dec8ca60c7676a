//! What other threads leave for a Processor: answers and new connections. The Processor is woken
//! only when it sleeps, and once for all that is left before it looks.
//!
//! The inbox outlives its Processor, because requests that are with the service hold it. When the
//! Processor has handed its connections over, the inbox forwards their answers.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::mem::take;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

use crate::acceptor::Accepted;
use crate::channel::Call;
use crate::counters::Counters;
use crate::outbound::Command;
use crate::peer::Peer;
use crate::service::{Address, Answer};

/// The Processor works and will look into the inbox before it sleeps.
const AWAKE: u8 = 0;
/// The Processor waits, or is about to, and must be woken.
const ASLEEP: u8 = 1;
/// Something was left since it last looked.
const NOTIFIED: u8 = 2;

/// What a Processor is told to do.
pub(crate) const RUN: u8 = 0;
/// Hand all connections over to other Processors and end.
pub(crate) const RETIRE: u8 = 1;
/// Answer what is in flight, take nothing new, end when no connection is left.
pub(crate) const DRAIN: u8 = 2;
/// Close all connections and end.
pub(crate) const FORCE: u8 = 3;

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
    pub(crate) answers: Addressed,
    pub(crate) accepted: Vec<Accepted>,
    /// Connections that another Processor had.
    pub(crate) handed: Vec<Peer>,
    /// Requests that another Processor could not pass on yet.
    pub(crate) calls: VecDeque<Call>,
    /// Wishes about outbound connections, in their order.
    pub(crate) commands: Vec<Command>,
    forward: Option<Forward>,
    closed: bool,
}

/// Where to what is meant for a Processor that has handed all over.
pub(crate) struct Forward {
    /// Who has a connection now whose request is with the service, by [`Address::id`].
    pub(crate) answers: HashMap<u64, Arc<Inbox>>,
    /// Who has everything else.
    pub(crate) heir: Arc<Inbox>,
}

/// Answers to many requests, sorted by their inboxes.
#[derive(Default)]
pub(crate) struct Answers(Vec<(Arc<Inbox>, Addressed)>);

/// Answers with their connections.
type Addressed = Vec<(Address, Answer)>;

impl Answers {
    pub(crate) fn add(&mut self, inbox: Arc<Inbox>, address: Address, answer: Answer) {
        // There are few inboxes: one for each Processor.
        match self.0.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &inbox)) {
            Some((_, answers)) => answers.push((address, answer)),
            None => self.0.push((inbox, vec![(address, answer)])),
        }
    }

    /// Leaves them with the Processors, with one wake-up for each.
    pub(crate) fn leave(self) {
        self.0.into_iter().for_each(|(inbox, answers)| inbox.answer_all(answers));
    }
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
        let mut left = self.lock();
        if let Some(forward) = &mut left.forward {
            let owner = forward.answers.remove(&address.id);
            drop(left);
            if let Some(owner) = owner {
                owner.answer(address.moved(), answer);
            }
        } else {
            self.leave(left, |left| left.answers.push((address, answer)));
        }
    }

    fn answer_all(&self, mut answers: Addressed) {
        let mut left = self.lock();
        if let Some(forward) = &mut left.forward {
            let mut forwarded = Answers::default();
            for (address, answer) in answers {
                if let Some(owner) = forward.answers.remove(&address.id) {
                    forwarded.add(owner, address.moved(), answer);
                }
            }
            drop(left);
            forwarded.leave();
        } else {
            self.leave(left, |left| left.answers.append(&mut answers));
        }
    }

    pub(crate) fn accepted(&self, accepted: Accepted) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.leave(self.lock(), |left| left.accepted.push(accepted));
    }

    /// Gives the Processor a connection that another one had.
    pub(crate) fn hand_over(&self, peer: Peer) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.leave(self.lock(), |left| left.handed.push(peer));
    }

    /// Gives the Processor requests of connections that it has been handed.
    pub(crate) fn hand_calls(&self, calls: VecDeque<Call>) {
        self.leave(self.lock(), |left| left.calls.extend(calls));
    }

    pub(crate) fn command(&self, command: Command) {
        let left = self.lock();
        if let Some(forward) = &left.forward {
            let heir = Arc::clone(&forward.heir);
            drop(left);
            heir.command(command);
        } else {
            self.leave(left, |left| left.commands.push(command));
        }
    }

    /// Tells the Processor to [`RETIRE`], to [`DRAIN`] or to [`FORCE`].
    pub(crate) fn tell(&self, how: u8) {
        self.stop.fetch_max(how, Ordering::SeqCst);
        self.wake();
    }

    /// What the Processor was told last and strongest.
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

    /// Takes what was left into `into`, which must be empty: its memory is used again. False, and
    /// nothing is looked at, when nothing was left since the last look.
    pub(crate) fn take(&self, into: &mut Left) -> bool {
        assert!(into.answers.is_empty() && into.accepted.is_empty(), "all was handled");
        assert!(into.commands.is_empty() && into.handed.is_empty(), "all was handled");
        assert!(into.calls.is_empty(), "all was handled");
        // Before looking: what comes after the look sets it again and forbids the sleep. Who leaves
        // something says so behind it, so that nothing lies here unsaid for long.
        if self.state.swap(AWAKE, Ordering::SeqCst) != NOTIFIED {
            return false;
        }
        let mut left = self.lock();
        std::mem::swap(&mut left.answers, &mut into.answers);
        std::mem::swap(&mut left.accepted, &mut into.accepted);
        std::mem::swap(&mut left.commands, &mut into.commands);
        std::mem::swap(&mut left.handed, &mut into.handed);
        std::mem::swap(&mut left.calls, &mut into.calls);
        true
    }

    /// Whether the Processor may wait; false when something was left meanwhile.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether something was left since the last look.
    pub(crate) fn is_notified(&self) -> bool {
        self.state.load(Ordering::SeqCst) == NOTIFIED
    }

    /// From now on whatever is left here is dropped: the Processor is gone. Unless it has handed
    /// all over; then that stays in force.
    pub(crate) fn close(&self) {
        let mut left = self.lock();
        if left.forward.is_some() {
            return;
        }
        let dropped = std::mem::replace(&mut *left, Left { closed: true, ..Left::default() });
        drop(left);
        // Outside the lock: answers own things that may be slow to drop.
        drop(dropped);
    }

    /// As [`Inbox::close`], but only if no connection was left here since the last look.
    pub(crate) fn close_unless_given(&self) -> bool {
        let given = {
            let left = self.lock();
            !(left.accepted.is_empty() && left.handed.is_empty())
        };
        if !given {
            self.close();
        }
        !given
    }

    /// From now on the inbox forwards what comes, and what lies here is forwarded now. To be called
    /// under the roster's lock, when the connections themselves have been handed over.
    pub(crate) fn forward(&self, mut forward: Forward) {
        let mut left = self.lock();
        for accepted in left.accepted.drain(..) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            forward.heir.accepted(accepted);
        }
        for peer in left.handed.drain(..) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            if peer.state.is_waiting_for_service() {
                forward.answers.insert(peer.facts.id, Arc::clone(&forward.heir));
            }
            forward.heir.hand_over(peer);
        }
        // A lock on another inbox is taken under this one's: always that of a Processor that is
        // still active, so never in a circle. Commands must not overtake each other.
        left.commands.drain(..).for_each(|command| forward.heir.command(command));
        let (answers, calls) = (take(&mut left.answers), take(&mut left.calls));
        let heir = Arc::clone(&forward.heir);
        left.forward = Some(forward);
        drop(left);
        heir.hand_calls(calls);
        answers.into_iter().for_each(|(address, answer)| self.answer(address, answer));
    }

    fn leave(&self, mut left: MutexGuard<'_, Left>, put: impl FnOnce(&mut Left)) {
        if left.closed {
            // What is not put owns things that may be slow to drop, or lead back here.
            return drop(left);
        }
        put(&mut left);
        drop(left);
        self.wake();
    }

    /// A poisoned lock guards vectors that are whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("connections", &self.connections).finish_non_exhaustive()
    }
}
