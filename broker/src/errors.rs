//! The one place where the layers' errors become Kafka's codes.

use ottla_protocol::error_code::ErrorCode;
use ottla_storage::error::{StorageError, StorageErrorKind};
use ottla_storage::log::{AppendError, ReadError};
use ottla_storage::producer_state::ProducerError;
use ottla_storage::validate::ErrorClass;

use crate::fetch_session::SessionError;

/// What a refused record set is answered with.
pub(crate) fn of_refusal(class: ErrorClass) -> ErrorCode {
    match class {
        ErrorClass::CorruptMessage => ErrorCode::CORRUPT_MESSAGE,
        ErrorClass::MessageTooLarge => ErrorCode::MESSAGE_TOO_LARGE,
        ErrorClass::InvalidTimestamp => ErrorCode::INVALID_TIMESTAMP,
        ErrorClass::UnsupportedCompressionType => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        ErrorClass::InvalidRecord => ErrorCode::INVALID_RECORD,
        ErrorClass::UnknownServerError => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// What a failed disk, or a log that is gone, is answered with.
pub(crate) fn of_storage(error: &StorageError) -> ErrorCode {
    match error.kind() {
        // A full disk or no descriptors may pass: the code makes clients try again.
        StorageErrorKind::Offline | StorageErrorKind::Full | StorageErrorKind::Exhausted => {
            ErrorCode::KAFKA_STORAGE_ERROR
        }
        StorageErrorKind::Closed => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        StorageErrorKind::Corrupt => ErrorCode::CORRUPT_MESSAGE,
    }
}

/// What a producer is told whose batch does not follow its last one.
fn of_producer(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        ProducerError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ProducerError::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
        ProducerError::TransactionCoordinatorFenced { .. } => {
            ErrorCode::TRANSACTION_COORDINATOR_FENCED
        }
    }
}

/// What a failed append is answered with.
pub(crate) fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::RecordListTooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        AppendError::Producer(refusal) => of_producer(refusal),
        AppendError::Storage(error) => of_storage(error),
        AppendError::UnexpectedOffset { .. } | AppendError::Batch(_) | AppendError::Empty => {
            ErrorCode::CORRUPT_MESSAGE
        }
    }
}

/// What a failed read is answered with.
pub(crate) fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        ReadError::Storage(error) => of_storage(error),
    }
}

/// What a fetch that does not fit its session is answered with.
pub(crate) fn of_session(error: SessionError) -> ErrorCode {
    match error {
        SessionError::NotFound => ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
        SessionError::InvalidEpoch => ErrorCode::INVALID_FETCH_SESSION_EPOCH,
        SessionError::TopicIdMismatch => ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR,
    }
}
