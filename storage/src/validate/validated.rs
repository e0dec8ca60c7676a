//! A batch that may be appended: its header, all but final, and its records.

use std::borrow::Cow;

use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, BatchHeader, HeaderFields, MAGIC_V2};
use ottla_protocol::record::set::{Batch, BatchError};

/// A batch that a leader may append. The records are borrowed from the request unless they had to
/// be rebuilt. The header is held apart, with timestamp type, max timestamp and CRC as they will
/// be stored; only base offset and leader epoch are missing, which the CRC does not cover.
#[derive(Clone, Debug)]
pub struct Validated<'a> {
    header: HeaderFields,
    batch: Cow<'a, [u8]>,
    log_append_time_ms: Option<i64>,
}

impl<'a> Validated<'a> {
    /// `batch` has at least a header's bytes.
    pub(super) fn new(header: HeaderFields, batch: Cow<'a, [u8]>) -> Self {
        debug_assert!(batch.len() >= BATCH_HEADER_BYTES);
        let log_append_time_ms =
            header.attributes.is_log_append_time().then_some(header.max_timestamp);
        Self { header, batch, log_append_time_ms }
    }

    /// A batch that this process has built (the metadata log's, a coordinator's, a marker), which
    /// is taken as it is.
    ///
    /// # Errors
    /// When the bytes are not one whole batch. Its CRC is not computed again.
    pub fn from_built(batch: impl Into<Cow<'a, [u8]>>) -> Result<Self, BatchError> {
        let batch = batch.into();
        match Batch::new(&batch) {
            Some(whole) => Ok(Self::new(HeaderFields::from(whole.header()), batch)),
            None => Err(Self::why_not_one_batch(&batch)),
        }
    }

    fn why_not_one_batch(bytes: &[u8]) -> BatchError {
        let (position, size_bytes) = (0, bytes.len());
        match BatchHeader::new(bytes) {
            None => BatchError::ShortHeader { position, size_bytes },
            Some(header) if header.magic() != MAGIC_V2 => {
                BatchError::Magic { position, magic: header.magic() }
            }
            Some(header) => BatchError::Length { position, batch_length: header.batch_length() },
        }
    }

    /// The header as it will be stored, but for base offset and leader epoch.
    pub fn header(&self) -> &HeaderFields {
        &self.header
    }

    /// The header's bytes as they are to be stored.
    pub fn header_bytes(
        &self,
        base_offset: i64,
        partition_leader_epoch: i32,
    ) -> [u8; BATCH_HEADER_BYTES] {
        HeaderFields { base_offset, partition_leader_epoch, ..self.header }.to_bytes()
    }

    /// What follows the header, to be stored as it is.
    pub fn payload(&self) -> &[u8] {
        &self.batch[BATCH_HEADER_BYTES..]
    }

    /// Bytes of header and payload together.
    pub fn size_bytes(&self) -> usize {
        self.batch.len()
    }

    /// The last record's offset less the base offset.
    pub fn last_offset_delta(&self) -> i32 {
        self.header.last_offset_delta
    }

    /// The largest record timestamp, ms, or the time of the append; -1 for none.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// The time of the append that all records carry, ms; `None` when the topic keeps the
    /// producer's.
    pub fn log_append_time_ms(&self) -> Option<i64> {
        self.log_append_time_ms
    }

    /// Whether a producer with an id sent it, whose sequence is to be checked.
    pub fn has_producer_id(&self) -> bool {
        self.header.producer_id >= 0
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.header.attributes.is_transactional()
    }

    /// Whether it holds a control record.
    pub fn is_control(&self) -> bool {
        self.header.attributes.is_control()
    }

    /// Whether the records had to be rebuilt, and so are not the request's.
    pub fn is_rebuilt(&self) -> bool {
        matches!(self.batch, Cow::Owned(_))
    }
}
