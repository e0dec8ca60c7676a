//! Small files that are read whole and replaced whole: checkpoints, `meta.properties`, snapshots.
//!
//! A replacement is never seen half done: the bytes go to `<path>.tmp`, which is synced, renamed
//! over the old file, and made to count by a sync of the directory. A crash at any step leaves the
//! old bytes or the new ones.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Open};

/// The largest file that is read whole, bytes. The largest real ones hold a million entries of
/// some 50 to 250 bytes; a longer file is damage, and is not worth its memory.
pub const WHOLE_FILE_BYTES_MAX: u64 = 256 << 20;

/// Why a small file could not be read. `E` says what is wrong inside.
#[derive(Debug)]
pub enum WholeFileError<E> {
    /// The file system failed.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The bytes are not such a file.
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: E,
    },
}

impl<E: fmt::Display> fmt::Display for WholeFileError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Content { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl<E: Error + 'static> Error for WholeFileError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Content { error, .. } => Some(error),
        }
    }
}

/// The bytes of the file at `path`; `None` when there is none.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::FileTooLarge`] above [`WHOLE_FILE_BYTES_MAX`].
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = file.len()?;
    if WHOLE_FILE_BYTES_MAX < len {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

/// Reads the file at `path` and decodes it; `None` when there is none.
///
/// # Errors
/// What the disk says, or what `decode` says of the content, with the path.
pub fn read_as<T, E>(
    disk: &dyn Disk,
    path: &Path,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<Option<T>, WholeFileError<E>> {
    match read(disk, path) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => decode(&bytes)
            .map(Some)
            .map_err(|error| WholeFileError::Content { path: path.to_owned(), error }),
        Err(error) => Err(WholeFileError::Io { path: path.to_owned(), error }),
    }
}

/// Makes `bytes` the content of the file at `path`, durably and at once. One writer at a time.
///
/// # Errors
/// What the disk says. The old content then still stands, or the new one does: which of them is
/// known only after the directory was read again.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    let file = disk.open(&temporary, Open::Truncate)?;
    file.write_all_at(&[IoSlice::new(bytes)], 0)?;
    file.sync_all().map_err(sync_failed)?;
    drop(file);
    disk.rename(&temporary, path)?;
    disk.sync_dir(parent(path)).map_err(sync_failed)
}

/// A sync's failure, never to be taken for one that passes: file systems that find blocks for
/// what was written only when it is synced say there that the disk is full, and what has become of
/// the bytes is as little known then as after any other failed sync.
pub(crate) fn sync_failed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => {
            io::Error::other(format!("sync: {error}"))
        }
        _ => error,
    }
}

/// Where [`replace`] writes first: `<path>.tmp`.
pub fn temporary_path(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// The directory whose entry `path` is: `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
