//! `.kafka_cleanshutdown`: the last stop was in order.
//!
//! One JSON object, `{"version":0,"brokerEpoch":123}`, without a line end; empty in Kafka up to
//! 3.5. That it exists is what counts. It must be gone before a log is touched: if it were left
//! behind, the next load would take what a crash has left for complete.

use std::io;
use std::path::Path;

use crate::disk::Disk;
use crate::error::StorageError;
use crate::whole_file;

/// Its name in a log directory.
pub(super) const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

/// Looks for the marker and removes it for good. Returns whether there was one.
pub(super) fn take(disk: &dyn Disk, dir: &Path) -> Result<bool, StorageError> {
    let path = dir.join(CLEAN_SHUTDOWN_FILE);
    match disk.unlink(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StorageError::io("remove", &path)(error)),
    }
    disk.sync_dir(dir).map_err(StorageError::sync(dir))?;
    Ok(true)
}

/// Writes the marker. `broker_epoch` is -1 when it is not known.
pub(super) fn put(disk: &dyn Disk, dir: &Path, broker_epoch: i64) -> Result<(), StorageError> {
    let path = dir.join(CLEAN_SHUTDOWN_FILE);
    let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
    whole_file::replace(disk, &path, text.as_bytes()).map_err(StorageError::io("write", &path))
}
