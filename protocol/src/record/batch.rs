//! The magic 2 batch header, as a view over bytes.
//!
//! | offset | length | field | | offset | length | field |
//! |---:|---:|---|---|---:|---:|---|
//! | 0 | 8 | base offset | | 27 | 8 | base timestamp |
//! | 8 | 4 | batch length, of what follows this field | | 35 | 8 | max timestamp |
//! | 12 | 4 | partition leader epoch | | 43 | 8 | producer id |
//! | 16 | 1 | magic, 2 | | 51 | 2 | producer epoch |
//! | 17 | 4 | CRC-32C of bytes 21 to the end | | 53 | 4 | base sequence |
//! | 21 | 2 | attributes | | 57 | 4 | records count |
//! | 23 | 4 | last offset delta | | 61 | | records |
//!
//! All integers are big-endian (Kafka's message format, version 2).

/// The magic of the format with a batch header, the only one that is written.
pub const MAGIC_V2: i8 = 2;
/// Where the magic is, in all formats.
pub const MAGIC_AT: usize = 16;
/// Where the CRC is.
pub const CRC_AT: usize = 17;
/// Bytes of a magic 2 batch before its records.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Bytes of base offset and batch length, which the batch length does not count.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// Where the bytes that the CRC covers begin.
pub const CRC_COVERS_FROM: usize = 21;

/// A batch's header: at least [`BATCH_HEADER_BYTES`] bytes, read at fixed offsets. Nothing is
/// checked but the length; see the validation in this module's siblings.
#[derive(Clone, Copy, Debug)]
pub struct BatchHeader<'a>(&'a [u8; BATCH_HEADER_BYTES]);

