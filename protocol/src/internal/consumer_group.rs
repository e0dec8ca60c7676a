//! Consumer groups (KIP-848), in `__consumer_offsets`.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Key of a consumer group.
    struct ConsumerGroupMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// A consumer group.
    struct ConsumerGroupMetadataValue [0..=0, flexible (0..)] {
        /// The group's epoch.
        epoch: i32 [0..];
    } tagged {
        /// A hash over the metadata of the subscribed topics.
        0 => metadata_hash: i64 [0..];
    }

    /// Key of what a group knows of its topics.
    struct ConsumerGroupPartitionMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// What a group knows of its topics.
    struct ConsumerGroupPartitionMetadataValue<'a> [0..=0, flexible (0..)] {
        /// One entry a topic.
        topics: Vec<TopicMetadata<'a>> [0..];
    }

    /// A topic that the group uses.
    struct TopicMetadata<'a> {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The topic's name.
        topic_name: &'a str [0..];
        /// The number of partitions.
        num_partitions: i32 [0..];
        /// One entry a partition.
        partition_metadata: Vec<PartitionMetadata<'a>> [0..];
    }

    /// A partition's racks.
    struct PartitionMetadata<'a> {
        /// The partition's number within its topic.
        partition: i32 [0..];
        /// The racks of the partition's replicas.
        racks: Vec<&'a str> [0..];
    }

    /// Key of a member.
    struct ConsumerGroupMemberMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..=0];
    }

    /// A member of a consumer group.
    struct ConsumerGroupMemberMetadataValue<'a> [0..=0, flexible (0..)] {
        /// The member's own lasting name, if it is a static member.
        instance_id: Option<&'a str> [0..] = Some("");
        /// The member's rack; null when it has none.
        rack_id: Option<&'a str> [0..] = Some("");
        /// The client id of the member's last request.
        client_id: &'a str [0..];
        /// The address that the member came from.
        client_host: &'a str [0..];
        /// The topics that the member wants.
        subscribed_topic_names: Vec<&'a str> [0..];
        /// The regular expression of the topics that the member wants.
        subscribed_topic_regex: Option<&'a str> [0..] = Some("");
        /// How long a rebalance waits for the member, in ms.
        rebalance_timeout_ms: i32 [0..] = -1;
        /// The assignor that the member wants; null for the broker's choice.
        server_assignor: Option<&'a str> [0..] = Some("");
    } tagged {
        /// What a member that uses the classic protocol said of itself; null for others, which is
        /// not the default.
        0 => classic_member_metadata: Option<ClassicMemberMetadata<'a>> [0..]
            = Some(Default::default());
    }

    /// What a member said of itself in the classic protocol.
    struct ClassicMemberMetadata<'a> {
        /// The member is dropped after this long without a heartbeat, in ms.
        session_timeout_ms: i32 [0..];
        /// The protocols that the member can use.
        supported_protocols: Vec<ClassicProtocol<'a>> [0..];
    }

    /// A protocol that the member can use.
    struct ClassicProtocol<'a> {
        /// The protocol: an assignor's name.
        name: &'a str [0..];
        /// The member's subscription, in the protocol's own format.
        metadata: &'a [u8] [0..];
    }

    /// Key of a group's target assignment.
    struct ConsumerGroupTargetAssignmentMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// The epoch of a group's target assignment.
    struct ConsumerGroupTargetAssignmentMetadataValue [0..=0, flexible (0..)] {
        /// The epoch of the target assignment.
        assignment_epoch: i32 [0..];
    } tagged {
        /// When the assignment was made, in ms.
        0 => assignment_timestamp: i64 [0.., ignorable];
    }

    /// Key of a member's target assignment.
    struct ConsumerGroupTargetAssignmentMemberKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..=0];
    }

    /// The partitions that a member is going to have.
    struct ConsumerGroupTargetAssignmentMemberValue [0..=0, flexible (0..)] {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartition> [0..];
    }

    /// A topic's partitions.
    struct TopicPartition {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// Key of a member's assignment.
    struct ConsumerGroupCurrentMemberAssignmentKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..=0];
    }

    /// The partitions that a member has.
    struct ConsumerGroupCurrentMemberAssignmentValue [0..=0, flexible (0..)] {
        /// The member's epoch, to be checked; -1 for no check.
        member_epoch: i32 [0..];
        /// The member's epoch before this one.
        previous_member_epoch: i32 [0..];
        /// The member's state: 0 stable, 1 gives partitions up, 2 waits for partitions.
        state: i8 [0..];
        /// The partitions that the member has.
        assigned_partitions: Vec<TopicPartitions> [0..];
        /// The partitions that the member must give up first.
        partitions_pending_revocation: Vec<TopicPartitions> [0..];
    }

    /// A topic's partitions.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    } tagged {
        /// The member epoch at which each partition was assigned, in their order; empty when not
        /// known.
        0 => assignment_epochs: Option<Vec<i32>> [0..] = Some(Vec::new());
    }

    /// Key of a resolved regular expression.
    struct ConsumerGroupRegularExpressionKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The regular expression.
        regular_expression: &'a str [0..=0];
    }

    /// The topics that a regular expression matches.
    struct ConsumerGroupRegularExpressionValue<'a> [0..=0, flexible (0..)] {
        /// The names that match.
        topics: Vec<&'a str> [0..];
        /// The metadata offset that the names were matched at.
        version: i64 [0..];
        /// When the names were matched, in ms.
        timestamp: i64 [0..];
    }
}
