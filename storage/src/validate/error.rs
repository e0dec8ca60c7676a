//! Why a leader refuses a produced record set, with what a broker needs to tell the producer.

use std::error::Error;
use std::fmt;

use ottla_protocol::record::builder::BuildError;
use ottla_protocol::record::compression::DecompressError;
use ottla_protocol::record::record::MalformedRecord;
use ottla_protocol::record::set::BatchError;
use ottla_protocol::record::stream::StreamError;

use super::ValidateRules;

/// The Kafka error that a refusal is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// CORRUPT_MESSAGE (2).
    CorruptMessage,
    /// MESSAGE_TOO_LARGE (10).
    MessageTooLarge,
    /// INVALID_TIMESTAMP (32).
    InvalidTimestamp,
    /// UNSUPPORTED_COMPRESSION_TYPE (76).
    UnsupportedCompressionType,
    /// INVALID_RECORD (87).
    InvalidRecord,
    /// UNKNOWN_SERVER_ERROR (-1).
    UnknownServerError,
}

/// Why a record set is refused. Nothing of it may be appended.
#[derive(Debug)]
pub enum InvalidBatch {
    /// The set holds no complete batch.
    NoBatch,
    /// The set's structure or its batch's CRC is broken.
    Corrupt(BatchError),
    /// The batch is of magic 0 or 1.
    OldMagic {
        /// 0 or 1.
        magic: i8,
    },
    /// More than one complete batch.
    SeveralBatches,
    /// A Produce request of a version before 7 holds zstd.
    ZstdBeforeVersion7,
    /// The batch's base offset is not 0.
    BaseOffset {
        /// The one found.
        base_offset: i64,
    },
    /// The batch, as sent or as rebuilt, is larger than the topic allows.
    TooLarge {
        /// The batch's size, or how much of it was rebuilt before it was given up.
        size_bytes: usize,
        /// The topic's `max.message.bytes`.
        bytes_max: usize,
    },
    /// The records decompress to more than the rules allow, or one of them, which has to be
    /// rebuilt, to more than is held in memory.
    ExpandsTooFar {
        /// The rule that they break, in bytes.
        bytes_max: u64,
    },
    /// The codec's number is nobody's.
    UnknownCodec {
        /// 5 to 7.
        codec_id: u8,
    },
    /// Last offset delta or count are not positive, or do not fit each other.
    OffsetRange {
        /// The last record's offset less the base offset.
        last_offset_delta: i32,
        /// The announced number of records.
        records_count: i32,
    },
    /// A client sent a control batch.
    Control,
    /// A producer id without a sequence.
    Sequence {
        /// The one found.
        base_sequence: i32,
        /// The producer.
        producer_id: i64,
    },
    /// The records are not what the header announces.
    Malformed(MalformedRecord),
    /// The payload does not decompress.
    Undecodable(String),
    /// The batch could not be rebuilt.
    Rebuild(BuildError),
    /// Some records break the topic's rules; never empty.
    Records(Vec<RecordError>),
}

impl InvalidBatch {
    /// The Kafka error to answer.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Corrupt(_) => ErrorClass::CorruptMessage,
            Self::TooLarge { .. } | Self::ExpandsTooFar { .. } => ErrorClass::MessageTooLarge,
            Self::ZstdBeforeVersion7 => ErrorClass::UnsupportedCompressionType,
            Self::UnknownCodec { .. } | Self::Undecodable(_) | Self::Rebuild(_) => {
                ErrorClass::UnknownServerError
            }
            Self::Records(errors) if errors.iter().any(RecordError::is_of_timestamp) => {
                ErrorClass::InvalidTimestamp
            }
            Self::NoBatch
            | Self::OldMagic { .. }
            | Self::SeveralBatches
            | Self::BaseOffset { .. }
            | Self::OffsetRange { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Malformed(_)
            | Self::Records(_) => ErrorClass::InvalidRecord,
        }
    }

    /// The records at fault, where single ones are; for the response's RecordErrors.
    pub fn record_errors(&self) -> &[RecordError] {
        match self {
            Self::Records(errors) => errors,
            _ => &[],
        }
    }
}

