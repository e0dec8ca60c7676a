//! The log of one partition: segments in order, and the rules by which records come and go.
//!
//! One append lock a partition; readers take none. What a reader needs are the four offsets
//! ([`Offsets`], behind a lock that is never held across I/O) and the list of segments, which is
//! replaced rather than changed. Bytes below the bound that a reader was given are never rewritten
//! but by a truncation.
//!
//! An append, in order: producer check, roll if due, one `pwritev` of the patched header and the
//! batch's other bytes, an index entry if due, then the log end moves, and after that whatever the
//! durability settings ask for. Syncs happen without the append lock, and one serves all who wait.

mod append;
mod compact;
mod damage;
mod flush;
mod leftovers;
mod load;
mod look;
mod offsets;
mod producers;
mod read;
mod recall;
mod retain;
mod roll;
mod segments;
mod structure;
#[cfg(test)]
mod tests;
mod timestamps;
mod truncate;
mod txn;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

pub use append::{AppendAsLeader, AppendError, Appended};
pub use damage::{Cut, GoodBatch, LogDamage, Recovery};
pub use load::{LogEnvironment, OpenLog, OpenLogError};
pub use look::{find_damage, good_batches_from};
pub use offsets::{Isolation, LogStartError, Offsets, StartAboveHighWatermark};
pub use read::{AbortedTxn, FileRegion, Read, ReadError, ReadResult};
pub use retain::{Expired, Tally};
pub use timestamps::{TimestampAndOffset, TimestampQuery};

use crate::checkpoint::CheckpointError;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::leader_epoch::{self, EpochEnd, EpochEntry, LeaderEpochCache};
use crate::log_dir::LogDir;
use crate::partition_dir::TopicPartition;
pub use crate::segment::OpenBudget;
use crate::segment::SegmentWriter;
use flush::GroupCommit;
use offsets::Marks;
use producers::Producers;
pub(crate) use producers::producer_batch;
use segments::Segments;
pub(crate) use structure::Cleaning;
use structure::Structure;

/// See the module. Shared as an `Arc`; every method may be called from any thread.
#[derive(Debug)]
pub struct PartitionLog {
    topic_partition: TopicPartition,
    role: LogRole,
    disk: Arc<dyn Disk>,
    log_dir: Arc<LogDir>,
    dir: Arc<Path>,
    open_segments: Arc<OpenBudget>,
    config: ArcSwap<LogConfig>,
    segments: Segments,
    marks: Mutex<Marks>,
    epochs: Mutex<LeaderEpochCache>,
    /// The last epoch was begun, and nothing was appended in it.
    epoch_is_begun: AtomicBool,
    /// Epochs that have records are to be written into their file by the next flush.
    epochs_are_unwritten: AtomicBool,
    /// Where the log ends as a start has found or cut it may not be durable.
    start_is_unsynced: AtomicBool,
    producers: Mutex<Producers>,
    /// The append lock. Taken before all others; then the turn to sync, producers, epochs, marks.
    appender: Mutex<Appender>,
    commit: GroupCommit,
    removals: Mutex<Vec<Removal>>,
    /// Held by whoever replaces or removes segments, before all other locks; see [`structure`].
    structure: Structure,
    closed: AtomicBool,
}

/// Who else has this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRole {
    /// Nobody: what is appended, and flushed if that is asked for, is below the high watermark.
    SoleReplica,
    /// Others: the caller moves the high watermark with [`PartitionLog::advance_high_watermark`].
    Replicated,
}

/// What appends share.
#[derive(Debug)]
struct Appender {
    writer: SegmentWriter,
}

/// A file renamed `.deleted` that is to be unlinked.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) path: PathBuf,
    pub(crate) due_ms: i64,
}

impl PartitionLog {
    /// Which partition this is the log of.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The log directory it is in.
    pub fn log_dir(&self) -> &Arc<LogDir> {
        &self.log_dir
    }

    /// The partition's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The topic's settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Puts other settings in force. Those of segments and their files hold from the next roll on.
    pub fn set_config(&self, config: LogConfig) {
        self.config.store(Arc::new(config));
    }

    /// The four offsets, all read at one moment.
    pub fn offsets(&self) -> Offsets {
        self.marks().offsets()
    }

