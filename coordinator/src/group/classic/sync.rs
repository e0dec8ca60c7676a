//! SyncGroup and Heartbeat.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::append::InFlight;
use super::rebalance::Turn;
use super::{ClassicGroup, ClassicState, record};
use crate::context::Context;
use crate::effects::{Effects, SyncAnswer, Ticket};
use crate::group::GroupShard;

impl GroupShard {
    /// A member brings the assignment, or asks for its own.
    pub(in crate::group) fn sync_classic_group(
        &mut self,
        request: &SyncGroupRequest<'_>,
        ticket: Ticket,
        cx: &Context<'_>,
    ) -> Effects<Option<SyncAnswer>> {
        let refuse = |error| Some(SyncAnswer::refusal(error));
        let Some(mut turn) = self.turn(request.group_id, cx) else {
            return Effects::response(refuse(ErrorCode::UNKNOWN_MEMBER_ID));
        };
        let response = match turn.group.check_sync(request) {
            Ok(()) => turn.sync(request, ticket),
            Err(error) => refuse(error),
        };
        turn.effects(response)
    }

    /// A member shows that it is alive.
    pub(in crate::group) fn heartbeat_classic_group(
        &mut self,
        request: &HeartbeatRequest<'_>,
        cx: &Context<'_>,
    ) -> ErrorCode {
        let Some(mut turn) = self.turn(request.group_id, cx) else {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        };
        let checked = turn.group.check_member(request.member_id, request.group_instance_id);
        if let Err(error) = checked {
            return error;
        }
        if request.generation_id != turn.group.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        turn.touch(request.member_id);
        match turn.group.state {
            ClassicState::Empty => ErrorCode::UNKNOWN_MEMBER_ID,
            ClassicState::PreparingRebalance => ErrorCode::REBALANCE_IN_PROGRESS,
            ClassicState::CompletingRebalance | ClassicState::Stable => ErrorCode::NONE,
        }
    }

    /// A member that commits offsets is alive too.
    pub(in crate::group) fn touch_classic_member(
        &mut self,
        group_id: &str,
        member_id: &str,
        cx: &Context<'_>,
    ) {
        if let Some(mut turn) = self.turn(group_id, cx)
            && matches!(turn.group.state, ClassicState::Stable | ClassicState::PreparingRebalance)
        {
            turn.touch(member_id);
        }
    }
}

impl ClassicGroup {
    fn check_sync(&self, request: &SyncGroupRequest<'_>) -> Result<(), ErrorCode> {
        self.check_member(request.member_id, request.group_instance_id)?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        // What the group has not chosen yet is no other choice.
        let differs = |its: Option<&str>, mine: Option<&str>| {
            its.zip(mine).is_some_and(|(its, mine)| its != mine)
        };
        if differs(request.protocol_type, self.protocol_type())
            || differs(request.protocol_name, self.protocol())
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }
}

impl Turn<'_> {
    fn touch(&mut self, member_id: &str) {
        if let Some((id, member)) = self.group.members.get_with_id(member_id) {
            let (id, timeout_ms) = (Arc::clone(id), member.session_timeout_ms);
            self.set_session(&id, timeout_ms);
        }
    }

    fn sync(&mut self, request: &SyncGroupRequest<'_>, ticket: Ticket) -> Option<SyncAnswer> {
        match self.group.state {
            ClassicState::Empty => Some(SyncAnswer::refusal(ErrorCode::UNKNOWN_MEMBER_ID)),
            ClassicState::PreparingRebalance => {
                Some(SyncAnswer::refusal(ErrorCode::REBALANCE_IN_PROGRESS))
            }
            ClassicState::CompletingRebalance => {
                self.park_sync(request, ticket);
                None
            }
            ClassicState::Stable => {
                let assignment = self.group.members.change(request.member_id, |member| {
                    member.owes_sync = false;
                    Arc::clone(&member.assignment)
                });
                self.stop_sync_timer_if_all_synced();
                assignment.map(|assignment| self.group.synced(assignment))
            }
        }
    }

    fn park_sync(&mut self, request: &SyncGroupRequest<'_>, ticket: Ticket) {
        let older = self.group.members.change(request.member_id, |member| {
            member.owes_sync = false;
            member.sync.replace(ticket)
        });
        // As for JoinGroup: no request waits for ever because its client has sent another one.
        if let Some(Some(older)) = older {
            self.answer_sync(older, SyncAnswer::refusal(ErrorCode::REBALANCE_IN_PROGRESS));
        }
        self.stop_sync_timer_if_all_synced();
        if self.group.is_leader(request.member_id) {
            self.store_assignments(request);
        }
    }

    /// The leader has made the assignment: the members get it once it is in the log.
    fn store_assignments(&mut self, request: &SyncGroupRequest<'_>) {
        let given: HashMap<&str, &[u8]> =
            request.assignments.iter().map(|given| (given.member_id, given.assignment)).collect();
        let record = record::of(&self.id, self.group, |id, _| given.get(id).unwrap_or(&&[][..]));
        let assignments = self.group.members.iter().map(|(id, _)| {
            let its = given.get(&**id).copied().unwrap_or_default();
            (Arc::clone(id), Arc::from(its))
        });
        let assignments = assignments.collect();
        log::debug!(
            "the leader of group {} has made the assignment of generation {}",
            self.id,
            self.group.generation
        );
        let generation = self.group.generation;
        self.write(vec![record], InFlight::Assignment { generation, assignments });
    }
}
