//! Retention: the log start moves past segments that nobody wants any more, then their files go.
//!
//! In two steps, so that the caller can write the log start down in between: whatever part of the
//! removal a power loss leaves, the log then begins where it said it does.

use std::sync::Arc;

use super::{LogStartError, PartitionLog};
use crate::error::StorageError;
use crate::retention::{LogShape, SizeRule, TrustedNow, is_expired};
use crate::segment::Segment;

/// Segments and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub segments: usize,
    /// Bytes of their batches.
    pub bytes: u64,
}

/// What [`PartitionLog::expire_segments`] has put below the log start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Segments that lay below it already, after DeleteRecords.
    pub by_start: Tally,
    /// Segments beyond `retention.bytes`.
    pub by_size: Tally,
    /// Segments older than `retention.ms`.
    pub by_time: Tally,
    /// Segments that would be too old if the wall clock were believed.
    pub spared: Tally,
}

impl Expired {
    /// Whether there are files to be removed.
    pub fn is_any(&self) -> bool {
        self.by_start.segments + self.by_size.segments + self.by_time.segments > 0
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.bytes += other.bytes;
    }
}

impl std::ops::AddAssign for Expired {
    fn add_assign(&mut self, other: Self) {
        self.by_start += other.by_start;
        self.by_size += other.by_size;
        self.by_time += other.by_time;
        self.spared += other.spared;
    }
}

/// What is due in the segments of one moment. A swap may put one segment in the place of several
/// at any time: from then on their numbers say nothing, but their offsets do.
struct Found {
    expired: Expired,
    /// Where the first segment begins that stays; `None` when not even the active one does.
    kept_base_offset: Option<i64>,
    log_end_offset: i64,
    active_base_offset: i64,
    active_bytes: u64,
}

impl Found {
    /// The same, but for the active segment.
    fn but_active(self) -> (Expired, i64) {
        let mut expired = self.expired;
        let its = match expired.by_time.segments {
            0 => &mut expired.by_size,
            _ => &mut expired.by_time,
        };
        its.segments -= 1;
        its.bytes -= self.active_bytes;
        (expired, self.active_base_offset)
    }
}

impl PartitionLog {
    /// Moves the log start past the segments that are due; a new active segment is begun when the
    /// present one is among them. Their records can no longer be read. The files are left to
    /// [`PartitionLog::remove_expired_segments`], for which the log start should be durable.
    ///
    /// Segments below the log start are always due; those too many or too old only if
    /// `cleanup.policy` contains `delete`.
    ///
    /// # Errors
    /// What the disk says, or that the log is closed.
    pub fn expire_segments(&self, now: TrustedNow) -> Result<Expired, StorageError> {
        self.check_open()?;
        let found = self.beside_swaps(|| self.find_expired(now));
        let found = self.log_dir.watch(found)?;
        if found.expired.by_size.segments + found.expired.by_time.segments == 0 {
            return Ok(found.expired);
        }
        let new_start = match found.kept_base_offset {
            Some(kept) => Some(kept),
            None => self.roll_for_retention(found.log_end_offset, now.now_ms)?,
        };
        let (expired, new_start) = match new_start {
            Some(offset) => (found.expired, offset),
            // Appends came between: the active segment is not as old as it was found.
            None => found.but_active(),
        };
        match self.advance_log_start(new_start) {
            Ok(()) => Ok(expired),
            Err(LogStartError::Storage(error)) => Err(error),
            // A truncation came between: the next pass will see.
            Err(LogStartError::AboveHighWatermark(_)) => Ok(Expired::default()),
        }
    }

