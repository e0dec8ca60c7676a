//! Consumer groups (KIP-848).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::GroupKey;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::leave_group::{MemberIdentity, MemberResponse};
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::GroupShard;
use super::state::{CommitFence, GroupState, OffsetExpiry};
use crate::context::{Caller, Context};
use crate::effects::{Answer, Effects, JoinAnswer, SyncAnswer, Ticket};
use crate::record::{Record, ReplayError};

/// A consumer group. There are none yet.
pub enum ConsumerGroup {}

/// What a deadline of a consumer group is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsumerTimer {}

impl ConsumerGroup {
    pub(super) fn state_name(&self) -> &'static str {
        match *self {}
    }
}

impl GroupState for ConsumerGroup {
    fn check_commit(&self, _: &CommitFence<'_>) -> Result<(), ErrorCode> {
        match *self {}
    }

    fn check_fetch(&self, _: Option<&str>, _: i32) -> Result<(), ErrorCode> {
        match *self {}
    }

    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        match *self {}
    }

    fn check_delete(&self) -> Result<(), ErrorCode> {
        match *self {}
    }

    fn is_subscribed_to(&self, _: &str) -> bool {
        match *self {}
    }

    fn offset_expiry(&self) -> OffsetExpiry {
        match *self {}
    }

    fn is_empty(&self) -> bool {
        match *self {}
    }

    fn push_tombstones(&self, _: &str, _: &mut Vec<Record>) {
        match *self {}
    }
}

impl GroupShard {
    /// A classic member joins a consumer group that has members.
    pub(super) fn join_consumer_group(
        &mut self,
        request: &JoinGroupRequest<'_>,
        _caller: &Caller<'_>,
        _ticket: Ticket,
        _cx: &Context<'_>,
    ) -> Effects<Option<JoinAnswer>> {
        let error = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
        Effects::response(Some(JoinAnswer::refusal(error, request.member_id)))
    }

    /// A classic member of a consumer group asks for its assignment.
    pub(super) fn sync_consumer_group(
        &mut self,
        _request: &SyncGroupRequest<'_>,
        _ticket: Ticket,
        _cx: &Context<'_>,
    ) -> Effects<Option<SyncAnswer>> {
        Effects::response(Some(SyncAnswer::refusal(ErrorCode::UNKNOWN_MEMBER_ID)))
    }

    /// A classic member of a consumer group shows itself.
    pub(super) fn heartbeat_consumer_group(
        &mut self,
        _request: &HeartbeatRequest<'_>,
        _cx: &Context<'_>,
    ) -> Effects<ErrorCode> {
        Effects::response(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    /// Classic members leave a consumer group; one answer each, in their order.
    pub(super) fn leave_consumer_group<'r>(
        &mut self,
        _group_id: &str,
        members: &[MemberIdentity<'r>],
        _cx: &Context<'_>,
    ) -> Effects<Vec<MemberResponse<'r>>> {
        let answer = |member| super::requests::left(member, ErrorCode::UNKNOWN_MEMBER_ID);
        Effects::response(members.iter().map(answer).collect())
    }

    /// Does what a deadline that has passed calls for.
    pub(super) fn consumer_timer(&mut self, timer: ConsumerTimer, _: &Context<'_>) -> Effects {
        match timer {}
    }

    /// Takes a record of a consumer group into account.
    pub(super) fn replay_consumer(
        &mut self,
        _key: &GroupKey<'_>,
        _value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        Ok(())
    }

    /// Arms the deadlines of the groups that were loaded.
    pub(super) fn consumer_loaded(&mut self, _cx: &Context<'_>) -> Vec<Effects> {
        Vec::new()
    }

    /// Answers what waits.
    pub(super) fn close_consumer(&mut self, _error: ErrorCode) -> Vec<(Ticket, Answer)> {
        Vec::new()
    }
}
