//! The records of consumer groups: each function makes one, in the layout and version that Kafka
//! 4.3 writes.
//!
//! | key | what | value |
//! |---|---|---|
//! | 3 | the group | epoch, metadata hash |
//! | 4 | what older versions kept of its topics | only ever deleted |
//! | 5 | a member | what it said of itself |
//! | 6 | the target assignment | epoch, time |
//! | 7 | a member's part of it | partitions |
//! | 8 | what a member has | epochs, state, partitions |
//! | 16 | a regular expression | the topics that match |

use std::sync::Arc;

use ottla_protocol::internal::consumer_group::*;
use ottla_protocol::internal::{GroupKey, value_bytes};
use ottla_protocol::wire::Message;

use super::member::Member;
use super::partitions::{TopicPartition, held_to_record, target_to_record};
use super::regexes::Resolved;
use crate::record::Record;

/// The version of all values.
const VERSION: i16 = 0;

/// A key, and nothing or a value.
fn record<'a, V: Message<'a>>(key: &GroupKey<'_>, value: Option<&V>) -> Record {
    // Texts come out of frames or logs, where they had to fit as well.
    let fits = "texts that came in go out again";
    Record {
        key: key.to_bytes().expect(fits),
        value: value.map(|value| value_bytes(value, VERSION).expect(fits)),
    }
}

fn tombstone(key: &GroupKey<'_>) -> Record {
    record::<ConsumerGroupMetadataValue>(key, None)
}

fn group_key(group_id: &str) -> GroupKey<'_> {
    GroupKey::ConsumerGroupMetadata(ConsumerGroupMetadataKey { group_id })
}

fn target_key(group_id: &str) -> GroupKey<'_> {
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
    GroupKey::ConsumerGroupTargetAssignmentMetadata(key)
}

fn member_key<'a>(group_id: &'a str, member_id: &'a str) -> GroupKey<'a> {
    let key = ConsumerGroupMemberMetadataKey { group_id, member_id };
    GroupKey::ConsumerGroupMemberMetadata(key)
}

fn member_target_key<'a>(group_id: &'a str, member_id: &'a str) -> GroupKey<'a> {
    let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id };
    GroupKey::ConsumerGroupTargetAssignmentMember(key)
}

fn current_key<'a>(group_id: &'a str, member_id: &'a str) -> GroupKey<'a> {
    let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id };
    GroupKey::ConsumerGroupCurrentMemberAssignment(key)
}

fn regex_key<'a>(group_id: &'a str, regular_expression: &'a str) -> GroupKey<'a> {
    let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression };
    GroupKey::ConsumerGroupRegularExpression(key)
}

/// The group.
pub(super) fn group(group_id: &str, epoch: i32, metadata_hash: i64) -> Record {
    record(&group_key(group_id), Some(&ConsumerGroupMetadataValue { epoch, metadata_hash }))
}

/// The group is gone.
pub(super) fn no_group(group_id: &str) -> Record {
    tombstone(&group_key(group_id))
}

/// What older versions kept of the group's topics is gone.
pub(super) fn no_partition_metadata(group_id: &str) -> Record {
    let key = ConsumerGroupPartitionMetadataKey { group_id };
    tombstone(&GroupKey::ConsumerGroupPartitionMetadata(key))
}

/// A member.
pub(super) fn member(group_id: &str, member_id: &str, member: &Member) -> Record {
    let classic = member.classic.as_ref().map(|classic| ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic
            .protocols
            .iter()
            .map(|(name, metadata)| ClassicProtocol { name, metadata })
            .collect(),
    });
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: member.instance_id.as_deref(),
        rack_id: member.rack_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        subscribed_topic_names: member.names.iter().map(|name| &**name).collect(),
        subscribed_topic_regex: member.regex.as_deref(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.assignor.as_deref(),
        classic_member_metadata: classic,
    };
    record(&member_key(group_id, member_id), Some(&value))
}

/// A member is gone.
pub(super) fn no_member(group_id: &str, member_id: &str) -> Record {
    tombstone(&member_key(group_id, member_id))
}

/// The target assignment as a whole.
pub(super) fn target(group_id: &str, assignment_epoch: i32, assignment_timestamp: i64) -> Record {
    let value =
        ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
    record(&target_key(group_id), Some(&value))
}

/// There is no target assignment.
pub(super) fn no_target(group_id: &str) -> Record {
    tombstone(&target_key(group_id))
}

/// What a member shall have.
pub(super) fn member_target(group_id: &str, member_id: &str, target: &[TopicPartition]) -> Record {
    let topic_partitions = target_to_record(target);
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions };
    record(&member_target_key(group_id, member_id), Some(&value))
}

/// A member shall have nothing.
pub(super) fn no_member_target(group_id: &str, member_id: &str) -> Record {
    tombstone(&member_target_key(group_id, member_id))
}

/// What a member has.
pub(super) fn current(group_id: &str, member_id: &str, member: &Member) -> Record {
    let value = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: member.epoch,
        previous_member_epoch: member.previous_epoch,
        state: member.state.number(),
        assigned_partitions: held_to_record(&member.assigned),
        partitions_pending_revocation: held_to_record(&member.revoking),
    };
    record(&current_key(group_id, member_id), Some(&value))
}

/// A member has nothing.
pub(super) fn no_current(group_id: &str, member_id: &str) -> Record {
    tombstone(&current_key(group_id, member_id))
}

/// The topics that match a regular expression.
pub(super) fn regex(group_id: &str, regex: &Arc<str>, resolved: &Resolved) -> Record {
    let value = ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().map(|topic| &**topic).collect(),
        version: resolved.version,
        timestamp: resolved.resolved_ms,
    };
    record(&regex_key(group_id, regex), Some(&value))
}

/// Nobody uses the regular expression any more.
pub(super) fn no_regex(group_id: &str, regex: &str) -> Record {
    tombstone(&regex_key(group_id, regex))
}

/// All that there is of a member is gone.
pub(super) fn push_no_member(records: &mut Vec<Record>, group_id: &str, member_id: &str) {
    records.push(no_current(group_id, member_id));
    records.push(no_member_target(group_id, member_id));
    records.push(no_member(group_id, member_id));
}
