//! Offsets by time.

use std::borrow::Cow;
use std::sync::Arc;

use ottla_protocol::record::compression::{Codec, DecompressLimits, decompress};
use ottla_protocol::record::legacy::LegacyEntry;
use ottla_protocol::record::set::Batch;

use super::PartitionLog;
use super::offsets::Isolation;
use crate::error::StorageError;
use crate::segment::{BatchAt, BatchScanner, Segment};
use crate::validate::DECOMPRESSED_BYTES_MAX;

/// What offset is asked for, as in ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampQuery {
    /// The first that may be read (-2, and without tiers -4).
    Earliest,
    /// The end, as a reader of this kind sees it (-1).
    Latest(Isolation),
    /// That of the record with the largest timestamp (-3).
    MaxTimestamp,
    /// The first whose record has this timestamp, ms, or a later one.
    At(i64),
}

/// An offset and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// The record's timestamp, ms; -1 where no record was looked at.
    pub timestamp_ms: i64,
    /// The offset.
    pub offset: i64,
    /// The leader epoch of the batch or offset, if known.
    pub leader_epoch: Option<i32>,
}

/// Which record of a segment is wanted.
#[derive(Clone, Copy)]
struct Wanted {
    timestamp_ms: i64,
    /// This very timestamp rather than a later one too.
    exactly: bool,
    offset_min: i64,
}

impl PartitionLog {
    /// Answers a query; `None` when no record is as late. Whether the offset is below the high
    /// watermark is left to the caller.
    pub fn offset_for_timestamp(
        &self,
        query: TimestampQuery,
    ) -> Result<Option<TimestampAndOffset>, StorageError> {
        self.check_open()?;
        match query {
            TimestampQuery::Earliest => {
                let offset = self.offsets().log_start_offset;
                let leader_epoch = self.epochs().earliest();
                let leader_epoch = leader_epoch.filter(|first| first.start_offset <= offset);
                let leader_epoch = leader_epoch.map(|first| first.epoch);
                Ok(Some(TimestampAndOffset { timestamp_ms: -1, offset, leader_epoch }))
            }
            TimestampQuery::Latest(isolation) => {
                let offset = self.marks().bound(isolation).offset;
                let leader_epoch = self.latest_epoch();
                Ok(Some(TimestampAndOffset { timestamp_ms: -1, offset, leader_epoch }))
            }
            TimestampQuery::MaxTimestamp => {
                let found = self.beside_swaps(|| self.find_max_timestamp());
                self.log_dir.watch(found)
            }
            TimestampQuery::At(timestamp_ms) => {
                let found = self.beside_swaps(|| self.find_timestamp(timestamp_ms));
                self.log_dir.watch(found)
            }
        }
    }

    fn find_timestamp(&self, ms: i64) -> Result<Option<TimestampAndOffset>, StorageError> {
        let offset_min = self.offsets().log_start_offset;
        for segment in self.segments.from(offset_min) {
            if segment.largest_timestamp_ms()? >= ms {
                let start = segment.position_for_timestamp(ms, offset_min)?;
                let wanted = Wanted { timestamp_ms: ms, exactly: false, offset_min };
                let found = find_record(&segment, start, wanted)?;
                // The record that was so late may have been compacted away, or deleted.
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    fn find_max_timestamp(&self) -> Result<Option<TimestampAndOffset>, StorageError> {
        let offset_min = self.offsets().log_start_offset;
        let mut best: Option<(Arc<Segment>, i64, i64)> = None;
        for segment in self.segments.from(offset_min) {
            let max = segment.max_timestamp()?;
            if max.timestamp_ms > best.as_ref().map_or(-1, |(_, ms, _)| *ms) {
                best = Some((segment, max.timestamp_ms, max.offset));
            }
        }
        let Some((segment, timestamp_ms, offset)) = best else { return Ok(None) };
        let Some(first) = segment.find_batch(offset, segment.size())? else { return Ok(None) };
        // As in Kafka it is told though the log start has passed it: what comes behind it is older,
        // and the segments do not know which of that is the latest.
        let wanted = Wanted { timestamp_ms, exactly: true, offset_min: i64::MIN };
        find_record(&segment, first.position, wanted)
    }
}

/// Walks batches from byte `start` on for the first record that is wanted.
fn find_record(
    segment: &Arc<Segment>,
    start: u64,
    wanted: Wanted,
) -> Result<Option<TimestampAndOffset>, StorageError> {
    let (file, path) = (segment.file()?, segment.path());
    let mut scanner = BatchScanner::new(&*file, &path, start, segment.size());
    while let Some(batch) = scanner.next()? {
        let may_hold = batch.max_timestamp_ms >= wanted.timestamp_ms;
        if may_hold && batch.last_offset >= wanted.offset_min {
            let mut bytes = vec![0; batch.size as usize];
            let read = file.read_exact_at(&mut bytes, batch.position);
            read.map_err(StorageError::io("read", &path))?;
            let found = first_wanted(&batch, &bytes, wanted);
            let found = found.map_err(|problem| StorageError::Corrupt {
                path: path.clone(),
                position: batch.position,
                problem,
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The first record of a batch that is wanted. The error says what is wrong with the batch.
fn first_wanted(
    batch: &BatchAt,
    bytes: &[u8],
    wanted: Wanted,
) -> Result<Option<TimestampAndOffset>, String> {
    let fits = |timestamp_ms: i64, offset: i64| {
        let late_enough = if wanted.exactly {
            timestamp_ms == wanted.timestamp_ms
        } else {
            timestamp_ms >= wanted.timestamp_ms
        };
        late_enough && offset >= wanted.offset_min
    };
    let leader_epoch = Some(batch.leader_epoch).filter(|epoch| *epoch >= 0);
    let Some(whole) = Batch::new(bytes) else {
        return first_of_old(bytes, fits);
    };
    let payload = payload(&whole)?;
    for record in whole.records_in(&payload).map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        if fits(record.timestamp, record.offset) {
            let (timestamp_ms, offset) = (record.timestamp, record.offset);
            return Ok(Some(TimestampAndOffset { timestamp_ms, offset, leader_epoch }));
        }
    }
    Ok(None)
}

/// The first record that fits of a message of magic 0 or 1, which may hold others, compressed.
fn first_of_old(
    bytes: &[u8],
    fits: impl Fn(i64, i64) -> bool,
) -> Result<Option<TimestampAndOffset>, String> {
    let entry = LegacyEntry::new(bytes).map_err(|error| error.to_string())?;
    let limits = DecompressLimits::of_bytes(DECOMPRESSED_BYTES_MAX);
    let records = entry.records(limits).map_err(|error| error.to_string())?;
    for record in records.iter() {
        let record = record.map_err(|error| error.to_string())?;
        if fits(record.timestamp, record.offset) {
            let (timestamp_ms, offset) = (record.timestamp, record.offset);
            return Ok(Some(TimestampAndOffset { timestamp_ms, offset, leader_epoch: None }));
        }
    }
    Ok(None)
}

/// The batch's records, decompressed if need be.
fn payload<'a>(batch: &Batch<'a>) -> Result<Cow<'a, [u8]>, String> {
    match batch.codec() {
        None => Err(format!("codec {} is unknown", batch.header().attributes().codec_id())),
        Some(Codec::None) => Ok(Cow::Borrowed(batch.payload())),
        Some(codec) => {
            let limits = DecompressLimits::of_bytes(DECOMPRESSED_BYTES_MAX);
            let records = decompress(codec, batch.payload(), limits);
            records.map(Cow::Owned).map_err(|error| error.to_string())
        }
    }
}
