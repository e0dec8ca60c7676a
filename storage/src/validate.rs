//! What a leader demands of a produced record set, as a pure function.
//!
//! A batch that the topic takes as it is stays where it lies: it is summed once, its records are
//! walked once, and [`Validated`] borrows it. It is rebuilt only when the topic's codec is another,
//! or when the offsets inside are not 0, 1, 2 and so on. [`validate`] needs no lock.
//!
//! The order of the checks is Kafka's, since a batch may be wrong in several ways and a producer
//! acts on the error: no batch, magic, zstd before version 7, more than one batch, base offset,
//! size, CRC, codec, counts, control flag, sequence; then the records.

use std::borrow::Cow;

use ottla_protocol::record::batch::{Attributes, HeaderFields, TimestampType};
use ottla_protocol::record::compression::{Codec, Compression, DecompressLimits};
use ottla_protocol::record::set::{Batch, BatchError, Batches};

mod error;
mod rebuild;
mod records;
mod validated;

pub use error::{ErrorClass, InvalidBatch, RecordError, RecordErrorReason};
pub use validated::Validated;

use records::RecordChecks;

/// Who appends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client, whose batch is checked in full.
    #[default]
    Client,
    /// A coordinator of this broker: control batches are its own, offsets and sequence are right.
    Coordinator,
}

/// The topic's `compression.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetCompression {
    /// `producer`: whatever the batch comes with.
    #[default]
    Producer,
    /// A codec of the topic's own; `uncompressed` is [`Compression::NONE`].
    Topic(Compression),
}

/// Records that have to be rebuilt are held in memory one at a time: each may be as large as eight
/// batches of `max.message.bytes`, or this.
const REBUILT_RECORD_BYTES_MAX: usize = 8 << 20;

/// Records decompress to 1 GiB at most unless the rules say otherwise. Kafka sets no limit; this
/// one bounds the work that a batch of `max.message.bytes` can cause, since memory is bounded by
/// streaming.
pub const DECOMPRESSED_BYTES_MAX: u64 = 1 << 30;

/// The settings that a record set is checked by. The default is a topic with Kafka's defaults.
#[derive(Clone, Copy, Debug)]
pub struct ValidateRules {
    /// Who appends.
    pub origin: AppendOrigin,
    /// The broker's clock, ms since the epoch.
    pub now_ms: i64,
    /// `max.message.bytes`: of the whole batch, as sent and as rebuilt.
    pub max_message_bytes: usize,
    /// `compression.type`, with the level of its codec.
    pub compression: TargetCompression,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// Whether `cleanup.policy` has `compact`, so that every record needs a key.
    pub compacted: bool,
    /// Whether the request's version allows zstd: Produce from 7 on.
    pub zstd_allowed: bool,
    /// What the records may decompress to.
    pub decompressed_bytes_max: u64,
}

impl ValidateRules {
    fn decompress_limits(&self) -> DecompressLimits {
        DecompressLimits::of_bytes(self.decompressed_bytes_max)
    }

    fn rebuilt_record_bytes_max(&self) -> usize {
        self.max_message_bytes.saturating_mul(8).max(REBUILT_RECORD_BYTES_MAX)
    }
}

impl Default for ValidateRules {
    fn default() -> Self {
        Self {
            origin: AppendOrigin::Client,
            now_ms: 0,
            max_message_bytes: 1_048_588,
            compression: TargetCompression::Producer,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compacted: false,
            zstd_allowed: true,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        }
    }
}

/// Checks a produced record set and readies its one batch for the append. An incomplete batch or
/// loose bytes after it are dropped, as Kafka does.
///
/// # Errors
/// The first rule that is broken; for rules of single records, all records that break one.
pub fn validate<'a>(
    records: &'a [u8],
    rules: &ValidateRules,
) -> Result<Validated<'a>, InvalidBatch> {
    let batch = only_batch(records, rules)?;
    let codec = check_batch(&batch, rules)?;
    let target = match rules.compression {
        TargetCompression::Producer => Compression::new(codec),
        // An uncompressed marker stays as it is in a topic with a codec.
        TargetCompression::Topic(_)
            if codec == Codec::None && batch.header().attributes().is_control() =>
        {
            Compression::NONE
        }
        TargetCompression::Topic(compression) => compression,
    };
    if codec != target.codec() {
        return rebuild::rebuild(&batch, codec, target, rules);
    }
    let checked = RecordChecks::of_batch(&batch, codec, rules)?;
    // Uncompressed batches keep whatever offsets they hold; Kafka looks at those of compressed
    // ones only, which its older clients got wrong.
    if codec != Codec::None && !checked.offsets_in_order {
        return rebuild::rebuild(&batch, codec, target, rules);
    }
    Ok(in_place(&batch, checked.max_timestamp, rules))
}

