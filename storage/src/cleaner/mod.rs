//! Log compaction: of each key the last record stays.
//!
//! A cleaning takes the dirtiest log. It notes the last offset of each key of the dirty part in an
//! `offset_map`, then copies the segments from the log's first one on up to where keys were
//! noted, without the records that a later one of the same key replaces, merging small segments;
//! the copy then takes their place (`log/compact.rs`). Offsets and order never change. The active
//! segment, undecided transactions, and records younger than `min.compaction.lag.ms` are not
//! touched.
//!
//! Which log, which part, which segments become one (`select`), which batch and record stays
//! (`decide`, `transactions`) are pure rules; the rest is files.
//!
//! A [`Cleaner`] is one thread's; the [`LogManager`] keeps what several share: which logs are at
//! work, which cannot be cleaned, and how far each is clean.

mod clean;
mod decide;
mod map_keys;
mod offset_map;
mod reader;
mod rewrite;
mod select;
mod transactions;
mod upconvert;

use crate::error::{StorageError, StorageErrorKind};
use crate::log::PartitionLog;
use crate::manager::LogManager;
use crate::partition_dir::TopicPartition;

pub(crate) use decide::LastRecord;
use offset_map::MapLimits;
pub(crate) use select::{Cleanable, LogFacts, SegmentFacts};

/// Settings of one cleaner thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerSettings {
    /// Bytes for the map of keys: `log.cleaner.dedupe.buffer.size` by the number of threads.
    pub map_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full the map may get, 0 to 1.
    pub map_load_factor: f64,
    /// Bytes read or written at a time: `log.cleaner.io.buffer.size` by the number of threads, by
    /// two. A batch that is larger is read whole.
    pub buffer_bytes: usize,
}

impl Default for CleanerSettings {
    fn default() -> Self {
        Self { map_bytes: 128 << 20, map_load_factor: 0.9, buffer_bytes: 256 << 10 }
    }
}

/// Slows a cleaning down.
pub trait Pace {
    /// Called after every read and write, with its bytes. May wait, but not on when `is_unwanted`
    /// says that somebody waits for the cleaning to end; to be asked every 100 ms or so. Returns
    /// whether to go on; a cleaning that does not leaves nothing behind.
    fn spend(&self, bytes: u64, is_unwanted: &dyn Fn() -> bool) -> bool;

    /// Called after every some 32 KiB of batches that were worked through, of which a read brings
    /// many: others may go on between.
    fn give_way(&self) {}
}

/// As fast as it goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FullSpeed;

impl Pace for FullSpeed {
    fn spend(&self, _bytes: u64, _is_unwanted: &dyn Fn() -> bool) -> bool {
        true
    }
}

/// What a cleaning has done.
#[derive(Debug)]
pub struct CleanReport {
    /// Of which log.
    pub topic_partition: TopicPartition,
    /// How it ended.
    pub outcome: CleanOutcome,
    /// What it did until then.
    pub tally: CleanTally,
}

/// Numbers of a cleaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanTally {
    /// Where the dirty part began.
    pub first_dirty_offset: i64,
    /// Different keys in the dirty part.
    pub keys: usize,
    /// Bytes read to note the keys.
    pub bytes_mapped: u64,
    /// Bytes of batches read to be copied.
    pub bytes_read: u64,
    /// Bytes of batches that are left of them.
    pub bytes_written: u64,
    /// Records read to be copied, but for those of batches that go whole.
    pub records_read: u64,
    /// Records that are left of them.
    pub records_kept: u64,
    /// Records without a key, which cannot stay.
    pub records_without_key: u64,
    /// Segments replaced.
    pub segments_read: usize,
    /// Segments that took their place.
    pub segments_written: usize,
}

