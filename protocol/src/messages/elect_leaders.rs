//! ElectLeaders: elect leaders by hand.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 43. Elect leaders by hand.
    struct ElectLeadersRequest<'a> [0..=2, flexible (2..)] {
        /// 0 the preferred leader, 1 any replica, even one out of sync.
        election_type: i8 [1..];
        /// The partitions; null for all.
        topic_partitions: Option<Vec<TopicPartitions<'a>>> [0..] = Some(Vec::new());
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..] = 60000;
    }

    /// Partitions to elect leaders of.
    struct TopicPartitions<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// The answer to [`ElectLeadersRequest`].
    struct ElectLeadersResponse<'a> [0..=2, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [1..];
        /// One entry a topic.
        replica_election_results: Vec<ReplicaElectionResult<'a>> [0..];
    }

    /// What became of a topic.
    struct ReplicaElectionResult<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// One entry a partition.
        partition_result: Vec<PartitionResult<'a>> [0..];
    }

    /// What became of a partition.
    struct PartitionResult<'a> {
        /// The partition's number within its topic.
        partition_id: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
    }
}
