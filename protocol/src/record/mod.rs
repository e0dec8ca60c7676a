//! Record batches: Kafka's unit of storage and of the Produce and Fetch wire formats.
//!
//! This module knows no API message, so that a log can stand on it alone.
//!
//! ```
//! use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
//! use ottla_protocol::record::set::Batches;
//!
//! let mut builder = BatchBuilder::new(BatchOptions::default())?;
//! builder.append(&NewRecord { timestamp: 1_000, value: Some(b"hello"), ..Default::default() })?;
//! let set = builder.build()?;
//!
//! let batch = Batches::new(&set).next().expect("the set has a batch")?;
//! batch.check_crc()?;
//! let record = batch.records()?.next().expect("the batch has a record")?;
//! assert_eq!((record.timestamp, record.value), (1_000, Some(&b"hello"[..])));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod batch;
pub mod builder;
pub mod compression;
pub mod control;
pub mod facts;
pub mod legacy;
#[expect(clippy::module_inception, reason = "the record is what this module is named after")]
pub mod record;
pub mod set;
pub mod stream;

#[cfg(test)]
mod testdata;
