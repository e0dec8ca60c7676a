//! OffsetCommit: commit a group's offsets.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 8. Commit a group's offsets.
    struct OffsetCommitRequest<'a> [2..=10, flexible (8..)] {
        /// The group's id.
        group_id: &'a str [0..];
        /// The classic group's generation, or the consumer group member's epoch; -1 for neither.
        generation_id_or_member_epoch: i32 [1.., ignorable] = -1;
        /// The member's id, given by the coordinator.
        member_id: &'a str [1.., ignorable];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [7..];
        /// How long to keep the offsets, in ms; -1 for the broker's setting.
        retention_time_ms: i64 [2..=4, ignorable] = -1;
        /// One entry a topic.
        topics: Vec<OffsetCommitRequestTopic<'a>> [0..];
    }

    /// A topic's offsets.
    struct OffsetCommitRequestTopic<'a> {
        /// The topic's name.
        name: &'a str [0..=9, ignorable];
        /// The topic's id.
        topic_id: Uuid [10.., ignorable];
        /// One entry a partition.
        partitions: Vec<OffsetCommitRequestPartition<'a>> [0..];
    }

    /// A partition's offset.
    struct OffsetCommitRequestPartition<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The offset committed: the next one to consume; -1 when there is none.
        committed_offset: i64 [0..];
        /// The leader epoch of the last record consumed; -1 when not known.
        committed_leader_epoch: i32 [6.., ignorable] = -1;
        /// The client's own note about the offset.
        committed_metadata: Option<&'a str> [0..] = Some("");
    }

    /// The answer to [`OffsetCommitRequest`].
    struct OffsetCommitResponse<'a> [2..=10, flexible (8..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [3.., ignorable];
        /// One entry a topic.
        topics: Vec<OffsetCommitResponseTopic<'a>> [0..];
    }

    /// What became of a topic's offsets.
    struct OffsetCommitResponseTopic<'a> {
        /// The topic's name.
        name: &'a str [0..=9, ignorable];
        /// The topic's id.
        topic_id: Uuid [10.., ignorable];
        /// One entry a partition.
        partitions: Vec<OffsetCommitResponsePartition> [0..];
    }

    /// What became of a partition's offset.
    struct OffsetCommitResponsePartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
