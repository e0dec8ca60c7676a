//! When snapshots are written, and what goes once there are newer ones.
//!
//! As in Kafka: a snapshot is due when enough bytes were appended since the last one, or enough
//! time went by in which something was. The oldest snapshot goes, while there is another, when it
//! is too old or all of it is too large, and with it the part of the log below the next one: the
//! log's start moves up there, and whole segments below it are removed. Unlike in Kafka, that next
//! one is read before, and a damaged one is passed over: it stands for nothing.

use ottla_metadata::log_codec::{self, Content};
use ottla_metadata::replay::Replay;
use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_protocol::metadata::control::MetadataControl;
use ottla_protocol::record::control::ControlType;
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Open;
use ottla_storage::error::StorageError;
use ottla_storage::log::LogStartError;
use ottla_storage::whole_file;

use super::{MetadataLog, MetadataLogError, io, snapshots};
use crate::config::MetadataSettings;

/// How often it is looked for what may go, ms. Kafka's interval.
const CLEAN_EVERY_MS: i64 = 60_000;
/// The most bytes of a batch of metadata records, as in Kafka.
const BATCH_BYTES_MAX: u32 = 8 << 20;
/// Bytes of a snapshot that hold its header, with many voters.
const HEADER_BYTES: usize = 64 << 10;

/// What is counted for the next snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due {
    /// Bytes appended since the last snapshot.
    pub(super) bytes: u64,
    /// When that was, or the start, ms.
    pub(super) since_ms: i64,
    /// The end of the last snapshot.
    pub(super) end_offset: i64,
    /// When it was last looked for what may go, ms.
    pub(super) cleaned_ms: Option<i64>,
}

/// How the log itself is kept: it never goes by itself, only below a snapshot.
pub(super) fn log_config(settings: &MetadataSettings) -> LogConfig {
    LogConfig {
        segment_bytes: settings.metadata_log_segment_bytes,
        segment_ms: settings.metadata_log_segment_ms,
        file_delete_delay_ms: settings.internal_metadata_delete_delay_millis,
        retention_bytes: -1,
        retention_ms: -1,
        max_message_bytes: BATCH_BYTES_MAX,
        ..LogConfig::default()
    }
}

impl MetadataLog {
    /// Writes a snapshot if one is due, and removes what newer ones stand for.
    ///
    /// # Errors
    /// When it cannot be written or removed.
    pub fn snapshot_if_due(
        &mut self,
        replay: &Replay,
        now_ms: i64,
    ) -> Result<(), MetadataLogError> {
        if !self.log_dir().is_online() {
            let dir = self.log_dir().path().to_owned();
            return Err(MetadataLogError::Storage(StorageError::Offline { dir }));
        }
        let settings = &self.settings;
        let bytes_max = settings.metadata_log_max_record_bytes_between_snapshots;
        let interval_ms = settings.metadata_log_max_snapshot_interval_ms;
        let is_new = self.due.end_offset <= replay.offset();
        // A clock that was set back begins the interval anew.
        self.due.since_ms = self.due.since_ms.min(now_ms);
        let is_late = 0 < interval_ms && interval_ms <= now_ms - self.due.since_ms;
        if is_new && (bytes_max <= self.due.bytes || is_late) {
            self.snapshot(replay, now_ms)?;
        }
        self.log.remove_due_files(now_ms);
        let last = self.due.cleaned_ms.unwrap_or(i64::MIN);
        if last.saturating_add(CLEAN_EVERY_MS) <= now_ms || now_ms < last {
            self.due.cleaned_ms = Some(now_ms);
            self.clean(now_ms)?;
        }
        Ok(())
    }

    pub(super) fn snapshot(
        &mut self,
        replay: &Replay,
        now_ms: i64,
    ) -> Result<(), MetadataLogError> {
        let Some((id, bytes)) = snapshot::of_replay(replay, now_ms) else { return Ok(()) };
        // A snapshot is believed to stand for what is durable.
        self.sync()?;
        let path = self.dir.join(id.to_string());
        whole_file::replace(&*self.disk, &path, &bytes)
            .map_err(|error| self.failed(&path, error))?;
        log::info!("{}: written", path.display());
        self.damaged.remove(&id);
        self.due = Due { bytes: 0, since_ms: now_ms, end_offset: id.end_offset, ..self.due };
        Ok(())
    }

