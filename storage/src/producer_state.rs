//! What a partition knows of its producers: idempotence and transactions (KIP-98, KIP-890).
//!
//! Of each producer the last five batches are kept. A batch with the sequences of one of them is a
//! duplicate, answered with the old offsets; any other batch must follow the last one without a
//! gap. Of each open transaction the first offset is kept: readers that want committed records only
//! are held below it.
//!
//! The state is a pure machine. [`ProducerState::check`] judges the batches of an append and says
//! what they would change; the log then writes the bytes, and [`ProducerState::apply`] makes the
//! change. A failed write thus changes nothing. State is kept through restarts by [`snapshot`]
//! files, which [`snapshots`] decides about, and by replaying the log behind the newest of them.
//! What a file has no room for is looked up in the log below it, see [`Recall`].

use std::collections::{BTreeMap, HashMap};

mod append;
mod batch;
mod entry;
mod recall;
pub mod sequence;
pub mod snapshot;
pub mod snapshots;
mod verification;

pub use append::{ProducerError, Update};
pub use batch::{BatchKind, EndTxnMarker, Origin, ProducerBatch};
pub use entry::{BATCHES_KEPT, BatchMetadata, ProducerEntry};
pub use recall::Recall;
pub use verification::{VerificationGuard, VerificationRequest};

use append::Append;
use verification::Verification;

/// Settings that the rules depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `transaction.partition.verification.enable`.
    pub verification_enabled: bool,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self { producer_id_expiration_ms: 86_400_000, verification_enabled: true }
    }
}

/// A transaction that a marker has ended on this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Whose it was.
    pub producer_id: i64,
    /// The offset of its first record here.
    pub first_offset: i64,
    /// The offset of the marker.
    pub last_offset: i64,
    /// Whether it was aborted rather than committed.
    pub aborted: bool,
    /// Where the last stable offset stands once this one is decided: the first offset of the next
    /// open transaction of another producer, else the one behind the marker.
    pub last_stable_offset: i64,
}

/// The outcome of [`ProducerState::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// A batch with these sequences was appended before: append nothing, answer as then.
    Duplicate(BatchMetadata),
    /// The batches may be appended; then [`ProducerState::apply`] the update.
    New(Update),
}

/// The producers of one partition.
#[derive(Clone, Debug)]
pub struct ProducerState {
    settings: ProducerSettings,
    producers: HashMap<i64, ProducerEntry>,
    verification: Verification,
    /// Producer ids by the first offset of their open transactions.
    ongoing_txns: BTreeMap<i64, i64>,
    /// Marker offsets by the first offset of transactions whose marker is not below the high
    /// watermark: they are decided but may still be lost with the leader.
    unreplicated_txns: BTreeMap<i64, i64>,
    map_end_offset: i64,
    last_snapshot_offset: i64,
}

impl ProducerState {
    /// The state of an empty log that begins at `log_start_offset`.
    pub fn new(settings: ProducerSettings, log_start_offset: i64) -> Self {
        Self {
            settings,
            producers: HashMap::new(),
            verification: Verification::default(),
            ongoing_txns: BTreeMap::new(),
            unreplicated_txns: BTreeMap::new(),
            map_end_offset: log_start_offset,
            last_snapshot_offset: log_start_offset,
        }
    }

    /// Puts new settings into effect.
    pub fn set_settings(&mut self, settings: ProducerSettings) {
        self.settings = settings;
    }

    /// The end, exclusive, of the part of the log that the state reflects.
    pub fn map_end_offset(&self) -> i64 {
        self.map_end_offset
    }

    /// Says that the state reflects the log up to `offset`, exclusive: behind an append without
    /// producers, and at a roll.
    pub fn set_map_end_offset(&mut self, offset: i64) {
        self.map_end_offset = offset;
    }

