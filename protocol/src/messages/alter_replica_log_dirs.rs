//! AlterReplicaLogDirs: move replicas between a broker's log directories.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 34. Move replicas between a broker's log directories.
    struct AlterReplicaLogDirsRequest<'a> [1..=2, flexible (2..)] {
        /// One entry a directory.
        dirs: Vec<AlterReplicaLogDir<'a>> [0..];
    }

    /// A directory to move replicas to.
    struct AlterReplicaLogDir<'a> {
        /// The directory's absolute path.
        path: &'a str [0..];
        /// The partitions to move there.
        topics: Vec<AlterReplicaLogDirTopic<'a>> [0..];
    }

    /// Replicas to move.
    struct AlterReplicaLogDirTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// The answer to [`AlterReplicaLogDirsRequest`].
    struct AlterReplicaLogDirsResponse<'a> [1..=2, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry for each thing asked for.
        results: Vec<AlterReplicaLogDirTopicResult<'a>> [0..];
    }

    /// What became of a topic.
    struct AlterReplicaLogDirTopicResult<'a> {
        /// The topic's name.
        topic_name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<AlterReplicaLogDirPartitionResult> [0..];
    }

    /// What became of a replica.
    struct AlterReplicaLogDirPartitionResult {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
