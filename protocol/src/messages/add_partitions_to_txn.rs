//! AddPartitionsToTxn: add partitions to a transaction.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 24. Add partitions to a transaction.
    struct AddPartitionsToTxnRequest<'a> [0..=5, flexible (3..)] {
        /// One entry a transaction.
        transactions: Vec<AddPartitionsToTxnTransaction<'a>> [4..];
        /// The transactional id.
        v3_and_below_transactional_id: &'a str [0..=3];
        /// The producer's id.
        v3_and_below_producer_id: i64 [0..=3];
        /// The producer's epoch.
        v3_and_below_producer_epoch: i16 [0..=3];
        /// The partitions to add.
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic<'a>> [0..=3];
    }

    /// A transaction to add to.
    struct AddPartitionsToTxnTransaction<'a> {
        /// The transactional id.
        transactional_id: &'a str [4..];
        /// The producer's id; -1 for none.
        producer_id: i64 [4..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [4..];
        /// Whether to check only that the partitions are in the transaction.
        verify_only: bool [4..];
        /// The partitions to add.
        topics: Vec<AddPartitionsToTxnTopic<'a>> [4..];
    }

    /// Partitions to add.
    struct AddPartitionsToTxnTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }

    /// The answer to [`AddPartitionsToTxnRequest`].
    struct AddPartitionsToTxnResponse<'a> [0..=5, flexible (3..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [4.., ignorable];
        /// One entry a transaction.
        results_by_transaction: Vec<AddPartitionsToTxnResult<'a>> [4..];
        /// One entry a topic.
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>> [0..=3];
    }

    /// What became of a transaction.
    struct AddPartitionsToTxnResult<'a> {
        /// The transactional id.
        transactional_id: &'a str [4..];
        /// One entry a topic.
        topic_results: Vec<AddPartitionsToTxnTopicResult<'a>> [4..];
    }

    /// What became of a topic.
    struct AddPartitionsToTxnTopicResult<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult> [0..];
    }

    /// What became of a partition.
    struct AddPartitionsToTxnPartitionResult {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        partition_error_code: ErrorCode [0..];
    }
}
