//! The facts of a batch that producer state depends on.

use std::fmt;

use ottla_protocol::record::batch::BatchHeader;

use super::sequence::{self, NO_SEQUENCE};

/// Where the batches of an append come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A produce request: everything is checked.
    Client,
    /// A group or transaction coordinator of this broker: sequences are not checked.
    Coordinator,
    /// The leader's log, or this log's own bytes on recovery: taken as they are.
    Replication,
    /// The metadata quorum's leader.
    RaftLeader,
}

/// A batch with a producer id, as it will stand in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    /// The producer, not negative.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// The offset of the first record.
    pub base_offset: i64,
    /// The last record's offset less the base offset, not negative.
    pub last_offset_delta: i32,
    /// The largest timestamp, milliseconds.
    pub max_timestamp: i64,
    /// What is in it.
    pub kind: BatchKind,
}

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// Records outside a transaction.
    Plain,
    /// Records of a transaction.
    Transactional,
    /// The end of a transaction.
    EndTxn(EndTxnMarker),
    /// A control batch that the cleaner has emptied: says nothing.
    EmptyControl,
}

impl ProducerBatch {
    /// The facts of a batch with this header; `None` when it has no producer.
    ///
    /// `marker` must be given for a control batch with a record in it, and is not looked at
    /// otherwise.
    pub fn new(header: BatchHeader<'_>, marker: Option<EndTxnMarker>) -> Option<Self> {
        let attributes = header.attributes();
        let kind = match (attributes.is_control(), marker) {
            (true, Some(marker)) => BatchKind::EndTxn(marker),
            (true, None) => BatchKind::EmptyControl,
            (false, _) if attributes.is_transactional() => BatchKind::Transactional,
            (false, _) => BatchKind::Plain,
        };
        (0 <= header.producer_id()).then(|| Self {
            producer_id: header.producer_id(),
            producer_epoch: header.producer_epoch(),
            base_sequence: header.base_sequence(),
            base_offset: header.base_offset(),
            last_offset_delta: header.last_offset_delta(),
            max_timestamp: header.max_timestamp(),
            kind,
        })
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// The sequence of the last record, -1 for none.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 || self.last_offset_delta < 0 {
            return NO_SEQUENCE;
        }
        sequence::increment(self.base_sequence, self.last_offset_delta)
    }
}

/// The control record that ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Aborted rather than committed.
    pub aborted: bool,
    /// The epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
    /// The record's timestamp, milliseconds.
    pub timestamp: i64,
    /// The `transaction.version` feature under which it is written; 0 when it is read from a log.
    /// From 2 on each transaction has an epoch of its own, so a marker of a known one is stale.
    pub transaction_version: i16,
}

/// A control record that is no end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerError {
    /// The key is not a version and a type.
    Key,
    /// The type is neither abort (0) nor commit (1).
    Type(i16),
    /// The value is not a version and a coordinator epoch.
    Value,
}

impl fmt::Display for MarkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => write!(f, "control record key is not a version and a type"),
            Self::Type(kind) => {
                write!(f, "control record type is {kind}, expected 0 (abort) or 1 (commit)")
            }
            Self::Value => {
                write!(f, "control record value is not a version and a coordinator epoch")
            }
        }
    }
}

impl std::error::Error for MarkerError {}

impl EndTxnMarker {
    /// Reads the control record's key and value. Fields of later versions behind the known ones are
    /// skipped.
    ///
    /// # Errors
    /// [`MarkerError`] when it is another kind of control record, or too short.
    pub fn decode(key: &[u8], value: &[u8], timestamp: i64) -> Result<Self, MarkerError> {
        let (version, rest) = key.split_first_chunk().ok_or(MarkerError::Key)?;
        let (kind, _) = rest.split_first_chunk().ok_or(MarkerError::Key)?;
        if i16::from_be_bytes(*version) < 0 {
            return Err(MarkerError::Key);
        }
        let aborted = match i16::from_be_bytes(*kind) {
            0 => true,
            1 => false,
            other => return Err(MarkerError::Type(other)),
        };
        let (version, rest) = value.split_first_chunk().ok_or(MarkerError::Value)?;
        let (coordinator_epoch, _) = rest.split_first_chunk().ok_or(MarkerError::Value)?;
        if i16::from_be_bytes(*version) < 0 {
            return Err(MarkerError::Value);
        }
        let coordinator_epoch = i32::from_be_bytes(*coordinator_epoch);
        Ok(Self { aborted, coordinator_epoch, timestamp, transaction_version: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read() {
        let marker = |aborted| EndTxnMarker {
            aborted,
            coordinator_epoch: 7,
            timestamp: 9,
            transaction_version: 0,
        };
        let value = [0, 0, 0, 0, 0, 7];
        assert_eq!(EndTxnMarker::decode(&[0, 0, 0, 0], &value, 9), Ok(marker(true)));
        assert_eq!(EndTxnMarker::decode(&[0, 0, 0, 1, 5], &value, 9), Ok(marker(false)));
        assert_eq!(EndTxnMarker::decode(&[0, 0, 0, 2], &value, 9), Err(MarkerError::Type(2)));
        assert_eq!(EndTxnMarker::decode(&[255, 0, 0, 1], &value, 9), Err(MarkerError::Key));
        assert_eq!(EndTxnMarker::decode(&[0, 0, 0, 1], &[255; 6], 9), Err(MarkerError::Value));
        for end in 0..4 {
            let cut = &[0, 0, 0, 1][..end];
            assert_eq!(EndTxnMarker::decode(cut, &value, 9), Err(MarkerError::Key));
        }
        for end in 0..value.len() {
            let cut = EndTxnMarker::decode(&[0, 0, 0, 1], &value[..end], 9);
            assert_eq!(cut, Err(MarkerError::Value));
        }
    }

    #[test]
    fn headers_are_read() {
        let mut bytes = [0; 61];
        bytes[7] = 40; // base offset
        bytes[26] = 4; // last offset delta
        bytes[42] = 99; // max timestamp
        bytes[50] = 5; // producer id
        bytes[52] = 1; // producer epoch
        bytes[53..57].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
        let facts =
            |bytes: &[u8], marker| ProducerBatch::new(BatchHeader::new(bytes).unwrap(), marker);
        let batch = facts(&bytes, None).unwrap();
        assert_eq!((batch.producer_id, batch.producer_epoch), (5, 1));
        assert_eq!((batch.base_offset, batch.last_offset(), batch.max_timestamp), (40, 44, 99));
        assert_eq!((batch.base_sequence, batch.last_sequence()), (i32::MAX - 1, 2));
        assert_eq!(batch.kind, BatchKind::Plain);
        bytes[22] = 1 << 4;
        assert_eq!(facts(&bytes, None).unwrap().kind, BatchKind::Transactional);
        bytes[22] |= 1 << 5;
        assert_eq!(facts(&bytes, None).unwrap().kind, BatchKind::EmptyControl);
        bytes[43..51].fill(255);
        assert_eq!(facts(&bytes, None), None);
    }
}
