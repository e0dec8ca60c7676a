//! A consumer group becomes a classic one (its last member with the new protocol has gone).

use std::sync::Arc;

use super::{ClassicGroup, ClassicState, Member, Protocol, record};
use crate::context::Context;
use crate::effects::Effects;
use crate::group::{Group, GroupShard};
use crate::record::Record;

/// A member of a consumer group that speaks the classic protocol.
#[derive(Clone, Debug)]
pub(in crate::group) struct ConvertedMember {
    /// The member's own lasting name, if it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// The client id of its last request.
    pub client_id: Arc<str>,
    /// The address that this request came from.
    pub client_host: Arc<str>,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// It is dropped after this long without a sign of life.
    pub session_timeout_ms: i32,
    /// The protocols that it can use, the best first, with its subscription in each.
    pub protocols: Vec<(Arc<str>, Arc<[u8]>)>,
}

impl ClassicGroup {
    /// A stable group of these members, the first of which leads it. They have no assignments yet.
    pub(in crate::group) fn converted(
        generation: i32,
        members: Vec<(Arc<str>, ConvertedMember)>,
        now_ms: i64,
    ) -> Self {
        let mut group = Self {
            state: ClassicState::Stable,
            protocol_type: Some(Arc::from(super::CONSUMER)),
            generation,
            leader: members.first().map(|(id, _)| Arc::clone(id)),
            ..Self::new(now_ms)
        };
        for (id, member) in members {
            let protocols = member.protocols.into_iter();
            let member = Member {
                instance_id: member.instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: protocols.map(|(name, metadata)| Protocol { name, metadata }).collect(),
                assignment: Arc::from([].as_slice()),
                is_new: false,
                join: None,
                sync: None,
                owes_sync: false,
            };
            group.members.insert(id, member);
        }
        group.protocol = group.members.vote();
        group.find_subscribed_topics();
        group
    }

    /// Gives a member its assignment, which is made for its subscription in the group's protocol.
    pub(in crate::group) fn assign_converted(
        &mut self,
        member_id: &str,
        assignment: impl FnOnce(&[u8]) -> Arc<[u8]>,
    ) {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let Some(member) = self.members.get(member_id) else { return };
        let assignment = assignment(member.metadata(protocol).map_or(&[], |metadata| metadata));
        self.members.change(member_id, |member| member.assignment = assignment);
    }

    /// The record of the converted group. One that has to rebalance says so: a restart before the
    /// members have joined again would leave partitions without an owner.
    pub(in crate::group) fn record(&self, group_id: &str, rebalance: bool) -> Record {
        if rebalance {
            record::of_rebalancing(group_id, self)
        } else {
            record::of(group_id, self, |_, member| &member.assignment)
        }
    }
}

impl GroupShard {
    /// Puts a converted group in its place, whose record has been written. Its members know
    /// nothing of it: they are told to join again if there has to be another assignment.
    pub(in crate::group) fn begin_classic(
        &mut self,
        group_id: &str,
        group: Box<ClassicGroup>,
        rebalance: bool,
        cx: &Context<'_>,
    ) -> Effects {
        self.groups.insert(Arc::from(group_id), Group::Classic(group));
        let Some(mut turn) = self.turn(group_id, cx) else { return Effects::response(()) };
        let sessions: Vec<_> = turn.sessions().collect();
        for (id, timeout_ms) in sessions {
            turn.set_session(&id, timeout_ms);
        }
        if rebalance {
            turn.prepare_rebalance("it was a consumer group");
        }
        turn.effects(())
    }
}