/// How a cleaning ended.
#[derive(Debug)]
pub enum CleanOutcome {
    /// The log is clean below this offset.
    Cleaned {
        /// Exclusive.
        end_offset: i64,
    },
    /// It was given up: the log was truncated, closed or deleted, or the broker stops. Segments
    /// that were done stay done.
    GivenUp,
    /// It failed. A log whose bytes are damaged is left alone until the next start.
    Failed(StorageError),
}

/// Why a cleaning ends early.
#[derive(Debug)]
enum Halt {
    Unwanted,
    Failed(StorageError),
}

impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

/// One thread's compaction.
#[derive(Debug)]
pub struct Cleaner {
    settings: CleanerSettings,
    /// Used again and again.
    buffer: Vec<u8>,
}

impl Cleaner {
    /// A cleaner that has taken no memory yet.
    pub fn new(settings: CleanerSettings) -> Self {
        Self { settings, buffer: Vec::new() }
    }

    /// Cleans the log that needs it most. `None` when none does. After one that was not
    /// [`CleanOutcome::Cleaned`], the caller should wait before the next.
    pub fn clean_once(
        &mut self,
        manager: &LogManager,
        now_ms: i64,
        pace: &dyn Pace,
    ) -> Option<CleanReport> {
        let claim = manager.claim_dirtiest(now_ms)?;
        let log = claim.log();
        let mut tally = CleanTally::default();
        let cleaned = self.clean(manager, log, now_ms, pace, &mut tally);
        let outcome = match cleaned {
            Ok(end_offset) => CleanOutcome::Cleaned { end_offset },
            Err(Halt::Unwanted) => CleanOutcome::GivenUp,
            Err(Halt::Failed(error)) if error.kind() == StorageErrorKind::Closed => {
                CleanOutcome::GivenUp
            }
            Err(Halt::Failed(error)) => {
                if error.kind() == StorageErrorKind::Corrupt {
                    manager.note_uncleanable(log, &error);
                }
                CleanOutcome::Failed(error)
            }
        };
        manager.note_ended(log, matches!(outcome, CleanOutcome::Cleaned { .. }));
        let topic_partition = log.topic_partition().clone();
        Some(CleanReport { topic_partition, outcome, tally })
    }

    fn clean(
        &mut self,
        manager: &LogManager,
        log: &PartitionLog,
        now_ms: i64,
        pace: &dyn Pace,
        tally: &mut CleanTally,
    ) -> Result<i64, Halt> {
        let cleaning = log.begin_cleaning().ok_or(Halt::Unwanted)?;
        // The log may have been truncated since it was chosen.
        let Some(cleanable) = manager.cleanable(log, now_ms)? else { return Err(Halt::Unwanted) };
        let last_records = log.last_records();
        // What this cleaning removes goes by later records too: a marker says what was aborted, and
        // a producer's last batch stands for those before it. A power loss must not take them.
        log.flush_below(log.offsets().log_end_offset)?;
        manager.checkpoint_recovery_points_of(log.log_dir())?;
        let limits = MapLimits {
            bytes: self.settings.map_bytes,
            load_factor: self.settings.map_load_factor,
        };
        tally.first_dirty_offset = cleanable.first_dirty_offset;
        let mut job = clean::Job {
            log,
            cleaning: &cleaning,
            pace,
            now_ms,
            cleanable,
            last_records,
            buffer_bytes: self.settings.buffer_bytes.max(1),
            buffer: std::mem::take(&mut self.buffer),
            worked_bytes: 0,
            tally,
        };
        let cleaned = job.run(limits);
        self.buffer = std::mem::take(&mut job.buffer);
        if self.buffer.capacity() > self.settings.buffer_bytes.saturating_mul(2) {
            self.buffer = Vec::new();
        }
        let watched = match cleaned {
            Err(Halt::Failed(error)) => log.log_dir().watch(Err(error)).map_err(Halt::Failed),
            other => other,
        };
        let end_offset = watched?;
        manager.set_cleaned(log, end_offset)?;
        Ok(end_offset)
    }
}
