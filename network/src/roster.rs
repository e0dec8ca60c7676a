//! Which Processors there are. The set changes while the server runs; whoever gives something to a
//! Processor does so under the roster's lock, so that one that leaves gets nothing any more.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::acceptor::Accepted;
use crate::inbox::{DRAIN, Inbox, RETIRE};

/// The Processors of a server, by their inboxes.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<Members>);

#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Those that get connections. Not empty while the server runs.
    pub(crate) active: Vec<Arc<Inbox>>,
    /// Those that have been told to hand their connections over and have not done so.
    retiring: Vec<Arc<Inbox>>,
    /// The server stops.
    pub(crate) stopped: bool,
}

impl Roster {
    /// A poisoned lock guards lists that are whole between any two statements.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new connection to the Processor that has the fewest.
    pub(crate) fn accepted(&self, accepted: Accepted) {
        self.lock().least_loaded().accepted(accepted);
    }

    /// Connections now.
    pub(crate) fn connections(&self) -> usize {
        self.lock().all().map(|inbox| inbox.connections.load(Ordering::Relaxed)).sum()
    }

    /// Makes all Processors look around.
    pub(crate) fn wake_all(&self) {
        self.lock().all().for_each(|inbox| inbox.wake());
    }

    /// Tells all Processors to stop in this way; none joins from now on.
    pub(crate) fn stop(&self, how: u8) {
        assert!(DRAIN <= how, "this is not a way to stop");
        let mut members = self.lock();
        members.stopped = true;
        members.all().for_each(|inbox| inbox.tell(how));
    }
}

impl Members {
    /// Tells all but the first `processors` to hand their connections over and to end.
    pub(crate) fn retire_beyond(&mut self, processors: usize) {
        let at = processors.max(1).min(self.active.len());
        let leaving = self.active.split_off(at);
        leaving.iter().for_each(|inbox| inbox.tell(RETIRE));
        self.retiring.extend(leaving);
    }

    /// A Processor has handed all over.
    pub(crate) fn retired(&mut self, inbox: &Arc<Inbox>) {
        self.retiring.retain(|other| !Arc::ptr_eq(other, inbox));
    }

    /// The Processor with the fewest connections.
    pub(crate) fn least_loaded(&self) -> &Arc<Inbox> {
        let connections = |inbox: &&Arc<Inbox>| inbox.connections.load(Ordering::Relaxed);
        self.active.iter().min_by_key(connections).expect("a server has a processor")
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Inbox>> {
        self.active.iter().chain(&self.retiring)
    }
}
