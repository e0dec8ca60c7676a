//! Control records of the metadata log: elections, the frame of a snapshot, the quorum's voters.
//!
//! The key says which (see [`ControlType`]); the value is a flexible struct that begins with the
//! version it is written in. There is no other version prefix.

pub use super::control_messages::*;
use crate::record::control::ControlType;
use crate::wire::{Message, ReadError, ReadErrorKind, Reader, WriteError};

/// A control record of the metadata log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetadataControl<'a> {
    /// The log has a new leader.
    LeaderChange(LeaderChangeMessage),
    /// A snapshot begins.
    SnapshotHeader(SnapshotHeaderRecord),
    /// A snapshot ends.
    SnapshotFooter(SnapshotFooterRecord),
    /// The quorum changes its protocol.
    KraftVersion(KRaftVersionRecord),
    /// The quorum has these voters from here on.
    KraftVoters(VotersRecord<'a>),
}

impl<'a> MetadataControl<'a> {
    /// Reads a control record's value; `None` for types that the metadata log does not use.
    ///
    /// # Errors
    /// When the version is not known or the bytes are not such a record.
    pub fn read(control_type: ControlType, value: &'a [u8]) -> Result<Option<Self>, ReadError> {
        let mut reader = Reader::new(value);
        let version = match value.first_chunk() {
            Some(version) => i16::from_be_bytes(*version),
            None => return Err(reader.error(ReadErrorKind::Truncated)),
        };
        let reader = &mut reader;
        Ok(Some(match control_type {
            ControlType::LeaderChange => {
                Self::LeaderChange(LeaderChangeMessage::decode(reader, version)?)
            }
            ControlType::SnapshotHeader => {
                Self::SnapshotHeader(SnapshotHeaderRecord::decode(reader, version)?)
            }
            ControlType::SnapshotFooter => {
                Self::SnapshotFooter(SnapshotFooterRecord::decode(reader, version)?)
            }
            ControlType::KraftVersion => {
                Self::KraftVersion(KRaftVersionRecord::decode(reader, version)?)
            }
            ControlType::KraftVoters => Self::KraftVoters(VotersRecord::decode(reader, version)?),
            ControlType::Abort | ControlType::Commit | ControlType::Unknown(_) => return Ok(None),
        }))
    }

    /// The type that goes into the key.
    pub fn control_type(&self) -> ControlType {
        match self {
            Self::LeaderChange(_) => ControlType::LeaderChange,
            Self::SnapshotHeader(_) => ControlType::SnapshotHeader,
            Self::SnapshotFooter(_) => ControlType::SnapshotFooter,
            Self::KraftVersion(_) => ControlType::KraftVersion,
            Self::KraftVoters(_) => ControlType::KraftVoters,
        }
    }

    /// The value, in the version that the record itself states.
    ///
    /// # Errors
    /// When that version does not exist, or a field has no form in it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        match self {
            Self::LeaderChange(record) => record.to_bytes(record.version),
            Self::SnapshotHeader(record) => record.to_bytes(record.version),
            Self::SnapshotFooter(record) => record.to_bytes(record.version),
            Self::KraftVersion(record) => record.to_bytes(record.version),
            Self::KraftVoters(record) => record.to_bytes(record.version),
        }
    }
}

/// All values of control records.
#[cfg(any(test, feature = "schema"))]
pub fn registry() -> Vec<crate::wire::reflect::MessageSchema> {
    crate::wire::reflect::registry![
        LeaderChangeMessage,
        SnapshotHeaderRecord,
        SnapshotFooterRecord,
        KRaftVersionRecord,
        VotersRecord,
    ]
}
