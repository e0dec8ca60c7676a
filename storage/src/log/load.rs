//! Opening a log: what is on the disk becomes a log again.
//!
//! After a clean stop everything is trusted, and only the end of the last segment is looked at.
//! After a crash, segments from the recovery point on are checked batch by batch and their indexes
//! made anew; those below were flushed and are trusted, but for an index that an unfinished trim
//! has left with a tail of zeros.
//!
//! What may have to be cut off is looked at first ([`plan`]): a log of which durable records are
//! damaged is not opened, and its segments stay as they are. What a cleaning or a removal had left
//! half done is finished before.

mod plan;
mod recover;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::damage::{LogDamage, Recovery};
use super::flush::GroupCommit;
use super::leftovers::{self, SegmentFiles};
use super::offsets::{Mark, Marks, Place};
use super::producers::{Producers, RebuildTo};
use super::recall::recall;
use super::segments::Segments;
use super::structure::Structure;
use super::{Appender, LogRole, PartitionLog, Removal};
use crate::checkpoint;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::file_name::{FileKind, FileNameError, LEADER_EPOCH_CHECKPOINT};
use crate::leader_epoch::{self, LeaderEpochCache};
use crate::log_dir::LogDir;
use crate::partition_dir::TopicPartition;
use crate::producer_state::ProducerSettings;
use crate::producer_state::snapshots::{LogRange, Shutdown, Snapshots};
use crate::segment::{NewFiles, OpenBudget, Segment, SegmentWriter};
use crate::txn_index;
use crate::whole_file::WholeFileError;

/// What logs share that are in one log directory.
#[derive(Clone, Debug)]
pub struct LogEnvironment {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The log directory.
    pub log_dir: Arc<LogDir>,
    /// How many sealed segments may be open.
    pub open_segments: Arc<OpenBudget>,
}

/// Everything needed to open a log.
#[derive(Clone, Debug)]
pub struct OpenLog {
    /// Where it is.
    pub environment: LogEnvironment,
    /// The partition's directory; it must exist.
    pub dir: PathBuf,
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The topic's settings.
    pub config: LogConfig,
    /// Who else has it.
    pub role: LogRole,
    /// Settings of producer state.
    pub producer_settings: ProducerSettings,
    /// From the checkpoint: everything below is on the disk for certain; 0 if not known.
    pub recovery_point: i64,
    /// From the checkpoint: the first offset that may be read; 0 if not known.
    pub log_start_offset: i64,
    /// How the broker stopped that last had it open.
    pub after: Shutdown,
    /// The time, ms since the epoch.
    pub now_ms: i64,
}

/// Why a log cannot be opened.
#[derive(Debug)]
pub enum OpenLogError {
    /// The disk failed: the log directory is not usable.
    Storage(StorageError),
    /// The log is damaged where it was durable: it alone is not usable. Nothing was cut off.
    Damaged(Box<LogDamage>),
    /// A file has the name of a segment's file but no offset: somebody else's, and not to be
    /// guessed at.
    FileName(FileNameError),
}

/// A log half loaded.
struct Loader<'a> {
    open: &'a OpenLog,
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    epochs: LeaderEpochCache,
    snapshots: Snapshots,
    /// Producer state as the last recovered segment left it.
    recovered_producers: Option<Producers>,
    segments: Vec<Arc<Segment>>,
    removals: Vec<Removal>,
    /// A segment was cut.
    has_cut: bool,
    /// The log start as far as known: the checkpoint's, or the first segment's base.
    log_start_offset: i64,
}

impl PartitionLog {
    /// Opens the log in an existing directory; an empty directory is an empty log, which begins at
    /// the given log start offset.
    pub fn open(open: OpenLog) -> Result<Arc<Self>, OpenLogError> {
        Self::open_with(open, &Recovery::default())
    }

