//! Reading records.
//!
//! | module | what it is |
//! |---|---|
//! | [`record`] | records as polls return them |
//! | [`chunk`], [`cursor`] | what a fetch brought of a partition, and reading records out of it |
//! | [`positions`] | where each partition is: begins, goes on, cannot go on |
//! | [`fetch_session`] | what a broker knows of what is asked for |
//! | [`fetcher`] | requests for records, and what their answers mean |
//! | [`inquiry`] | what leaders are asked beside records |
//! | [`offsets`] | ends of partitions, and offsets of times |
//! | [`topics`] | which topics and partitions there are |
//! | [`commit`] | offsets that a group has come to |
//! | [`iter`] | records one by one, without end |
//! | [`group`], [`subscribe`] | partitions that come and go with the members of a group |
//! | [`close`] | the end of all that |
//! | [`engine`] | the client's thread |
//! | [`shared`] | what it has in common with those who poll |

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::config::{COMMON, CONSUMER, Properties, Settings};
use crate::error::{Error, ErrorKind};
use crate::net::reactor::{self, Handle};
use crate::partition::TopicPartition;
use crate::session::Session;

mod chunk;
mod close;
mod commit;
mod cursor;
mod engine;
mod fetch_session;
mod fetcher;
mod group;
mod inquiry;
mod iter;
mod offsets;
mod positions;
mod record;
mod settings;
mod shared;
mod subscribe;
mod topics;

pub use commit::OffsetAndMetadata;
pub use iter::ConsumerIter;
pub use offsets::OffsetAndTimestamp;
pub use record::{OwnedRecord, Record, Records, RecordsIntoIter, RecordsIter};
pub use subscribe::{ConsumerGroupMetadata, RebalanceListener};

use chunk::At;
use cursor::{Cursor, Reading};
use engine::Engine;
use group::{GroupSettings, Membership};
use positions::{EARLIEST, LATEST, State as PlaceState};
use settings::ConsumerSettings;
use shared::{Shared, State};
use subscribe::Listener;

/// The longest time that something can be given: a sum with an instant has to have a form.
const TIMEOUT_MAX: Duration = Duration::from_secs(1 << 32);

/// Reads records of partitions.
///
/// A thread of the consumer's own fetches ahead; [`Consumer::poll`] takes what is there, and
/// checks, decompresses and decodes it on the caller's thread. What waits to be taken is bounded: a
/// broker is asked for more only when less than half of what one of its answers may have, which is
/// the lesser of `fetch.max.bytes` and `max.partition.fetch.bytes` of each of its partitions,
/// waits; a single batch that is larger comes all the same. [`Records`] keep what they came in in
/// memory until they are dropped; [`Consumer::buffered_bytes`] counts all of it.
///
/// A consumer may be shared between threads, but one at a time polls. [`Consumer::iter`] does it as
/// an iterator that gives one record after the other.
///
/// ```no_run
/// use std::time::Duration;
///
/// use ottla_client::{Consumer, Properties, TopicPartition};
///
/// let properties = Properties::new()
///     .with("bootstrap.servers", "localhost:9092")
///     .with("auto.offset.reset", "earliest");
/// let consumer = Consumer::new(&properties)?;
/// consumer.assign(&[TopicPartition::new("orders", 0)])?;
/// loop {
///     for record in &consumer.poll(Duration::from_secs(1))? {
///         println!("{}: {:?}", record.offset(), record.value());
///     }
/// }
/// # #[expect(unreachable_code)]
/// # Ok::<(), ottla_client::Error>(())
/// ```
pub struct Consumer {
    shared: Arc<Shared>,
    /// What only one who polls has.
    front: Mutex<Front>,
    listener: Mutex<Option<Listener>>,
    handle: Mutex<Handle>,
}

/// What is being read.
#[derive(Default)]
struct Front {
    cursor: Option<Cursor>,
}

