//! The thread that owns connections: waits for sockets, drives each connection that has something
//! to do, and passes whole requests on.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::channel::Call;
use crate::counters::CloseReason;
use crate::idle::IdleTimers;
use crate::inbox::{FORCE, Inbox, Left, RETIRE, RUN};
use crate::inline::{Inline, Turn};
use crate::log_limit::LogLimit;
use crate::outbound::{OUTBOUND_TOKENS, Outbounds};
use crate::peer::{Peer, Tools};
use crate::sendfile::Scratch;
use crate::service::{Address, Answer, Reply, Request};
use crate::shared::Shared;
use crate::starved::Starved;

mod care;
mod handover;

/// The token of the waker; connections have their slot.
const WAKER: Token = Token(usize::MAX);
/// Sockets reported by one `epoll_wait`, at most.
const EVENTS_MAX: usize = 256;
/// A Processor.
pub(crate) struct Processor {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    poll: Poll,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    /// Slots to be driven.
    turn: Vec<usize>,
    spare_turn: Vec<usize>,
    /// Requests not yet passed on.
    calls: VecDeque<Call>,
    /// Requests that this thread serves itself; empty between turns.
    own_calls: Vec<Call>,
    inline: Inline,
    /// The queue was full: it says when it has room again.
    blocked: bool,
    starved: Starved,
    /// The slots of connections that came from another Processor while their request was with the
    /// service, by their ids: the answer knows no slot.
    moved: HashMap<u64, usize>,
    /// There were too many connections, and there may still be.
    crowded: bool,
    /// Connections in the middle of a frame, which may hold more memory than they need.
    mid_frame: Vec<Address>,
    timers: IdleTimers,
    next_tick_ms: u64,
    /// How often the pool had used a buffer again at the last tick.
    pool_reused: u64,
    left: Left,
    outbounds: Outbounds,
    scratch: Scratch,
    log_limit: LogLimit,
    /// Under which the pool wakes this thread.
    subscription: u64,
    now_ms: u64,
    stopping: bool,
}

/// What a Processor lends to a connection while another of its fields is borrowed: a macro, because
/// a method would borrow all of it.
macro_rules! tools {
    ($processor:ident) => {
        Tools {
            pool: &$processor.shared.pool,
            counters: &$processor.shared.counters,
            scratch: &mut $processor.scratch,
            log_limit: &$processor.log_limit,
            now_ms: $processor.now_ms,
            frame_bytes_max: $processor.shared.frame_bytes_max(),
        }
    };
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.shared.pool.unsubscribe(self.subscription);
    }
}

