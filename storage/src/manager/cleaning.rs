//! What cleaner threads share: which log is next, which are at work, which cannot be cleaned, and
//! how far each is clean.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::{LogManager, RetentionReport};
use crate::checkpoint::{self, CLEANER_OFFSET_CHECKPOINT, Offsets};
use crate::cleaner::{Cleanable, LogFacts, SegmentFacts};
use crate::error::{StorageError, StorageErrorKind};
use crate::log::PartitionLog;
use crate::log_dir::LogDir;
use crate::partition_dir::TopicPartition;
use crate::retention::TrustedNow;
use crate::segment::Segment;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cleanings {
    at_work: HashSet<TopicPartition>,
    uncleanable: HashSet<TopicPartition>,
    /// Whose last cleaning did not get to its end: the others come first.
    passed_over: HashSet<TopicPartition>,
    /// The checkpoints of log directories, by path, as far as they were read.
    cleaned: HashMap<PathBuf, Offsets>,
}

/// A log that a cleaner thread works at; given back when dropped.
pub(crate) struct Claim<'a> {
    manager: &'a LogManager,
    log: Arc<PartitionLog>,
}

impl Claim<'_> {
    pub(crate) fn log(&self) -> &Arc<PartitionLog> {
        &self.log
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whoever tries it again would panic again.
            self.manager.note_uncleanable(&self.log, &"a panic");
        }
        self.manager.cleanings().at_work.remove(self.log.topic_partition());
    }
}

