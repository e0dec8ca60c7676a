//! A record set: batches one after the other, as in a Produce request, a Fetch response and a
//! `.log` file. No count, no terminator.
//!
//! [`Entries`] follows Kafka's iterator over memory: what is too short to be told from a cut batch
//! ends it without an error, and [`Entries::remaining`] says how much that was. A length under the
//! smallest message or an unknown magic is an error, after which nothing more comes.
//! [`Batches`] is the same for those who know magic 2 only.

use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;

use super::batch::{
    BATCH_HEADER_BYTES, BatchHeader, CRC_COVERS_FROM, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2,
};
use super::compression::Codec;
use super::record::{MalformedRecord, RecordBase, Records};

/// The smallest batch length of any format: a magic 0 message with neither key nor value.
pub const BATCH_LENGTH_MIN: i32 = 14;
/// Bytes up to and with the magic, which stands at the same place in all formats.
pub const HEADER_UP_TO_MAGIC_BYTES: usize = MAGIC_AT + 1;

/// Why bytes are no batch. Kafka's CORRUPT_MESSAGE, but for [`BatchError::Legacy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The batch length is under [`BATCH_LENGTH_MIN`].
    Length {
        /// Where the batch begins in the set.
        position: usize,
        /// The length announced.
        batch_length: i32,
    },
    /// The magic is none of 0, 1 and 2.
    Magic {
        /// Where the batch begins in the set.
        position: usize,
        /// The magic found.
        magic: i8,
    },
    /// A magic 0 or 1 message where only batches are expected.
    Legacy {
        /// Where the message begins in the set.
        position: usize,
        /// 0 or 1.
        magic: i8,
    },
    /// A magic 2 batch that is shorter than its header.
    ShortHeader {
        /// Where the batch begins in the set.
        position: usize,
        /// The whole batch's bytes.
        size_bytes: usize,
    },
    /// The stored CRC is not that of the bytes.
    Crc {
        /// The one in the batch.
        stored: u32,
        /// The one of the bytes that are there.
        computed: u32,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { position, batch_length } => write!(
                f,
                "the batch at byte {position} has length {batch_length}, under the least possible \
                 {BATCH_LENGTH_MIN}"
            ),
            Self::Magic { position, magic } => {
                write!(f, "the batch at byte {position} has the unknown magic {magic}")
            }
            Self::Legacy { position, magic } => {
                write!(f, "the message at byte {position} has the old magic {magic}")
            }
            Self::ShortHeader { position, size_bytes } => write!(
                f,
                "the batch at byte {position} has {size_bytes} bytes, fewer than a header's \
                 {BATCH_HEADER_BYTES}"
            ),
            Self::Crc { stored, computed } => {
                write!(f, "the batch's CRC is {computed:#010x}, not {stored:#010x} as stored")
            }
        }
    }
}

impl Error for BatchError {}

/// Why the records of a batch cannot be read as they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsError {
    /// They are compressed, by the codec of this number.
    Compressed {
        /// 1 to 7; see [`Codec::from_id`].
        codec_id: u8,
    },
    /// The header announces records that cannot be.
    Malformed(MalformedRecord),
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed { codec_id } => {
                write!(f, "the records are compressed by codec {codec_id}")
            }
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl Error for RecordsError {}

impl From<MalformedRecord> for RecordsError {
    fn from(error: MalformedRecord) -> Self {
        Self::Malformed(error)
    }
}

/// A whole magic 2 batch. Its CRC and counts are not checked by being one.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: BatchHeader<'a>,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch that `bytes` are, from the first to the last. `None` when they are shorter than
    /// a header, of another magic, or not as long as the header says.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = BatchHeader::new(bytes)?;
        let whole = header.magic() == MAGIC_V2 && header.size_bytes() == Some(bytes.len());
        whole.then_some(Self { header, bytes })
    }

    /// The header.
    pub fn header(&self) -> BatchHeader<'a> {
        self.header
    }

    /// The whole batch, header and records.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, or one compressed blob of them.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// The codec of the payload; `None` for the numbers 5 to 7, which are nobody's.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_id(self.header.attributes().codec_id())
    }

    /// The CRC-32C of the bytes that the stored one covers.
    pub fn computed_crc(&self) -> u32 {
        crc32c::crc32c(&self.bytes[CRC_COVERS_FROM..])
    }

    /// Compares the stored CRC with that of the bytes.
    ///
    /// # Errors
    /// [`BatchError::Crc`] when they differ.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.header.crc(), self.computed_crc());
        if stored == computed { Ok(()) } else { Err(BatchError::Crc { stored, computed }) }
    }

    /// The records, where they lie.
    ///
    /// # Errors
    /// When they are compressed, or their announced number is negative.
    pub fn records(&self) -> Result<Records<'a>, RecordsError> {
        match self.header.attributes().codec_id() {
            0 => Ok(self.records_in(self.payload())?),
            codec_id => Err(RecordsError::Compressed { codec_id }),
        }
    }

    /// The records in `payload`, which is what this batch's decompresses to.
    ///
    /// # Errors
    /// When their announced number is negative.
    pub fn records_in<'p>(&self, payload: &'p [u8]) -> Result<Records<'p>, MalformedRecord> {
        Records::new(payload, RecordBase::from(self.header), self.header.records_count())
    }
}

