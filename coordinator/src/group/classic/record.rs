//! A classic group's record in `__consumer_offsets`: made, and replayed.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::classic_group::{
    GroupMetadataKey, GroupMetadataValue, MemberMetadata,
};
use ottla_protocol::internal::consumer_protocol::ConsumerProtocolSubscription;
use ottla_protocol::internal::{GroupKey, read_value, value_bytes};
use ottla_protocol::wire::Message as _;

use super::{ClassicGroup, ClassicState, ClassicTimer, Member, Members, Protocol};
use crate::group::{Group, GroupShard, TimerKey};
use crate::record::{Record, ReplayError};

/// The version of the value that Kafka writes: the newest one that all its releases read.
const VALUE_VERSION: i16 = 3;

/// The record that deletes a classic group.
pub(in crate::group) fn tombstone(group_id: &str) -> Record {
    Record { key: key(group_id), value: None }
}

/// The record of a group that has come to be: without members, in generation 0.
pub(super) fn of_new(group_id: &str, state_since_ms: i64) -> Record {
    let value = GroupMetadataValue {
        protocol: None,
        leader: None,
        current_state_timestamp: state_since_ms,
        ..GroupMetadataValue::default()
    };
    record(group_id, &value)
}

/// The record of a group whose members have these assignments, each by the member's id.
pub(super) fn of<'g>(
    group_id: &str,
    group: &'g ClassicGroup,
    assignment: impl Fn(&str, &'g Member) -> &'g [u8],
) -> Record {
    record(group_id, &value_of(group, assignment))
}

/// The record of a group that has yet to rebalance: it names no leader, so that the members that
/// are loaded from it rebalance at once. (Kafka reads it too: the first member leads then.)
pub(super) fn of_rebalancing(group_id: &str, group: &ClassicGroup) -> Record {
    let value = value_of(group, |_, member| &member.assignment);
    record(group_id, &GroupMetadataValue { leader: None, ..value })
}

fn value_of<'g>(
    group: &'g ClassicGroup,
    assignment: impl Fn(&str, &'g Member) -> &'g [u8],
) -> GroupMetadataValue<'g> {
    let member = |(id, member): (&'g Arc<str>, &'g Member)| MemberMetadata {
        member_id: id,
        group_instance_id: member.instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: group
            .protocol()
            .and_then(|protocol| member.metadata(protocol))
            .map_or(&[], |metadata| metadata),
        assignment: assignment(id, member),
    };
    GroupMetadataValue {
        protocol_type: group.protocol_type().unwrap_or(""),
        generation: group.generation,
        protocol: group.protocol(),
        leader: group.leader.as_deref(),
        current_state_timestamp: group.state_since_ms.unwrap_or(-1),
        members: group.members.iter().map(member).collect(),
    }
}

fn key(group_id: &str) -> Vec<u8> {
    GroupKey::GroupMetadata(GroupMetadataKey { group: group_id })
        .to_bytes()
        .expect("a group id that came in a request is short enough for a key")
}

fn record(group_id: &str, value: &GroupMetadataValue<'_>) -> Record {
    let value = value_bytes(value, VALUE_VERSION)
        .expect("strings and bytes that came in requests fit into a value");
    Record { key: key(group_id), value: Some(value) }
}

impl ClassicGroup {
    /// The group that a record tells of.
    fn from_value(value: &GroupMetadataValue<'_>) -> Self {
        let mut members = Members::default();
        for member in &value.members {
            let protocols = value.protocol.map(|name| Protocol {
                name: Arc::from(name),
                metadata: Arc::from(member.subscription),
            });
            let rebalance_timeout_ms = match member.rebalance_timeout {
                -1 => member.session_timeout,
                timeout_ms => timeout_ms,
            };
            members.insert(
                Arc::from(member.member_id),
                Member {
                    instance_id: member.group_instance_id.map(Arc::from),
                    client_id: Arc::from(member.client_id),
                    client_host: Arc::from(member.client_host),
                    rebalance_timeout_ms,
                    session_timeout_ms: member.session_timeout,
                    protocols: protocols.into_iter().collect(),
                    assignment: Arc::from(member.assignment),
                    is_new: false,
                    join: None,
                    sync: None,
                    owes_sync: false,
                },
            );
        }
        let empty = members.is_empty();
        let leader = value.leader.and_then(|named| {
            let found = members.get_with_id(named).map(|(id, _)| id);
            found.or(members.first_id()).cloned()
        });
        let mut group = Self {
            state: if empty { ClassicState::Empty } else { ClassicState::Stable },
            state_since_ms: (value.current_state_timestamp != -1)
                .then_some(value.current_state_timestamp),
            protocol_type: (!value.protocol_type.is_empty())
                .then(|| Arc::from(value.protocol_type)),
            protocol: value.protocol.map(Arc::from),
            generation: value.generation,
            leader,
            members,
            ..Self::simple()
        };
        group.find_subscribed_topics();
        group
    }

    /// Learns from the members' subscriptions which topics they want. Of members that do not speak
    /// the consumers' format nothing is known, and so nothing of the group.
    pub(super) fn find_subscribed_topics(&mut self) {
        self.subscribed_topics = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<HashSet<Arc<str>>> {
        if !self.is_for_consumers() {
            return None;
        }
        let mut topics = HashSet::new();
        let mut seen: Option<&Arc<[u8]>> = None;
        for (_, member) in self.members.iter() {
            let metadata = member.metadata(self.protocol()?)?;
            // Members of a group mostly say the same.
            if seen == Some(metadata) {
                continue;
            }
            seen = Some(metadata);
            // Every version begins as version 0 does, and no more is needed.
            let subscription = metadata.get(2..)?;
            let subscription = ConsumerProtocolSubscription::from_bytes(subscription, 0).ok()?;
            for topic in subscription.topics {
                if !topics.contains(topic) {
                    topics.insert(Arc::from(topic));
                }
            }
        }
        Some(topics)
    }
}

impl GroupShard {
    /// Takes the record of a classic group into account.
    pub(in crate::group) fn replay_classic(
        &mut self,
        group_id: &str,
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        let Some(value) = value else {
            if let Some(Group::Classic(_)) = self.groups.get(group_id) {
                self.forget_classic(group_id);
            }
            return Ok(());
        };
        let value: GroupMetadataValue<'_> = read_value(value).map_err(ReplayError::Value)?;
        let group = ClassicGroup::from_value(&value);
        self.forget_classic(group_id);
        self.groups.insert(Arc::from(group_id), Group::Classic(Box::new(group)));
        Ok(())
    }

    /// Drops a classic group, and its deadlines. Should somebody wait for it, which can only be
    /// when it was joined while its end was being written, they join anew.
    pub(in crate::group) fn forget_classic(&mut self, group_id: &str) {
        let Some((id, Group::Classic(mut group))) = self.groups.remove_entry(group_id) else {
            return;
        };
        self.left_over.extend(group.take_waiting(ErrorCode::UNKNOWN_MEMBER_ID));
        self.timers.cancel(&TimerKey::Classic(ClassicTimer::Join(Arc::clone(&id))));
        self.timers.cancel(&TimerKey::Classic(ClassicTimer::Sync(Arc::clone(&id))));
        for (member_id, _) in group.members.iter() {
            let session = ClassicTimer::Session(Arc::clone(&id), Arc::clone(member_id));
            self.timers.cancel(&TimerKey::Classic(session));
        }
    }
}
