//! Reads the batches of a sealed segment, many at a time.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_protocol::record::batch::{
    BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2,
};
use ottla_protocol::record::set::{BATCH_LENGTH_MIN, Batch, HEADER_UP_TO_MAGIC_BYTES};

use super::upconvert;
use crate::disk::DiskFile;
use crate::error::StorageError;
use crate::segment::Segment;

/// See the module. Beyond what other readers ask, all bytes must be whole batches with right sums:
/// what cannot be read must not be left out of a copy.
pub(super) struct BatchReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    chunk_bytes: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the next batch begins, and where the bytes read end.
    start: usize,
    filled: usize,
    /// Where in the file the next batch begins.
    position: u64,
    /// Where the batch begins that was looked at last.
    last_position: u64,
    end: u64,
    bytes_read: u64,
    /// Within what offsets the next batch must be.
    next_offset: i64,
    end_offset: i64,
    /// What old messages become: the leader epoch of the batches, and the last one's bytes.
    leader_epoch: i32,
    converted: Vec<u8>,
}

/// What of a segment is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct What {
    /// The first byte, where a batch begins.
    pub(super) position: u64,
    /// Where the segment's offsets end: no batch may reach there.
    pub(super) end_offset: i64,
    /// Given to messages that are older than leader epochs.
    pub(super) leader_epoch: i32,
}

impl BatchReader {
    /// Reads a segment, some of `chunk_bytes` at a time.
    pub(super) fn new(
        segment: &Arc<Segment>,
        what: What,
        chunk_bytes: usize,
        buffer: Vec<u8>,
    ) -> Result<Self, StorageError> {
        let What { position, end_offset, leader_epoch } = what;
        Ok(Self {
            file: segment.file()?,
            path: segment.path(),
            chunk_bytes,
            buffer,
            start: 0,
            filled: 0,
            position,
            last_position: position,
            end: segment.size(),
            bytes_read: 0,
            next_offset: segment.base_offset(),
            end_offset,
            leader_epoch,
            converted: Vec::new(),
        })
    }

    /// The buffer, for the next reader.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Bytes read since the last call.
    pub(super) fn take_bytes_read(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_read)
    }

    /// An error about the batch that was returned last.
    pub(super) fn corrupt(&self, problem: String) -> StorageError {
        let position = self.last_position;
        StorageError::Corrupt { path: self.path.clone(), position, problem }
    }

    /// The next batch, `None` at the end. An old message comes as the batch that it becomes.
    pub(super) fn next(&mut self) -> Result<Option<Batch<'_>>, StorageError> {
        let left = self.end - self.position;
        self.last_position = self.position;
        if left == 0 {
            return Ok(None);
        }
        if left < HEADER_UP_TO_MAGIC_BYTES as u64 {
            return Err(self.corrupt(format!("{left} bytes behind the last batch")));
        }
        self.have(left.min(BATCH_HEADER_BYTES as u64) as usize)?;
        let bytes = &self.buffer[self.start..self.filled];
        let length = i32::from_be_bytes(bytes[8..12].try_into().expect("4 bytes"));
        let magic = bytes[MAGIC_AT] as i8;
        if length < BATCH_LENGTH_MIN {
            return Err(self.corrupt(format!("batch length {length}, at least 14 expected")));
        }
        let size = length as u64 + LOG_OVERHEAD_BYTES as u64;
        if size > left {
            return Err(self.corrupt(format!("batch of {size} bytes, {left} are left")));
        }
        let size = size as usize;
        self.have(size)?;
        let at = self.start;
        self.start += size;
        self.position += size as u64;
        let bytes = &self.buffer[at..at + size];
        if (0..MAGIC_V2).contains(&magic) {
            self.converted = upconvert::to_batch(bytes, self.leader_epoch)
                .map_err(|problem| self.corrupt(problem))?;
            self.next_offset = self.offset_after(&self.converted)?;
            return Ok(Batch::new(&self.converted));
        }
        let problem = match Batch::new(bytes).map(|batch| batch.check_crc()) {
            Some(Ok(())) => {
                self.next_offset = self.offset_after(bytes)?;
                return Ok(Batch::new(&self.buffer[at..at + size]));
            }
            Some(Err(error)) => error.to_string(),
            None => format!("no batch of magic 2 in {size} bytes of magic {magic}"),
        };
        Err(self.corrupt(problem))
    }

    /// The offset behind a batch. That it is in its place no checksum says.
    fn offset_after(&self, batch: &[u8]) -> Result<i64, StorageError> {
        let header = BatchHeader::new(batch).expect("a batch has a header");
        let (first, last) = (header.base_offset(), header.last_offset());
        if self.next_offset <= first && first <= last && last < self.end_offset {
            return Ok(last + 1);
        }
        let (next, end) = (self.next_offset, self.end_offset);
        Err(self.corrupt(format!("offsets {first} to {last}, expected within {next} to {end}")))
    }

    /// Has `count` bytes, which the file still has, in the buffer from `start` on.
    fn have(&mut self, count: usize) -> Result<(), StorageError> {
        let there = self.filled - self.start;
        if there >= count {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        (self.start, self.filled) = (0, there);
        let left = self.end - self.position;
        let wanted = (self.chunk_bytes as u64).min(left).max(count as u64) as usize;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let into = &mut self.buffer[there..wanted];
        self.file
            .read_exact_at(into, self.position + there as u64)
            .map_err(StorageError::io("read", &self.path))?;
        self.bytes_read += into.len() as u64;
        self.filled = wanted;
        Ok(())
    }
}
