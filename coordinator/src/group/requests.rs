//! The requests that groups of both kinds get, handed to the right kind.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_groups::DescribedGroup;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};
use ottla_protocol::messages::list_groups::ListedGroup;
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::foreign::JOIN_REFUSED;
use super::{Group, GroupShard};
use crate::context::{Caller, Context};
use crate::effects::{Effects, JoinAnswer, SyncAnswer, Then, Ticket, Write};

/// The first version of LeaveGroup that names several members.
const LEAVE_BATCHED: i16 = 3;
/// The first version of SyncGroup that must name the protocol.
const SYNC_NAMES_PROTOCOL: i16 = 5;
/// The first version of DescribeGroups that has a code for a group that does not exist.
const DESCRIBE_HAS_NOT_FOUND: i16 = 6;

impl GroupShard {
    /// Answers JoinGroup, or parks it under the ticket (`None`).
    pub fn join(
        &mut self,
        request: &JoinGroupRequest<'_>,
        caller: &Caller<'_>,
        ticket: Ticket,
        cx: &Context<'_>,
    ) -> Effects<Option<JoinAnswer>> {
        let refuse = |error| Effects::response(Some(JoinAnswer::refusal(error, request.member_id)));
        if request.group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        let allowed = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if !allowed.contains(&request.session_timeout_ms) {
            return refuse(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        if self.foreign.contains(request.group_id) {
            return refuse(JOIN_REFUSED);
        }
        match self.groups.get(request.group_id) {
            Some(group @ Group::Consumer(_)) if !group.state().is_empty() => {
                self.join_consumer_group(request, caller, ticket, cx)
            }
            _ => self.join_classic_group(request, caller, ticket, cx),
        }
    }

    /// Answers SyncGroup, or parks it under the ticket (`None`).
    pub fn sync(
        &mut self,
        request: &SyncGroupRequest<'_>,
        caller: &Caller<'_>,
        ticket: Ticket,
        cx: &Context<'_>,
    ) -> Effects<Option<SyncAnswer>> {
        let refuse = |error| Effects::response(Some(SyncAnswer::refusal(error)));
        let named = request.protocol_type.is_some() && request.protocol_name.is_some();
        if caller.version >= SYNC_NAMES_PROTOCOL && !named {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if request.group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        match self.groups.get(request.group_id) {
            None => refuse(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(group) if group.state().is_empty() => refuse(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Group::Classic(_)) => self.sync_classic_group(request, ticket, cx),
            Some(Group::Consumer(_)) => self.sync_consumer_group(request, ticket, cx),
        }
    }

    /// Answers Heartbeat.
    pub fn heartbeat(
        &mut self,
        request: &HeartbeatRequest<'_>,
        cx: &Context<'_>,
    ) -> Effects<ErrorCode> {
        if request.group_id.is_empty() {
            return Effects::response(ErrorCode::INVALID_GROUP_ID);
        }
        match self.groups.get(request.group_id) {
            None => Effects::response(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Group::Classic(_)) => Effects::response(self.heartbeat_classic_group(request, cx)),
            Some(Group::Consumer(_)) => self.heartbeat_consumer_group(request, cx),
        }
    }

    /// Answers LeaveGroup.
    pub fn leave<'r>(
        &mut self,
        request: &LeaveGroupRequest<'r>,
        caller: &Caller<'_>,
        cx: &Context<'_>,
    ) -> Effects<LeaveGroupResponse<'r>> {
        if request.group_id.is_empty() {
            return Effects::response(LeaveGroupResponse {
                error_code: ErrorCode::INVALID_GROUP_ID,
                ..LeaveGroupResponse::default()
            });
        }
        let batched = caller.version >= LEAVE_BATCHED;
        let alone = [MemberIdentity { member_id: request.member_id, ..MemberIdentity::default() }];
        let leaving = if batched { request.members.as_slice() } else { &alone };
        let effects = match self.groups.get(request.group_id) {
            None => Effects::response(
                leaving.iter().map(|member| left(member, ErrorCode::UNKNOWN_MEMBER_ID)).collect(),
            ),
            Some(Group::Classic(_)) => self.leave_classic_group(request.group_id, leaving, cx),
            Some(Group::Consumer(_)) => self.leave_consumer_group(request.group_id, leaving, cx),
        };
        effects.map(|members| {
            // Older versions have one code, that of their one member.
            let error_code = match members.first() {
                Some(member) if !batched => member.error_code,
                _ => ErrorCode::NONE,
            };
            let members = if batched { members } else { Vec::new() };
            LeaveGroupResponse { throttle_time_ms: 0, error_code, members }
        })
    }

    /// Deletes a group without members, and its offsets.
    pub fn delete_group(&mut self, group_id: &str, _: &Context<'_>) -> Effects<ErrorCode> {
        let group = self.groups.get(group_id).filter(|_| !self.foreign.contains(group_id));
        let Some(group) = group else {
            return Effects::response(ErrorCode::GROUP_ID_NOT_FOUND);
        };
        if let Err(error) = group.state().check_delete() {
            return Effects::response(error);
        }
        let mut records = Vec::new();
        self.offsets.push_tombstones(group_id, &mut records);
        group.state().push_tombstones(group_id, &mut records);
        Effects {
            write: Some(Write { records, then: Then::Replay }),
            response: ErrorCode::NONE,
            answers: Vec::new(),
        }
    }

    /// Answers DescribeGroups for one group, at this version of the request. The text that goes
    /// with a code is [`GroupShard::why_not_classic`].
    pub fn describe_classic<'s>(&'s self, group_id: &'s str, version: i16) -> DescribedGroup<'s> {
        if let Some(Group::Classic(group)) = self.groups.get(group_id)
            && !self.foreign.contains(group_id)
        {
            return group.describe(group_id);
        }
        let found_out = version >= DESCRIBE_HAS_NOT_FOUND;
        DescribedGroup {
            error_code: if found_out { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE },
            group_id,
            group_state: "Dead",
            ..DescribedGroup::default()
        }
    }

    /// What Kafka says of a group that DescribeGroups does not find.
    pub fn why_not_classic(&self, group_id: &str) -> String {
        match self.groups.get(group_id) {
            Some(Group::Consumer(_)) => format!("Group {group_id} is not a classic group."),
            _ if self.foreign.contains(group_id) => {
                format!("Group {group_id} is not a classic group.")
            }
            _ => format!("Group {group_id} not found."),
        }
    }

    /// What Kafka says of a group that ConsumerGroupDescribe does not find.
    pub fn why_not_consumer(&self, group_id: &str) -> String {
        match self.groups.get(group_id) {
            Some(Group::Classic(_)) => format!("Group {group_id} is not a consumer group."),
            _ if self.foreign.contains(group_id) => {
                format!("Group {group_id} is not a consumer group.")
            }
            _ => format!("Group {group_id} not found."),
        }
    }

    /// All groups, in no particular order. Share and streams groups are told as Kafka tells them
    /// when they have no members, since here they have none.
    pub fn list(&self) -> impl Iterator<Item = ListedGroup<'_>> {
        let foreign = self.foreign.iter().map(|(group_id, group_type)| ListedGroup {
            group_id,
            protocol_type: group_type,
            group_state: "Empty",
            group_type,
        });
        // Offsets that were committed for a streams group make it no group of another type.
        let own = self.groups.iter().filter(|(group_id, _)| !self.foreign.contains(group_id));
        own.map(|(group_id, group)| {
            let (protocol_type, group_state, group_type) = match group {
                Group::Classic(group) => {
                    (group.protocol_type().unwrap_or(""), group.state_name(), "classic")
                }
                Group::Consumer(group) => ("consumer", group.state_name(), "consumer"),
            };
            ListedGroup { group_id, protocol_type, group_state, group_type }
        })
        .chain(foreign)
    }
}

/// Whether ListGroups asks for this group: in one of these states and of one of these types, where
/// any are given. Upper and lower case are the same.
pub fn is_listed(group: &ListedGroup<'_>, states: &[&str], types: &[&str]) -> bool {
    let asked = |filter: &[&str], what: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(what))
    };
    asked(states, group.group_state) && asked(types, group.group_type)
}

/// What became of a member that wants to leave.
pub(super) fn left<'r>(member: &MemberIdentity<'r>, error_code: ErrorCode) -> MemberResponse<'r> {
    MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code,
    }
}
