//! SaslHandshake: choose a SASL mechanism.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 17. Choose a SASL mechanism.
    struct SaslHandshakeRequest<'a> [0..=1] {
        /// The SASL mechanism, `PLAIN` for instance.
        mechanism: &'a str [0..];
    }

    /// The answer to [`SaslHandshakeRequest`].
    struct SaslHandshakeResponse<'a> [0..=1] {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The SASL mechanisms that are enabled.
        mechanisms: Vec<&'a str> [0..];
    }
}
