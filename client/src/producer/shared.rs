//! What those who send records and the client's thread share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::partitioner::{Loads, Sticky};
use super::queue::PartitionQueue;
use super::ratio::Ratio;
use super::settings::ProducerSettings;
use crate::chance::Chance;
use crate::error::{Error, ErrorKind};

/// The topics that are known, the records that wait, and what the client's thread is to do.
pub(super) struct Shared {
    pub(super) settings: ProducerSettings,
    pub(super) memory: Arc<Memory>,
    topics: RwLock<HashMap<Arc<str>, Arc<TopicQueues>>>,
    news: Mutex<News>,
    /// Topics became known, or cannot be.
    topics_changed: Condvar,
    /// Whether the client's thread may be asleep and has to be woken.
    pub(super) is_asleep: AtomicBool,
}

/// What the client's thread does not know yet.
#[derive(Default)]
pub(super) struct News {
    /// Partitions that have something to send again.
    pub(super) listed: Vec<Arc<PartitionQueue>>,
    /// Topics whose metadata is waited for.
    wanted: HashMap<String, Wanted>,
    /// Until when what is there may be sent; nothing more is taken.
    closing: Option<Instant>,
    is_ended: bool,
}

/// A topic that is not known.
#[derive(Default)]
struct Wanted {
    /// How many wait for it.
    count: usize,
    /// Why it is not known.
    error: Option<Error>,
}

/// Somebody who waits for a topic.
struct Waiting<'a> {
    shared: &'a Shared,
    name: &'a str,
}

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared, name: &'a str) -> Self {
        let mut news = shared.news();
        let wanted = news.wanted.entry(name.to_owned()).or_default();
        wanted.count += 1;
        // What was wrong before may not be any more.
        wanted.error = None;
        drop(news);
        Self { shared, name }
    }
}

impl Drop for Waiting<'_> {
    /// What nobody waits for is not asked for, whether it has come or not.
    fn drop(&mut self) {
        let mut news = self.shared.news();
        let Some(wanted) = news.wanted.get_mut(self.name) else { return };
        wanted.count -= 1;
        if wanted.count == 0 {
            news.wanted.remove(self.name);
        }
    }
}

/// A topic's queues, and how records without a key are spread over them.
pub(super) struct TopicQueues {
    pub(super) name: Arc<str>,
    pub(super) ratio: Arc<Ratio>,
    queues: RwLock<Vec<Arc<PartitionQueue>>>,
    spread: Mutex<Spread>,
}

struct Spread {
    sticky: Sticky,
    loads: Loads,
    chance: Chance,
}

impl TopicQueues {
    fn new(name: Arc<str>) -> Self {
        let spread =
            Spread { sticky: Sticky::default(), loads: Loads::default(), chance: Chance::new() };
        Self { name, ratio: Arc::default(), queues: RwLock::default(), spread: Mutex::new(spread) }
    }

    /// How many partitions there are.
    pub(super) fn count(&self) -> usize {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The queue of a partition; `None` when there is no such partition.
    pub(super) fn queue(&self, partition: usize) -> Option<Arc<PartitionQueue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(partition).cloned()
    }

    /// Makes queues for partitions that are new.
    fn grow(&self, count: usize) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        for partition in queues.len()..count {
            let (topic, ratio) = (Arc::clone(&self.name), Arc::clone(&self.ratio));
            queues.push(Arc::new(PartitionQueue::new(topic, partition as i32, ratio)));
        }
    }

    fn spread(&self) -> MutexGuard<'_, Spread> {
        self.spread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition of the next record without a key.
    pub(super) fn next_partition(&self) -> usize {
        let count = self.count();
        let Spread { sticky, loads, chance } = &mut *self.spread();
        let chosen = sticky.partition(|| loads.choose(chance));
        // A topic that was made anew may have fewer.
        chosen.min(count.saturating_sub(1))
    }

    /// Notes a record without a key that was put into a batch.
    pub(super) fn appended(&self, bytes: usize, is_full: bool, bytes_max: usize) {
        self.spread().sticky.appended(bytes, is_full, bytes_max);
    }

    /// Notes which partitions can be sent to, and how many batches wait for each.
    pub(super) fn set_loads(&self, waiting: &[(usize, u32)]) {
        let loads = Loads::new(waiting, self.count());
        self.spread().loads = loads;
    }
}

impl Shared {
    pub(super) fn new(settings: ProducerSettings) -> Self {
        Self {
            settings,
            memory: Memory::new(settings.memory_bytes),
            topics: RwLock::default(),
            news: Mutex::default(),
            topics_changed: Condvar::new(),
            is_asleep: AtomicBool::new(false),
        }
    }

