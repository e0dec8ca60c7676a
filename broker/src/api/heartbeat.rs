//! Heartbeat: a member of a classic group is alive.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: HeartbeatRequest<'_> = call.body()?;
    let beat = node
        .groups
        .run(node, request.group_id, |shard, context| shard.heartbeat(&request, context));
    let error_code = match beat {
        // Nobody shall leave a group for the time that it takes to load it.
        Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => ErrorCode::NONE,
        Ok(error_code) | Err(error_code) => error_code,
    };
    call.answer(&HeartbeatResponse { error_code, ..Default::default() })
}
