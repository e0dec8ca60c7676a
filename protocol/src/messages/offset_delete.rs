//! OffsetDelete: delete a group's committed offsets.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 47. Delete a group's committed offsets.
    struct OffsetDeleteRequest<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..];
        /// One entry a topic.
        topics: Vec<OffsetDeleteRequestTopic<'a>> [0..];
    }

    /// Partitions whose offsets to delete.
    struct OffsetDeleteRequestTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<OffsetDeleteRequestPartition> [0..];
    }

    /// A partition whose offset to delete.
    struct OffsetDeleteRequestPartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
    }

    /// The answer to [`OffsetDeleteRequest`].
    struct OffsetDeleteResponse<'a> [0..=0] {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0.., ignorable];
        /// One entry a topic.
        topics: Vec<OffsetDeleteResponseTopic<'a>> [0..];
    }

    /// What became of a topic.
    struct OffsetDeleteResponseTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<OffsetDeleteResponsePartition> [0..];
    }

    /// What became of a partition.
    struct OffsetDeleteResponsePartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
