//! ElectLeaders: the preferred leader back in place, or any leader at all.

use std::sync::Arc;

use ottla_metadata::controller::{self, ElectionType, Refused};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

/// Topics, and what became of each of their partitions.
type Elected = Vec<(String, Vec<(i32, Result<(), Refused>)>)>;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ElectLeadersRequest<'_> = call.body()?;
    let count = request.topic_partitions.iter().flatten().map(|topic| 1 + topic.partitions.len());
    check_count(count.sum(), ITEMS_MAX)?;
    let asked: Option<Vec<(&str, Vec<i32>)>> = request
        .topic_partitions
        .as_ref()
        .map(|topics| topics.iter().map(|topic| (topic.topic, topic.partitions.clone())).collect());
    let decided = match ElectionType::from_code(request.election_type) {
        Some(election_type) => elect(node, election_type, asked.as_deref()),
        // Kafka does not look at the type when there is nothing to elect.
        None if asked.as_ref().is_some_and(Vec::is_empty) => Ok(Vec::new()),
        None => Err(Refused::new(
            ErrorCode::INVALID_REQUEST,
            format!("Unknown election type {}", request.election_type),
        )),
    };
    let (error_code, elected) = match decided {
        Ok(elected) => (ErrorCode::NONE, elected),
        Err(refused) => (refused.code, refused_all(&refused, asked.unwrap_or_default())),
    };
    let results = elected.iter().map(|(topic, partitions)| {
        let partitions = partitions.iter().map(|(partition_id, result)| PartitionResult {
            partition_id: *partition_id,
            error_code: result.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code),
            error_message: result.as_ref().err().map(|refused| &*refused.message),
        });
        ReplicaElectionResult { topic, partition_result: partitions.collect() }
    });
    call.answer(&ElectLeadersResponse {
        error_code,
        replica_election_results: results.collect(),
        ..Default::default()
    })
}

fn elect(
    node: &Node,
    election_type: ElectionType,
    asked: Option<&[(&str, Vec<i32>)]>,
) -> Result<Elected, Refused> {
    node.change_partitions(|image| {
        let (records, elected) = controller::elect_leaders(image, election_type, asked);
        let owned = elected.into_iter().map(|(topic, results)| (topic.to_owned(), results));
        (records, owned.collect())
    })
}

fn refused_all(refused: &Refused, asked: Vec<(&str, Vec<i32>)>) -> Elected {
    let each = |partitions: Vec<i32>| {
        partitions.into_iter().map(|number| (number, Err(refused.clone()))).collect()
    };
    asked.into_iter().map(|(topic, partitions)| (topic.to_owned(), each(partitions))).collect()
}
