//! Reading primitives from a byte slice, with every length checked before it is used.

use std::fmt;

use crate::varint::{self, VarintError};

/// Heap bytes that a reader may hand out for each byte of its input.
///
/// An element can be much smaller on the wire than in memory (an empty array of a struct is one
/// byte against 24), so a count that fits the remaining bytes does not bound the memory by itself.
const HEAP_PER_INPUT_BYTE: usize = 8;
/// Heap bytes granted to the smallest input: real requests with a few empty elements are denser.
const HEAP_FLOOR_BYTES: usize = 4096;
/// The longest string, in bytes; the classic form cannot say more.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// A cursor over the bytes of one message.
///
/// It keeps an account of the heap that its values take, 8 bytes for each byte of input and 4 KiB
/// on top: bytes that claim more are refused, whatever they are.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
    heap_left: usize,
}

/// What was wrong with the bytes of a message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Bytes from the start of the message to the value that was refused.
    pub at: usize,
    /// What was wrong with it.
    pub kind: ReadErrorKind,
}

/// The ways in which bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The bytes end inside a value.
    Truncated,
    /// A length or count below -1, or a presence byte that is neither -1 nor 1.
    InvalidLength,
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// A string of more than 32767 bytes.
    StringTooLong,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// A variable-length integer of more than five bytes.
    InvalidVarint,
    /// More elements announced than bytes remain.
    CountTooLarge,
    /// Elements that would take far more memory than they take bytes.
    HeapExceeded,
    /// A version that the message does not have.
    UnsupportedVersion,
    /// A frame of a metadata record that is not frame version 1.
    UnsupportedFrame,
    /// Bytes after a value that must be the last.
    TrailingBytes,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ReadErrorKind::Truncated => "message ends inside a value",
            ReadErrorKind::InvalidLength => "invalid length",
            ReadErrorKind::UnexpectedNull => "null in a field that is not nullable",
            ReadErrorKind::StringTooLong => "string longer than 32767 bytes",
            ReadErrorKind::InvalidUtf8 => "string is not UTF-8",
            ReadErrorKind::InvalidVarint => "invalid variable-length integer",
            ReadErrorKind::CountTooLarge => "more elements announced than bytes remain",
            ReadErrorKind::HeapExceeded => "elements far larger in memory than in bytes",
            ReadErrorKind::UnsupportedVersion => "unsupported version",
            ReadErrorKind::UnsupportedFrame => "unsupported metadata frame version",
            ReadErrorKind::TrailingBytes => "bytes left over",
        };
        write!(f, "{what} at byte {}", self.at)
    }
}

impl std::error::Error for ReadError {}

