//! One record of a magic 2 batch, read where it lies, and the iterator over them.
//!
//! | field | type | |
//! |---|---|---|
//! | length | varint | of what follows it |
//! | attributes | int8 | unused |
//! | timestamp delta | varlong | from the base timestamp |
//! | offset delta | varint | from the base offset |
//! | key length, key | varint, bytes | negative for null |
//! | value length, value | varint, bytes | negative for null |
//! | headers | varint, then key and value of each | a header's key is never null |
//!
//! All varints are zigzag. [`Record::parse`] walks the headers once, so that [`Headers`] cannot
//! fail later.

use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;

use super::batch::BatchHeader;
use super::facts::RecordFacts;
use crate::varint::{self, VarintError};

/// A record, its bytes borrowed from the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The record's offset. Counts from 0 in what a producer sends.
    pub offset: i64,
    /// The offset less the batch's base offset.
    pub offset_delta: i32,
    /// Milliseconds since the epoch, -1 for none; the batch's max timestamp when it is of
    /// log append time.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value; null is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The name, meant to be UTF-8; not checked, as Kafka does not.
    pub key: &'a [u8],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

/// What a batch adds to its records' own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBase {
    /// The offset that deltas are added to.
    pub offset: i64,
    /// The timestamp that deltas are added to, ms.
    pub timestamp: i64,
    /// The timestamp of every record, when the batch is of log append time.
    pub log_append_time: Option<i64>,
}

impl From<BatchHeader<'_>> for RecordBase {
    fn from(header: BatchHeader<'_>) -> Self {
        Self {
            offset: header.base_offset(),
            timestamp: header.base_timestamp(),
            log_append_time: header
                .attributes()
                .is_log_append_time()
                .then(|| header.max_timestamp()),
        }
    }
}

impl RecordBase {
    /// The timestamp of a record with this delta. Wraps, as the JVM's addition does.
    #[inline]
    pub fn timestamp_of(&self, delta: i64) -> i64 {
        self.log_append_time.unwrap_or_else(|| self.timestamp.wrapping_add(delta))
    }
}

/// Why bytes are not the records that their batch announces. All of these are Kafka's
/// INVALID_RECORD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedRecord {
    /// The batch announces a negative number of records.
    NegativeCount {
        /// The number announced.
        count: i32,
    },
    /// A record, or a field of one, reaches beyond what is there.
    Truncated,
    /// A varint has too many bytes.
    VarintTooLong,
    /// A record's fields do not take the bytes that its length announces.
    LengthMismatch {
        /// The length announced.
        length: i32,
    },
    /// A negative number of headers, or more than the record has bytes left for.
    HeadersCount {
        /// The number announced.
        count: i32,
    },
    /// A header's key has a negative length.
    NullHeaderKey,
    /// The bytes end before the announced number of records is reached.
    MissingRecords {
        /// How many are missing.
        missing: u32,
    },
    /// Bytes follow the last announced record.
    TrailingBytes,
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeCount { count } => write!(f, "the batch announces {count} records"),
            Self::Truncated => f.write_str("a record reaches beyond the batch's bytes"),
            Self::VarintTooLong => f.write_str("a record holds a varint that is too long"),
            Self::LengthMismatch { length } => {
                write!(f, "a record does not take the {length} bytes that it announces")
            }
            Self::HeadersCount { count } => write!(f, "a record announces {count} headers"),
            Self::NullHeaderKey => f.write_str("a record header has no key"),
            Self::MissingRecords { missing } => {
                write!(f, "{missing} of the batch's records are missing")
            }
            Self::TrailingBytes => f.write_str("bytes follow the batch's last record"),
        }
    }
}

impl Error for MalformedRecord {}

impl From<VarintError> for MalformedRecord {
    fn from(error: VarintError) -> Self {
        match error {
            VarintError::Incomplete => Self::Truncated,
            VarintError::TooLong => Self::VarintTooLong,
        }
    }
}

