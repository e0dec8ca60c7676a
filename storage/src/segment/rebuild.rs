//! The indexes of a segment, built anew in memory while its batches are checked.

use super::{BatchAt, Segment};
use crate::error::StorageError;
use crate::index::{OFFSET_ENTRY_BYTES, OffsetPosition, TIME_ENTRY_BYTES, TimestampOffset};

/// Entries so far, as bytes of the files: some 5 MB for a segment of 1 GiB.
pub(super) struct NewIndexes<'a> {
    segment: &'a Segment,
    /// `segment.index.bytes`, which neither file exceeds.
    bytes_max: u32,
    interval_bytes: u64,
    bytes_since_entry: u64,
    offsets: Vec<u8>,
    times: Vec<u8>,
    last_indexed: TimestampOffset,
    max: TimestampOffset,
}

impl<'a> NewIndexes<'a> {
    /// Empty ones, with room for `bytes_max` each and an entry every `interval_bytes`.
    pub(super) fn new(segment: &'a Segment, bytes_max: u32, interval_bytes: u32) -> Self {
        let none = segment.no_timestamp();
        Self {
            segment,
            bytes_max,
            interval_bytes: u64::from(interval_bytes),
            bytes_since_entry: 0,
            offsets: Vec::new(),
            times: Vec::new(),
            last_indexed: none,
            max: none,
        }
    }

    /// Takes the next batch in.
    pub(super) fn add(&mut self, batch: &BatchAt) {
        if batch.max_timestamp_ms > self.max.timestamp_ms {
            let (timestamp_ms, offset) = (batch.max_timestamp_ms, batch.last_offset);
            self.max = TimestampOffset { timestamp_ms, offset };
        }
        if self.bytes_since_entry > self.interval_bytes {
            self.bytes_since_entry = 0;
            // One time entry more is kept for the segment's end.
            if self.has_room(&self.offsets, OFFSET_ENTRY_BYTES)
                && self.has_room(&self.times, 2 * TIME_ENTRY_BYTES)
            {
                let position =
                    u32::try_from(batch.position).expect("segments are smaller than 2 GiB");
                let entry = OffsetPosition { offset: batch.last_offset, position };
                self.offsets.extend(self.segment.offset_index.encode(entry));
                self.add_time();
            }
        }
        self.bytes_since_entry += u64::from(batch.size);
    }

    fn has_room(&self, of: &[u8], more_bytes: usize) -> bool {
        of.len() + more_bytes <= self.bytes_max as usize
    }

    fn add_time(&mut self) {
        if self.max.timestamp_ms > self.last_indexed.timestamp_ms {
            self.times.extend(self.segment.time_index.encode(self.max));
            self.last_indexed = self.max;
        }
    }

    /// Puts them in the place of those that are there, with the last entry.
    pub(super) fn finish(mut self) -> Result<(), StorageError> {
        if self.has_room(&self.times, TIME_ENTRY_BYTES) {
            self.add_time();
        }
        let Self { segment, bytes_max, .. } = self;
        let put = segment.offset_index.put(&self.offsets, bytes_max);
        put.map_err(StorageError::io_at("write", || segment.offset_index.path()))?;
        let put = segment.time_index.put(&self.times, bytes_max);
        put.map_err(StorageError::io_at("write", || segment.time_index.path()))?;
        segment.set_max_timestamp(Some(self.max));
        Ok(())
    }
}
