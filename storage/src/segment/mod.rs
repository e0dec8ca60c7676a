//! One segment of a partition log: a file of batches with its two indexes.
//!
//! The last segment of a log is *active*: appended to under the log's append lock, its file opened
//! by the first append or read and its indexes by the first entry, and open from then on. All
//! others are *sealed*: their files are opened by the first read and closed again when too many are
//! open, see [`OpenBudget`].

mod ahead;
mod append;
mod aside;
mod budget;
mod check;
mod cleaned;
pub(crate) mod likely;
mod place;
mod read;
mod rebuild;
mod recover;
mod scan;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use append::{BatchFacts, SegmentWriter};
pub use budget::OpenBudget;
pub(crate) use check::{BatchChecker, Behind, Checked};
pub(crate) use cleaned::{CLEANED, CleanedSegment, NewCleaned, SWAP};
pub(crate) use place::Place;
pub(crate) use read::{FirstBatch, SegmentRead};
pub(crate) use recover::{RecoverSegment, Recovered, Sound, sound_to};
pub(crate) use scan::{BatchAt, BatchScanner};

use crate::config::LogConfig;
use crate::disk::{Disk, DiskFile, Open};
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::index::{OffsetIndex, TimeIndex, TimestampOffset};

/// The largest `.log` file: positions in the offset index are 32 bits, signed.
pub(crate) const SEGMENT_BYTES_LIMIT: u64 = i32::MAX as u64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Segment {
    disk: Arc<dyn Disk>,
    place: Place,
    /// Behind the names of all its files but the `.log`.
    indexes_suffix: &'static str,
    /// Bytes of batches. Stored with release after the bytes were written.
    size: AtomicU64,
    sealed: AtomicBool,
    /// Its files have other names or are another segment's: they are not to be opened any more.
    gone: AtomicBool,
    /// `None` while nobody has needed it.
    file: RwLock<Option<Arc<dyn DiskFile>>>,
    offset_index: OffsetIndex,
    time_index: TimeIndex,
    /// The largest timestamp and the last offset of the first batch that has it; `None` until a
    /// segment found on disk is asked for it.
    max_timestamp: Mutex<Option<TimestampOffset>>,
    budget: Arc<OpenBudget>,
    /// The budget's clock when it was last read.
    used_at: AtomicU64,
}

impl Segment {
    fn new(disk: Arc<dyn Disk>, dir: &Arc<Path>, base_offset: i64, budget: Budget) -> Self {
        Self::with_suffixes(disk, dir, base_offset, budget, Suffixes::default())
    }

    fn with_suffixes(
        disk: Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: i64,
        budget: Budget,
        suffixes: Suffixes,
    ) -> Self {
        let Suffixes { log, indexes } = suffixes;
        let at = |kind| Place { dir: Arc::clone(dir), base_offset, kind, suffix: indexes };
        Self {
            place: Place { suffix: log, ..at(FileKind::Log) },
            indexes_suffix: indexes,
            size: AtomicU64::new(0),
            sealed: AtomicBool::new(true),
            gone: AtomicBool::new(false),
            file: RwLock::new(None),
            offset_index: OffsetIndex::new(Arc::clone(&disk), at(FileKind::OffsetIndex)),
            time_index: TimeIndex::new(Arc::clone(&disk), at(FileKind::TimeIndex)),
            max_timestamp: Mutex::new(None),
            budget,
            used_at: AtomicU64::new(0),
            disk,
        }
    }

