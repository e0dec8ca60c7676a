//! SyncGroup: the leader gives the assignment, and every member gets its part.

use std::sync::Arc;

use ottla_coordinator::effects::SyncAnswer;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{Call, Outcome, Unanswerable};
use crate::groups::Ran;
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: SyncGroupRequest<'_> = call.body()?;
    let host = call.client_host();
    let synced = node.groups.run_waiting(node, request.group_id, |shard, ticket, context| {
        shard.sync(&request, &call.caller(&host), ticket, context)
    });
    match synced {
        Ok(Ran::Answered(answer)) => call.answer(&told(&answer)),
        Ok(Ran::Waits(waiting)) => {
            let envelope = call.envelope();
            Ok(Outcome::Later(Box::new(move |reply| waiting.park(envelope, reply))))
        }
        Err(error_code) => call.answer(&SyncGroupResponse { error_code, ..Default::default() }),
    }
}

/// The answer as a message.
pub(crate) fn told(answer: &SyncAnswer) -> SyncGroupResponse<'_> {
    SyncGroupResponse {
        error_code: answer.error,
        protocol_type: answer.protocol_type.as_deref(),
        protocol_name: answer.protocol.as_deref(),
        assignment: &answer.assignment,
        ..Default::default()
    }
}
