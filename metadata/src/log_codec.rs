//! Records to batches of `__cluster_metadata-0`, and back.
//!
//! The log is an ordinary one, with record batches of magic 2. A data record has no key, and its
//! value is the record; control records, each in a batch that holds no data, say what happens to
//! the quorum: LeaderChange begins each epoch.

use crate::controller::Records;
use ottla_protocol::metadata::control::{LeaderChangeMessage, MetadataControl, Voter};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, BuildError, NewRecord};
use ottla_protocol::record::control::{ControlType, MalformedControl};
use ottla_protocol::record::record::MalformedRecord;
use ottla_protocol::record::set::{Batch, BatchError, Batches, RecordsError};
use ottla_protocol::uuid::Uuid;
use std::fmt;

/// Where and when a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The epoch of the leader that writes it.
    pub epoch: i32,
    /// The time, ms.
    pub now_ms: i64,
}

impl BatchPlace {
    fn options(self, control: bool) -> BatchOptions {
        BatchOptions {
            base_offset: self.base_offset,
            partition_leader_epoch: self.epoch,
            control,
            ..BatchOptions::default()
        }
    }
}

/// One batch of those records; no bytes when there are none.
///
/// # Errors
/// When they take more than 2^31 - 1 bytes.
pub fn data_batch<'r>(
    values: impl IntoIterator<Item = &'r [u8]>,
    place: BatchPlace,
) -> Result<Vec<u8>, BuildError> {
    let mut builder = BatchBuilder::new(place.options(false))?;
    for value in values {
        builder.append(&NewRecord {
            timestamp: place.now_ms,
            value: Some(value),
            ..NewRecord::default()
        })?;
    }
    // A batch without records has no offset, and so no place in the log.
    if builder.records_count() == 0 { Ok(Vec::new()) } else { builder.build() }
}

/// [`data_batch`] of what a controller decided.
///
/// # Errors
/// As [`data_batch`].
pub fn records_batch(records: &Records, place: BatchPlace) -> Result<Vec<u8>, BuildError> {
    data_batch(records.iter(), place)
}

/// One batch of control records, given by type and value.
///
/// # Errors
/// As [`data_batch`].
pub fn control_batch<'r>(
    controls: impl IntoIterator<Item = (ControlType, &'r [u8])>,
    place: BatchPlace,
) -> Result<Vec<u8>, BuildError> {
    let mut builder = BatchBuilder::new(place.options(true))?;
    for (control_type, value) in controls {
        builder.append(&NewRecord {
            timestamp: place.now_ms,
            key: Some(&control_type.to_key()),
            value: Some(value),
            ..NewRecord::default()
        })?;
    }
    builder.build()
}

/// The batch with which a leader begins its epoch, elected by all of `voters`.
pub fn leader_change_batch(leader_id: i32, voters: &[i32], place: BatchPlace) -> Vec<u8> {
    let voter = |id: &i32| Voter { voter_id: *id, voter_directory_id: Uuid::ZERO };
    let voters: Vec<Voter> = voters.iter().map(voter).collect();
    let granting_voters = voters.clone();
    let message = LeaderChangeMessage { version: 0, leader_id, voters, granting_voters };
    let value = MetadataControl::LeaderChange(message).to_bytes();
    let value = value.expect("version 0 has all these fields");
    let batch = control_batch([(ControlType::LeaderChange, &*value)], place);
    batch.expect("the voters of a quorum are few")
}

/// The last that a log says about the quorum itself; snapshots repeat it. Both are absent while the
/// voters come from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumRecords {
    /// The value of the last KRaftVersion record.
    pub kraft_version: Option<Vec<u8>>,
    /// The value of the last KRaftVoters record.
    pub voters: Option<Vec<u8>>,
}

impl QuorumRecords {
    /// Takes note of a control record.
    pub fn note(&mut self, control_type: ControlType, value: &[u8]) {
        match control_type {
            ControlType::KraftVersion => self.kraft_version = Some(value.to_vec()),
            ControlType::KraftVoters => self.voters = Some(value.to_vec()),
            _ => {}
        }
    }
}

