//! Kafka's wire protocol: primitives, record batches, API messages. No I/O, no threads, no clock.
//!
//! | module | what it is | worth using alone for |
//! |---|---|---|
//! | [`record`] | batches of records as sent and stored, codecs | reading `.log` files |
//! | [`messages`] | every API message, a table a file | clients, proxies, tests |
//! | [`wire`] | the primitives, and the macro behind the tables | |
//! | `json` (feature `schema`) | metadata and internal records as JSON | tools |
//! | [`metadata`], [`internal`] | records of the metadata log and of Kafka's own topics | tools |
//! | [`api`], [`header`], [`error_code`], [`uuid`], [`varint`] | what all share | |
//!
//! Reading borrows from the bytes it is given. Every length is checked against the bytes that are
//! there, so that no input makes it panic or take memory out of proportion.
//!
//! ```
//! use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
//! use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
//! use ottla_protocol::record::set::Batches;
//! use ottla_protocol::wire::Message;
//!
//! // A request in version 1, and read back.
//! let topic = MetadataRequestTopic { name: Some("orders"), ..Default::default() };
//! let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
//! let bytes = request.to_bytes(1)?;
//! assert_eq!(bytes, b"\0\0\0\x01\0\x06orders");
//! assert_eq!(MetadataRequest::from_bytes(&bytes, 1)?, request);
//!
//! // A batch of one record, and its value.
//! let mut builder = BatchBuilder::new(BatchOptions::default())?;
//! builder.append(&NewRecord { value: Some(b"hello"), ..Default::default() })?;
//! let set = builder.build()?;
//! for batch in Batches::new(&set) {
//!     for record in batch?.records()? {
//!         assert_eq!(record?.value, Some(&b"hello"[..]));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod api;
pub mod error_code;
pub mod header;
pub mod internal;
#[cfg(any(test, feature = "schema"))]
pub mod json;
pub mod messages;
pub mod metadata;
pub mod record;
pub mod uuid;
pub mod varint;
pub mod wire;
