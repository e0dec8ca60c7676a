//! OffsetCommit: a group notes how far it has come.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: OffsetCommitRequest<'_> = call.body()?;
    let host = call.client_host();
    let committed = node.groups.run(node, request.group_id, |shard, context| {
        shard.commit_offsets(&request, &call.caller(&host), context)
    });
    call.answer(&committed.unwrap_or_else(|error| refused(&request, error)))
}

/// The same error for every partition: the message has no place for one of the whole.
fn refused<'a>(
    request: &OffsetCommitRequest<'a>,
    error_code: ErrorCode,
) -> OffsetCommitResponse<'a> {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
