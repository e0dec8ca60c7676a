//! Producers that partitions remember, and transactions.

use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, ProducerState as ToldProducer,
    TopicRequest,
};
use ottla_protocol::messages::{describe_transactions, list_transactions};

use super::spread::{TransactionalId, by_topic, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::partition::TopicPartition;
use crate::session::Route;

/// A producer that a partition remembers, so that nothing of it is written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerState {
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i32,
    /// The sequence of its last record; `None` when it has written none.
    pub last_sequence: Option<i32>,
    /// The timestamp of its last batch, in ms since 1970; `None` when it has written none.
    pub last_timestamp: Option<i64>,
    /// The epoch of the coordinator that ended its last transaction; `None` when none did.
    pub coordinator_epoch: Option<i32>,
    /// The first offset of its transaction that is open; `None` when none is.
    pub current_txn_start_offset: Option<i64>,
}

/// A transactional id as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionListing {
    /// The transactional id.
    pub transactional_id: String,
    /// The id of its producer.
    pub producer_id: i64,
    /// The state: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`,
    /// `CompleteAbort`, `PrepareEpochFence`, `Dead`.
    pub state: String,
}

/// Which transactions are listed. With nothing said, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    states: Vec<String>,
    producer_ids: Vec<i64>,
    longer_than: Option<Duration>,
    pattern: Option<String>,
}

/// What there is to know of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionDescription {
    /// The transactional id.
    pub transactional_id: String,
    /// The id of the broker that coordinates it.
    pub coordinator: i32,
    /// The state, as in [`TransactionListing`].
    pub state: String,
    /// The id of its producer.
    pub producer_id: i64,
    /// The epoch of its producer.
    pub producer_epoch: i16,
    /// How long a transaction may stay open before it is aborted, in ms.
    pub timeout_ms: i32,
    /// When the transaction began, in ms since 1970; `None` when none is open.
    pub start_time_ms: Option<i64>,
    /// The partitions in the transaction.
    pub partitions: Vec<TopicPartition>,
}

impl ProducerState {
    fn of(told: &ToldProducer) -> Self {
        let offset = told.current_txn_start_offset;
        Self {
            producer_id: told.producer_id,
            producer_epoch: told.producer_epoch,
            last_sequence: (told.last_sequence >= 0).then_some(told.last_sequence),
            last_timestamp: (told.last_timestamp >= 0).then_some(told.last_timestamp),
            coordinator_epoch: (told.coordinator_epoch >= 0).then_some(told.coordinator_epoch),
            current_txn_start_offset: (offset >= 0).then_some(offset),
        }
    }
}

impl TransactionFilter {
    /// All transactions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those in one of these states, see [`TransactionListing::state`].
    #[must_use]
    pub fn states(mut self, states: &[&str]) -> Self {
        self.states = states.iter().map(|&state| state.to_owned()).collect();
        self
    }

    /// Only those of one of these producers.
    #[must_use]
    pub fn producer_ids(mut self, ids: &[i64]) -> Self {
        self.producer_ids = ids.to_vec();
        self
    }

    /// Only those that have been open for longer than this. From Kafka 3.8 on.
    #[must_use]
    pub fn longer_than(mut self, duration: Duration) -> Self {
        self.longer_than = Some(duration);
        self
    }

    /// Only those whose transactional id matches this regular expression (RE2) as a whole. From
    /// Kafka 4.1 on.
    #[must_use]
    pub fn pattern(mut self, pattern: &str) -> Self {
        self.pattern = Some(pattern.to_owned());
        self
    }

    /// The first version of ListTransactions that can be told of it.
    fn version_min(&self) -> i16 {
        match (&self.pattern, self.longer_than) {
            (Some(_), _) => 2,
            (None, Some(_)) => 1,
            (None, None) => 0,
        }
    }

    fn request(&self) -> list_transactions::ListTransactionsRequest<'_> {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        list_transactions::ListTransactionsRequest {
            state_filters: self.states.iter().map(String::as_str).collect(),
            producer_id_filters: self.producer_ids.clone(),
            duration_filter: self.longer_than.map_or(-1, ms),
            transactional_id_pattern: self.pattern.as_deref(),
        }
    }
}

