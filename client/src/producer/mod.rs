//! Sending records.
//!
//! | module | what it is |
//! |---|---|
//! | [`partitioner`] | which partition a record goes to |
//! | [`queue`] | batches that records are put into, on the threads of those who send |
//! | [`memory`] | how many bytes may wait |
//! | [`lane`] | what is on its way to a partition: in which order, what is sent again |
//! | [`sender`] | the client's thread: requests out of batches, and what their answers mean |
//! | [`delivery`] | what became of a record |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_protocol::record::builder::NewRecord;
use ottla_protocol::record::record::RecordHeader;

use crate::config::{COMMON, PRODUCER, Properties, Settings};
use crate::error::{Error, ErrorKind};
use crate::net::reactor::{self, Handle};
use crate::session::Session;

mod delivery;
mod lane;
mod memory;
mod partitioner;
mod queue;
mod ratio;
mod sender;
mod settings;
mod shared;

pub use delivery::{Delivery, RecordMetadata};
pub use partitioner::{Partitioner, partition_of_key};

use delivery::Callback;
use queue::{Put, ToPut};
use sender::Sender;
use settings::ProducerSettings;
use shared::{Shared, TopicQueues};

/// A record to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition; `None` leaves that to the partitioner.
    pub partition: Option<i32>,
    /// Its timestamp, ms since the epoch; `None` for now.
    pub timestamp: Option<i64>,
    /// Its key; records with the same one go to the same partition.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, in their order. A key may come more than once.
    pub headers: &'a [Header<'a>],
}

/// A header of a record.
pub type Header<'a> = RecordHeader<'a>;

impl<'a> ProducerRecord<'a> {
    /// A record of this value.
    pub fn new(topic: &'a str, value: &'a [u8]) -> Self {
        Self { topic, value: Some(value), ..Self::default() }
    }

    /// The same with a key.
    #[must_use]
    pub fn key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// The same for this partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// The same with this timestamp, ms since the epoch.
    #[must_use]
    pub fn timestamp(mut self, ms: i64) -> Self {
        self.timestamp = Some(ms);
        self
    }

    /// The same with these headers.
    #[must_use]
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }
}

/// Sends records. It may be shared between threads. Dropping it sends what is there, as
/// [`Producer::close`] does.
///
/// ```no_run
/// use ottla_client::{Producer, ProducerRecord, Properties};
///
/// let producer = Producer::new(&Properties::new().with("bootstrap.servers", "localhost:9092"))?;
/// let delivery = producer.send(&ProducerRecord::new("orders", b"one").key(b"me"))?;
/// println!("at {:?}", delivery.wait()?.offset);
/// # Ok::<(), ottla_client::Error>(())
/// ```
pub struct Producer {
    shared: Arc<Shared>,
    partitioner: Option<Box<dyn Partitioner>>,
    handle: Mutex<Handle>,
}

impl Producer {
    /// A producer to the cluster of `bootstrap.servers`. Nothing is connected to before the first
    /// record.
    ///
    /// # Errors
    /// A setting is unknown, not valid or against another one; the system has no more threads.
    pub fn new(properties: &Properties) -> Result<Self, Error> {
        Self::start(properties, None)
    }

