//! What the client's thread and those who poll have in common.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::commit::Offsets;
use super::cursor::Cursor;
use super::group::{Identity, Interest, Membership};
use super::inquiry::Inquiry;
use super::positions::{Place, Positions};
use super::settings::ConsumerSettings;
use crate::error::{Error, ErrorKind};
use crate::partition::TopicPartition;
use crate::session::calls::Ask;

/// All of it.
pub(super) struct Shared {
    pub(super) settings: ConsumerSettings,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the client's thread may be waiting for something to happen.
    is_asleep: AtomicBool,
    /// Bytes of the answers that are kept in memory.
    pub(super) held: Arc<AtomicUsize>,
    /// Commits that have no result yet.
    pub(super) commits: Arc<AtomicUsize>,
}

/// What the lock protects.
#[derive(Default)]
pub(super) struct State {
    pub(super) positions: Positions,
    /// What was fetched and not taken yet, the oldest first.
    pub(super) queue: VecDeque<Cursor>,
    /// What went wrong since the last poll.
    pub(super) errors: VecDeque<Error>,
    /// What is to be asked of leaders.
    pub(super) inquiries: Vec<Inquiry>,
    /// What is to be asked of others, and until when.
    pub(super) asks: Vec<(Box<dyn Ask>, Instant)>,
    /// When positions are to be committed automatically.
    pub(super) commit_due: Option<Instant>,
    /// Whether a broker is not asked for more because of what is in the queue.
    pub(super) is_full: bool,
    pub(super) is_woken: bool,
    /// The member of the group that it is or could be, if there is a group.
    pub(super) membership: Option<Membership>,
    /// What it is subscribed to; nothing when its partitions are assigned by hand.
    pub(super) interest: Interest,
    /// Whether the end has begun.
    pub(super) is_ending: bool,
    /// Until when the end may take, once it has begun.
    pub(super) closing: Option<Instant>,
    /// Whether the client's thread has ended.
    pub(super) is_over: bool,
}

impl Shared {
    pub(super) fn new(settings: ConsumerSettings, membership: Option<Membership>) -> Self {
        Self {
            settings,
            state: Mutex::new(State { membership, ..State::default() }),
            changed: Condvar::new(),
            is_asleep: AtomicBool::new(false),
            held: Arc::default(),
            commits: Arc::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody has changed something, or it is time.
    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        let timeout = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Tells those who wait.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// From here on whoever changes something has the client's thread woken.
    pub(super) fn fall_asleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
    }

    /// Whether the client's thread has to be woken to see a change.
    pub(super) fn needs_wake(&self) -> bool {
        self.is_asleep.swap(false, Ordering::SeqCst)
    }
}

/// What is told at the next poll; a caller who does not poll is not told of all.
const ERRORS_MAX: usize = 100;

impl State {
    /// Has the next poll tell it.
    pub(super) fn tell(&mut self, error: Error) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push_back(error);
        }
    }

    /// Forgets what was wrong where these partitions were before.
    pub(super) fn forget_errors(&mut self, partitions: &[TopicPartition]) {
        let is_about = |error: &Error, of: &TopicPartition| {
            error.topic() == Some(&*of.topic) && error.partition() == Some(of.partition)
        };
        self.errors.retain(|error| !partitions.iter().any(|of| is_about(error, of)));
    }

    /// Drops what was fetched of positions that are not those any more.
    pub(super) fn clean(&mut self) {
        let positions = &mut self.positions;
        self.queue.retain(|cursor| {
            let chunk = &cursor.chunk;
            positions.current(&chunk.partition, chunk.generation).is_some()
        });
    }

    /// The oldest of what was fetched of a partition that is not paused.
    pub(super) fn take(&mut self) -> Option<Cursor> {
        let is_open = |cursor: &Cursor| {
            let place = self.positions.get(&cursor.chunk.partition);
            place.is_some_and(|place| !place.is_paused)
        };
        let at = self.queue.iter().position(is_open)?;
        self.queue.remove(at)
    }

    /// Whether the group says which partitions it has.
    pub(super) fn is_subscribed(&self) -> bool {
        self.interest != Interest::None
    }

    /// Who it is to the group's coordinator; `None` for nobody.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.membership.as_ref().and_then(Membership::identity)
    }

    /// # Errors
    /// It is subscribed and is no member: others may have the partitions that it has had.
    pub(super) fn check_member(&self) -> Result<(), Error> {
        if self.is_subscribed() && self.identity().is_none() {
            let detail = "the consumer is no member of its group now: it has not joined yet, or \
                          has left because it did not poll within max.poll.interval.ms; its \
                          partitions may be others'";
            return Err(Error::new(ErrorKind::Usage, detail));
        }
        Ok(())
    }

    /// What polls have returned.
    pub(super) fn consumed(&self) -> Offsets {
        let consumed =
            |(of, place): (&TopicPartition, &Place)| Some((of.clone(), place.consumed()?.into()));
        self.positions.iter().filter_map(consumed).collect()
    }

    /// Why a partition cannot go on, if one cannot.
    pub(super) fn failed(&self) -> Option<&Error> {
        self.positions.iter().find_map(|(_, place)| place.error())
    }
}
