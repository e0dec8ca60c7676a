//! ConsumerGroupHeartbeat: a member joins, stays in or leaves a consumer group (KIP-848).

use std::sync::Arc;

use ottla_coordinator::group::consumer::ConsumerHeartbeatAnswer;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ConsumerGroupHeartbeatRequest<'_> = call.body()?;
    let host = call.client_host();
    let beat = node.groups.run_with_id(node, request.group_id, |shard, context| {
        shard.consumer_heartbeat(&request, &call.caller(&host), context)
    });
    match beat {
        Ok(answer) => call.answer(&told(&answer)),
        Err(error_code) => {
            call.answer(&ConsumerGroupHeartbeatResponse { error_code, ..Default::default() })
        }
    }
}

fn told(answer: &ConsumerHeartbeatAnswer) -> ConsumerGroupHeartbeatResponse<'_> {
    let assignment = answer.assignment.as_ref();
    ConsumerGroupHeartbeatResponse {
        throttle_time_ms: 0,
        error_code: answer.error,
        error_message: answer.message,
        member_id: answer.member_id.as_deref(),
        member_epoch: answer.member_epoch,
        heartbeat_interval_ms: answer.heartbeat_interval_ms,
        assignment: assignment.map(|topics| Assignment { topic_partitions: topics.clone() }),
    }
}
