//! A segment that the cleaner makes, under names that do not count yet.

use std::io::IoSlice;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::batch::BatchHeader;

use super::append::BatchFacts;
use super::{NewFiles, OpenBudget, SEGMENT_BYTES_LIMIT, Segment, SegmentWriter, Suffixes};
use crate::disk::{Disk, Open};
use crate::error::StorageError;
use crate::file_name::FileKind;
use crate::txn_index::{self, AbortedTxn};

/// Behind the names of unfinished output.
pub(crate) const CLEANED: &str = ".cleaned";
/// Behind the names of finished output that takes the place of other segments.
pub(crate) const SWAP: &str = ".swap";

/// See the module. Batches are gathered and written many at a time.
#[derive(Debug)]
pub(crate) struct CleanedSegment {
    segment: Arc<Segment>,
    writer: SegmentWriter,
    index_interval_bytes: u32,
    buffer_bytes: usize,
    pending: Vec<u8>,
    facts: Vec<BatchFacts>,
    aborted: Vec<AbortedTxn>,
}

/// Where and how a [`CleanedSegment`] is made.
#[derive(Debug)]
pub(crate) struct NewCleaned<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) dir: &'a Arc<Path>,
    pub(crate) base_offset: i64,
    /// `segment.index.bytes`.
    pub(crate) index_bytes: u32,
    /// `index.interval.bytes`.
    pub(crate) index_interval_bytes: u32,
    /// So many bytes are written at a time.
    pub(crate) buffer_bytes: usize,
}

impl CleanedSegment {
    /// Makes the files, or empties what an earlier run has left.
    pub(crate) fn create(new: NewCleaned<'_>) -> Result<Self, StorageError> {
        let (disk, budget) = (Arc::clone(new.disk), OpenBudget::new(1));
        let suffixes = Suffixes { log: CLEANED, indexes: CLEANED };
        let segment = Segment::with_suffixes(disk, new.dir, new.base_offset, budget, suffixes);
        txn_index::reset(&**new.disk, &segment.path_of(FileKind::TxnIndex))?;
        let files = NewFiles { index_bytes: new.index_bytes, preallocated_bytes: 0 };
        Ok(Self {
            segment: segment.make(files)?,
            writer: SegmentWriter::default(),
            index_interval_bytes: new.index_interval_bytes,
            buffer_bytes: new.buffer_bytes,
            pending: Vec::new(),
            facts: Vec::new(),
            aborted: Vec::new(),
        })
    }

    /// Adds a batch of magic 2 behind the others. Returns the bytes written to the disk meanwhile.
    pub(crate) fn add(&mut self, batch: &[u8]) -> Result<u64, StorageError> {
        let header = BatchHeader::new(batch).expect("a batch has a header");
        let mut written = 0;
        if !self.pending.is_empty() && self.pending.len() + batch.len() > self.buffer_bytes {
            written = self.write()?;
        }
        let size_bytes = self.segment.size() + (self.pending.len() + batch.len()) as u64;
        if size_bytes > SEGMENT_BYTES_LIMIT {
            return Err(StorageError::Corrupt {
                path: self.segment.path(),
                position: self.segment.size(),
                problem: format!("cleaned segment of {size_bytes} bytes, over 2 GiB"),
            });
        }
        if header.last_offset() - self.segment.base_offset() > i64::from(i32::MAX) {
            return Err(StorageError::Corrupt {
                path: self.segment.path(),
                position: self.segment.size(),
                problem: format!("offset {} out of the segment's reach", header.last_offset()),
            });
        }
        self.facts.push(BatchFacts {
            size: u32::try_from(batch.len()).expect("a batch's length has 31 bits"),
            last_offset: header.last_offset(),
            max_timestamp_ms: header.max_timestamp(),
        });
        self.pending.extend_from_slice(batch);
        Ok(written)
    }

    /// Adds an aborted transaction, whose marker is among the batches. In the order of markers.
    pub(crate) fn add_aborted(&mut self, txn: AbortedTxn) {
        self.aborted.push(txn);
    }

    fn write(&mut self) -> Result<u64, StorageError> {
        let (bytes, facts) = (mem::take(&mut self.pending), mem::take(&mut self.facts));
        if !facts.is_empty() {
            let slices = [IoSlice::new(&bytes)];
            self.segment.append(&mut self.writer, self.index_interval_bytes, &slices, &facts)?;
        }
        let written = bytes.len() as u64;
        (self.pending, self.facts) = (bytes, facts);
        self.pending.clear();
        self.facts.clear();
        Ok(written)
    }

    /// Makes all of it durable but for the names. The files get the modification time
    /// `modified_ms`: ages go by it where records have no timestamps. Returns the bytes written.
    pub(crate) fn finish(mut self, modified_ms: i64) -> Result<u64, StorageError> {
        let written = self.write()?;
        self.segment.end()?;
        let disk = &*self.segment.disk;
        let txn_path = self.segment.path_of(FileKind::TxnIndex);
        txn_index::append(disk, &txn_path, &self.aborted)?;
        self.segment.flush()?;
        txn_index::sync(disk, &txn_path)?;
        for kind in [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex] {
            let path = self.segment.path_of(kind);
            let opened = disk.open(&path, Open::ReadWrite);
            let set = opened.and_then(|file| file.set_modified_ms(modified_ms));
            set.map_err(StorageError::io("set the time of", &path))?;
        }
        Ok(written)
    }
}

impl Segment {
    /// Bytes of its offset index and of its time index.
    pub(crate) fn index_bytes(&self) -> Result<(u64, u64), StorageError> {
        let offset = self.offset_index.file_bytes();
        let time = self.time_index.file_bytes();
        Ok((
            offset.map_err(StorageError::io_at("stat", || self.offset_index.path()))?,
            time.map_err(StorageError::io_at("stat", || self.time_index.path()))?,
        ))
    }

    /// When its `.log` was last modified, ms since the epoch.
    pub(crate) fn modified_ms(&self) -> Result<i64, StorageError> {
        let path = self.path();
        let opened = self.disk.open(&path, Open::Read);
        opened.and_then(|file| file.modified_ms()).map_err(StorageError::io("stat", &path))
    }
}
