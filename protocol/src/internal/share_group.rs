//! Share groups (KIP-932), in `__consumer_offsets`. Read by tools; no group of this kind is served.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Key of a member.
    struct ShareGroupMemberMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id.
        member_id: &'a str [0..=0];
    }

    /// A member of a share group.
    struct ShareGroupMemberMetadataValue<'a> [0..=0, flexible (0..)] {
        /// The member's rack; null when it has none.
        rack_id: Option<&'a str> [0..] = Some("");
        /// The client id of the member's last request.
        client_id: &'a str [0..];
        /// The address that the member came from.
        client_host: &'a str [0..];
        /// The topics that the member wants.
        subscribed_topic_names: Vec<&'a str> [0..];
    }

    /// Key of a share group.
    struct ShareGroupMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// A share group.
    struct ShareGroupMetadataValue [0..=0, flexible (0..)] {
        /// The group's epoch.
        epoch: i32 [0..];
        /// A hash over the metadata of the subscribed topics.
        metadata_hash: i64 [0..];
    }

    /// Key of a group's target assignment.
    struct ShareGroupTargetAssignmentMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// The epoch of a group's target assignment.
    struct ShareGroupTargetAssignmentMetadataValue [0..=0, flexible (0..)] {
        /// The epoch of the target assignment.
        assignment_epoch: i32 [0..];
    } tagged {
        /// When the assignment was made, in ms.
        0 => assignment_timestamp: i64 [0.., ignorable];
    }

    /// Key of a member's target assignment.
    struct ShareGroupTargetAssignmentMemberKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id.
        member_id: &'a str [0..=0];
    }

    /// The partitions that a member is going to have.
    struct ShareGroupTargetAssignmentMemberValue [0..=0, flexible (0..)] {
        /// The partitions, by topic.
        topic_partitions: Vec<TargetTopicPartition> [0..];
    }

    /// A topic's partitions.
    struct TargetTopicPartition {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// Key of a member's assignment.
    struct ShareGroupCurrentMemberAssignmentKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id.
        member_id: &'a str [0..=0];
    }

    /// The partitions that a member has.
    struct ShareGroupCurrentMemberAssignmentValue [0..=0, flexible (0..)] {
        /// The member's epoch.
        member_epoch: i32 [0..];
        /// The member's epoch before this one.
        previous_member_epoch: i32 [0..];
        /// The member's state.
        state: i8 [0..];
        /// The partitions that the member has.
        assigned_partitions: Vec<AssignedTopicPartitions> [0..];
    }

    /// A topic's partitions.
    struct AssignedTopicPartitions {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// Key of what is known of the share state of a group's partitions.
    struct ShareGroupStatePartitionMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// Which of a group's partitions have a share state.
    struct ShareGroupStatePartitionMetadataValue<'a> [0..=0, flexible (0..)] {
        /// Those whose state is being made.
        initializing_topics: Vec<TopicPartitionsInfo<'a>> [0..];
        /// Those that have a state.
        initialized_topics: Vec<TopicPartitionsInfo<'a>> [0..];
        /// Topics whose state is being removed.
        deleting_topics: Vec<TopicInfo<'a>> [0..];
    }

    /// Partitions of a topic.
    struct TopicPartitionsInfo<'a> {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The topic's name.
        topic_name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// A topic.
    struct TopicInfo<'a> {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The topic's name.
        topic_name: &'a str [0..];
    }
}
