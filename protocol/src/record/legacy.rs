//! Message sets of magic 0 and 1, which old log directories may still hold. They are read, never
//! written.
//!
//! | bytes | field | | bytes | field |
//! |---:|---|---|---:|---|
//! | 8 | offset | | 1 | attributes: codec in bits 0 to 2, in magic 1 bit 3 for log append time |
//! | 4 | size of what follows | | 8 | timestamp, ms; in magic 1 only |
//! | 4 | CRC-32 of what follows | | 4 + n | key, length -1 for null |
//! | 1 | magic | | 4 + n | value, length -1 for null |
//!
//! A compressed message is a wrapper: its value is a set of the messages, and its offset is that
//! of the last of them. Inside a magic 0 wrapper offsets are absolute, inside one of magic 1 they
//! count from 0. Wrappers do not nest, and none is of zstd.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::Read;

use super::batch::{LOG_OVERHEAD_BYTES, MAGIC_AT, TimestampType};
use super::compression::{Codec, DecompressError, DecompressLimits, Decompressor};
use super::set::{BatchError, Entries, Entry};

/// Where a message's CRC is.
const CRC_AT: usize = LOG_OVERHEAD_BYTES;
const ATTRIBUTES_AT: usize = MAGIC_AT + 1;
/// Where a magic 0 message's key begins, and a magic 1 message's timestamp.
const AFTER_ATTRIBUTES: usize = ATTRIBUTES_AT + 1;
const LOG_APPEND_TIME: u8 = 1 << 3;

/// Why a message of an old format cannot be read.
#[derive(Debug)]
pub enum LegacyError {
    /// The set inside a wrapper is broken.
    Set(BatchError),
    /// A message ends before its fields do, or goes on after them.
    Length,
    /// The stored CRC is not that of the bytes.
    Crc {
        /// The one in the message.
        stored: u32,
        /// The one of the bytes that are there.
        computed: u32,
    },
    /// The codec's number is nobody's, or zstd's, which came after these formats.
    Codec {
        /// 4 to 7.
        codec_id: u8,
    },
    /// A wrapper without a value.
    NullWrapper,
    /// A wrapper around no messages.
    EmptyWrapper,
    /// A message of another magic than its wrapper.
    InnerMagic {
        /// The message's.
        magic: i8,
    },
    /// A compressed message inside a wrapper.
    InnerCompressed,
    /// A wrapper's offset is below that of its last message, counted from 0.
    WrapperOffset {
        /// The wrapper's offset.
        offset: i64,
        /// The last message's, counted from 0.
        last_inner: i64,
    },
    /// A wrapper's value does not decompress.
    Decompress(DecompressError),
}

impl fmt::Display for LegacyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(error) => write!(f, "inside a compressed message: {error}"),
            Self::Length => f.write_str("a message does not have the length of its fields"),
            Self::Crc { stored, computed } => {
                write!(f, "the message's CRC is {computed:#010x}, not {stored:#010x} as stored")
            }
            Self::Codec { codec_id } => write!(f, "an old message has the codec {codec_id}"),
            Self::NullWrapper => f.write_str("a compressed message has no value"),
            Self::EmptyWrapper => f.write_str("a compressed message holds no messages"),
            Self::InnerMagic { magic } => {
                write!(f, "a compressed message of another magic holds one of magic {magic}")
            }
            Self::InnerCompressed => f.write_str("a compressed message holds a compressed one"),
            Self::WrapperOffset { offset, last_inner } => write!(
                f,
                "a compressed message at offset {offset} holds one at the relative offset \
                 {last_inner}"
            ),
            Self::Decompress(error) => error.fmt(f),
        }
    }
}

impl Error for LegacyError {}

impl From<DecompressError> for LegacyError {
    fn from(error: DecompressError) -> Self {
        Self::Decompress(error)
    }
}

/// A message as it is told to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyRecord<'a> {
    /// Its offset in the log.
    pub offset: i64,
    /// Milliseconds since the epoch; -1 for none, as always in magic 0.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value; null is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// One entry of a set: a message, or a wrapper of several.
#[derive(Clone, Copy, Debug)]
pub struct LegacyEntry<'a> {
    bytes: &'a [u8],
}

