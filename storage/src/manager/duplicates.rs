//! The same partition in two log directories.
//!
//! A partition whose creation fails in one directory is made in another, and is there twice when
//! the first is back. A copy that never had a record is nobody's loss; of two that had some, nobody
//! but the operator can tell which is to go.

use std::path::Path;
use std::sync::Arc;

use super::damaged::DamagedLog;
use super::dirs::LockedDirs;
use super::load::Loaded;
use super::{ManagerError, stray};
use crate::log::PartitionLog;
use crate::partition_dir::TopicPartition;

impl LockedDirs {
    /// Adds a log that was opened, unless it is the copy that is set aside.
    pub(super) fn add_log(
        &self,
        all: &mut Loaded,
        log: Arc<PartitionLog>,
    ) -> Result<(), ManagerError> {
        let topic_partition = log.topic_partition().clone();
        let other = all.logs.get(&topic_partition).cloned();
        let damaged = all.damaged.get(&topic_partition).cloned();
        let Some(other_dir) = dir_of(other.as_ref(), damaged.as_ref()) else {
            all.logs.insert(topic_partition, log);
            return Ok(());
        };
        if is_unused(&log) {
            return self.set_aside_unused(all, &log);
        }
        match &other {
            Some(other) if is_unused(other) => {
                self.set_aside_unused(all, other)?;
                all.logs.insert(topic_partition, log);
                Ok(())
            }
            _ => Err(duplicate(&topic_partition, other_dir, log.dir())),
        }
    }

    /// Adds a log that is damaged: whether it ever had records nobody can tell, so it counts as one
    /// that had.
    pub(super) fn add_damaged(
        &self,
        all: &mut Loaded,
        log: Arc<DamagedLog>,
    ) -> Result<(), ManagerError> {
        let topic_partition = log.topic_partition.clone();
        if let Some(other) = all.damaged.get(&topic_partition) {
            return Err(duplicate(&topic_partition, &other.dir, &log.dir));
        }
        if let Some(other) = all.logs.get(&topic_partition).cloned() {
            if !is_unused(&other) {
                return Err(duplicate(&topic_partition, other.dir(), &log.dir));
            }
            self.set_aside_unused(all, &other)?;
            all.logs.remove(&topic_partition);
        }
        all.damaged.insert(topic_partition, log);
        Ok(())
    }

    fn set_aside_unused(
        &self,
        all: &mut Loaded,
        log: &Arc<PartitionLog>,
    ) -> Result<(), ManagerError> {
        log.abandon();
        let why = "has no record and is in another log directory too";
        stray::set_aside(&*self.disk, log.topic_partition(), log.dir(), why)?;
        if !all.stale.iter().any(|dir| Arc::ptr_eq(dir, log.log_dir())) {
            all.stale.push(Arc::clone(log.log_dir()));
        }
        Ok(())
    }
}

/// Whether a log never had a record.
fn is_unused(log: &PartitionLog) -> bool {
    log.size_bytes() == 0 && log.offsets().log_end_offset == 0
}

fn dir_of<'a>(
    log: Option<&'a Arc<PartitionLog>>,
    damaged: Option<&'a Arc<DamagedLog>>,
) -> Option<&'a Path> {
    log.map(|log| log.dir()).or(damaged.map(|log| &*log.dir))
}

fn duplicate(topic_partition: &TopicPartition, one: &Path, other: &Path) -> ManagerError {
    ManagerError::Duplicate {
        topic_partition: topic_partition.clone(),
        dirs: [one.to_owned(), other.to_owned()],
    }
}
