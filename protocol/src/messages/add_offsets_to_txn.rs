//! AddOffsetsToTxn: add a group's offsets to a transaction.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 25. Add a group's offsets to a transaction.
    struct AddOffsetsToTxnRequest<'a> [0..=4, flexible (3..)] {
        /// The transactional id.
        transactional_id: &'a str [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// The group's id.
        group_id: &'a str [0..];
    }

    /// The answer to [`AddOffsetsToTxnRequest`].
    struct AddOffsetsToTxnResponse [0..=4, flexible (3..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
