//! The metadata log's directory when it is none of `log.dirs`: locked by itself, and without
//! partitions.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_storage::disk::Disk;
use ottla_storage::log_dir::LogDir;
use ottla_storage::manager::{LockedDirs, ManagerConfig, ManagerError};

use crate::broker::manager_config;
use crate::config::BrokerConfig;

/// That directory; nothing when `log.dirs` has it.
pub(crate) struct Apart {
    locked: Option<LockedDirs>,
    /// The directory was not there before.
    made: Option<PathBuf>,
}

impl Apart {
    /// Makes the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// Another broker has it, or it cannot be used.
    pub(crate) fn lock(config: &BrokerConfig, disk: &Arc<dyn Disk>) -> Result<Self, ManagerError> {
        let home = &config.metadata_log_dir;
        if config.log_dirs.contains(home) {
            return Ok(Self { locked: None, made: None });
        }
        let made = (!disk.exists(home).unwrap_or(true)).then(|| home.clone());
        let manager = ManagerConfig { dirs: vec![home.clone()], ..manager_config(config) };
        Ok(Self { locked: Some(LockedDirs::lock(manager, Arc::clone(disk))?), made })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> Option<&Arc<LogDir>> {
        self.locked.as_ref()?.log_dirs().next()
    }

    /// Lets it go, for a start that failed: as it was before.
    pub(crate) fn release(self, disk: &dyn Disk) {
        if let Some(locked) = self.locked {
            locked.release();
        }
        if let Some(made) = self.made {
            // Still empty, or else this does nothing.
            drop(disk.remove_dir(&made));
        }
    }

    /// Lets it go after an orderly stop.
    pub(crate) fn let_go(self) {
        if let Some(locked) = self.locked {
            locked.release();
        }
    }
}
