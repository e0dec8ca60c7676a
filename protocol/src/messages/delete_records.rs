//! DeleteRecords: move the log start offset up.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 21. Move the log start offset up.
    struct DeleteRecordsRequest<'a> [0..=2, flexible (2..)] {
        /// One entry a topic.
        topics: Vec<DeleteRecordsTopic<'a>> [0..];
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..];
    }

    /// Partitions to delete from.
    struct DeleteRecordsTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<DeleteRecordsPartition> [0..];
    }

    /// A partition to delete from.
    struct DeleteRecordsPartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The new log start offset; -1 for the high watermark.
        offset: i64 [0..];
    }

    /// The answer to [`DeleteRecordsRequest`].
    struct DeleteRecordsResponse<'a> [0..=2, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a topic.
        topics: Vec<DeleteRecordsTopicResult<'a>> [0..];
    }

    /// What became of a topic.
    struct DeleteRecordsTopicResult<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<DeleteRecordsPartitionResult> [0..];
    }

    /// What became of a partition.
    struct DeleteRecordsPartitionResult {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The partition's log start offset now; -1 on error.
        low_watermark: i64 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
