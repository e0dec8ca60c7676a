//! Beginning a new segment.

use std::sync::Arc;

use super::offsets::{Mark, Place};
use super::{Appender, PartitionLog};
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::segment::{NewFiles, Segment, SegmentWriter};
use crate::txn_index;

/// What is about to be appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) bytes: u64,
    pub(super) max_timestamp_ms: i64,
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) now_ms: i64,
}

impl PartitionLog {
    /// The segment to append to: the active one, or a new one if that must not take the append.
    pub(super) fn roll_if_due(
        &self,
        appender: &mut Appender,
        config: &LogConfig,
        incoming: Incoming,
    ) -> Result<Arc<Segment>, StorageError> {
        let active = self.segments.active();
        if !self.is_roll_due(&active, &mut appender.writer, config, incoming)? {
            return Ok(active);
        }
        let new_base = incoming.first_offset.max(self.marks().log_end().offset);
        self.roll(appender, new_base, incoming.now_ms)?;
        Ok(self.segments.active())
    }

    fn is_roll_due(
        &self,
        active: &Arc<Segment>,
        writer: &mut SegmentWriter,
        config: &LogConfig,
        incoming: Incoming,
    ) -> Result<bool, StorageError> {
        let reach = incoming.last_offset - active.base_offset();
        if !(0..=i64::from(i32::MAX)).contains(&reach) {
            return Ok(true);
        }
        // An empty segment takes any append; a new one could take no more.
        if active.size() == 0 {
            return Ok(false);
        }
        if active.size() + incoming.bytes > u64::from(config.segment_bytes) {
            return Ok(true);
        }
        if active.is_index_full() {
            return Ok(true);
        }
        if writer.rolling_based_timestamp_ms.is_none() {
            writer.rolling_based_timestamp_ms = active.first_timestamp_ms()?;
        }
        let waited_ms = match writer.rolling_based_timestamp_ms {
            Some(first) if first >= 0 => incoming.max_timestamp_ms.saturating_sub(first),
            _ => incoming.now_ms.saturating_sub(writer.created_ms),
        };
        Ok(waited_ms > config.segment_ms_max() - writer.jitter_ms)
    }

    /// Seals the active segment and begins one at `new_base`. On an error the old one goes on, if
    /// the disk lets it.
    pub(super) fn roll(
        &self,
        appender: &mut Appender,
        new_base: i64,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let old = self.segments.active();
        assert!(old.base_offset() < new_base, "a roll goes forward");
        // Sealing frees them.
        appender.writer.allocated_to = 0;
        let vouched_to = self.commit.begin_roll(old.base_offset());
        let sealed = self.flush_start(&old).and_then(|()| old.seal());
        let sealed = sealed.and_then(|()| self.flush_if_compacted(&old));
        let sealed = sealed.and_then(|()| self.flush_if_vouched_for(&old, vouched_to, new_base));
        let sealed = sealed.and_then(|()| self.sync_name_of_first(&old, vouched_to));
        let rolled = sealed.and_then(|()| self.create_segment(new_base));
        let new = match rolled {
            Ok(new) => new,
            Err(error) => {
                self.undo_roll(&old, new_base)?;
                return self.log_dir.watch(Err(error));
            }
        };
        let snapshot = {
            let mut producers = self.producers();
            producers.state.set_map_end_offset(new_base);
            producers.take_snapshot()
        };
        if let Err(error) = self.log_dir.watch(snapshot) {
            self.undo_roll(&old, new_base)?;
            return Err(error);
        }
        self.segments.push(new);
        appender.writer = self.new_writer(new_base, now_ms);
        let place = Place { segment_base_offset: new_base, position: 0 };
        let mut marks = self.marks();
        marks.forget_last_append();
        let offset = marks.log_end().offset;
        marks.append_to(Mark { offset, place: Some(place) });
        self.commit.note_roll(old.base_offset());
        Ok(())
    }

    /// Makes the batches of a segment, and its name, durable before another one begins behind it,
    /// if the log is compacted. A power loss could else take records off the end of the one and
    /// leave the other, and a gap is nothing that a start may take for a loss where cleanings make
    /// gaps too.
    fn flush_if_compacted(&self, sealed: &Segment) -> Result<(), StorageError> {
        if !self.config.load().cleanup_compact {
            return Ok(());
        }
        sealed.flush_log()?;
        self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir))
    }

    /// Makes the name of a log's first segment durable before a second one begins. Lost while that
    /// one stays, it would leave a log without its first records, which looks as retention leaves
    /// one.
    fn sync_name_of_first(&self, sealed: &Segment, vouched_to: i64) -> Result<(), StorageError> {
        let first_base_offset = self.segments.all()[0].base_offset();
        if first_base_offset < sealed.base_offset() || sealed.base_offset() < vouched_to {
            return Ok(());
        }
        self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir))
    }

    /// Makes the ends of a segment's files durable before another one begins where the recovery
    /// point is. A recovery begins with the last segment that does not lie above the recovery
    /// point, and would trust indexes that have lost their last entries, and a file that was
    /// preallocated and is not cut to its batches.
    fn flush_if_vouched_for(
        &self,
        sealed: &Segment,
        vouched_to: i64,
        new_base: i64,
    ) -> Result<(), StorageError> {
        if vouched_to < new_base {
            return Ok(());
        }
        sealed.flush()?;
        txn_index::sync(&*self.disk, &sealed.path_of(FileKind::TxnIndex))?;
        self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir))
    }

    pub(super) fn create_segment(&self, base_offset: i64) -> Result<Arc<Segment>, StorageError> {
        let config = self.config.load();
        let files = NewFiles::of(&config);
        let (disk, budget) = (Arc::clone(&self.disk), Arc::clone(&self.open_segments));
        Segment::create(disk, &self.dir, base_offset, budget, files)
    }

    pub(super) fn new_writer(&self, base_offset: i64, now_ms: i64) -> SegmentWriter {
        let name = self.topic_partition.to_string();
        SegmentWriter::new(now_ms, self.config.load().roll_jitter_ms(&name, base_offset))
    }

    fn undo_roll(&self, old: &Segment, new_base: i64) -> Result<(), StorageError> {
        self.remove_new_files(new_base);
        self.commit.undo_roll();
        self.log_dir.watch(old.activate(self.config.load().segment_index_bytes))
    }

    /// Takes back what a failed roll has left. What cannot be removed, the next load clears away
    /// or takes for an empty segment.
    fn remove_new_files(&self, base_offset: i64) {
        for kind in [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex] {
            let name = crate::file_name::segment_file_name(base_offset, kind);
            if let Err(error) = self.disk.unlink(&self.dir.join(&name))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                log::warn!("{}: cannot remove {name}: {error}", self.topic_partition);
            }
        }
    }
}
