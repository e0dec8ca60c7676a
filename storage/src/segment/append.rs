//! Appending to the active segment, and cutting it.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{BatchScanner, SEGMENT_BYTES_LIMIT, Segment};
use crate::error::StorageError;
use crate::index::{OffsetPosition, TimestampOffset};

/// What the appends to one segment need to remember. Kept under the log's append lock.
#[derive(Debug, Default)]
pub(crate) struct SegmentWriter {
    /// Starts at zero whenever the segment is opened.
    bytes_since_last_index_entry: u64,
    /// The largest timestamp of the first append, by whose age the segment rolls; `None` while it
    /// is not known.
    pub(crate) rolling_based_timestamp_ms: Option<i64>,
    /// When the segment was made or opened, ms.
    pub(crate) created_ms: i64,
    /// How much sooner than `segment.ms` it rolls.
    pub(crate) jitter_ms: i64,
    /// Up to this byte of the file blocks were asked for; 0 for none.
    pub(crate) allocated_to: u64,
}

impl SegmentWriter {
    /// For a segment that was made or opened at `created_ms`.
    pub(crate) fn new(created_ms: i64, jitter_ms: i64) -> Self {
        Self { created_ms, jitter_ms, ..Self::default() }
    }
}

/// One batch of an append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchFacts {
    pub(crate) size: u32,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp_ms: i64,
}

