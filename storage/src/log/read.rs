//! Reading: offsets to file regions.

use std::fmt;
use std::sync::Arc;

use super::PartitionLog;
use super::offsets::{Isolation, Mark, Marks, Offsets, Place};
use super::structure::AsStorageError;
use crate::disk::DiskFile;
use crate::error::StorageError;
use crate::segment::{FirstBatch, Segment, SegmentRead};

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// The offset of the first record wanted.
    pub start_offset: i64,
    /// At most so many bytes.
    pub bytes_max: u32,
    /// Which records may be seen.
    pub isolation: Isolation,
    /// Return the first batch whole, even if it has more than `bytes_max` bytes.
    pub min_one_batch: bool,
}

/// Bytes of a file, to be sent as they are. They stay as they are while the file is held, unless
/// the log is truncated below them.
#[derive(Clone, Debug)]
pub struct FileRegion {
    /// The `.log` file.
    pub file: Arc<dyn DiskFile>,
    /// The first byte.
    pub position: u64,
    /// How many, at least 1.
    pub length: u32,
}

/// What there is to read.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// Batches, beginning with the one that holds the first offset; the last may be incomplete.
    /// `None` when there is nothing to see yet.
    pub region: Option<FileRegion>,
    /// The region ends inside its first batch.
    pub first_batch_incomplete: bool,
    /// The region ends where its segment does, and there is more in the next one.
    pub ends_segment: bool,
    /// As they were when the region's end was chosen.
    pub offsets: Offsets,
    /// Aborted transactions whose records may be in the region; `None` unless only committed
    /// records are wanted.
    pub aborted: Option<Vec<AbortedTxn>>,
}

/// Records of `producer_id` from `first_offset` on are to be skipped up to its abort marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// The first offset of its transaction.
    pub first_offset: i64,
}

/// Why nothing can be read.
#[derive(Debug)]
pub enum ReadError {
    /// The offset is below the log start or above the log end.
    OffsetOutOfRange {
        /// The offset asked for.
        requested: i64,
        /// What there is.
        offsets: Offsets,
    },
    /// The disk failed, its bytes are damaged, or the log is gone.
    Storage(StorageError),
}

impl PartitionLog {
    /// Finds the batches from an offset on. Reads at most a few index entries and headers, never
    /// the batches themselves.
    ///
    /// Reading at the log end is no error, there just is nothing yet.
    pub fn read(&self, read: Read) -> Result<ReadResult, ReadError> {
        let try_it = || {
            self.check_open()?;
            self.try_read(read)
        };
        // Segments may be cut, removed or replaced between the look at the offsets and the read.
        match self.beside_swaps(try_it) {
            Err(ReadError::Storage(error)) => {
                self.check_open()?;
                self.log_dir.watch(Err(error)).map_err(ReadError::Storage)
            }
            result => result,
        }
    }

    fn try_read(&self, read: Read) -> Result<ReadResult, ReadError> {
        let marks = *self.marks();
        let offsets = marks.offsets();
        let known = offsets.log_start_offset..=offsets.log_end_offset;
        if !known.contains(&read.start_offset) {
            return Err(ReadError::OffsetOutOfRange { requested: read.start_offset, offsets });
        }
        let committed = read.isolation == Isolation::TxnCommitted;
        let mut result = ReadResult {
            region: None,
            first_batch_incomplete: false,
            ends_segment: false,
            offsets,
            aborted: committed.then(Vec::new),
        };
        if read.start_offset >= marks.bound(read.isolation).offset {
            return Ok(result);
        }
        let bound = self.place_of_bound(&marks, read.isolation)?;
        let mut segments = self.segments.from(read.start_offset);
        while let Some(segment) = segments.next() {
            let Some(end_position) = visible_end(&segment, bound) else { break };
            let known = marks
                .last_append_at(read.start_offset)
                .filter(|last| last.place.segment_base_offset == segment.base_offset())
                .map(|last| FirstBatch { position: last.place.position, size: last.size });
            let wanted = SegmentRead {
                start_offset: read.start_offset,
                known,
                bytes_max: read.bytes_max,
                end_position,
                min_one_batch: read.min_one_batch,
            };
            let Some(found) = segment.read(wanted)? else { continue };
            result.first_batch_incomplete = found.first_batch_incomplete;
            if found.length > 0 {
                let (position, length) = (found.position, found.length);
                result.ends_segment = segment.base_offset() < bound.segment_base_offset
                    && position + u64::from(length) == end_position;
                let file = segment.file()?;
                result.region = Some(FileRegion { file, position, length });
                if committed {
                    let following = segments.following_base_offset();
                    let end_offset = segment.offset_after(found)?.or(following);
                    let end_offset = end_offset.unwrap_or(offsets.log_end_offset);
                    let bounds = read.start_offset..end_offset;
                    result.aborted = Some(self.aborted_txns(segment, segments, bounds)?);
                }
            }
            break;
        }
        Ok(result)
    }

    /// Where the bound is in the files. Known when it is the log end or was asked for before.
    fn place_of_bound(&self, marks: &Marks, isolation: Isolation) -> Result<Place, StorageError> {
        let bound = marks.bound(isolation);
        if let Some(place) = bound.place {
            return Ok(place);
        }
        let place = self.find_place(bound.offset, marks.log_end())?;
        self.marks().learn_place(Mark { offset: bound.offset, place: Some(place) });
        Ok(place)
    }

    /// The start of the first batch that ends at `offset` or behind it.
    pub(super) fn find_place(&self, offset: i64, log_end: Mark) -> Result<Place, StorageError> {
        if offset < log_end.offset {
            for segment in self.segments.from(offset) {
                if let Some(batch) = segment.find_batch(offset, segment.size())? {
                    let segment_base_offset = segment.base_offset();
                    return Ok(Place { segment_base_offset, position: batch.position });
                }
            }
        }
        Ok(log_end.place.expect("the log end's place is always known"))
    }
}

/// Up to where a segment may be seen; `None` when the bound lies before it.
fn visible_end(segment: &Segment, bound: Place) -> Option<u64> {
    match segment.base_offset().cmp(&bound.segment_base_offset) {
        std::cmp::Ordering::Less => Some(segment.size()),
        std::cmp::Ordering::Equal => Some(bound.position),
        std::cmp::Ordering::Greater => None,
    }
}

impl AsStorageError for ReadError {
    fn as_storage_error(&self) -> Option<&StorageError> {
        match self {
            Self::Storage(error) => Some(error),
            Self::OffsetOutOfRange { .. } => None,
        }
    }
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffsetOutOfRange { requested, offsets } => write!(
                f,
                "offset {requested} is not in {} to {}",
                offsets.log_start_offset, offsets.log_end_offset
            ),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OffsetOutOfRange { .. } => None,
            Self::Storage(error) => Some(error),
        }
    }
}
