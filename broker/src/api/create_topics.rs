//! CreateTopics: through the controller into the metadata log, and onto the disk before the answer.

use std::sync::Arc;

use ottla_metadata::controller::{
    CreateTopics, CreatedTopic, NewTopic, Refused, ReplicaAssignment,
};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::config::describe::{self, Entry};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: CreateTopicsRequest<'_> = call.body()?;
    check_count(request.topics.len(), ITEMS_MAX)?;
    let asked = CreateTopics {
        topics: request.topics.iter().map(new_topic).collect(),
        validate_only: request.validate_only,
    };
    let created = node.create_topics(&asked);
    let shown: Vec<Option<Vec<Entry>>> =
        created.iter().map(|(_, result)| result.as_ref().ok().map(|t| configs(node, t))).collect();
    let topics = created.iter().zip(&shown).map(|((name, result), configs)| match result {
        Ok(topic) => CreatableTopicResult {
            name,
            topic_id: topic.id,
            error_code: ErrorCode::NONE,
            error_message: None,
            num_partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
            configs: configs.as_ref().map(|entries| entries.iter().map(shown_config).collect()),
            ..Default::default()
        },
        Err(Refused { code, message }) => CreatableTopicResult {
            name,
            error_code: *code,
            error_message: Some(message),
            ..Default::default()
        },
    });
    call.answer(&CreateTopicsResponse { topics: topics.collect(), ..Default::default() })
}

fn new_topic<'a>(topic: &CreatableTopic<'a>) -> NewTopic<'a> {
    NewTopic {
        name: topic.name,
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| ReplicaAssignment {
                partition_index: assignment.partition_index,
                broker_ids: assignment.broker_ids.clone(),
            })
            .collect(),
        configs: topic.configs.iter().map(|config| (config.name, config.value)).collect(),
    }
}

fn configs(node: &Node, topic: &CreatedTopic) -> Vec<Entry> {
    node.with_layers(|layers| describe::topic(layers, &topic.configs))
}

fn shown_config(entry: &Entry) -> CreatableTopicConfigs<'_> {
    CreatableTopicConfigs {
        name: &entry.name,
        value: entry.value.as_deref(),
        read_only: entry.is_read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
    }
}
