//! Keeping brokers away while a directory is looked at.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskLock};
use crate::meta_properties::META_PROPERTIES_FILE;

/// The file whose lock brokers hold.
const LOCK_FILE: &str = ".lock";

/// A log directory that no broker can open meanwhile. [`LockedDir::release`] leaves the directory
/// as it was found, also the lock file of a broker that was killed.
#[derive(Debug)]
pub struct LockedDir<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
    was_there: bool,
    lock: Option<Box<dyn DiskLock>>,
}

/// Takes the lock of the log directory that `dir` is or, for a partition's directory, lies in. A
/// partition's directory outside of any log directory has none to take.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] while a broker holds it, and what the disk says: the directory
/// must be writable.
pub fn lock<'d>(disk: &'d dyn Disk, dir: &Path) -> io::Result<Option<LockedDir<'d>>> {
    let is_log_dir = |dir: &Path| disk.exists(&dir.join(META_PROPERTIES_FILE));
    let is_partition = super::dir::is_partition_dir(disk, dir)?;
    let locked = match (is_partition, dir.parent()) {
        (false, _) => dir,
        (true, Some(parent)) if is_log_dir(parent)? => parent,
        (true, _) => return Ok(None),
    };
    let path = locked.join(LOCK_FILE);
    let was_there = disk.exists(&path)?;
    match disk.lock(&path)? {
        Some(lock) => Ok(Some(LockedDir { disk, path, was_there, lock: Some(lock) })),
        None => {
            let problem = format!("{}: a broker is running in it", locked.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, problem))
        }
    }
}

impl LockedDir<'_> {
    /// The log directory.
    pub fn log_dir(&self) -> &Path {
        self.path.parent().expect("a lock file lies in a directory")
    }

    /// Lets the directory go.
    ///
    /// # Errors
    /// When the lock file cannot be removed, which harms nobody.
    pub fn release(mut self) -> io::Result<()> {
        let removed = if self.was_there { Ok(()) } else { self.disk.unlink(&self.path) };
        self.lock = None;
        removed
    }
}
