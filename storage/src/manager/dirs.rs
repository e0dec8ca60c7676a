//! Log directories, locked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{ManagerConfig, ManagerError};
use crate::disk::{Disk, DiskLock};
use crate::error::StorageError;
use crate::log::{LogEnvironment, OpenBudget};
use crate::log_dir::LogDir;
use crate::meta_properties::{self, MetaProperties};
use crate::whole_file::{WholeFileError, parent};

/// The file whose lock is held.
const LOCK_FILE: &str = ".lock";

/// One log directory.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) log_dir: Arc<LogDir>,
    /// `None` for a directory that could not be locked, and after an orderly stop.
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

/// Log directories that no other broker can use meanwhile, and whose logs are not yet opened.
#[derive(Debug)]
pub struct LockedDirs {
    pub(super) config: ManagerConfig,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dirs: Vec<Dir>,
    pub(super) open_segments: Arc<OpenBudget>,
}

/// Whose a log directory is.
#[derive(Clone, Debug)]
pub struct DirIdentity {
    /// The directory.
    pub log_dir: Arc<LogDir>,
    /// Its `meta.properties`; `None` when it has none yet.
    pub meta: Option<MetaProperties>,
}

impl LockedDirs {
    /// Makes the directories that are missing and locks all. One that fails is offline.
    ///
    /// # Errors
    /// [`ManagerError::DirInUse`] if another holds one; [`ManagerError::AllDirsOffline`] if none is
    /// left.
    pub fn lock(config: ManagerConfig, disk: Arc<dyn Disk>) -> Result<Self, ManagerError> {
        let mut dirs: Vec<Dir> = Vec::new();
        for path in &config.dirs {
            let log_dir = LogDir::new(path);
            let lock = match take(&*disk, path) {
                Ok(Some(lock)) => Some(lock),
                Ok(None) => {
                    dirs.iter().for_each(|dir| dir.unlock(&*disk));
                    return Err(ManagerError::DirInUse { dir: path.clone() });
                }
                Err(error) => {
                    log_dir.fail(&error);
                    None
                }
            };
            dirs.push(Dir { log_dir, lock: Mutex::new(lock) });
        }
        let open_segments = OpenBudget::new(config.open_segments_max);
        let locked = Self { config, disk, dirs, open_segments };
        match locked.all_offline() {
            Some(error) => Err(error),
            None => Ok(locked),
        }
    }

    /// Lets the directories go, without the lock files: for a broker that cannot start, and leaves
    /// what it found.
    pub fn release(self) {
        self.unlock();
    }

    pub(super) fn unlock(&self) {
        self.dirs.iter().for_each(|dir| dir.unlock(&*self.disk));
    }

    /// Changes settings before the logs are opened, but not which directories there are.
    pub fn set_config(&mut self, change: impl FnOnce(&mut ManagerConfig)) {
        change(&mut self.config);
    }

    /// The directories, in the order of the configuration. A caller that finds one unusable may
    /// take it offline with [`LogDir::take_offline`].
    pub fn log_dirs(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        self.dirs.iter().map(|dir| &dir.log_dir)
    }

    /// The `meta.properties` of every online directory, `None` where there is none yet.
    ///
    /// # Errors
    /// [`ManagerError::MetaProperties`] when one is damaged, and when they do not belong to the
    /// node `node_id` or to one cluster. Such a directory is not to be written to.
    pub fn meta_properties(&self, node_id: i32) -> Result<Vec<DirIdentity>, ManagerError> {
        let mut all = Vec::new();
        let mut present = Vec::new();
        for log_dir in self.log_dirs().filter(|log_dir| log_dir.is_online()) {
            let meta = match meta_properties::read(&*self.disk, log_dir.path()) {
                Ok(meta) => meta,
                Err(WholeFileError::Io { path, error }) => {
                    log_dir.fail(&StorageError::io("read", &path)(error));
                    continue;
                }
                Err(error @ WholeFileError::Content { .. }) => {
                    return Err(ManagerError::MetaProperties(error.to_string()));
                }
            };
            present.extend(meta.clone().map(|meta| (log_dir.path().to_owned(), meta)));
            all.push(DirIdentity { log_dir: Arc::clone(log_dir), meta });
        }
        meta_properties::verify(&present, node_id)
            .map_err(|conflict| ManagerError::MetaProperties(conflict.to_string()))?;
        match self.all_offline() {
            Some(error) => Err(error),
            None => Ok(all),
        }
    }

    /// What logs in a directory share; for the metadata log, which is opened before the others.
    pub fn environment(&self, log_dir: &Arc<LogDir>) -> LogEnvironment {
        LogEnvironment {
            disk: Arc::clone(&self.disk),
            log_dir: Arc::clone(log_dir),
            open_segments: Arc::clone(&self.open_segments),
        }
    }

    pub(super) fn all_offline(&self) -> Option<ManagerError> {
        if self.dirs.iter().any(|dir| dir.log_dir.is_online()) {
            return None;
        }
        let reasons = self.dirs.iter().filter_map(|dir| dir.log_dir.offline_reason()).collect();
        Some(ManagerError::AllDirsOffline { reasons })
    }
}

impl Dir {
    /// Removes the lock file, then lets the lock go.
    pub(super) fn unlock(&self, disk: &dyn Disk) {
        let path = self.path_of(LOCK_FILE);
        let mut lock = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lock.is_some()
            && let Err(error) = disk.unlink(&path)
        {
            log::warn!("{}: {error}", path.display());
        }
        *lock = None;
    }

    /// The path of a file right in the directory.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.log_dir.path().join(name)
    }
}

fn take(disk: &dyn Disk, path: &Path) -> Result<Option<Box<dyn DiskLock>>, StorageError> {
    if !disk.exists(path).map_err(StorageError::io("look for", path))? {
        disk.create_dir_all(path).map_err(StorageError::io("create", path))?;
        disk.sync_dir(parent(path)).map_err(StorageError::sync(parent(path)))?;
    } else if disk.list(path).map_err(StorageError::io("list", path))?.is_empty() {
        // Perhaps a start that made it was cut short before its name was durable.
        match disk.sync_dir(parent(path)) {
            // Then somebody else has made it.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            other => other.map_err(StorageError::sync(parent(path)))?,
        }
    }
    let lock_path = path.join(LOCK_FILE);
    disk.lock(&lock_path).map_err(StorageError::io("lock", &lock_path))
}