impl<'a> BatchHeader<'a> {
    /// A view of the header at the start of `bytes`; `None` when they are too short for one.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().map(Self)
    }

    fn at<const N: usize>(self, offset: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.0[offset..offset + N]);
        field
    }

    /// The offset of the first record.
    pub fn base_offset(self) -> i64 {
        i64::from_be_bytes(self.at(0))
    }

    /// Bytes after the batch length field, as claimed.
    pub fn batch_length(self) -> i32 {
        i32::from_be_bytes(self.at(8))
    }

    /// The whole batch's bytes, as claimed; `None` when the claim is negative.
    pub fn size_bytes(self) -> Option<usize> {
        usize::try_from(self.batch_length()).ok().map(|length| length + LOG_OVERHEAD_BYTES)
    }

    /// The leader's epoch when it was appended.
    pub fn partition_leader_epoch(self) -> i32 {
        i32::from_be_bytes(self.at(12))
    }

    /// The format: 2 for this layout.
    pub fn magic(self) -> i8 {
        i8::from_be_bytes(self.at(16))
    }

    /// The stored CRC-32C.
    pub fn crc(self) -> u32 {
        u32::from_be_bytes(self.at(17))
    }

    /// Codec, timestamp type and flags.
    pub fn attributes(self) -> Attributes {
        Attributes(i16::from_be_bytes(self.at(21)))
    }

    /// The last record's offset less the base offset.
    pub fn last_offset_delta(self) -> i32 {
        i32::from_be_bytes(self.at(23))
    }

    /// The offset of the last record, kept through compaction.
    pub fn last_offset(self) -> i64 {
        self.base_offset().wrapping_add(i64::from(self.last_offset_delta()))
    }

    /// The first record's timestamp, ms, or the delete horizon.
    pub fn base_timestamp(self) -> i64 {
        i64::from_be_bytes(self.at(27))
    }

    /// The largest record timestamp, ms.
    pub fn max_timestamp(self) -> i64 {
        i64::from_be_bytes(self.at(35))
    }

    /// The producer, -1 for none.
    pub fn producer_id(self) -> i64 {
        i64::from_be_bytes(self.at(43))
    }

    /// The producer's epoch, -1 for none.
    pub fn producer_epoch(self) -> i16 {
        i16::from_be_bytes(self.at(51))
    }

    /// The first record's sequence, -1 for none.
    pub fn base_sequence(self) -> i32 {
        i32::from_be_bytes(self.at(53))
    }

    /// The last record's sequence, -1 for none. Wraps from 2^31 - 1 to 0.
    pub fn last_sequence(self) -> i32 {
        match self.base_sequence() {
            -1 => -1,
            base => sequence_after(base, self.last_offset_delta()),
        }
    }

    /// How many records follow, as claimed.
    pub fn records_count(self) -> i32 {
        i32::from_be_bytes(self.at(57))
    }
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The bit of [`Attributes::is_log_append_time`].
    pub const LOG_APPEND_TIME: i16 = 1 << 3;
    /// The bit of [`Attributes::is_transactional`].
    pub const TRANSACTIONAL: i16 = 1 << 4;
    /// The bit of [`Attributes::is_control`].
    pub const CONTROL: i16 = 1 << 5;
    /// The bit of [`Attributes::has_delete_horizon`].
    pub const DELETE_HORIZON: i16 = 1 << 6;

    /// The codec's number, 0 to 7; above 4 is invalid.
    pub fn codec_id(self) -> u8 {
        (self.0 & 0b111) as u8
    }

    /// Whose clock the timestamps of the batch are of.
    pub fn timestamp_type(self) -> TimestampType {
        if self.is_log_append_time() {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Whether all records carry the time of their append instead of their own.
    pub fn is_log_append_time(self) -> bool {
        self.0 & Self::LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a control record.
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

/// Whose clock a record's timestamp is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's, one for each record.
    #[default]
    CreateTime,
    /// The broker's at the append, one for the whole batch (its max timestamp).
    LogAppendTime,
}

/// All fields of a batch header, to write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// The offset of the first record.
    pub base_offset: i64,
    /// Bytes after the batch length field.
    pub batch_length: i32,
    /// The leader's epoch, -1 from a producer.
    pub partition_leader_epoch: i32,
    /// CRC-32C of what follows the field.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// The last record's offset less the base offset.
    pub last_offset_delta: i32,
    /// The first record's timestamp, ms, or the delete horizon.
    pub base_timestamp: i64,
    /// The largest record timestamp, ms.
    pub max_timestamp: i64,
    /// The producer, -1 for none.
    pub producer_id: i64,
    /// The producer's epoch, -1 for none.
    pub producer_epoch: i16,
    /// The first record's sequence, -1 for none.
    pub base_sequence: i32,
    /// How many records follow.
    pub records_count: i32,
}

impl HeaderFields {
    /// The header's bytes, of magic 2.
    pub fn to_bytes(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&self.base_offset.to_be_bytes());
        put(&self.batch_length.to_be_bytes());
        put(&self.partition_leader_epoch.to_be_bytes());
        put(&[MAGIC_V2 as u8]);
        put(&self.crc.to_be_bytes());
        put(&self.attributes.0.to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&self.base_timestamp.to_be_bytes());
        put(&self.max_timestamp.to_be_bytes());
        put(&self.producer_id.to_be_bytes());
        put(&self.producer_epoch.to_be_bytes());
        put(&self.base_sequence.to_be_bytes());
        put(&self.records_count.to_be_bytes());
        bytes
    }

    /// The CRC-32C of a batch of this header and `payload`.
    pub fn crc_with(&self, payload: &[u8]) -> u32 {
        let of_header = crc32c::crc32c(&self.to_bytes()[CRC_COVERS_FROM..]);
        crc32c::crc32c_append(of_header, payload)
    }

    /// Writes the header over the start of `batch`, with the CRC and the batch length of all of
    /// it. `None` when it is shorter than a header or longer than a batch length can say.
    pub fn seal(mut self, batch: &mut [u8]) -> Option<()> {
        self.batch_length = i32::try_from(batch.len().checked_sub(LOG_OVERHEAD_BYTES)?).ok()?;
        batch.first_chunk_mut().map(|header| *header = self.to_bytes())?;
        let crc = crc32c::crc32c(&batch[CRC_COVERS_FROM..]);
        batch[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        Some(())
    }
}

impl From<BatchHeader<'_>> for HeaderFields {
    fn from(header: BatchHeader<'_>) -> Self {
        Self {
            base_offset: header.base_offset(),
            batch_length: header.batch_length(),
            partition_leader_epoch: header.partition_leader_epoch(),
            crc: header.crc(),
            attributes: header.attributes(),
            last_offset_delta: header.last_offset_delta(),
            base_timestamp: header.base_timestamp(),
            max_timestamp: header.max_timestamp(),
            producer_id: header.producer_id(),
            producer_epoch: header.producer_epoch(),
            base_sequence: header.base_sequence(),
            records_count: header.records_count(),
        }
    }
}

/// The sequence `count` records after `sequence`: they wrap from 2^31 - 1 to 0.
pub fn sequence_after(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}
