//! JoinGroup: a member joins a classic group, and waits until all others have.

use std::sync::Arc;

use ottla_coordinator::effects::JoinAnswer;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};

use super::{Call, Outcome, Unanswerable};
use crate::groups::Ran;
use crate::node::Node;

/// From this version on no protocol is null, not an empty text.
const NULLS_FROM: i16 = 7;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: JoinGroupRequest<'_> = call.body()?;
    let host = call.client_host();
    let joined = node.groups.run_waiting(node, request.group_id, |shard, ticket, context| {
        shard.join(&request, &call.caller(&host), ticket, context)
    });
    match joined {
        Ok(Ran::Answered(answer)) => call.answer(&told(&answer, call.version())),
        Ok(Ran::Waits(waiting)) => {
            let envelope = call.envelope();
            Ok(Outcome::Later(Box::new(move |reply| waiting.park(envelope, reply))))
        }
        Err(error) => call.answer(&refused(error, request.member_id, call.version())),
    }
}

fn refused(error_code: ErrorCode, member_id: &str, version: i16) -> JoinGroupResponse<'_> {
    let protocol_name = if version < NULLS_FROM { Some("") } else { None };
    JoinGroupResponse {
        error_code,
        generation_id: -1,
        protocol_name,
        member_id,
        ..Default::default()
    }
}

/// The answer as a message of this version.
pub(crate) fn told(answer: &JoinAnswer, version: i16) -> JoinGroupResponse<'_> {
    let members = answer.members.iter().map(|member| JoinGroupResponseMember {
        member_id: &member.member_id,
        group_instance_id: member.instance_id.as_deref(),
        metadata: &member.metadata,
    });
    let no_protocol = if version < NULLS_FROM { Some("") } else { None };
    JoinGroupResponse {
        error_code: answer.error,
        generation_id: answer.generation,
        protocol_type: answer.protocol_type.as_deref(),
        protocol_name: answer.protocol.as_deref().or(no_protocol),
        leader: &answer.leader,
        // The field came with version 9; before it the answer names another leader instead.
        skip_assignment: answer.skip_assignment && version >= 9,
        member_id: &answer.member_id,
        members: members.collect(),
        ..Default::default()
    }
}
