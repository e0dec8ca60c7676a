//! The bounded queue between Processors and handlers.
//!
//! It wakes no thread that is awake. A batch of requests costs one wake-up: a handler that finds
//! more than its share wakes the next one. Processors never wait here: what does not fit stays with
//! them until the queue has room and says so.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::counters::Counters;
use crate::inbox::Inbox;
use crate::service::{Reply, Request};

/// A request with the way back.
pub(crate) type Call = (Request, Reply);

/// Requests that a handler takes at once, at most. They run one after the other, and should the
/// first have to wait for the disk, the others wait with it. Nobody waits behind one that is known
/// to take long.
const TAKE_MAX: usize = 4;

pub(crate) struct RequestChannel {
    queue: Mutex<Queue>,
    ready: Condvar,
    requests_max: usize,
    counters: Arc<Counters>,
}

struct Queue {
    calls: VecDeque<Call>,
    /// Handlers that there should be, at least 1.
    handlers: usize,
    /// Handlers that take calls, or are about to be started.
    running: usize,
    /// Handlers that wait and have not been woken.
    sleepers: usize,
    /// Wake-ups sent that no handler has acted on.
    woken: usize,
    /// Processors that have more than fits.
    refused: Vec<Arc<Inbox>>,
    closed: bool,
}

impl RequestChannel {
    /// A channel without handlers.
    pub(crate) fn new(requests_max: usize, counters: Arc<Counters>) -> RequestChannel {
        RequestChannel {
            queue: Mutex::new(Queue {
                calls: VecDeque::new(),
                handlers: 1,
                running: 0,
                sleepers: 0,
                woken: 0,
                refused: Vec::new(),
                closed: false,
            }),
            ready: Condvar::new(),
            requests_max: requests_max.max(1),
            counters,
        }
    }

    /// Wants `handlers` threads to take calls, at least 1. Tells how many must be started for that;
    /// those that are too many end when they come to take.
    pub(crate) fn set_handlers(&self, handlers: usize) -> usize {
        let mut queue = self.lock();
        if queue.closed {
            return 0;
        }
        queue.handlers = handlers.max(1);
        let to_start = queue.handlers.saturating_sub(queue.running);
        queue.running += to_start;
        if queue.handlers < queue.running {
            self.wake_all(queue);
        }
        to_start
    }

    /// So many of those to be started could not be.
    pub(crate) fn not_started(&self, handlers: usize) {
        self.lock().running -= handlers;
    }

    /// Handlers that there should be.
    pub(crate) fn handlers(&self) -> usize {
        self.lock().handlers
    }

    /// Moves calls from the front of `calls` into the queue, as many as fit. When some do not,
    /// `inbox` is woken once there is room.
    pub(crate) fn push(&self, calls: &mut VecDeque<Call>, inbox: &Arc<Inbox>) {
        let mut queue = self.lock();
        let room = self.requests_max.saturating_sub(queue.calls.len());
        let fit = room.min(calls.len());
        queue.calls.extend(calls.drain(..fit));
        if !calls.is_empty() {
            self.counters.queue_full.one();
            if !queue.refused.iter().any(|refused| Arc::ptr_eq(refused, inbox)) {
                queue.refused.push(Arc::clone(inbox));
            }
        }
        if fit > 0 {
            self.wake_one(queue);
        }
    }

    /// Waits for calls and moves this handler's share of them into `into`, of which only the last
    /// may not be quick. False when the handler is to end: there are too many, or the channel is
    /// closed and empty.
    pub(crate) fn take(
        &self,
        into: &mut VecDeque<Call>,
        is_quick: impl Fn(&Request) -> bool,
    ) -> bool {
        let mut queue = self.lock();
        loop {
            if queue.handlers < queue.running {
                queue.running -= 1;
                // It may have been woken for these.
                if !queue.calls.is_empty() {
                    self.wake_one(queue);
                }
                return false;
            }
            if !queue.calls.is_empty() {
                break;
            }
            if queue.closed {
                return false;
            }
            queue.sleepers += 1;
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
            // A spurious return is told from a wake-up by the count of those sent.
            if queue.woken > 0 {
                queue.woken -= 1;
            } else {
                queue.sleepers = queue.sleepers.saturating_sub(1);
            }
        }
        let share = queue.calls.len().div_ceil(queue.handlers).min(TAKE_MAX);
        let slow = queue.calls.iter().take(share).position(|(request, _)| !is_quick(request));
        into.extend(queue.calls.drain(..slow.map_or(share, |slow| slow + 1)));
        let refused = std::mem::take(&mut queue.refused);
        if queue.calls.is_empty() {
            drop(queue);
        } else {
            self.wake_one(queue);
        }
        refused.iter().for_each(|inbox| inbox.wake());
        true
    }

    /// Requests that wait.
    pub(crate) fn depth(&self) -> usize {
        self.lock().calls.len()
    }

    /// Takes no more; handlers finish what waits and end. With `drop_waiting` they do not even
    /// that.
    pub(crate) fn close(&self, drop_waiting: bool) {
        let mut queue = self.lock();
        queue.closed = true;
        let dropped = drop_waiting.then(|| std::mem::take(&mut queue.calls));
        self.wake_all(queue);
        drop(dropped);
    }

