//! A record of an internal topic, as bytes.

use std::fmt;

use ottla_protocol::wire::ReadError;

/// A record to append. The layouts are those of `ottla_protocol::internal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key, which says what the record is about.
    pub key: Vec<u8>,
    /// The value; `None` deletes the key (a tombstone).
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// Bytes of its key and its value.
    pub(crate) fn size_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Where in the log a record that is replayed stands, and who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The record's offset in its partition.
    pub offset: i64,
    /// The producer's id and epoch when the record belongs to a transaction, whose marker decides
    /// whether it counts.
    pub producer: Option<(i64, i16)>,
}

/// A record that cannot be understood, so that its partition cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The key is not of the kind that it states.
    Key(ReadError),
    /// The value's version is not known, or the value is cut short.
    Value(ReadError),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "the record's key: {error}"),
            Self::Value(error) => write!(f, "the record's value: {error}"),
        }
    }
}

impl std::error::Error for ReplayError {}
