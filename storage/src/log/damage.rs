//! Damage that a load must not cut away: in what was durable.
//!
//! What lies at or above the recovery point was never said to be on the disk, and a power loss may
//! have torn it: a load cuts it off, as Kafka does. What lies below it was flushed. To cut there
//! would lose records that nothing can bring back, so the log is not opened, and no record of it is
//! changed, though a start first finishes what a cleaning or a removal of segments had left half
//! done. Neither is it read below the damage, for consumers that are told that the log ends sooner
//! than they have read begin somewhere else without a word.

use std::fmt;
use std::path::PathBuf;

use crate::error::StorageError;
use crate::partition_metadata::PartitionMetadataError;

/// Where a log is damaged, and what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDamage {
    /// The file.
    pub path: PathBuf,
    /// Where in it, bytes.
    pub position: u64,
    /// What is wrong there.
    pub problem: String,
    /// The offset behind the last good batch before it; `None` when that is not known. Segments
    /// below the one that a recovery begins with were not looked at.
    pub good_to: Option<i64>,
    /// The first good batch behind it in the file.
    pub next_good: Option<GoodBatch>,
    /// Whether without a `next_good` there is none; `false` when the search was given up, as what
    /// looks like batches took too long to sum.
    pub is_searched: bool,
    /// Records below this offset were durable; `None` when that is not known.
    pub durable_to: Option<i64>,
}

/// A batch behind damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoodBatch {
    /// Its first offset.
    pub base_offset: i64,
    /// Where in the file it starts, bytes.
    pub position: u64,
}

/// What a load may cut off the end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Whatever is damaged at or above the recovery point, with all behind it.
    AboveRecoveryPoint,
    /// What is damaged with no good batch behind it, and only at or above this offset: the torn
    /// end of a log of which every record matters.
    TornEndFrom(i64),
}

/// How to treat what a load finds, and whom to tell how far it is.
pub struct Recovery<'a> {
    /// What may be cut off.
    pub cut: Cut,
    /// Told how many bytes more were checked.
    pub on_bytes: &'a dyn Fn(u64),
}

impl Default for Recovery<'_> {
    fn default() -> Self {
        Self { cut: Cut::AboveRecoveryPoint, on_bytes: &|_| {} }
    }
}

impl fmt::Display for LogDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, position, problem, good_to, next_good, is_searched, durable_to } = self;
        write!(f, "{}: damaged at byte {position}: {problem}; ", path.display())?;
        if let Some(good_to) = good_to {
            write!(f, "records below offset {good_to} are good as far as checked, ")?;
            match next_good {
                Some(GoodBatch { base_offset, position }) => {
                    write!(f, "the next good batch has offset {base_offset} at byte {position}; ")?
                }
                None if !is_searched => {
                    f.write_str("good batches may follow, the search took too long; ")?
                }
                None => f.write_str("no good batch follows in this file; ")?,
            }
        }
        if let Some(durable_to) = durable_to {
            write!(f, "those below {durable_to} had been flushed, so that nothing is cut off; ")?;
        }
        f.write_str(
            "`ottlactl verify` shows all damage, `ottlactl repair --dry-run` what can be done",
        )
    }
}

impl LogDamage {
    /// A `partition.metadata` at `path` that does not tell the topic's id: whose log it is nobody
    /// can say, though the log itself may be whole.
    pub(crate) fn of_metadata(path: PathBuf, error: &PartitionMetadataError) -> Self {
        let problem = format!(
            "{error}; `ottlactl repair` writes it anew, with --metadata-dir if the metadata log is \
             in another log directory"
        );
        Self {
            path,
            position: 0,
            problem,
            good_to: None,
            next_good: None,
            is_searched: false,
            durable_to: None,
        }
    }

    /// The damage that an error tells of; gives others back.
    pub(crate) fn of_error(error: StorageError) -> Result<Self, StorageError> {
        match error {
            StorageError::Corrupt { path, position, problem } => Ok(Self {
                path,
                position,
                problem,
                good_to: None,
                next_good: None,
                is_searched: false,
                durable_to: None,
            }),
            error => Err(error),
        }
    }
}