/// The state of a walk through a struct's tagged fields; see [`Reader::begin_tags`].
#[derive(Debug)]
pub struct TagCursor<'a> {
    left: u32,
    after: Option<&'a [u8]>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        let heap_left = bytes.len().saturating_mul(HEAP_PER_INPUT_BYTE) + HEAP_FLOOR_BYTES;
        Self { whole: bytes, rest: bytes, heap_left }
    }

    /// The bytes not read so far.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// An error about the value at the current position.
    #[cold]
    pub fn error(&self, kind: ReadErrorKind) -> ReadError {
        // `rest` always lies within `whole`, but need not be its tail (tagged fields narrow it).
        let at = self.rest.as_ptr().addr().saturating_sub(self.whole.as_ptr().addr());
        ReadError { at, kind }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`ReadErrorKind::Truncated`] when there are fewer.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], ReadError> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.error(ReadErrorKind::Truncated)),
        }
    }

    /// The next `N` bytes, for an integer.
    ///
    /// # Errors
    /// [`ReadErrorKind::Truncated`] when there are fewer.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(self.error(ReadErrorKind::Truncated)),
        }
    }

    /// An unsigned variable-length integer of at most 32 bits: seven bits a byte, low ones first.
    ///
    /// # Errors
    /// [`ReadErrorKind::InvalidVarint`] beyond five bytes, [`ReadErrorKind::Truncated`] at the end.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, ReadError> {
        match varint::decode_u32(self.rest) {
            Ok((value, used)) => {
                self.rest = &self.rest[used..];
                Ok(value)
            }
            Err(VarintError::Incomplete) => Err(self.error(ReadErrorKind::Truncated)),
            Err(VarintError::TooLong) => Err(self.error(ReadErrorKind::InvalidVarint)),
        }
    }

    /// The length of a compact value: a uvarint that is one too large; `None` is null.
    #[inline]
    pub(super) fn compact_length(&mut self) -> Result<Option<usize>, ReadError> {
        Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize))
    }

    /// The length of a classic bytes or array value; `None` is null.
    #[inline]
    pub(super) fn classic_length(&mut self) -> Result<Option<usize>, ReadError> {
        let length = i32::from_be_bytes(self.array()?);
        self.length_or_null(length)
    }

    /// The length of a classic string; `None` is null.
    #[inline]
    pub(super) fn classic_string_length(&mut self) -> Result<Option<usize>, ReadError> {
        let length = i16::from_be_bytes(self.array()?);
        self.length_or_null(length.into())
    }

    #[inline]
    fn length_or_null(&self, length: i32) -> Result<Option<usize>, ReadError> {
        match length {
            -1 => Ok(None),
            _ => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(self.error(ReadErrorKind::InvalidLength)),
            },
        }
    }

    /// The next `length` bytes as a string.
    ///
    /// # Errors
    /// When there are fewer, when they are not UTF-8, or when they are more than 32767.
    #[inline]
    pub fn str(&mut self, length: usize) -> Result<&'a str, ReadError> {
        if length > STRING_BYTES_MAX {
            return Err(self.error(ReadErrorKind::StringTooLong));
        }
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.error(ReadErrorKind::InvalidUtf8))
    }

    /// The byte in front of a nullable struct: whether it is there.
    ///
    /// # Errors
    /// [`ReadErrorKind::InvalidLength`] for any byte below -1.
    #[inline]
    pub(crate) fn presence(&mut self) -> Result<bool, ReadError> {
        match i8::from_be_bytes(self.array()?) {
            // Kafka takes any byte that is not negative for "present", and so must its peers.
            0.. => Ok(true),
            -1 => Ok(false),
            _ => Err(self.error(ReadErrorKind::InvalidLength)),
        }
    }

    /// Puts `bytes` of heap on the account, if they and `for_now` more, which are given back at
    /// once, do not exceed it.
    #[inline]
    pub(super) fn charge(&mut self, bytes: usize, for_now: usize) -> Result<(), ReadError> {
        match self.heap_left.checked_sub(bytes) {
            Some(left) if for_now <= left => {
                self.heap_left = left;
                Ok(())
            }
            _ => Err(self.error(ReadErrorKind::HeapExceeded)),
        }
    }

    /// Starts on the tagged fields that end a struct in flexible versions.
    ///
    /// # Errors
    /// When their count cannot be read.
    #[inline]
    pub fn begin_tags(&mut self) -> Result<TagCursor<'a>, ReadError> {
        Ok(TagCursor { left: self.uvarint()?, after: None })
    }

    /// The next tag, with this reader narrowed to its value; whatever the caller leaves of the
    /// value is skipped by the next call, so an unknown tag needs no code. `None` after the last.
    ///
    /// # Errors
    /// When the tag or its size cannot be read, or its value is cut short.
    #[inline]
    pub fn next_tag(&mut self, cursor: &mut TagCursor<'a>) -> Result<Option<u32>, ReadError> {
        if let Some(after) = cursor.after.take() {
            self.rest = after;
        }
        if cursor.left == 0 {
            return Ok(None);
        }
        cursor.left -= 1;
        let tag = self.uvarint()?;
        let size = self.uvarint()? as usize;
        let value = self.take(size)?;
        cursor.after = Some(self.rest);
        self.rest = value;
        Ok(Some(tag))
    }
}
