//! Checking batches one behind the other, in large reads.
//!
//! Every byte is read once and summed from the buffer it was read into. A batch that is larger than
//! the buffer is summed as it passes through.

use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, BatchHeader, CRC_COVERS_FROM};

use super::likely::{SEARCH_SUMS_MAX, header_at, likely};
use super::place::Named;
use super::scan::{BatchAt, HEADER_UP_TO_MAGIC_BYTES, HeaderBytes, parse};
use crate::disk::DiskFile;
use crate::error::StorageError;

/// Read at a time: large enough for the disk to be read at its speed, small enough for the bytes
/// to be still in the processor's cache when they are summed.
const BUFFER_BYTES: usize = 512 << 10;
/// Read at a time where batches were summed already and only their headers matter.
const SKIM_BYTES: usize = 4 << 10;
/// What of a message of magic 0 and 1 its sum covers, from this byte on.
const LEGACY_CRC_COVERS_FROM: usize = 16;

/// A segment's file, from a batch's first byte on.
pub(crate) struct BatchChecker<'a> {
    file: &'a dyn DiskFile,
    path: &'a dyn Named,
    /// The segment's: no batch lies below, or out of its reach.
    base_offset: i64,
    next_offset: i64,
    position: u64,
    end: u64,
    /// Batches that end here or before were summed already.
    summed_to: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer's first byte is.
    buffer_start: u64,
    buffer_len: usize,
    bytes_read: u64,
    header: HeaderBytes,
}

/// What stands next in a file.
pub(crate) enum Checked<'a> {
    /// A good batch.
    Good {
        batch: BatchAt,
        /// Only good for magic 2.
        header: BatchHeader<'a>,
        /// All of a control batch, unless it is larger than the buffer; nothing of others.
        control: Option<&'a [u8]>,
    },
    /// Nothing.
    End,
    /// Something else than a good batch: what is wrong with it.
    Bad(String),
}

/// What a search behind damage has found.
pub(crate) enum Behind {
    /// A good batch.
    Good(BatchAt),
    /// No good batch to the end of the file.
    Nothing,
    /// Nothing, before it had summed more than a start can wait for.
    GaveUp,
}

impl<'a> BatchChecker<'a> {
    /// Checks the batches of a segment's `file` from its first byte to `end`.
    pub(crate) fn new(
        file: &'a dyn DiskFile,
        path: &'a dyn Named,
        base_offset: i64,
        end: u64,
    ) -> Self {
        if end > BUFFER_BYTES as u64 {
            file.advise_sequential();
        }
        let size = BUFFER_BYTES.min(usize::try_from(end).unwrap_or(BUFFER_BYTES)).max(64);
        Self {
            file,
            path,
            base_offset,
            next_offset: base_offset,
            position: 0,
            end,
            summed_to: 0,
            buffer: vec![0; size],
            buffer_start: 0,
            buffer_len: 0,
            bytes_read: 0,
            header: HeaderBytes::new(),
        }
    }

    /// Batches that end at byte `summed_to` or before are not summed again.
    pub(crate) fn trust(&mut self, summed_to: u64) {
        self.summed_to = summed_to;
    }

