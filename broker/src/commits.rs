//! Appends that wait for a sync: threads that sync logs for the requests that wait.
//!
//! With `flush.messages` an append is acknowledged when it is on the disk. Handlers do not wait for
//! that: they leave what they have appended with the partition, and one of these threads syncs its
//! log once for all that was left there so far. So one sync serves as many requests as there are,
//! not as many as there are handlers, and a slow disk takes no handler away from other requests.
//!
//! Threads are started when they are first needed. Two of them never have the same [`Partition`],
//! since the second sync would only wait for the first. It does so in the one case in which they
//! have the same log: when its leadership has changed, what was appended before is left with the
//! partition as it was, and what comes after with the one that took its place.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use ottla_network::{Reply, Response};
use ottla_storage::error::StorageError;

use crate::delayed::Event;
use crate::topics::Partition;

/// Syncs under way at the same time, each of another log. A journaling file system makes one
/// commit of syncs that come together.
const THREADS_MAX: usize = 32;

/// A lock that a panicking holder leaves usable: every critical section here leaves its data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever waits for a sync.
pub(crate) trait Waiter: Send + Sync {
    /// The append number `place` of the request is on the disk, or the sync has failed. Returns the
    /// answer when this was the last that the request waited for.
    fn synced(&self, place: usize, result: Result<(), &StorageError>) -> Option<(Reply, Response)>;
}

/// An append that is to be synced.
pub(crate) struct Pending {
    /// Who waits.
    pub(crate) waiter: Arc<dyn Waiter>,
    /// Which of its appends it is.
    pub(crate) place: usize,
    /// The offset behind it.
    pub(crate) end_offset: i64,
    /// Bytes that consumers see when it is synced.
    pub(crate) bytes: usize,
}

/// What waits for the sync of one partition's log.
#[derive(Default)]
pub(crate) struct CommitQueue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    pending: Vec<Pending>,
    /// The partition is in the queue of the threads, or with one of them.
    is_queued: bool,
}

/// The threads.
#[derive(Default)]
pub(crate) struct Commits {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    due: VecDeque<Arc<Partition>>,
    idle: usize,
    stopping: bool,
}

impl Commits {
    /// Has the log of `partition` synced for `pending`. Without any thread, the caller does it.
    pub(crate) fn add(&self, partition: &Arc<Partition>, pending: Pending) {
        {
            let mut waiting = lock(&partition.commits.0);
            waiting.pending.push(pending);
            if mem::replace(&mut waiting.is_queued, true) {
                return;
            }
        }
        let is_short = {
            let mut state = lock(&self.shared.state);
            state.due.push_back(Arc::clone(partition));
            state.idle < state.due.len() || state.stopping
        };
        if is_short && !self.grow() {
            while let Some(partition) = self.shared.take() {
                self.shared.sync(&partition);
            }
        }
        self.shared.more.notify_one();
    }

    /// Starts another thread if there may be one more; whether there is any.
    fn grow(&self) -> bool {
        let mut threads = lock(&self.threads);
        if lock(&self.shared.state).stopping {
            return false;
        }
        if threads.len() < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            let name = format!("commit-{}", threads.len());
            match thread::Builder::new().name(name).spawn(move || shared.run()) {
                Ok(thread) => threads.push(thread),
                Err(error) => log::warn!("no thread for syncs: {error}"),
            }
        }
        !threads.is_empty()
    }

    /// Ends the threads when all that waits is synced. What is added later is synced by whoever
    /// adds it.
    pub(crate) fn stop(&self) {
        lock(&self.shared.state).stopping = true;
        self.shared.more.notify_all();
        // Not under the lock: who adds meanwhile looks whether there are threads.
        let threads = mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(partition) = state.due.pop_front() {
                drop(state);
                self.sync(&partition);
                state = lock(&self.state);
            } else if state.stopping {
                return;
            } else {
                state.idle += 1;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    fn take(&self) -> Option<Arc<Partition>> {
        lock(&self.state).due.pop_front()
    }

    /// Syncs a log for all that wait for it, and answers them.
    fn sync(&self, partition: &Arc<Partition>) {
        let pending = mem::take(&mut lock(&partition.commits.0).pending);
        let end_offset = pending.iter().map(|pending| pending.end_offset).max();
        let settled = end_offset.map_or(Ok(()), |end_offset| partition.log.settle(end_offset));
        if settled.is_ok() {
            let bytes = pending.iter().map(|pending| pending.bytes).sum();
            partition.fetches.signal(Event::Appended(bytes));
        }
        let answers = pending.into_iter().filter_map(|Pending { waiter, place, .. }| {
            waiter.synced(place, settled.as_ref().copied())
        });
        Reply::send_all(answers.collect::<Vec<_>>());
        let mut waiting = lock(&partition.commits.0);
        if waiting.pending.is_empty() {
            waiting.is_queued = false;
            return;
        }
        drop(waiting);
        // Behind the others, whose turn it is.
        lock(&self.state).due.push_back(Arc::clone(partition));
        self.more.notify_one();
    }
}
