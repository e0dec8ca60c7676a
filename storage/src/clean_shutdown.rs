//! `.kafka_cleanshutdown`: the marker that a data directory was left in order.
//!
//! While it stands, files are taken as they are: indexes are not rebuilt, tails not searched for
//! damage. So it must be gone, durably, before the first log is loaded, and it is written after
//! everything else.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::whole_file;

/// The marker's name.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

/// What the marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanShutdown {
    /// The broker's epoch in the run that ended; `None` when the content does not tell, as that of
    /// Kafka up to 3.5, which was empty.
    pub broker_epoch: Option<i64>,
}

/// The marker's bytes; -1 stands for an unknown epoch.
pub fn encode(broker_epoch: i64) -> String {
    format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#)
}

/// Reads the marker's bytes. Whatever they are, the marker counts.
pub fn decode(bytes: &[u8]) -> CleanShutdown {
    let content: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let broker_epoch = content.and_then(|content| content.get("brokerEpoch")?.as_i64());
    CleanShutdown { broker_epoch: broker_epoch.filter(|&epoch| 0 <= epoch) }
}

/// The marker of a data directory; `None` when it was not left in order.
///
/// # Errors
/// What the disk says.
pub fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<CleanShutdown>> {
    Ok(whole_file::read(disk, &path(dir))?.map(|bytes| decode(&bytes)))
}

/// Marks a data directory whose logs are all flushed and closed.
///
/// # Errors
/// What the disk says.
pub fn write(disk: &dyn Disk, dir: &Path, broker_epoch: i64) -> io::Result<()> {
    whole_file::replace(disk, &path(dir), encode(broker_epoch).as_bytes())
}

/// Takes the marker away, durably: a marker that came back after a power loss would vouch for
/// files that were written since. The directory is synced even if none is seen: a start that was
/// cut short may have removed it and not come to that.
///
/// # Errors
/// What the disk says.
pub fn remove(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    match disk.unlink(&path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.sync_dir(dir).map_err(whole_file::sync_failed),
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(CLEAN_SHUTDOWN_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{CrashStyle, SimDisk, Stop};

    #[test]
    fn content() {
        assert_eq!(encode(123), r#"{"version":0,"brokerEpoch":123}"#);
        let table: [(&[u8], Option<i64>); 8] = [
            (br#"{"version":0,"brokerEpoch":123}"#, Some(123)),
            (br#" {"brokerEpoch": 7, "version": 3, "more": [1]} "#, Some(7)),
            (br#"{"version":0,"brokerEpoch":-1}"#, None),
            (br#"{"version":0}"#, None),
            (br#"{"brokerEpoch":"x"}"#, None),
            (b"", None),
            (b"[", None),
            (b"\xff", None),
        ];
        for (bytes, broker_epoch) in table {
            assert_eq!(decode(bytes), CleanShutdown { broker_epoch }, "{bytes:?}");
        }
    }

    #[test]
    fn a_marker_that_was_removed_stays_away() {
        let disk = SimDisk::new();
        let dir = Path::new("data");
        disk.create_dir_all(dir).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        assert_eq!(read(&disk, dir).unwrap(), None);
        remove(&disk, dir).unwrap();
        write(&disk, dir, 14).unwrap();
        let disk = disk.crash(0, CrashStyle::DropPending);
        assert_eq!(read(&disk, dir).unwrap(), Some(CleanShutdown { broker_epoch: Some(14) }));
        remove(&disk, dir).unwrap();
        let disk = disk.crash(0, CrashStyle::DropPending);
        assert_eq!(read(&disk, dir).unwrap(), None);
    }

    #[test]
    fn a_removal_that_was_cut_short_is_made_to_last() {
        let disk = SimDisk::new();
        let dir = Path::new("data");
        disk.create_dir_all(dir).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        write(&disk, dir, 14).unwrap();
        disk.stop(Stop::Before(disk.ops() + 1));
        remove(&disk, dir).unwrap_err();
        let next = disk.crash(0, CrashStyle::ProcessKill);
        assert_eq!(read(&next, dir).unwrap(), None);
        remove(&next, dir).unwrap();
        let disk = next.crash(0, CrashStyle::DropPending);
        assert_eq!(read(&disk, dir).unwrap(), None, "a power loss does not bring it back");
    }
}
