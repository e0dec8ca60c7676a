//! CreatePartitions: more partitions for topics.

use std::sync::Arc;

use ottla_metadata::controller::MorePartitions;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: CreatePartitionsRequest<'_> = call.body()?;
    check_count(request.topics.len(), ITEMS_MAX)?;
    let asked: Vec<MorePartitions<'_>> = request
        .topics
        .iter()
        .map(|topic| MorePartitions {
            name: topic.name,
            count: topic.count,
            assignments: topic.assignments.as_ref().map(|assignments| {
                assignments.iter().map(|assignment| assignment.broker_ids.clone()).collect()
            }),
        })
        .collect();
    let created = node.create_partitions(&asked, request.validate_only);
    let results = created.iter().map(|(name, result)| CreatePartitionsTopicResult {
        name,
        error_code: result.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code),
        error_message: result.as_ref().err().map(|refused| &*refused.message),
    });
    call.answer(&CreatePartitionsResponse { results: results.collect(), ..Default::default() })
}
