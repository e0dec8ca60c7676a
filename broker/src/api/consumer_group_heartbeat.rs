//! ConsumerGroupHeartbeat: a member joins, stays in or leaves a consumer group (KIP-848).

use std::sync::Arc;

use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
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
        Ok(answer) => call.answer(&answer.to_response()),
        Err(error_code) => {
            call.answer(&ConsumerGroupHeartbeatResponse { error_code, ..Default::default() })
        }
    }
}
