//! Work that comes round: flushes, checkpoints, expiry. Each is to be called at the interval of the
//! setting that is named with it.

use std::sync::Arc;

use super::damaged::Checkpointed;
use super::{LogManager, for_each};
use crate::checkpoint::{
    self, LOG_START_OFFSET_CHECKPOINT, Offsets, RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT,
};
use crate::error::StorageError;
use crate::log::PartitionLog;
use crate::log_dir::LogDir;

impl LogManager {
    /// `log.flush.scheduler.interval.ms`, and a second or so: flushes logs that have waited for
    /// `flush.ms`, and segments that were sealed since the last time.
    ///
    /// # Errors
    /// The first failure; its directory is offline, the others were served.
    pub fn flush_due(&self, now_ms: i64) -> Result<(), StorageError> {
        for_each(self.logs(), |log| log.flush_if_due(now_ms))
    }

    /// `log.flush.offset.checkpoint.interval.ms`: writes the recovery points.
    ///
    /// # Errors
    /// The first failure. A full disk only makes the next recovery longer.
    pub fn checkpoint_recovery_points(&self) -> Result<(), StorageError> {
        self.for_each_online(|log_dir| self.checkpoint_recovery_points_of(log_dir))
    }

    pub(crate) fn checkpoint_recovery_points_of(
        &self,
        log_dir: &Arc<LogDir>,
    ) -> Result<(), StorageError> {
        let kept = |kept: Checkpointed| kept.recovery_point;
        let current = |log: &PartitionLog| Some(log.recovery_point());
        self.write_checkpoint(log_dir, RECOVERY_POINT_CHECKPOINT, kept, current)
    }

    /// `log.flush.start.offset.checkpoint.interval.ms`: writes log start offsets, of logs that
    /// begin inside a segment.
    ///
    /// # Errors
    /// The first failure.
    pub fn checkpoint_log_start_offsets(&self) -> Result<(), StorageError> {
        self.for_each_online(|log_dir| self.checkpoint_log_starts_of(log_dir))
    }

    pub(super) fn checkpoint_log_starts_of(
        &self,
        log_dir: &Arc<LogDir>,
    ) -> Result<(), StorageError> {
        let kept = |kept: Checkpointed| kept.log_start_offset;
        self.write_checkpoint(log_dir, LOG_START_OFFSET_CHECKPOINT, kept, |log| {
            let log_start_offset = log.offsets().log_start_offset;
            (log_start_offset > log.first_segment_base_offset()).then_some(log_start_offset)
        })
    }

    /// `replica.high.watermark.checkpoint.interval.ms`: writes the high watermarks.
    ///
    /// # Errors
    /// The first failure.
    pub fn checkpoint_high_watermarks(&self) -> Result<(), StorageError> {
        self.for_each_online(|log_dir| {
            let kept = |kept: Checkpointed| kept.high_watermark;
            self.write_checkpoint(log_dir, REPLICATION_OFFSET_CHECKPOINT, kept, |log| {
                Some(log.offsets().high_watermark)
            })
        })
    }

    /// `producer.id.expiration.check.interval.ms`: forgets silent producers. Returns how many.
    pub fn expire_producers(&self, now_ms: i64) -> usize {
        self.logs().iter().map(|log| log.expire_producers(now_ms)).sum()
    }

    /// Writes the two checkpoints that a load reads first, for one directory.
    pub(super) fn checkpoint_dir(&self, log_dir: &Arc<LogDir>) -> Result<(), StorageError> {
        self.checkpoint_recovery_points_of(log_dir)?;
        self.checkpoint_log_starts_of(log_dir)
    }

    fn for_each_online(
        &self,
        work: impl FnMut(&Arc<LogDir>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        for_each(self.log_dirs().filter(|log_dir| log_dir.is_online()), work)
    }

    /// Writes what `offset` says of each log, and what was there of those that are damaged.
    fn write_checkpoint(
        &self,
        log_dir: &Arc<LogDir>,
        name: &str,
        kept: impl Fn(Checkpointed) -> Option<i64>,
        offset: impl Fn(&PartitionLog) -> Option<i64>,
    ) -> Result<(), StorageError> {
        let path = log_dir.path().join(name);
        let mut offsets = Offsets::new();
        // One writer at a time: both write the same temporary file.
        let _turn = log_dir.checkpoint_turn();
        log_dir.check()?;
        for log in self.logs_in(log_dir) {
            if let Some(offset) = offset(&log) {
                offsets.insert(log.topic_partition().clone(), offset);
            }
        }
        for log in self.damaged_in(log_dir) {
            if let Some(offset) = kept(log.checkpointed) {
                offsets.insert(log.topic_partition.clone(), offset);
            }
        }
        let written = checkpoint::write_offsets(&*self.disk, &path, &offsets);
        log_dir.watch(written.map_err(StorageError::io("write", &path)))
    }
}
