//! Walks the batches of a `.log` file by their headers.
//!
//! The rules are Kafka's: less than 18 bytes at the end are not looked at, a batch that reaches
//! beyond the end is silently the end, a length below 14 is damage.

use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES};

use super::place::Named;
use crate::disk::DiskFile;
use crate::error::StorageError;

/// Bytes through the magic: what every format has at the same place.
pub(super) const HEADER_UP_TO_MAGIC_BYTES: u64 = 17;
/// The smallest batch length: that of a magic 0 message without key and value.
const BATCH_LENGTH_MIN: i32 = 14;
/// Read at a time. Small batches come many to a chunk, and one index interval takes one read.
pub(super) const CHUNK_BYTES: usize = 4096;

/// A batch in a file, as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchAt {
    /// Where in the file it starts.
    pub(crate) position: u64,
    /// All of it, bytes.
    pub(crate) size: u32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// -1 for a magic 0 message.
    pub(crate) max_timestamp_ms: i64,
    /// -1 for formats older than magic 2.
    pub(crate) leader_epoch: i32,
    /// The stored sum: a CRC-32C, or a CRC-32 for formats older than magic 2.
    pub(crate) crc: u32,
    pub(crate) magic: i8,
}

impl BatchAt {
    /// Where the next batch starts.
    pub(crate) fn end(&self) -> u64 {
        self.position + u64::from(self.size)
    }

    /// Whether `offset` is within it, of a format that is known.
    pub(super) fn has(&self, offset: i64) -> bool {
        (0..=2).contains(&self.magic) && (self.base_offset..=self.last_offset).contains(&offset)
    }
}

/// The first bytes of a batch. They are kept beside what [`parse`] makes of them, not in it: a
/// batch of 200 bytes is summed in less time than it takes to hand a header on a few times.
pub(super) struct HeaderBytes([u8; BATCH_HEADER_BYTES]);

impl HeaderBytes {
    pub(super) fn new() -> Self {
        Self([0; BATCH_HEADER_BYTES])
    }

    /// Takes the header that starts at the first of `bytes`, or as much of it as there is.
    #[inline]
    pub(super) fn take(&mut self, bytes: &[u8]) {
        match bytes.first_chunk() {
            Some(whole) => self.0 = *whole,
            None => {
                self.0 = [0; BATCH_HEADER_BYTES];
                self.0[..bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    /// A view of them; only good for magic 2.
    #[inline]
    pub(super) fn view(&self) -> BatchHeader<'_> {
        BatchHeader::new(&self.0).expect("the array has a header's length")
    }
}

/// See the module.
pub(crate) struct BatchScanner<'a> {
    file: &'a dyn DiskFile,
    path: &'a dyn Named,
    position: u64,
    end: u64,
    chunk: [u8; CHUNK_BYTES],
    chunk_start: u64,
    chunk_len: usize,
    bytes_read: u64,
    header: HeaderBytes,
}

impl<'a> BatchScanner<'a> {
    /// Walks `file` from `position`, where a batch must start, as if it ended at `end`.
    pub(crate) fn new(
        file: &'a dyn DiskFile,
        path: &'a dyn Named,
        position: u64,
        end: u64,
    ) -> Self {
        Self {
            file,
            path,
            position,
            end,
            chunk: [0; CHUNK_BYTES],
            chunk_start: 0,
            chunk_len: 0,
            bytes_read: 0,
            header: HeaderBytes::new(),
        }
    }

    /// Bytes read since the last call.
    pub(crate) fn take_bytes_read(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_read)
    }

    /// Where the next batch would start.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<BatchAt>, StorageError> {
        let left = self.end.saturating_sub(self.position);
        if left <= HEADER_UP_TO_MAGIC_BYTES {
            return Ok(None);
        }
        let wanted = left.min(BATCH_HEADER_BYTES as u64) as usize;
        let at = self.read(wanted)?;
        self.header.take(&self.chunk[at..at + wanted]);
        match parse(&self.header, self.position, left) {
            Ok(Some(batch)) => {
                self.position = batch.end();
                Ok(Some(batch))
            }
            Ok(None) => Ok(None),
            Err(problem) => Err(self.corrupt(problem)),
        }
    }

    /// The header of the batch that was returned last; only good for magic 2.
    pub(crate) fn header(&self) -> BatchHeader<'_> {
        self.header.view()
    }

    /// Skips to the first batch that ends at `offset` or behind it.
    pub(crate) fn find_offset(&mut self, offset: i64) -> Result<Option<BatchAt>, StorageError> {
        while let Some(batch) = self.next()? {
            if batch.last_offset >= offset {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Has `n` bytes from the position on in the chunk, and returns where in it.
    fn read(&mut self, n: usize) -> Result<usize, StorageError> {
        let within = self.position.checked_sub(self.chunk_start).map(|start| start as usize);
        if let Some(start) = within
            && start + n <= self.chunk_len
        {
            return Ok(start);
        }
        let wanted = CHUNK_BYTES.min((self.end - self.position) as usize);
        self.file
            .read_exact_at(&mut self.chunk[..wanted], self.position)
            .map_err(StorageError::io_at("read", || self.path.to_path()))?;
        (self.chunk_start, self.chunk_len) = (self.position, wanted);
        self.bytes_read += wanted as u64;
        Ok(0)
    }

    fn corrupt(&self, problem: String) -> StorageError {
        StorageError::Corrupt { path: self.path.to_path(), position: self.position, problem }
    }
}

/// The batch whose header, as far as the file has it, stands at `position`, with `left` bytes from
/// there to the end. `None` when it reaches beyond the end; else what is wrong with it.
#[inline]
pub(super) fn parse(
    header: &HeaderBytes,
    position: u64,
    left: u64,
) -> Result<Option<BatchAt>, String> {
    let view = header.view();
    let length = view.batch_length();
    if length < BATCH_LENGTH_MIN {
        return Err(format!("batch length {length}, at least 14 expected"));
    }
    let size = length as u64 + LOG_OVERHEAD_BYTES as u64;
    if size > left {
        return Ok(None);
    }
    let Ok(size) = u32::try_from(size) else {
        return Err(format!("batch of {size} bytes, at most 2 GiB expected"));
    };
    Ok(Some(match view.magic() {
        2.. if (size as usize) < BATCH_HEADER_BYTES => {
            return Err(format!("batch of {size} bytes, at least 61 expected"));
        }
        2.. => BatchAt {
            position,
            size,
            base_offset: view.base_offset(),
            last_offset: view.last_offset(),
            max_timestamp_ms: view.max_timestamp(),
            leader_epoch: view.partition_leader_epoch(),
            crc: view.crc(),
            magic: view.magic(),
        },
        magic => legacy(header, position, size, magic),
    }))
}

/// A magic 0 or 1 message or wrapper: its offset is its last record's, the CRC is where magic 2 has
/// the leader epoch, and magic 1 has a timestamp behind magic and attributes.
fn legacy(header: &HeaderBytes, position: u64, size: u32, magic: i8) -> BatchAt {
    let timestamp = || header.0[18..26].try_into().map_or(0, i64::from_be_bytes);
    let max_timestamp_ms = if magic == 1 { timestamp() } else { -1 };
    let view = header.view();
    let offset = view.base_offset();
    BatchAt {
        position,
        size,
        base_offset: offset,
        last_offset: offset,
        max_timestamp_ms,
        leader_epoch: -1,
        crc: view.partition_leader_epoch() as u32,
        magic,
    }
}
