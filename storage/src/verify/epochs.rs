//! `leader-epoch-checkpoint`, held against the epochs of the batches as they go by.

use ottla_protocol::record::batch::MAGIC_V2;

use super::Found;
use crate::leader_epoch::{EpochEntry, LeaderEpochCache};

/// See the module.
#[derive(Debug)]
pub(super) struct EpochCheck {
    stored: Option<LeaderEpochCache>,
    derived: LeaderEpochCache,
    /// Batches of an old format, or epochs that fall: nothing can be derived.
    underivable: bool,
    /// The epochs of batches from here on must be stored.
    covered_from: i64,
    last_mismatch: Option<(i32, Option<i32>)>,
}

/// A batch whose epoch is not the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) batch_epoch: i32,
    pub(super) stored_epoch: Option<i32>,
    /// A start would learn of the epoch from the batch.
    pub(super) is_newest: bool,
}

impl EpochCheck {
    /// `stored` is `None` where the file is damaged. After an orderly stop it covers the log from
    /// `covered_from` on; a crash may leave it a later beginning than the log.
    pub(super) fn new(stored: Option<LeaderEpochCache>, covered_from: i64) -> Self {
        Self {
            covered_from,
            stored,
            derived: LeaderEpochCache::default(),
            underivable: false,
            last_mismatch: None,
        }
    }

    /// The next batch of the log. Of batches with the same mismatch one behind the other only the
    /// first is told.
    pub(super) fn see(&mut self, batch: &Found<'_>) -> Option<Mismatch> {
        if batch.magic < MAGIC_V2 {
            self.underivable |= self.derived.latest().is_some();
            return None;
        }
        let entry = EpochEntry { epoch: batch.leader_epoch, start_offset: batch.base_offset };
        match self.derived.latest() {
            Some(latest) if entry.epoch < latest.epoch => self.underivable = true,
            _ if entry.epoch < 0 => self.underivable = true,
            _ => self.underivable |= self.derived.assign(entry).is_err(),
        }
        let stored = self.stored.as_ref()?;
        let first = stored.earliest()?;
        if batch.base_offset < first.start_offset.min(self.covered_from) {
            return None;
        }
        let stored_epoch = stored.epoch_for_offset(batch.base_offset);
        let pair = (batch.leader_epoch, stored_epoch);
        if stored_epoch == Some(batch.leader_epoch) {
            self.last_mismatch = None;
            return None;
        }
        if self.last_mismatch.replace(pair) == Some(pair) {
            return None;
        }
        let is_newest = stored.latest().is_none_or(|latest| latest.epoch < batch.leader_epoch);
        Some(Mismatch { batch_epoch: batch.leader_epoch, stored_epoch, is_newest })
    }

    /// The newest stored entry, if it lies beyond the log's end.
    pub(super) fn beyond(&self, log_end_offset: i64) -> Option<EpochEntry> {
        let latest = self.stored.as_ref()?.latest()?;
        (latest.start_offset > log_end_offset).then_some(latest)
    }

    /// Whether there are batches with epochs and no stored one.
    pub(super) fn is_lost(&self) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.latest().is_none())
            && self.derived.latest().is_some()
    }

    /// What the batches say.
    pub(super) fn derived(&self) -> Option<Vec<EpochEntry>> {
        (!self.underivable).then(|| self.derived.entries().to_vec())
    }

    /// What the file says.
    pub(super) fn stored(&self) -> Option<Vec<EpochEntry>> {
        self.stored.as_ref().map(|stored| stored.entries().to_vec())
    }
}
