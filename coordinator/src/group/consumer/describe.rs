//! ConsumerGroupDescribe, of one group.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_describe as message;
use ottla_protocol::uuid::Uuid;

use super::ConsumerGroup;
use super::member::Member;
use super::partitions::{TopicPartition, by_topic};
use super::target::default_assignor;
use crate::context::Context;
use crate::group::{Group, GroupShard};

/// What a description needs and no group has: the names of topics.
#[derive(Debug, Default)]
pub struct DescribeNotes {
    names: HashMap<Uuid, Arc<str>>,
}

/// The member type of a member that speaks the classic protocol, and of any other.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

impl GroupShard {
    /// What [`GroupShard::describe_consumer`] needs for this group.
    pub fn describe_notes(&self, group_id: &str, cx: &Context<'_>) -> DescribeNotes {
        let mut notes = DescribeNotes::default();
        let Some(Group::Consumer(group)) = self.groups.get(group_id) else { return notes };
        let held = group.members.values().flat_map(Member::held);
        let targets = group.targets.values().flatten().copied();
        let mut last = None;
        for TopicPartition { topic, .. } in held.chain(targets) {
            if last != Some(topic) && !notes.names.contains_key(&topic) {
                notes.names.extend(cx.cluster.topic_name(topic).map(|name| (topic, name)));
            }
            last = Some(topic);
        }
        notes
    }

    /// Answers ConsumerGroupDescribe for one group. Partitions of topics that are gone are left
    /// out. The text that goes with a code is [`GroupShard::why_not_consumer`].
    pub fn describe_consumer<'s>(
        &'s self,
        group_id: &'s str,
        notes: &'s DescribeNotes,
    ) -> message::DescribedGroup<'s> {
        let error_code = if !self.config.consumer_groups {
            ErrorCode::UNSUPPORTED_VERSION
        } else if group_id.is_empty() {
            ErrorCode::INVALID_GROUP_ID
        } else if let Some(Group::Consumer(group)) = self.groups.get(group_id) {
            let default = default_assignor(&self.config).name();
            return group.describe(group_id, default, notes);
        } else {
            ErrorCode::GROUP_ID_NOT_FOUND
        };
        message::DescribedGroup { error_code, group_id, ..message::DescribedGroup::default() }
    }
}

impl ConsumerGroup {
    fn describe<'s>(
        &'s self,
        group_id: &'s str,
        default_assignor: &'static str,
        notes: &'s DescribeNotes,
    ) -> message::DescribedGroup<'s> {
        let members = self.members.iter();
        message::DescribedGroup {
            group_id,
            group_state: self.state_name(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.preferred_assignor().map_or(default_assignor, |name| name),
            members: members.map(|(id, one)| self.describe_member(id, one, notes)).collect(),
            ..message::DescribedGroup::default()
        }
    }

    fn describe_member<'s>(
        &'s self,
        member_id: &'s str,
        member: &'s Member,
        notes: &'s DescribeNotes,
    ) -> message::Member<'s> {
        let mut held: Vec<TopicPartition> = member.held().collect();
        held.sort_unstable();
        message::Member {
            member_id,
            instance_id: member.instance_id.as_deref(),
            rack_id: member.rack_id.as_deref(),
            member_epoch: member.epoch,
            client_id: &member.client_id,
            client_host: &member.client_host,
            subscribed_topic_names: member.names.iter().map(|name| &**name).collect(),
            subscribed_topic_regex: member.regex.as_deref(),
            assignment: notes.assignment(&held),
            target_assignment: notes.assignment(self.target(member_id)),
            member_type: if member.is_classic() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
        }
    }
}

impl DescribeNotes {
    fn assignment(&self, partitions: &[TopicPartition]) -> message::Assignment<'_> {
        let topics = by_topic(partitions.iter().copied()).into_iter();
        message::Assignment {
            topic_partitions: topics
                .filter_map(|(topic_id, partitions)| {
                    let topic_name = self.names.get(&topic_id)?;
                    Some(message::TopicPartitions { topic_id, topic_name, partitions })
                })
                .collect(),
        }
    }
}
