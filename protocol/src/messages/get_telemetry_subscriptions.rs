//! GetTelemetrySubscriptions: which metrics a client shall push (KIP-714).

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 71. Which metrics a client shall push (KIP-714).
    struct GetTelemetrySubscriptionsRequest [0..=0, flexible (0..)] {
        /// The client instance's id; zero asks for one.
        client_instance_id: Uuid [0..];
    }

    /// The answer to [`GetTelemetrySubscriptionsRequest`].
    struct GetTelemetrySubscriptionsResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The client instance's id.
        client_instance_id: Uuid [0..];
        /// The subscription's id, a sum over what it contains.
        subscription_id: i32 [0..];
        /// The codecs for the metrics, the best first.
        accepted_compression_types: Vec<i8> [0..];
        /// How often to push, in ms.
        push_interval_ms: i32 [0..];
        /// How large a push may be, in bytes.
        telemetry_max_bytes: i32 [0..];
        /// Whether counters shall be sent as differences.
        delta_temporality: bool [0..];
        /// Prefixes of the metrics wanted; empty for none, one empty prefix for all.
        requested_metrics: Vec<&'a str> [0..];
    }
}