    fn wake_all(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.woken += queue.sleepers;
        queue.sleepers = 0;
        drop(queue);
        self.ready.notify_all();
    }

    /// Wakes a handler, if one sleeps and none is on its way already.
    fn wake_one(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.sleepers == 0 || queue.woken > 0 {
            return;
        }
        queue.sleepers -= 1;
        queue.woken += 1;
        drop(queue);
        self.counters.handler_wakeups.one();
        self.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // All of others' code that runs under this lock is the question what is quick, which is
        // asked before anything changes: it is whole whatever panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Mutex as StdMutex;
    use std::thread;

    use mio::{Poll, Token};

    use super::*;
    use crate::pool::Frame;
    use crate::service::Connection;

    fn call(n: u8) -> Call {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let connection = Connection { id: 1, peer, listener: 0 };
        let frame = Frame::from_vec(vec![n]);
        (Request { frame, connection }, Reply::detached(|_| ()))
    }

    fn calls(range: std::ops::Range<u8>) -> VecDeque<Call> {
        range.map(call).collect()
    }

    fn set_up(requests_max: usize, handlers: usize) -> (Poll, Arc<Inbox>, RequestChannel) {
        let (poll, counters) = (Poll::new().unwrap(), Arc::new(Counters::default()));
        let inbox = Inbox::new(poll.registry(), Token(0), Arc::clone(&counters)).unwrap();
        let channel = RequestChannel::new(requests_max, counters);
        assert_eq!(channel.set_handlers(handlers), handlers);
        (poll, Arc::new(inbox), channel)
    }

    #[test]
    fn what_does_not_fit_stays_and_room_is_announced() {
        let (_poll, inbox, channel) = set_up(3, 1);
        let mut waiting = calls(0..5);
        channel.push(&mut waiting, &inbox);
        assert_eq!((channel.depth(), waiting.len()), (3, 2));
        assert!(inbox.fall_asleep());
        let mut taken = VecDeque::new();
        assert!(channel.take(&mut taken, |_| true));
        assert!(inbox.is_notified());
        assert_eq!(channel.counters.processor_wakeups.get(), 1);
        assert!(taken.iter().map(|(request, _)| request.frame[0]).eq(0..3));
    }

    #[test]
    fn nobody_is_woken_who_is_awake_and_a_handler_takes_its_share() {
        let (_poll, inbox, channel) = set_up(100, 4);
        channel.push(&mut calls(0..8), &inbox);
        let mut taken = VecDeque::new();
        channel.take(&mut taken, |_| true);
        assert_eq!(taken.len(), 2);
        assert_eq!(channel.counters.handler_wakeups.get(), 0);
    }

    #[test]
    fn nothing_waits_behind_what_takes_long() {
        let (_poll, inbox, channel) = set_up(100, 1);
        channel.push(&mut calls(0..8), &inbox);
        let mut shares = Vec::new();
        while channel.depth() > 0 {
            let mut taken = VecDeque::new();
            channel.take(&mut taken, |request| ![0, 2].contains(&request.frame[0]));
            shares.push(taken.len());
        }
        assert_eq!(shares, [1, 2, 4, 1]);
    }

    #[test]
    fn every_call_is_taken_once_by_sleeping_handlers_too() {
        let (_poll, inbox, channel) = set_up(10, 3);
        let seen = StdMutex::new(vec![0; 200]);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut taken = VecDeque::new();
                    while channel.take(&mut taken, |_| true) {
                        for (request, reply) in taken.drain(..) {
                            seen.lock().unwrap()[usize::from(request.frame[0])] += 1;
                            reply.nothing();
                        }
                    }
                });
            }
            let mut waiting = calls(0..200);
            while !waiting.is_empty() {
                channel.push(&mut waiting, &inbox);
                thread::yield_now();
            }
            channel.close(false);
        });
        assert_eq!(*seen.lock().unwrap(), vec![1; 200]);
    }

    #[test]
    fn handlers_come_and_go_and_every_call_is_taken_once() {
        let (_poll, inbox, channel) = set_up(10, 1);
        let seen = StdMutex::new(vec![0; 250]);
        let ended = StdMutex::new(0);
        thread::scope(|scope| {
            let handler = || {
                let mut taken = VecDeque::new();
                while channel.take(&mut taken, |_| true) {
                    for (request, reply) in taken.drain(..) {
                        seen.lock().unwrap()[usize::from(request.frame[0])] += 1;
                        reply.nothing();
                    }
                }
                *ended.lock().unwrap() += 1;
            };
            scope.spawn(handler);
            let mut started = 1;
            let mut waiting = calls(0..250);
            let mut turn = 0;
            while !waiting.is_empty() {
                turn += 1;
                let to_start = channel.set_handlers([1, 7, 2, 4][turn % 4]);
                (0..to_start).for_each(|_| drop(scope.spawn(handler)));
                started += to_start;
                channel.push(&mut waiting, &inbox);
                thread::yield_now();
            }
            channel.set_handlers(2);
            while *ended.lock().unwrap() < started - 2 {
                thread::yield_now();
            }
            channel.close(false);
            assert_eq!(channel.set_handlers(5), 0, "none starts any more");
        });
        assert_eq!(*seen.lock().unwrap(), vec![1; 250]);
    }
}
