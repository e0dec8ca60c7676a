//! Classic groups: the members' leader makes the assignment, the group only carries it.
//!
//! ```text
//!          first join                  all have joined, or the time is up
//!  Empty ─────────────> Preparing ───────────────────────────────────────> Completing
//!    ▲                  Rebalance <───────────────────────────────────────  Rebalance
//!    └──────────────────┘   ▲       a member joins, leaves or is lost           │ the leader's
//!      no members are left  └──────────────────────────── Stable <──────────────┘ SyncGroup
//! ```
//!
//! It does what Kafka does, but for requests that Kafka never answers. A JoinGroup or a SyncGroup
//! that waits is answered when its member sends another one (REBALANCE_IN_PROGRESS), and when its
//! member is taken out (UNKNOWN_MEMBER_ID). A rebalance that waited only for a member for which
//! there is no room goes on at once, rather than when its time is up. A protocol that a member
//! names twice counts once, where in Kafka the group could agree on no protocol any more.

mod append;
mod conversion;
mod join;
mod leave;
mod members;
mod rebalance;
mod record;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};

use super::state::{CommitFence, GroupState, OffsetExpiry};
use super::{Group, GroupShard};
use crate::context::Context;
use crate::effects::{Answer, Effects, Ticket};
use crate::record::Record;
use append::InFlight;
use rebalance::InitialDelay;

pub(super) use conversion::ConvertedMember;
pub(super) use members::{Member, Members, Protocol};

/// The protocol type whose subscriptions brokers understand.
const CONSUMER: &str = "consumer";

/// Where a classic group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClassicState {
    /// It has no members.
    Empty,
    /// It waits for its members to join.
    PreparingRebalance,
    /// They have joined; it waits for the leader's assignment.
    CompletingRebalance,
    /// Each member has its assignment, or may fetch it.
    Stable,
}

/// A classic group.
pub(super) struct ClassicGroup {
    state: ClassicState,
    /// When it came into this state, in ms since 1970; `None` when an old record does not say so.
    state_since_ms: Option<i64>,
    /// `None` for a group that only has offsets.
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    generation: i32,
    leader: Option<Arc<str>>,
    members: Members,
    /// The topics that members subscribe to, where that is known.
    subscribed_topics: Option<HashSet<Arc<str>>>,
    /// While its first rebalance waits for more members.
    initial_delay: Option<InitialDelay>,
    /// Its records that are being written, the oldest first.
    in_flight: VecDeque<InFlight>,
}

/// What a deadline of a classic group is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ClassicTimer {
    /// The group does not wait longer for joins.
    Join(Arc<str>),
    /// The group does not wait longer for SyncGroup.
    Sync(Arc<str>),
    /// A member (the second id) of the group was not heard of, or an id was not used.
    Session(Arc<str>, Arc<str>),
}

impl ClassicState {
    /// Kafka's name of the state.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

impl ClassicGroup {
    /// A group without members, which has come to be just now.
    pub(super) fn new(now_ms: i64) -> Self {
        Self { state_since_ms: Some(now_ms), ..Self::simple() }
    }

    /// A group of which only committed offsets are known.
    pub(super) fn simple() -> Self {
        Self {
            state: ClassicState::Empty,
            state_since_ms: None,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: Members::default(),
            subscribed_topics: None,
            initial_delay: None,
            in_flight: VecDeque::new(),
        }
    }

    /// Kafka's name of its state.
    pub(super) fn state_name(&self) -> &'static str {
        self.state.name()
    }

    /// Whether it was loaded from a record that names no leader.
    fn owes_rebalance(&self) -> bool {
        self.leader.is_none() && !self.members.is_empty()
    }

    /// Its generation.
    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    /// What it is for; `None` for a group that only has offsets.
    pub(super) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The protocol that was chosen.
    pub(super) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Its members.
    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// Whether its members are consumers.
    pub(super) fn is_for_consumers(&self) -> bool {
        self.protocol_type() == Some(CONSUMER)
    }

