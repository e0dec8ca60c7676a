//! Messages of magic 0 and 1, as they lie in a file.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 4 | CRC-32 of what follows |
//! | 4 | 1 | magic |
//! | 5 | 1 | attributes: codec in bits 0 to 2, timestamp type in bit 3 |
//! | 6 | 8 | timestamp, magic 1 only |
//! | then | 4 each | length of the key, the key; length of the value, the value; -1 for null |
//!
//! In front of it stand the offset and the length of the message. A compressed one is a wrapper:
//! its value holds messages, numbered from 0 in magic 1, and its own offset is the last one's.

use std::io::{BufReader, Read};

use ottla_protocol::record::batch::{LOG_OVERHEAD_BYTES, TimestampType};
use ottla_protocol::record::compression::{Codec, DecompressError, DecompressLimits, Decompressor};

use super::batches::codec;
use super::records::{InspectedRecord, OUTPUT_BYTES_MAX};
use super::{Damage, Format, HeaderFacts};

/// A wrapper's offset and length, its message's header with the timestamp.
pub(super) const HEADER_BYTES_MAX: usize = LOG_OVERHEAD_BYTES + 14;
/// The smallest message.
const MESSAGE_BYTES_MIN: i32 = 14;
const TIMESTAMP_AT: usize = 6;

/// Bytes up to a message's key.
pub(super) fn header_bytes(magic: i8) -> Result<usize, Damage> {
    match magic {
        0 => Ok(HEADER_BYTES_MAX - 8),
        1 => Ok(HEADER_BYTES_MAX),
        other => Err(Damage::LegacyMagic(other)),
    }
}

/// A view of a message, of at least the bytes of its header.
#[derive(Clone, Copy)]
pub(super) struct Legacy<'a>(&'a [u8]);

impl<'a> Legacy<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn int(&self, at: usize) -> Option<i32> {
        self.0.get(at..)?.first_chunk().map(|field| i32::from_be_bytes(*field))
    }

    fn crc(&self) -> u32 {
        self.int(0).unwrap_or_default() as u32
    }

    fn magic(&self) -> i8 {
        self.0.get(4).copied().unwrap_or_default() as i8
    }

    fn attributes(&self) -> u8 {
        self.0.get(5).copied().unwrap_or_default()
    }

    fn codec_id(&self) -> u8 {
        self.attributes() & 0b111
    }

    fn timestamp_type(&self) -> Option<TimestampType> {
        match (self.magic(), self.attributes() & 0b1000) {
            (0, _) => None,
            (_, 0) => Some(TimestampType::CreateTime),
            (_, _) => Some(TimestampType::LogAppendTime),
        }
    }

    fn timestamp(&self) -> Result<i64, Damage> {
        if self.magic() == 0 {
            return Ok(-1);
        }
        let field = self.0.get(TIMESTAMP_AT..).and_then(|rest| rest.first_chunk());
        field.map(|field| i64::from_be_bytes(*field)).ok_or(Damage::OutOfBounds)
    }

    pub(super) fn header(&self, offset: i64) -> HeaderFacts {
        HeaderFacts {
            format: Format::Legacy,
            last_offset: offset,
            timestamp_type: self.timestamp_type(),
            max_timestamp: self.timestamp().unwrap_or(-1),
            codec_id: self.codec_id(),
            crc: self.crc(),
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.0.len() >= MESSAGE_BYTES_MIN as usize && crc32fast::hash(&self.0[4..]) == self.crc()
    }

    fn key_at(&self) -> usize {
        if self.magic() == 0 { TIMESTAMP_AT } else { TIMESTAMP_AT + 8 }
    }

    /// The length in front of a field.
    fn size(&self, at: usize) -> Result<i32, Damage> {
        self.int(at).ok_or(Damage::OutOfBounds)
    }

    /// Where the value's length is.
    fn value_at(&self) -> Result<usize, Damage> {
        let key_size = self.size(self.key_at())?;
        Ok(self.key_at() + 4 + key_size.max(0) as usize)
    }

    /// The field of this length, negative for null, whose length is at `at`. When it would reach
    /// beyond the message, how many bytes are there.
    fn field(&self, at: usize, size: i32) -> Result<Option<&'a [u8]>, usize> {
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        let rest = self.0.get(at + 4..).unwrap_or_default();
        rest.get(..size).map(Some).ok_or(rest.len())
    }

    fn record(&self, offset: i64, timestamp: i64) -> Result<InspectedRecord<'a>, Damage> {
        let key_size = self.size(self.key_at())?;
        let value_size = self.size(self.value_at()?)?;
        // The key lies before the value's length, which was found.
        let key = self.field(self.key_at(), key_size).map_err(|_| Damage::OutOfBounds)?;
        let value = self.field(self.value_at()?, value_size);
        Ok(InspectedRecord {
            offset,
            timestamp,
            sequence: -1,
            key,
            key_size,
            value: value.unwrap_or_default(),
            value_size,
            beyond: value.err(),
            headers: Vec::new(),
            legacy: Some((self.is_valid(), self.crc())),
        })
    }
}

