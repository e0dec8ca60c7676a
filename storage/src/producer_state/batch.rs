//! The facts of a batch that producer state depends on.

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

/// What the control record that ends a transaction says, see
/// [`ottla_protocol::record::control::EndTxnMarker`], and what its append adds.
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

#[cfg(test)]
mod tests {
    use super::*;

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