    /// What DescribeGroups tells of it.
    pub(super) fn describe<'s>(&'s self, group_id: &'s str) -> DescribedGroup<'s> {
        let protocol = self.protocol().filter(|_| self.state == ClassicState::Stable);
        let member = |(id, member): (&'s Arc<str>, &'s Member)| DescribedGroupMember {
            member_id: id,
            group_instance_id: member.instance_id.as_deref(),
            client_id: &member.client_id,
            client_host: &member.client_host,
            member_metadata: protocol.and_then(|name| member.metadata(name)).map_or(&[], |m| m),
            // Of a group that rebalances these are the ones from before, as Kafka tells them.
            member_assignment: &member.assignment,
        };
        DescribedGroup {
            group_id,
            group_state: self.state_name(),
            protocol_type: self.protocol_type().unwrap_or(""),
            protocol_data: protocol.unwrap_or(""),
            members: self.members.iter().map(member).collect(),
            ..DescribedGroup::default()
        }
    }

    /// Whether a request may come from this member.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another member has taken the instance over.
    pub(super) fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.members.static_id(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(id) if &**id != member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        self.members.get(member_id).map(drop).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }
}

impl GroupState for ClassicGroup {
    fn check_commit(&self, fence: &CommitFence<'_>) -> Result<(), ErrorCode> {
        let empty = self.state == ClassicState::Empty;
        if fence.generation_or_epoch < 0 && empty {
            return Ok(());
        }
        let named = !fence.member_id.is_empty() || fence.instance_id.is_some();
        if fence.generation_or_epoch < 0 && !named {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_member(fence.member_id, fence.instance_id)?;
        if fence.generation_or_epoch != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        // The member knows the generation, but not yet what it is assigned.
        match self.state {
            ClassicState::CompletingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    fn check_fetch(&self, _: Option<&str>, _: i32) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        if self.state == ClassicState::Empty || self.is_for_consumers() {
            return Ok(());
        }
        Err(ErrorCode::NON_EMPTY_GROUP)
    }

    fn check_delete(&self) -> Result<(), ErrorCode> {
        match self.state {
            ClassicState::Empty => Ok(()),
            _ => Err(ErrorCode::NON_EMPTY_GROUP),
        }
    }

    fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_for_consumers(),
        }
    }

    fn offset_expiry(&self) -> OffsetExpiry {
        match (self.state, self.state_since_ms) {
            _ if self.protocol_type.is_none() => OffsetExpiry::All,
            (ClassicState::Empty, Some(since_ms)) => OffsetExpiry::AllSince(since_ms),
            (ClassicState::Empty, None) => OffsetExpiry::All,
            (ClassicState::Stable, _)
                if self.is_for_consumers() && self.subscribed_topics.is_some() =>
            {
                OffsetExpiry::Unsubscribed
            }
            _ => OffsetExpiry::Never,
        }
    }

    fn is_empty(&self) -> bool {
        self.state == ClassicState::Empty
    }

    fn push_tombstones(&self, group_id: &str, records: &mut Vec<Record>) {
        records.push(record::tombstone(group_id));
    }
}

impl GroupShard {
    /// Gives the members of loaded groups their session timeouts. A group that is larger than is
    /// allowed now is rebalanced: its members can commit their offsets, and some will be left out.
    pub(super) fn classic_loaded(&mut self, cx: &Context<'_>) -> Vec<Effects> {
        let ids: Vec<_> = self.groups.keys().cloned().collect();
        let mut effects = Vec::new();
        for id in ids {
            let Some(mut turn) = self.turn(&id, cx) else { continue };
            let sessions: Vec<_> = turn.sessions().collect();
            for (member_id, timeout_ms) in sessions {
                turn.set_session(&member_id, timeout_ms);
            }
            if turn.group.members.len() > turn.config.max_size {
                turn.prepare_rebalance("the group has more members than group.max.size");
            } else if turn.group.owes_rebalance() {
                turn.prepare_rebalance("it was a consumer group when it was left");
            }
            let turned = turn.effects(());
            if turned.write.is_some() || !turned.answers.is_empty() {
                effects.push(turned);
            }
        }
        effects
    }

    /// Answers what waits.
    pub(super) fn close_classic(&mut self, error: ErrorCode) -> Vec<(Ticket, Answer)> {
        let mut answers = std::mem::take(&mut self.left_over);
        for group in self.groups.values_mut() {
            if let Group::Classic(group) = group {
                answers.extend(group.take_waiting(error));
            }
        }
        answers
    }
}
