//! OffsetForLeaderEpoch: where a leader epoch ends, by which clients find out that a log was
//! truncated (KIP-320).

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;
use crate::topics::Topic;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: OffsetForLeaderEpochRequest<'_> = call.body()?;
    let topics = request.topics.iter().map(|topic| {
        let found = node.topics.by_name(topic.topic);
        let partitions = topic.partitions.iter().map(|asked| {
            answer(found.as_deref(), asked).unwrap_or_else(|error_code| EpochEndOffset {
                error_code,
                partition: asked.partition,
                ..Default::default()
            })
        });
        OffsetForLeaderTopicResult { topic: topic.topic, partitions: partitions.collect() }
    });
    call.answer(&OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() })
}

fn answer(
    topic: Option<&Topic>,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(asked.partition)?;
    partition.check_epoch(asked.current_leader_epoch)?;
    let end = partition.log.end_offset_for_epoch(asked.leader_epoch);
    Ok(EpochEndOffset {
        error_code: ErrorCode::NONE,
        partition: asked.partition,
        leader_epoch: end.leader_epoch,
        end_offset: end.end_offset,
    })
}
