//! Builds one magic 2 batch, record by record, into one buffer.
//!
//! The buffer begins with room for the header, records go behind it (through the compressor when
//! there is one), and [`BatchBuilder::build`] writes the header with lengths, counts and the CRC.

use std::error::Error;
use std::io::{self, Write};
use std::{fmt, mem};

use super::batch::{Attributes, BATCH_HEADER_BYTES, HeaderFields};
use super::compression::{Compression, Compressor};
use super::record::{Record, RecordHeader};
use crate::varint;

/// What a batch is built with, besides its records. The default is what a producer without
/// idempotence sends, uncompressed.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// The offset of the first record, but for [`BatchBuilder::append_at`].
    pub base_offset: i64,
    /// The leader's epoch, -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Codec and level.
    pub compression: Compression,
    /// The time of the append for all records, ms, in a batch of log append time; `None` for one
    /// of create time.
    pub log_append_time: Option<i64>,
    /// The producer, -1 for none.
    pub producer_id: i64,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: i16,
    /// The first record's sequence, -1 for none.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
    /// Whether the batch holds a control record.
    pub control: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            compression: Compression::NONE,
            log_append_time: None,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            control: false,
        }
    }
}

/// A record to append.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since the epoch, -1 for none.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value; null is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [RecordHeader<'a>],
}

/// Why a batch cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// The record's fields, together or one of them, take more than 2^31 - 1 bytes.
    RecordTooLarge,
    /// The whole batch takes more than 2^31 - 1 bytes.
    BatchTooLarge,
    /// An offset below the one before it, or more than 2^31 - 1 above the base offset.
    OffsetOutOfRange {
        /// The offset of the record.
        offset: i64,
    },
    /// The compressor failed, for want of memory.
    Compressor(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordTooLarge => f.write_str("a record takes more than 2^31 - 1 bytes"),
            Self::BatchTooLarge => f.write_str("a batch takes more than 2^31 - 1 bytes"),
            Self::OffsetOutOfRange { offset } => {
                write!(f, "the batch has no room for a record at offset {offset}")
            }
            Self::Compressor(error) => write!(f, "the compressor failed: {error}"),
        }
    }
}

impl Error for BuildError {}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Compressor(error)
    }
}

/// Builds one batch. Records get one offset after the other from the base offset on, unless
/// [`BatchBuilder::append_at`] says where.
pub struct BatchBuilder {
    options: BatchOptions,
    batch: Compressor,
    /// A record on its way to the compressor.
    record: Vec<u8>,
    records_count: i32,
    next_offset_delta: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    delete_horizon_ms: Option<i64>,
}

impl fmt::Debug for BatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder")
            .field("options", &self.options)
            .field("records_count", &self.records_count)
            .finish_non_exhaustive()
    }
}

/// What [`BatchBuilder`] encodes: a new record's fields, or those of one that was read.
struct Parts<'a> {
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: HeaderParts<'a>,
}

enum HeaderParts<'a> {
    New(&'a [RecordHeader<'a>]),
    Encoded { count: usize, bytes: &'a [u8] },
}

impl BatchBuilder {
    /// An empty batch.
    ///
    /// # Errors
    /// When the compressor cannot be set up.
    pub fn new(options: BatchOptions) -> Result<Self, BuildError> {
        Self::with_buffer(options, Vec::new())
    }

    /// An empty batch in `buffer`, whose bytes are dropped and whose room is used again.
    ///
    /// # Errors
    /// When the compressor cannot be set up.
    pub fn with_buffer(options: BatchOptions, mut buffer: Vec<u8>) -> Result<Self, BuildError> {
        buffer.clear();
        buffer.resize(BATCH_HEADER_BYTES, 0);
        Ok(Self {
            options,
            batch: Compressor::new(options.compression, buffer)?,
            record: Vec::new(),
            records_count: 0,
            next_offset_delta: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            delete_horizon_ms: None,
        })
    }

