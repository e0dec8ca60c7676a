//! Produce: each partition's batch is checked, appended, and answered for. An append that must be
//! on the disk before it is acknowledged waits outside of the handler ([`park`]).

mod park;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::uuid::Uuid;
use ottla_storage::error::StorageError;
use ottla_storage::log::{AppendAsLeader, AppendError, Appended};
use ottla_storage::producer_state::{Origin, VerificationGuard};
use ottla_storage::validate::{InvalidBatch, ValidateRules, validate};

use super::{Call, Outcome, Unanswerable};
use crate::delayed::Event;
use crate::errors;
use crate::node::Node;
use crate::topics::{Partition, Topic};
use park::{ParkedProduce, TopicResults};

/// The client id that Kafka lets write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";
/// Only the leader has to have the records.
const ACKS_NONE: i16 = 0;
/// All in-sync replicas have to have them.
const ACKS_ALL: i16 = -1;

/// Why a partition's records were not appended.
struct Failure {
    code: ErrorCode,
    log_start_offset: i64,
    message: Option<String>,
    record_errors: Vec<(i32, String)>,
}

impl Failure {
    /// A failure that is found before the log is looked at.
    fn early(code: ErrorCode) -> Self {
        Self { code, log_start_offset: -1, message: None, record_errors: Vec::new() }
    }
}

type Produced = Result<Appended, Failure>;

/// An append that is to be synced before it is acknowledged.
struct Unsynced {
    /// The place of its topic in the answer.
    topic: usize,
    /// The place of its partition in the topic.
    partition: usize,
    of: Arc<Partition>,
    /// The offset behind it.
    end_offset: i64,
    /// Bytes that consumers see then; none if it was sent before.
    bytes: usize,
}

/// What holds for the whole request.
struct Context<'a> {
    node: &'a Node,
    version: i16,
    acks: i16,
    now_ms: i64,
    /// An error that every partition gets.
    refused: Option<ErrorCode>,
    may_write_internal: bool,
}

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ProduceRequest<'_> = call.body()?;
    let context = Context {
        node,
        version: call.version(),
        acks: request.acks,
        now_ms: node.clock.now_ms(),
        refused: refusal(&request),
        may_write_internal: call.header.client_id == Some(ADMIN_CLIENT_ID),
    };
    let topics = once_each(request.topic_data);
    // Of all partitions, one topic's behind the other's.
    let mut results =
        Vec::with_capacity(topics.iter().map(|topic| topic.partition_data.len()).sum());
    let mut unsynced = Vec::new();
    for (topic_place, topic) in topics.iter().enumerate() {
        let found = context.find(topic);
        for (place, data) in topic.partition_data.iter().enumerate() {
            results.push(context.produce(&found, data, (topic_place, place), &mut unsynced));
        }
    }
    if !unsynced.is_empty() {
        let mut rest = results.into_iter();
        let owned = |topic: &TopicProduceData<'_>| TopicResults {
            name: topic.name.into(),
            topic_id: topic.topic_id,
            partitions: indexes(topic).zip(rest.by_ref()).collect(),
        };
        let topics = topics.iter().map(owned).collect();
        let (node, how) = (Arc::clone(node), (call.envelope(), request.acks));
        return Ok(Outcome::Later(Box::new(move |reply| {
            ParkedProduce::park(node, how, topics, unsynced, reply);
        })));
    }
    if request.acks == ACKS_NONE {
        // The one way to tell such a producer of a failure.
        let failed = results.iter().any(Result::is_err);
        return Ok(if failed { Outcome::Close } else { Outcome::Nothing });
    }
    let mut rest = results.iter();
    let responses = topics.iter().map(|topic| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: indexes(topic)
            .zip(rest.by_ref())
            .map(|(index, result)| told(index, result))
            .collect(),
    });
    call.answer(&ProduceResponse { responses: responses.collect(), ..Default::default() })
}

fn indexes(topic: &TopicProduceData<'_>) -> impl Iterator<Item = i32> {
    topic.partition_data.iter().map(|data| data.index)
}