impl Consumer {
    /// A consumer of the cluster of `bootstrap.servers`. Nothing is connected to before it has
    /// partitions.
    ///
    /// # Errors
    /// A setting is unknown, not valid or against another one; the system has no more threads.
    pub fn new(properties: &Properties) -> Result<Self, Error> {
        let settings = Settings::new(&[COMMON, CONSUMER], properties)?;
        let mut session = settings.session()?;
        session.may_create_topics = settings.flag("allow.auto.create.topics");
        let own = ConsumerSettings::new(&settings, session.retry_backoff)?;
        let group = own.group.clone();
        let group = group.map(|group| GroupSettings::new(&settings, group, &session));
        let shared = Arc::new(Shared::new(own, group.transpose()?.map(Membership::new)));
        let engine = Engine::new(Arc::clone(&shared), Session::new(&session));
        let handle = reactor::spawn("ottla-consumer", settings.net(), engine)?;
        let (front, listener) = (Mutex::default(), Mutex::default());
        Ok(Self { shared, front, listener, handle: Mutex::new(handle) })
    }

    /// Has the client's thread look at what was changed.
    fn wake(&self) {
        if self.shared.needs_wake() {
            self.handle.lock().unwrap_or_else(PoisonError::into_inner).wake();
        }
    }

    /// Takes exactly these partitions. Those that it has already go on where they are. With
    /// `enable.auto.commit` what polls have returned of those before is committed. No partitions:
    /// a consumer that is subscribed does as with [`Consumer::unsubscribe`].
    ///
    /// # Errors
    /// A topic has no name, or a partition is negative; the consumer is subscribed.
    pub fn assign(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let wrong = |of: &&TopicPartition| of.topic.is_empty() || of.partition < 0;
        if let Some(of) = partitions.iter().find(wrong) {
            return Err(Error::new(ErrorKind::Usage, format!("there is no partition {of}")));
        }
        let mut state = self.shared.state();
        if state.is_subscribed() {
            if partitions.is_empty() {
                drop(state);
                return self.unsubscribe();
            }
            let detail = "the consumer is subscribed: unsubscribe() before assign()";
            return Err(Error::new(ErrorKind::Usage, detail));
        }
        let consumed = state.consumed();
        state.positions.assign(partitions);
        state.clean();
        drop(state);
        if self.shared.settings.auto_commit.is_some() {
            self.commit_behind(consumed);
        }
        self.wake();
        Ok(())
    }