    /// As [`PartitionLog::open`], and tells how far it is.
    pub fn open_with(open: OpenLog, recovery: &Recovery<'_>) -> Result<Arc<Self>, OpenLogError> {
        let disk = Arc::clone(&open.environment.disk);
        let known_epochs = read_epochs(&*disk, &open.dir)?;
        let files = leftovers::clear(&*disk, &open.dir)?;
        let mut loader = Loader {
            dir: Arc::from(open.dir.as_path()),
            epochs: known_epochs.clone().unwrap_or_default(),
            snapshots: snapshots_in(&files),
            recovered_producers: None,
            segments: Vec::new(),
            removals: Vec::new(),
            has_cut: false,
            log_start_offset: open.log_start_offset,
            disk,
            open: &open,
        };
        let unindexed = loader.open_segments(&files)?;
        let plan = loader.plan(&unindexed, recovery)?;
        loader.clear_strays(&files)?;
        if known_epochs.is_none() {
            loader.read_epochs_of_batches()?;
        }
        loader.recover_all(&plan, recovery)?;
        let (log_end_offset, found) = loader.find_log_end()?;
        let log_start_offset = loader.log_start_offset;
        let recovery_point = match open.after {
            Shutdown::Clean if found => log_end_offset,
            _ => open.recovery_point.min(log_end_offset),
        };
        let start_is_unsynced = loader.has_cut || found && open.after == Shutdown::Unclean;
        let active = Arc::clone(loader.segments.last().expect("a log has a segment"));
        let epochs_are_unwritten =
            loader.settle_epochs(known_epochs.as_ref(), log_end_offset, found)?;
        let mut producers =
            loader.producers_at(LogRange { log_start_offset, end_offset: log_end_offset })?;
        // Afterwards it is opened by who needs it, and what was read so far is closed.
        active.activate(open.config.segment_index_bytes)?;
        let place = Place { segment_base_offset: active.base_offset(), position: active.size() };
        let mut marks =
            Marks::new(log_start_offset, Mark { offset: log_end_offset, place: Some(place) });
        if open.role == LogRole::SoleReplica {
            marks.advance_high_watermark(log_end_offset);
            producers.state.on_high_watermark(log_end_offset);
        }
        marks.set_first_unstable(producers.state.first_unstable_offset());
        let commit = GroupCommit::new(recovery_point, open.now_ms);
        if active.base_offset() > recovery_point {
            // What was sealed before the crash and not flushed is flushed soon, or every start from
            // here on would have to check it again.
            commit.note_roll(recovery_point);
        }
        let (segments, removals, epochs) = (loader.segments, loader.removals, loader.epochs);
        let (dir, disk) = (loader.dir, loader.disk);
        Ok(Arc::new(Self {
            appender: Mutex::new(Appender { writer: new_writer(&open, active.base_offset()) }),
            topic_partition: open.topic_partition,
            role: open.role,
            disk,
            log_dir: open.environment.log_dir,
            dir,
            open_segments: open.environment.open_segments,
            config: ArcSwap::from_pointee(open.config),
            segments: Segments::new(segments),
            marks: Mutex::new(marks),
            epochs: Mutex::new(epochs),
            epoch_is_begun: AtomicBool::new(false),
            epochs_are_unwritten: AtomicBool::new(epochs_are_unwritten),
            start_is_unsynced: AtomicBool::new(start_is_unsynced),
            producers: Mutex::new(producers),
            commit,
            removals: Mutex::new(removals),
            structure: Structure::default(),
            closed: AtomicBool::new(false),
        }))
    }
}