    /// Sets the producer, its epoch and the first record's sequence, whatever the options said: a
    /// producer knows them only when it sends the batch.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        let options = &mut self.options;
        (options.producer_id, options.producer_epoch) = (producer_id, producer_epoch);
        options.base_sequence = base_sequence;
    }

    /// Sets until when the batch's tombstones stay (KIP-534), ms since the epoch: it takes the
    /// place of the base timestamp. To be set before the first record.
    ///
    /// # Panics
    /// When there is a record already.
    pub fn set_delete_horizon(&mut self, ms: i64) {
        assert_eq!(self.records_count, 0, "the base timestamp is fixed by the first record");
        self.delete_horizon_ms = Some(ms);
        self.base_timestamp = ms;
    }

    /// How many records there are.
    pub fn records_count(&self) -> i32 {
        self.records_count
    }

    /// The batch's bytes so far, header included. A compressor may hold back some more.
    pub fn size_bytes(&self) -> usize {
        self.batch.buffer().len()
    }

    /// Appends a record at the next offset.
    ///
    /// # Errors
    /// When it is too large, or the compressor fails, which spoils the batch.
    pub fn append(&mut self, record: &NewRecord<'_>) -> Result<(), BuildError> {
        let parts = Parts {
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: HeaderParts::New(record.headers),
        };
        self.append_parts(self.next_offset_delta, &parts)
    }

    /// Appends a record that was read from another batch, at the next offset.
    ///
    /// # Errors
    /// As [`BatchBuilder::append`].
    pub fn append_copy(&mut self, record: &Record<'_>) -> Result<(), BuildError> {
        self.append_parts(self.next_offset_delta, &Parts::from(record))
    }

    /// Appends a record that was read from another batch, at an offset of the caller's, which may
    /// leave a gap (as compaction does).
    ///
    /// # Errors
    /// As [`BatchBuilder::append`], and when the offset is below the next one.
    pub fn append_at(&mut self, offset: i64, record: &Record<'_>) -> Result<(), BuildError> {
        let delta = offset.wrapping_sub(self.options.base_offset);
        if delta < self.next_offset_delta {
            return Err(BuildError::OffsetOutOfRange { offset });
        }
        self.append_parts(delta, &Parts::from(record))
    }

    fn append_parts(&mut self, offset_delta: i64, parts: &Parts<'_>) -> Result<(), BuildError> {
        let offset = self.options.base_offset.wrapping_add(offset_delta);
        let delta = i32::try_from(offset_delta);
        let delta = delta.map_err(|_| BuildError::OffsetOutOfRange { offset })?;
        let count = self.records_count.checked_add(1);
        let count = count.ok_or(BuildError::OffsetOutOfRange { offset })?;
        let is_first = self.records_count == 0 && self.delete_horizon_ms.is_none();
        let base = if is_first { parts.timestamp } else { self.base_timestamp };
        let timestamp_delta = parts.timestamp.wrapping_sub(base);
        let length = parts.length(delta, timestamp_delta).ok_or(BuildError::RecordTooLarge)?;
        match self.batch.plain() {
            Some(batch) => parts.encode(length, delta, timestamp_delta, batch),
            None => {
                let mut record = mem::take(&mut self.record);
                record.clear();
                parts.encode(length, delta, timestamp_delta, &mut record);
                self.batch.write_all(&record)?;
                self.record = record;
            }
        }
        self.base_timestamp = base;
        self.max_timestamp = self.max_timestamp.max(parts.timestamp);
        self.records_count = count;
        self.next_offset_delta = offset_delta + 1;
        Ok(())
    }

    /// The finished batch. One without records has the last offset delta -1, which no log takes.
    ///
    /// # Errors
    /// When it is too large, or the compressor fails.
    pub fn build(self) -> Result<Vec<u8>, BuildError> {
        let last_offset_delta = self.next_offset_delta - 1;
        self.build_with(last_offset_delta)
    }

    /// The finished batch, which ends with `last_offset` although its last record may lie before:
    /// what compaction leaves of a batch keeps its range of offsets and sequences.
    ///
    /// # Errors
    /// When a record lies behind `last_offset`, or the batch cannot reach so far; else as
    /// [`BatchBuilder::build`].
    pub fn build_to(self, last_offset: i64) -> Result<Vec<u8>, BuildError> {
        let last_offset_delta = last_offset.wrapping_sub(self.options.base_offset);
        if last_offset_delta < self.next_offset_delta - 1 {
            return Err(BuildError::OffsetOutOfRange { offset: last_offset });
        }
        self.build_with(last_offset_delta)
    }

    fn build_with(self, last_offset_delta: i64) -> Result<Vec<u8>, BuildError> {
        let offset = self.options.base_offset.wrapping_add(last_offset_delta);
        let delta = i32::try_from(last_offset_delta);
        let last_offset_delta = delta.map_err(|_| BuildError::OffsetOutOfRange { offset })?;
        let fields = HeaderFields { last_offset_delta, ..self.header_fields() };
        let mut batch = self.batch.finish()?;
        fields.seal(&mut batch).ok_or(BuildError::BatchTooLarge)?;
        Ok(batch)
    }

    fn header_fields(&self) -> HeaderFields {
        let options = &self.options;
        let mut attributes = i16::from(options.compression.codec().id());
        let flags = [
            (options.log_append_time.is_some(), Attributes::LOG_APPEND_TIME),
            (options.transactional, Attributes::TRANSACTIONAL),
            (options.control, Attributes::CONTROL),
            (self.delete_horizon_ms.is_some(), Attributes::DELETE_HORIZON),
        ];
        for (set, bit) in flags {
            attributes |= if set { bit } else { 0 };
        }
        HeaderFields {
            base_offset: options.base_offset,
            batch_length: 0,
            partition_leader_epoch: options.partition_leader_epoch,
            crc: 0,
            attributes: Attributes(attributes),
            last_offset_delta: -1,
            base_timestamp: self.base_timestamp,
            max_timestamp: options.log_append_time.unwrap_or(self.max_timestamp),
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            records_count: self.records_count,
        }
    }
}