/// One entry of a set.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// A magic 2 batch.
    Batch(Batch<'a>),
    /// A magic 0 or 1 message; a wrapper of many when it is compressed.
    Legacy {
        /// 0 or 1.
        magic: i8,
        /// The whole entry: offset, size and message.
        bytes: &'a [u8],
    },
}

/// Iterates a set of any formats.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    set: &'a [u8],
    position: usize,
    finished: bool,
}

impl<'a> Entries<'a> {
    /// The entries of `set`.
    pub fn new(set: &'a [u8]) -> Self {
        Self { set, position: 0, finished: false }
    }

    /// Where the next entry begins, or the one that was in error.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The bytes not yet iterated; once `None` has come, those of an incomplete last entry.
    pub fn remaining(&self) -> &'a [u8] {
        &self.set[self.position..]
    }

    /// The entry at the position and its size; `Ok(None)` when it is not all there.
    fn parse(&self) -> Result<Option<(Entry<'a>, usize)>, BatchError> {
        let (position, bytes) = (self.position, self.remaining());
        let Some(overhead) = bytes.first_chunk::<LOG_OVERHEAD_BYTES>() else { return Ok(None) };
        let batch_length =
            i32::from_be_bytes([overhead[8], overhead[9], overhead[10], overhead[11]]);
        if batch_length < BATCH_LENGTH_MIN {
            return Err(BatchError::Length { position, batch_length });
        }
        let Some(&magic) = bytes.get(MAGIC_AT) else { return Ok(None) };
        let magic = magic as i8;
        if !(0..=MAGIC_V2).contains(&magic) {
            return Err(BatchError::Magic { position, magic });
        }
        let size_bytes = LOG_OVERHEAD_BYTES + batch_length as usize;
        let Some(bytes) = bytes.get(..size_bytes) else { return Ok(None) };
        if magic != MAGIC_V2 {
            return Ok(Some((Entry::Legacy { magic, bytes }, size_bytes)));
        }
        let header = BatchHeader::new(bytes);
        let header = header.ok_or(BatchError::ShortHeader { position, size_bytes })?;
        Ok(Some((Entry::Batch(Batch { header, bytes }), size_bytes)))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        match self.parse() {
            Ok(Some((entry, size_bytes))) => {
                self.position += size_bytes;
                Some(Ok(entry))
            }
            Ok(None) => {
                self.finished = true;
                None
            }
            Err(error) => {
                self.finished = true;
                Some(Err(error))
            }
        }
    }
}

impl FusedIterator for Entries<'_> {}

/// Iterates a set of magic 2 batches; a message of an older format is an error.
#[derive(Clone, Debug)]
pub struct Batches<'a>(Entries<'a>);

impl<'a> Batches<'a> {
    /// The batches of `set`.
    pub fn new(set: &'a [u8]) -> Self {
        Self(Entries::new(set))
    }

    /// Where the next batch begins, or the one that was in error.
    pub fn position(&self) -> usize {
        self.0.position()
    }

    /// The bytes not yet iterated; once `None` has come, those of an incomplete last batch.
    pub fn remaining(&self) -> &'a [u8] {
        self.0.remaining()
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let position = self.0.position;
        match self.0.next()? {
            Ok(Entry::Batch(batch)) => Some(Ok(batch)),
            Ok(Entry::Legacy { magic, .. }) => {
                self.0.position = position;
                self.0.finished = true;
                Some(Err(BatchError::Legacy { position, magic }))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl FusedIterator for Batches<'_> {}

#[cfg(test)]
mod tests;