impl LogManager {
    fn cleanings(&self) -> MutexGuard<'_, Cleanings> {
        self.cleanings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the log with the largest dirty share of those that are worth a cleaning. One whose
    /// last cleaning failed comes behind all others: what keeps it from being cleaned, a full disk
    /// say, need not keep them.
    pub(crate) fn claim_dirtiest(&self, now_ms: i64) -> Option<Claim<'_>> {
        let mut best: Option<(bool, f64, Arc<PartitionLog>)> = None;
        for log in self.logs() {
            if !log.config().cleanup_compact || !log.log_dir().is_online() {
                continue;
            }
            let is_passed_over = {
                let cleanings = self.cleanings();
                let topic_partition = log.topic_partition();
                if cleanings.at_work.contains(topic_partition)
                    || cleanings.uncleanable.contains(topic_partition)
                {
                    continue;
                }
                cleanings.passed_over.contains(topic_partition)
            };
            match self.cleanable(&log, now_ms) {
                Ok(Some(cleanable)) => {
                    let rank = (!is_passed_over, cleanable.ratio());
                    if best.as_ref().is_none_or(|best| rank > (best.0, best.1)) {
                        best = Some((rank.0, rank.1, log));
                    }
                }
                Ok(None) => {}
                Err(error) if error.kind() == StorageErrorKind::Corrupt => {
                    self.note_uncleanable(&log, &error);
                }
                Err(error) => {
                    log::warn!("{}: cannot see what is dirty: {error}", log.topic_partition());
                }
            }
        }
        let (.., log) = best?;
        self.claim(log)
    }

    /// Takes a log, unless somebody has it.
    fn claim(&self, log: Arc<PartitionLog>) -> Option<Claim<'_>> {
        let claimed = self.cleanings().at_work.insert(log.topic_partition().clone());
        claimed.then_some(Claim { manager: self, log })
    }

    /// Notes how a cleaning ended: the log comes behind all others the next time, or not.
    pub(crate) fn note_ended(&self, log: &PartitionLog, is_done: bool) {
        let mut cleanings = self.cleanings();
        if is_done {
            cleanings.passed_over.remove(log.topic_partition());
        } else {
            cleanings.passed_over.insert(log.topic_partition().clone());
        }
    }

    /// The parts of a log, if it is worth a cleaning or must be cleaned.
    pub(crate) fn cleanable(
        &self,
        log: &PartitionLog,
        now_ms: i64,
    ) -> Result<Option<Cleanable>, StorageError> {
        let config = log.config();
        // The offsets first: segments are only added behind them.
        let offsets = log.offsets();
        let all = log.segments_now();
        let segments: Vec<_> = all
            .iter()
            .map(|segment| SegmentFacts {
                base_offset: segment.base_offset(),
                size_bytes: segment.size(),
            })
            .collect();
        let facts = LogFacts {
            segments: &segments,
            log_start_offset: offsets.log_start_offset,
            last_stable_offset: offsets.last_stable_offset,
            log_end_offset: offsets.log_end_offset,
        };
        let checkpoint = self.cleaned_offset(log);
        let first_dirty_offset = facts.first_dirty_offset(checkpoint);
        let dirty = facts.sealed_from(first_dirty_offset);
        if facts.cleanable(first_dirty_offset, None).cleanable_bytes == 0 {
            return Ok(None);
        }
        let mut young = None;
        if config.min_compaction_lag_ms > 0 {
            let young_from_ms = now_ms.saturating_sub(config.min_compaction_lag_ms);
            for n in dirty.clone() {
                if closed_again(&all[n], Segment::largest_timestamp_ms)? > young_from_ms {
                    young = Some(n);
                    break;
                }
            }
        }
        let mut must_now = false;
        if config.max_compaction_lag_ms < i64::MAX {
            let old_to_ms = now_ms.saturating_sub(config.max_compaction_lag_ms.max(0));
            for n in dirty {
                let first = closed_again(&all[n], Segment::first_timestamp_ms)?;
                must_now |= first.is_some_and(|first| 0 < first && first < old_to_ms);
            }
        }
        let cleanable = facts.cleanable(first_dirty_offset, young);
        let is_due = cleanable.is_due(config.min_cleanable_dirty_ratio, must_now);
        Ok(is_due.then_some(cleanable))
    }

    /// Leaves a log alone from now on, until the next start or until it is deleted.
    pub(crate) fn note_uncleanable(&self, log: &Arc<PartitionLog>, why: &dyn std::fmt::Display) {
        let topic_partition = log.topic_partition();
        let mut cleanings = self.cleanings();
        // It may have been deleted meanwhile, and made anew.
        if self.get(topic_partition).is_some_and(|present| Arc::ptr_eq(&present, log)) {
            cleanings.uncleanable.insert(topic_partition.clone());
            log::error!("{topic_partition} cannot be compacted and is left as it is: {why}");
        }
    }

    /// Partitions whose logs could not be compacted, in no order.
    pub fn uncleanable(&self) -> Vec<TopicPartition> {
        self.cleanings().uncleanable.iter().cloned().collect()
    }

    /// Below which offset a log is clean, from the checkpoint; `None` when it was never cleaned.
    pub fn cleaned_offset(&self, log: &PartitionLog) -> Option<i64> {
        let mut cleanings = self.cleanings();
        let offsets = self.offsets_of(&mut cleanings, log.log_dir());
        offsets.get(log.topic_partition()).copied()
    }

    fn offsets_of<'a>(&self, cleanings: &'a mut Cleanings, log_dir: &LogDir) -> &'a mut Offsets {
        cleanings.cleaned.entry(log_dir.path().to_owned()).or_insert_with(|| {
            let path = log_dir.path().join(CLEANER_OFFSET_CHECKPOINT);
            checkpoint::read_offsets(&*self.disk, &path).unwrap_or_else(|error| {
                // All is dirty then, which costs time only.
                log::warn!("{error}; going on without it");
                Offsets::new()
            })
        })
    }

    /// Writes down that a log is clean below `offset`.
    pub(crate) fn set_cleaned(&self, log: &PartitionLog, offset: i64) -> Result<(), StorageError> {
        self.change_cleaned(log.log_dir(), true, |offsets| {
            offsets.insert(log.topic_partition().clone(), offset) != Some(offset)
        })
    }

    /// Forgets what deleted logs of a directory were.
    pub(super) fn forget_cleaned<'a>(
        &self,
        log_dir: &Arc<LogDir>,
        gone: impl Iterator<Item = &'a TopicPartition> + Clone,
    ) -> Result<(), StorageError> {
        {
            let mut cleanings = self.cleanings();
            for topic_partition in gone.clone() {
                cleanings.uncleanable.remove(topic_partition);
                cleanings.passed_over.remove(topic_partition);
            }
        }
        self.change_cleaned(log_dir, false, |offsets| {
            let before = offsets.len();
            gone.for_each(|gone| _ = offsets.remove(gone));
            offsets.len() < before
        })
    }

    /// Forgets what the checkpoints say of logs that there are no longer, or that have lost what
    /// was clean. Else it would be taken for clean what is appended in its place, once the log is
    /// as long again.
    pub(super) fn forget_lost(&self) {
        for log_dir in self.log_dirs().filter(|log_dir| log_dir.is_online()) {
            let changed = self.change_cleaned(log_dir, false, |offsets| {
                let before = offsets.len();
                offsets.retain(|topic_partition, offset| {
                    if self.damaged_log(topic_partition).is_some() {
                        return true;
                    }
                    let log = self.get(topic_partition);
                    let log = log.filter(|log| Arc::ptr_eq(log.log_dir(), log_dir));
                    log.is_some_and(|log| *offset <= log.offsets().log_end_offset)
                });
                offsets.len() < before
            });
            if let Err(error) = changed {
                log::warn!("{error}");
            }
        }
    }

    /// Truncates a log as [`PartitionLog::truncate_to`] does, and writes the checkpoints that must
    /// not stay above its end. What is appended in the place of what was cut off is dirty.
    ///
    /// # Errors
    /// What the disk says.
    pub fn truncate_to(
        &self,
        log: &Arc<PartitionLog>,
        offset: i64,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        if log.begin_truncation(offset) {
            // Before the cut: a start that finds less than is vouched for takes it for damage.
            self.checkpoint_recovery_points_of(log.log_dir())?;
        }
        log.truncate_to(offset, now_ms)?;
        self.checkpoint_dir(log.log_dir())?;
        let active_base_offset =
            log.segments_now().last().map_or(0, |segment| segment.base_offset());
        self.change_cleaned(log.log_dir(), false, |offsets| {
            let cleaned = offsets.get_mut(log.topic_partition());
            let above = cleaned.filter(|cleaned| **cleaned > active_base_offset);
            above.map(|cleaned| *cleaned = active_base_offset).is_some()
        })
    }

    /// Changes a directory's checkpoint, and writes it if `change` says that it is another. What is
    /// not written does not count if it is a gain; what is to be forgotten is forgotten anyway.
    fn change_cleaned(
        &self,
        log_dir: &Arc<LogDir>,
        is_gain: bool,
        change: impl FnOnce(&mut Offsets) -> bool,
    ) -> Result<(), StorageError> {
        // One writer at a time, and what is written last is what was changed last.
        let _turn = log_dir.checkpoint_turn();
        let mut offsets = self.offsets_of(&mut self.cleanings(), log_dir).clone();
        if !change(&mut offsets) {
            return Ok(());
        }
        let path = log_dir.path().join(CLEANER_OFFSET_CHECKPOINT);
        log_dir.check()?;
        let written = checkpoint::write_offsets(&*self.disk, &path, &offsets);
        if written.is_ok() || !is_gain {
            *self.offsets_of(&mut self.cleanings(), log_dir) = offsets;
        }
        log_dir.watch(written.map_err(StorageError::io("write", &path)))
    }

    /// Retention of compacted logs, between cleanings: of those that are deleted from too, old
    /// segments go; of all, those below the log start.
    pub fn delete_old_segments_of_compacted(&self, now: TrustedNow) -> RetentionReport {
        let mut report = RetentionReport::default();
        let dirs: Vec<_> = self.log_dirs().filter(|dir| dir.is_online()).cloned().collect();
        for log_dir in dirs {
            let mut logs = self.logs_in(&log_dir);
            logs.retain(|log| log.config().cleanup_compact);
            // What a cleaning takes away is not to be counted as there.
            let claims: Vec<_> = logs.into_iter().filter_map(|log| self.claim(log)).collect();
            let logs: Vec<_> = claims.iter().map(|claim| Arc::clone(&claim.log)).collect();
            self.retain_in(&log_dir, &logs, now, &mut report);
        }
        report
    }
}

/// Looks into a segment, and closes it again if it was closed: the look is at many.
fn closed_again<T: Default>(
    segment: &Arc<Segment>,
    look: impl FnOnce(&Arc<Segment>) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let was_open = segment.is_open();
    let found = look(segment);
    if !was_open {
        segment.release();
    }
    // A segment that went meanwhile is not what makes a log dirty.
    match found {
        Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(T::default())
        }
        Err(error) if error.kind() == StorageErrorKind::Closed => Ok(T::default()),
        found => found,
    }
}
