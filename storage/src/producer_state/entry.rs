//! What is kept of one producer.

use super::batch::{BatchKind, ProducerBatch};
use super::sequence::{self, NO_SEQUENCE};

/// How many of a producer's last batches are kept. A client may have five requests in flight, so
/// any batch that it repeats is among them.
pub const BATCHES_KEPT: usize = 5;

/// An appended batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMetadata {
    /// The sequence of its last record, -1 for none.
    pub last_sequence: i32,
    /// The last offset less the first one.
    pub offset_delta: i32,
    /// The offset of its last record.
    pub last_offset: i64,
    /// Its largest timestamp, milliseconds.
    pub timestamp: i64,
}

impl BatchMetadata {
    /// The sequence of its first record, -1 for none.
    pub fn first_sequence(&self) -> i32 {
        if self.last_sequence < 0 || self.offset_delta < 0 {
            return NO_SEQUENCE;
        }
        sequence::decrement(self.last_sequence, self.offset_delta)
    }

    /// The offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset.wrapping_sub(i64::from(self.offset_delta))
    }
}

/// One producer on one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Its epoch, -1 when unknown.
    pub producer_epoch: i16,
    /// The epoch of the transaction coordinator that wrote its last marker, -1 for none.
    pub coordinator_epoch: i32,
    /// The timestamp of its last record or marker, milliseconds; -1 for none.
    pub last_timestamp: i64,
    /// The first offset of its open transaction.
    pub current_txn_first_offset: Option<i64>,
    /// The first `count` of them count; oldest first.
    batches: [BatchMetadata; BATCHES_KEPT],
    count: u8,
}

impl Default for ProducerEntry {
    fn default() -> Self {
        Self {
            producer_epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: [BatchMetadata::default(); BATCHES_KEPT],
            count: 0,
        }
    }
}

impl ProducerEntry {
    /// The last batches of the epoch, oldest first, at most [`BATCHES_KEPT`].
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.count)]
    }

    /// The newest batch of the epoch.
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches().last()
    }

    /// The sequence of the newest record of the epoch, -1 for none.
    pub fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// The kept batch with the same epoch and the same first and last sequence.
    pub(super) fn find_duplicate(&self, batch: &ProducerBatch) -> Option<BatchMetadata> {
        if batch.producer_epoch != self.producer_epoch || batch.base_sequence < 0 {
            return None;
        }
        let wanted = (batch.base_sequence, batch.last_sequence());
        let same = |known: &&BatchMetadata| (known.first_sequence(), known.last_sequence) == wanted;
        self.batches().iter().find(same).copied()
    }

    /// Takes another epoch; the batches of the old one no longer count.
    pub(super) fn set_producer_epoch(&mut self, producer_epoch: i16) {
        if self.producer_epoch != producer_epoch {
            self.producer_epoch = producer_epoch;
            self.count = 0;
        }
    }

    /// Whether `batch` only adds records to what is open, a transaction or none.
    pub(super) fn is_continued_by(&self, batch: &ProducerBatch) -> bool {
        match batch.kind {
            BatchKind::Plain => self.current_txn_first_offset.is_none(),
            BatchKind::Transactional => self.current_txn_first_offset.is_some(),
            BatchKind::EndTxn(_) | BatchKind::EmptyControl => false,
        }
    }

    /// Takes in a batch of records, of whatever epoch.
    pub(super) fn take(&mut self, batch: &ProducerBatch) {
        self.set_producer_epoch(batch.producer_epoch);
        self.push_batch(BatchMetadata {
            last_sequence: batch.last_sequence(),
            offset_delta: batch.last_offset_delta,
            last_offset: batch.last_offset(),
            timestamp: batch.max_timestamp,
        });
    }

    /// Adds a batch of the present epoch; the oldest one goes when there are too many.
    pub(super) fn push_batch(&mut self, batch: BatchMetadata) {
        if usize::from(self.count) == BATCHES_KEPT {
            self.batches.copy_within(1.., 0);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
        self.last_timestamp = batch.timestamp;
    }

    /// Adds batches that came before the kept ones, newest first, as many as there is room for. The
    /// producer was not heard of again.
    pub(super) fn prepend(&mut self, newest_first: &[BatchMetadata]) {
        for &batch in newest_first.iter().take(BATCHES_KEPT - usize::from(self.count)) {
            self.batches.copy_within(..usize::from(self.count), 1);
            self.batches[0] = batch;
            self.count += 1;
        }
    }

    pub(super) fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.current_txn_first_offset.is_none()
            && expiration_ms <= now_ms.saturating_sub(self.last_timestamp)
    }
}
