//! LeaveGroup, and members that are lost.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::leave_group::{MemberIdentity, MemberResponse};

use super::ClassicTimer;
use super::rebalance::Turn;
use crate::context::Context;
use crate::effects::Effects;
use crate::group::GroupShard;
use crate::group::requests::left;

impl GroupShard {
    /// Members leave, or are made to; one answer each, in their order.
    pub(in crate::group) fn leave_classic_group<'r>(
        &mut self,
        group_id: &str,
        leaving: &[MemberIdentity<'r>],
        cx: &Context<'_>,
    ) -> Effects<Vec<MemberResponse<'r>>> {
        let Some(mut turn) = self.turn(group_id, cx) else {
            let unknown = |member| left(member, ErrorCode::UNKNOWN_MEMBER_ID);
            return Effects::response(leaving.iter().map(unknown).collect());
        };
        let mut responses = Vec::with_capacity(leaving.len());
        for member in leaving {
            let error = turn.leave(member).err().unwrap_or(ErrorCode::NONE);
            responses.push(left(member, error));
        }
        if responses.iter().any(|response| response.error_code == ErrorCode::NONE) {
            turn.rebalance_without("members have left");
        }
        turn.effects(responses)
    }

    /// Does what a deadline that has passed calls for.
    pub(in crate::group) fn classic_timer(
        &mut self,
        timer: ClassicTimer,
        cx: &Context<'_>,
    ) -> Effects {
        let (ClassicTimer::Join(id) | ClassicTimer::Sync(id) | ClassicTimer::Session(id, _)) =
            &timer;
        let Some(mut turn) = self.turn(id, cx) else { return Effects::response(()) };
        match &timer {
            ClassicTimer::Join(_) => turn.join_time_is_up(),
            ClassicTimer::Sync(_) => turn.sync_time_is_up(),
            ClassicTimer::Session(_, member_id) => turn.session_is_over(member_id),
        }
        turn.effects(())
    }
}

impl Turn<'_> {
    fn leave(&mut self, leaving: &MemberIdentity<'_>) -> Result<(), ErrorCode> {
        let id: Arc<str> = match (leaving.member_id, leaving.group_instance_id) {
            // An administrator takes out a static member, whose id nobody knows.
            ("", instance_id) => {
                let id = instance_id.and_then(|id| self.group.members.static_id(id));
                Arc::clone(id.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?)
            }
            (id, _) if self.group.members.is_pending(id) => Arc::from(id),
            (id, instance_id) => {
                self.group.check_member(id, instance_id)?;
                Arc::from(id)
            }
        };
        let reason = leaving.reason.unwrap_or("not provided");
        log::debug!("member {id} leaves group {}: {reason}", self.id);
        self.drop_member(&id);
        Ok(())
    }

    /// Takes out a member or a pending id; what of it waits is refused, so that a client that is
    /// there after all joins anew.
    fn drop_member(&mut self, id: &Arc<str>) {
        self.end_session(id);
        if let Some(member) = self.remove_member(id) {
            self.refuse(&member, ErrorCode::UNKNOWN_MEMBER_ID, "");
        }
    }

    /// A member was not heard of for as long as it said, or an id that was handed out not used.
    fn session_is_over(&mut self, member_id: &Arc<str>) {
        match self.group.members.get(member_id) {
            Some(member) if member.is_waited_on() => {}
            Some(_) => {
                log::debug!("member {member_id} of group {} was not heard of in time", self.id);
                self.drop_member(member_id);
                self.rebalance_without("a member was not heard of in time");
            }
            None => {
                self.group.members.remove(member_id);
                self.complete_join_if_all_joined();
            }
        }
    }
}
