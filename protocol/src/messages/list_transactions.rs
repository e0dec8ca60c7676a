//! ListTransactions: the transactions that a broker coordinates.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 66. The transactions that a broker coordinates.
    struct ListTransactionsRequest<'a> [0..=2, flexible (0..)] {
        /// Only transactions in these states; empty for all.
        state_filters: Vec<&'a str> [0..];
        /// Only transactions of these producer ids; empty for all.
        producer_id_filters: Vec<i64> [0..];
        /// Only transactions open for longer than this, in ms; -1 for all.
        duration_filter: i64 [1..] = -1;
        /// Only transactional ids that match this regular expression; null or empty for all.
        transactional_id_pattern: Option<&'a str> [2..];
    }

    /// The answer to [`ListTransactionsRequest`].
    struct ListTransactionsResponse<'a> [0..=2, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The state filters that name no state.
        unknown_state_filters: Vec<&'a str> [0..];
        /// One entry a transaction.
        transaction_states: Vec<TransactionState<'a>> [0..];
    }

    /// A transaction.
    struct TransactionState<'a> {
        /// The transactional id.
        transactional_id: &'a str [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The state: `Ongoing`, `CompleteCommit` and so on.
        transaction_state: &'a str [0..];
    }
}
