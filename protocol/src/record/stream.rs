//! Records read from a stream, for batches that are compressed: in bounded memory however far they
//! expand.
//!
//! Two ways through: [`RecordStream::next_facts`] checks the whole structure of a record but passes
//! over key, value and headers, and needs one fixed buffer; [`RecordStream::next_record`] gives the
//! record itself, and needs a buffer of its size. A record that lies in the buffer as a whole, as
//! nearly all do, is read where it lies either way.
//!
//! A codec of blocks decodes each into the buffer, right behind what is left of the one before. The
//! buffer is the thread's: it goes from one batch to the next.

use super::compression::{DecompressError, Decompressor, Scratch};
use super::facts::RecordFacts;
use super::record::{MalformedRecord, Record, RecordBase};
use crate::varint::{self, VARINT_BYTES_MAX, VARLONG_BYTES_MAX};

/// What is held of a record that is passed over, at most, when the next block or piece is read.
const BUFFER_BYTES: usize = 16 * 1024;

/// Why a stream does not give the records that its batch announces.
#[derive(Debug)]
pub enum StreamError {
    /// The records are not what the batch announces.
    Malformed(MalformedRecord),
    /// The payload does not decompress.
    Decompress(DecompressError),
    /// A record is larger than the caller holds in memory.
    RecordTooLarge {
        /// The size that the record announces, in bytes.
        size_bytes: usize,
        /// The caller's limit.
        bytes_max: usize,
    },
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Decompress(error) => error.fmt(f),
            Self::RecordTooLarge { size_bytes, bytes_max } => {
                write!(f, "a record of {size_bytes} bytes is larger than {bytes_max}")
            }
        }
    }
}

impl std::error::Error for StreamError {}

impl From<MalformedRecord> for StreamError {
    fn from(error: MalformedRecord) -> Self {
        Self::Malformed(error)
    }
}

impl From<DecompressError> for StreamError {
    fn from(error: DecompressError) -> Self {
        Self::Decompress(error)
    }
}

/// Reads the records of a compressed batch one after the other. After an error there are no more.
#[derive(Debug)]
pub struct RecordStream<'a> {
    reader: Decompressor<'a>,
    base: RecordBase,
    left: u32,
    finished: bool,
    /// The bytes from `start` to `end` are read and not yet parsed; no others mean anything.
    buffer: Scratch,
    start: usize,
    end: usize,
}

impl<'a> RecordStream<'a> {
    /// The `count` records that `reader` gives.
    ///
    /// # Errors
    /// When the count is negative.
    pub fn new(
        reader: Decompressor<'a>,
        base: RecordBase,
        count: i32,
    ) -> Result<Self, MalformedRecord> {
        let left = u32::try_from(count).map_err(|_| MalformedRecord::NegativeCount { count })?;
        let buffer = Scratch::take();
        Ok(Self { reader, base, left, finished: false, buffer, start: 0, end: 0 })
    }

    /// The next record, without its contents.
    ///
    /// # Errors
    /// When it is malformed or does not decompress, or bytes follow the last one.
    pub fn next_facts(&mut self) -> Result<Option<RecordFacts>, StreamError> {
        let result = self.facts();
        self.finished |= !matches!(result, Ok(Some(_)));
        result
    }

