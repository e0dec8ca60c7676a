//! Produce: append record batches.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{Records, messages};

messages! {
    /// Request 0. Append record batches.
    struct ProduceRequest<'a> [3..=13, flexible (9..)] {
        /// The producer's transactional id; null outside transactions.
        transactional_id: Option<&'a str> [3..];
        /// Who must have the records before the answer: 0 nobody (and no answer), 1 the leader, -1
        /// the ISR.
        acks: i16 [0..];
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..];
        /// One entry a topic.
        topic_data: Vec<TopicProduceData<'a>> [0..];
    }

    /// A topic's records.
    struct TopicProduceData<'a> {
        /// The topic's name.
        name: &'a str [0..=12, ignorable];
        /// The topic's id.
        topic_id: Uuid [13.., ignorable];
        /// One entry a partition.
        partition_data: Vec<PartitionProduceData<'a>> [0..];
    }

    /// A partition's records.
    struct PartitionProduceData<'a> {
        /// The partition's number within its topic.
        index: i32 [0..];
        /// Record batches, as in a segment file.
        records: Option<Records<'a>> [0..];
    }

    /// The answer to [`ProduceRequest`].
    struct ProduceResponse<'a> [3..=13, flexible (9..)] {
        /// One entry a topic.
        responses: Vec<TopicProduceResponse<'a>> [0..];
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
    } tagged {
        /// Where the leaders in this answer are.
        0 => node_endpoints: Vec<NodeEndpoint<'a>> [10..];
    }

    /// What became of a topic's records.
    struct TopicProduceResponse<'a> {
        /// The topic's name.
        name: &'a str [0..=12, ignorable];
        /// The topic's id.
        topic_id: Uuid [13.., ignorable];
        /// One entry a partition.
        partition_responses: Vec<PartitionProduceResponse<'a>> [0..];
    }

    /// What became of a partition's records.
    struct PartitionProduceResponse<'a> {
        /// The partition's number within its topic.
        index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The offset given to the first record; -1 on error.
        base_offset: i64 [0..];
        /// The broker's time, in ms, when the topic uses it as the records' timestamp; else -1.
        log_append_time_ms: i64 [2.., ignorable] = -1;
        /// The first offset of the log; -1 when not known.
        log_start_offset: i64 [5.., ignorable] = -1;
        /// The records that made the broker refuse the batch.
        record_errors: Vec<BatchIndexAndErrorMessage<'a>> [8.., ignorable];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [8.., ignorable];
    } tagged {
        /// Who leads the partition, when the client asked the wrong broker.
        0 => current_leader: LeaderIdAndEpoch [10..];
    }

    /// A record that was refused.
    struct BatchIndexAndErrorMessage<'a> {
        /// The record's index within the batch.
        batch_index: i32 [8..];
        /// Why this record was refused.
        batch_index_error_message: Option<&'a str> [8..];
    }

    /// A partition's leader.
    struct LeaderIdAndEpoch {
        /// The leader's node id; -1 when there is none.
        leader_id: i32 [10..] = -1;
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [10..] = -1;
    }

    /// Where a node is.
    struct NodeEndpoint<'a> {
        /// The node's id.
        node_id: i32 [10..];
        /// Where to connect: a host name or an address.
        host: &'a str [10..];
        /// Where to connect: the TCP port.
        port: i32 [10..];
        /// The node's rack; null when it has none.
        rack: Option<&'a str> [10..];
    }
}
