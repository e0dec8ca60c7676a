//! OffsetFetch.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_protocol::uuid::Uuid;

use super::{Committed, GroupOffsets, Place};
use crate::context::Context;
use crate::group::{Group, GroupShard};

/// The first version that names topics by their ids.
const TOPIC_IDS: i16 = 10;

impl GroupShard {
    /// Answers OffsetFetch for one group, at this version of the request (versions before 8 have
    /// the same fields elsewhere).
    ///
    /// With `require_stable`, an offset that an open transaction may change is answered with
    /// UNSTABLE_OFFSET_COMMIT. A group that does not exist has no offsets, which is no error.
    pub fn fetch_offsets<'s>(
        &'s self,
        request: &OffsetFetchRequestGroup<'s>,
        require_stable: bool,
        version: i16,
        cx: &Context<'s>,
    ) -> OffsetFetchResponseGroup<'s> {
        let answer = |topics, error_code| OffsetFetchResponseGroup {
            group_id: request.group_id,
            topics,
            error_code,
        };
        let mut offsets = None;
        if let Some(group) = self.groups.get(request.group_id).map(Group::state) {
            if let Err(error) = group.check_fetch(request.member_id, request.member_epoch) {
                return answer(Vec::new(), error);
            }
            offsets = self.offsets.groups.get(request.group_id);
        }
        let by_id = version >= TOPIC_IDS;
        let topics = match &request.topics {
            Some(topics) => {
                let answer = |topic| self.fetch_topic(topic, offsets, require_stable, by_id, cx);
                topics.iter().map(answer).collect()
            }
            None => match offsets {
                Some(offsets) => self.fetch_all(offsets, require_stable, by_id, cx),
                None => Vec::new(),
            },
        };
        answer(topics, ErrorCode::NONE)
    }

    fn fetch_topic<'s>(
        &'s self,
        topic: &OffsetFetchRequestTopics<'s>,
        offsets: Option<&'s GroupOffsets>,
        require_stable: bool,
        by_id: bool,
        cx: &Context<'_>,
    ) -> OffsetFetchResponseTopics<'s> {
        let name = by_id.then(|| cx.cluster.topic_name(topic.topic_id));
        let is_unknown = matches!(name, Some(None));
        let number = match name {
            Some(name) => name.and_then(|name| self.offsets.topics.find(name)),
            None => self.offsets.topics.find(topic.name),
        };
        let partitions = topic.partition_indexes.iter().map(|&partition| {
            if is_unknown {
                return none(partition, ErrorCode::UNKNOWN_TOPIC_ID);
            }
            let place = number.map(|topic| Place { topic, partition });
            let Some((offsets, place)) = offsets.zip(place) else {
                return none(partition, ErrorCode::NONE);
            };
            if require_stable && offsets.pending.contains_key(&place) {
                return none(partition, ErrorCode::UNSTABLE_OFFSET_COMMIT);
            }
            match offsets.committed.get(&place) {
                // An offset of a deleted topic means nothing in another of the same name.
                Some(committed) if by_id && self.is_of_another(committed, topic.topic_id) => {
                    none(partition, ErrorCode::NONE)
                }
                Some(committed) => some(partition, committed),
                None => none(partition, ErrorCode::NONE),
            }
        });
        OffsetFetchResponseTopics {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    }

    /// All offsets of a group, by topic and partition. With ids, topics that do not exist any more
    /// are left out.
    fn fetch_all<'s>(
        &'s self,
        offsets: &'s GroupOffsets,
        require_stable: bool,
        by_id: bool,
        cx: &Context<'_>,
    ) -> Vec<OffsetFetchResponseTopics<'s>> {
        let mut places: Vec<_> = offsets.committed.iter().collect();
        places.sort_unstable_by_key(|(place, _)| **place);
        let mut topics = Vec::new();
        for of_topic in places.chunk_by(|(one, _), (next, _)| one.topic == next.topic) {
            let name = &**self.offsets.topics.value(of_topic[0].0.topic);
            let topic_id = match by_id.then(|| cx.cluster.topic(name)) {
                None => Uuid::ZERO,
                Some(None) => continue,
                Some(Some(facts)) => facts.id,
            };
            let partitions = of_topic.iter().map(|(place, committed)| {
                if require_stable && offsets.pending.contains_key(place) {
                    none(place.partition, ErrorCode::UNSTABLE_OFFSET_COMMIT)
                } else {
                    some(place.partition, committed)
                }
            });
            let partitions = partitions.collect();
            topics.push(OffsetFetchResponseTopics { name, topic_id, partitions });
        }
        topics.sort_unstable_by_key(|topic| topic.name);
        topics
    }

    fn is_of_another(&self, committed: &Committed, topic_id: Uuid) -> bool {
        let of = *self.offsets.topic_ids.value(committed.topic_id);
        !of.is_zero() && of != topic_id
    }
}

fn some(partition: i32, committed: &Committed) -> OffsetFetchResponsePartitions<'_> {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: committed.offset,
        committed_leader_epoch: committed.leader_epoch,
        metadata: Some(committed.metadata()),
        error_code: ErrorCode::NONE,
    }
}

fn none(partition: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions<'static> {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(""),
        error_code,
    }
}
