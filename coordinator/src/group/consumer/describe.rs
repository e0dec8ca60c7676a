//! ConsumerGroupDescribe, of one group.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_describe as message;

use super::ConsumerGroup;
use super::member::Member;
use super::partitions::{TopicPartition, by_topic};
use super::target::default_assignor;
use crate::context::Context;
use crate::group::{Group, GroupShard};

/// The member type of a member that speaks the classic protocol, and of any other.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

impl GroupShard {
    /// Answers ConsumerGroupDescribe for one group. Partitions of topics that are gone are left
    /// out. The text that goes with a code is [`GroupShard::why_not_consumer`].
    pub fn describe_consumer<'s>(
        &'s self,
        group_id: &'s str,
        cx: &Context<'s>,
    ) -> message::DescribedGroup<'s> {
        let error_code = if !self.config.consumer_groups {
            ErrorCode::UNSUPPORTED_VERSION
        } else if group_id.is_empty() {
            ErrorCode::INVALID_GROUP_ID
        } else if let Some(Group::Consumer(group)) = self.groups.get(group_id) {
            let default = default_assignor(&self.config).name();
            return group.describe(group_id, default, cx);
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
        cx: &Context<'s>,
    ) -> message::DescribedGroup<'s> {
        let members = self.members.iter();
        message::DescribedGroup {
            group_id,
            group_state: self.state_name(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.preferred_assignor().map_or(default_assignor, |name| name),
            members: members.map(|(id, one)| self.describe_member(id, one, cx)).collect(),
            ..message::DescribedGroup::default()
        }
    }

    fn describe_member<'s>(
        &'s self,
        member_id: &'s str,
        member: &'s Member,
        cx: &Context<'s>,
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
            assignment: assignment(&held, cx),
            target_assignment: assignment(self.target(member_id), cx),
            member_type: if member.is_classic() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
        }
    }
}

fn assignment<'s>(partitions: &[TopicPartition], cx: &Context<'s>) -> message::Assignment<'s> {
    let topics = by_topic(partitions.iter().copied()).into_iter();
    message::Assignment {
        topic_partitions: topics
            .filter_map(|(topic_id, partitions)| {
                let topic_name = cx.cluster.topic_name(topic_id)?;
                Some(message::TopicPartitions { topic_id, topic_name, partitions })
            })
            .collect(),
    }
}