impl<'a> LegacyEntry<'a> {
    /// The entry that `bytes` are, from the offset to the last byte of the value, as
    /// [`Entries`] gives them.
    ///
    /// # Errors
    /// When they are too short for the fields of a fixed size.
    pub fn new(bytes: &'a [u8]) -> Result<Self, LegacyError> {
        let entry = Self { bytes };
        // Both lengths of a message with neither key nor value have four bytes.
        let least = match bytes.get(MAGIC_AT) {
            Some(0) => AFTER_ATTRIBUTES + 8,
            Some(1) => AFTER_ATTRIBUTES + 16,
            Some(&magic) => return Err(LegacyError::InnerMagic { magic: magic as i8 }),
            None => return Err(LegacyError::Length),
        };
        if bytes.len() < least { Err(LegacyError::Length) } else { Ok(entry) }
    }

    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[offset..offset + N]);
        field
    }

    /// The offset as it stands here: of a wrapper, that of its last message.
    pub fn offset(&self) -> i64 {
        i64::from_be_bytes(self.at(0))
    }

    /// 0 or 1.
    pub fn magic(&self) -> i8 {
        i8::from_be_bytes(self.at(MAGIC_AT))
    }

    /// The timestamp as it stands here, ms; -1 in magic 0.
    pub fn timestamp(&self) -> i64 {
        if self.magic() == 0 { -1 } else { i64::from_be_bytes(self.at(AFTER_ATTRIBUTES)) }
    }

    /// Whose clock the timestamp is of; create time in magic 0, which has none.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic() == 1 && self.bytes[ATTRIBUTES_AT] & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The codec, which makes the message a wrapper when it is any.
    ///
    /// # Errors
    /// When it is none that these formats know.
    pub fn codec(&self) -> Result<Codec, LegacyError> {
        let codec_id = self.bytes[ATTRIBUTES_AT] & 0b111;
        match Codec::from_id(codec_id) {
            None | Some(Codec::Zstd) => Err(LegacyError::Codec { codec_id }),
            Some(codec) => Ok(codec),
        }
    }

    /// Compares the stored CRC with that of the bytes.
    ///
    /// # Errors
    /// [`LegacyError::Crc`] when they differ.
    pub fn check_crc(&self) -> Result<(), LegacyError> {
        let stored = u32::from_be_bytes(self.at(CRC_AT));
        let computed = crc32fast::hash(&self.bytes[MAGIC_AT..]);
        if stored == computed { Ok(()) } else { Err(LegacyError::Crc { stored, computed }) }
    }

    /// The message as it stands here, wrapper or not.
    ///
    /// # Errors
    /// When key and value do not take the bytes that there are.
    pub fn record(&self) -> Result<LegacyRecord<'a>, LegacyError> {
        let fields_at = if self.magic() == 0 { AFTER_ATTRIBUTES } else { AFTER_ATTRIBUTES + 8 };
        let (key, rest) = nullable(&self.bytes[fields_at..])?;
        let (value, rest) = nullable(rest)?;
        if !rest.is_empty() {
            return Err(LegacyError::Length);
        }
        Ok(LegacyRecord { offset: self.offset(), timestamp: self.timestamp(), key, value })
    }

    /// The messages that this entry stands for: itself, or those inside.
    ///
    /// # Errors
    /// When the entry, or the set inside, is malformed, or does not decompress within `limits`.
    pub fn records(&self, limits: DecompressLimits) -> Result<LegacyRecords<'a>, LegacyError> {
        let codec = self.codec()?;
        if codec == Codec::None {
            let set = Cow::Borrowed(self.bytes);
            return Ok(LegacyRecords { set, magic: self.magic(), base: 0, append_time: None });
        }
        let blob = self.record()?.value.ok_or(LegacyError::NullWrapper)?;
        let mut reader = if self.magic() == 0 {
            Decompressor::of_magic_0(codec, blob, limits)?
        } else {
            Decompressor::new(codec, blob, limits)?
        };
        let mut set = Vec::new();
        reader.read_to_end(&mut set).map_err(|error| DecompressError::from_read(codec, error))?;
        let last_inner = last_offset(&set)?;
        let offset = self.offset();
        let base = match (self.magic(), offset) {
            // Offsets inside are absolute. And some releases of librdkafka wrote the wrapper's
            // as 0 in magic 1, which says nothing about the base.
            (0, _) | (_, 0) => 0,
            _ if offset < last_inner => {
                return Err(LegacyError::WrapperOffset { offset, last_inner });
            }
            _ => offset - last_inner,
        };
        let append_time =
            (self.timestamp_type() == TimestampType::LogAppendTime).then(|| self.timestamp());
        Ok(LegacyRecords { set: Cow::Owned(set), magic: self.magic(), base, append_time })
    }
}

/// The offset of a set's last entry.
fn last_offset(set: &[u8]) -> Result<i64, LegacyError> {
    let mut last = None;
    for entry in Entries::new(set) {
        last = Some(match entry.map_err(LegacyError::Set)? {
            Entry::Legacy { bytes, .. } => LegacyEntry::new(bytes)?.offset(),
            Entry::Batch(batch) => {
                return Err(LegacyError::InnerMagic { magic: batch.header().magic() });
            }
        });
    }
    last.ok_or(LegacyError::EmptyWrapper)
}

fn nullable(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), LegacyError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(LegacyError::Length)?;
    // The JVM takes any negative length for null.
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Ok((None, rest)) };
    let (field, rest) = rest.split_at_checked(length).ok_or(LegacyError::Length)?;
    Ok((Some(field), rest))
}

/// The messages of an entry, decompressed if they were compressed.
#[derive(Clone, Debug)]
pub struct LegacyRecords<'a> {
    set: Cow<'a, [u8]>,
    magic: i8,
    /// Added to the offsets as they stand.
    base: i64,
    append_time: Option<i64>,
}

impl LegacyRecords<'_> {
    /// Iterates the messages, with their offsets in the log. After an error there are no more.
    pub fn iter(&self) -> impl Iterator<Item = Result<LegacyRecord<'_>, LegacyError>> {
        let mut entries = Entries::new(&self.set);
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let record = entries.next()?.map_err(LegacyError::Set).and_then(|entry| match entry {
                Entry::Legacy { magic, bytes } if magic == self.magic => self.record(bytes),
                Entry::Legacy { magic, .. } => Err(LegacyError::InnerMagic { magic }),
                Entry::Batch(batch) => {
                    Err(LegacyError::InnerMagic { magic: batch.header().magic() })
                }
            });
            failed = record.is_err();
            Some(record)
        })
    }

    fn record<'s>(&self, bytes: &'s [u8]) -> Result<LegacyRecord<'s>, LegacyError> {
        let entry = LegacyEntry::new(bytes)?;
        if entry.codec()? != Codec::None {
            return Err(LegacyError::InnerCompressed);
        }
        let record = entry.record()?;
        Ok(LegacyRecord {
            offset: record.offset.wrapping_add(self.base),
            timestamp: self.append_time.unwrap_or(record.timestamp),
            ..record
        })
    }
}

#[cfg(test)]
mod tests;
