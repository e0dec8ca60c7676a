//! OffsetFetch: how far groups have come.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};

use super::{Call, Outcome, Unanswerable, check_count};
use crate::node::Node;

/// From this version on a request is about several groups.
const GROUPS_FROM: i16 = 8;
/// From this version on there is a place for an error of the whole group.
const ERRORS_FROM: i16 = 2;

/// An answer has some ten times as many bytes for a partition as the request has.
const PARTITIONS_MAX: usize = 1_000_000;
/// And what was committed with each offset, whatever its length.
const METADATA_BYTES_MAX: usize = 256 << 20;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let mut request: OffsetFetchRequest<'_> = call.body()?;
    let version = call.version();
    let mut groups = if version < GROUPS_FROM {
        vec![only_group(&request)]
    } else {
        std::mem::take(&mut request.groups)
    };
    check_count(groups.iter().map(partitions_asked).sum(), PARTITIONS_MAX)?;
    // All that a group has is told once.
    let mut whole = HashSet::new();
    groups.retain(|group| group.topics.is_some() || whole.insert(group.group_id));
    let ids: Vec<&str> = groups.iter().map(|group| group.group_id).collect();
    node.groups.look(node, &ids, |shards, context| {
        let fetched = groups.iter().zip(shards).map(|(group, shard)| match shard {
            Ok(shard) => shard.fetch_offsets(group, request.require_stable, version, context),
            Err(error_code) => OffsetFetchResponseGroup {
                group_id: group.group_id,
                error_code: *error_code,
                ..Default::default()
            },
        });
        let mut fetched: Vec<_> = fetched.collect();
        if fetched.iter().map(metadata_bytes).sum::<usize>() > METADATA_BYTES_MAX {
            return Err(Unanswerable::TooLong { max: METADATA_BYTES_MAX });
        }
        if version >= GROUPS_FROM {
            return call.answer(&OffsetFetchResponse { groups: fetched, ..Default::default() });
        }
        let only = fetched.pop().unwrap_or_default();
        call.answer(&of_one_group(&request, only, version))
    })
}

/// How many partitions are asked for by their numbers.
fn partitions_asked(group: &OffsetFetchRequestGroup<'_>) -> usize {
    let topics = group.topics.iter().flatten();
    topics.map(|topic| topic.partition_indexes.len()).sum()
}

fn metadata_bytes(group: &OffsetFetchResponseGroup<'_>) -> usize {
    let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.metadata.map_or(0, str::len)).sum()
}

/// A request from before there were several groups, as one of today.
fn only_group<'a>(request: &OffsetFetchRequest<'a>) -> OffsetFetchRequestGroup<'a> {
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes.clone(),
            ..Default::default()
        });
        topics.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

fn of_one_group<'a>(
    request: &OffsetFetchRequest<'a>,
    group: OffsetFetchResponseGroup<'a>,
    version: i16,
) -> OffsetFetchResponse<'a> {
    let error_code = group.error_code;
    if error_code != ErrorCode::NONE && version < ERRORS_FROM {
        return OffsetFetchResponse { topics: refused(request, error_code), ..Default::default() };
    }
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code, ..Default::default() }
}

/// The same error for every partition.
fn refused<'a>(
    request: &OffsetFetchRequest<'a>,
    error_code: ErrorCode,
) -> Vec<OffsetFetchResponseTopic<'a>> {
    let topics = request.topics.iter().flatten().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| OffsetFetchResponsePartition {
                partition_index: *index,
                committed_offset: -1,
                error_code,
                ..Default::default()
            })
            .collect(),
    });
    topics.collect()
}
