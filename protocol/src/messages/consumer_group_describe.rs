//! ConsumerGroupDescribe: state and members of consumer groups (KIP-848).

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 69. State and members of consumer groups (KIP-848).
    struct ConsumerGroupDescribeRequest<'a> [0..=1, flexible (0..)] {
        /// The ids of the groups.
        group_ids: Vec<&'a str> [0..];
        /// Whether to say what the client may do to each group.
        include_authorized_operations: bool [0..];
    }

    /// The answer to [`ConsumerGroupDescribeRequest`].
    struct ConsumerGroupDescribeResponse<'a> [0..=1, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a group.
        groups: Vec<DescribedGroup<'a>> [0..];
    }

    /// A group.
    struct DescribedGroup<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..];
        /// The group's id.
        group_id: &'a str [0..];
        /// The group's state: `Stable`, `Empty` and so on.
        group_state: &'a str [0..];
        /// The group's epoch.
        group_epoch: i32 [0..];
        /// The epoch of the target assignment.
        assignment_epoch: i32 [0..];
        /// The assignor in use.
        assignor_name: &'a str [0..];
        /// One entry a member.
        members: Vec<Member<'a>> [0..];
        /// What the client may do, bit n for operation code n; `i32::MIN` when not asked for.
        authorized_operations: i32 [0..] = i32::MIN;
    }

    /// A member.
    struct Member<'a> {
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        instance_id: Option<&'a str> [0..];
        /// The member's rack; null when it has none.
        rack_id: Option<&'a str> [0..];
        /// The member's epoch.
        member_epoch: i32 [0..];
        /// The client id of the member's last request.
        client_id: &'a str [0..];
        /// The address that the member came from.
        client_host: &'a str [0..];
        /// The topics that the member wants.
        subscribed_topic_names: Vec<&'a str> [0..];
        /// The regular expression of the topics that the member wants.
        subscribed_topic_regex: Option<&'a str> [0..];
        /// The partitions that the member has.
        assignment: Assignment<'a> [0..];
        /// The partitions that the member is going to have.
        target_assignment: Assignment<'a> [0..];
        /// -1 not known, 0 classic, 1 consumer.
        member_type: i8 [1.., ignorable] = -1;
    }

    /// Partitions assigned to a member.
    struct Assignment<'a> {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartitions<'a>> [0..];
    }

    /// A topic's partitions.
    struct TopicPartitions<'a> {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The topic's name.
        topic_name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }
}
