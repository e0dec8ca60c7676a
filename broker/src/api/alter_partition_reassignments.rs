//! AlterPartitionReassignments: other replicas for partitions (KIP-455).

use std::sync::Arc;

use ottla_metadata::controller::{self, PartitionReassignment};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: AlterPartitionReassignmentsRequest<'_> = call.body()?;
    let count = request.topics.iter().map(|topic| 1 + topic.partitions.len());
    check_count(count.sum(), ITEMS_MAX)?;
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| PartitionReassignment {
            partition: partition.partition_index,
            replicas: partition.replicas.clone(),
        });
        (topic.name, partitions.collect())
    });
    let asked: Vec<(&str, Vec<PartitionReassignment>)> = topics.collect();
    let may_change = request.allow_replication_factor_change;
    let decided = node.change_partitions(|image| {
        controller::alter_partition_reassignments(image, &asked, may_change)
    });
    let answer = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: may_change,
        error_message: None,
        ..Default::default()
    };
    let altered = match &decided {
        Ok(altered) => altered,
        Err(refused) => {
            return call.answer(&AlterPartitionReassignmentsResponse {
                error_code: refused.code,
                error_message: Some(&refused.message),
                ..answer
            });
        }
    };
    let responses = altered.iter().map(|(name, results)| {
        let partitions = results.iter().map(|(number, result)| ReassignablePartitionResponse {
            partition_index: *number,
            error_code: result.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code),
            error_message: result.as_ref().err().map(|refused| &*refused.message),
        });
        ReassignableTopicResponse { name, partitions: partitions.collect() }
    });
    call.answer(&AlterPartitionReassignmentsResponse { responses: responses.collect(), ..answer })
}