/// The set's one batch.
fn only_batch<'a>(records: &'a [u8], rules: &ValidateRules) -> Result<Batch<'a>, InvalidBatch> {
    let mut batches = Batches::new(records);
    let batch = match batches.next() {
        None => return Err(InvalidBatch::NoBatch),
        Some(Err(BatchError::Legacy { magic, .. })) => {
            return Err(InvalidBatch::OldMagic { magic });
        }
        Some(Err(error)) => return Err(InvalidBatch::Corrupt(error)),
        Some(Ok(batch)) => batch,
    };
    if !rules.zstd_allowed {
        // Only these versions look at the codec so early.
        match batch.codec() {
            None => return Err(unknown_codec(&batch)),
            Some(Codec::Zstd) => return Err(InvalidBatch::ZstdBeforeVersion7),
            Some(_) => {}
        }
    }
    match batches.next() {
        None => Ok(batch),
        Some(Err(error @ (BatchError::Length { .. } | BatchError::Magic { .. }))) => {
            Err(InvalidBatch::Corrupt(error))
        }
        Some(_) => Err(InvalidBatch::SeveralBatches),
    }
}

fn unknown_codec(batch: &Batch<'_>) -> InvalidBatch {
    InvalidBatch::UnknownCodec { codec_id: batch.header().attributes().codec_id() }
}

/// Checks everything about the batch but its records; answers its codec.
fn check_batch(batch: &Batch<'_>, rules: &ValidateRules) -> Result<Codec, InvalidBatch> {
    let header = batch.header();
    let from_client = rules.origin == AppendOrigin::Client;
    let base_offset = header.base_offset();
    if from_client && base_offset != 0 {
        return Err(InvalidBatch::BaseOffset { base_offset });
    }
    let (size_bytes, bytes_max) = (batch.bytes().len(), rules.max_message_bytes);
    if size_bytes > bytes_max {
        return Err(InvalidBatch::TooLarge { size_bytes, bytes_max });
    }
    batch.check_crc().map_err(InvalidBatch::Corrupt)?;
    let codec = batch.codec().ok_or_else(|| unknown_codec(batch))?;
    if !from_client {
        return Ok(codec);
    }
    let (last_offset_delta, records_count) = (header.last_offset_delta(), header.records_count());
    if records_count <= 0 || i64::from(last_offset_delta) + 1 != i64::from(records_count) {
        return Err(InvalidBatch::OffsetRange { last_offset_delta, records_count });
    }
    if header.attributes().is_control() {
        return Err(InvalidBatch::Control);
    }
    let (base_sequence, producer_id) = (header.base_sequence(), header.producer_id());
    if producer_id >= 0 && base_sequence < 0 {
        return Err(InvalidBatch::Sequence { base_sequence, producer_id });
    }
    Ok(codec)
}

/// The batch as it lies, with timestamp type and max timestamp as the topic has them. The CRC is
/// computed anew only when that changes something.
fn in_place<'a>(
    batch: &Batch<'a>,
    max_record_timestamp: i64,
    rules: &ValidateRules,
) -> Validated<'a> {
    let mut header = HeaderFields::from(batch.header());
    let max_timestamp = match rules.timestamp_type {
        TimestampType::CreateTime => max_record_timestamp,
        TimestampType::LogAppendTime => rules.now_ms,
    };
    if header.attributes.timestamp_type() != rules.timestamp_type
        || header.max_timestamp != max_timestamp
    {
        // Of the attributes only the known bits stay, as when the JVM writes them anew.
        const KEPT: i16 = 0x7f & !Attributes::LOG_APPEND_TIME;
        let time_bit = match rules.timestamp_type {
            TimestampType::CreateTime => 0,
            TimestampType::LogAppendTime => Attributes::LOG_APPEND_TIME,
        };
        header.attributes = Attributes(header.attributes.0 & KEPT | time_bit);
        header.max_timestamp = max_timestamp;
        header.crc = header.crc_with(batch.payload());
    }
    Validated::new(header, Cow::Borrowed(batch.bytes()))
}

#[cfg(test)]
mod tests;
