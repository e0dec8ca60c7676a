//! DescribeProducers: the idempotent and transactional producers that a partition knows (KIP-664).

use std::sync::Arc;

use ottla_metadata::controller::check_topic_name;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use super::{Call, Outcome, Unanswerable, check_count};
use crate::node::Node;
use crate::topics::Topic;

/// Partitions of one request. A producer takes 36 bytes of an answer, and a few bytes ask for
/// thousands of them.
const PARTITIONS_MAX: usize = 10_000;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeProducersRequest<'_> = call.body()?;
    let asked = request.topics.iter().map(|topic| topic.partition_indexes.len()).sum();
    check_count(asked, PARTITIONS_MAX)?;
    let refusals: Vec<_> =
        request.topics.iter().map(|topic| check_topic_name(topic.name).err()).collect();
    let topics = request.topics.iter().zip(&refusals).map(|(topic, refusal)| {
        let served = node.topics.by_name(topic.name);
        let partitions = topic.partition_indexes.iter().map(|partition_index| {
            let described = match refusal {
                Some(refused) => Err((refused.code, Some(&*refused.message))),
                None => producers(served.as_deref(), *partition_index),
            };
            let (error_code, error_message) = match described {
                Ok(_) => (ErrorCode::NONE, None),
                Err((code, message)) => (code, message),
            };
            PartitionResponse {
                partition_index: *partition_index,
                error_code,
                error_message,
                active_producers: described.unwrap_or_default(),
            }
        });
        TopicResponse { name: topic.name, partitions: partitions.collect() }
    });
    call.answer(&DescribeProducersResponse { topics: topics.collect(), ..Default::default() })
}

type Described<'a> = Result<Vec<ProducerState>, (ErrorCode, Option<&'a str>)>;

fn producers<'a>(topic: Option<&Topic>, index: i32) -> Described<'a> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let message = "This server does not host this topic-partition.";
    let topic = topic.ok_or((unknown, Some(message)))?;
    let partition = topic.partition(index).map_err(|code| (code, None))?;
    Ok(partition.log.with_producers(|state| {
        let told = state.producers().map(|(producer_id, entry)| ProducerState {
            producer_id,
            producer_epoch: i32::from(entry.producer_epoch),
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_txn_start_offset: entry.current_txn_first_offset.unwrap_or(-1),
        });
        told.collect()
    }))
}
