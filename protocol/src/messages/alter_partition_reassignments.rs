//! AlterPartitionReassignments: move partitions to other brokers.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 45. Move partitions to other brokers.
    struct AlterPartitionReassignmentsRequest<'a> [0..=1, flexible (0..)] {
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..] = 60000;
        /// Whether a partition may get more or fewer replicas.
        allow_replication_factor_change: bool [1..] = true;
        /// One entry a topic.
        topics: Vec<ReassignableTopic<'a>> [0..];
    }

    /// Partitions to move.
    struct ReassignableTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<ReassignablePartition> [0..];
    }

    /// A partition to move.
    struct ReassignablePartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The new replicas' node ids; null cancels the reassignment.
        replicas: Option<Vec<i32>> [0..];
    }

    /// The answer to [`AlterPartitionReassignmentsRequest`].
    struct AlterPartitionReassignmentsResponse<'a> [0..=1, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// Whether a partition may get more or fewer replicas.
        allow_replication_factor_change: bool [1.., ignorable] = true;
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry a topic.
        responses: Vec<ReassignableTopicResponse<'a>> [0..];
    }

    /// What became of a topic.
    struct ReassignableTopicResponse<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<ReassignablePartitionResponse<'a>> [0..];
    }

    /// What became of a partition.
    struct ReassignablePartitionResponse<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
    }
}