impl Admin {
    /// The producers that partitions remember, as their leaders tell it. From Kafka 2.8 on.
    ///
    /// # Errors
    /// A partition is there twice. Of a partition: its leader's, or that there is none.
    pub fn describe_producers(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Results<TopicPartition, Vec<ProducerState>>, Error> {
        self.of_leaders(partitions, |broker, items, deadline| {
            let (asked, of) = (items.clone(), items.clone());
            let build = move |version, timeout| {
                let topic = |(name, partition_indexes)| TopicRequest { name, partition_indexes };
                let topics = by_topic(&asked).into_iter().map(topic).collect();
                Outgoing::new(&DescribeProducersRequest { topics }, version, timeout)
            };
            let read = move |answer: &Answer| {
                let read: DescribeProducersResponse<'_> = answer.read()?;
                let told = read.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|told| {
                        let at = TopicPartition::new(topic.name, told.partition_index);
                        let producers = told.active_producers.iter().map(ProducerState::of);
                        let result = Error::of_code(told.error_code, told.error_message);
                        (at, result.map(|()| producers.collect()))
                    })
                });
                sorted(ApiKey::DescribeProducers, &of, told)
            };
            let (route, api) = (Route::Once(broker), (ApiKey::DescribeProducers, 0..=0));
            vec![(items, self.remote.ask_until(deadline, route, api, build, read))]
        })
    }

    /// The transactions that a filter lets pass, by their transactional ids. From Kafka 3.0 on.
    ///
    /// # Errors
    /// A broker of the cluster did not answer, or is too old for the filter (`UnsupportedVersion`);
    /// the filter names a state that there is not.
    pub fn list_transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<TransactionListing>, Error> {
        use list_transactions::ListTransactionsResponse;

        let results = self.of_brokers(&[], |broker| {
            let api = (ApiKey::ListTransactions, filter.version_min()..=2);
            let filter = filter.clone();
            let build = move |version, timeout| Outgoing::new(&filter.request(), version, timeout);
            let read = |answer: &Answer| {
                let read: ListTransactionsResponse<'_> = answer.read()?;
                Error::of_code(read.error_code, None)?;
                if !read.unknown_state_filters.is_empty() {
                    let names = read.unknown_state_filters.join(", ");
                    let detail = format!("no state of transactions: {names}");
                    return Err(Error::new(ErrorKind::Usage, detail));
                }
                let listed = read.transaction_states.iter().map(|told| TransactionListing {
                    transactional_id: told.transactional_id.to_owned(),
                    producer_id: told.producer_id,
                    state: told.transaction_state.to_owned(),
                });
                Ok(listed.collect::<Vec<_>>())
            };
            self.remote.ask(Route::Broker(broker), api, build, read)
        })?;
        let mut all = Vec::new();
        for (_, listed) in results {
            all.extend(listed?);
        }
        all.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
        Ok(all)
    }

    /// What there is to know of transactional ids. From Kafka 3.0 on.
    ///
    /// # Errors
    /// An id is there twice. Of an id: its coordinator's, such as TRANSACTIONAL_ID_NOT_FOUND, or
    /// that it did not answer.
    pub fn describe_transactions(
        &self,
        transactional_ids: &[&str],
    ) -> Result<Results<String, TransactionDescription>, Error> {
        use describe_transactions::{DescribeTransactionsRequest, DescribeTransactionsResponse};

        let ids = transactional_ids.iter().map(|&id| TransactionalId(id.to_owned())).collect();
        self.of_keys(1, ids, |broker, items, deadline| {
            let (asked, of) = (items.clone(), items.clone());
            let build = move |version, timeout| {
                let transactional_ids = asked.iter().map(|id| id.0.as_str()).collect();
                let request = DescribeTransactionsRequest { transactional_ids };
                Outgoing::new(&request, version, timeout)
            };
            let read = move |answer: &Answer| {
                let read: DescribeTransactionsResponse<'_> = answer.read()?;
                let told = read.transaction_states.iter().map(|told| {
                    let result = Error::of_code(told.error_code, None);
                    let described = result.map(|()| TransactionDescription::of(told, broker));
                    (TransactionalId(told.transactional_id.to_owned()), described)
                });
                sorted(ApiKey::DescribeTransactions, &of, told)
            };
            let (route, api) = (Route::Once(broker), (ApiKey::DescribeTransactions, 0..=0));
            vec![(items, self.remote.ask_until(deadline, route, api, build, read))]
        })
    }
}

impl TransactionDescription {
    fn of(told: &describe_transactions::TransactionState<'_>, coordinator: i32) -> Self {
        let start = told.transaction_start_time_ms;
        let partitions = told.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|&at| TopicPartition::new(topic.topic, at))
        });
        let mut partitions: Vec<_> = partitions.collect();
        partitions.sort();
        Self {
            transactional_id: told.transactional_id.to_owned(),
            coordinator,
            state: told.transaction_state.to_owned(),
            producer_id: told.producer_id,
            producer_epoch: told.producer_epoch,
            timeout_ms: told.transaction_timeout_ms,
            start_time_ms: (start >= 0).then_some(start),
            partitions,
        }
    }
}