impl Segment {
    /// Writes `slices`, which hold `batches` one behind the other, in one call, and the index
    /// entries that are due. The offsets must be larger than all before and in the segment's reach.
    ///
    /// After an error the segment is as before: what was written of the batches is cut off again.
    /// If not even that works, the error is not of kind `Full`.
    pub(crate) fn append(
        self: &Arc<Self>,
        writer: &mut SegmentWriter,
        index_interval_bytes: u32,
        slices: &[IoSlice<'_>],
        batches: &[BatchFacts],
    ) -> Result<(), StorageError> {
        let start = self.size();
        let total: u64 = batches.iter().map(|batch| u64::from(batch.size)).sum();
        assert!(start + total <= SEGMENT_BYTES_LIMIT, "the log rolls before a segment overflows");
        debug_assert_eq!(total, slices.iter().map(|slice| slice.len() as u64).sum::<u64>());
        self.reserve_index_entries(writer, index_interval_bytes, batches, total)?;

        let file = self.file()?;
        if let Err(error) = file.write_all_at(slices, start) {
            let path = self.path();
            file.set_len(start).map_err(StorageError::io("undo an append to", &path))?;
            // Blocks ahead were cut off as well. To ask for them again with each append would be
            // too much for a full disk.
            return Err(StorageError::io("append to", &path)(error));
        }
        self.note_appended(writer, index_interval_bytes, batches)?;
        self.size.store(start + total, Ordering::Release);
        Ok(())
    }

    /// Blocks for index entries are had before the batches are written: a full disk then fails the
    /// append before it began. One time index entry more is kept for the segment's end.
    fn reserve_index_entries(
        &self,
        writer: &SegmentWriter,
        index_interval_bytes: u32,
        batches: &[BatchFacts],
        total: u64,
    ) -> Result<(), StorageError> {
        let interval = u64::from(index_interval_bytes);
        // What lies between the last entry and the last batch.
        let last = batches.last().expect("an append has a batch");
        let due = writer.bytes_since_last_index_entry + total - u64::from(last.size);
        if self.size() > 0 && due.max(writer.bytes_since_last_index_entry) <= interval {
            return Ok(());
        }
        let entries = (total / (interval + 1) + 1).min(batches.len() as u64) as u32;
        if self.size() > 0 || batches.len() > 1 {
            let reserved = self.offset_index.reserve(entries);
            reserved.map_err(StorageError::io_at("allocate", || self.offset_index.path()))?;
        }
        let reserved = self.time_index.reserve(entries + 1);
        reserved.map_err(StorageError::io_at("allocate", || self.time_index.path()))
    }

    fn note_appended(
        &self,
        writer: &mut SegmentWriter,
        index_interval_bytes: u32,
        batches: &[BatchFacts],
    ) -> Result<(), StorageError> {
        let mut position = self.size();
        if position == 0 {
            writer.rolling_based_timestamp_ms =
                batches.iter().map(|batch| batch.max_timestamp_ms).max();
        }
        let mut max = self.max_timestamp()?;
        for batch in batches {
            if batch.max_timestamp_ms > max.timestamp_ms {
                max = TimestampOffset {
                    timestamp_ms: batch.max_timestamp_ms,
                    offset: batch.last_offset,
                };
            }
            if writer.bytes_since_last_index_entry > u64::from(index_interval_bytes) {
                self.add_index_entries(batch.last_offset, position, max)?;
                writer.bytes_since_last_index_entry = 0;
            }
            writer.bytes_since_last_index_entry += u64::from(batch.size);
            position += u64::from(batch.size);
        }
        self.set_max_timestamp(Some(max));
        Ok(())
    }

    /// Adds an entry to both indexes. One append of many batches may fill an index; it then goes
    /// on without entries, which only makes the scan behind a lookup longer.
    fn add_index_entries(
        &self,
        offset: i64,
        position: u64,
        max: TimestampOffset,
    ) -> Result<(), StorageError> {
        if self.is_index_full() {
            return Ok(());
        }
        let position = u32::try_from(position).expect("segments are smaller than 2 GiB");
        self.offset_index.append(OffsetPosition { offset, position });
        let appended = self.time_index.maybe_append(max);
        appended.map_err(StorageError::io_at("read", || self.time_index.path()))
    }

    /// Cuts off the batch that holds `offset` and all behind it, in the active segment. Returns the
    /// bytes cut off. Index entries of what is cut off go too.
    pub(crate) fn truncate_to(self: &Arc<Self>, offset: i64) -> Result<u64, StorageError> {
        let Some(first_cut) = self.find_batch(offset, self.size())? else { return Ok(0) };
        let path = self.path();
        let size = self.size();
        self.offset_index
            .truncate_to(offset)
            .map_err(StorageError::io_at("truncate", || self.offset_index.path()))?;
        self.time_index
            .truncate_to(offset)
            .map_err(StorageError::io_at("truncate", || self.time_index.path()))?;
        // Readers must no longer count the bytes when they go.
        self.size.store(first_cut.position, Ordering::Release);
        self.file()?.set_len(first_cut.position).map_err(StorageError::io("truncate", &path))?;
        self.read_max_timestamp()?;
        Ok(size - first_cut.position)
    }

    /// Finds the largest timestamp again: the time index knows it up to its last entry, the
    /// batches behind that are scanned.
    pub(crate) fn read_max_timestamp(self: &Arc<Self>) -> Result<(), StorageError> {
        let time_path = self.time_index.path();
        let mut max = self.time_index.last().map_err(StorageError::io("read", &time_path))?;
        let path = self.path();
        let file = self.file()?;
        let start = self.offset_index.lookup(max.offset);
        let start = start.map_err(StorageError::io_at("read", || self.offset_index.path()))?;
        let position = u64::from(start.position);
        let mut scanner = BatchScanner::new(&*file, &path, position, self.size());
        while let Some(batch) = scanner.next()? {
            if batch.max_timestamp_ms > max.timestamp_ms {
                max = TimestampOffset {
                    timestamp_ms: batch.max_timestamp_ms,
                    offset: batch.last_offset,
                };
            }
        }
        self.set_max_timestamp(Some(max));
        Ok(())
    }

    /// The timestamp by whose age the segment rolls: the largest of its first batch.
    pub(crate) fn first_timestamp_ms(self: &Arc<Self>) -> Result<Option<i64>, StorageError> {
        let path = self.path();
        let file = self.file()?;
        let first = BatchScanner::new(&*file, &path, 0, self.size()).next()?;
        Ok(first.map(|batch| batch.max_timestamp_ms))
    }
}
