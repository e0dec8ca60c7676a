//! What a verification says.

use std::fmt;
use std::path::PathBuf;

use crate::partition_dir::TopicPartition;

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing, and in order: a start of the broker takes care of it, or nobody has to.
    Note,
    /// A structure that is made from others does not agree with them. No record is lost.
    Warning,
    /// Records are lost or unreadable, or the directory cannot be opened.
    Damage,
}

impl Severity {
    /// Its name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Damage => "damage",
        }
    }
}

/// Declares [`Code`] with its names in output.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What kind of thing is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Its name in output; it does not change between releases.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    /// The file or directory cannot be read.
    Unreadable = "unreadable",
    /// `meta.properties` is missing, damaged, or lacks the directory's id.
    MetaProperties = "meta-properties",
    /// A directory that is no partition's, on which Kafka does not start.
    UnknownDirectory = "unknown-directory",
    /// Two live directories of one partition.
    DuplicatePartition = "duplicate-partition",
    /// A partition that was deleted, is not the cluster's, or is on its way between directories.
    MarkedPartition = "marked-partition",
    /// A checkpoint that does not parse.
    Checkpoint = "checkpoint",
    /// A checkpoint has an entry of a partition that is not here.
    UnknownPartition = "unknown-partition",
    /// A checkpoint's offset lies beyond the end of the log.
    OffsetBeyondEnd = "offset-beyond-end",
    /// A checkpoint's offset lies below the start of the log.
    OffsetBelowStart = "offset-below-start",
    /// `partition.metadata` is missing or damaged, or says another id than it should.
    TopicId = "topic-id",
    /// The metadata log knows no such partition on this node.
    Stray = "stray",
    /// A file whose name begins with no offset, on which Kafka does not start.
    FileName = "file-name",
    /// A file that a removal, a compaction or a write has left behind.
    Leftover = "leftover",
    /// A file of a segment that has no `.log`.
    NoLog = "no-log",
    /// A segment longer than any may be.
    SegmentSize = "segment-size",
    /// A batch whose length cannot be.
    BatchLength = "batch-length",
    /// A batch of no known format.
    BatchMagic = "batch-magic",
    /// A batch whose sum is not that of its bytes.
    BatchCrc = "batch-crc",
    /// A batch whose header contradicts itself.
    BatchHeader = "batch-header",
    /// A batch that ends behind the end of its file, or bytes too few for one.
    TornTail = "torn-tail",
    /// A batch with offsets that earlier ones have too, or that are not this segment's.
    OffsetOrder = "offset-order",
    /// Offsets that no batch has, in a log that is not compacted.
    OffsetGap = "offset-gap",
    /// Records that are not what their batch announces.
    Records = "records",
    /// A batch's leader epoch is not the one that `leader-epoch-checkpoint` says.
    LeaderEpoch = "leader-epoch",
    /// `leader-epoch-checkpoint` is missing, damaged, or goes beyond the log.
    EpochCheckpoint = "epoch-checkpoint",
    /// An index is missing.
    IndexMissing = "index-missing",
    /// An offset index that does not fit its segment.
    OffsetIndex = "offset-index",
    /// An offset index with long stretches that have no entry.
    OffsetIndexSparse = "offset-index-sparse",
    /// A time index that does not fit its segment.
    TimeIndex = "time-index",
    /// A transaction index that does not fit the markers in its segment.
    TxnIndex = "txn-index",
    /// A producer snapshot that does not parse, or is not what the log says.
    ProducerSnapshot = "producer-snapshot",
    /// A producer's batches contradict each other.
    ProducerState = "producer-state",
    /// A snapshot of the metadata log that is damaged or does not fit the log.
    MetadataSnapshot = "metadata-snapshot",
    /// `quorum-state` is damaged or behind the log.
    QuorumState = "quorum-state",
    /// Records of the metadata log that cannot be replayed.
    MetadataRecord = "metadata-record",
}

/// Offsets, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The first one.
    pub first: i64,
    /// The last one.
    pub last: i64,
}