impl Loader<'_> {
    /// Drops epochs outside of the log. Returns whether the list is to be written by the next
    /// flush: what a crash has kept out of the file is found again until then, and two syncs of
    /// each of thousands of logs are not to be waited for. A list that could not be read is written
    /// now.
    fn settle_epochs(
        &mut self,
        on_disk: Option<&LeaderEpochCache>,
        log_end_offset: i64,
        found: bool,
    ) -> Result<bool, StorageError> {
        self.read_epochs_before_list()?;
        self.epochs.truncate_from_end(log_end_offset);
        self.epochs.truncate_from_start(self.open.log_start_offset);
        let path = self.open.dir.join(LEADER_EPOCH_CHECKPOINT);
        match on_disk {
            None => leader_epoch::write(&*self.disk, &path, &self.epochs)
                .map_err(StorageError::io("write", &path))?,
            Some(on_disk) if *on_disk != self.epochs => return Ok(true),
            Some(_) if found => {}
            Some(_) => {
                checkpoint::touch(&*self.disk, &path).map_err(StorageError::io("create", &path))?
            }
        }
        Ok(false)
    }

    /// Opens every segment that has a `.log`. Returns the base offsets of those whose indexes must
    /// be made anew wherever they are. Changes nothing.
    fn open_segments(&mut self, files: &SegmentFiles) -> Result<Vec<i64>, OpenLogError> {
        let mut unindexed = Vec::new();
        let logs = files.iter().filter(|(_, kinds)| kinds.contains(&FileKind::Log));
        let recovery_base = self.recovery_base_of(logs.map(|(base_offset, _)| *base_offset));
        for (&base_offset, kinds) in files {
            if !kinds.contains(&FileKind::Log) {
                continue;
            }
            let budget = Arc::clone(&self.open.environment.open_segments);
            let segment = Segment::open(Arc::clone(&self.disk), &self.dir, base_offset, budget)?;
            // Those in doubt are made anew anyway.
            if base_offset < recovery_base && self.is_unindexed(&segment, kinds)? {
                unindexed.push(base_offset);
            }
            self.segments.push(segment);
        }
        if let Some(first) = self.segments.first() {
            self.log_start_offset = self.log_start_offset.max(first.base_offset());
        }
        Ok(unindexed)
    }

    /// Removes files that belong to no segment.
    fn clear_strays(&mut self, files: &SegmentFiles) -> Result<(), StorageError> {
        for (&base_offset, kinds) in files {
            if !kinds.contains(&FileKind::Log) {
                self.remove_orphans(base_offset, kinds)?;
            }
        }
        self.remove_stray_snapshots()
    }

    /// Files of a segment whose `.log` is gone or was never made.
    fn remove_orphans(&self, base_offset: i64, kinds: &[FileKind]) -> Result<(), StorageError> {
        for &kind in kinds {
            if kind != FileKind::ProducerSnapshot {
                let path =
                    self.open.dir.join(crate::file_name::segment_file_name(base_offset, kind));
                log::warn!("{}: there is no .log beside it; removed", path.display());
                leftovers::unlink(&*self.disk, &path)?;
            }
        }
        Ok(())
    }

    /// Whether a segment's indexes must be made anew even if it lies below the recovery point.
    fn is_unindexed(&self, segment: &Segment, kinds: &[FileKind]) -> Result<bool, StorageError> {
        for (kind, name) in [(FileKind::OffsetIndex, "offset"), (FileKind::TimeIndex, "time")] {
            if !kinds.contains(&kind) {
                let path = segment.path();
                log::error!("{}: has no {name} index beside it; recovering it", path.display());
                return Ok(true);
            }
        }
        let txn_index = segment.path_of(FileKind::TxnIndex);
        match txn_index::check(&*self.disk, &txn_index, segment.base_offset()) {
            Ok(()) => {}
            Err(WholeFileError::Content { error, .. }) => {
                log::warn!("{}: {error}; recovering the segment", txn_index.display());
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
        if self.open.after == Shutdown::Unclean && !segment.are_indexes_sane()? {
            log::warn!("{}: the indexes are not as a roll leaves them", segment.path().display());
            return Ok(true);
        }
        Ok(false)
    }

    fn remove_stray_snapshots(&mut self) -> Result<(), StorageError> {
        let bases = self.segments.iter().map(|segment| segment.base_offset()).collect();
        for offset in self.snapshots.take_strays(&bases) {
            let path = crate::producer_state::snapshot::path(&self.open.dir, offset);
            leftovers::unlink(&*self.disk, &path)?;
        }
        Ok(())
    }

    fn remove(&mut self, segments: &[Arc<Segment>]) -> Result<(), StorageError> {
        let due_ms = self.open.now_ms.saturating_add(self.open.config.file_delete_delay_ms);
        for segment in segments {
            let renamed = segment.mark_deleted()?;
            self.removals.extend(renamed.into_iter().map(|path| Removal { path, due_ms }));
        }
        Ok(())
    }

    /// The log end, and whether any segment was there. Afterwards there is one.
    fn find_log_end(&mut self) -> Result<(i64, bool), StorageError> {
        let found = !self.segments.is_empty();
        if let Some(last) = self.segments.last() {
            let (next_offset, _) = last.read_end()?;
            if next_offset >= self.open.log_start_offset {
                return Ok((next_offset, found));
            }
            log::error!(
                "{}: ends at {next_offset}, below its log start {}; starting over there",
                self.open.dir.display(),
                self.open.log_start_offset
            );
            let all = std::mem::take(&mut self.segments);
            self.remove(&all)?;
            self.epochs.clear();
        }
        let base_offset = self.open.log_start_offset;
        self.log_start_offset = base_offset;
        let budget = Arc::clone(&self.open.environment.open_segments);
        let files = NewFiles::of(&self.open.config);
        let segment =
            Segment::create(Arc::clone(&self.disk), &self.dir, base_offset, budget, files)?;
        self.segments.push(segment);
        if 0 < base_offset {
            // From here on the segment's name alone says where the log begins: a log start that is
            // a segment's is in no checkpoint.
            self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir))?;
        }
        Ok((base_offset, found))
    }

    fn producers(&self) -> Producers {
        Producers::new(
            Arc::clone(&self.disk),
            Arc::clone(&self.dir),
            self.open.producer_settings,
            self.snapshots.clone(),
        )
    }

    /// Producer state as recovery left it, if that was exactly there. A snapshot knows one batch of
    /// each producer, what was just replayed knows the last five: a producer that had several on
    /// the way when the broker died sends all of them again.
    fn recovered_up_to(&mut self, offset: i64) -> Option<Producers> {
        let mut producers = self.recovered_producers.take()?;
        producers.snapshots = self.snapshots.clone();
        (producers.state.map_end_offset() == offset).then_some(producers)
    }

    fn producers_at(&mut self, range: LogRange) -> Result<Producers, StorageError> {
        if let Some(mut producers) = self.recovered_up_to(range.end_offset) {
            // There was no snapshot to recover from if the log starts amid the first segment.
            recall(&mut producers.state, &self.segments);
            return Ok(producers);
        }
        let mut producers = self.producers();
        if range.log_start_offset == range.end_offset && self.snapshots.is_empty() {
            // A new or emptied log has nobody in it, which needs no file to say so.
            producers.start_over(range.end_offset)?;
            return Ok(producers);
        }
        let (after, now_ms) = (self.open.after, self.open.now_ms);
        let to = RebuildTo { range, after, now_ms };
        producers.rebuild(&self.segments, to, &mut |_, _| Ok(()))?;
        Ok(producers)
    }
}