    /// Makes the files of a new, empty, active segment; files of the same names are emptied. After
    /// an error some of them may be there.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: i64,
        budget: Budget,
        files: NewFiles,
    ) -> Result<Arc<Self>, StorageError> {
        Self::new(disk, dir, base_offset, budget).make(files)
    }

    fn make(self, files: NewFiles) -> Result<Arc<Self>, StorageError> {
        let segment = self;
        let path = segment.path();
        // The indexes come first: one without a log is cleared away by the next load, while a log
        // without an index has to be recovered.
        segment.make_indexes_active(files.index_bytes, true)?;
        let opened = segment.disk.open(&path, Open::Truncate);
        let file = opened.map_err(StorageError::io("create", &path))?;
        if files.preallocated_bytes > 0 {
            let lengthened = file.set_len(files.preallocated_bytes);
            lengthened.map_err(StorageError::io("preallocate", &path))?;
            // Open, it is cut to its batches in the end.
            *segment.file.write().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
        segment.sealed.store(false, Ordering::Release);
        segment.set_max_timestamp(Some(segment.no_timestamp()));
        Ok(Arc::new(segment))
    }

    /// The segment whose `.log` file is there already, sealed. Its length is looked up, nothing
    /// else.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: i64,
        budget: Budget,
    ) -> Result<Arc<Self>, StorageError> {
        let segment = Self::new(disk, dir, base_offset, budget);
        let path = segment.path();
        let file = segment.disk.open(&path, Open::Read);
        let length = file.and_then(|file| file.len()).map_err(StorageError::io("open", &path))?;
        if length > SEGMENT_BYTES_LIMIT {
            let problem =
                format!("segment of {length} bytes, at most {SEGMENT_BYTES_LIMIT} allowed");
            return Err(StorageError::Corrupt { path, position: SEGMENT_BYTES_LIMIT, problem });
        }
        segment.size.store(length, Ordering::Release);
        Ok(Arc::new(segment))
    }

    /// Makes it the segment that is appended to. Its file and its indexes are opened when they are
    /// needed.
    pub(crate) fn activate(&self, index_bytes: u32) -> Result<(), StorageError> {
        {
            let mut slot = self.file.write().unwrap_or_else(PoisonError::into_inner);
            if self.sealed.swap(false, Ordering::AcqRel) {
                // It may be open for reading only.
                *slot = None;
            }
        }
        self.make_indexes_active(index_bytes, false)
    }

    fn make_indexes_active(&self, index_bytes: u32, emptied: bool) -> Result<(), StorageError> {
        let offset_path = self.offset_index.path();
        self.offset_index
            .make_active(index_bytes, emptied)
            .map_err(StorageError::io("lengthen", &offset_path))?;
        let time_path = self.time_index.path();
        self.time_index
            .make_active(index_bytes, emptied)
            .map_err(StorageError::io("lengthen", &time_path))
    }

    /// The offset in its files' names; at most the first batch's.
    pub(crate) fn base_offset(&self) -> i64 {
        self.place.base_offset
    }

    /// The `.log` file.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Where another of its files is.
    pub(crate) fn path_of(&self, kind: FileKind) -> PathBuf {
        let log = self.place.clone();
        let suffix = if kind == FileKind::Log { log.suffix } else { self.indexes_suffix };
        Place { kind, suffix, ..log }.path()
    }

    /// Bytes of batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The `.log` file, opened if it is not.
    pub(crate) fn file(self: &Arc<Self>) -> Result<Arc<dyn DiskFile>, StorageError> {
        if let Some(file) = &*self.file.read().unwrap_or_else(PoisonError::into_inner) {
            self.used_at.store(self.budget.now(), Ordering::Relaxed);
            return Ok(Arc::clone(file));
        }
        let (file, is_sealed) = {
            let mut slot = self.file.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = &*slot {
                return Ok(Arc::clone(file));
            }
            let path = self.path();
            let is_sealed = self.sealed.load(Ordering::Acquire);
            let how = if is_sealed { Open::Read } else { Open::ReadWrite };
            let opened = if self.is_gone() {
                Err(io::ErrorKind::NotFound.into())
            } else {
                self.disk.open(&path, how)
            };
            let file = opened.map_err(StorageError::io("open", &path))?;
            (Arc::clone(slot.insert(file)), is_sealed)
        };
        if is_sealed {
            self.budget.admit(self);
        }
        Ok(file)
    }

    /// Closes a sealed segment's files; an active one's stay open. Readers keep what they hold.
    pub(crate) fn release(&self) {
        let mut slot = self.file.write().unwrap_or_else(PoisonError::into_inner);
        if self.sealed.load(Ordering::Acquire) {
            *slot = None;
            self.offset_index.release();
            self.time_index.release();
        }
    }

    /// Whether it holds a descriptor or a map.
    pub(crate) fn is_open(&self) -> bool {
        self.file.read().unwrap_or_else(PoisonError::into_inner).is_some()
            || self.offset_index.is_mapped()
            || self.time_index.is_mapped()
    }

    /// Whether either index has no room for another batch's entry.
    pub(crate) fn is_index_full(&self) -> bool {
        self.offset_index.is_full() || self.time_index.is_full()
    }

    /// The largest timestamp, -1 for none, and the last offset of the first batch that has it.
    pub(crate) fn max_timestamp(&self) -> Result<TimestampOffset, StorageError> {
        if let Some(known) = *self.max_timestamp_slot() {
            return Ok(known);
        }
        let last = self.time_index.last();
        let last = last.map_err(StorageError::io_at("read", || self.time_index.path()))?;
        // It is asked for once.
        self.time_index.rest();
        Ok(*self.max_timestamp_slot().get_or_insert(last))
    }

    /// The largest timestamp or, where no record has one, when the file was last written, ms.
    pub(crate) fn largest_timestamp_ms(self: &Arc<Self>) -> Result<i64, StorageError> {
        let max = self.max_timestamp()?.timestamp_ms;
        if max >= 0 {
            return Ok(max);
        }
        self.file()?.modified_ms().map_err(StorageError::io_at("stat", || self.path()))
    }

    fn max_timestamp_slot(&self) -> MutexGuard<'_, Option<TimestampOffset>> {
        self.max_timestamp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_max_timestamp(&self, max: Option<TimestampOffset>) {
        *self.max_timestamp_slot() = max;
    }

    fn no_timestamp(&self) -> TimestampOffset {
        TimestampOffset { timestamp_ms: -1, offset: self.base_offset() }
    }

    /// Makes it a sealed one: final time index entry, both indexes cut to their entries, a
    /// preallocated `.log` to its batches, blocks ahead of its end freed. Its file stays open until
    /// the budget wants it.
    pub(crate) fn seal(self: &Arc<Self>) -> Result<(), StorageError> {
        self.finish()?;
        self.sealed.store(true, Ordering::Release);
        self.budget.admit(self);
        Ok(())
    }

    /// As [`Segment::seal`], for a log that is closed: no budget is asked, for it is released at
    /// once.
    pub(crate) fn end(self: &Arc<Self>) -> Result<(), StorageError> {
        self.finish()?;
        self.sealed.store(true, Ordering::Release);
        Ok(())
    }

    fn finish(self: &Arc<Self>) -> Result<(), StorageError> {
        if !self.sealed.load(Ordering::Acquire) && !self.is_open() {
            // Nobody has touched it since the log was loaded: all is as the load found it.
            return Ok(());
        }
        let path = self.path();
        let file = self.file()?;
        let size = self.size();
        if file.len().map_err(StorageError::io("stat", &path))? != size {
            file.set_len(size).map_err(StorageError::io("truncate", &path))?;
        } else {
            file.free_ahead();
        }
        let max = self.max_timestamp()?;
        self.finish_time_index(max).map_err(StorageError::io("write", &self.time_index.path()))?;
        self.offset_index.trim().map_err(StorageError::io("truncate", &self.offset_index.path()))
    }

    fn finish_time_index(&self, max: TimestampOffset) -> io::Result<()> {
        self.time_index.finish(max)?;
        self.time_index.trim()
    }

    /// Closes it for good: nothing will be appended any more, and who has not opened its files
    /// cannot do so now, for their names may soon be another segment's.
    pub(crate) fn retire(&self) {
        self.sealed.store(true, Ordering::Release);
        self.gone.store(true, Ordering::Release);
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.offset_index.retire();
        self.time_index.retire();
    }

    /// Whether it was retired. While it is not, its files have their names.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Closes it and renames its files so that they no longer count. Returns their new paths, which
    /// are to be unlinked when no reader that opened them before can still be at it.
    pub(crate) fn mark_deleted(&self) -> Result<Vec<PathBuf>, StorageError> {
        self.mark_deleted_but(None)
    }

    /// As [`Segment::mark_deleted`], of all files but one.
    pub(crate) fn mark_deleted_but(
        &self,
        kept: Option<FileKind>,
    ) -> Result<Vec<PathBuf>, StorageError> {
        self.retire();
        let mut renamed = Vec::new();
        for kind in FileKind::ALL.into_iter().filter(|kind| Some(*kind) != kept) {
            let from = self.path_of(kind);
            let mut to = from.clone().into_os_string();
            to.push(".deleted");
            let to = PathBuf::from(to);
            match self.disk.rename(&from, &to) {
                Ok(()) => renamed.push(to),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::io("rename", &from)(error)),
            }
        }
        Ok(renamed)
    }

    /// Whether both indexes can be what an orderly roll has left.
    pub(crate) fn are_indexes_sane(&self) -> Result<bool, StorageError> {
        let offset_path = self.offset_index.path();
        let offset_sane = self.offset_index.is_sane(self.size());
        let time_path = self.time_index.path();
        let time_sane = self.time_index.is_sane();
        let sane = offset_sane.map_err(StorageError::io("read", &offset_path))?
            && time_sane.map_err(StorageError::io("read", &time_path))?;
        self.release();
        Ok(sane)
    }

    /// Makes the batches and the indexes durable. A failed sync is never to be retried.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.flush_log()?;
        self.flush_indexes()
    }

    /// Makes the indexes durable. A failed sync is never to be retried.
    pub(crate) fn flush_indexes(&self) -> Result<(), StorageError> {
        self.offset_index.flush()?;
        self.time_index.flush()
    }

    /// Makes the batches durable. A failed sync is never to be retried.
    pub(crate) fn flush_log(&self) -> Result<(), StorageError> {
        let held = self.file.read().unwrap_or_else(PoisonError::into_inner).clone();
        let path = self.path();
        let file = match held {
            Some(file) => file,
            None => {
                let opened = self.disk.open(&path, Open::ReadWrite);
                opened.map_err(StorageError::io("open", &path))?
            }
        };
        file.sync_data().map_err(|error| {
            // A start that follows this process on the same machine must read what the disk has.
            file.forget_cached();
            StorageError::sync(&path)(error)
        })
    }
}

impl NewFiles {
    pub(crate) fn of(config: &LogConfig) -> Self {
        let preallocated_bytes =
            if config.preallocate { u64::from(config.segment_bytes) } else { 0 };
        Self { index_bytes: config.segment_index_bytes, preallocated_bytes }
    }
}

/// Shared by all logs of a manager.
type Budget = Arc<OpenBudget>;

/// What stands behind the names of a segment's files: nothing of one in use.
#[derive(Clone, Copy, Debug, Default)]
struct Suffixes {
    log: &'static str,
    indexes: &'static str,
}

/// How the files of a new segment are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFiles {
    /// `segment.index.bytes`.
    pub(crate) index_bytes: u32,
    /// `segment.bytes` if `preallocate` is set, else 0.
    pub(crate) preallocated_bytes: u64,
}