/// Takes fields off the front of a record's bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    #[inline]
    fn varint(&mut self) -> Result<i32, MalformedRecord> {
        let (value, used) = varint::decode_i32(self.0)?;
        self.0 = &self.0[used..];
        Ok(value)
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, MalformedRecord> {
        let (value, used) = varint::decode_i64(self.0)?;
        self.0 = &self.0[used..];
        Ok(value)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], MalformedRecord> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(MalformedRecord::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes after their length; any negative length is null, as for the JVM.
    #[inline]
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, MalformedRecord> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn header(&mut self) -> Result<RecordHeader<'a>, MalformedRecord> {
        let length = usize::try_from(self.varint()?).map_err(|_| MalformedRecord::NullHeaderKey)?;
        Ok(RecordHeader { key: self.take(length)?, value: self.nullable()? })
    }
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; also answers the bytes that it takes.
    #[inline]
    pub fn parse(bytes: &'a [u8], base: &RecordBase) -> Result<(Self, usize), MalformedRecord> {
        let (length, used) = varint::decode_i32(bytes)?;
        let mismatch = MalformedRecord::LengthMismatch { length };
        let body = usize::try_from(length).map_err(|_| mismatch)?;
        let end = used.checked_add(body).ok_or(MalformedRecord::Truncated)?;
        let mut fields = Fields(bytes.get(used..end).ok_or(MalformedRecord::Truncated)?);
        fields.take(1).map_err(|_| mismatch)?;
        let timestamp = base.timestamp_of(fields.varlong()?);
        let offset_delta = fields.varint()?;
        let key = fields.nullable()?;
        let value = fields.nullable()?;
        let headers = Headers::parse(&mut fields)?;
        if !fields.0.is_empty() {
            return Err(mismatch);
        }
        let offset = base.offset.wrapping_add(i64::from(offset_delta));
        Ok((Self { offset, offset_delta, timestamp, key, value, headers }, end))
    }
}

/// The headers of a record, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Headers<'a> {
    #[inline]
    fn parse(fields: &mut Fields<'a>) -> Result<Self, MalformedRecord> {
        let count = fields.varint()?;
        let wrong = MalformedRecord::HeadersCount { count };
        let left = usize::try_from(count).map_err(|_| wrong)?;
        // A header takes two bytes at least; refused here so that no reader reserves by claim.
        if left > fields.0.len() / 2 {
            return Err(wrong);
        }
        let bytes = fields.0;
        for _ in 0..left {
            fields.header()?;
        }
        Ok(Self { bytes: &bytes[..bytes.len() - fields.0.len()], left })
    }

    /// The headers' encoding, without their number.
    pub(super) fn encoded(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut fields = Fields(self.bytes);
        let header = fields.header().expect("headers were walked when their record was parsed");
        self.bytes = fields.0;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}

/// Iterates the records of uncompressed bytes. Ends after the announced number of records or the
/// first error; bytes left over, or records missing, are errors.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    base: RecordBase,
    left: u32,
    finished: bool,
}

impl<'a> Records<'a> {
    /// The `count` records in `bytes`.
    ///
    /// # Errors
    /// When the count is negative.
    pub fn new(bytes: &'a [u8], base: RecordBase, count: i32) -> Result<Self, MalformedRecord> {
        let left = u32::try_from(count).map_err(|_| MalformedRecord::NegativeCount { count })?;
        Ok(Self { bytes, base, left, finished: false })
    }

    /// The next record, without its contents; as [`Iterator::next`] in all else, and quicker.
    #[inline]
    pub fn next_facts(&mut self) -> Option<Result<RecordFacts, MalformedRecord>> {
        self.next_by(RecordFacts::parse)
    }

    #[inline]
    fn next_by<T>(
        &mut self,
        parse: impl FnOnce(&'a [u8], &RecordBase) -> Result<(T, usize), MalformedRecord>,
    ) -> Option<Result<T, MalformedRecord>> {
        if self.finished {
            return None;
        }
        if self.left == 0 {
            self.finished = true;
            return (!self.bytes.is_empty()).then_some(Err(MalformedRecord::TrailingBytes));
        }
        if self.bytes.is_empty() {
            self.finished = true;
            return Some(Err(MalformedRecord::MissingRecords { missing: self.left }));
        }
        match parse(self.bytes, &self.base) {
            Ok((record, used)) => {
                self.bytes = &self.bytes[used..];
                self.left -= 1;
                Some(Ok(record))
            }
            Err(error) => {
                self.finished = true;
                Some(Err(error))
            }
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, MalformedRecord>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_by(Record::parse)
    }
}

impl FusedIterator for Records<'_> {}
