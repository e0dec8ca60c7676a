//! Kafka's wire protocol: primitives, record batches, API messages. No I/O.
#![forbid(unsafe_code)]

pub mod record;
pub mod varint;