    /// All producers by id, in no order.
    pub fn producers(&self) -> impl ExactSizeIterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(&producer_id, entry)| (producer_id, entry))
    }

    /// What is known of one producer.
    pub fn producer(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// Judges the batches of one append, in order, with the offsets that they will get. Batches
    /// without a producer must be left out.
    ///
    /// `guard` is what [`start_verification`](Self::start_verification) gave for the append.
    ///
    /// # Errors
    /// [`ProducerError`] of the first batch that breaks a rule; nothing is to be appended.
    pub fn check(
        &self,
        batches: &[ProducerBatch],
        origin: Origin,
        guard: VerificationGuard,
    ) -> Result<Checked, ProducerError> {
        let mut update = Update::default();
        for batch in batches {
            let entry = self.producers.get(&batch.producer_id);
            if origin == Origin::Client
                && let Some(entry) = entry
                && let Some(known) = entry.find_duplicate(batch)
            {
                return Ok(Checked::Duplicate(known));
            }
            self.check_verified(batch, origin, guard)?;
            let append = Append {
                origin,
                known: entry,
                verification: self.verification.get(batch.producer_id),
            };
            append.add(batch, &mut update)?;
        }
        Ok(Checked::New(update))
    }

    /// A transaction may only begin here when its coordinator has this partition on its list
    /// (KIP-890); otherwise a late write could leave a transaction that nobody ends.
    fn check_verified(
        &self,
        batch: &ProducerBatch,
        origin: Origin,
        guard: VerificationGuard,
    ) -> Result<(), ProducerError> {
        let verified_origin = matches!(origin, Origin::Client | Origin::Coordinator);
        let needed = self.settings.verification_enabled
            && verified_origin
            && batch.kind == BatchKind::Transactional
            && !self.has_ongoing_txn(batch.producer_id, batch.producer_epoch);
        if needed && !self.verification.verifies(batch.producer_id, guard) {
            return Err(ProducerError::InvalidTxnState {
                producer_id: batch.producer_id,
                offset: batch.base_offset,
                reason: "the transaction was not verified to include the partition",
            });
        }
        Ok(())
    }

    /// Makes the change of an append that has been written. `end_offset` is the offset behind it.
    /// Returns the transactions that it ended: the aborted ones belong into the transaction index.
    pub fn apply(&mut self, update: Update, end_offset: i64) -> Vec<CompletedTxn> {
        for &(first_offset, producer_id) in &update.started_txns {
            self.ongoing_txns.insert(first_offset, producer_id);
        }
        for (producer_id, entry) in update.entries {
            if update.transactional.contains(&producer_id) {
                // Either the transaction now has a first offset here or it has ended.
                self.verification.remove(producer_id);
            }
            self.producers.insert(producer_id, entry);
        }
        let mut completed = update.completed_txns;
        for txn in &mut completed {
            let mut others = self.ongoing_txns.iter();
            let next = others.find(|&(_, &producer_id)| producer_id != txn.producer_id);
            txn.last_stable_offset = next.map_or(txn.last_offset + 1, |(&first, _)| first);
            self.ongoing_txns.remove(&txn.first_offset);
            self.unreplicated_txns.insert(txn.first_offset, txn.last_offset);
        }
        self.map_end_offset = end_offset;
        completed
    }

    /// [`check`](Self::check) and [`apply`](Self::apply) for batches that stand in the log already,
    /// when the state is rebuilt from it.
    ///
    /// # Errors
    /// [`ProducerError::InvalidTxnState`] when a batch contradicts an open transaction; epochs and
    /// sequences are taken as they are.
    pub fn replay(
        &mut self,
        batches: &[ProducerBatch],
        end_offset: i64,
    ) -> Result<Vec<CompletedTxn>, ProducerError> {
        if let [batch] = batches
            && let Some(entry) = self.producers.get_mut(&batch.producer_id)
            && entry.is_continued_by(batch)
        {
            // Nearly all of a log. It cannot fail and needs no copy of the entry, which would take
            // longer than all else that is done for a small batch.
            entry.take(batch);
            if batch.kind == BatchKind::Transactional {
                self.verification.remove(batch.producer_id);
            }
            self.map_end_offset = end_offset;
            return Ok(Vec::new());
        }
        match self.check(batches, Origin::Replication, VerificationGuard::NONE)? {
            Checked::New(update) => Ok(self.apply(update, end_offset)),
            Checked::Duplicate(_) => unreachable!("only a client's batches can be duplicates"),
        }
    }

    /// The first offset that may still be aborted or is not known to be replicated; the last stable
    /// offset stays at or below it. `None` when there is no such offset.
    pub fn first_unstable_offset(&self) -> Option<i64> {
        let unreplicated = self.unreplicated_txns.keys().next();
        let undecided = self.ongoing_txns.keys().next();
        unreplicated.into_iter().chain(undecided).min().copied()
    }

    /// Transactions whose marker is below the high watermark are done with.
    pub fn on_high_watermark(&mut self, high_watermark: i64) {
        self.unreplicated_txns.retain(|_, marker_offset| high_watermark <= *marker_offset);
    }

    /// The log now begins at `log_start_offset`. Producers are kept even when their batches are
    /// gone.
    pub fn on_log_start_offset(&mut self, log_start_offset: i64, newest_snapshot: Option<i64>) {
        self.unreplicated_txns.retain(|_, marker_offset| log_start_offset <= *marker_offset);
        self.map_end_offset = self.map_end_offset.max(log_start_offset);
        self.last_snapshot_offset = newest_snapshot.unwrap_or(log_start_offset);
    }

    /// Whether the producer has an open transaction here, in this epoch.
    pub fn has_ongoing_txn(&self, producer_id: i64, producer_epoch: i16) -> bool {
        self.producers.get(&producer_id).is_some_and(|entry| {
            entry.producer_epoch == producer_epoch && entry.current_txn_first_offset.is_some()
        })
    }

    /// Begins the check with the coordinator that a producer's transaction includes this partition.
    /// The guard goes with the append; an append by another route in between (which ends or begins
    /// a transaction) makes it worthless. [`VerificationGuard::NONE`] when there is nothing to
    /// verify because a transaction is open already.
    pub fn start_verification(&mut self, request: VerificationRequest) -> VerificationGuard {
        if self.has_ongoing_txn(request.producer_id, request.producer_epoch) {
            return VerificationGuard::NONE;
        }
        self.verification.start(request)
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms` and have no open
    /// transaction. Time is told by their records, not by the clock at the append. Returns how many
    /// went.
    pub fn expire(&mut self, now_ms: i64) -> usize {
        let expiration_ms = self.settings.producer_id_expiration_ms;
        let before = self.producers.len();
        self.producers.retain(|_, entry| !entry.is_expired(now_ms, expiration_ms));
        self.verification.expire(now_ms, expiration_ms);
        before - self.producers.len()
    }

    /// The offset for a snapshot of the state as it is; `None` when one was taken since it changed.
    pub fn snapshot_due(&self) -> Option<i64> {
        (self.last_snapshot_offset < self.map_end_offset).then_some(self.map_end_offset)
    }

    /// A snapshot at `offset` now exists.
    pub fn on_snapshot_taken(&mut self, offset: i64) {
        self.last_snapshot_offset = offset;
    }

    /// Forgets everything: the log is empty and begins at `log_start_offset`.
    pub fn reset(&mut self, log_start_offset: i64) {
        *self = Self {
            verification: std::mem::take(&mut self.verification),
            ..Self::new(self.settings, log_start_offset)
        };
    }

    /// Starts again from a snapshot at `offset`, without the producers in it that have expired.
    pub fn restore(&mut self, offset: i64, producers: Vec<(i64, ProducerEntry)>, now_ms: i64) {
        self.reset(offset);
        let expiration_ms = self.settings.producer_id_expiration_ms;
        for (producer_id, entry) in producers {
            if entry.is_expired(now_ms, expiration_ms) {
                continue;
            }
            if let Some(first_offset) = entry.current_txn_first_offset {
                self.ongoing_txns.insert(first_offset, producer_id);
            }
            self.producers.insert(producer_id, entry);
        }
    }
}

#[cfg(test)]
mod tests;
