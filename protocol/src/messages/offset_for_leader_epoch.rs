//! OffsetForLeaderEpoch: where a leader epoch ends in a log.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 23. Where a leader epoch ends in a log.
    struct OffsetForLeaderEpochRequest<'a> [2..=4, flexible (4..)] {
        /// The follower's node id; -1 from consumers.
        replica_id: i32 [3.., ignorable] = -2;
        /// One entry a topic.
        topics: Vec<OffsetForLeaderTopic<'a>> [0..];
    }

    /// Partitions asked about.
    struct OffsetForLeaderTopic<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<OffsetForLeaderPartition> [0..];
    }

    /// A partition and an epoch.
    struct OffsetForLeaderPartition {
        /// The partition's number within its topic.
        partition: i32 [0..];
        /// The leader epoch that the client knows, checked against the broker's; -1 for no check.
        current_leader_epoch: i32 [2.., ignorable] = -1;
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [0..];
    }

    /// The answer to [`OffsetForLeaderEpochRequest`].
    struct OffsetForLeaderEpochResponse<'a> [2..=4, flexible (4..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [2.., ignorable];
        /// One entry a topic.
        topics: Vec<OffsetForLeaderTopicResult<'a>> [0..];
    }

    /// Where epochs end in a topic.
    struct OffsetForLeaderTopicResult<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<EpochEndOffset> [0..];
    }

    /// Where an epoch ends.
    struct EpochEndOffset {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The partition's number within its topic.
        partition: i32 [0..];
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [1.., ignorable] = -1;
        /// The offset after the epoch's last record; -1 when not known.
        end_offset: i64 [0..] = -1;
    }
}
