//! Finding batches in a segment.

use std::sync::Arc;

use super::scan::CHUNK_BYTES;
use super::{BatchAt, BatchScanner, Segment};
use crate::error::StorageError;
use crate::index::OffsetPosition;

/// Between index entries that are so far apart there is a large batch, bytes. Then the wanted one
/// is probably that of the next entry, not one between them, and its header is looked at first: a
/// scan from the entry before would have to read there after all.
const FAR_BYTES: u32 = 2 * CHUNK_BYTES as u32;

/// What to read from one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentRead {
    pub(crate) start_offset: i64,
    /// The batch that holds it, where the caller knows it.
    pub(crate) known: Option<FirstBatch>,
    pub(crate) bytes_max: u32,
    /// Bytes from here on are not to be seen.
    pub(crate) end_position: u64,
    /// Return the first batch whole, even if it is larger than `bytes_max`.
    pub(crate) min_one_batch: bool,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstBatch {
    pub(crate) position: u64,
    /// Bytes.
    pub(crate) size: u32,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRegion {
    pub(crate) position: u64,
    pub(crate) length: u32,
    pub(crate) first_batch_incomplete: bool,
}

impl Segment {
    /// The region from the first batch that ends at `start_offset` or behind it. `None` when there
    /// is none, and the next segment must be asked.
    pub(crate) fn read(
        self: &Arc<Self>,
        read: SegmentRead,
    ) -> Result<Option<SegmentRegion>, StorageError> {
        let end = read.end_position.min(self.size());
        // The batch may begin before `end` and not be found if only bytes up to there counted.
        let first = match read.known {
            Some(known) => known,
            None => match self.find_batch(read.start_offset, self.size())? {
                Some(BatchAt { position, size, .. }) => FirstBatch { position, size },
                None => return Ok(None),
            },
        };
        let limit =
            if read.min_one_batch { read.bytes_max.max(first.size) } else { read.bytes_max };
        let length = end.saturating_sub(first.position).min(u64::from(limit)) as u32;
        let first_batch_incomplete = limit < first.size;
        Ok(Some(SegmentRegion { position: first.position, length, first_batch_incomplete }))
    }

    /// The first batch before byte `end` that ends at `offset` or behind it.
    pub(crate) fn find_batch(
        self: &Arc<Self>,
        offset: i64,
        end: u64,
    ) -> Result<Option<BatchAt>, StorageError> {
        let file = self.file()?;
        let neighbors = self.offset_index.neighbors(offset);
        let (entry, next) =
            neighbors.map_err(StorageError::io_at("read", || self.offset_index.path()))?;
        if entry.offset != offset
            && let Some(next) = next
            && next.position.saturating_sub(entry.position) > FAR_BYTES
        {
            let found = BatchScanner::new(&*file, &self.place, next.position.into(), end).next();
            // It was a guess: whatever else was found there, and be it a bad sector, the scan below
            // decides.
            if let Ok(Some(batch)) = found
                && batch.has(offset)
                && batch.has(next.offset)
            {
                return Ok(Some(batch));
            }
        }
        if entry.position > 0 {
            let mut scanner =
                BatchScanner::new(&*file, &self.place, u64::from(entry.position), end);
            match scanner.next() {
                Ok(Some(first)) if is_indexed_batch(&first, entry) => {
                    if first.last_offset >= offset {
                        return Ok(Some(first));
                    }
                    let found = scanner.find_offset(offset)?;
                    return self.found_or_end(found, &scanner, end);
                }
                // A read that failed says nothing about the index.
                Err(error @ StorageError::Io { .. }) => return Err(error),
                _ if u64::from(entry.position) < end => log::warn!(
                    "{}: entry {} at byte {} points to no such batch, scanning from the start",
                    self.offset_index.path().display(),
                    entry.offset,
                    entry.position
                ),
                _ => {}
            }
        }
        let mut scanner = BatchScanner::new(&*file, &self.place, 0, end);
        let found = scanner.find_offset(offset)?;
        self.found_or_end(found, &scanner, end)
    }

    /// What was found; nothing only if batches fill the segment to its end. Where they do not, a
    /// damaged length hides what follows, and to go on with the next segment would leave out
    /// records without a word.
    fn found_or_end(
        &self,
        found: Option<BatchAt>,
        scanner: &BatchScanner<'_>,
        end: u64,
    ) -> Result<Option<BatchAt>, StorageError> {
        let position = scanner.position();
        if found.is_some() || position >= end {
            return Ok(found);
        }
        let problem = format!("a batch that reaches beyond byte {end}, the end");
        Err(StorageError::Corrupt { path: self.path(), position, problem })
    }

    /// The offset behind the last batch and where that batch ends, found by scanning from the last
    /// index entry.
    pub(crate) fn read_end(self: &Arc<Self>) -> Result<(i64, u64), StorageError> {
        let path = self.path();
        let file = self.file()?;
        let last = self.offset_index.last();
        let last = last.map_err(StorageError::io_at("read", || self.offset_index.path()))?;
        let start = last.map_or(0, |entry| u64::from(entry.position));
        let mut scanner = BatchScanner::new(&*file, &path, start, self.size());
        let mut next = self.base_offset();
        while let Some(batch) = scanner.next()? {
            next = batch.last_offset.saturating_add(1);
        }
        Ok((next, scanner.position()))
    }

    /// An upper bound for the offsets in `region`: the first index entry behind it.
    pub(crate) fn offset_after(&self, region: SegmentRegion) -> Result<Option<i64>, StorageError> {
        let end = region.position + u64::from(region.length);
        let found = self.offset_index.first_at_or_after(end);
        found.map_err(StorageError::io_at("read", || self.offset_index.path()))
    }

    /// The batch of the last index entry that is not behind byte `position`, if any is indexed.
    pub(crate) fn indexed_at_or_before(
        &self,
        position: u64,
    ) -> Result<Option<OffsetPosition>, StorageError> {
        let found = self.offset_index.at_or_before(position);
        found.map_err(StorageError::io_at("read", || self.offset_index.path()))
    }

    /// Where a search for records of `timestamp_ms` or later must begin, bytes. Records below
    /// `offset_min` are not wanted.
    pub(crate) fn position_for_timestamp(
        &self,
        timestamp_ms: i64,
        offset_min: i64,
    ) -> Result<u64, StorageError> {
        let entry = self.time_index.lookup(timestamp_ms);
        let entry = entry.map_err(StorageError::io_at("read", || self.time_index.path()))?;
        let position = self.offset_index.lookup(entry.offset.max(offset_min));
        let position =
            position.map_err(StorageError::io_at("read", || self.offset_index.path()))?;
        Ok(u64::from(position.position))
    }
}

/// Whether `batch` can be the one that `entry` was made for. Indexes written by Kafka up to 1.0
/// have a batch's first offset, and followers wrote the last offset of several batches.
fn is_indexed_batch(batch: &BatchAt, entry: OffsetPosition) -> bool {
    (0..=2).contains(&batch.magic) && batch.base_offset <= entry.offset
}