fn new_writer(open: &OpenLog, base_offset: i64) -> SegmentWriter {
    let name = open.topic_partition.to_string();
    SegmentWriter::new(open.now_ms, open.config.roll_jitter_ms(&name, base_offset))
}

fn snapshots_in(files: &SegmentFiles) -> Snapshots {
    files
        .iter()
        .filter(|(_, kinds)| kinds.contains(&FileKind::ProducerSnapshot))
        .map(|(offset, _)| *offset)
        .collect()
}

/// The list of leader epochs; `None` when it is damaged.
fn read_epochs(disk: &dyn Disk, dir: &Path) -> Result<Option<LeaderEpochCache>, StorageError> {
    let path = dir.join(LEADER_EPOCH_CHECKPOINT);
    match leader_epoch::read(disk, &path) {
        Ok(epochs) => Ok(Some(epochs)),
        Err(WholeFileError::Content { path, error }) => {
            log::warn!("{}: {error}; made anew from the batches", path.display());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

impl OpenLogError {
    fn damaged(damage: LogDamage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

impl From<StorageError> for OpenLogError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<FileNameError> for OpenLogError {
    fn from(error: FileNameError) -> Self {
        Self::FileName(error)
    }
}

impl fmt::Display for OpenLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Damaged(damage) => damage.fmt(f),
            Self::FileName(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenLogError {}