/// Why bytes are not batches of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's page names its fields")]
pub enum DecodeError {
    /// A batch is malformed.
    Batch(BatchError),
    /// The batch at `base_offset` does not match its checksum.
    Crc { base_offset: i64, error: BatchError },
    /// The records of the batch at `base_offset` are compressed or cut short.
    Records { base_offset: i64, error: RecordsError },
    /// A record in the batch at `base_offset` is malformed.
    Record { base_offset: i64, error: MalformedRecord },
    /// The data record at `offset` has no value.
    NoValue { offset: i64 },
    /// The control record at `offset` is malformed.
    Control { offset: i64, error: MalformedControl },
    /// A snapshot does not begin with a header.
    NoHeader,
    /// A snapshot ends without a footer, or goes on after it.
    NoFooter,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(error) => error.fmt(f),
            Self::Crc { base_offset, error } => write!(f, "batch at offset {base_offset}: {error}"),
            Self::Records { base_offset, error } => {
                write!(f, "batch at offset {base_offset}: {error}")
            }
            Self::Record { base_offset, error } => {
                write!(f, "batch at offset {base_offset}: {error}")
            }
            Self::NoValue { offset } => write!(f, "data record at offset {offset} has no value"),
            Self::Control { offset, error } => write!(f, "record at offset {offset}: {error}"),
            Self::NoHeader => f.write_str("snapshot does not begin with a header"),
            Self::NoFooter => f.write_str("snapshot does not end with a footer"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// What an offset of the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// Its offset.
    pub offset: i64,
    /// The time of its batch, ms.
    pub timestamp_ms: i64,
    /// The record.
    pub content: Content<'a>,
}

/// A record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A metadata record's value, see
    /// [`MetadataRecord::read`](ottla_protocol::metadata::MetadataRecord::read).
    Record(&'a [u8]),
    /// A control record's type and value.
    Control(ControlType, &'a [u8]),
}

/// The batches in bytes that begin at one.
#[derive(Clone, Debug)]
pub struct LogBatches<'a>(Batches<'a>);

/// A batch of the log, its checksum checked.
#[derive(Clone, Copy, Debug)]
pub struct LogBatch<'a>(Batch<'a>);

/// Goes through the batches in `bytes`.
pub fn batches(bytes: &[u8]) -> LogBatches<'_> {
    LogBatches(Batches::new(bytes))
}

impl<'a> LogBatches<'a> {
    /// Bytes that the batches so far take.
    pub fn position(&self) -> usize {
        self.0.position()
    }

    /// The next batch; `None` when the rest is not a whole one.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn next_batch(&mut self) -> Result<Option<LogBatch<'a>>, DecodeError> {
        let Some(batch) = self.0.next() else { return Ok(None) };
        let batch = batch.map_err(DecodeError::Batch)?;
        let base_offset = batch.header().base_offset();
        batch.check_crc().map_err(|error| DecodeError::Crc { base_offset, error })?;
        Ok(Some(LogBatch(batch)))
    }
}

impl<'a> LogBatch<'a> {
    /// The offset of its last record.
    pub fn last_offset(&self) -> i64 {
        self.0.header().last_offset()
    }

    /// The epoch of the leader that wrote it.
    pub fn epoch(&self) -> i32 {
        self.0.header().partition_leader_epoch()
    }

    /// Its records.
    ///
    /// # Errors
    /// When they are compressed, which nobody does to metadata, or cut short.
    pub fn entries(
        &self,
    ) -> Result<impl Iterator<Item = Result<LogEntry<'a>, DecodeError>> + use<'a>, DecodeError>
    {
        let header = self.0.header();
        let base_offset = header.base_offset();
        let is_control = header.attributes().is_control();
        let records = self.0.records();
        let records = records.map_err(|error| DecodeError::Records { base_offset, error })?;
        Ok(records.map(move |record| {
            let record = record.map_err(|error| DecodeError::Record { base_offset, error })?;
            let offset = record.offset;
            let value = record.value.ok_or(DecodeError::NoValue { offset })?;
            let content = if is_control {
                let control_type = ControlType::from_key(record.key);
                let control_type =
                    control_type.map_err(|error| DecodeError::Control { offset, error })?;
                Content::Control(control_type, value)
            } else {
                Content::Record(value)
            };
            Ok(LogEntry { offset, timestamp_ms: record.timestamp, content })
        }))
    }
}
