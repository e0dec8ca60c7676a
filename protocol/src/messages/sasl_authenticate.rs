//! SaslAuthenticate: one step of a SASL exchange.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 36. One step of a SASL exchange.
    struct SaslAuthenticateRequest<'a> [0..=2, flexible (2..)] {
        /// The mechanism's own message.
        auth_bytes: &'a [u8] [0..];
    }

    /// The answer to [`SaslAuthenticateRequest`].
    struct SaslAuthenticateResponse<'a> [0..=2, flexible (2..)] {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// The mechanism's own message.
        auth_bytes: &'a [u8] [0..];
        /// After how long the client must authenticate again, in ms; 0 for never.
        session_lifetime_ms: i64 [1.., ignorable];
    }
}
