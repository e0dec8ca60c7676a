//! DeleteTopics: by name or by id. The records go at once, the files a while later.

use std::sync::Arc;

use ottla_metadata::controller::TopicToDelete;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::uuid::Uuid;

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

/// From this version on topics can be named by id.
const IDS_FROM: i16 = 6;
/// From this version on there is a code of its own for a broker that deletes nothing.
const DISABLED_FROM: i16 = 3;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DeleteTopicsRequest<'_> = call.body()?;
    check_count(request.topics.len() + request.topic_names.len(), ITEMS_MAX)?;
    let asked: Vec<TopicToDelete<'_>> = if call.version() >= IDS_FROM {
        let topics = request.topics.iter();
        topics.map(|topic| TopicToDelete { name: topic.name, id: topic.topic_id }).collect()
    } else {
        let names = request.topic_names.iter();
        names.map(|name| TopicToDelete { name: Some(name), id: Uuid::ZERO }).collect()
    };
    if !node.config.topics.delete_topic_enable {
        let error_code = if call.version() >= DISABLED_FROM {
            ErrorCode::TOPIC_DELETION_DISABLED
        } else {
            ErrorCode::INVALID_REQUEST
        };
        let responses = asked.iter().map(|topic| DeletableTopicResult {
            name: topic.name.or((call.version() < IDS_FROM).then_some("")),
            topic_id: topic.id,
            error_code,
            error_message: Some("Topic deletion is disabled."),
        });
        return call.answer(&DeleteTopicsResponse {
            responses: responses.collect(),
            ..Default::default()
        });
    }
    let deleted = node.delete_topics(&asked);
    let responses = deleted.iter().map(|topic| {
        let refused = topic.result.as_ref().err();
        DeletableTopicResult {
            name: topic.name.as_deref().or((call.version() < IDS_FROM).then_some("")),
            topic_id: topic.id,
            error_code: refused.map_or(ErrorCode::NONE, |refused| refused.code),
            error_message: refused.map(|refused| &*refused.message),
        }
    });
    call.answer(&DeleteTopicsResponse { responses: responses.collect(), ..Default::default() })
}
