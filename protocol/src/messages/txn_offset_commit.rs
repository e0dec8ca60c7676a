//! TxnOffsetCommit: commit a group's offsets within a transaction.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 28. Commit a group's offsets within a transaction.
    struct TxnOffsetCommitRequest<'a> [0..=5, flexible (3..)] {
        /// The transactional id.
        transactional_id: &'a str [0..];
        /// The group's id.
        group_id: &'a str [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// The group's generation; -1 for none.
        generation_id: i32 [3..] = -1;
        /// The member's id, given by the coordinator.
        member_id: &'a str [3..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [3..];
        /// One entry a topic.
        topics: Vec<TxnOffsetCommitRequestTopic<'a>> [0..];
    }

    /// A topic's offsets.
    struct TxnOffsetCommitRequestTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<TxnOffsetCommitRequestPartition<'a>> [0..];
    }

    /// A partition's offset.
    struct TxnOffsetCommitRequestPartition<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The offset committed: the next one to consume; -1 when there is none.
        committed_offset: i64 [0..];
        /// The leader epoch of the last record consumed; -1 when not known.
        committed_leader_epoch: i32 [2.., ignorable] = -1;
        /// The client's own note about the offset.
        committed_metadata: Option<&'a str> [0..] = Some("");
    }

    /// The answer to [`TxnOffsetCommitRequest`].
    struct TxnOffsetCommitResponse<'a> [0..=5, flexible (3..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a topic.
        topics: Vec<TxnOffsetCommitResponseTopic<'a>> [0..];
    }

    /// What became of a topic's offsets.
    struct TxnOffsetCommitResponseTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<TxnOffsetCommitResponsePartition> [0..];
    }

    /// What became of a partition's offset.
    struct TxnOffsetCommitResponsePartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
