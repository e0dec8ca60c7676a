//! Reads the batches of a sealed segment, many at a time.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2};
use ottla_protocol::record::set::{BATCH_LENGTH_MIN, Batch, HEADER_UP_TO_MAGIC_BYTES};

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
    end: u64,
    bytes_read: u64,
}

impl BatchReader {
    /// Reads from byte `position`, where a batch begins, to the end.
    pub(super) fn new(
        segment: &Arc<Segment>,
        position: u64,
        chunk_bytes: usize,
        buffer: Vec<u8>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            file: segment.file()?,
            path: segment.path(),
            chunk_bytes,
            buffer,
            start: 0,
            filled: 0,
            position,
            end: segment.size(),
            bytes_read: 0,
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
    pub(super) fn corrupt(&self, last_size: usize, problem: String) -> StorageError {
        let position = self.position - last_size as u64;
        StorageError::Corrupt { path: self.path.clone(), position, problem }
    }

    /// The next batch, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Batch<'_>>, StorageError> {
        let left = self.end - self.position;
        if left == 0 {
            return Ok(None);
        }
        if left < HEADER_UP_TO_MAGIC_BYTES as u64 {
            return Err(self.corrupt(0, format!("{left} bytes behind the last batch")));
        }
        self.have(left.min(BATCH_HEADER_BYTES as u64) as usize)?;
        let bytes = &self.buffer[self.start..self.filled];
        let length = i32::from_be_bytes(bytes[8..12].try_into().expect("4 bytes"));
        let magic = bytes[MAGIC_AT] as i8;
        if length < BATCH_LENGTH_MIN {
            return Err(self.corrupt(0, format!("batch length {length}, at least 14 expected")));
        }
        if magic != MAGIC_V2 {
            return Err(self.corrupt(0, format!("a message of magic {magic}, 2 expected")));
        }
        let size = length as u64 + LOG_OVERHEAD_BYTES as u64;
        if size > left {
            return Err(self.corrupt(0, format!("batch of {size} bytes, {left} are left")));
        }
        let size = size as usize;
        self.have(size)?;
        let at = self.start;
        self.start += size;
        self.position += size as u64;
        let batch = Batch::new(&self.buffer[at..at + size]);
        let problem = match batch.map(|batch| (batch, batch.check_crc())) {
            Some((batch, Ok(()))) => return Ok(Some(batch)),
            Some((_, Err(error))) => error.to_string(),
            None => format!("batch of {size} bytes, at least {BATCH_HEADER_BYTES} expected"),
        };
        Err(self.corrupt(size, problem))
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
