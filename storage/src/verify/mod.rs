//! Verification of a log directory that no broker has open: every structure against every other.
//!
//! [`verify_log_dir`] looks at one entry of `log.dirs`, [`verify_partition_dir`] at one partition's
//! directory. Nothing is changed, repaired or assumed: a directory of Kafka and one of Ottla are
//! the same to it. What is wrong comes as [`Finding`]s, and a directory in order yields none. What
//! a crash explains, and the next start of the broker takes care of, is at most a
//! [`Severity::Note`].
//!
//! Log files are read once, in order, in large pieces. Of each partition that is being read, memory
//! holds the largest batch, the state of all its producers with one snapshot of them, and the
//! aborted transactions of one segment. What lengths in the files say takes none.
//!
//! What cannot be found, in principle: of a batch's header the first 17 bytes are not summed. A
//! base offset that moved into a gap which compaction has made, where no index entry points at the
//! batch, contradicts nothing. Nor does a leader epoch where `leader-epoch-checkpoint` does not
//! reach, or is gone.

mod batches;
mod checkpoints;
mod dir;
mod epochs;
mod finding;
mod indexes;
mod kraft;
mod lock;
mod partition;
mod producers;
mod records;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_protocol::uuid::Uuid;

pub(crate) use batches::{BatchReader, Found, Step};
pub(crate) use checkpoints::ALL as CHECKPOINTS;
pub use dir::{DirReport, verify_log_dir, verify_partition_dir};
pub use finding::{Code, Finding, Offsets, Remedy, Severity};
pub use lock::{LockedDir, lock};
pub use partition::PartitionReport;
pub(crate) use producers::ProducerCheck;

use crate::leader_epoch::EpochEntry;
use crate::partition_dir::TopicPartition;

/// How thoroughly to verify, and what is known from elsewhere.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// Also decompresses and reads every record.
    pub deep: bool,
    /// How many partitions are read at a time; at least one.
    pub threads: usize,
    /// `index.interval.bytes` as the broker has it: where entries of an index lie much farther
    /// apart, a note is made. Indexes that are rebuilt get an entry this often.
    pub index_interval_bytes: u32,
    /// What the cluster's metadata says of a partition.
    pub known: &'a (dyn Fn(&TopicPartition, Option<Uuid>) -> Known + Sync),
    /// Counts the bytes that were read.
    pub progress: &'a Progress,
}

/// Knows nothing of any partition.
pub fn no_metadata(_: &TopicPartition, _: Option<Uuid>) -> Known {
    Known::NotAsked
}

/// What the cluster's metadata says of a partition that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is no metadata to ask.
    NotAsked,
    /// It belongs here.
    Here {
        /// Whether the topic's `cleanup.policy` has `compact`.
        compacted: bool,
    },
    /// A broker would rename its directory to `-stray`, and not serve it.
    Stray {
        /// Why.
        why: String,
        /// The id of the topic that has this name, if the partition is on this node: then it is
        /// only the id in its directory that is wrong.
        topic_id: Option<Uuid>,
    },
}

/// How far a verification is. Shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    total_bytes: AtomicU64,
    done_bytes: AtomicU64,
}

impl Progress {
    /// Bytes of all `.log` files, known once the directories were listed.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of `.log` files that were read.
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }

    fn add_total(&self, bytes: u64) {
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn add_done(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What was learned of a log on the way, which repairs need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// Base offsets of its segments, ascending.
    pub segment_bases: Vec<i64>,
    /// All of its segments could be read. If not, where it ends and which epochs it has is unknown,
    /// whatever the other fields say.
    pub is_read: bool,
    /// The offset behind the last good batch.
    pub log_end_offset: i64,
    /// The epochs of its batches and where each of them begins, if all of them have one and they
    /// never fall.
    pub derived_epochs: Option<Vec<EpochEntry>>,
    /// What `leader-epoch-checkpoint` says; `None` when it cannot be read.
    pub stored_epochs: Option<Vec<EpochEntry>>,
    /// The offsets of producer snapshots.
    pub snapshots: Vec<i64>,
    /// It is known to be compacted, or holds batches that only compaction makes.
    pub is_compacted: bool,
}

/// A partition's place and how it was left, as the log directory tells.
#[derive(Clone, Debug)]
pub(crate) struct PartitionPlace {
    pub(crate) dir: PathBuf,
    pub(crate) topic_partition: Option<TopicPartition>,
    /// Segments from the one that holds this offset on are checked and rebuilt at the next start;
    /// `None` after an orderly stop.
    pub(crate) recovered_from: Option<i64>,
    /// The checkpoint's first readable offset, 0 for none. No checkpoint has the metadata log's.
    pub(crate) log_start_offset: i64,
    /// Known to be compacted, so that gaps between offsets are in order.
    pub(crate) compacted: bool,
}
