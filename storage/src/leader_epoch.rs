//! Leader epochs of one log: which epoch began at which offset (KIP-101, KIP-320).
//!
//! [`LeaderEpochCache`] is the rule; [`read`] and [`write()`] keep it in `leader-epoch-checkpoint`:
//!
//! ```text
//! 0
//! 2
//! 0 0
//! 3 151
//! ```
//!
//! Both columns strictly increase. What a follower or consumer asks for is where an epoch ended,
//! which is where the next one began.

use std::io;
use std::path::Path;

use crate::checkpoint::{self, CheckpointError};
use crate::disk::Disk;
use crate::whole_file::{self, WholeFileError};

/// Stands for "no epoch" and "no offset" in answers.
pub const UNDEFINED: EpochEnd = EpochEnd { leader_epoch: -1, end_offset: -1 };

/// An epoch and the first offset that was appended in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader epoch, from 0.
    pub epoch: i32,
    /// The log end offset when it began.
    pub start_offset: i64,
}

/// Where an epoch ended; both -1 when unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch of the log that is not above the one asked for.
    pub leader_epoch: i32,
    /// The offset behind its last record.
    pub end_offset: i64,
}

/// The epochs of one log, ascending.
///
/// Methods that change it say whether they did; the caller then writes the file (at once after
/// [`assign`](Self::assign), at leisure after a truncation, since a stale file is repaired when the
/// log is loaded).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochCache {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochCache {
    /// All entries, ascending.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The oldest epoch that the log still holds records of.
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// Notes that `entry.epoch` began at `entry.start_offset`. Entries that contradict it, with an
    /// epoch or a start not below its, are dropped: the log was truncated there since.
    ///
    /// # Errors
    /// [`CheckpointError::Meaning`] for a negative epoch or offset.
    pub fn assign(&mut self, entry: EpochEntry) -> Result<bool, CheckpointError> {
        if entry.epoch < 0 || entry.start_offset < 0 {
            let reason = "leader epoch or start offset is negative";
            return Err(CheckpointError::Meaning { reason });
        }
        if let Some(latest) = self.latest()
            && latest.epoch == entry.epoch
            && latest.start_offset <= entry.start_offset
        {
            return Ok(false);
        }
        while self.latest().is_some_and(|last| {
            entry.epoch <= last.epoch || entry.start_offset <= last.start_offset
        }) {
            self.entries.pop();
        }
        self.entries.push(entry);
        Ok(true)
    }

    /// Drops the epochs that began at or behind `end_offset`.
    pub fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Forgets what lies before `start_offset`. The epoch that it falls into then begins there.
    pub fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let dropped = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(within) = dropped.checked_sub(1) else { return false };
        if within == 0 && self.entries[0].start_offset == start_offset {
            return false;
        }
        self.entries[within].start_offset = start_offset;
        self.entries.drain(..within);
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) -> bool {
        let changed = !self.entries.is_empty();
        self.entries.clear();
        changed
    }

    /// The epoch in which the record at `offset` was appended, if the log knows.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        let above = self.entries.partition_point(|entry| entry.start_offset <= offset);
        above.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// The newest epoch below `epoch`.
    pub fn previous_epoch(&self, epoch: i32) -> Option<i32> {
        let at = self.entries.partition_point(|entry| entry.epoch < epoch);
        at.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// Where `requested` ended, or the newest epoch below it when the log has no record of it.
    /// [`UNDEFINED`] when it is -1 or above the latest one.
    pub fn end_offset_for(&self, requested: i32, log_end_offset: i64) -> EpochEnd {
        if requested == UNDEFINED.leader_epoch {
            return UNDEFINED;
        }
        if self.latest().is_some_and(|latest| latest.epoch == requested) {
            return EpochEnd { leader_epoch: requested, end_offset: log_end_offset };
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= requested);
        let Some(next) = self.entries.get(above) else { return UNDEFINED };
        let leader_epoch = above.checked_sub(1).map_or(requested, |at| self.entries[at].epoch);
        EpochEnd { leader_epoch, end_offset: next.start_offset }
    }

    /// The checkpoint's text.
    pub fn encode(&self) -> Vec<u8> {
        let lines = self.entries.iter();
        checkpoint::encode_lines(
            lines.map(|entry| format!("{} {}", entry.epoch, entry.start_offset)),
        )
    }

    /// Reads the checkpoint's text. Lines that contradict later ones are dropped, as
    /// [`assign`](Self::assign) does.
    ///
    /// # Errors
    /// [`CheckpointError`], as Kafka would fail.
    pub fn decode(text: &[u8]) -> Result<Self, CheckpointError> {
        let entries = checkpoint::decode_lines(text, |[epoch, start_offset]| {
            Some(EpochEntry {
                epoch: epoch.parse().ok()?,
                start_offset: start_offset.parse().ok()?,
            })
        })?;
        let mut cache = Self::default();
        for entry in entries {
            cache.assign(entry)?;
        }
        Ok(cache)
    }
}

/// Reads the checkpoint at `path`; a missing or empty file has no epochs.
///
/// # Errors
/// What the disk says, or what is wrong with the text.
pub fn read(
    disk: &dyn Disk,
    path: &Path,
) -> Result<LeaderEpochCache, WholeFileError<CheckpointError>> {
    Ok(whole_file::read_as(disk, path, LeaderEpochCache::decode)?.unwrap_or_default())
}

/// Replaces the checkpoint at `path`, durably.
///
/// # Errors
/// What the disk says.
pub fn write(disk: &dyn Disk, path: &Path, cache: &LeaderEpochCache) -> io::Result<()> {
    whole_file::replace(disk, path, &cache.encode())
}

#[cfg(test)]
mod tests;
