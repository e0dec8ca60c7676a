//! DescribeQuorum: who votes on the metadata log, and how far each is. Here that is this node.

use std::sync::Arc;

use ottla_metadata::METADATA_TOPIC_NAME;
use ottla_metadata::image::Image;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node as QuorumNode, ReplicaState,
    ResponsePartitionData, ResponseTopicData, TopicData,
};
use ottla_protocol::uuid::Uuid;

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeQuorumRequest<'_> = call.body()?;
    check_count(request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum(), ITEMS_MAX)?;
    // Whoever asks for more than the one partition that there is gets nothing of it, as in Kafka.
    let is_known = match &request.topics[..] {
        [topic] => topic.topic_name == METADATA_TOPIC_NAME && numbers(topic).eq([0]),
        _ => false,
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = numbers(topic).map(|partition_index| match is_known {
            true => quorum(node),
            false => ResponsePartitionData {
                partition_index,
                error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                error_message: Some("This server does not host this topic-partition."),
                ..Default::default()
            },
        });
        ResponseTopicData { topic_name: topic.topic_name, partitions: partitions.collect() }
    });
    let image = node.cluster.image();
    let nodes = if is_known && call.version() >= 2 { voters(node, &image) } else { vec![] };
    call.answer(&DescribeQuorumResponse { topics: topics.collect(), nodes, ..Default::default() })
}

fn numbers(topic: &TopicData<'_>) -> impl Iterator<Item = i32> {
    topic.partitions.iter().map(|partition| partition.partition_index)
}

fn quorum(node: &Node) -> ResponsePartitionData<'static> {
    let position = node.cluster.position();
    let now_ms = node.clock.now_ms();
    let voter = ReplicaState {
        replica_id: node.config.node_id,
        // The one voter is a static one, of which no directory is known.
        replica_directory_id: Uuid::ZERO,
        log_end_offset: position.end_offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    ResponsePartitionData {
        partition_index: 0,
        leader_id: node.config.node_id,
        leader_epoch: position.epoch,
        high_watermark: position.end_offset,
        current_voters: vec![voter],
        ..Default::default()
    }
}

fn voters<'a>(node: &Node, image: &'a Image) -> Vec<QuorumNode<'a>> {
    let Some(controller) = image.controllers().get(&node.config.node_id) else { return vec![] };
    let listeners = controller.endpoints.iter().map(|endpoint| Listener {
        name: &endpoint.name,
        host: &endpoint.host,
        port: endpoint.port,
    });
    vec![QuorumNode { node_id: controller.id, listeners: listeners.collect() }]
}
