//! How records change a group: those just written and, at a start, those of the log.
//!
//! Compaction may have taken out records between, so each is taken as it comes: a value makes what
//! it speaks of if there is none, a tombstone of something unknown does nothing.

use std::sync::Arc;

use ottla_protocol::internal::consumer_group::*;
use ottla_protocol::internal::{GroupKey, read_value};

use super::ConsumerGroup;
use super::member::{LEAVE_EPOCH, Member, MemberState};
use super::partitions::{TopicPartition, target_from_record};
use super::regexes::Resolved;
use crate::group::{Group, GroupShard};
use crate::record::ReplayError;

impl GroupShard {
    /// Takes a record of a consumer group into account.
    pub(in crate::group) fn replay_consumer(
        &mut self,
        key: &GroupKey<'_>,
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        match key {
            GroupKey::ConsumerGroupMetadata(key) => {
                let value = read::<ConsumerGroupMetadataValue>(value)?;
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    match value {
                        Some(value) => group.replay_epoch(value),
                        None => self.remove_consumer_group(key.group_id),
                    }
                }
            }
            GroupKey::ConsumerGroupPartitionMetadata(key) => {
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    group.has_partition_metadata = value.is_some();
                }
            }
            GroupKey::ConsumerGroupMemberMetadata(key) => {
                let value = read::<ConsumerGroupMemberMetadataValue<'_>>(value)?;
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    group.replay_member(key.member_id, value.as_ref());
                }
            }
            GroupKey::ConsumerGroupTargetAssignmentMetadata(key) => {
                let value = read::<ConsumerGroupTargetAssignmentMetadataValue>(value)?;
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    group.assignment_epoch = value.as_ref().map_or(-1, |one| one.assignment_epoch);
                    group.assigned_ms = value.map_or(0, |value| value.assignment_timestamp);
                }
            }
            GroupKey::ConsumerGroupTargetAssignmentMember(key) => {
                let value = read::<ConsumerGroupTargetAssignmentMemberValue>(value)?;
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    let target = value.map(|value| target_from_record(&value.topic_partitions));
                    group.replay_target(key.member_id, target);
                }
            }
            GroupKey::ConsumerGroupCurrentMemberAssignment(key) => {
                let value = read::<ConsumerGroupCurrentMemberAssignmentValue>(value)?;
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    group.replay_current(key.member_id, value.as_ref());
                }
            }
            GroupKey::ConsumerGroupRegularExpression(key) => {
                let value = read::<ConsumerGroupRegularExpressionValue<'_>>(value)?;
                if let Some(group) = self.replayed(key.group_id, value.is_some()) {
                    group.replay_regex(key.regular_expression, value.as_ref());
                }
            }
            // The others are not about consumer groups.
            _ => {}
        }
        Ok(())
    }

    /// The group that a record is about. One that there is not is made for a value; a classic
    /// group of the same name is from before.
    fn replayed(&mut self, group_id: &str, has_value: bool) -> Option<&mut ConsumerGroup> {
        let exists = matches!(self.groups.get(group_id), Some(Group::Consumer(_)));
        if !exists && has_value {
            let group = Group::Consumer(Box::default());
            self.groups.insert(Arc::from(group_id), group);
        }
        match self.groups.get_mut(group_id) {
            Some(Group::Consumer(group)) => Some(group),
            _ => None,
        }
    }
}

fn read<'a, T: ottla_protocol::wire::Message<'a>>(
    value: Option<&'a [u8]>,
) -> Result<Option<T>, ReplayError> {
    value.map(read_value).transpose().map_err(ReplayError::Value)
}

impl ConsumerGroup {
    fn replay_epoch(&mut self, value: ConsumerGroupMetadataValue) {
        self.epoch = value.epoch;
        self.metadata_hash = value.metadata_hash;
    }

    fn replay_member(
        &mut self,
        member_id: &str,
        value: Option<&ConsumerGroupMemberMetadataValue<'_>>,
    ) {
        let Some(value) = value else {
            self.remove_member(member_id);
            return;
        };
        let names = self.intern(&value.subscribed_topic_names);
        let (member_id, mut member) = self.taken(member_id);
        member.update(value, names);
        self.put_member(member_id, member);
    }

    fn replay_current(
        &mut self,
        member_id: &str,
        value: Option<&ConsumerGroupCurrentMemberAssignmentValue>,
    ) {
        let Some(value) = value else {
            if self.members.contains_key(member_id) {
                let (member_id, mut member) = self.taken(member_id);
                member.epoch = LEAVE_EPOCH;
                member.previous_epoch = LEAVE_EPOCH;
                member.state = MemberState::Stable;
                member.assigned = Vec::new();
                member.revoking = Vec::new();
                self.put_member(member_id, member);
            }
            return;
        };
        let (member_id, mut member) = self.taken(member_id);
        member.update_assignment(value);
        self.put_member(member_id, member);
    }

    fn replay_target(&mut self, member_id: &str, target: Option<Vec<TopicPartition>>) {
        match target {
            Some(target) => {
                let member_id = self.member_id(member_id);
                self.targets.insert(member_id, target);
            }
            None => {
                self.targets.remove(member_id);
            }
        }
    }

    fn replay_regex(
        &mut self,
        regex: &str,
        value: Option<&ConsumerGroupRegularExpressionValue<'_>>,
    ) {
        if let Some(old) = self.resolved.remove(regex) {
            for topic in old.topics.iter() {
                self.names.count_regex(topic, false);
            }
        }
        let Some(value) = value else { return };
        let topics = self.intern(&value.topics);
        for topic in topics.iter() {
            self.names.count_regex(topic, true);
        }
        let resolved = Resolved { topics, version: value.version, resolved_ms: value.timestamp };
        self.resolved.insert(Arc::from(regex), resolved);
    }

    /// Takes a member out, to be put back changed; a new one if there is none.
    fn taken(&mut self, member_id: &str) -> (Arc<str>, Member) {
        let id = self.member_id(member_id);
        let member = self.take_member(member_id).unwrap_or_default();
        (id, member)
    }
}