/// The messages of a loaded batch of magic 0 or 1.
pub(super) enum Messages<'b> {
    /// One that is not compressed.
    Plain { message: Legacy<'b>, offset: i64 },
    /// A wrapper around others.
    Wrapped { wrapper: Legacy<'b>, codec: Codec, blob: &'b [u8], base_offset: i64 },
}

impl<'b> Messages<'b> {
    pub(super) fn new(bytes: &'b [u8], offset: i64) -> Result<Self, Damage> {
        let message = Legacy::new(&bytes[LOG_OVERHEAD_BYTES..]);
        let codec = codec(message.codec_id())?;
        if codec == Codec::None {
            return Ok(Self::Plain { message, offset });
        }
        let magic = message.magic();
        if codec == Codec::Zstd {
            return Err(Damage::Record(format!(
                "Invalid wrapper compressionType found in legacy deep record iterator {magic}"
            )));
        }
        let value_at = message.value_at()?;
        let size = message.size(value_at)?;
        let blob = message.field(value_at, size);
        let blob = blob.map_err(|there| Damage::ValueBeyond { size, there })?;
        let blob = blob.ok_or_else(|| {
            Damage::Record(format!(
                "Found invalid compressed record set with null value (magic = {magic})"
            ))
        })?;
        let base_offset = base_offset(message, codec, blob, offset)?;
        Ok(Self::Wrapped { wrapper: message, codec, blob, base_offset })
    }

    /// Gives each to `take`.
    pub(super) fn for_each<E: From<Damage>>(
        self,
        take: &mut dyn FnMut(&InspectedRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Plain { message, offset } => take(&message.record(offset, message.timestamp()?)?),
            Self::Wrapped { wrapper, codec, blob, base_offset } => {
                let mut inner = Inner::new(wrapper.magic(), codec, blob)?;
                while let Some(offset) = inner.next()? {
                    let message = Legacy::new(&inner.message);
                    if message.codec_id() != 0 {
                        let text = "Inner messages must not be compressed".to_owned();
                        return Err(Damage::Record(text).into());
                    }
                    let appended = message.magic() == 1
                        && wrapper.timestamp_type() == Some(TimestampType::LogAppendTime);
                    let time = if appended { wrapper } else { message }.timestamp()?;
                    take(&message.record(base_offset.wrapping_add(offset), time)?)?;
                }
                Ok(())
            }
        }
    }
}

/// What is added to the offsets within a wrapper. All of it is read for that.
fn base_offset(
    wrapper: Legacy<'_>,
    codec: Codec,
    blob: &[u8],
    wrapper_offset: i64,
) -> Result<i64, Damage> {
    let mut inner = Inner::new(wrapper.magic(), codec, blob)?;
    let mut last = None;
    while let Some(offset) = inner.next()? {
        last = Some(offset);
    }
    let last = last.ok_or_else(|| {
        let text = "Found invalid compressed record set with no inner records";
        Damage::Record(text.to_owned())
    })?;
    // Some old clients leave the wrapper's offset at 0.
    if wrapper.magic() == 0 || wrapper_offset == 0 {
        return Ok(0);
    }
    if wrapper_offset < last {
        return Err(Damage::Record(format!(
            "Found invalid wrapper offset in compressed v1 message set, wrapper offset \
             '{wrapper_offset}' is less than the last inner message offset '{last}' and it is not \
             zero."
        )));
    }
    Ok(wrapper_offset - last)
}

/// The messages in a wrapper, one at a time.
struct Inner<'b> {
    codec: Codec,
    reader: BufReader<Decompressor<'b>>,
    message: Vec<u8>,
}

impl<'b> Inner<'b> {
    fn new(magic: i8, codec: Codec, blob: &'b [u8]) -> Result<Self, Damage> {
        let limits = DecompressLimits::of_bytes(OUTPUT_BYTES_MAX);
        let reader = match magic {
            0 => Decompressor::of_magic_0(codec, blob, limits),
            _ => Decompressor::new(codec, blob, limits),
        };
        let reader = BufReader::new(reader.map_err(Damage::Decompress)?);
        Ok(Self { codec, reader, message: Vec::new() })
    }

    /// The offset of the next message, whose bytes are in `message` then. A message that is cut
    /// short is the end.
    fn next(&mut self) -> Result<Option<i64>, Damage> {
        if !self.fill(LOG_OVERHEAD_BYTES)? {
            return Ok(None);
        }
        let header = Legacy(&self.message);
        let offset = self.message.first_chunk().map_or(0, |field| i64::from_be_bytes(*field));
        let size = header.int(8).unwrap_or_default();
        if size < MESSAGE_BYTES_MIN {
            return Err(Damage::Record(format!(
                "Record size is less than the minimum record overhead ({MESSAGE_BYTES_MIN})"
            )));
        }
        Ok(self.fill(size as usize)?.then_some(offset))
    }

    /// Reads that many bytes into `message`; false when there are fewer.
    fn fill(&mut self, count: usize) -> Result<bool, Damage> {
        self.message.clear();
        // The buffer grows with what is really there.
        let read = self.reader.by_ref().take(count as u64).read_to_end(&mut self.message);
        let read = read
            .map_err(|error| Damage::Decompress(DecompressError::from_read(self.codec, error)))?;
        Ok(read == count)
    }
}