    /// Bytes of batches in all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.all().iter().map(|segment| segment.size()).sum()
    }

    /// How many segments there are, the active one with them.
    pub fn segments_count(&self) -> usize {
        self.segments.all().len()
    }

    /// The base offset of the first segment; the log may start behind it.
    pub fn first_segment_base_offset(&self) -> i64 {
        self.segments.all()[0].base_offset()
    }

    /// Moves the high watermark up to `offset`, but not beyond the log end. Never moves it back.
    /// Returns whether it moved.
    pub fn advance_high_watermark(&self, offset: i64) -> bool {
        let (moved, unstable) = {
            let mut marks = self.marks();
            (marks.advance_high_watermark(offset), marks.has_unstable())
        };
        if moved && unstable {
            // Transactions that are decided below the high watermark hold nobody back any more.
            let mut producers = self.producers();
            producers.state.on_high_watermark(self.offsets().high_watermark);
            self.marks().set_first_unstable(producers.state.first_unstable_offset());
        }
        moved
    }

    /// Moves the log start up to `offset`, as DeleteRecords and retention do. Records below are no
    /// longer readable at once; their segments are removed later. Does nothing when the start is
    /// there already.
    pub fn advance_log_start(&self, offset: i64) -> Result<(), LogStartError> {
        self.check_open().map_err(LogStartError::Storage)?;
        let moved = self.marks().advance_log_start(offset);
        if moved.map_err(LogStartError::AboveHighWatermark)? {
            // The recovery point stays (Kafka raises it): a crash takes the start back until it is
            // in its checkpoint, and if what lies below was lost by then, so is what was flushed
            // behind it.
            {
                let mut producers = self.producers();
                let newest = producers.snapshots.newest();
                producers.state.on_log_start_offset(offset, newest);
            }
            // Not in its file (Kafka: there too): until the new start is in its checkpoint a crash
            // takes it back, and the records that are there again then need their epochs.
            self.epochs().truncate_from_start(offset);
        }
        Ok(())
    }

    /// Notes that leader epoch `epoch` begins at the log end, as a leader does before it appends.
    ///
    /// It gets into its file with the first flush behind its first record (Kafka: at once). A load
    /// drops epochs that have no records, and finds those of records that were not flushed in the
    /// records. So nothing is lost, and a broker with thousands of partitions need not wait for two
    /// syncs of each when it starts, nor with the first append to each.
    pub fn begin_leader_epoch(&self, epoch: i32) -> Result<(), StorageError> {
        let _appender = self.appender();
        self.check_open()?;
        let start_offset = self.marks().log_end().offset;
        let entry = EpochEntry { epoch, start_offset };
        if self.epochs().assign(entry).map_err(self.bad_epoch(entry))? {
            self.epoch_is_begun.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Notes the epoch of an append, which the next flush writes into the file. For the holder of
    /// the append lock, and before the log end moves: a flush that makes the records durable sees
    /// what is noted here.
    fn note_epoch(&self, entry: EpochEntry) -> Result<(), StorageError> {
        if self.latest_epoch() != Some(entry.epoch) {
            if self.epochs().assign(entry).map_err(self.bad_epoch(entry))? {
                self.epochs_are_unwritten.store(true, Ordering::Release);
            }
        } else if self.epoch_is_begun.load(Ordering::Relaxed) {
            self.epochs_are_unwritten.store(true, Ordering::Release);
        } else {
            return Ok(());
        }
        self.epoch_is_begun.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the epochs of records that are about to count as durable.
    fn flush_epochs(&self) -> Result<(), StorageError> {
        if self.epochs_are_unwritten.load(Ordering::Acquire) {
            let epochs = self.epochs();
            return self.write_epochs(&epochs);
        }
        Ok(())
    }

    /// The last leader epoch that records or a leader began with.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs().latest().map(|entry| entry.epoch)
    }

    /// The leader epoch of the record at `offset`.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        self.epochs().epoch_for_offset(offset)
    }

    /// Where `leader_epoch` ended, as OffsetForLeaderEpoch answers it: the largest epoch at most as
    /// large that is known and its end; -1 and -1 when nothing is known.
    pub fn end_offset_for_epoch(&self, leader_epoch: i32) -> EpochEnd {
        // The log end first: a later one would be right too, an earlier one would not.
        let epochs = self.epochs();
        let log_end_offset = self.marks().log_end().offset;
        epochs.end_offset_for(leader_epoch, log_end_offset)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn appender(&self) -> MutexGuard<'_, Appender> {
        self.appender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epochs(&self) -> MutexGuard<'_, LeaderEpochCache> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn removals(&self) -> MutexGuard<'_, Vec<Removal>> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> Result<(), StorageError> {
        self.log_dir.check()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed { dir: self.dir.to_path_buf() });
        }
        Ok(())
    }

    fn bad_epoch(&self, entry: EpochEntry) -> impl FnOnce(CheckpointError) -> StorageError {
        let path = self.epochs_path();
        move |error| {
            let problem = format!("{entry:?}: {error}");
            StorageError::Corrupt { path, position: 0, problem }
        }
    }

    fn epochs_path(&self) -> PathBuf {
        self.dir.join(crate::file_name::LEADER_EPOCH_CHECKPOINT)
    }

    fn write_epochs(&self, epochs: &LeaderEpochCache) -> Result<(), StorageError> {
        let path = self.epochs_path();
        leader_epoch::write(&*self.disk, &path, epochs)
            .map_err(StorageError::io("write", &path))?;
        self.epochs_are_unwritten.store(false, Ordering::Release);
        Ok(())
    }
}
