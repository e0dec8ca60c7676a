//! The rules for one batch of one producer, and the change that it makes.

use std::fmt;

use super::batch::{BatchKind, EndTxnMarker, Origin, ProducerBatch};
use super::entry::ProducerEntry;
use super::verification::Pending;
use super::{CompletedTxn, sequence};

/// Why a batch may not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerError {
    /// A newer instance of the producer has taken over: `INVALID_PRODUCER_EPOCH`.
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// Where the batch would have stood.
        offset: i64,
        /// The batch's epoch.
        got: i16,
        /// The producer's epoch as known here.
        known: i16,
    },
    /// Records are missing before it, or it is a duplicate too old to be known:
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// Where the batch would have stood.
        offset: i64,
        /// The batch's first sequence.
        got: i32,
        /// The last sequence appended before it, -1 for none.
        last: i32,
    },
    /// It does not fit the producer's transaction: `INVALID_TXN_STATE`.
    InvalidTxnState {
        /// The producer.
        producer_id: i64,
        /// Where the batch would have stood.
        offset: i64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A newer coordinator has written a marker: `TRANSACTION_COORDINATOR_FENCED`.
    TransactionCoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// Where the marker would have stood.
        offset: i64,
        /// The marker's coordinator epoch.
        got: i32,
        /// The newest coordinator epoch seen.
        known: i32,
    },
}

impl fmt::Display for ProducerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidProducerEpoch { producer_id, offset, got, known } => write!(
                f,
                "producer {producer_id} at offset {offset}: epoch {got} is not newer than {known}"
            ),
            Self::OutOfOrderSequence { producer_id, offset, got, last } => write!(
                f,
                "producer {producer_id} at offset {offset}: sequence {got} does not follow {last}"
            ),
            Self::InvalidTxnState { producer_id, offset, reason } => {
                write!(f, "producer {producer_id} at offset {offset}: {reason}")
            }
            Self::TransactionCoordinatorFenced { producer_id, offset, got, known } => write!(
                f,
                "producer {producer_id} at offset {offset}: coordinator epoch {got} is older \
                 than {known}"
            ),
        }
    }
}

impl std::error::Error for ProducerError {}

/// What an append changes, once it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Producers as they will be; few, since a produce request brings one batch a partition.
    pub(super) entries: Vec<(i64, ProducerEntry)>,
    /// First offset and producer id of transactions that begin.
    pub(super) started_txns: Vec<(i64, i64)>,
    pub(super) completed_txns: Vec<CompletedTxn>,
    /// Producers with a transactional batch or a marker among them.
    pub(super) transactional: Vec<i64>,
}

impl Update {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The producer as this append leaves it so far, beginning with what was known.
    fn entry(&mut self, producer_id: i64, known: Option<&ProducerEntry>) -> &mut ProducerEntry {
        let found = self.entries.iter().position(|(id, _)| *id == producer_id);
        let at = found.unwrap_or_else(|| {
            // A vector that grows by itself would begin with room for four; nearly all appends
            // have one producer.
            self.entries.reserve_exact(1);
            self.entries.push((producer_id, known.cloned().unwrap_or_default()));
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }
}

/// The circumstances of a batch.
pub(super) struct Append<'a> {
    pub(super) origin: Origin,
    pub(super) known: Option<&'a ProducerEntry>,
    pub(super) verification: Option<&'a Pending>,
}

impl Append<'_> {
    /// Judges `batch` and notes in `update` what it changes.
    pub(super) fn add(
        &self,
        batch: &ProducerBatch,
        update: &mut Update,
    ) -> Result<(), ProducerError> {
        match batch.kind {
            BatchKind::EmptyControl => Ok(()),
            BatchKind::EndTxn(marker) => self.add_marker(batch, marker, update),
            BatchKind::Plain | BatchKind::Transactional => self.add_data(batch, update),
        }
    }

