//! DescribeLogDirs: log directories and the sizes of their replicas.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 35. Log directories and the sizes of their replicas.
    struct DescribeLogDirsRequest<'a> [1..=5, flexible (2..)] {
        /// The partitions to report; null asks for all.
        topics: Option<Vec<DescribableLogDirTopic<'a>>> [0..] = Some(Vec::new());
    }

    /// Partitions asked about.
    struct DescribableLogDirTopic<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// The answer to [`DescribeLogDirsRequest`].
    struct DescribeLogDirsResponse<'a> [1..=5, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [3.., ignorable];
        /// One entry for each thing asked for.
        results: Vec<DescribeLogDirsResult<'a>> [0..];
    }

    /// A log directory.
    struct DescribeLogDirsResult<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The directory's absolute path.
        log_dir: &'a str [0..];
        /// One entry a topic.
        topics: Vec<DescribeLogDirsTopic<'a>> [0..];
        /// The size of the volume, in bytes; -1 when not known.
        total_bytes: i64 [4.., ignorable] = -1;
        /// The free space of the volume, in bytes; -1 when not known.
        usable_bytes: i64 [4.., ignorable] = -1;
        /// Whether the directory takes no new partitions.
        is_cordoned: bool [5.., ignorable];
    }

    /// A topic's replicas in the directory.
    struct DescribeLogDirsTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<DescribeLogDirsPartition> [0..];
    }

    /// A replica in the directory.
    struct DescribeLogDirsPartition {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The size of the log's segments, in bytes.
        partition_size: i64 [0..];
        /// How far the log is behind the high watermark, or a future one behind the current one; in
        /// offsets.
        offset_lag: i64 [0..];
        /// Whether it is a copy that will take the place of the current one.
        is_future_key: bool [0..];
    }
}
