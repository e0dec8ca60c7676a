//! DescribeProducers: the producers that a partition remembers.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 61. The producers that a partition remembers.
    struct DescribeProducersRequest<'a> [0..=0, flexible (0..)] {
        /// One entry a topic.
        topics: Vec<TopicRequest<'a>> [0..];
    }

    /// A topic asked about.
    struct TopicRequest<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partition_indexes: Vec<i32> [0..];
    }

    /// The answer to [`DescribeProducersRequest`].
    struct DescribeProducersResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a topic.
        topics: Vec<TopicResponse<'a>> [0..];
    }

    /// A topic.
    struct TopicResponse<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<PartitionResponse<'a>> [0..];
    }

    /// A partition and its producers.
    struct PartitionResponse<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..];
        /// The producers that the partition remembers.
        active_producers: Vec<ProducerState> [0..];
    }

    /// A producer.
    struct ProducerState {
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i32 [0..];
        /// The sequence of the producer's last record; -1 for none.
        last_sequence: i32 [0..] = -1;
        /// The timestamp of the producer's last batch, in ms; -1 for none.
        last_timestamp: i64 [0..] = -1;
        /// The epoch of the coordinator that wrote the last marker.
        coordinator_epoch: i32 [0..];
        /// The first offset of the open transaction; -1 for none.
        current_txn_start_offset: i64 [0..] = -1;
    }
}
