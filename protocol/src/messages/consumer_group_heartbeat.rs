//! ConsumerGroupHeartbeat: join, stay in and leave a consumer group (KIP-848).

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 68. Join, stay in and leave a consumer group (KIP-848).
    struct ConsumerGroupHeartbeatRequest<'a> [0..=1, flexible (0..)] {
        /// The group's id.
        group_id: &'a str [0..];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's epoch: 0 joins, -1 leaves, -2 leaves for a while as a static member.
        member_epoch: i32 [0..];
        /// The member's own lasting name, if it is a static member.
        instance_id: Option<&'a str> [0..];
        /// The member's rack; null when nothing has changed.
        rack_id: Option<&'a str> [0..];
        /// How long the member may take to give partitions up, in ms; -1 when nothing has changed.
        rebalance_timeout_ms: i32 [0..] = -1;
        /// The topics that the member wants; null when nothing has changed.
        subscribed_topic_names: Option<Vec<&'a str>> [0..];
        /// The regular expression of the topics that the member wants; null when nothing has
        /// changed.
        subscribed_topic_regex: Option<&'a str> [1..];
        /// The assignor that the member wants; null when it has no wish, or nothing has changed.
        server_assignor: Option<&'a str> [0..];
        /// The partitions that the member has; null when nothing has changed.
        topic_partitions: Option<Vec<TopicPartitions>> [0..];
    }

    /// A topic's partitions.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// The answer to [`ConsumerGroupHeartbeatRequest`].
    struct ConsumerGroupHeartbeatResponse<'a> [0..=1, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..];
        /// The member's id, given by the coordinator.
        member_id: Option<&'a str> [0..];
        /// The member's epoch from now on.
        member_epoch: i32 [0..];
        /// How often to send heartbeats, in ms.
        heartbeat_interval_ms: i32 [0..];
        /// The member's partitions; null when nothing has changed.
        assignment: Option<Assignment> [0..];
    }

    /// Partitions assigned to a member.
    struct Assignment {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartitions> [0..];
    }
}
