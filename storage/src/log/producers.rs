//! Producer state of a log: kept in step with its appends, its segments and its snapshot files.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};

use ottla_protocol::record::batch::BatchHeader;
use ottla_protocol::record::control::{self, MalformedControl};
use ottla_protocol::record::set::Batch;

use super::PartitionLog;
use super::recall::recall;
use crate::disk::Disk;
use crate::error::{StorageError, StorageErrorKind};
use crate::producer_state::snapshot::{self, Durability};
use crate::producer_state::snapshots::{LogRange, Rebuild, Shutdown, Snapshots};
use crate::producer_state::{
    CompletedTxn, EndTxnMarker, ProducerBatch, ProducerSettings, ProducerState, VerificationGuard,
    VerificationRequest,
};
use crate::segment::{BatchScanner, Segment};
use crate::whole_file::WholeFileError;

/// The state and the files that keep it.
#[derive(Debug)]
pub(super) struct Producers {
    pub(super) state: ProducerState,
    pub(super) snapshots: Snapshots,
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
}

/// What a rebuild depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RebuildTo {
    pub(super) range: LogRange,
    pub(super) after: Shutdown,
    pub(super) now_ms: i64,
}

/// A transaction that ended by a batch in a segment, to be indexed there if it was aborted.
pub(super) type OnCompleted<'a> =
    dyn FnMut(&Arc<Segment>, CompletedTxn) -> Result<(), StorageError> + 'a;

