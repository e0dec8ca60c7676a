//! EndTxn: commit or abort a transaction.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 26. Commit or abort a transaction.
    struct EndTxnRequest<'a> [0..=5, flexible (3..)] {
        /// The transactional id.
        transactional_id: &'a str [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// Whether to commit; else abort.
        committed: bool [0..];
    }

    /// The answer to [`EndTxnRequest`].
    struct EndTxnResponse [0..=5, flexible (3..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [5.., ignorable] = -1;
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [5.., ignorable] = -1;
    }
}
