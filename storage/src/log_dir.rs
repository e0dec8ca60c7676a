//! Whether a log directory is in service.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{StorageError, StorageErrorKind};

/// One entry of `log.dirs`, shared by the logs in it.
///
/// After an I/O error nothing in it is read or written any more until the process starts anew and
/// recovers from what is on the disk: after a failed sync, say, the memory and the disk may differ
/// in ways that no later call reports.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    offline: AtomicBool,
    reason: Mutex<Option<String>>,
    checkpoints: Mutex<()>,
}

impl LogDir {
    /// The directory at `path`, in service.
    pub fn new(path: &Path) -> Arc<Self> {
        let (offline, reason) = (AtomicBool::new(false), Mutex::new(None));
        let checkpoints = Mutex::new(());
        Arc::new(Self { path: path.to_owned(), offline, reason, checkpoints })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is in service.
    pub fn is_online(&self) -> bool {
        !self.offline.load(Ordering::Acquire)
    }

    /// What took it out of service.
    pub fn offline_reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes it out of service for a reason that a layer above has found.
    pub fn take_offline(&self, reason: &str) {
        self.put_offline(reason.to_owned());
    }

    /// An error when it is out of service.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_online() {
            Ok(())
        } else {
            Err(StorageError::Offline { dir: self.path.clone() })
        }
    }

    /// Takes it out of service. The first reason stays.
    pub(crate) fn fail(&self, error: &StorageError) {
        let next = match error.kind() {
            StorageErrorKind::Corrupt => {
                "; `ottlactl verify` shows all damage, `ottlactl repair --dry-run` what can be done"
            }
            _ => "",
        };
        self.put_offline(format!("{error}{next}"));
    }

    fn put_offline(&self, why: String) {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if reason.is_none() {
            log::error!("log directory {} goes offline: {why}", self.path.display());
            *reason = Some(why);
        }
        self.offline.store(true, Ordering::Release);
    }

    /// Held while a checkpoint of the directory is gathered and written.
    pub(crate) fn checkpoint_turn(&self) -> MutexGuard<'_, ()> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a result on; an error that tells of a broken disk takes the directory out of service.
    pub(crate) fn watch<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result
            && error.kind() == StorageErrorKind::Offline
        {
            self.fail(error);
        }
        result
    }
}