    /// The same with a partitioner of one's own.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn with_partitioner(
        properties: &Properties,
        partitioner: impl Partitioner + 'static,
    ) -> Result<Self, Error> {
        Self::start(properties, Some(Box::new(partitioner)))
    }

    fn start(
        properties: &Properties,
        partitioner: Option<Box<dyn Partitioner>>,
    ) -> Result<Self, Error> {
        let settings = Settings::new(&[COMMON, PRODUCER], properties)?;
        let mut session = settings.session()?;
        session.may_create_topics = true;
        session.topic_idle_max = settings.duration("metadata.max.idle.ms");
        let own = ProducerSettings::new(&settings, session.retry_backoff)?;
        let shared = Arc::new(Shared::new(own));
        let sender = Sender::new(Arc::clone(&shared), Session::new(&session));
        let handle = reactor::spawn("ottla-producer", settings.net(), sender)?;
        Ok(Self { shared, partitioner, handle: Mutex::new(handle) })
    }

    fn wake(&self) {
        if self.shared.needs_wake() {
            self.handle.lock().unwrap_or_else(PoisonError::into_inner).wake();
        }
    }

    /// Sends a record. It waits, up to `max.block.ms`, for the topic's metadata and while
    /// `buffer.memory` is full; what becomes of the record the answer tells later.
    ///
    /// # Errors
    /// It was not taken: there is no such partition, it is too large, there was no room in time.
    pub fn send(&self, record: &ProducerRecord<'_>) -> Result<Delivery, Error> {
        self.put(record, None)
    }

    /// Sends a record as [`Producer::send`] does, and calls back, on the client's own thread, when
    /// it was appended or has failed. The callback must not block: nothing is sent meanwhile.
    ///
    /// # Errors
    /// As [`Producer::send`]; the callback is not called then.
    pub fn send_then(
        &self,
        record: &ProducerRecord<'_>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let callback: Callback = Box::new(callback);
        self.put(record, Some(callback)).map(drop)
    }

    fn put(
        &self,
        record: &ProducerRecord<'_>,
        callback: Option<Callback>,
    ) -> Result<Delivery, Error> {
        let shared = &*self.shared;
        let settings = &shared.settings;
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        if timestamp < 0 {
            let detail = format!("the timestamp {timestamp} lies before 1970");
            return Err(Error::new(ErrorKind::Usage, detail).of_topic(record.topic));
        }
        let new =
            NewRecord { timestamp, key: record.key, value: record.value, headers: record.headers };
        let mut to_put = ToPut { record: new, callback };
        let bytes = to_put.bytes_max();
        if bytes > settings.request_bytes_max {
            let max = settings.request_bytes_max;
            let detail = format!("a record of {bytes} bytes; max.request.size allows {max}");
            return Err(Error::new(ErrorKind::Usage, detail).of_topic(record.topic));
        }
        let topic = shared.wait_for_topic(record.topic, || self.wake())?;
        let (mut room, mut was_closed) = (None, false);
        loop {
            let (partition, is_free) = self.choose(&topic, record)?;
            let queue = topic.queue(partition).ok_or_else(|| no_partition(&topic, partition))?;
            match queue.put(&mut to_put, &settings.batch, &mut room)? {
                Put::Done { delivery, is_batch_full, is_news } => {
                    let is_batch_full = is_batch_full || was_closed;
                    if is_free {
                        topic.appended(bytes, is_batch_full, settings.batch.bytes_max);
                    }
                    if is_news {
                        shared.news().listed.push(queue);
                    }
                    if is_news || is_batch_full {
                        self.wake();
                    }
                    return Ok(delivery);
                }
                Put::NeedsBatch { is_batch_full } => {
                    was_closed |= is_batch_full;
                    let wanted = bytes.max(settings.batch.bytes_max);
                    let timeout = settings.block_max;
                    let taken = shared.memory.take(wanted, timeout, || self.wake());
                    let taken =
                        taken.map_err(|why| why.error(wanted, settings).of_topic(record.topic));
                    room = Some(taken?);
                }
            }
        }
    }

    /// The partition of a record, and whether it could have been any.
    fn choose(
        &self,
        topic: &TopicQueues,
        record: &ProducerRecord<'_>,
    ) -> Result<(usize, bool), Error> {
        let count = topic.count();
        if let Some(partition) = record.partition {
            let chosen = usize::try_from(partition).ok().filter(|chosen| *chosen < count);
            return chosen.map(|chosen| (chosen, false)).ok_or_else(|| {
                let detail = format!("there is no partition {partition}, but {count} of them");
                Error::new(ErrorKind::Usage, detail).of_topic(&topic.name)
            });
        }
        let (key, value) = (record.key, record.value);
        let own = self.partitioner.as_ref();
        if let Some(chosen) = own.and_then(|own| own.partition(&topic.name, key, value, count)) {
            return Ok((chosen, false));
        }
        match key {
            Some(key) if !self.shared.settings.ignores_keys => {
                Ok((partition_of_key(key, count), false))
            }
            _ => Ok((topic.next_partition(), true)),
        }
    }

    /// How many partitions a topic has. It waits for the topic's metadata, up to `max.block.ms`.
    ///
    /// # Errors
    /// The topic is not known in time, or cannot be.
    pub fn partitions(&self, topic: &str) -> Result<usize, Error> {
        Ok(self.shared.wait_for_topic(topic, || self.wake())?.count())
    }

    /// Sends what is there at once, and waits until all of it was acknowledged or has failed. What
    /// other threads send meanwhile is not waited for.
    pub fn flush(&self) {
        self.shared.memory.flush(|| self.wake());
    }

    /// Takes no more records, sends what is there, and waits for it, but no longer than this. What
    /// is not acknowledged then fails.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when there was something left.
    pub fn close(self, timeout: Duration) -> Result<(), Error> {
        if self.end(timeout) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout(timeout), "some records were not acknowledged"))
    }

    /// Whether nothing was left.
    fn end(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout.min(END_MAX);
        self.shared.close(until);
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        handle.wake();
        handle.join();
        self.shared.memory.taken() == 0
    }
}

/// The longest time that closing can be given: a sum with an instant has to have a form.
const END_MAX: Duration = Duration::from_secs(1 << 32);

impl Drop for Producer {
    fn drop(&mut self) {
        self.end(self.shared.settings.delivery_timeout);
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unfinished = self.shared.memory.taken();
        f.debug_struct("Producer").field("unfinished_batches", &unfinished).finish_non_exhaustive()
    }
}

fn no_partition(topic: &TopicQueues, partition: usize) -> Error {
    let detail = format!("the partitioner chose {partition} of {} partitions", topic.count());
    Error::new(ErrorKind::Usage, detail).of_topic(&topic.name)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