/// What can be done about a [`Finding`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing has to be done, or the broker does it at its next start.
    AtStart,
    /// No tool can do it.
    ByHand,
    /// Both indexes of the segment are made anew from its batches.
    RebuildIndexes {
        /// The segment.
        base_offset: i64,
    },
    /// The transaction index of the segment is made anew from its markers.
    RebuildTxnIndex {
        /// The segment.
        base_offset: i64,
    },
    /// The producer snapshot at this offset is made anew from the batches below it.
    RebuildSnapshot {
        /// What it reflects the log up to, exclusive.
        offset: i64,
    },
    /// `leader-epoch-checkpoint` is made anew from the batches.
    RebuildEpochs,
    /// The checkpoint keeps the lines that are right and loses the others.
    RewriteCheckpoint,
    /// The checkpoint's offset is lowered to the end of the log, which gives up what is missing
    /// there. Only when it is asked for by name, or the log is cut.
    LowerToEnd {
        /// Whose offset it is.
        log: TopicPartition,
    },
    /// `partition.metadata` is written with the id that the metadata log knows.
    WriteTopicId,
    /// The file gets a name that no broker looks at.
    SetAside,
    /// The log is cut before the first damaged batch. What is cut off is kept in files that no
    /// broker reads. Only when it is asked for by name.
    Cut {
        /// The segment that is cut.
        base_offset: i64,
        /// Where in it, bytes.
        position: u64,
        /// The offset behind the last batch that stays.
        end_offset: i64,
        /// It is the metadata log, for which there is a name of its own: topics whose records go
        /// are topics that are gone.
        is_metadata: bool,
    },
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtStart => write!(f, "nothing: the next start of the broker takes care of it"),
            Self::ByHand => write!(f, "nothing: this needs a person"),
            Self::RebuildIndexes { base_offset } => {
                write!(f, "rebuild the indexes of segment {base_offset}")
            }
            Self::RebuildTxnIndex { base_offset } => {
                write!(f, "rebuild the transaction index of segment {base_offset}")
            }
            Self::RebuildSnapshot { offset } => {
                write!(f, "rebuild the producer snapshot at {offset}")
            }
            Self::RebuildEpochs => write!(f, "rebuild the leader epochs from the batches"),
            Self::RewriteCheckpoint => write!(f, "keep the lines that are right"),
            Self::LowerToEnd { .. } => write!(
                f,
                "with --truncate-damaged: lower it to the end of the log, and give up what is \
                 missing"
            ),
            Self::WriteTopicId => write!(f, "write the topic id that the metadata log knows"),
            Self::SetAside => write!(f, "give the file a name that no broker looks at"),
            Self::Cut { position, end_offset, is_metadata: true, .. } => write!(
                f,
                "with --truncate-metadata: cut the metadata log at byte {position}, to end at \
                 offset {end_offset}, and give up all topics, settings and users recorded behind it"
            ),
            Self::Cut { position, end_offset, .. } => write!(
                f,
                "with --truncate-damaged: cut the log at byte {position}, to end at offset \
                 {end_offset}, and keep what is cut off aside"
            ),
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or directory.
    pub path: PathBuf,
    /// Where in it, bytes.
    pub position: Option<u64>,
    /// The offsets that it concerns.
    pub offsets: Option<Offsets>,
    /// What kind of thing it is.
    pub code: Code,
    /// What is wrong, with what was found and what was expected.
    pub problem: String,
    /// What can be done.
    pub remedy: Remedy,
}

impl Finding {
    /// A finding about a whole file.
    pub fn new(severity: Severity, path: impl Into<PathBuf>, code: Code, problem: String) -> Self {
        Self {
            severity,
            path: path.into(),
            position: None,
            offsets: None,
            code,
            problem,
            remedy: match severity {
                Severity::Note => Remedy::AtStart,
                _ => Remedy::ByHand,
            },
        }
    }

    /// It is at this byte.
    #[must_use]
    pub fn at(self, position: u64) -> Self {
        Self { position: Some(position), ..self }
    }

    /// It concerns the offsets `first` to `last`, if there are any between them.
    #[must_use]
    pub fn of(self, offsets: Offsets) -> Self {
        let offsets = (offsets.first <= offsets.last).then_some(offsets);
        Self { offsets, ..self }
    }

    /// It can be mended so.
    #[must_use]
    pub fn mended_by(self, remedy: Remedy) -> Self {
        Self { remedy, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity.as_str(), self.path.display())?;
        if let Some(position) = self.position {
            write!(f, ": byte {position}")?;
        }
        match self.offsets {
            Some(Offsets { first, last }) if first == last => write!(f, ": offset {first}")?,
            Some(Offsets { first, last }) => write!(f, ": offsets {first} to {last}")?,
            None => {}
        }
        write!(f, ": {} [{}]", self.problem, self.code.as_str())
    }
}
