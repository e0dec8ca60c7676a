//! ListOffsets: the ends of a log, and offsets by timestamp.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use ottla_storage::log::TimestampQuery;

use super::{Call, Outcome, Unanswerable};
use crate::errors;
use crate::node::Node;
use crate::topics::{Partition, Topic};

/// The end, for the reader's isolation.
const LATEST: i64 = -1;
/// The log start.
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The first offset that is not only in tiered storage (KIP-405).
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in tiered storage (KIP-1005).
const LATEST_TIERED: i64 = -5;
/// The first offset that is not in tiered storage yet (KIP-1023).
const EARLIEST_PENDING_UPLOAD: i64 = -6;

const READ_COMMITTED: i8 = 1;
/// Tools that look at the log end instead of the high watermark.
const DEBUG_REPLICA: i32 = -2;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ListOffsetsRequest<'_> = call.body()?;
    let mut times_listed = HashMap::new();
    for topic in &request.topics {
        for asked in &topic.partitions {
            *times_listed.entry((topic.name, asked.partition_index)).or_insert(0_u32) += 1;
        }
    }
    let topics = request.topics.iter().map(|topic| {
        let found = node.topics.by_name(topic.name);
        let mut partitions: Vec<ListOffsetsPartitionResponse> = Vec::new();
        for asked in &topic.partitions {
            let index = asked.partition_index;
            // What is listed twice is told once: who comes first takes the count away.
            let result = match times_listed.remove(&(topic.name, index)) {
                None => continue,
                Some(1) => answer(node, found.as_deref(), asked, &request, call.version()),
                Some(_) => Err(ErrorCode::INVALID_REQUEST),
            };
            partitions.push(result.unwrap_or_else(|error_code| ListOffsetsPartitionResponse {
                partition_index: index,
                error_code,
                ..Default::default()
            }));
        }
        ListOffsetsTopicResponse { name: topic.name, partitions }
    });
    let topics: Vec<_> = topics.collect();
    call.answer(&ListOffsetsResponse { topics, ..Default::default() })
}

/// The version from which on clients may ask for a special timestamp.
fn known_from(timestamp: i64) -> Option<i16> {
    match timestamp {
        0.. | LATEST | EARLIEST => Some(0),
        MAX_TIMESTAMP => Some(7),
        EARLIEST_LOCAL => Some(8),
        LATEST_TIERED => Some(9),
        EARLIEST_PENDING_UPLOAD => Some(11),
        _ => None,
    }
}

fn answer(
    node: &Node,
    topic: Option<&Topic>,
    asked: &ListOffsetsPartition,
    request: &ListOffsetsRequest<'_>,
    version: i16,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    if known_from(asked.timestamp).is_none_or(|first| version < first) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(asked.partition_index)?;
    partition.check_epoch(asked.current_leader_epoch)?;
    let (offset, timestamp, leader_epoch) = find(node, partition, asked.timestamp, request)?;
    Ok(ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: ErrorCode::NONE,
        timestamp,
        offset,
        leader_epoch: if version >= 4 { leader_epoch } else { -1 },
    })
}

/// Offset, timestamp and leader epoch; -1 for what there is not.
fn find(
    node: &Node,
    partition: &Partition,
    timestamp: i64,
    request: &ListOffsetsRequest<'_>,
) -> Result<(i64, i64, i32), ErrorCode> {
    let log = &partition.log;
    let offsets = log.offsets();
    let end = match (request.isolation_level, request.replica_id) {
        (_, DEBUG_REPLICA) => offsets.log_end_offset,
        (READ_COMMITTED, _) => offsets.last_stable_offset,
        _ => offsets.high_watermark,
    };
    match timestamp {
        LATEST => Ok((end, -1, partition.leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = offsets.log_start_offset;
            Ok((start, -1, log.epoch_for_offset(start).unwrap_or(-1)))
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok((-1, -1, -1)),
        _ => {
            let query = match timestamp {
                MAX_TIMESTAMP => TimestampQuery::MaxTimestamp,
                at_least => TimestampQuery::At(at_least),
            };
            let found = log.offset_for_timestamp(query).map_err(|error| {
                let dir = log.dir().display();
                let what = format_args!("offset by timestamp in {dir}: {error}");
                node.failures.say(log::Level::Error, what);
                errors::of_storage(&error)
            })?;
            // The largest timestamp is told even below a log start that has moved past it.
            let found = found.filter(|found| timestamp < 0 || found.offset < end);
            Ok(found.map_or((-1, -1, -1), |found| {
                (found.offset, found.timestamp_ms, found.leader_epoch.unwrap_or(-1))
            }))
        }
    }
}
