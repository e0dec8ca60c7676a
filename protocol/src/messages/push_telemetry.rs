//! PushTelemetry: a client's metrics (KIP-714).

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 72. A client's metrics (KIP-714).
    struct PushTelemetryRequest<'a> [0..=0, flexible (0..)] {
        /// The client instance's id.
        client_instance_id: Uuid [0..];
        /// The subscription's id, a sum over what it contains.
        subscription_id: i32 [0..];
        /// Whether it is the client's last push.
        terminating: bool [0..];
        /// The codec of the metrics.
        compression_type: i8 [0..];
        /// The metrics, in OpenTelemetry's format.
        metrics: &'a [u8] [0..];
    }

    /// The answer to [`PushTelemetryRequest`].
    struct PushTelemetryResponse [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
