//! Replay of the metadata log: records in, images out.
//!
//! A controller can write a change as a transaction when it is too large for one batch, or must be
//! seen as a whole: BeginTransaction, the records, EndTransaction; or AbortTransaction, after which
//! none of them counts. Readers never see the inside of one:
//!
//! ```text
//! offset   0  1  Begin  3  4  End  6        published image after each:
//!          0  1    1    1  1   5   6
//! ```

use crate::controller::Records;
use crate::image::{Image, ReplayError};
use crate::log_codec::{self, BatchPlace, Content, DecodeError, QuorumRecords};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::wire::ReadError;
use std::fmt;

/// A replay that goes on where the log goes on.
#[derive(Clone, Debug)]
pub struct Replay {
    /// With the records of an open transaction.
    latest: Image,
    open: Option<OpenTransaction>,
    progress: Progress,
}

#[derive(Clone, Debug)]
struct OpenTransaction {
    offset: i64,
    before: Image,
}

/// How far a replay has come, beside the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The epoch of the last batch, 0 before the first.
    pub epoch: i32,
    /// The timestamp of the last record, ms, 0 before the first. Snapshots carry it.
    pub timestamp_ms: i64,
    /// What the log says about the quorum itself, which snapshots carry too.
    pub quorum: QuorumRecords,
}

/// Why bytes of the log cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// A batch is not what it should be.
    Decode(DecodeError),
    /// The value at this offset is no metadata record.
    Frame {
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        error: ReadError,
    },
    /// The record at this offset cannot follow those before it.
    Record {
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        error: ReplayError,
    },
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "metadata log: {error}"),
            Self::Frame { offset, error } => {
                write!(f, "metadata log: record at offset {offset}: {error}")
            }
            Self::Record { offset, error } => {
                write!(f, "metadata log: record at offset {offset}: {error}")
            }
        }
    }
}

impl std::error::Error for LogError {}

impl Replay {
    /// A replay that begins after the image's offset: an empty one or that of a snapshot.
    pub fn new(image: Image) -> Self {
        Replay::resume(image, Progress::default())
    }

    /// A replay that begins after a snapshot, with what else the snapshot says.
    pub fn resume(image: Image, progress: Progress) -> Self {
        Replay { latest: image, open: None, progress }
    }

    /// The image to show: without the records of a transaction that is still open.
    pub fn image(&self) -> &Image {
        self.open.as_ref().map_or(&self.latest, |open| &open.before)
    }

    /// [`Replay::image`], when the replay is over.
    pub fn into_image(self) -> Image {
        self.open.map_or(self.latest, |open| open.before)
    }

    /// The offset of the last record, be it in an open transaction. A snapshot must not be taken
    /// while it is not that of [`Replay::image`].
    pub fn offset(&self) -> i64 {
        self.latest.offset()
    }

    /// The offset at which a transaction was begun that has not ended.
    pub fn open_transaction(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.offset)
    }

    /// Epoch, time and quorum at the end of what was replayed.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Applies the record at `offset`.
    ///
    /// # Errors
    /// When it cannot follow the records before it; nothing has changed then.
    pub fn apply(&mut self, record: &MetadataRecord<'_>, offset: i64) -> Result<(), ReplayError> {
        self.apply_read(record, None, offset)
    }

    fn apply_read(
        &mut self,
        record: &MetadataRecord<'_>,
        value: Option<&[u8]>,
        offset: i64,
    ) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::BeginTransaction(_) => {
                if let Some(open) = &self.open {
                    return Err(ReplayError::TransactionOpen { open: open.offset, offset });
                }
                let before = self.latest.clone();
                self.latest.skip(offset)?;
                self.open = Some(OpenTransaction { offset, before });
                Ok(())
            }
            MetadataRecord::EndTransaction(_) => {
                self.check_open(offset)?;
                self.latest.skip(offset)?;
                self.open = None;
                Ok(())
            }
            MetadataRecord::AbortTransaction(_) => {
                self.check_open(offset)?;
                self.latest.skip(offset)?;
                if let Some(open) = self.open.take() {
                    self.latest = open.before;
                    self.latest.skip(offset)?;
                }
                Ok(())
            }
            _ => self.latest.apply_read(record, value, offset),
        }
    }

    fn check_open(&self, offset: i64) -> Result<(), ReplayError> {
        match self.open {
            Some(_) => Ok(()),
            None => Err(ReplayError::NoTransaction { offset }),
        }
    }

    /// Applies the record at `offset`, given by its value as it is stored. Which batch it is of is
    /// not told: epoch and time stay as they are.
    ///
    /// # Errors
    /// When the value is malformed or the record cannot follow those before it.
    pub fn apply_value(&mut self, value: &[u8], offset: i64) -> Result<(), LogError> {
        let read = MetadataRecord::read(value);
        let (record, _) = read.map_err(|error| LogError::Frame { offset, error })?;
        let applied = self.apply_read(&record, Some(value), offset);
        applied.map_err(|error| LogError::Record { offset, error })
    }

    /// Applies the records of one batch that was appended at `place`.
    ///
    /// # Errors
    /// As [`Replay::apply_value`]; what came before that record counts.
    pub fn apply_records(&mut self, records: &Records, place: BatchPlace) -> Result<(), LogError> {
        self.progress.epoch = place.epoch;
        for (value, offset) in records.iter().zip(place.base_offset..) {
            self.apply_value(value, offset)?;
            self.progress.timestamp_ms = place.now_ms;
        }
        Ok(())
    }

    /// Applies all whole batches in `bytes`, which begin at a batch of the log, and tells how many
    /// bytes those are; the rest is a batch that is not all there. Batches at or below the image's
    /// offset are passed over, so that a segment can be read from its start after a snapshot.
    ///
    /// # Errors
    /// At the first batch or record that is not what it should be; what came before it counts.
    pub fn apply_batches(&mut self, bytes: &[u8]) -> Result<usize, LogError> {
        let mut batches = log_codec::batches(bytes);
        let mut consumed = 0;
        while let Some(batch) = batches.next_batch().map_err(LogError::Decode)? {
            consumed = batches.position();
            if batch.last_offset() <= self.offset() {
                continue;
            }
            self.progress.epoch = batch.epoch();
            for entry in batch.entries().map_err(LogError::Decode)? {
                let entry = entry.map_err(LogError::Decode)?;
                if entry.offset <= self.offset() {
                    continue;
                }
                match entry.content {
                    Content::Record(value) => self.apply_value(value, entry.offset)?,
                    Content::Control(control_type, value) => {
                        let offset = entry.offset;
                        let skipped = self.latest.skip(offset);
                        skipped.map_err(|error| LogError::Record { offset, error })?;
                        self.progress.quorum.note(control_type, value);
                    }
                }
                self.progress.timestamp_ms = entry.timestamp_ms;
            }
        }
        Ok(consumed)
    }
}

#[cfg(test)]
mod tests;
