//! ListOffsets: find offsets by timestamp, or the ends of a log.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 2. Find offsets by timestamp, or the ends of a log.
    struct ListOffsetsRequest<'a> [1..=11, flexible (6..)] {
        /// The follower's node id; -1 from consumers.
        replica_id: i32 [0..];
        /// 0 reads all up to the high watermark, 1 committed transactions only.
        isolation_level: i8 [2..];
        /// One entry a topic.
        topics: Vec<ListOffsetsTopic<'a>> [0..];
        /// How long the broker may take, in ms.
        timeout_ms: i32 [10.., ignorable];
    }

    /// Partitions to look into.
    struct ListOffsetsTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<ListOffsetsPartition> [0..];
    }

    /// A partition to look into.
    struct ListOffsetsPartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The leader epoch that the client knows, checked against the broker's; -1 for no check.
        current_leader_epoch: i32 [4.., ignorable] = -1;
        /// The time to look for, in ms, or -1 latest, -2 earliest, -3 largest timestamp, -4
        /// earliest local, -5 latest tiered, -6 earliest pending upload.
        timestamp: i64 [0..];
    }

    /// The answer to [`ListOffsetsRequest`].
    struct ListOffsetsResponse<'a> [1..=11, flexible (6..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [2.., ignorable];
        /// One entry a topic.
        topics: Vec<ListOffsetsTopicResponse<'a>> [0..];
    }

    /// What was found in a topic.
    struct ListOffsetsTopicResponse<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<ListOffsetsPartitionResponse> [0..];
    }

    /// What was found in a partition.
    struct ListOffsetsPartitionResponse {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The timestamp of the record found, in ms; -1 when there is none.
        timestamp: i64 [1..] = -1;
        /// The offset found; -1 when there is none.
        offset: i64 [1..] = -1;
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [4..] = -1;
    }
}
