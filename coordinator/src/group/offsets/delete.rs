//! OffsetDelete, and what becomes of offsets when topics are deleted.

use std::collections::{HashMap, HashSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::{Batches, Committed, GroupOffsets, records};
use crate::context::Context;
use crate::effects::{Effects, Then, Write};
use crate::group::{Group, GroupShard};

/// A topic that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedTopic<'a> {
    /// The name that it had.
    pub name: &'a str,
    /// Its id.
    pub id: Uuid,
}

impl GroupShard {
    /// Answers OffsetDelete. It is no error if there is no such offset.
    pub fn delete_offsets<'r>(
        &mut self,
        request: &OffsetDeleteRequest<'r>,
        cx: &Context<'_>,
    ) -> Effects<OffsetDeleteResponse<'r>> {
        let group = match self.group_to_delete_from(request.group_id) {
            Ok(group) => group.state(),
            Err(error_code) => {
                let response =
                    OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() };
                return Effects::response(response);
            }
        };
        let offsets = self.offsets.groups.get(request.group_id);
        let mut records = Vec::new();
        // A partition that is named again and again is deleted once.
        let mut deleted = HashSet::new();
        let topics = request.topics.iter().map(|topic| {
            let count = cx.cluster.topic(topic.name).map_or(0, |facts| facts.partition_count);
            let is_subscribed = group.is_subscribed_to(topic.name);
            let partitions = topic.partitions.iter().map(|partition| {
                let partition_index = partition.partition_index;
                let error_code = if !(0..count).contains(&partition_index) {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else if is_subscribed {
                    ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
                } else {
                    let place = self.offsets.place(topic.name, partition_index);
                    let has = |(offsets, place): (&GroupOffsets, _)| {
                        offsets.has(place) && deleted.insert(place)
                    };
                    if offsets.zip(place).is_some_and(has) {
                        let group_id = request.group_id;
                        records.push(records::tombstone(group_id, topic.name, partition_index));
                    }
                    ErrorCode::NONE
                };
                OffsetDeleteResponsePartition { partition_index, error_code }
            });
            OffsetDeleteResponseTopic { name: topic.name, partitions: partitions.collect() }
        });
        let topics = topics.collect();
        let write = (!records.is_empty()).then_some(Write { records, then: Then::Replay });
        let response = OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() };
        Effects { write, response, answers: Vec::new() }
    }

    /// Deletes the offsets of topics that are gone. A topic that has the same name by now keeps
    /// its own. The writes are to be made in their order.
    pub fn forget_topics(&mut self, topics: &[DeletedTopic<'_>], _: &Context<'_>) -> Vec<Effects> {
        let gone: HashMap<u32, Uuid> = topics
            .iter()
            .filter_map(|topic| Some((self.offsets.topics.find(topic.name)?, topic.id)))
            .collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let is_gone = |number: u32, committed: &Committed| {
            let id = self.offsets.topic_ids.value(committed.topic_id);
            gone.get(&number).is_some_and(|deleted| id.is_zero() || id == deleted)
        };
        let mut batches = Batches::default();
        for (group_id, offsets) in &self.offsets.groups {
            let committed = offsets.committed.iter();
            let pending = offsets
                .pending
                .iter()
                .flat_map(|(place, pending)| pending.iter().map(move |(_, it)| (place, it)));
            let mut places: Vec<_> = committed
                .chain(pending)
                .filter(|(place, committed)| is_gone(place.topic, committed))
                .map(|(place, _)| *place)
                .collect();
            places.sort_unstable();
            places.dedup();
            for place in places {
                let topic = self.offsets.topics.value(place.topic);
                batches.push(records::tombstone(group_id, topic, place.partition));
            }
        }
        batches.into_effects()
    }

    fn group_to_delete_from(&self, group_id: &str) -> Result<&Group, ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        let group = self.groups.get(group_id).filter(|_| !self.foreign.contains(group_id));
        let group = group.ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        group.state().check_delete_offsets()?;
        Ok(group)
    }
}

impl GroupOffsets {
    fn has(&self, place: super::Place) -> bool {
        self.committed.contains_key(&place) || self.pending.contains_key(&place)
    }
}
