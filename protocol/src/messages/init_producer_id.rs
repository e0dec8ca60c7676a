//! InitProducerId: get a producer id, or a new epoch of one.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 22. Get a producer id, or a new epoch of one.
    struct InitProducerIdRequest<'a> [0..=6, flexible (2..)] {
        /// The producer's transactional id; null for an idempotent producer.
        transactional_id: Option<&'a str> [0..] = Some("");
        /// How long a transaction may stay open before it is aborted, in ms.
        transaction_timeout_ms: i32 [0..];
        /// The id that the producer has, to get a new epoch for; -1 for none.
        producer_id: i64 [3..] = -1;
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [3..] = -1;
        /// Whether the client takes part in a two-phase commit (KIP-939).
        enable_2pc: bool [6..];
        /// Whether to keep a transaction that was prepared instead of aborting it (KIP-939).
        keep_prepared_txn: bool [6..];
    }

    /// The answer to [`InitProducerIdRequest`].
    struct InitProducerIdResponse [0..=6, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The producer's id; -1 for none.
        producer_id: i64 [0..] = -1;
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// The producer id of the transaction that was kept; -1 for none.
        ongoing_txn_producer_id: i64 [6..] = -1;
        /// The producer epoch of the transaction that was kept; -1 for none.
        ongoing_txn_producer_epoch: i16 [6..] = -1;
    }
}
