//! What is asked about many items of many brokers: each broker once about all of its items, and
//! again about those that were elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::thread;
use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::messages::metadata::{MetadataResponse, MetadataResponsePartition};

use super::{Admin, Remote, Results};
use crate::chance::Chance;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Route;

/// What is asked about.
pub(super) trait Item: Clone + Ord + fmt::Display {
    /// The error, of this one.
    fn blame(&self, error: Error) -> Error;
}

impl Item for TopicPartition {
    fn blame(&self, error: Error) -> Error {
        error.of_partition(&self.topic, self.partition)
    }
}

/// The name of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicName(pub(super) String);

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Item for TopicName {
    fn blame(&self, error: Error) -> Error {
        error.of_topic(&self.0)
    }
}

/// The id of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId(pub(super) String);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

impl Item for GroupId {
    fn blame(&self, error: Error) -> Error {
        error.of_group(&self.0)
    }
}

/// A transactional id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TransactionalId(pub(super) String);

impl fmt::Display for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transactional id {}", self.0)
    }
}

impl Item for TransactionalId {
    fn blame(&self, error: Error) -> Error {
        error.about(self)
    }
}

/// What has a coordinator.
pub(super) trait Coordinated: Item {
    /// Its name.
    fn name(&self) -> &str;
    /// What has this name.
    fn of(name: &str) -> Self;
}

impl Coordinated for GroupId {
    fn name(&self) -> &str {
        &self.0
    }

