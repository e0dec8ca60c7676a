//! OffsetCommit.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::offset::{OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::records;
use crate::context::{Caller, Context, TopicFacts};
use crate::effects::{Effects, Then, Write};
use crate::group::state::CommitFence;
use crate::group::{Group, GroupShard};
use crate::record::Record;

/// The first version that names topics by their ids.
const TOPIC_IDS: i16 = 10;
/// The first version that has a code for a group that does not exist.
const HAS_NOT_FOUND: i16 = 9;

/// No batch can be longer than this: what would be is not even put together. A request with a long
/// group id may ask for records of many thousand times its own length.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// A topic that a request names, as far as it is known.
struct Asked<'a> {
    /// Its name, where the request has only the id.
    name: Option<&'a str>,
    facts: Option<TopicFacts>,
}

impl GroupShard {
    /// Answers OffsetCommit.
    ///
    /// Partitions that do not exist are told so and left out; if none are left, the group is not
    /// looked at. What the group objects to fails all that are left; metadata that is too long
    /// fails its own partition.
    pub fn commit_offsets<'r>(
        &mut self,
        request: &OffsetCommitRequest<'r>,
        caller: &Caller<'_>,
        cx: &Context<'_>,
    ) -> Effects<OffsetCommitResponse<'r>> {
        let by_id = caller.version >= TOPIC_IDS;
        let asked: Vec<_> = request.topics.iter().map(|topic| ask(topic, by_id, cx)).collect();
        let exists = |asked: &Asked, partition: i32| {
            asked.facts.is_some_and(|facts| (0..facts.partition_count).contains(&partition))
        };
        let any_exists = asked.iter().zip(&request.topics).any(|(asked, topic)| {
            topic.partitions.iter().any(|partition| exists(asked, partition.partition_index))
        });
        let planned = if any_exists {
            self.plan_commit(request, &asked, caller.version, cx)
        } else {
            Ok(Vec::new())
        };
        let group_error = planned.as_ref().err().copied();
        let topics = asked.iter().zip(&request.topics).map(|(asked, topic)| {
            let unknown = match asked.facts {
                None if by_id => ErrorCode::UNKNOWN_TOPIC_ID,
                _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            let partitions = topic.partitions.iter().map(|partition| {
                let error_code = if !exists(asked, partition.partition_index) {
                    unknown
                } else if let Some(error) = group_error {
                    error
                } else if self.is_too_long(partition.committed_metadata) {
                    ErrorCode::OFFSET_METADATA_TOO_LARGE
                } else {
                    ErrorCode::NONE
                };
                OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code,
                }
            });
            OffsetCommitResponseTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions: partitions.collect(),
            }
        });
        let response = OffsetCommitResponse { throttle_time_ms: 0, topics: topics.collect() };
        let records = planned.unwrap_or_default();
        let write = (!records.is_empty()).then_some(Write { records, then: Then::Replay });
        if group_error.is_none() && any_exists {
            self.touch_classic_member(request.group_id, request.member_id, cx);
        }
        Effects { write, response, answers: Vec::new() }
    }

    /// The records of a commit, or the error of all its partitions that exist.
    fn plan_commit(
        &self,
        request: &OffsetCommitRequest<'_>,
        asked: &[Asked],
        version: i16,
        cx: &Context<'_>,
    ) -> Result<Vec<Record>, ErrorCode> {
        if self.foreign.contains(request.group_id) {
            return Err(ErrorCode::GROUP_ID_NOT_FOUND);
        }
        let fence = CommitFence {
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation_or_epoch: request.generation_id_or_member_epoch,
            version,
        };
        let group = self.groups.get(request.group_id).map(Group::state);
        match group {
            Some(group) => group.check_commit(&fence)?,
            // Whoever is in no group needs none: admin tools, and consumers that assign partitions
            // to themselves.
            None if request.generation_id_or_member_epoch < 0 => {}
            None if version >= HAS_NOT_FOUND => return Err(ErrorCode::GROUP_ID_NOT_FOUND),
            None => return Err(ErrorCode::ILLEGAL_GENERATION),
        }
        let expire_timestamp = match request.retention_time_ms {
            -1 => -1,
            retention_ms => cx.now.wall_ms.saturating_add(retention_ms),
        };
        let mut records = Vec::new();
        let mut bytes_left = BATCH_BYTES_MAX;
        for (asked, topic) in asked.iter().zip(&request.topics) {
            let Some(facts) = asked.facts else { continue };
            for partition in &topic.partitions {
                let index = partition.partition_index;
                let is_there = (0..facts.partition_count).contains(&index);
                if !is_there || self.is_too_long(partition.committed_metadata) {
                    continue;
                }
                if let Some(group) = group {
                    group.check_commit_partition(&fence, facts.id, index)?;
                }
                let key = OffsetCommitKey {
                    group: request.group_id,
                    topic: asked.name.unwrap_or(topic.name),
                    partition: index,
                };
                let value = OffsetCommitValue {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.unwrap_or(""),
                    commit_timestamp: cx.now.wall_ms,
                    expire_timestamp,
                    topic_id: facts.id,
                };
                // A group's id may be longer than a key has room for.
                let record =
                    records::commit(key, &value).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
                bytes_left = bytes_left
                    .checked_sub(record.size_bytes())
                    .ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
                records.push(record);
            }
        }
        Ok(records)
    }

    /// Kafka counts what Java calls a string's length, in spite of the setting's name.
    fn is_too_long(&self, metadata: Option<&str>) -> bool {
        let limit = self.config.offset_metadata_max_bytes;
        metadata.is_some_and(|metadata| {
            metadata.len() > limit && metadata.encode_utf16().count() > limit
        })
    }
}

fn ask<'a>(topic: &OffsetCommitRequestTopic<'_>, by_id: bool, cx: &Context<'a>) -> Asked<'a> {
    if !by_id {
        return Asked { name: None, facts: cx.cluster.topic(topic.name) };
    }
    let name = cx.cluster.topic_name(topic.topic_id);
    let facts = name
        .and_then(|name| cx.cluster.topic(name))
        .filter(|facts| facts.id == topic.topic_id && facts.id != Uuid::ZERO);
    Asked { name, facts }
}
