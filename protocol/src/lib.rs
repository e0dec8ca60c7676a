//! Kafka's wire protocol: primitives, record batches, API messages. No I/O.
#![forbid(unsafe_code)]

pub mod api;
pub mod error_code;
pub mod header;
pub mod internal;
pub mod messages;
pub mod metadata;
pub mod record;
pub mod uuid;
pub mod varint;
pub mod wire;
