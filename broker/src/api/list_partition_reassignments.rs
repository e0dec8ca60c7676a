//! ListPartitionReassignments: the reassignments under way.

use std::sync::Arc;

use ottla_metadata::controller;
use ottla_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment, OngoingTopicReassignment,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ListPartitionReassignmentsRequest<'_> = call.body()?;
    let asked: Option<Vec<(&str, Vec<i32>)>> = request.topics.map(|topics| {
        topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
    });
    let image = node.cluster.image();
    let found = controller::list_partition_reassignments(&image, asked.as_deref());
    let topics = found.into_iter().map(|(name, reassignments)| {
        let partitions = reassignments.into_iter().map(|each| OngoingPartitionReassignment {
            partition_index: each.partition,
            replicas: each.state.replicas.clone(),
            adding_replicas: each.state.adding_replicas.clone(),
            removing_replicas: each.state.removing_replicas.clone(),
        });
        OngoingTopicReassignment { name, partitions: partitions.collect() }
    });
    call.answer(&ListPartitionReassignmentsResponse {
        error_message: None,
        topics: topics.collect(),
        ..Default::default()
    })
}
