//! SyncGroup: the leader gives the assignment, and every member gets its part.

use std::sync::Arc;

use ottla_coordinator::effects::SyncAnswer;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: SyncGroupRequest<'_> = call.body()?;
    let host = call.client_host();
    let ticket = node.groups.ticket();
    let synced = node.groups.run(node, request.group_id, |shard, context| {
        shard.sync(&request, &call.caller(&host), ticket, context)
    });
    match synced {
        Ok(Some(answer)) => call.answer(&told(&answer)),
        Ok(None) => {
            let (node, envelope) = (Arc::clone(node), call.envelope());
            let group_id = request.group_id.to_owned();
            Ok(Outcome::Later(Box::new(move |reply| {
                node.groups.park(&group_id, ticket, envelope, reply);
            })))
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
