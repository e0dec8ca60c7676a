//! DescribeTransactions: state of transactions.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 65. State of transactions.
    struct DescribeTransactionsRequest<'a> [0..=0, flexible (0..)] {
        /// The transactions to describe.
        transactional_ids: Vec<&'a str> [0..];
    }

    /// The answer to [`DescribeTransactionsRequest`].
    struct DescribeTransactionsResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a transaction.
        transaction_states: Vec<TransactionState<'a>> [0..];
    }

    /// A transaction.
    struct TransactionState<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The transactional id.
        transactional_id: &'a str [0..];
        /// The state: `Ongoing`, `CompleteCommit` and so on.
        transaction_state: &'a str [0..];
        /// How long a transaction may stay open before it is aborted, in ms.
        transaction_timeout_ms: i32 [0..];
        /// When the transaction began, in ms; -1 when none is open.
        transaction_start_time_ms: i64 [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// One entry a topic.
        topics: Vec<TopicData<'a>> [0..];
    }

    /// Partitions in the transaction.
    struct TopicData<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }
}
