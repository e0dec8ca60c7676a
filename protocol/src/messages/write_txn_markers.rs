//! WriteTxnMarkers: write the markers that end a transaction.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 27. Write the markers that end a transaction.
    struct WriteTxnMarkersRequest<'a> [1..=2, flexible (1..)] {
        /// One entry a marker.
        markers: Vec<WritableTxnMarker<'a>> [0..];
    }

    /// A marker to write.
    struct WritableTxnMarker<'a> {
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// The producer's epoch; -1 for none.
        producer_epoch: i16 [0..];
        /// Whether it is a commit; else an abort.
        transaction_result: bool [0..];
        /// One entry a topic.
        topics: Vec<WritableTxnMarkerTopic<'a>> [0..];
        /// The epoch of the transaction coordinator.
        coordinator_epoch: i32 [0..];
        /// The `transaction.version` of the transaction: 0, 1 or 2.
        transaction_version: i8 [2.., ignorable];
    }

    /// Partitions to write it to.
    struct WritableTxnMarkerTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partition_indexes: Vec<i32> [0..];
    }

    /// The answer to [`WriteTxnMarkersRequest`].
    struct WriteTxnMarkersResponse<'a> [1..=2, flexible (1..)] {
        /// One entry a marker.
        markers: Vec<WritableTxnMarkerResult<'a>> [0..];
    }

    /// What became of a marker.
    struct WritableTxnMarkerResult<'a> {
        /// The producer's id; -1 for none.
        producer_id: i64 [0..];
        /// One entry a topic.
        topics: Vec<WritableTxnMarkerTopicResult<'a>> [0..];
    }

    /// What became of a topic.
    struct WritableTxnMarkerTopicResult<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<WritableTxnMarkerPartitionResult> [0..];
    }

    /// What became of a partition.
    struct WritableTxnMarkerPartitionResult {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
