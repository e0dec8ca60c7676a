//! LeaveGroup: members leave a classic group.

use std::sync::Arc;

use ottla_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: LeaveGroupRequest<'_> = call.body()?;
    let host = call.client_host();
    let left = node.groups.run(node, request.group_id, |shard, context| {
        shard.leave(&request, &call.caller(&host), context)
    });
    call.answer(
        &left.unwrap_or_else(|error_code| LeaveGroupResponse { error_code, ..Default::default() }),
    )
}
