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

    /// How many records follow, as claimed.
    pub fn records_count(self) -> i32 {
        i32::from_be_bytes(self.at(57))
    }
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The codec's number, 0 to 7; above 4 is invalid.
    pub fn codec_id(self) -> u8 {
        (self.0 & 0b111) as u8
    }

    /// Whether all records carry the time of their append instead of their own.
    pub fn is_log_append_time(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// Whether the batch holds a control record.
    pub fn is_control(self) -> bool {
        self.0 & 1 << 5 != 0
    }

    /// Whether the base timestamp is a delete horizon (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & 1 << 6 != 0
    }
}
