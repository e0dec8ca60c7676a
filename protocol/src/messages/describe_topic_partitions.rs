//! DescribeTopicPartitions: topics' partitions, in pages.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 75. Topics' partitions, in pages.
    struct DescribeTopicPartitionsRequest<'a> [0..=0, flexible (0..)] {
        /// The topics to describe; empty asks for all.
        topics: Vec<TopicRequest<'a>> [0..];
        /// How many partitions to describe at most.
        response_partition_limit: i32 [0..] = 2000;
        /// Where to go on; null starts at the beginning.
        cursor: Option<Cursor<'a>> [0..];
    }

    /// A topic asked about.
    struct TopicRequest<'a> {
        /// The topic's name.
        name: &'a str [0..];
    }

    /// A place in the list of all partitions.
    struct Cursor<'a> {
        /// The topic of the first partition wanted.
        topic_name: &'a str [0..];
        /// The number of the first partition wanted.
        partition_index: i32 [0..];
    }

    /// The answer to [`DescribeTopicPartitionsRequest`].
    struct DescribeTopicPartitionsResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0.., ignorable];
        /// One entry a topic.
        topics: Vec<DescribeTopicPartitionsResponseTopic<'a>> [0..];
        /// Where the next request goes on; null after the last partition.
        next_cursor: Option<Cursor<'a>> [0..];
    }

    /// A topic.
    struct DescribeTopicPartitionsResponseTopic<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The topic's name.
        name: Option<&'a str> [0..] = Some("");
        /// The topic's id.
        topic_id: Uuid [0.., ignorable];
        /// Whether Kafka keeps its own state in the topic.
        is_internal: bool [0.., ignorable];
        /// One entry a partition.
        partitions: Vec<DescribeTopicPartitionsResponsePartition> [0..];
        /// What the client may do, bit n for operation code n; `i32::MIN` when not asked for.
        topic_authorized_operations: i32 [0..] = i32::MIN;
    }

    /// A partition.
    struct DescribeTopicPartitionsResponsePartition {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The leader's node id; -1 when there is none.
        leader_id: i32 [0..];
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [0.., ignorable] = -1;
        /// All replicas' node ids, the preferred leader first.
        replica_nodes: Vec<i32> [0..];
        /// The node ids of the replicas that are in sync.
        isr_nodes: Vec<i32> [0..];
        /// Replicas out of sync that still may lead without loss (KIP-966).
        eligible_leader_replicas: Option<Vec<i32>> [0..];
        /// The last eligible leader replicas before there were none (KIP-966).
        last_known_elr: Option<Vec<i32>> [0..];
        /// The node ids of the replicas that are down.
        offline_replicas: Vec<i32> [0.., ignorable];
    }
}