    fn add_data(&self, batch: &ProducerBatch, update: &mut Update) -> Result<(), ProducerError> {
        let &ProducerBatch { producer_id, base_offset: offset, .. } = batch;
        let is_transactional = batch.kind == BatchKind::Transactional;
        let entry = update.entry(producer_id, self.known);
        if batch.producer_epoch < entry.producer_epoch {
            self.refuse_epoch(batch, entry.producer_epoch)?;
        }
        if self.origin == Origin::Client {
            self.check_sequence(batch, entry)?;
        }
        if entry.current_txn_first_offset.is_some() && !is_transactional {
            let reason = "a batch outside the transaction that is open";
            return Err(ProducerError::InvalidTxnState { producer_id, offset, reason });
        }
        entry.take(batch);
        if is_transactional {
            if entry.current_txn_first_offset.is_none() {
                entry.current_txn_first_offset = Some(offset);
                update.started_txns.push((offset, producer_id));
            }
            update.transactional.push(producer_id);
        }
        Ok(())
    }

    fn check_sequence(
        &self,
        batch: &ProducerBatch,
        entry: &ProducerEntry,
    ) -> Result<(), ProducerError> {
        let got = batch.base_sequence;
        let last = entry.last_sequence();
        let is_first_of_epoch = batch.producer_epoch != entry.producer_epoch;
        let is_unknown = entry.producer_epoch == -1;
        let overtaken = self.verification.is_some_and(|pending| pending.lowest_sequence < got);
        // A client that bumps the epoch with each transaction numbers each from 0, so even where
        // nothing is known of it a first batch with a higher sequence has lost one before it.
        let bumps_epoch = self.verification.is_some_and(|pending| pending.supports_epoch_bump);
        let in_order = if is_first_of_epoch {
            got == 0 || is_unknown && !bumps_epoch
        } else {
            sequence::follows(last, got)
        };
        if overtaken || !in_order {
            let &ProducerBatch { producer_id, base_offset: offset, .. } = batch;
            return Err(ProducerError::OutOfOrderSequence { producer_id, offset, got, last });
        }
        Ok(())
    }

    fn add_marker(
        &self,
        batch: &ProducerBatch,
        marker: EndTxnMarker,
        update: &mut Update,
    ) -> Result<(), ProducerError> {
        let &ProducerBatch { producer_id, producer_epoch, base_offset: offset, .. } = batch;
        let entry = update.entry(producer_id, self.known);
        let is_stale = if 2 <= marker.transaction_version {
            producer_epoch <= entry.producer_epoch
        } else {
            producer_epoch < entry.producer_epoch
        };
        if is_stale {
            self.refuse_epoch(batch, entry.producer_epoch)?;
        }
        let (got, known) = (marker.coordinator_epoch, entry.coordinator_epoch);
        if got < known && self.origin != Origin::Replication {
            let fenced =
                ProducerError::TransactionCoordinatorFenced { producer_id, offset, got, known };
            return Err(fenced);
        }
        entry.set_producer_epoch(producer_epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = marker.timestamp;
        // A marker of a transaction without records here holds nobody back and is not indexed.
        if let Some(first_offset) = entry.current_txn_first_offset.take() {
            update.completed_txns.push(CompletedTxn {
                producer_id,
                first_offset,
                last_offset: offset,
                aborted: marker.aborted,
                last_stable_offset: offset + 1,
            });
        }
        update.transactional.push(producer_id);
        Ok(())
    }

    /// What stands in the leader's log is not judged again: compaction may have left an old epoch
    /// behind a newer one.
    fn refuse_epoch(&self, batch: &ProducerBatch, known: i16) -> Result<(), ProducerError> {
        if self.origin == Origin::Replication {
            return Ok(());
        }
        Err(ProducerError::InvalidProducerEpoch {
            producer_id: batch.producer_id,
            offset: batch.base_offset,
            got: batch.producer_epoch,
            known,
        })
    }
}