    /// Where the next batch starts.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The offset behind the last good batch; the base offset before the first.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Bytes read since the last call.
    pub(crate) fn take_bytes_read(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_read)
    }

    /// Looks at what stands next, and goes on behind it if it is good. Beyond Kafka's checks, a
    /// batch whose offsets do not lie behind those before it is bad.
    pub(crate) fn next(&mut self) -> Result<Checked<'_>, StorageError> {
        let left = self.end.saturating_sub(self.position);
        if left == 0 {
            return Ok(Checked::End);
        }
        if left <= HEADER_UP_TO_MAGIC_BYTES {
            return Ok(Checked::Bad(format!("{left} bytes, too few for a batch")));
        }
        let wanted = left.min(BATCH_HEADER_BYTES as u64) as usize;
        let at = self.fill(wanted)?;
        self.header.take(&self.buffer[at..at + wanted]);
        let batch = match parse(&self.header, self.position, left) {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                let end = self.end;
                return Ok(Checked::Bad(format!(
                    "a batch that reaches beyond byte {end}, the end"
                )));
            }
            Err(problem) => return Ok(Checked::Bad(problem)),
        };
        if let Some(problem) = self.misfit(&batch) {
            return Ok(Checked::Bad(problem));
        }
        if batch.end() > self.summed_to
            && let Some(problem) = self.wrong_sum(&batch)?
        {
            return Ok(Checked::Bad(problem));
        }
        let is_control = batch.magic == 2 && self.header.view().attributes().is_control();
        let whole = match is_control && batch.size as usize <= self.buffer.len() {
            true => Some(self.fill(batch.size as usize)?),
            false => None,
        };
        self.position = batch.end();
        self.next_offset = batch.last_offset + 1;
        let control = whole.map(|at| &self.buffer[at..at + batch.size as usize]);
        Ok(Checked::Good { batch, header: self.header.view(), control })
    }

    /// Looks for the first good batch behind what is bad at the position, byte by byte.
    pub(crate) fn find_good(&mut self) -> Result<Behind, StorageError> {
        let mut position = self.position + 1;
        let mut budget = self.end.saturating_sub(position).saturating_mul(SEARCH_SUMS_MAX);
        while position + HEADER_UP_TO_MAGIC_BYTES < self.end {
            self.position = position;
            let wanted = (self.end - position).min(BATCH_HEADER_BYTES as u64) as usize;
            let at = self.fill(wanted)?;
            let bytes = &self.buffer[at..self.buffer_len];
            let (reach, left) = (self.reach(), self.end - position);
            let found = (0..=bytes.len() - wanted)
                .find(|skip| likely(&bytes[*skip..], &reach, left - *skip as u64));
            let Some(skip) = found else {
                position += (bytes.len() - wanted) as u64 + 1;
                continue;
            };
            let length = BatchHeader::new(&header_at(&bytes[skip..])).map(|it| it.batch_length());
            let length = length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
            let Some(rest) = budget.checked_sub(length) else { return Ok(Behind::GaveUp) };
            budget = rest;
            self.position = position + skip as u64;
            if let Checked::Good { batch, .. } = self.next()? {
                return Ok(Behind::Good(batch));
            }
            position = self.position + 1;
        }
        Ok(Behind::Nothing)
    }

    /// Which offsets the next batch may have.
    fn reach(&self) -> std::ops::RangeInclusive<i64> {
        self.next_offset..=self.base_offset.saturating_add(i64::from(i32::MAX))
    }

    /// Why the header's offsets do not fit here.
    fn misfit(&self, batch: &BatchAt) -> Option<String> {
        let BatchAt { base_offset, last_offset, magic, .. } = *batch;
        if !(0..=2).contains(&magic) {
            return Some(format!("magic {magic}, at most 2 expected"));
        }
        if last_offset < base_offset || last_offset < self.next_offset {
            let expected = self.next_offset;
            return Some(format!("last offset {last_offset}, {expected} or more expected"));
        }
        (last_offset > *self.reach().end())
            .then(|| format!("offset {last_offset} out of the segment's reach"))
    }

    /// The batch's sum, the CRC-32C or of old messages the CRC-32, if it is not the stored one.
    #[inline]
    fn wrong_sum(&mut self, batch: &BatchAt) -> Result<Option<String>, StorageError> {
        let size = batch.size as usize;
        let computed = match size <= self.buffer.len() {
            true => {
                let at = self.fill(size)?;
                let whole = &self.buffer[at..at + size];
                match batch.magic {
                    2.. => crc32c::crc32c(&whole[CRC_COVERS_FROM..]),
                    _ => crc32fast::hash(&whole[LEGACY_CRC_COVERS_FROM..]),
                }
            }
            false => self.sum_in_parts(batch)?,
        };
        let stored = batch.crc;
        Ok((computed != stored)
            .then(|| format!("crc is {stored:#010x}, expected {computed:#010x}")))
    }

    /// The sum of a batch that is larger than the buffer.
    fn sum_in_parts(&mut self, batch: &BatchAt) -> Result<u32, StorageError> {
        let is_legacy = batch.magic < 2;
        let covers_from = if is_legacy { LEGACY_CRC_COVERS_FROM } else { CRC_COVERS_FROM };
        let mut legacy = crc32fast::Hasher::new();
        let mut modern = 0;
        let start = self.position;
        let mut from = start + covers_from as u64;
        while from < batch.end() {
            self.position = from;
            let n = (batch.end() - from).min(self.buffer.len() as u64) as usize;
            let at = self.fill(n)?;
            let bytes = &self.buffer[at..at + n];
            match is_legacy {
                true => legacy.update(bytes),
                false => modern = crc32c::crc32c_append(modern, bytes),
            }
            from += n as u64;
        }
        self.position = start;
        Ok(if is_legacy { legacy.finalize() } else { modern })
    }

    /// Has `n` bytes from the position on in the buffer, whose size they do not exceed, and returns
    /// where in it.
    #[inline]
    fn fill(&mut self, n: usize) -> Result<usize, StorageError> {
        // Wraps where the position lies before the buffer.
        let at = self.position.wrapping_sub(self.buffer_start);
        match at < self.buffer_len as u64 {
            true if at as usize + n <= self.buffer_len => Ok(at as usize),
            true => self.read_on(at as usize, n),
            false => self.read_on(self.buffer_len, n),
        }
    }

    /// Moves what the buffer has from its byte `from` on, which is at the position, to its start,
    /// and fills it up, at least to `n` bytes.
    fn read_on(&mut self, from: usize, n: usize) -> Result<usize, StorageError> {
        self.buffer.copy_within(from..self.buffer_len, 0);
        let kept = self.buffer_len - from;
        let from = self.position + kept as u64;
        let wanted = match self.position < self.summed_to {
            true => n.max(SKIM_BYTES).min(self.buffer.len()),
            false => self.buffer.len(),
        };
        let more = (self.end - from).min((wanted - kept) as u64) as usize;
        (self.buffer_start, self.buffer_len) = (self.position, kept);
        self.file
            .read_exact_at(&mut self.buffer[kept..kept + more], from)
            .map_err(StorageError::io_at("read", || self.path.to_path()))?;
        self.buffer_len += more;
        self.bytes_read += more as u64;
        Ok(0)
    }
}