    /// Its partitions.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.state().positions.iter().map(|(of, _)| of.clone()).collect()
    }

    /// The next records, `max.poll.records` at most; none when there are none within the time.
    ///
    /// # Errors
    /// What keeps the consumer out of its group; what keeps a partition from going on. That names
    /// the partition; others go on at the next poll,
    /// and a poll that has nothing else says it again. [`ErrorKind::Wakeup`] after
    /// [`Consumer::wakeup`]; [`ErrorKind::Usage`] when another thread polls, and when the consumer
    /// is neither subscribed nor has partitions assigned.
    pub fn poll(&self, timeout: Duration) -> Result<Records, Error> {
        self.poll_up_to(self.shared.settings.poll_records_max, timeout)
    }

    fn poll_up_to(&self, count: usize, timeout: Duration) -> Result<Records, Error> {
        let mut front = self.front()?;
        self.commit_automatically();
        let until = Instant::now() + timeout.min(TIMEOUT_MAX);
        let mut state = self.shared.state();
        if !state.is_subscribed() && state.positions.is_empty() {
            let detail = "there is nothing to poll: subscribe() to topics or assign() partitions \
                          first";
            return Err(Error::new(ErrorKind::Usage, detail));
        }
        loop {
            if std::mem::take(&mut state.is_woken) {
                return Err(Error::new(ErrorKind::Wakeup, "the consumer was woken up"));
            }
            Self::polled(&mut state, false);
            state = self.rebalance(state);
            if let Some(error) = state.membership.as_mut().and_then(Membership::error) {
                return Err(error);
            }
            if let Some(error) = state.errors.pop_front() {
                return Err(error);
            }
            let (taken, records) = self.collect((&mut front, count), state)?;
            if !records.is_empty() {
                return Ok(records);
            }
            if !taken.errors.is_empty() {
                state = taken;
                continue;
            }
            if taken.is_over {
                return Err(Error::closed("consumer"));
            }
            if until <= Instant::now() {
                return match taken.failed() {
                    Some(error) => Err(error.clone()),
                    None => Ok(records),
                };
            }
            state = taken;
            Self::polled(&mut state, true);
            state = self.shared.wait(state, until);
            Self::polled(&mut state, false);
        }
    }

    fn front(&self) -> Result<MutexGuard<'_, Front>, Error> {
        match self.front.try_lock() {
            Ok(front) => Ok(front),
            Err(TryLockError::Poisoned(front)) => Ok(front.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(ErrorKind::Usage, "another thread polls this consumer"))
            }
        }
    }

    /// Takes records out of what was fetched, and moves the positions behind them.
    fn collect<'a>(
        &'a self,
        (front, count): (&mut Front, usize),
        mut state: MutexGuard<'a, State>,
    ) -> Result<(MutexGuard<'a, State>, Records), Error> {
        let settings = &self.shared.settings;
        let reading = Reading {
            checks_crcs: settings.checks_crcs,
            is_read_committed: settings.is_read_committed,
            batch_bytes_max: settings.batch_bytes_max,
        };
        let mut records = Records::default();
        loop {
            if let Some(cursor) = front.cursor.take() {
                self.put_back(&mut state, cursor, front);
            }
            if front.cursor.is_none() {
                front.cursor = state.take();
                if front.cursor.is_some() && std::mem::take(&mut state.is_full) {
                    self.wake();
                }
            }
            let Some(cursor) = &mut front.cursor else { return Ok((state, records)) };
            drop(state);
            let given = records.len();
            let more = cursor.read(count, reading, &mut records);
            state = self.shared.state();
            let (partition, generation) = (&cursor.chunk.partition, cursor.chunk.generation);
            match state.positions.current(partition, generation) {
                Some(place) => place.consume(cursor.next),
                // It was sought meanwhile.
                None => records.drop_entries_from(given),
            }
            match more {
                Ok(true) => {}
                Ok(false) => front.cursor = None,
                Err(error) => {
                    if let Some(place) = state.positions.current(partition, generation) {
                        place.fail(error.clone());
                        // What comes behind is not for who has not read this.
                        state.positions.renew(partition);
                        state.clean();
                        state.tell(error);
                    }
                    front.cursor = None;
                }
            }
            if records.len() >= count {
                return Ok((state, records));
            }
        }
    }

    /// Goes on with what is being read, unless its partition has moved or is paused since.
    fn put_back(&self, state: &mut State, mut cursor: Cursor, front: &mut Front) {
        let chunk = &cursor.chunk;
        match state.positions.current(&chunk.partition, chunk.generation) {
            None => {}
            Some(place) if place.is_paused => {
                cursor.detach(&self.shared.held);
                state.queue.push_front(cursor);
            }
            Some(_) => front.cursor = Some(cursor),
        }
    }

    /// Has the poll that is under way, or else the next one, end with [`ErrorKind::Wakeup`].
    pub fn wakeup(&self) {
        self.shared.state().is_woken = true;
        self.shared.notify();
    }

    /// Goes on at this offset.
    ///
    /// # Errors
    /// The partition is not assigned; the offset is negative.
    pub fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), Error> {
        if offset < 0 {
            let detail = format!("the offset {offset} is negative");
            return Err(Error::new(ErrorKind::Usage, detail).of(partition));
        }
        self.set(std::slice::from_ref(partition), &PlaceState::at(At { offset, epoch: -1 }))
    }

    /// Goes on at the first records that there are; of all partitions when there are none in the
    /// list.
    ///
    /// # Errors
    /// A partition is not assigned.
    pub fn seek_to_beginning(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.set(partitions, &PlaceState::reset(EARLIEST))
    }

    /// Goes on behind the last records; of all partitions when there are none in the list.
    ///
    /// # Errors
    /// A partition is not assigned.
    pub fn seek_to_end(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.set(partitions, &PlaceState::reset(LATEST))
    }

    fn set(&self, partitions: &[TopicPartition], to: &PlaceState) -> Result<(), Error> {
        let mut state = self.shared.state();
        let all: Vec<TopicPartition>;
        let partitions = if partitions.is_empty() {
            all = state.positions.iter().map(|(of, _)| of.clone()).collect();
            &all
        } else {
            check_assigned(&state, partitions)?;
            partitions
        };
        for partition in partitions {
            state.positions.set(partition, to.clone());
        }
        state.forget_errors(partitions);
        state.clean();
        drop(state);
        self.wake();
        Ok(())
    }

    /// Returns no more records of these partitions. What was fetched is kept.
    ///
    /// # Errors
    /// A partition is not assigned.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.set_paused(partitions, true)
    }

    /// Returns records of these partitions again.
    ///
    /// # Errors
    /// A partition is not assigned.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.set_paused(partitions, false)
    }

    fn set_paused(&self, partitions: &[TopicPartition], is_paused: bool) -> Result<(), Error> {
        let mut state = self.shared.state();
        check_assigned(&state, partitions)?;
        let State { positions, queue, .. } = &mut *state;
        for partition in partitions {
            if let Some(place) = positions.get_mut(partition) {
                place.is_paused = is_paused;
            }
        }
        if is_paused {
            let partitions: BTreeSet<_> = partitions.iter().collect();
            for cursor in queue.iter_mut().filter(|of| partitions.contains(&of.chunk.partition)) {
                cursor.detach(&self.shared.held);
            }
        }
        drop(state);
        // What is there already can be taken.
        self.shared.notify();
        self.wake();
        Ok(())
    }

    /// The partitions that are paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        let state = self.shared.state();
        let paused = state.positions.iter().filter(|(_, place)| place.is_paused);
        paused.map(|(of, _)| of.clone()).collect()
    }

    /// The offset of the next record that a poll returns. It waits, up to `default.api.timeout.ms`,
    /// until the partition's begin is found.
    ///
    /// # Errors
    /// The partition is not assigned, or its begin is not found.
    pub fn position(&self, partition: &TopicPartition) -> Result<i64, Error> {
        let timeout = self.shared.settings.api_timeout;
        let until = Instant::now() + timeout;
        let mut state = self.shared.state();
        loop {
            let Some(place) = state.positions.get(partition) else {
                return Err(not_assigned(partition));
            };
            if let Some(at) = place.consumed() {
                return Ok(at.offset);
            }
            if let Some(error) = place.error() {
                return Err(error.clone());
            }
            if state.is_over {
                return Err(Error::closed("consumer"));
            }
            if until <= Instant::now() {
                let detail = "no broker has told where it begins";
                return Err(Error::new(ErrorKind::Timeout(timeout), detail).of(partition));
            }
            state = self.shared.wait(state, until);
        }
    }

    /// How many records of the partition come behind the next one, as of the last answer; with
    /// `isolation.level=read_committed` as far as they are committed. `None` before there was an
    /// answer.
    pub fn current_lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.state();
        let place = state.positions.get(partition)?;
        let marks = place.marks?;
        let end = match self.shared.settings.is_read_committed {
            true => marks.last_stable_offset,
            false => marks.high_watermark,
        };
        Some((end - place.consumed()?.offset).max(0))
    }

    /// Bytes of brokers' answers that are in memory: what waits to be taken, and what [`Records`]
    /// and [`OwnedRecord`]s borrow from. What batches were decompressed to is not counted.
    pub fn buffered_bytes(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = &self.shared.settings.group;
        f.debug_struct("Consumer").field("group", group).finish_non_exhaustive()
    }
}

fn check_assigned(state: &State, partitions: &[TopicPartition]) -> Result<(), Error> {
    let missing = partitions.iter().find(|of| state.positions.get(of).is_none());
    missing.map_or(Ok(()), |of| Err(not_assigned(of)))
}

fn not_assigned(partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::Usage, "the partition is not assigned to this consumer").of(partition)
}
