//! Control records: what brokers tell each other inside a log. A control record takes an offset
//! but is never given to applications. Its key is two int16, a version (0) and a type.

use std::error::Error;
use std::fmt;

use super::batch::Attributes;
use super::builder::{BatchBuilder, BatchOptions, BuildError, NewRecord};
use super::compression::Compression;

/// The version of the key and of an end-transaction marker's value that are written.
const VERSION: i16 = 0;

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// A producer's transaction ended by abort.
    Abort,
    /// A producer's transaction ended by commit.
    Commit,
    /// A Raft leader began its epoch; the value is a LeaderChangeMessage.
    LeaderChange,
    /// A snapshot begins; the value is a SnapshotHeaderRecord.
    SnapshotHeader,
    /// A snapshot ends; the value is a SnapshotFooterRecord.
    SnapshotFooter,
    /// The quorum's version; the value is a KRaftVersionRecord.
    KraftVersion,
    /// The quorum's voters; the value is a VotersRecord.
    KraftVoters,
    /// A type that came later: to be skipped.
    Unknown(i16),
}

impl ControlType {
    /// The type's number.
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// The type of this number.
    pub fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            _ => Self::Unknown(id),
        }
    }

    /// Reads a control record's key. A later version may be longer, so what follows is ignored.
    ///
    /// # Errors
    /// When the key is null or too short, or its version is negative.
    pub fn from_key(key: Option<&[u8]>) -> Result<Self, MalformedControl> {
        match key {
            Some([a, b, c, d, ..]) if i16::from_be_bytes([*a, *b]) >= 0 => {
                Ok(Self::from_id(i16::from_be_bytes([*c, *d])))
            }
            _ => Err(MalformedControl::Key),
        }
    }

    /// The key of a control record of this type.
    pub fn to_key(self) -> [u8; 4] {
        let [a, b] = VERSION.to_be_bytes();
        let [c, d] = self.id().to_be_bytes();
        [a, b, c, d]
    }
}

/// A control record that is not what its type demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedControl {
    /// The key is null, too short, or of a negative version.
    Key,
    /// The record is no end-transaction marker.
    NotEndTxn(ControlType),
    /// The value of an end-transaction marker is null, too short, or of a negative version.
    EndTxnValue,
}

impl fmt::Display for MalformedControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("a control record's key is malformed"),
            Self::NotEndTxn(found) => {
                write!(f, "a control record of type {} ends no transaction", found.id())
            }
            Self::EndTxnValue => f.write_str("an end-transaction marker's value is malformed"),
        }
    }
}

impl Error for MalformedControl {}

/// The end of a producer's transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Whether the records count, or are to be skipped.
    pub committed: bool,
    /// The epoch of the coordinator that wrote the marker.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// Reads the marker from a control record's key and value.
    ///
    /// # Errors
    /// When either is malformed, or the record is of another type.
    pub fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, MalformedControl> {
        let committed = match ControlType::from_key(key)? {
            ControlType::Abort => false,
            ControlType::Commit => true,
            other => return Err(MalformedControl::NotEndTxn(other)),
        };
        match value {
            Some([v, w, a, b, c, d, ..]) if i16::from_be_bytes([*v, *w]) >= 0 => {
                Ok(Self { committed, coordinator_epoch: i32::from_be_bytes([*a, *b, *c, *d]) })
            }
            _ => Err(MalformedControl::EndTxnValue),
        }
    }

    /// The marker's type.
    pub fn control_type(self) -> ControlType {
        if self.committed { ControlType::Commit } else { ControlType::Abort }
    }

    /// The batch that holds the marker alone, of 78 bytes. `options` say where and whose; codec,
    /// sequence and flags are set here.
    ///
    /// # Errors
    /// None that a marker can meet.
    pub fn to_batch(self, options: BatchOptions, timestamp: i64) -> Result<Vec<u8>, BuildError> {
        let mut value = [0; 6];
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let options = BatchOptions { transactional: true, ..options };
        control_batch(options, self.control_type(), &value, timestamp)
    }
}

/// A batch of one control record. Never compressed, and without a sequence.
///
/// # Errors
/// When the value is too large.
pub fn control_batch(
    options: BatchOptions,
    control_type: ControlType,
    value: &[u8],
    timestamp: i64,
) -> Result<Vec<u8>, BuildError> {
    let compression = Compression::NONE;
    let options = BatchOptions { compression, control: true, base_sequence: -1, ..options };
    let mut builder = BatchBuilder::new(options)?;
    let key = control_type.to_key();
    let record = NewRecord { timestamp, key: Some(&key), value: Some(value), headers: &[] };
    builder.append(&record)?;
    builder.build()
}

/// Whether attributes are those of an end-transaction marker's batch.
pub fn may_end_txn(attributes: Attributes) -> bool {
    attributes.is_control() && attributes.is_transactional()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::set::Batch;
    use crate::record::testdata;

    #[test]
    fn the_golden_marker_is_read_and_built() {
        let golden = testdata::abort_marker();
        let batch = Batch::new(&golden).unwrap();
        batch.check_crc().unwrap();
        assert!(may_end_txn(batch.header().attributes()));
        let record = batch.records().unwrap().next().unwrap().unwrap();
        let marker = EndTxnMarker::parse(record.key, record.value).unwrap();
        assert_eq!(marker, EndTxnMarker { committed: false, coordinator_epoch: 0 });
        let options = BatchOptions {
            base_offset: 9,
            partition_leader_epoch: 0,
            producer_id: 1000,
            producer_epoch: 0,
            ..BatchOptions::default()
        };
        assert_eq!(marker.to_batch(options, record.timestamp).unwrap(), golden);
    }

    #[test]
    fn malformed_control_records_are_told() {
        let value = [0, 0, 0, 0, 0, 7];
        type Case<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, MalformedControl);
        let cases: [Case<'_>; 6] = [
            (None, Some(&value), MalformedControl::Key),
            (Some(&[0, 0, 0]), Some(&value), MalformedControl::Key),
            (Some(&[0xff, 0, 0, 0]), Some(&value), MalformedControl::Key),
            (
                Some(&[0, 0, 0, 9]),
                Some(&value),
                MalformedControl::NotEndTxn(ControlType::Unknown(9)),
            ),
            (Some(&[0, 0, 0, 1]), Some(&value[..5]), MalformedControl::EndTxnValue),
            (Some(&[0, 0, 0, 1]), None, MalformedControl::EndTxnValue),
        ];
        for (key, value, error) in cases {
            assert_eq!(EndTxnMarker::parse(key, value), Err(error));
        }
        let later = EndTxnMarker::parse(Some(&[0, 1, 0, 1, 5]), Some(&[0, 1, 0, 0, 0, 7, 8]));
        assert_eq!(later, Ok(EndTxnMarker { committed: true, coordinator_epoch: 7 }));
    }

    #[test]
    fn types_and_numbers_are_one_to_one() {
        for id in -1..9 {
            assert_eq!(ControlType::from_id(id).id(), id);
        }
    }
}