    fn of(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl Coordinated for TransactionalId {
    fn name(&self) -> &str {
        &self.0
    }

    fn of(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// What an answer told of each item that was asked for, in the order in which it was asked for.
///
/// # Errors
/// It tells of an item that was not asked for, or twice of one: then it is not to be believed. Or
/// it is to be asked of another broker.
pub(super) fn sorted<K: Item, T>(
    api: ApiKey,
    asked: &[K],
    told: impl IntoIterator<Item = (K, Result<T, Error>)>,
) -> Result<Results<K, T>, Error> {
    let malformed = |what: String| {
        let detail = format!("{}: {what}", api.name());
        Error::new(ErrorKind::Malformed, detail)
    };
    let mut open: BTreeSet<&K> = asked.iter().collect();
    let mut results = BTreeMap::new();
    for (item, result) in told {
        if !open.remove(&item) {
            let what = if results.contains_key(&item) { "told twice" } else { "not asked for" };
            return Err(malformed(format!("{item} was {what}")));
        }
        match result {
            Err(error) if error.code() == Some(ErrorCode::NOT_CONTROLLER) => return Err(error),
            result => results.insert(item, result),
        };
    }
    let of = |item: &K| {
        let result = results.remove(item);
        let result = result.unwrap_or_else(|| Err(malformed(format!("no word about {item}"))));
        (item.clone(), result.map_err(|error| item.blame(error)))
    };
    Ok(asked.iter().map(of).collect())
}

/// That no item is there twice.
///
/// # Errors
/// Which one is.
pub(super) fn distinct<K: Item>(items: &[K]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    match items.iter().find(|item| !seen.insert(*item)) {
        Some(twice) => Err(Error::new(ErrorKind::Usage, format!("{twice} is there twice"))),
        None => Ok(()),
    }
}

/// The partitions of each topic.
pub(super) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> BTreeMap<&'a str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(&at.topic).or_default().push(at.partition);
    }
    topics
}

/// Some items, and their results when they come.
pub(super) type Asked<K, T> = (Vec<K>, Pending<Results<K, T>>);

/// Who is to be asked about each item.
pub(super) type Found<K> = Vec<(K, Result<i32, Error>)>;

impl Remote {
    /// Finds out who is to be asked about each item, asks, and asks again while that may help. The
    /// items are distinct; the results are in their order.
    pub(super) fn spread<K: Item, T>(
        &self,
        items: &[K],
        mut find: impl FnMut(&[K], Instant) -> Result<Found<K>, Error>,
        mut ask: impl FnMut(i32, Vec<K>, Instant) -> Vec<Asked<K, T>>,
    ) -> Results<K, T> {
        let deadline = Instant::now() + self.timeout;
        let mut chance = Chance::new();
        let mut results: BTreeMap<K, Result<T, Error>> = BTreeMap::new();
        let mut open = items.to_vec();
        let mut failed = 0;
        while !open.is_empty() {
            let found = match find(&open, deadline) {
                Ok(found) => found,
                Err(error) => open.iter().map(|item| (item.clone(), Err(error.clone()))).collect(),
            };
            let mut at: BTreeMap<i32, Vec<K>> = BTreeMap::new();
            let mut again = Vec::new();
            let mut take = |item: K, result: Result<T, Error>, is_final: bool| {
                if result.as_ref().is_err_and(Error::is_retriable) && !is_final {
                    again.push(item.clone());
                }
                // An attempt for which there was no time left says less than the one before it.
                let is_late = |error: &Error| matches!(error.kind(), ErrorKind::Timeout(_));
                if result.as_ref().is_err_and(is_late) && results.contains_key(&item) {
                    return;
                }
                let result = result.map_err(|error| item.blame(error));
                results.insert(item, result);
            };
            for (item, broker) in found {
                match broker {
                    Ok(broker) => at.entry(broker).or_default().push(item),
                    Err(error) => {
                        // On whether there is such a topic metadata has the last word.
                        let code = error.code();
                        let is_final = code == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                        take(item, Err(error), is_final);
                    }
                }
            }
            // All are on their way before the first one is waited for.
            let asked = at.into_iter().flat_map(|(broker, items)| ask(broker, items, deadline));
            for (items, pending) in asked.collect::<Vec<_>>() {
                match pending.wait() {
                    Ok(told) => told.into_iter().for_each(|(item, told)| take(item, told, false)),
                    Err(error) => {
                        items.into_iter().for_each(|item| take(item, Err(error.clone()), false));
                    }
                }
            }
            failed += 1;
            let wait = self.retry_backoff.after(failed, &mut chance);
            if again.is_empty() || deadline <= Instant::now() + wait {
                break;
            }
            thread::sleep(wait);
            open = again;
        }
        let lost = |item: &K| {
            item.blame(Error::new(ErrorKind::Malformed, format!("nobody has told of {item}")))
        };
        let mut result = |item: &K| results.remove(item).unwrap_or_else(|| Err(lost(item)));
        items.iter().map(|item| (item.clone(), result(item))).collect()
    }
}

impl Admin {
    /// Asks the leaders of partitions.
    ///
    /// # Errors
    /// A partition is there twice.
    pub(super) fn of_leaders<T>(
        &self,
        partitions: &[TopicPartition],
        ask: impl FnMut(i32, Vec<TopicPartition>, Instant) -> Vec<Asked<TopicPartition, T>>,
    ) -> Result<Results<TopicPartition, T>, Error> {
        distinct(partitions)?;
        let find = |open: &[TopicPartition], deadline| self.leaders(open, deadline);
        Ok(self.remote.spread(partitions, find, ask))
    }

    fn leaders(
        &self,
        partitions: &[TopicPartition],
        deadline: Instant,
    ) -> Result<Found<TopicPartition>, Error> {
        let topics = by_topic(partitions).into_keys().map(str::to_owned).collect();
        let partitions = partitions.to_vec();
        let read = move |read: &MetadataResponse<'_>| {
            let brokers: BTreeSet<i32> = read.brokers.iter().map(|one| one.node_id).collect();
            let topics: HashMap<_, _> =
                read.topics.iter().map(|topic| (topic.name.unwrap_or_default(), topic)).collect();
            let known: HashMap<_, _> = (read.topics.iter())
                .flat_map(|topic| topic.partitions.iter().map(move |of| (topic, of)))
                .map(|(topic, of)| ((topic.name.unwrap_or_default(), of.partition_index), of))
                .collect();
            let leader = |at: &TopicPartition| {
                let no_word = || Error::new(ErrorKind::Malformed, "Metadata: no word about it");
                let topic = topics.get(&*at.topic).ok_or_else(no_word)?;
                Error::of_code(topic.error_code, None)?;
                leader_of(known.get(&(&*at.topic, at.partition)).copied(), &brokers)
            };
            Ok(partitions.iter().map(|at| (at.clone(), leader(at))).collect())
        };
        self.metadata(Some(topics), deadline, read)
    }

    /// Asks the coordinators of groups.
    ///
    /// # Errors
    /// A group is there twice.
    pub(super) fn of_coordinators<T>(
        &self,
        groups: &[&str],
        ask: impl FnMut(i32, Vec<GroupId>, Instant) -> Vec<Asked<GroupId, T>>,
    ) -> Result<Results<String, T>, Error> {
        self.of_keys(0, groups.iter().map(|&group| GroupId(group.to_owned())).collect(), ask)
    }

    /// Asks the coordinators of groups (type 0) or transactional ids (type 1).
    ///
    /// # Errors
    /// A key is there twice.
    pub(super) fn of_keys<K: Coordinated + Send + 'static, T>(
        &self,
        key_type: i8,
        keys: Vec<K>,
        ask: impl FnMut(i32, Vec<K>, Instant) -> Vec<Asked<K, T>>,
    ) -> Result<Results<String, T>, Error> {
        distinct(&keys)?;
        let find = |open: &[K], deadline| self.coordinators(key_type, open, deadline);
        let results = self.remote.spread(&keys, find, ask);
        Ok(results.into_iter().map(|(key, result)| (key.name().to_owned(), result)).collect())
    }

