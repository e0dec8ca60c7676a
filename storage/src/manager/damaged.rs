//! Partitions whose logs are damaged where they were durable: known, and left alone.
//!
//! No record of such a partition changes until somebody repairs or deletes it. What the checkpoints
//! say of it stays in them, and that its recovery point could not be read is written there, so that
//! the next start decides as this one did. Its directory is not marked as cleanly stopped, for a
//! start after that would trust what is damaged.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::LogManager;
use crate::checkpoint::RECOVERY_POINT_UNKNOWN;
use crate::log::{Cut, LogDamage};
use crate::log_dir::LogDir;
use crate::partition_dir::TopicPartition;

/// A partition that is offline, alone.
#[derive(Clone, Debug)]
pub struct DamagedLog {
    /// Which one.
    pub topic_partition: TopicPartition,
    /// The log directory it is in.
    pub log_dir: Arc<LogDir>,
    /// The partition's directory.
    pub dir: PathBuf,
    /// What is wrong.
    pub damage: LogDamage,
    /// Bytes of all its `.log` files.
    pub size_bytes: u64,
    /// What the checkpoints said of it at the start.
    pub checkpointed: Checkpointed,
}

/// The entries of one partition in the checkpoints of its log directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpointed {
    /// Its recovery point; [`RECOVERY_POINT_UNKNOWN`] when the checkpoint could not be read.
    pub recovery_point: Option<i64>,
    /// Its log start offset.
    pub log_start_offset: Option<i64>,
    /// Its high watermark.
    pub high_watermark: Option<i64>,
}

impl Checkpointed {
    /// What may be cut off the log.
    pub(super) fn cut(self) -> Cut {
        match self.recovery_point {
            // Anything may have been durable.
            Some(..=RECOVERY_POINT_UNKNOWN) => Cut::TornEndFrom(0),
            _ => Cut::AboveRecoveryPoint,
        }
    }
}

impl LogManager {
    /// The partitions that are damaged, in no order.
    pub fn damaged(&self) -> Vec<Arc<DamagedLog>> {
        let damaged = self.damaged.read().unwrap_or_else(PoisonError::into_inner);
        damaged.values().map(Arc::clone).collect()
    }

    /// A partition that is damaged.
    pub fn damaged_log(&self, topic_partition: &TopicPartition) -> Option<Arc<DamagedLog>> {
        let damaged = self.damaged.read().unwrap_or_else(PoisonError::into_inner);
        damaged.get(topic_partition).map(Arc::clone)
    }

    pub(super) fn damaged_in(&self, log_dir: &Arc<LogDir>) -> Vec<Arc<DamagedLog>> {
        let mut damaged = self.damaged();
        damaged.retain(|log| Arc::ptr_eq(&log.log_dir, log_dir));
        damaged
    }

    pub(super) fn forget_damaged(&self, topic_partition: &TopicPartition) {
        let mut damaged = self.damaged.write().unwrap_or_else(PoisonError::into_inner);
        damaged.remove(topic_partition);
    }
}