impl<'a> From<&Record<'a>> for Parts<'a> {
    fn from(record: &Record<'a>) -> Self {
        Self {
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: HeaderParts::Encoded {
                count: record.headers.len(),
                bytes: record.headers.encoded(),
            },
        }
    }
}

impl Parts<'_> {
    /// The record's length field; `None` when it does not fit one.
    fn length(&self, offset_delta: i32, timestamp_delta: i64) -> Option<i32> {
        let mut length = 1 + varint::size_i64(timestamp_delta) + varint::size_i32(offset_delta);
        length = length.checked_add(nullable_size(self.key)?)?;
        length = length.checked_add(nullable_size(self.value)?)?;
        let (count, bytes) = match self.headers {
            HeaderParts::Encoded { count, bytes } => (count, bytes.len()),
            HeaderParts::New(headers) => {
                let mut bytes = 0_usize;
                for header in headers {
                    bytes = bytes.checked_add(nullable_size(Some(header.key))?)?;
                    bytes = bytes.checked_add(nullable_size(header.value)?)?;
                }
                (headers.len(), bytes)
            }
        };
        length += varint::size_i32(i32::try_from(count).ok()?);
        i32::try_from(length.checked_add(bytes)?).ok()
    }

    /// Appends the record; all lengths are known to fit.
    fn encode(&self, length: i32, offset_delta: i32, timestamp_delta: i64, to: &mut Vec<u8>) {
        varint::encode_i32(length, to);
        to.push(0);
        varint::encode_i64(timestamp_delta, to);
        varint::encode_i32(offset_delta, to);
        encode_nullable(self.key, to);
        encode_nullable(self.value, to);
        match self.headers {
            HeaderParts::Encoded { count, bytes } => {
                varint::encode_i32(count as i32, to);
                to.extend_from_slice(bytes);
            }
            HeaderParts::New(headers) => {
                varint::encode_i32(headers.len() as i32, to);
                for header in headers {
                    encode_nullable(Some(header.key), to);
                    encode_nullable(header.value, to);
                }
            }
        }
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> Option<usize> {
    let Some(bytes) = bytes else { return Some(varint::size_i32(-1)) };
    let length = i32::try_from(bytes.len()).ok()?;
    Some(varint::size_i32(length) + bytes.len())
}

fn encode_nullable(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    match bytes {
        None => varint::encode_i32(-1, to),
        Some(bytes) => {
            varint::encode_i32(bytes.len() as i32, to);
            to.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