    pub(super) fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A topic, if it is known.
    pub(super) fn topic(&self, name: &str) -> Option<Arc<TopicQueues>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A topic; waits until it is known. `wake` has the client's thread look for it.
    ///
    /// # Errors
    /// It is not known within `max.block.ms`, or cannot be.
    pub(super) fn wait_for_topic(
        &self,
        name: &str,
        wake: impl FnOnce(),
    ) -> Result<Arc<TopicQueues>, Error> {
        if let Some(topic) = self.topic(name) {
            return Ok(topic);
        }
        let timeout = self.settings.block_max;
        let until = Instant::now().checked_add(timeout);
        let waiting = Waiting::new(self, name);
        wake();
        let result = self.topic_until(name, until, timeout);
        drop(waiting);
        result
    }

    fn topic_until(
        &self,
        name: &str,
        until: Option<Instant>,
        timeout: Duration,
    ) -> Result<Arc<TopicQueues>, Error> {
        let mut news = self.news();
        loop {
            if let Some(topic) = self.topic(name) {
                return Ok(topic);
            }
            if news.is_ended || news.closing.is_some() {
                return Err(Error::closed("producer"));
            }
            let passing = news.wanted.get(name).and_then(|wanted| wanted.error.as_ref());
            if let Some(error) = passing.filter(|error| !error.is_retriable()) {
                return Err(error.clone().of_topic(name));
            }
            let left = until
                .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let detail = match passing {
                    Some(error) => format!("no metadata: {error}"),
                    None => "no metadata".to_owned(),
                };
                return Err(Error::new(ErrorKind::Timeout(timeout), detail).of_topic(name));
            }
            let waited = self.topics_changed.wait_timeout(news, left);
            news = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Notes how many partitions a topic has.
    pub(super) fn set_partitions(&self, name: &str, count: usize) {
        let known = self.topic(name);
        let topic = known.unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            let topic = Arc::new(TopicQueues::new(Arc::clone(&name)));
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(topics.entry(name).or_insert(topic))
        });
        if topic.count() < count {
            topic.grow(count);
            topic.set_loads(&[]);
        }
        // Whoever waits has looked for it before this, or sees it.
        drop(self.news());
        self.topics_changed.notify_all();
    }

    /// Notes why a topic has no metadata.
    pub(super) fn set_topic_error(&self, name: &str, error: Error) {
        let mut news = self.news();
        if let Some(wanted) = news.wanted.get_mut(name) {
            wanted.error = Some(error);
            drop(news);
            self.topics_changed.notify_all();
        }
    }

    /// Topics that somebody waits for.
    pub(super) fn wanted(&self) -> Vec<String> {
        self.news().wanted.keys().cloned().collect()
    }

    /// All topics that are known.
    pub(super) fn topics(&self) -> Vec<Arc<TopicQueues>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whether nothing waits for others: somebody flushes, closes, or waits for room.
    pub(super) fn is_urgent(&self) -> bool {
        self.closing().is_some() || self.memory.is_waited_for()
    }

    /// Until when what is there may be sent, if nothing more is to come.
    pub(super) fn closing(&self) -> Option<Instant> {
        self.news().closing
    }

    /// Takes nothing more, and says until when the rest may be sent.
    pub(super) fn close(&self, until: Instant) {
        let mut news = self.news();
        let until = news.closing.map_or(until, |before| before.min(until));
        news.closing = Some(until);
        drop(news);
        self.memory.close();
        self.topics_changed.notify_all();
    }

    /// The client's thread ends.
    pub(super) fn end(&self) {
        self.news().is_ended = true;
        self.memory.close();
        self.topics_changed.notify_all();
    }

    /// Whether the client's thread is to be woken.
    pub(super) fn needs_wake(&self) -> bool {
        self.is_asleep.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{COMMON, PRODUCER, Properties, Settings};

    fn shared() -> Shared {
        let properties =
            Properties::new().with("bootstrap.servers", "b:1").with("max.block.ms", "20");
        let settings = Settings::new(&[COMMON, PRODUCER], &properties).unwrap();
        let backoff = settings.session().unwrap().retry_backoff;
        Shared::new(ProducerSettings::new(&settings, backoff).unwrap())
    }

    #[test]
    fn a_topic_is_wanted_as_long_as_somebody_waits_for_it() {
        let shared = shared();
        let looked = |error: Option<Error>| {
            let result = shared.wait_for_topic("t", || {
                assert_eq!(shared.wanted(), ["t"]);
                error.into_iter().for_each(|error| shared.set_topic_error("t", error));
            });
            assert!(shared.wanted().is_empty());
            result.map(|topic| topic.count())
        };
        assert!(matches!(looked(None).unwrap_err().kind(), ErrorKind::Timeout(_)));
        let fatal = Error::new(ErrorKind::Usage, "no");
        assert_eq!(looked(Some(fatal)).unwrap_err().kind(), ErrorKind::Usage);
        let passing = Error::new(ErrorKind::Network, "not yet");
        assert!(looked(Some(passing)).unwrap_err().to_string().contains("not yet"));
        shared.set_topic_error("u", Error::new(ErrorKind::Usage, "nobody wants it"));
        assert!(shared.wanted().is_empty());
        shared.set_partitions("t", 3);
        assert_eq!(shared.wait_for_topic("t", || panic!("it is known")).unwrap().count(), 3);
    }
}