    /// Removes the oldest snapshots while they are too old or too much, and a newer one can be read
    /// that stands for them.
    pub(super) fn clean(&mut self, now_ms: i64) -> Result<(), MetadataLogError> {
        let mut ids = snapshots(&*self.disk, &self.dir)?;
        ids.sort_unstable();
        let mut sizes = Vec::with_capacity(ids.len());
        for id in &ids {
            sizes.push(self.snapshot_size_bytes(*id)?);
        }
        let mut snapshots_bytes: u64 = sizes.iter().sum();
        for (at, size_bytes) in sizes.into_iter().enumerate() {
            let is_large = u64::try_from(self.settings.metadata_max_retention_bytes)
                .is_ok_and(|bytes_max| bytes_max < self.log.size_bytes() + snapshots_bytes);
            if !is_large && !self.is_too_old(&ids[at..], now_ms)? {
                break;
            }
            let Some(heir) = self.first_good(&ids[at + 1..])? else { break };
            // The log first: its part below is in the newer snapshot in any case.
            self.advance_start(heir.end_offset, now_ms)?;
            let path = self.dir.join(ids[at].to_string());
            self.disk.unlink(&path).map_err(|error| self.failed(&path, error))?;
            log::info!("{}: removed, {heir} stands for it", path.display());
            snapshots_bytes -= size_bytes;
        }
        Ok(())
    }

    /// The first of `ids` that is read without an error. The name alone says nothing: what a start
    /// passes over as damaged must not cost what it has fallen back to.
    fn first_good(&mut self, ids: &[SnapshotId]) -> Result<Option<SnapshotId>, MetadataLogError> {
        for id in ids {
            if self.damaged.contains(id) {
                continue;
            }
            let path = self.dir.join(id.to_string());
            let bytes = whole_file::read(&*self.disk, &path).map_err(io(&path))?;
            let Err(error) = snapshot::read(&bytes.unwrap_or_default(), *id) else {
                return Ok(Some(*id));
            };
            log::error!("{}: {error}; what is older is kept for it", path.display());
            self.damaged.insert(*id);
        }
        Ok(None)
    }

    fn advance_start(&self, offset: i64, now_ms: i64) -> Result<(), MetadataLogError> {
        match self.log.advance_log_start(offset) {
            Ok(()) => {}
            Err(LogStartError::Storage(error)) => return Err(MetadataLogError::Storage(error)),
            // A snapshot is of what is synced, so this log is another one; it is left alone.
            Err(LogStartError::AboveHighWatermark(_)) => return Ok(()),
        }
        self.log.remove_expired_segments(now_ms).map_err(MetadataLogError::Storage)?;
        Ok(())
    }

    fn snapshot_size_bytes(&self, id: SnapshotId) -> Result<u64, MetadataLogError> {
        let path = self.dir.join(id.to_string());
        let file = self.disk.open(&path, Open::Read).map_err(io(&path))?;
        file.len().map_err(io(&path))
    }

    /// Whether the last record in the first of these snapshots is older than records are kept. One
    /// that does not say is at least as old as the next one that does.
    fn is_too_old(&self, ids: &[SnapshotId], now_ms: i64) -> Result<bool, MetadataLogError> {
        let retention_ms = self.settings.metadata_max_retention_ms;
        if retention_ms < 0 {
            return Ok(false);
        }
        for id in ids {
            if let Some(last_ms) = self.last_ms(*id)? {
                return Ok(retention_ms < now_ms.saturating_sub(last_ms));
            }
        }
        Ok(false)
    }

    /// What a snapshot says of the time of its last record.
    fn last_ms(&self, id: SnapshotId) -> Result<Option<i64>, MetadataLogError> {
        let path = self.dir.join(id.to_string());
        let file = self.disk.open(&path, Open::Read).map_err(io(&path))?;
        let len = usize::try_from(file.len().map_err(io(&path))?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(HEADER_BYTES)];
        file.read_exact_at(&mut bytes, 0).map_err(io(&path))?;
        Ok(last_contained_log_timestamp(&bytes))
    }
}

/// What the header at the start of a snapshot's bytes says.
fn last_contained_log_timestamp(bytes: &[u8]) -> Option<i64> {
    let batch = log_codec::batches(bytes).next_batch().ok()??;
    let first = batch.entries().ok()?.next()?.ok()?;
    let Content::Control(ControlType::SnapshotHeader, value) = first.content else { return None };
    match MetadataControl::read(ControlType::SnapshotHeader, value) {
        Ok(Some(MetadataControl::SnapshotHeader(header))) => {
            Some(header.last_contained_log_timestamp)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