impl Producers {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: Arc<Path>,
        settings: ProducerSettings,
        snapshots: Snapshots,
    ) -> Self {
        Self { state: ProducerState::new(settings, 0), snapshots, disk, dir }
    }

    /// Takes a snapshot at the end of what the state reflects, if it has changed since the last.
    /// It is synced with the segments: a power loss before that may damage it, which its sum shows,
    /// and an older one is used.
    pub(super) fn take_snapshot(&mut self) -> Result<(), StorageError> {
        let Some(offset) = self.state.snapshot_due() else { return Ok(()) };
        let dir = Arc::clone(&self.dir);
        let bytes = snapshot::encode(&self.state);
        let written = snapshot::write(&*self.disk, &dir, offset, &bytes, Durability::WithSegment);
        let path = snapshot::path(&dir, offset);
        written.map_err(StorageError::io("write", &path))?;
        self.snapshots.insert(offset);
        self.state.on_snapshot_taken(offset);
        Ok(())
    }

    /// Takes a snapshot while the state is rebuilt. If there is no space for it, the next rebuild
    /// takes longer, which is no reason not to have the log.
    pub(super) fn take_snapshot_on_the_way(&mut self) -> Result<(), StorageError> {
        match self.take_snapshot() {
            Err(error) if error.kind() == StorageErrorKind::Full => {
                log::warn!("{error}; going on without the snapshot");
                Ok(())
            }
            other => other,
        }
    }

    /// Removes the files of snapshots that were taken out of the set.
    pub(super) fn remove_files(&self, offsets: &[i64]) -> Result<(), StorageError> {
        let dir = Arc::clone(&self.dir);
        for &offset in offsets {
            let path = snapshot::path(&dir, offset);
            match self.disk.unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets all, with the files.
    pub(super) fn start_over(&mut self, log_start_offset: i64) -> Result<(), StorageError> {
        let all = self.snapshots.take_all();
        self.state.reset(log_start_offset);
        self.remove_files(&all)
    }

    /// Brings the state to the end of the log: from the newest good snapshot, then by replaying
    /// what lies behind it.
    pub(super) fn rebuild(
        &mut self,
        segments: &[Arc<Segment>],
        to: RebuildTo,
        on_completed: &mut OnCompleted<'_>,
    ) -> Result<(), StorageError> {
        let bases: BTreeSet<i64> = segments.iter().map(|segment| segment.base_offset()).collect();
        let end_offset = to.range.end_offset;
        match self.snapshots.plan_rebuild(&bases, to.after) {
            Rebuild::EmptySnapshots { at } => {
                self.state.reset(to.range.log_start_offset);
                for offset in at.into_iter().chain([end_offset]) {
                    self.state.set_map_end_offset(offset);
                    self.take_snapshot_on_the_way()?;
                }
            }
            Rebuild::Replay { snapshot_at } => {
                self.restore(to)?;
                self.replay(segments, &snapshot_at, to.range, on_completed)?;
                if self.state.map_end_offset() < end_offset {
                    self.state.set_map_end_offset(end_offset);
                }
                recall(&mut self.state, segments);
                self.take_snapshot_on_the_way()?;
            }
        }
        Ok(())
    }

    /// Starts from the newest snapshot within the log that can be read; damaged ones are removed.
    fn restore(&mut self, to: RebuildTo) -> Result<(), StorageError> {
        let outside = self.snapshots.take_out_of_range(to.range);
        self.remove_files(&outside)?;
        self.state.reset(to.range.log_start_offset);
        let dir = Arc::clone(&self.dir);
        while let Some(offset) = self.snapshots.newest() {
            match snapshot::read(&*self.disk, &dir, offset) {
                Ok(Some(producers)) => {
                    self.state.restore(offset, producers, to.now_ms);
                    return Ok(());
                }
                Ok(None) => {}
                Err(WholeFileError::Content { path, error }) => {
                    log::warn!("{}: {error}; it is removed and not used", path.display());
                    self.remove_files(&[offset])?;
                }
                Err(WholeFileError::Io { path, error }) => {
                    return Err(StorageError::io("read", &path)(error));
                }
            }
            self.snapshots.remove(offset);
        }
        Ok(())
    }

    fn replay(
        &mut self,
        segments: &[Arc<Segment>],
        snapshot_at: &[i64],
        range: LogRange,
        on_completed: &mut OnCompleted<'_>,
    ) -> Result<(), StorageError> {
        let from = self.state.map_end_offset();
        if from >= range.end_offset {
            return Ok(());
        }
        let behind = segments.partition_point(|segment| segment.base_offset() <= from);
        for segment in &segments[behind.saturating_sub(1)..] {
            let base_offset = segment.base_offset();
            if base_offset >= range.end_offset && base_offset > from {
                break;
            }
            if snapshot_at.contains(&base_offset) && base_offset >= self.state.map_end_offset() {
                self.state.set_map_end_offset(base_offset);
                self.take_snapshot_on_the_way()?;
            }
            let start = base_offset.max(self.state.map_end_offset()).max(range.log_start_offset);
            self.replay_segment(segment, start, range.end_offset, on_completed)?;
        }
        Ok(())
    }

    fn replay_segment(
        &mut self,
        segment: &Arc<Segment>,
        start_offset: i64,
        end_offset: i64,
        on_completed: &mut OnCompleted<'_>,
    ) -> Result<(), StorageError> {
        let Some(first) = segment.find_batch(start_offset, segment.size())? else { return Ok(()) };
        let (file, path) = (segment.file()?, segment.path());
        let mut scanner = BatchScanner::new(&*file, &path, first.position, segment.size());
        while let Some(batch) = scanner.next()? {
            if batch.base_offset >= end_offset {
                break;
            }
            let mut bytes = Vec::new();
            if batch.magic == 2 && scanner.header().attributes().is_control() {
                bytes.resize(batch.size as usize, 0);
                let read = file.read_exact_at(&mut bytes, batch.position);
                read.map_err(StorageError::io("read", &path))?;
            }
            if batch.magic == 2 {
                self.replay_batch(segment, scanner.header(), &bytes, on_completed)?;
            } else {
                self.state.set_map_end_offset(batch.last_offset + 1);
            }
        }
        Ok(())
    }

    /// Takes a batch into the state that stands in `segment`. `bytes` is all of a control batch.
    pub(super) fn replay_batch(
        &mut self,
        segment: &Arc<Segment>,
        header: BatchHeader<'_>,
        bytes: &[u8],
        on_completed: &mut OnCompleted<'_>,
    ) -> Result<(), StorageError> {
        let end_offset = header.last_offset().saturating_add(1);
        let Some(batch) = producer_batch(header, || Batch::new(bytes)) else {
            self.state.set_map_end_offset(end_offset);
            return Ok(());
        };
        match self.state.replay(&[batch], end_offset) {
            Ok(completed) => completed.into_iter().try_for_each(|txn| on_completed(segment, txn)),
            Err(error) => Err(StorageError::Corrupt {
                path: segment.path(),
                position: 0,
                problem: format!("batch at offset {}: {error}", header.base_offset()),
            }),
        }
    }
}

/// What producer state needs to know of a batch, if it has a producer. A control batch must be
/// had whole.
pub(crate) fn producer_batch<'a>(
    header: BatchHeader<'_>,
    whole: impl FnOnce() -> Option<Batch<'a>>,
) -> Option<ProducerBatch> {
    if header.producer_id() < 0 {
        return None;
    }
    let is_marker = header.attributes().is_control() && header.records_count() > 0;
    let marker = if is_marker { whole().and_then(|batch| marker_of(&batch)) } else { None };
    ProducerBatch::new(header, marker)
}

fn marker_of(batch: &Batch<'_>) -> Option<EndTxnMarker> {
    let record = batch.records().ok()?.next()?.ok()?;
    let parsed: Result<control::EndTxnMarker, MalformedControl> =
        control::EndTxnMarker::parse(record.key, record.value);
    let marker = parsed.ok()?;
    Some(EndTxnMarker {
        aborted: !marker.committed,
        coordinator_epoch: marker.coordinator_epoch,
        timestamp: record.timestamp,
        transaction_version: 0,
    })
}

impl PartitionLog {
    pub(super) fn producers(&self) -> MutexGuard<'_, Producers> {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the check that a transaction which would start here includes this partition; the
    /// guard goes with the append. See [`ProducerState::start_verification`].
    pub fn start_verification(&self, request: VerificationRequest) -> VerificationGuard {
        self.producers().state.start_verification(request)
    }

    /// Looks at the state of all producers.
    pub fn with_producers<T>(&self, look: impl FnOnce(&ProducerState) -> T) -> T {
        look(&self.producers().state)
    }

    /// Puts other settings of producer state in force.
    pub fn set_producer_settings(&self, settings: ProducerSettings) {
        self.producers().state.set_settings(settings);
    }

    /// Periodic work: forgets producers that have been silent too long. Returns how many.
    pub fn expire_producers(&self, now_ms: i64) -> usize {
        self.producers().state.expire(now_ms)
    }
}