    fn find_expired(&self, now: TrustedNow) -> Result<Found, StorageError> {
        let config = self.config.load();
        // The offsets first: segments are only added behind them.
        let offsets = self.offsets();
        let all = self.segments.all();
        let segments: Vec<_> =
            all.iter().map(|segment| (segment.base_offset(), segment.size())).collect();
        let (high_watermark, log_end_offset) = (offsets.high_watermark, offsets.log_end_offset);
        let shape = LogShape { segments: &segments, high_watermark, log_end_offset };
        let tally = |from: usize, count: usize| Tally {
            segments: count,
            bytes: segments[from..from + count].iter().map(|segment| segment.1).sum(),
        };
        let below = |n| Ok::<_, StorageError>(shape.is_below_start(n, offsets.log_start_offset));
        let mut due = shape.count_due(0, below)?;
        let mut expired = Expired { by_start: tally(0, due), ..Expired::default() };
        let (active_base_offset, active_bytes) = segments[segments.len() - 1];
        let found = |expired, due: usize| Found {
            expired,
            kept_base_offset: segments.get(due).map(|kept| kept.0),
            log_end_offset,
            active_base_offset,
            active_bytes,
        };
        if !config.cleanup_delete {
            return Ok(found(expired, due));
        }
        let mut rule = SizeRule::new(shape.size_bytes(due), config.retention_bytes);
        let too_many = shape.count_due(due, |n| Ok::<_, StorageError>(rule.goes(segments[n].1)))?;
        expired.by_size = tally(due, too_many);
        due += too_many;
        let too_old = |n: usize, now_ms| {
            let timestamp = largest_timestamp_ms(&all[n], config.retention_ms)?;
            Ok::<_, StorageError>(is_expired(timestamp, config.retention_ms, now_ms))
        };
        let old = shape.count_due(due, |n| too_old(n, now.now_ms))?;
        expired.by_time = tally(due, old);
        due += old;
        if now.doubted_ms > 0 {
            let wall_ms = now.now_ms.saturating_add(now.doubted_ms);
            expired.spared = tally(due, shape.count_due(due, |n| too_old(n, wall_ms))?);
        }
        Ok(found(expired, due))
    }

    /// Begins a new segment at `log_end_offset` and answers that, unless the log has grown.
    fn roll_for_retention(
        &self,
        log_end_offset: i64,
        now_ms: i64,
    ) -> Result<Option<i64>, StorageError> {
        let mut appender = self.appender();
        self.check_open()?;
        if self.offsets().log_end_offset != log_end_offset {
            return Ok(None);
        }
        if self.segments.active().base_offset() < log_end_offset {
            self.roll(&mut appender, log_end_offset, now_ms)?;
        }
        Ok(Some(log_end_offset))
    }

    /// Takes segments that lie below the log start out of the log; their files are renamed, and
    /// unlinked after `file.delete.delay.ms`. Returns how many.
    ///
    /// # Errors
    /// What the disk says, or that the log is closed.
    pub fn remove_expired_segments(&self, now_ms: i64) -> Result<usize, StorageError> {
        self.remove_expired(usize::MAX, now_ms)
    }

    /// The same for the first of them alone, and durably: whatever a power loss leaves of that, the
    /// log has no hole, so that its start needs not be durable before.
    ///
    /// # Errors
    /// What the disk says, or that the log is closed.
    pub fn remove_first_expired_segment(&self, now_ms: i64) -> Result<usize, StorageError> {
        let removed = self.remove_expired(1, now_ms)?;
        if removed > 0 {
            let synced = self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir));
            self.log_dir.watch(synced)?;
        }
        Ok(removed)
    }

    fn remove_expired(&self, count_max: usize, now_ms: i64) -> Result<usize, StorageError> {
        let log_start_offset = self.offsets().log_start_offset;
        let is_below = |all: &[Arc<Segment>]| {
            let below = |two: &&[Arc<Segment>]| two[1].base_offset() <= log_start_offset;
            all.windows(2).take_while(below).count().min(count_max)
        };
        if is_below(&self.segments.all()) == 0 {
            return Ok(0);
        }
        let _still = self.stop_cleaning();
        let dropped = {
            let _appender = self.appender();
            self.check_open()?;
            let all = self.segments.all();
            let (dropped, kept) = all.split_at(is_below(&all));
            self.segments.replace(kept.to_vec());
            dropped.to_vec()
        };
        // A sync under way may be at one of them.
        let _turn = self.commit.turn();
        let _swap = self.structure.begin_swap();
        let first_base_offset = self.segments.all()[0].base_offset();
        if self.commit.recovery_point() <= first_base_offset {
            // Its name may not be durable. Lost while a later one stays, it would leave a hole that
            // no start could tell once the segments before it are gone.
            let synced = self.disk.sync_dir(&self.dir).map_err(StorageError::sync(&self.dir));
            self.log_dir.watch(synced)?;
        }
        self.commit.raise_sealed(first_base_offset);
        self.commit.raise_recovery_point(first_base_offset);
        self.log_dir.watch(self.remove_segments(&dropped, now_ms))?;
        Ok(dropped.len())
    }
}

/// The newest record's timestamp. A segment that was closed is closed again: a pass looks at the
/// first segment of every log.
fn largest_timestamp_ms(segment: &Arc<Segment>, retention_ms: i64) -> Result<i64, StorageError> {
    if retention_ms < 0 {
        return Ok(i64::MAX);
    }
    let was_open = segment.is_open();
    let largest = segment.largest_timestamp_ms();
    if !was_open {
        segment.release();
    }
    largest
}
