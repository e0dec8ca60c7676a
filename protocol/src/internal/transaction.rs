//! Transactions, in `__transaction_state`.

use crate::wire::messages;

messages! {
    /// Key of a transaction's state.
    struct TransactionLogKey<'a> [0..=0] {
        /// The transactional id.
        transactional_id: &'a str [0..=0];
    }

    /// A transaction's state.
    struct TransactionLogValue<'a> [0..=1, flexible (1..)] {
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// How long a transaction may stay open before it is aborted, in ms.
        transaction_timeout_ms: i32 [0..];
        /// The state: 0 empty, 1 ongoing, 2 and 3 prepared, 4 and 5 complete (commit, abort), 6
        /// dead, 7 fencing.
        transaction_status: i8 [0..];
        /// The partitions in the transaction; null for none.
        transaction_partitions: Option<Vec<PartitionsSchema<'a>>> [0..] = Some(Vec::new());
        /// When the state was last changed, in ms.
        transaction_last_update_timestamp_ms: i64 [0..];
        /// When the transaction began, in ms.
        transaction_start_timestamp_ms: i64 [0..];
    } tagged {
        /// The producer id of the last transaction, while clients may retry; -1 for none.
        0 after producer_id => previous_producer_id: i64 [1..] = -1;
        /// The producer id of the next transaction; -1 for the same.
        1 after previous_producer_id => next_producer_id: i64 [1..] = -1;
        /// The `transaction.version` that the client used.
        2 after transaction_start_timestamp_ms => client_transaction_version: i16 [1..];
        /// The producer epoch of the next transaction; -1 for none.
        3 after producer_epoch => next_producer_epoch: i16 [1..] = -1;
    }

    /// A topic's partitions.
    struct PartitionsSchema<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// The partitions' numbers within their topic.
        partition_ids: Vec<i32> [0..];
    }
}