impl Processor {
    pub(crate) fn new(shared: Arc<Shared>) -> io::Result<Processor> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(poll.registry(), WAKER, Arc::clone(&shared.counters))?);
        let woken = Arc::clone(&inbox);
        Ok(Processor {
            timers: IdleTimers::new(shared.idle_ms()),
            subscription: shared.pool.subscribe(Box::new(move || woken.wake())),
            inbox,
            poll,
            peers: Vec::new(),
            free: Vec::new(),
            turn: Vec::new(),
            spare_turn: Vec::new(),
            calls: VecDeque::new(),
            own_calls: Vec::new(),
            inline: Inline::new(shared.inline),
            blocked: false,
            starved: Starved::default(),
            moved: HashMap::new(),
            crowded: false,
            mid_frame: Vec::new(),
            next_tick_ms: 0,
            pool_reused: 0,
            left: Left::default(),
            outbounds: Outbounds::new(shared.frame_bytes_max()),
            scratch: Scratch::new(),
            log_limit: LogLimit::default(),
            now_ms: shared.now_ms(),
            stopping: false,
            shared,
        })
    }

    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }

    /// Works until told to stop and, unless forced, no connection is left.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            if let Err(error) = self.wait(&mut events) {
                log::error!("a network thread ends: {error}");
                break;
            }
            for event in &events {
                self.note(event);
            }
            self.empty_inbox();
            let driven = self.drive_all();
            self.pass_on(driven);
            self.look_after();
            if self.stops() {
                break;
            }
        }
        self.inbox.close();
        for slot in 0..self.peers.len() {
            self.close(slot, CloseReason::Stop);
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let busy =
            self.crowded || !self.turn.is_empty() || !(self.calls.is_empty() || self.blocked);
        let timeout = if busy || !self.inbox.fall_asleep() {
            Some(Duration::ZERO)
        } else {
            let tick = !self.starved.is_empty()
                || !self.mid_frame.is_empty()
                || self.shared.pool.is_trimmable();
            let due = [self.timers.next_ms(), tick.then_some(self.next_tick_ms)];
            // One more than the difference: the clock below is cut to whole milliseconds.
            let wait =
                |due: u64| Duration::from_millis(due.saturating_sub(self.now_ms).saturating_add(1));
            due.into_iter().flatten().min().map(wait)
        };
        self.shared.counters.epoll_wait.one();
        let result = self.poll.poll(events, timeout);
        self.now_ms = self.shared.now_ms();
        match result {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn note(&mut self, event: &mio::event::Event) {
        // The waker's token finds nothing: what it announces lies in the inbox.
        let slot = event.token().0;
        if slot >= OUTBOUND_TOKENS {
            let mut tools = tools!(self);
            return self.outbounds.note(event, &mut tools);
        }
        if let Some(Some(peer)) = self.peers.get_mut(slot) {
            peer.note(event);
            self.list(slot);
        }
    }

    /// Puts a connection on the list of those to be driven, once.
    fn list(&mut self, slot: usize) {
        if let Some(peer) = self.peers[slot].as_mut().filter(|peer| !peer.listed) {
            peer.listed = true;
            self.turn.push(slot);
        }
    }

    fn empty_inbox(&mut self) {
        let mut left = std::mem::take(&mut self.left);
        if self.inbox.take(&mut left) {
            self.sort_out(&mut left);
        }
        self.left = left;
        for address in self.starved.retry(&self.shared.pool) {
            if let Some(peer) = self.tenant(address) {
                peer.starved_listed = false;
                self.list(address.slot);
            }
        }
    }

    fn sort_out(&mut self, left: &mut Left) {
        let accepted = left.accepted.drain(..);
        let (limit, now_ms) = (self.shared.frame_bytes_max(), self.now_ms);
        let accepted = accepted.map(|accepted| Peer::new(accepted, limit, now_ms));
        accepted.chain(left.handed.drain(..)).for_each(|peer| self.adopt(peer));
        self.calls.append(&mut left.calls);
        for (address, answer) in left.answers.drain(..) {
            self.answer(address, answer);
        }
        for command in left.commands.drain(..) {
            let mut tools = tools!(self);
            self.outbounds.obey(command, self.poll.registry(), &mut tools);
        }
    }

    /// Takes a connection in, be it new or another Processor's.
    fn adopt(&mut self, mut peer: Peer) {
        let slot = self.free.pop().unwrap_or(self.peers.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(peer.stream(), Token(slot), interest);
        let address = Address { slot, id: peer.facts.id };
        let active_ms = peer.active_ms;
        peer.arrive();
        if peer.state.is_waiting_for_service() {
            self.moved.insert(address.id, slot);
        }
        if self.stopping {
            peer.state.stop();
        }
        let finished = peer.state.is_finished();
        if slot == self.peers.len() {
            self.peers.push(Some(peer));
        } else {
            self.peers[slot] = Some(peer);
        }
        match registered {
            Ok(()) if self.stopping && finished => self.close(slot, CloseReason::Stop),
            Ok(()) => {
                self.timers.watch(address, active_ms);
                self.list(slot);
            }
            Err(error) => {
                self.log_limit.warn(&format!("a connection cannot be waited for: {error}"));
                self.close(slot, CloseReason::Descriptors);
            }
        }
    }

    fn answer(&mut self, mut address: Address, answer: Answer) {
        if address.is_moved() {
            let Some(slot) = self.moved.remove(&address.id) else { return };
            address.slot = slot;
        }
        let now_ms = self.now_ms;
        let Some(peer) = self.tenant(address) else { return };
        match peer.answer(answer, now_ms) {
            Ok(()) => self.list(address.slot),
            Err(reason) => self.close(address.slot, reason),
        }
    }

    /// The connection at an address, unless it is gone.
    fn tenant(&mut self, address: Address) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(address.slot)?.as_mut()?;
        (peer.facts.id == address.id).then_some(peer)
    }

    /// Drives the listed connections; tells how many.
    fn drive_all(&mut self) -> usize {
        // Two vectors that change places: who has more to do is listed for the next turn.
        let mut turn = std::mem::replace(&mut self.turn, std::mem::take(&mut self.spare_turn));
        turn.iter().for_each(|slot| self.drive(*slot));
        let driven = turn.len();
        turn.clear();
        self.scratch.forget();
        self.spare_turn = turn;
        driven
    }

    fn drive(&mut self, slot: usize) {
        let Some(peer) = &mut self.peers[slot] else { return };
        peer.listed = false;
        let mut tools = tools!(self);
        let driven = match peer.drive(&mut tools) {
            Ok(driven) => driven,
            Err(_) if self.stopping && peer.state.is_finished() => {
                return self.close(slot, CloseReason::Stop);
            }
            Err(reason) => return self.close(slot, reason),
        };
        let address = Address { slot, id: peer.facts.id };
        if let Some(frame) = driven.request {
            let request = Request { frame, connection: peer.facts };
            self.calls.push_back((request, Reply::new(Arc::clone(&self.inbox), address)));
        }
        if driven.starved && !peer.starved_listed {
            peer.starved_listed = true;
            self.starved.add(address);
        }
        if peer.state.is_mid_frame() && !peer.mid_frame_listed {
            peer.mid_frame_listed = true;
            self.mid_frame.push(address);
        }
        if driven.again {
            self.list(slot);
        }
    }

    /// Passes requests on: to the handlers or, when the policy allows it, to the service itself.
    fn pass_on(&mut self, driven: usize) {
        self.blocked = false;
        if self.calls.is_empty() {
            return;
        }
        let alone = driven <= 1 && self.turn.is_empty() && !self.inbox.is_notified();
        let turn = Turn { calls: self.calls.len(), alone, now_ms: self.now_ms };
        let own = self.inline.share(turn);
        // The handlers get theirs first, so that they work at the same time.
        for _ in 0..own {
            match self.calls.pop_front() {
                Some(call) if self.shared.service.may_run_inline(&call.0) => {
                    self.own_calls.push(call);
                }
                Some(call) => self.calls.push_back(call),
                None => break,
            }
        }
        if !self.calls.is_empty() {
            self.shared.channel.push(&mut self.calls, &self.inbox);
            self.blocked = !self.calls.is_empty();
        }
        if !self.own_calls.is_empty() {
            self.serve_own();
            // The answers are written at once. What the connections want next waits for the next
            // turn, which sees what else there is to do.
            self.empty_inbox();
            self.drive_all();
        }
    }

    fn serve_own(&mut self) {
        let mut begin = Instant::now();
        let mut calls = std::mem::take(&mut self.own_calls);
        for call in calls.drain(..) {
            self.shared.counters.requests_inline.one();
            self.shared.serve(call);
            let end = Instant::now();
            let ns = end.duration_since(begin).as_nanos();
            self.inline.took(u64::try_from(ns).unwrap_or(u64::MAX), self.now_ms);
            begin = end;
        }
        self.own_calls = calls;
    }

    fn close(&mut self, slot: usize, reason: CloseReason) {
        let Some(mut peer) = self.peers[slot].take() else { return };
        if reason == CloseReason::Stop {
            peer.discard_input(self.scratch.bytes());
        }
        // Closing the descriptor alone would do, but mio wants to be told.
        if let Err(error) = self.poll.registry().deregister(peer.stream()) {
            log::debug!("deregistering {}: {error}", peer.facts.peer);
        }
        if !self.moved.is_empty() {
            self.moved.remove(&peer.facts.id);
        }
        // Counted before the peer can see it.
        self.shared.counters.close(reason);
        self.inbox.connections.fetch_sub(1, Ordering::Relaxed);
        drop(peer);
        self.free.push(slot);
    }

    /// Whether the thread is to end now.
    fn stops(&mut self) -> bool {
        let told = self.inbox.told();
        match told {
            RUN => return false,
            RETIRE => return self.hand_over(),
            _ => (),
        }
        if !self.stopping {
            self.stopping = true;
            for slot in 0..self.peers.len() {
                let Some(peer) = &mut self.peers[slot] else { continue };
                peer.state.stop();
                if peer.state.is_finished() {
                    self.close(slot, CloseReason::Stop);
                }
            }
        }
        told == FORCE || self.peers.iter().all(Option::is_none) && self.inbox.close_unless_given()
    }
}
