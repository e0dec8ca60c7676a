//! DescribeConfigs: what is set, where, and what holds.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_metadata::controller::check_topic_name;
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::config::Overrides;
use crate::config::describe::{self, Entry};
use crate::loggers;
use crate::node::Node;

/// Bytes of an answer, and about of the memory that it is put together in: each topic of a cluster
/// of many with all that is known of it, yet not the same broker over and over.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Bytes that an entry takes beside its texts, and so does a synonym.
const ENTRY_BYTES: usize = 64;

type Described = Result<Vec<Entry>, (ErrorCode, String)>;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeConfigsRequest<'_> = call.body()?;
    check_count(request.resources.len(), ITEMS_MAX)?;
    let mut described: Vec<Described> = Vec::with_capacity(request.resources.len());
    let mut bytes = 0;
    for resource in &request.resources {
        let mut entries = entries(node, resource);
        if let Ok(entries) = &mut entries {
            keep_wanted(entries, resource, &request);
            bytes += entries.iter().map(size).sum::<usize>();
        }
        described.push(entries);
        if bytes > ANSWER_BYTES_MAX {
            return Err(Unanswerable::TooLong { max: ANSWER_BYTES_MAX });
        }
    }
    let results = request.resources.iter().zip(&described).map(|(resource, described)| {
        let (error_code, error_message) = match described {
            Ok(_) => (ErrorCode::NONE, ""),
            Err((code, message)) => (*code, &**message),
        };
        DescribeConfigsResult {
            error_code,
            error_message: Some(error_message),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs: described.iter().flatten().map(told).collect(),
        }
    });
    call.answer(&DescribeConfigsResponse { results: results.collect(), ..Default::default() })
}

/// Leaves what is asked for: no keys, or a null list, ask for all.
fn keep_wanted(
    entries: &mut Vec<Entry>,
    resource: &DescribeConfigsResource<'_>,
    request: &DescribeConfigsRequest<'_>,
) {
    if let Some(keys @ [_, ..]) = resource.configuration_keys.as_deref() {
        let keys: HashSet<&str> = keys.iter().copied().collect();
        entries.retain(|entry| keys.contains(&*entry.name));
    }
    for entry in entries {
        if !request.include_synonyms {
            entry.synonyms = Vec::new();
        }
        entry.doc = entry.doc.filter(|_| request.include_documentation);
    }
}

/// About how many bytes of an answer an entry takes.
fn size(entry: &Entry) -> usize {
    let text = |name: &str, value: &Option<String>| {
        ENTRY_BYTES + name.len() + value.as_ref().map_or(0, String::len)
    };
    let synonyms = entry.synonyms.iter().map(|synonym| text(&synonym.name, &synonym.value));
    text(&entry.name, &entry.value) + entry.doc.map_or(0, str::len) + synonyms.sum::<usize>()
}

fn told(entry: &Entry) -> DescribeConfigsResourceResult<'_> {
    let synonyms = entry.synonyms.iter().map(|synonym| DescribeConfigsSynonym {
        name: &synonym.name,
        value: synonym.value.as_deref(),
        source: synonym.source.code(),
    });
    DescribeConfigsResourceResult {
        name: &entry.name,
        value: entry.value.as_deref(),
        read_only: entry.is_read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms.collect(),
        config_type: entry.kind.map_or(0, |kind| kind.code()),
        documentation: entry.doc,
    }
}

fn entries(node: &Node, resource: &DescribeConfigsResource<'_>) -> Described {
    let name = resource.resource_name;
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => topic(node, name),
        Some(ConfigResourceType::Broker) => broker(node, name),
        Some(ConfigResourceType::BrokerLogger) => {
            check_own(node, name, "Broker id must not be empty")?;
            let levels = loggers::LOGGERS.iter().map(|name| (*name, loggers::level_of(name)));
            Ok(describe::loggers(levels))
        }
        Some(ConfigResourceType::ClientMetrics) if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty")
        }
        Some(kind @ ConfigResourceType::ClientMetrics) => {
            Ok(describe::client_metrics(&overrides(node, kind, name)))
        }
        Some(ConfigResourceType::Group) if name.is_empty() => {
            invalid("Group name must not be empty")
        }
        Some(kind @ ConfigResourceType::Group) => {
            let set = overrides(node, kind, name);
            Ok(node.with_layers(|layers| describe::group(layers, &set)))
        }
        None => invalid(format!("Unsupported resource type: {}", resource.resource_type)),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, (ErrorCode, String)> {
    Err((ErrorCode::INVALID_REQUEST, message.into()))
}

/// Each broker describes itself.
fn check_own(node: &Node, name: &str, empty: &str) -> Result<(), (ErrorCode, String)> {
    let expected = node.config.node_id;
    match name.parse::<i32>() {
        _ if name.is_empty() => invalid(empty),
        Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
        Ok(id) if id == expected => Ok(()),
        Ok(id) => invalid(format!(
            "Unexpected broker id, expected {expected} or empty string, but received {id}"
        )),
    }
}

fn overrides(node: &Node, kind: ConfigResourceType, name: &str) -> Overrides {
    node.cluster.image().configs().get(kind, name).cloned().unwrap_or_default()
}

fn topic(node: &Node, name: &str) -> Described {
    check_topic_name(name).map_err(|refused| (refused.code, refused.message))?;
    if node.cluster.image().topics().by_name(name).is_none() {
        return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
    }
    let set = overrides(node, ConfigResourceType::Topic, name);
    Ok(node.with_layers(|layers| describe::topic(layers, &set)))
}

fn broker(node: &Node, name: &str) -> Described {
    if name.is_empty() {
        return Ok(describe::broker_default(&overrides(node, ConfigResourceType::Broker, "")));
    }
    check_own(node, name, "")?;
    Ok(node.with_layers(describe::broker))
}
