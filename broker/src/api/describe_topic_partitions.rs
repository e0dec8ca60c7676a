//! DescribeTopicPartitions: partitions of topics, in pages (KIP-966).

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_metadata::image::{Image, NO_LEADER, Partition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::{Node, TOPIC_OPERATIONS};
use crate::topics::{Topic as Served, is_internal};

/// What is left to fill of a page.
struct Page<'a> {
    node: &'a Node,
    image: &'a Image,
    left: usize,
    next_cursor: Option<Cursor<'a>>,
}

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeTopicPartitionsRequest<'_> = call.body()?;
    check_count(request.topics.len(), ITEMS_MAX)?;
    let image = node.cluster.image();
    let asked: BTreeSet<&str> = if request.topics.is_empty() {
        image.topics().iter().map(|topic| &*topic.name).collect()
    } else {
        request.topics.iter().map(|topic| topic.name).collect()
    };
    let (first_topic, first_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name, cursor.partition_index),
        None => ("", 0),
    };
    let is_listed = request.topics.is_empty() || asked.contains(first_topic);
    if request.cursor.is_some() && (!is_listed || first_partition < 0) {
        return refuse(call, &request);
    }
    let limit = node.config.requests.max_request_partition_size_limit;
    let wanted = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut page = Page { node, image: &image, left: wanted.min(limit).max(1), next_cursor: None };
    let mut topics = Vec::new();
    for name in asked.range(first_topic..) {
        let from = if *name == first_topic { first_partition } else { 0 };
        if page.left == 0 {
            page.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        topics.push(page.topic(name, from));
        if page.next_cursor.is_some() {
            break;
        }
    }
    let next_cursor = page.next_cursor;
    call.answer(&DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() })
}

fn refuse(
    call: &Call<'_>,
    request: &DescribeTopicPartitionsRequest<'_>,
) -> Result<Outcome, Unanswerable> {
    let topics = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::INVALID_REQUEST,
        name: Some(topic.name),
        ..Default::default()
    });
    call.answer(&DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() })
}

impl<'a> Page<'a> {
    fn topic(&mut self, name: &'a str, from: i32) -> DescribeTopicPartitionsResponseTopic<'a> {
        let Some(topic) = self.image.topics().by_name(name) else {
            let is_valid = ottla_metadata::controller::check_topic_name(name).is_ok();
            return DescribeTopicPartitionsResponseTopic {
                error_code: if is_valid {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else {
                    ErrorCode::INVALID_TOPIC_EXCEPTION
                },
                name: Some(name),
                is_internal: is_internal(name),
                ..Default::default()
            };
        };
        let served = self.node.topics.by_id(topic.id);
        let mut partitions = Vec::new();
        for (index, partition) in topic.partitions.iter_from(&from) {
            if self.left == 0 {
                self.next_cursor = Some(Cursor { topic_name: name, partition_index: *index });
                break;
            }
            self.left -= 1;
            partitions.push(self.partition(served.as_deref(), *index, partition));
        }
        DescribeTopicPartitionsResponseTopic {
            name: Some(name),
            topic_id: topic.id,
            is_internal: is_internal(name),
            partitions,
            topic_authorized_operations: TOPIC_OPERATIONS,
            ..Default::default()
        }
    }

    fn partition(
        &self,
        served: Option<&Served>,
        partition_index: i32,
        partition: &Partition,
    ) -> DescribeTopicPartitionsResponsePartition {
        let leader = self.node.leader_of(partition);
        DescribeTopicPartitionsResponsePartition {
            error_code: leader.map_or(ErrorCode::LEADER_NOT_AVAILABLE, |_| ErrorCode::NONE),
            partition_index,
            leader_id: leader.unwrap_or(NO_LEADER),
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            eligible_leader_replicas: Some(partition.elr.clone()),
            last_known_elr: Some(partition.last_known_elr.clone()),
            offline_replicas: self.node.offline_replicas(
                self.image,
                served,
                partition_index,
                partition,
            ),
        }
    }
}
