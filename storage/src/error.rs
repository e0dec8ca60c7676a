//! What can go wrong between a log and its disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::whole_file::WholeFileError;

/// A failure below the log's rules: the disk, the bytes on it, or a log that is gone.
#[derive(Debug)]
pub enum StorageError {
    /// The operating system refused.
    Io {
        /// What was being done, as in "append to".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A sync failed. What reached the disk is not known, so nothing may be retried and nothing
    /// acknowledged before the log was recovered from the disk.
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The log directory is out of service after an earlier failure.
    Offline {
        /// The log directory.
        dir: PathBuf,
    },
    /// The log was closed or deleted meanwhile.
    Closed {
        /// The partition's directory.
        dir: PathBuf,
    },
    /// A file does not hold what it must.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it, bytes.
        position: u64,
        /// What is wrong there, with what was found and expected.
        problem: String,
    },
}

/// What a caller must do about a [`StorageError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// The log directory is out of service (Kafka's `KAFKA_STORAGE_ERROR`).
    Offline,
    /// No space: nothing was changed, and it may work again later.
    Full,
    /// The process has no more descriptors, maps or memory: nothing was changed.
    Exhausted,
    /// The log is no longer here.
    Closed,
    /// Bytes on the disk are damaged.
    Corrupt,
}

impl StorageError {
    /// What the caller must do about it.
    pub fn kind(&self) -> StorageErrorKind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::Full,
                io::ErrorKind::OutOfMemory => StorageErrorKind::Exhausted,
                _ if is_out_of_descriptors(source) => StorageErrorKind::Exhausted,
                _ => StorageErrorKind::Offline,
            },
            Self::Sync { .. } | Self::Offline { .. } => StorageErrorKind::Offline,
            Self::Closed { .. } => StorageErrorKind::Closed,
            Self::Corrupt { .. } => StorageErrorKind::Corrupt,
        }
    }

    /// For `map_err`: an I/O error met while `doing` something with `path`.
    pub(crate) fn io<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// For `map_err` where time counts: the path is put together only for an error.
    pub(crate) fn io_at(
        doing: &'static str,
        path: impl FnOnce() -> PathBuf,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path(), source }
    }

    /// For `map_err`: a failed sync of `path`.
    pub(crate) fn sync(path: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        move |source| Self::Sync { path: path.to_owned(), source }
    }
}

impl<E: fmt::Display> From<WholeFileError<E>> for StorageError {
    fn from(error: WholeFileError<E>) -> Self {
        match error {
            WholeFileError::Io { path, error } => Self::io("use", &path)(error),
            WholeFileError::Content { path, error } => {
                Self::Corrupt { path, position: 0, problem: error.to_string() }
            }
        }
    }
}

/// `ENFILE` and `EMFILE`, for which the standard library has no kind.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => write!(f, "{doing} {}: {source}", path.display()),
            Self::Sync { path, source } => write!(f, "sync {}: {source}", path.display()),
            Self::Offline { dir } => write!(f, "log directory {} is offline", dir.display()),
            Self::Closed { dir } => write!(f, "log {} is closed", dir.display()),
            Self::Corrupt { path, position, problem } => {
                write!(f, "{}: at byte {position}: {problem}", path.display())
            }
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Sync { source, .. } => Some(source),
            _ => None,
        }
    }
}
