//! Fetch: offsets become file regions, and a request that finds too little waits.
//!
//! [`read`] looks the partitions up and finds regions; [`park`] keeps a request that has to wait
//! for more. Fetch sessions are kept by [`crate::fetch_session`].

mod park;
mod read;

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, ForgottenTopic,
};
use ottla_storage::log::Isolation;

use super::{Call, Outcome, Unanswerable};
use crate::errors;
use crate::fetch_session::{FetchContext, PartitionFetch, SessionRequest};
use crate::node::Node;
use crate::topics::TopicRef;

use park::ParkedFetch;
use read::{Reading, Wanted};

/// A partition as a session keeps it.
pub type FetchKey = (TopicRef, i32);

/// From this version on topics are named by id.
const IDS_FROM: i16 = 13;
const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;
/// Consumers.
const NO_REPLICA: i32 = -1;
/// Tools that read like followers.
const DEBUG_REPLICA: i32 = -2;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: FetchRequest<'_> = call.body()?;
    let isolation = match request.isolation_level {
        READ_UNCOMMITTED => Isolation::HighWatermark,
        READ_COMMITTED => Isolation::TxnCommitted,
        _ => return refuse_all(call, &request),
    };
    let replica_id = request.replica_id.max(request.replica_state.replica_id);
    let context = {
        let asked = session_request(&request, call.version() >= IDS_FROM);
        let now_ms = node.clock.now_ms();
        let begun = node.fetch_sessions().begin(asked, now_ms, || node.entropy.u32());
        match begun {
            Ok(context) => context,
            Err(error) => return refuse(call, errors::of_session(error)),
        }
    };
    let bytes_max =
        u32::try_from(request.max_bytes).unwrap_or(0).min(node.config.requests.fetch_max_bytes);
    let wanted = Wanted {
        isolation,
        bytes_max,
        bytes_min: u32::try_from(request.min_bytes).unwrap_or(0).min(bytes_max),
        is_follower: replica_id != NO_REPLICA && request.replica_id != DEBUG_REPLICA,
        has_waited: false,
    };
    let reading = Reading::of(node, &context, &wanted);
    let may_wait = request.max_wait_ms > 0 && !context.partitions.is_empty();
    if !may_wait || reading.is_enough(&wanted) {
        return Ok(Outcome::Answer(reading.response(node, call.envelope(), &context)?));
    }
    let wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0);
    let parked = ParkedFetch::new(node, call.envelope(), context, wanted, &reading);
    Ok(Outcome::Later(Box::new(move |reply| ParkedFetch::park(&parked, reply, wait_ms))))
}

fn topic_ref(topic: &str, topic_id: ottla_protocol::uuid::Uuid, by_id: bool) -> TopicRef {
    if by_id { TopicRef::Id(topic_id) } else { TopicRef::Name(topic.into()) }
}

fn session_request(request: &FetchRequest<'_>, uses_topic_ids: bool) -> SessionRequest<FetchKey> {
    let mut partitions = Vec::new();
    for FetchTopic { topic, topic_id, partitions: asked } in &request.topics {
        let topic = topic_ref(topic, *topic_id, uses_topic_ids);
        partitions.extend(
            asked.iter().map(|partition| {
                ((topic.clone(), partition.partition), partition_fetch(partition))
            }),
        );
    }
    let mut forgotten = Vec::new();
    for ForgottenTopic { topic, topic_id, partitions } in &request.forgotten_topics_data {
        let topic = topic_ref(topic, *topic_id, uses_topic_ids);
        forgotten.extend(partitions.iter().map(|partition| (topic.clone(), *partition)));
    }
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        uses_topic_ids,
        partitions,
        forgotten,
    }
}

fn partition_fetch(partition: &FetchPartition) -> PartitionFetch {
    PartitionFetch {
        fetch_offset: partition.fetch_offset,
        current_leader_epoch: partition.current_leader_epoch,
        last_fetched_epoch: partition.last_fetched_epoch,
        partition_max_bytes: partition.partition_max_bytes,
    }
}

/// Refuses a request as a whole.
fn refuse(call: &Call<'_>, error_code: ErrorCode) -> Result<Outcome, Unanswerable> {
    call.answer(&FetchResponse { error_code, ..Default::default() })
}

/// Refuses a request as a whole and each of its partitions: an isolation level that nobody knows.
fn refuse_all(call: &Call<'_>, request: &FetchRequest<'_>) -> Result<Outcome, Unanswerable> {
    let error_code = ErrorCode::UNKNOWN_SERVER_ERROR;
    let responses = request.topics.iter().map(|topic| FetchableTopicResponse {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| read::failed(partition.partition, error_code))
            .collect(),
    });
    call.answer(&FetchResponse { error_code, responses: responses.collect(), ..Default::default() })
}

/// Groups neighbors of the same topic, as an answer lists them.
fn grouped(context: &FetchContext<FetchKey>) -> impl Iterator<Item = std::ops::Range<usize>> {
    let keys = &context.partitions;
    let mut start = 0;
    std::iter::from_fn(move || {
        let ((topic, _), _) = keys.get(start)?;
        let count = keys[start..].iter().take_while(|((other, _), _)| other == topic).count();
        let group = start..start + count;
        start += count;
        Some(group)
    })
}