    fn coordinators<K: Coordinated + Send + 'static>(
        &self,
        key_type: i8,
        keys: &[K],
        deadline: Instant,
    ) -> Result<Found<K>, Error> {
        let asked = keys.to_vec();
        let build = move |version, timeout| {
            let coordinator_keys = asked.iter().map(K::name).collect();
            let request =
                FindCoordinatorRequest { key_type, coordinator_keys, ..Default::default() };
            Outgoing::new(&request, version, timeout)
        };
        let asked = keys.to_vec();
        let read = move |answer: &Answer| {
            let read: FindCoordinatorResponse<'_> = answer.read()?;
            let told = read.coordinators.iter().map(|told| {
                let result = Error::of_code(told.error_code, told.error_message);
                (K::of(told.key), result.map(|()| told.node_id))
            });
            sorted(ApiKey::FindCoordinator, &asked, told)
        };
        let api = (ApiKey::FindCoordinator, 4..=6);
        let many = self.remote.ask_until(deadline, Route::Any, api, build, read).wait();
        match many {
            Err(error) if error.kind() == ErrorKind::UnsupportedVersion => {
                // One at a time.
                let asked =
                    keys.iter().map(|key| (key, self.coordinator(key_type, key.name(), deadline)));
                let asked: Vec<_> = asked.collect();
                Ok(asked.into_iter().map(|(key, told)| (key.clone(), told.wait())).collect())
            }
            many => many,
        }
    }

    fn coordinator(&self, key_type: i8, key: &str, deadline: Instant) -> Pending<i32> {
        let key = key.to_owned();
        let build = move |version, timeout| {
            let request = FindCoordinatorRequest { key: &key, key_type, ..Default::default() };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: FindCoordinatorResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            Ok(read.node_id)
        };
        let api = (ApiKey::FindCoordinator, 1..=3);
        self.remote.ask_until(deadline, Route::Any, api, build, read)
    }
}

/// The broker that leads a partition of a topic that is known.
fn leader_of(
    told: Option<&MetadataResponsePartition>,
    brokers: &BTreeSet<i32>,
) -> Result<i32, Error> {
    let failed = |code, detail| Err(Error::new(ErrorKind::Broker(code), detail));
    let Some(told) = told else {
        let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        return failed(code, "the topic has no such partition");
    };
    match told.error_code {
        // A replica of it is down, which need not be the leader's.
        ErrorCode::NONE | ErrorCode::REPLICA_NOT_AVAILABLE => {}
        code => return failed(code, ""),
    }
    // A leader that is not among the brokers has just gone.
    if !brokers.contains(&told.leader_id) {
        return failed(ErrorCode::LEADER_NOT_AVAILABLE, "");
    }
    Ok(told.leader_id)
}
