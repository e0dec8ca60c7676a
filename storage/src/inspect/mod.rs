//! What is in Kafka's files, to be looked at and not to be served: iterators that take any bytes,
//! whole or damaged, and say what they find as `kafka-dump-log` does.
//!
//! | file | iterator |
//! |---|---|
//! | `.log`, `.checkpoint` | [`FileBatches`], and within a batch [`FileBatch::records`] |
//! | `.index` | [`OffsetEntries`] |
//! | `.timeindex` | [`TimeEntries`] |
//! | `.txnindex` | [`aborted_txns`] |
//! | `.snapshot` | [`producers`] |
//!
//! They read a [`Source`]: bytes in memory or a [`crate::disk::DiskFile`]. At most one batch is in
//! memory, and of a compressed one only a record at a time. Nothing is written, and no lock is
//! taken.
//!
//! ```
//! use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
//! use ottla_storage::inspect::FileBatches;
//!
//! let mut builder = BatchBuilder::new(BatchOptions::default())?;
//! builder.append(&NewRecord { value: Some(b"hello"), ..Default::default() })?;
//! let file = builder.build()?;
//!
//! for batch in FileBatches::new(&file[..], "00000000000000000000.log", 0, file.len() as u64) {
//!     let batch = batch?;
//!     assert_eq!((batch.position, batch.size), (0, file.len() as u64));
//!     let bytes = batch.load(&file[..])?;
//!     batch.records(&bytes)?.for_each(&mut |record| {
//!         assert_eq!(record.value, Some(&b"hello"[..]));
//!         Ok::<(), ottla_storage::inspect::Damage>(())
//!     })?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batches;
mod damage;
mod index;
mod legacy;
mod records;
mod small;
mod source;

pub use batches::{FileBatch, FileBatches, Format, HeaderFacts};
pub use damage::Damage;
pub use index::{IndexDamage, OffsetEntries, OffsetEntry, TimeEntries, TimeEntry};
pub use records::{InspectedRecord, RecordsOf};
pub use small::{ProducerInspected, SnapshotDamage, TxnInspected, aborted_txns, producers};
pub use source::Source;

#[cfg(test)]
mod tests;
