//! Why the logs cannot be opened.

use std::fmt;
use std::path::PathBuf;

use crate::error::StorageError;
use crate::file_name::FileNameError;
use crate::log::LogDamage;
use crate::partition_dir::{DirNameError, TopicPartition};

/// Why the broker cannot start on its log directories, or a partition cannot be made. A directory
/// that merely fails goes offline instead, as long as another is left.
#[derive(Debug)]
pub enum ManagerError {
    /// Another process, Kafka perhaps, holds the lock of a directory; or it is named twice.
    DirInUse {
        /// The directory.
        dir: PathBuf,
    },
    /// No directory could be used. The reasons, one a directory.
    AllDirsOffline {
        /// What each directory said.
        reasons: Vec<String>,
    },
    /// A directory stands among the partitions that is none. To guess what it is would be wrong,
    /// and Kafka would not start either.
    DirName {
        /// The log directory.
        dir: PathBuf,
        /// What is wrong with the name.
        error: DirNameError,
    },
    /// A file in a partition's directory has the name of a segment's file but no offset.
    FileName {
        /// The partition's directory.
        dir: PathBuf,
        /// What is wrong with the name.
        error: FileNameError,
    },
    /// Two directories hold the same partition.
    Duplicate {
        /// The partition.
        topic_partition: TopicPartition,
        /// Both directories.
        dirs: [PathBuf; 2],
    },
    /// The partition's log is damaged where it was durable.
    Damaged(Box<LogDamage>),
    /// A `meta.properties` is damaged, or of another node or cluster. What is wrong.
    MetaProperties(String),
    /// The disk failed.
    Storage(StorageError),
}

impl From<StorageError> for ManagerError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl fmt::Display for ManagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirInUse { dir } => write!(
                f,
                "log directory {} is in use by another broker, which holds its .lock, or named \
                 twice in log.dirs; stop that broker, or choose another directory",
                dir.display()
            ),
            Self::AllDirsOffline { reasons } => {
                write!(f, "no log directory can be used: {}", reasons.join("; "))
            }
            Self::DirName { dir, error } => write!(
                f,
                "in {}: {error}; move it away, or choose a directory that only the broker uses",
                dir.display()
            ),
            Self::FileName { dir, error } => write!(f, "in {}: {error}", dir.display()),
            Self::Duplicate { topic_partition, dirs: [one, other] } => write!(
                f,
                "partition {topic_partition} is both in {} and in {}",
                one.display(),
                other.display()
            ),
            Self::Damaged(damage) => damage.fmt(f),
            Self::MetaProperties(problem) => f.write_str(problem),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ManagerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}
