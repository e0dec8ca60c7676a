//! Metadata: brokers, topics, partitions and their leaders; and topics made because asked for.

use std::sync::Arc;

use ottla_metadata::image::{Image, NO_LEADER, Topic};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::{Call, Outcome, Unanswerable, check_count};
use crate::node::{CLUSTER_OPERATIONS, Node, TOPIC_OPERATIONS};
use crate::topics::is_internal;

/// Before this version an empty list of topics asks for all of them.
const NULL_IS_ALL_FROM: i16 = 1;
/// From this version on a topic may be named by its id alone.
const IDS_FROM: i16 = 12;

/// Topics of one request. One that is not there takes a hundred times the bytes that ask for it.
const TOPICS_MAX: usize = 1_000_000;

/// A topic as it was asked for.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Name(&'a str),
    Id(Uuid),
}

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: MetadataRequest<'_> = call.body()?;
    let version = call.version();
    check_count(request.topics.as_ref().map_or(0, Vec::len), TOPICS_MAX)?;
    let topics = request
        .topics
        .as_deref()
        .filter(|topics| version >= NULL_IS_ALL_FROM || !topics.is_empty());
    let is_bad = |topic: &MetadataRequestTopic<'_>| {
        topic.name.is_none() && (version < IDS_FROM || topic.topic_id.is_zero())
            || version < IDS_FROM && !topic.topic_id.is_zero()
    };
    if let Some(topics) = topics
        && topics.iter().any(is_bad)
    {
        return refuse(call, topics);
    }
    if let Some(topics) = topics {
        let may_create =
            request.allow_auto_topic_creation && node.config.topics.auto_create_topics_enable;
        let by_id = topics.iter().any(|topic| !topic.topic_id.is_zero());
        if may_create && !by_id {
            let image = node.cluster.image();
            let missing: Vec<&str> = topics
                .iter()
                .filter_map(|topic| topic.name)
                .filter(|name| image.topics().by_name(name).is_none())
                .collect();
            node.auto_create(&missing);
        }
    }
    let image = node.cluster.image();
    let operations = |wanted: bool| if wanted { TOPIC_OPERATIONS } else { i32::MIN };
    let mut told: Vec<MetadataResponseTopic<'_>> = match topics {
        None => image.topics().iter().map(|topic| describe(node, &image, topic)).collect(),
        Some(topics) => asked(topics).into_iter().map(|asked| find(node, &image, asked)).collect(),
    };
    for topic in told.iter_mut().filter(|topic| topic.error_code == ErrorCode::NONE) {
        topic.topic_authorized_operations = operations(request.include_topic_authorized_operations);
    }
    let endpoint = node.endpoint_for(call.connection.listener);
    let cluster_operations =
        if request.include_cluster_authorized_operations { CLUSTER_OPERATIONS } else { i32::MIN };
    call.answer(&MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: node.config.node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: node.config.rack.as_deref(),
        }],
        cluster_id: Some(&node.cluster_id),
        controller_id: node.config.node_id,
        topics: told,
        cluster_authorized_operations: cluster_operations,
        ..Default::default()
    })
}

/// What is asked for, each once. One id makes it a request by ids, in which names alone are not
/// answered, as in Kafka.
fn asked<'a>(topics: &[MetadataRequestTopic<'a>]) -> Vec<Asked<'a>> {
    let by_id = topics.iter().any(|topic| !topic.topic_id.is_zero());
    let mut seen = std::collections::HashSet::new();
    topics
        .iter()
        .filter_map(|topic| match topic.name {
            _ if by_id && topic.topic_id.is_zero() => None,
            _ if by_id => Some(Asked::Id(topic.topic_id)),
            name => name.map(Asked::Name),
        })
        .filter(|asked| match asked {
            Asked::Name(name) => seen.insert((*name, Uuid::ZERO)),
            Asked::Id(id) => seen.insert(("", *id)),
        })
        .collect()
}

fn find<'a>(node: &Node, image: &'a Image, asked: Asked<'a>) -> MetadataResponseTopic<'a> {
    match asked {
        Asked::Name(name) => match image.topics().by_name(name) {
            Some(topic) => describe(node, image, topic),
            None => MetadataResponseTopic {
                error_code: if ottla_metadata::controller::check_topic_name(name).is_ok() {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else {
                    ErrorCode::INVALID_TOPIC_EXCEPTION
                },
                name: Some(name),
                is_internal: is_internal(name),
                ..Default::default()
            },
        },
        Asked::Id(topic_id) => match image.topics().by_id(topic_id) {
            Some(topic) => describe(node, image, topic),
            None => MetadataResponseTopic {
                error_code: ErrorCode::UNKNOWN_TOPIC_ID,
                name: None,
                topic_id,
                ..Default::default()
            },
        },
    }
}

fn describe<'a>(node: &Node, image: &Image, topic: &'a Topic) -> MetadataResponseTopic<'a> {
    let served = node.topics.by_id(topic.id);
    let served = served.as_deref();
    let partitions = topic.partitions.iter().map(|(index, partition)| {
        let leader = node.leader_of(partition);
        MetadataResponsePartition {
            error_code: leader.map_or(ErrorCode::LEADER_NOT_AVAILABLE, |_| ErrorCode::NONE),
            partition_index: *index,
            leader_id: leader.unwrap_or(NO_LEADER),
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            offline_replicas: node.offline_replicas(image, served, *index, partition),
        }
    });
    MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

/// The answer to a request that names a topic in no possible way: as Kafka words it, without
/// brokers and with an error for each topic.
fn refuse(call: &Call<'_>, topics: &[MetadataRequestTopic<'_>]) -> Result<Outcome, Unanswerable> {
    let error_code = if call.version() < IDS_FROM {
        ErrorCode::INVALID_REQUEST
    } else {
        ErrorCode::UNKNOWN_SERVER_ERROR
    };
    let topics = topics.iter().map(|topic| MetadataResponseTopic {
        error_code,
        name: Some(topic.name.unwrap_or("")),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    call.answer(&MetadataResponse { topics: topics.collect(), ..Default::default() })
}
