//! UnregisterBroker: forget a broker.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 64. Forget a broker.
    struct UnregisterBrokerRequest [0..=0, flexible (0..)] {
        /// The broker's node id.
        broker_id: i32 [0..];
    }

    /// The answer to [`UnregisterBrokerRequest`].
    struct UnregisterBrokerResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
    }
}
