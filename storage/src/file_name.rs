//! Names of the files inside a topic-partition directory.
//!
//! A segment's files share the base offset, in decimal with 20 digits, and differ in the extension:
//! `00000000000000023147.log`. Suffixes come behind it: `00000000000000023147.log.deleted`.

use std::fmt;

/// The leader epochs of the log.
pub const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The topic's id.
pub const PARTITION_METADATA: &str = "partition.metadata";

/// Which of a segment's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `.log`: record batches.
    Log,
    /// `.index`: offset to position.
    OffsetIndex,
    /// `.timeindex`: timestamp to offset.
    TimeIndex,
    /// `.txnindex`: aborted transactions.
    TxnIndex,
    /// `.snapshot`: producers as they were before the offset.
    ProducerSnapshot,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::TxnIndex, Self::ProducerSnapshot];

    /// The extension, with its dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TxnIndex => ".txnindex",
            Self::ProducerSnapshot => ".snapshot",
        }
    }
}

/// A file of a partition's directory, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileName {
    /// One of a segment's files, in use.
    Segment {
        /// The segment's base offset; for a snapshot, the offset it reflects.
        base_offset: i64,
        /// Which of them.
        kind: FileKind,
    },
    /// `*.deleted`: to be removed at start.
    Deleted,
    /// `*.cleaned`: unfinished output of the cleaner, to be removed at start.
    Cleaned {
        /// The base offset of the segment that was being made.
        base_offset: i64,
    },
    /// `*.swap`: finished output of the cleaner, to be renamed into place at start.
    Swap {
        /// The base offset of the segment that was made.
        base_offset: i64,
        /// Which file of it; `None` for an extension that is not known.
        kind: Option<FileKind>,
    },
    /// `leader-epoch-checkpoint`.
    LeaderEpochCheckpoint,
    /// `partition.metadata`.
    PartitionMetadata,
    /// Anything else: left alone.
    Other,
}

/// A name with the extension of a segment's file that does not begin with an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNameError {
    /// The name.
    pub name: String,
}

impl fmt::Display for FileNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {:?} does not begin with a base offset", self.name)
    }
}

impl std::error::Error for FileNameError {}

impl FileName {
    /// Takes a file's name apart.
    ///
    /// # Errors
    /// [`FileNameError`]: a Kafka broker refuses to start when it finds such a file.
    pub fn parse(name: &str) -> Result<Self, FileNameError> {
        let base_offset = || parse_offset(name).ok_or(FileNameError { name: name.to_owned() });
        let kind_of =
            |name: &str| FileKind::ALL.into_iter().find(|k| name.ends_with(k.extension()));
        Ok(match name {
            LEADER_EPOCH_CHECKPOINT => Self::LeaderEpochCheckpoint,
            PARTITION_METADATA => Self::PartitionMetadata,
            _ if name.ends_with(".deleted") => Self::Deleted,
            _ if name.ends_with(".cleaned") => Self::Cleaned { base_offset: base_offset()? },
            _ => match (name.strip_suffix(".swap"), kind_of(name)) {
                (Some(body), _) => Self::Swap { base_offset: base_offset()?, kind: kind_of(body) },
                (None, Some(kind)) => Self::Segment { base_offset: base_offset()?, kind },
                (None, None) => Self::Other,
            },
        })
    }
}

/// The name of a segment's file.
pub fn segment_file_name(base_offset: i64, kind: FileKind) -> String {
    debug_assert!(0 <= base_offset, "offsets on disk are not negative");
    format!("{base_offset:020}{}", kind.extension())
}

/// The integer before the first dot, as Java's `Long.parseLong` reads it; not negative.
fn parse_offset(name: &str) -> Option<i64> {
    let (digits, _) = name.split_once('.')?;
    digits.parse().ok().filter(|&offset| 0 <= offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_and_read() {
        for base_offset in [0, 23147, i64::MAX] {
            for kind in FileKind::ALL {
                let name = segment_file_name(base_offset, kind);
                assert_eq!(FileName::parse(&name), Ok(FileName::Segment { base_offset, kind }));
            }
        }
        assert_eq!(segment_file_name(23147, FileKind::Log), "00000000000000023147.log");
        assert_eq!(segment_file_name(i64::MAX, FileKind::Log).len(), 24);
    }

    #[test]
    fn suffixes_and_strangers() {
        let table = [
            ("7.log", Ok(FileName::Segment { base_offset: 7, kind: FileKind::Log })),
            ("00000000000000000000.log.deleted", Ok(FileName::Deleted)),
            ("foo.deleted", Ok(FileName::Deleted)),
            ("00000000000000000005.index.cleaned", Ok(FileName::Cleaned { base_offset: 5 })),
            (
                "00000000000000000005.timeindex.swap",
                Ok(FileName::Swap { base_offset: 5, kind: Some(FileKind::TimeIndex) }),
            ),
            ("5.bin.swap", Ok(FileName::Swap { base_offset: 5, kind: None })),
            ("leader-epoch-checkpoint", Ok(FileName::LeaderEpochCheckpoint)),
            ("leader-epoch-checkpoint.tmp", Ok(FileName::Other)),
            ("partition.metadata", Ok(FileName::PartitionMetadata)),
            ("notes.txt", Ok(FileName::Other)),
            ("foo.bin", Ok(FileName::Other)),
            ("00000000000000000000-0000000001.checkpoint", Ok(FileName::Other)),
            ("foo.log", Err(())),
            ("x.cleaned", Err(())),
            ("foo.snapshot", Err(())),
            (".swap", Err(())),
            ("-1.index", Err(())),
            ("9223372036854775808.log", Err(())),
        ];
        for (name, expected) in table {
            let expected = expected.map_err(|()| FileNameError { name: name.to_owned() });
            assert_eq!(FileName::parse(name), expected, "{name}");
        }
    }
}
