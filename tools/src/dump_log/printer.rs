//! What is told of a file, in the order in which it is found.

use std::io;

use ottla_storage::inspect::{
    FileBatch, HeaderFacts, InspectedRecord, OffsetEntry, ProducerInspected, TimeEntry,
    TxnInspected,
};

use super::failure::Failure;
use super::java::JavaPath;
use crate::Found;

/// Whoever prints what is found.
pub(super) trait Printer {
    /// A file begins.
    fn file(&mut self, path: &JavaPath) -> io::Result<()>;
    /// It is of no known kind.
    fn unknown_file(&mut self, path: &JavaPath) -> io::Result<()>;
    /// What the name of a log or snapshot says.
    fn title(&mut self, title: Title) -> io::Result<()>;
    /// A batch: first its header up to what may not be readable.
    fn batch(&mut self, batch: &FileBatch, header: Option<&HeaderFacts>) -> io::Result<()>;
    /// The rest of the batch.
    fn batch_rest(&mut self, batch: &FileBatch, rest: &BatchRest) -> io::Result<()>;
    /// A record of the batch.
    fn record(&mut self, record: &RecordLine<'_>) -> io::Result<()>;
    /// What a control record says, or what follows the metadata of another; ends the record.
    fn record_end(&mut self, end: RecordEnd) -> io::Result<()>;
    /// Bytes behind the last batch.
    fn invalid_bytes(&mut self, count: u64, file_name: &str) -> io::Result<()>;
    /// A record's offset that does not follow the one before it; -1 before the first.
    fn gap(&mut self, path: &JavaPath, from: i64, to: i64);
    /// An index without entries.
    fn empty_index(&mut self, path: &JavaPath) -> io::Result<()>;
    /// An index that is as a broker wants it.
    fn sane_index(&mut self, path: &JavaPath) -> io::Result<()>;
    /// An entry of an offset index.
    fn offset_entry(&mut self, entry: OffsetEntry) -> io::Result<()>;
    /// An entry of a time index.
    fn time_entry(&mut self, entry: TimeEntry) -> io::Result<()>;
    /// An entry and the log do not agree.
    fn mismatch(&mut self, path: &JavaPath, mismatch: Mismatch);
    /// A producer of a snapshot.
    fn producer(&mut self, producer: &ProducerInspected) -> io::Result<()>;
    /// An aborted transaction.
    fn transaction(&mut self, transaction: &TxnInspected) -> io::Result<()>;
    /// Damage that does not end the dump.
    fn noted(&mut self, text: &str) -> io::Result<()>;
    /// Damage that does. Nothing is told after it.
    fn failure(&mut self, failure: &Failure) -> io::Result<()>;
    /// The end of all files.
    fn end(&mut self) -> io::Result<Found>;
}

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Title {
    /// A segment that begins at this offset.
    Log(i64),
    /// The snapshot that a cluster begins with.
    Bootstrap,
    /// A snapshot of the metadata log.
    Snapshot {
        /// The offset that it ends before.
        end_offset: i64,
        /// The leader's epoch there.
        epoch: i32,
    },
}

/// What is printed of a batch last.
pub(super) struct BatchRest {
    /// The header.
    pub(super) header: HeaderFacts,
    /// The codec's name.
    pub(super) codec: &'static str,
    /// Whether the checksum is right.
    pub(super) is_valid: bool,
}

/// A record and what it is told by.
pub(super) struct RecordLine<'a> {
    /// Its batch.
    pub(super) batch: &'a FileBatch,
    /// Its batch's header.
    pub(super) header: &'a HeaderFacts,
    /// The record.
    pub(super) record: &'a InspectedRecord<'a>,
    /// Whether offset, sizes and so on are printed.
    pub(super) with_metadata: bool,
}

impl RecordLine<'_> {
    /// Whether it is a message with a checksum of its own, which does not agree. Below a compressed
    /// message that need not show in the wrapper's.
    pub(super) fn is_damaged(&self) -> bool {
        self.record.legacy.is_some_and(|(is_valid, _)| !is_valid)
    }
}

/// The last of a record.
#[derive(Debug, Default)]
pub(super) struct RecordEnd {
    /// What a control record says.
    pub(super) control: Option<Control>,
    /// The key as text.
    pub(super) key: Option<String>,
    /// The value as text.
    pub(super) payload: Option<String>,
    /// Whether key and value are JSON.
    pub(super) is_json: bool,
}

/// A control record.
#[derive(Debug)]
pub(super) enum Control {
    /// The end of a transaction.
    EndTxn {
        /// Whether it counts.
        committed: bool,
        /// The coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// One with a struct: its name in Kafka's text, and JSON.
    Struct(&'static str, String),
    /// A type that is not known.
    Unknown(i16),
}

/// How an index entry and the log do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// The batch at the entry's position ends at another offset.
    Offset {
        /// The entry's.
        index: i64,
        /// The batch's.
        log: i64,
    },
    /// The batch of the entry's offset has another largest timestamp.
    Timestamp {
        /// The entry's, ms.
        index: i64,
        /// The batch's, ms.
        log: i64,
    },
    /// The entry's timestamp is not above the one before.
    Order {
        /// The entry's, ms.
        index: i64,
        /// The one before, ms.
        previous: i64,
    },
    /// No batch ends at the entry's offset.
    NotFound {
        /// The entry's.
        index: i64,
        /// Where the batch that could be meant ends; -1 for none.
        log: i64,
    },
}
