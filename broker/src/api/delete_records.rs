//! DeleteRecords: the log start moves up; whole segments below it go later.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use ottla_storage::log::LogStartError;

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::errors;
use crate::node::Node;
use crate::topics::Topic;

/// The offset that stands for the high watermark.
const ALL: i64 = -1;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DeleteRecordsRequest<'_> = call.body()?;
    check_count(request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum(), ITEMS_MAX)?;
    // A partition that is named twice is answered once, for its last offset, as in Kafka.
    let mut asked: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let offsets = asked.entry(topic.name).or_default();
            offsets.insert(partition.partition_index, partition.offset);
        }
    }
    let topics = asked.into_iter().map(|(name, offsets)| {
        let topic = node.topics.by_name(name);
        let partitions = offsets.into_iter().map(|(partition_index, offset)| {
            match delete(topic.as_deref(), partition_index, offset) {
                Ok(low_watermark) => DeleteRecordsPartitionResult {
                    partition_index,
                    low_watermark,
                    error_code: ErrorCode::NONE,
                },
                Err(error_code) => {
                    DeleteRecordsPartitionResult { partition_index, low_watermark: -1, error_code }
                }
            }
        });
        DeleteRecordsTopicResult { name, partitions: partitions.collect() }
    });
    call.answer(&DeleteRecordsResponse { topics: topics.collect(), ..Default::default() })
}

/// Deletes the records below an offset; the log start that is then in force.
fn delete(topic: Option<&Topic>, index: i32, offset: i64) -> Result<i64, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(index)?;
    if topic.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let settings = partition.settings.load();
    // A topic with no policy at all is in nobody else's care: its records go when they are told to.
    if settings.log.cleanup_compact && !settings.log.cleanup_delete {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let offset = if offset == ALL { partition.log.offsets().high_watermark } else { offset };
    if offset < 0 {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    partition.log.advance_log_start(offset).map_err(|error| match error {
        LogStartError::AboveHighWatermark(_) => ErrorCode::OFFSET_OUT_OF_RANGE,
        LogStartError::Storage(error) => errors::of_storage(&error),
    })?;
    Ok(partition.log.offsets().log_start_offset)
}