impl fmt::Display for InvalidBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBatch => f.write_str("the record set has no batch"),
            Self::Corrupt(error) => error.fmt(f),
            Self::OldMagic { magic } => {
                write!(f, "the batch has magic {magic}; only magic 2 is taken")
            }
            Self::SeveralBatches => {
                f.write_str("the record set has more than one batch; a partition takes one")
            }
            Self::ZstdBeforeVersion7 => {
                f.write_str("Produce before version 7 may not hold zstd batches")
            }
            Self::BaseOffset { base_offset } => {
                write!(f, "the batch's base offset is {base_offset}, not 0")
            }
            Self::TooLarge { size_bytes, bytes_max } => write!(
                f,
                "the batch has {size_bytes} bytes, more than max.message.bytes, {bytes_max}"
            ),
            Self::ExpandsTooFar { bytes_max } => {
                write!(f, "the batch decompresses to more than {bytes_max} bytes")
            }
            Self::UnknownCodec { codec_id } => write!(f, "unknown compression type {codec_id}"),
            Self::OffsetRange { last_offset_delta, records_count } => write!(
                f,
                "the batch announces {records_count} records and the last offset delta \
                 {last_offset_delta}"
            ),
            Self::Control => f.write_str("clients may not write control records"),
            Self::Sequence { base_sequence, producer_id } => {
                write!(f, "invalid sequence {base_sequence} of producer {producer_id}")
            }
            Self::Malformed(error) => error.fmt(f),
            Self::Undecodable(why) => write!(f, "the batch does not decompress: {why}"),
            Self::Rebuild(error) => write!(f, "the batch cannot be rebuilt: {error}"),
            Self::Records(errors) => match self.class() {
                ErrorClass::InvalidTimestamp => {
                    f.write_str("One or more records have been rejected due to invalid timestamp")
                }
                _ => write!(
                    f,
                    "One or more records have been rejected due to {} record errors in total",
                    errors.len()
                ),
            },
        }
    }
}

impl Error for InvalidBatch {}

impl From<MalformedRecord> for InvalidBatch {
    fn from(error: MalformedRecord) -> Self {
        Self::Malformed(error)
    }
}

impl From<DecompressError> for InvalidBatch {
    fn from(error: DecompressError) -> Self {
        match error {
            DecompressError::TooLarge { bytes_max } => Self::ExpandsTooFar { bytes_max },
            DecompressError::Corrupt { .. } => Self::Undecodable(error.to_string()),
        }
    }
}

impl From<StreamError> for InvalidBatch {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Malformed(error) => error.into(),
            StreamError::Decompress(error) => error.into(),
            StreamError::RecordTooLarge { bytes_max, .. } => {
                Self::ExpandsTooFar { bytes_max: bytes_max as u64 }
            }
        }
    }
}

/// One record that breaks the topic's rules. Small, since a batch may have very many; the text is
/// made when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The record's place in the batch, from 0.
    pub batch_index: i32,
    /// What is wrong with it.
    pub reason: RecordErrorReason,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordErrorReason {
    /// The topic is compacted, and the record has no key.
    NullKey,
    /// The timestamp is too far from the broker's clock.
    TimestampOutOfRange {
        /// The record's, ms.
        timestamp: i64,
    },
    /// The producer says that the broker has set the timestamps.
    LogAppendTime,
}

impl RecordError {
    fn is_of_timestamp(&self) -> bool {
        self.reason != RecordErrorReason::NullKey
    }

    /// The text for the producer. `rules` are those that the record was checked by.
    pub fn message(&self, rules: &ValidateRules) -> String {
        match self.reason {
            RecordErrorReason::NullKey => {
                "Compacted topic cannot accept message without key.".to_owned()
            }
            RecordErrorReason::TimestampOutOfRange { timestamp } => format!(
                "Timestamp {timestamp} of message with offset {} is out of range. The timestamp \
                 should be within [{}, {}]",
                self.batch_index,
                rules.now_ms.saturating_sub(rules.timestamp_before_max_ms),
                rules.now_ms.saturating_add(rules.timestamp_after_max_ms),
            ),
            RecordErrorReason::LogAppendTime => "Producer should not set timestamp type to \
                                                 LogAppendTime."
                .to_owned(),
        }
    }
}