/// The partitions of a request, each once. Of those listed twice the last one counts, as in the map
/// that Kafka makes of a request.
fn once_each(topics: Vec<TopicProduceData<'_>>) -> Vec<TopicProduceData<'_>> {
    if let [topic] = &*topics
        && let [_] = &*topic.partition_data
    {
        return topics;
    }
    let mut merged: Vec<TopicProduceData<'_>> = Vec::new();
    let mut places = HashMap::new();
    for topic in topics.into_iter().filter(|topic| !topic.partition_data.is_empty()) {
        let (at, seen) = places.entry((topic.name, topic.topic_id)).or_insert_with(|| {
            merged.push(TopicProduceData { partition_data: Vec::new(), ..topic });
            (merged.len() - 1, HashMap::new())
        });
        let partitions = &mut merged[*at].partition_data;
        for data in topic.partition_data {
            match seen.entry(data.index) {
                Entry::Occupied(place) => partitions[*place.get()] = data,
                Entry::Vacant(place) => {
                    place.insert(partitions.len());
                    partitions.push(data);
                }
            }
        }
    }
    merged
}

/// The error that a request as a whole deserves.
fn refusal(request: &ProduceRequest<'_>) -> Option<ErrorCode> {
    let is_transactional = |data: &PartitionProduceData<'_>| {
        data.records
            .and_then(|records| BatchHeader::new(records.bytes()))
            .is_some_and(|header| header.attributes().is_transactional())
    };
    let any_transactional =
        || request.topic_data.iter().any(|topic| topic.partition_data.iter().any(is_transactional));
    if request.transactional_id.is_none() && any_transactional() {
        return Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    (!(-1..=1).contains(&request.acks)).then_some(ErrorCode::INVALID_REQUIRED_ACKS)
}

impl Context<'_> {
    fn find(&self, topic: &TopicProduceData<'_>) -> Result<Arc<Topic>, ErrorCode> {
        if self.version >= 13 {
            let known = (topic.topic_id != Uuid::ZERO)
                .then(|| self.node.topics.by_id(topic.topic_id))
                .flatten();
            return known.ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
        }
        self.node.topics.by_name(topic.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    fn produce(
        &self,
        topic: &Result<Arc<Topic>, ErrorCode>,
        data: &PartitionProduceData<'_>,
        place: (usize, usize),
        unsynced: &mut Vec<Unsynced>,
    ) -> Produced {
        let topic = topic.as_ref().map_err(|code| Failure::early(*code))?;
        let partition = topic.partition(data.index).map_err(Failure::early)?;
        // Kafka leaves a request with null records unanswered; a client is better off with this.
        let records =
            data.records.ok_or_else(|| Failure::early(ErrorCode::INVALID_RECORD))?.bytes();
        if let Some(code) = self.refused {
            return Err(Failure::early(code));
        }
        if topic.is_internal() && !self.may_write_internal {
            return Err(Failure::early(ErrorCode::INVALID_TOPIC_EXCEPTION));
        }
        self.append(partition, records, place, unsynced)
    }

    fn append(
        &self,
        partition: &Arc<Partition>,
        records: &[u8],
        (topic, place): (usize, usize),
        unsynced: &mut Vec<Unsynced>,
    ) -> Produced {
        let settings = partition.settings.load();
        if self.acks == ACKS_ALL && !partition.is_in_sync(&settings) {
            return Err(Failure::early(ErrorCode::NOT_ENOUGH_REPLICAS));
        }
        let rules = settings.rules(self.version, self.now_ms);
        let validated =
            validate(records, &rules).map_err(|invalid| refused(partition, &invalid, &rules))?;
        let how = AppendAsLeader {
            leader_epoch: partition.leader_epoch,
            now_ms: self.now_ms,
            origin: Origin::Client,
            guard: VerificationGuard::NONE,
        };
        let failure = |code| Failure {
            log_start_offset: log_start_offset(partition),
            ..Failure::early(code)
        };
        let appended = partition.log.append_unsettled(&validated, how).map_err(|error| {
            failure(match &error {
                AppendError::Storage(error) => storage_failure(self.node, error),
                other => errors::of_append(other),
            })
        })?;
        // Of a duplicate too: the append that it repeats may still wait for its sync.
        let end_offset = appended.last_offset + 1;
        let bytes = if appended.duplicate { 0 } else { validated.size_bytes() };
        if partition.log.needs_sync(end_offset) {
            let of = Arc::clone(partition);
            unsynced.push(Unsynced { topic, partition: place, of, end_offset, bytes });
            return Ok(appended);
        }
        let settled = partition.log.settle(end_offset);
        settled.map_err(|error| failure(storage_failure(self.node, &error)))?;
        if bytes > 0 {
            partition.fetches.signal(Event::Appended(bytes));
        }
        Ok(appended)
    }
}

/// What the client is told of a failed disk, which the operator is told too.
fn storage_failure(node: &Node, error: &StorageError) -> ErrorCode {
    let code = errors::of_storage(error);
    if code == ErrorCode::KAFKA_STORAGE_ERROR {
        node.failures.say(log::Level::Error, format_args!("append: {error}"));
    }
    code
}

fn log_start_offset(partition: &Partition) -> i64 {
    partition.log.offsets().log_start_offset
}

/// A refused batch, as the producer is told of it.
fn refused(partition: &Partition, invalid: &InvalidBatch, rules: &ValidateRules) -> Failure {
    let code = errors::of_refusal(invalid.class());
    let record_errors = match invalid {
        InvalidBatch::Records(errors) => {
            errors.iter().map(|error| (error.batch_index, error.message(rules))).collect()
        }
        _ => Vec::new(),
    };
    // Kafka has a text for broken records and unknown formats, and none for the rest.
    let message = match invalid {
        InvalidBatch::Records(_) => Some(
            "One or more records have been rejected due to record errors: see recordErrors"
                .to_owned(),
        ),
        InvalidBatch::Corrupt(ottla_protocol::record::set::BatchError::Magic { magic, .. }) => {
            Some(format!("Invalid magic found in record: {magic}"))
        }
        _ => None,
    };
    // Where the log's own checks begin, the answer carries the log's start.
    let is_early = matches!(
        invalid,
        InvalidBatch::NoBatch
            | InvalidBatch::OldMagic { .. }
            | InvalidBatch::SeveralBatches
            | InvalidBatch::ZstdBeforeVersion7
            | InvalidBatch::Corrupt(_)
            | InvalidBatch::TooLarge { .. }
    );
    let log_start_offset = if is_early { -1 } else { log_start_offset(partition) };
    Failure { code, log_start_offset, message, record_errors }
}

fn told(index: i32, result: &Produced) -> PartitionProduceResponse<'_> {
    match result {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Err(failure) => PartitionProduceResponse {
            index,
            error_code: failure.code,
            base_offset: -1,
            log_start_offset: failure.log_start_offset,
            record_errors: failure
                .record_errors
                .iter()
                .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                    batch_index: *batch_index,
                    batch_index_error_message: Some(message),
                })
                .collect(),
            error_message: failure.message.as_deref(),
            ..Default::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::wire::Records;

    use super::*;

    fn topic<'a>(name: &'a str, partitions: &[(i32, &'a [u8])]) -> TopicProduceData<'a> {
        let partition_data = partitions
            .iter()
            .map(|&(index, bytes)| PartitionProduceData {
                index,
                records: Some(Records::Bytes(bytes)),
            })
            .collect();
        TopicProduceData { name, partition_data, ..TopicProduceData::default() }
    }

    #[test]
    fn of_a_partition_that_is_listed_twice_the_last_counts() {
        let listed = vec![
            topic("a", &[(1, b"old"), (0, b"zero")]),
            topic("none", &[]),
            topic("b", &[(1, b"b's")]),
            topic("a", &[(2, b"two"), (1, b"new")]),
        ];
        let expected =
            vec![topic("a", &[(1, b"new"), (0, b"zero"), (2, b"two")]), topic("b", &[(1, b"b's")])];
        assert_eq!(once_each(listed), expected);
        let usual = vec![topic("a", &[(1, b"one")])];
        assert_eq!(once_each(usual.clone()), usual);
        assert_eq!(once_each(vec![topic("none", &[])]), vec![]);
    }
}