    /// The next record, which must not take more than `bytes_max`.
    ///
    /// # Errors
    /// When it is malformed, does not decompress or is too large, or bytes follow the last one.
    pub fn next_record(&mut self, bytes_max: usize) -> Result<Option<Record<'_>>, StreamError> {
        let result = self.whole_record(bytes_max);
        self.finished |= !matches!(result, Ok(Some(_)));
        let Some(size) = result? else { return Ok(None) };
        let bytes = &self.buffer[self.start..self.end];
        match Record::parse(bytes, &self.base) {
            Ok((record, used)) => {
                debug_assert_eq!(used, size);
                self.start += used;
                Ok(Some(record))
            }
            Err(error) => {
                self.finished = true;
                Err(error.into())
            }
        }
    }

    fn facts(&mut self) -> Result<Option<RecordFacts>, StreamError> {
        let Some((size, prefix)) = self.next_size()? else { return Ok(None) };
        self.fill(size.min(BUFFER_BYTES))?;
        if self.end - self.start < size {
            return self.pass_over(size, prefix).map(Some);
        }
        let (facts, used) = RecordFacts::parse(&self.buffer[self.start..self.end], &self.base)?;
        self.start += used;
        Ok(Some(facts))
    }

    /// Makes the next record whole in the buffer, and answers its size with its length field.
    fn whole_record(&mut self, bytes_max: usize) -> Result<Option<usize>, StreamError> {
        let Some((size, _)) = self.next_size()? else { return Ok(None) };
        if size > bytes_max {
            return Err(StreamError::RecordTooLarge { size_bytes: size, bytes_max });
        }
        let mut wanted = size.min(BUFFER_BYTES);
        loop {
            self.fill(wanted)?;
            let held = self.end - self.start;
            if held >= size {
                break;
            }
            if held < wanted {
                return Err(MalformedRecord::Truncated.into());
            }
            // Doubles as bytes come, never by what the record announces.
            wanted = held.saturating_mul(2).min(size);
        }
        Ok(Some(size))
    }

    /// The next record's size with its length field, and that field's size. `None` after the last
    /// record, with nothing behind it.
    fn next_size(&mut self) -> Result<Option<(usize, usize)>, StreamError> {
        if self.finished {
            return Ok(None);
        }
        self.fill(VARINT_BYTES_MAX)?;
        let bytes = &self.buffer[self.start..self.end];
        match (self.left, bytes.is_empty()) {
            (0, true) => return Ok(None),
            (0, false) => return Err(MalformedRecord::TrailingBytes.into()),
            (missing, true) => return Err(MalformedRecord::MissingRecords { missing }.into()),
            (_, false) => self.left -= 1,
        }
        let (length, prefix) = varint::decode_i32(bytes).map_err(MalformedRecord::from)?;
        let body = usize::try_from(length);
        let body = body.map_err(|_| MalformedRecord::LengthMismatch { length })?;
        Ok(Some((prefix + body, prefix)))
    }

    /// Reads until `count` bytes are held, or the stream ends.
    #[inline]
    fn fill(&mut self, count: usize) -> Result<(), StreamError> {
        while self.end - self.start < count {
            if !self.read_more(count)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads once behind what is held, which is less than `count`; false at the end of the stream.
    fn read_more(&mut self, count: usize) -> Result<bool, StreamError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let room = count.max(BUFFER_BYTES) - self.end;
        let read = self.reader.read_onto(&mut self.buffer, self.end, room)?;
        self.end += read;
        Ok(read > 0)
    }

    /// Walks a record that is larger than the buffer, field by field.
    fn pass_over(&mut self, size: usize, prefix: usize) -> Result<RecordFacts, StreamError> {
        let length = (size - prefix) as i32;
        let mut body = Body { stream: self, left: size };
        body.skip(prefix as i32)?;
        body.skip(1)?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key_length = body.varint()?;
        body.skip(key_length)?;
        let value_length = body.varint()?;
        body.skip(value_length)?;
        let count = body.varint()?;
        if count < 0 || count as usize > body.left / 2 {
            return Err(MalformedRecord::HeadersCount { count }.into());
        }
        for _ in 0..count {
            let key_length = body.varint()?;
            if key_length < 0 {
                return Err(MalformedRecord::NullHeaderKey.into());
            }
            body.skip(key_length)?;
            let value_length = body.varint()?;
            body.skip(value_length)?;
        }
        if body.left > 0 {
            return Err(MalformedRecord::LengthMismatch { length }.into());
        }
        let timestamp = self.base.timestamp_of(timestamp_delta);
        Ok(RecordFacts { offset_delta, timestamp, has_key: key_length >= 0 })
    }
}

/// The rest of a record that is passed over.
struct Body<'s, 'a> {
    stream: &'s mut RecordStream<'a>,
    left: usize,
}

impl Body<'_, '_> {
    fn peek(&mut self, bytes_max: usize) -> Result<&[u8], StreamError> {
        let bytes_max = bytes_max.min(self.left);
        self.stream.fill(bytes_max.min(BUFFER_BYTES))?;
        let bytes = &self.stream.buffer[self.stream.start..self.stream.end];
        Ok(&bytes[..bytes.len().min(bytes_max)])
    }

    fn varint(&mut self) -> Result<i32, StreamError> {
        let bytes = self.peek(VARINT_BYTES_MAX)?;
        let (value, used) = varint::decode_i32(bytes).map_err(MalformedRecord::from)?;
        self.consume(used);
        Ok(value)
    }

    fn varlong(&mut self) -> Result<i64, StreamError> {
        let bytes = self.peek(VARLONG_BYTES_MAX)?;
        let (value, used) = varint::decode_i64(bytes).map_err(MalformedRecord::from)?;
        self.consume(used);
        Ok(value)
    }

    fn consume(&mut self, count: usize) {
        self.stream.start += count;
        self.left -= count;
    }

    /// Passes over bytes; a negative length is null, and nothing.
    fn skip(&mut self, length: i32) -> Result<(), StreamError> {
        let mut length = usize::try_from(length).unwrap_or(0);
        if length > self.left {
            return Err(MalformedRecord::Truncated.into());
        }
        while length > 0 {
            let there = self.peek(length)?.len();
            if there == 0 {
                return Err(MalformedRecord::Truncated.into());
            }
            self.consume(there);
            length -= there;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
