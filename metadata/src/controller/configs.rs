//! Changing dynamic configs.

use super::{RECORDS_PER_REQUEST_MAX, Records, Refused, check_topic_name};
use crate::image::{ConfigEntries, ConfigResourceType, Image};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::config::ConfigRecord;
use ottla_protocol::metadata::topic::ClearElrRecord;
use std::collections::{BTreeMap, BTreeSet};

/// The one key that the controller itself acts on: eligible leaders depend on it (KIP-966).
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// What is known of a config key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigKey {
    /// Whether its value is a list, so that it can be appended to and subtracted from.
    pub is_list: bool,
    /// The key's own default, from which a list is edited where nothing is set on the resource;
    /// `None` for null.
    pub default: Option<String>,
}

/// A resource's configs as they would be after a change.
#[derive(Clone, Copy, Debug)]
pub struct ConfigValidation<'a> {
    /// What kind of resource.
    pub resource_type: ConfigResourceType,
    /// Which one; for brokers the id, or empty for the default of all.
    pub resource_name: &'a str,
    /// All that would be set on it.
    pub entries: &'a ConfigEntries,
    /// The keys that the request names.
    pub changed: &'a [&'a str],
}

/// What keys there are and which values they take: given by the broker, which has the table.
pub trait ConfigRules {
    /// What is known of a key of such a resource; `None` when it is unknown.
    fn key(&self, resource_type: ConfigResourceType, key: &str) -> Option<ConfigKey>;

    /// Checks a change.
    ///
    /// # Errors
    /// INVALID_CONFIG for topics and groups; INVALID_REQUEST for brokers: a key that cannot change
    /// while the broker runs, a bad value, or a key of one broker set on the default of all.
    fn validate(&self, validation: &ConfigValidation<'_>) -> Result<(), Refused>;
}

/// One step of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigOperation<'a> {
    /// The key.
    pub key: &'a str,
    /// 0 sets, 1 deletes, 2 appends to a list, 3 subtracts from a list.
    pub operation: i8,
    /// The value; may be null to delete only.
    pub value: Option<&'a str>,
}

impl ConfigOperation<'_> {
    /// Sets the value.
    pub const SET: i8 = 0;
    /// Goes back to the default.
    pub const DELETE: i8 = 1;
    /// Adds to a list what is not in it yet.
    pub const APPEND: i8 = 2;
    /// Takes out of a list.
    pub const SUBTRACT: i8 = 3;
}

/// What shall change on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange<'a> {
    /// The number of the resource's type, see [`ConfigResourceType`].
    pub resource_type: i8,
    /// Which one.
    pub resource_name: &'a str,
    /// The steps.
    pub operations: Vec<ConfigOperation<'a>>,
}

/// Changes keys of resources and leaves the others alone. The answer has one entry a resource, in
/// the order of the request; a resource changes as a whole or not at all.
///
/// Refusals: INVALID_REQUEST (a resource or key given twice, a null value, an unknown type, the
/// levels of loggers, which are not the controller's), UNKNOWN_SERVER_ERROR for an operation that
/// does not exist (of a broker INVALID_REQUEST), INVALID_TOPIC_EXCEPTION,
/// UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG and what the rules say; POLICY_VIOLATION for all if
/// more than [`RECORDS_PER_REQUEST_MAX`] keys would change.
pub fn incremental_alter_configs(
    image: &Image,
    request: &[ConfigChange<'_>],
    validate_only: bool,
    rules: &dyn ConfigRules,
) -> (Records, Vec<Result<(), Refused>>) {
    let change = |change: &ConfigChange<'_>, records: &mut Records| {
        let steps = change.operations.iter().copied();
        alter_one(image, change, &steps.collect::<Vec<_>>(), rules, records)
    };
    alter(request, validate_only, change)
}

/// Replaces all that is set on resources: keys that a resource has and the request does not name
/// are deleted. The request's operations must all be [`ConfigOperation::SET`].
///
/// Refused as in [`incremental_alter_configs`].
pub fn alter_configs(
    image: &Image,
    request: &[ConfigChange<'_>],
    validate_only: bool,
    rules: &dyn ConfigRules,
) -> (Records, Vec<Result<(), Refused>>) {
    let change = |change: &ConfigChange<'_>, records: &mut Records| {
        let resource_type = ConfigResourceType::from_code(change.resource_type);
        let current = resource_type.and_then(|t| image.configs().get(t, change.resource_name));
        let named: BTreeSet<&str> = change.operations.iter().map(|step| step.key).collect();
        let left_out = current.into_iter().flatten().map(|(key, _)| &**key);
        let deletes = left_out.filter(|key| !named.contains(key)).map(|key| ConfigOperation {
            key,
            operation: ConfigOperation::DELETE,
            value: None,
        });
        let steps: Vec<_> = change.operations.iter().copied().chain(deletes).collect();
        alter_one(image, change, &steps, rules, records)
    };
    alter(request, validate_only, change)
}

fn alter<'a>(
    request: &[ConfigChange<'a>],
    validate_only: bool,
    change: impl Fn(&ConfigChange<'a>, &mut Records) -> Result<(), Refused>,
) -> (Records, Vec<Result<(), Refused>>) {
    let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for change in request {
        *times.entry((change.resource_type, change.resource_name)).or_default() += 1;
    }
    let mut records = Records::new();
    let mut answers = vec![];
    for item in request {
        let before = records.len();
        let result = if times[&(item.resource_type, item.resource_name)] > 1 {
            let message = "Each resource must appear at most once.";
            Err(Refused::new(ErrorCode::INVALID_REQUEST, message))
        } else {
            change(item, &mut records)
        };
        if result.is_err() {
            records.truncate(before);
        }
        answers.push(result);
    }
    if records.len() > RECORDS_PER_REQUEST_MAX {
        let message = "Unable to perform excessively large batch operation.";
        let refused = Refused::new(ErrorCode::POLICY_VIOLATION, message);
        return (Records::new(), request.iter().map(|_| Err(refused.clone())).collect());
    }
    if validate_only {
        records = Records::new();
    }
    (records, answers)
}

fn alter_one(
    image: &Image,
    change: &ConfigChange<'_>,
    steps: &[ConfigOperation<'_>],
    rules: &dyn ConfigRules,
    records: &mut Records,
) -> Result<(), Refused> {
    check_steps(steps)?;
    let resource_type = check_resource(image, change.resource_type, change.resource_name)?;
    let current = image.configs().get(resource_type, change.resource_name);
    let mut entries = current.cloned().unwrap_or_default();
    for step in steps {
        let old = entries.get(step.key).map(|value| &**value);
        match new_value(resource_type, step, old, rules)? {
            Some(value) => entries.insert(step.key.into(), value.into()),
            None => entries.remove(step.key),
        };
    }
    let changed: Vec<&str> = steps.iter().map(|step| step.key).collect();
    rules.validate(&ConfigValidation {
        resource_type,
        resource_name: change.resource_name,
        entries: &entries,
        changed: &changed,
    })?;
    // Kafka looks for the topic after it has looked at the keys.
    if resource_type == ConfigResourceType::Topic
        && image.topics().by_name(change.resource_name).is_none()
    {
        let message = format!("The topic '{}' does not exist.", change.resource_name);
        return Err(Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message));
    }
    check_elr(image, resource_type, change.resource_name, &entries, steps)?;
    for step in steps {
        let value = entries.get(step.key).map(|value| &**value);
        let before = current.and_then(|current| current.get(step.key)).map(|value| &**value);
        // Brokers reload files that a value names when they see it set again (KAFKA-14136).
        if value == before && resource_type != ConfigResourceType::Broker {
            continue;
        }
        let record = ConfigRecord {
            resource_type: resource_type.code(),
            resource_name: change.resource_name,
            name: step.key,
            value,
        };
        records.push(&MetadataRecord::Config(record), 0);
        if image.is_elr_enabled() && step.key == MIN_INSYNC_REPLICAS {
            // Its name is that of the topic, and empty for all topics, as it is for brokers.
            let record = ClearElrRecord { topic_name: change.resource_name };
            records.push(&MetadataRecord::ClearElr(record), 0);
        }
    }
    Ok(())
}

/// Whether the steps can be taken at all, whatever the resource.
///
/// # Errors
/// INVALID_REQUEST for a key that comes twice, and for null where something is to be set.
pub fn check_steps(steps: &[ConfigOperation<'_>]) -> Result<(), Refused> {
    let mut keys = BTreeSet::new();
    if !steps.iter().all(|step| keys.insert(step.key)) {
        let message = "Error due to duplicate config keys";
        return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
    }
    let is_null = |step: &&ConfigOperation<'_>| {
        step.value.is_none() && step.operation != ConfigOperation::DELETE
    };
    let nulls: Vec<&str> = steps.iter().filter(is_null).map(|step| step.key).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for : {}", nulls.join(", "));
        return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
    }
    Ok(())
}

fn check_resource(
    image: &Image,
    resource_type: i8,
    name: &str,
) -> Result<ConfigResourceType, Refused> {
    let invalid = |message: String| Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
    let known = ConfigResourceType::from_code(resource_type);
    match known {
        Some(ConfigResourceType::Topic) if name.is_empty() => {
            invalid("Default topic resources are not allowed.".into())
        }
        Some(found @ ConfigResourceType::Topic) => {
            check_topic_name(name)?;
            Ok(found)
        }
        Some(found @ ConfigResourceType::Broker) => {
            let id = name.parse::<i32>();
            match id {
                _ if name.is_empty() => Ok(found),
                Ok(id) if id.to_string() == name && image.brokers().contains_key(&id) => Ok(found),
                Ok(id) => invalid(format!("Broker {id} is not registered.")),
                Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
            }
        }
        Some(ConfigResourceType::Group) if name.is_empty() => {
            invalid("Default group resources are not allowed.".into())
        }
        Some(ConfigResourceType::ClientMetrics) if name.is_empty() => {
            invalid("Subscription name can't be empty".into())
        }
        Some(found @ (ConfigResourceType::Group | ConfigResourceType::ClientMetrics)) => Ok(found),
        Some(ConfigResourceType::BrokerLogger) | None => {
            invalid(format!("Unknown resource type {resource_type}"))
        }
    }
}

/// The value of a key after a step; `None` for none.
fn new_value(
    resource_type: ConfigResourceType,
    step: &ConfigOperation<'_>,
    old: Option<&str>,
    rules: &dyn ConfigRules,
) -> Result<Option<String>, Refused> {
    let value = step.value.unwrap_or_default();
    match step.operation {
        ConfigOperation::SET => Ok(Some(value.to_owned())),
        ConfigOperation::DELETE => Ok(None),
        ConfigOperation::APPEND | ConfigOperation::SUBTRACT => {
            let appends = step.operation == ConfigOperation::APPEND;
            let key = rules.key(resource_type, step.key).filter(|key| key.is_list);
            let Some(key) = key else {
                let verb = if appends { "APPEND" } else { "SUBTRACT" };
                let message =
                    format!("Can't {verb} to key {} because its type is not LIST.", step.key);
                return Err(Refused::new(ErrorCode::INVALID_CONFIG, message));
            };
            let old = old.or(key.default.as_deref()).unwrap_or_default();
            let mut items: Vec<&str> = split(old).collect();
            if appends {
                for item in split(value) {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
            } else {
                items.retain(|item| !split(value).any(|gone| gone == *item));
            }
            Ok(Some(items.join(",")))
        }
        other => {
            // Kafka finds it out at two places, which answer differently.
            let code = match resource_type {
                ConfigResourceType::Broker => ErrorCode::INVALID_REQUEST,
                _ => ErrorCode::UNKNOWN_SERVER_ERROR,
            };
            Err(Refused::new(code, format!("Unknown operations type {other}")))
        }
    }
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// While eligible leaders are tracked, all brokers must agree on `min.insync.replicas`.
fn check_elr(
    image: &Image,
    resource_type: ConfigResourceType,
    name: &str,
    entries: &ConfigEntries,
    steps: &[ConfigOperation<'_>],
) -> Result<(), Refused> {
    let is_named = steps.iter().any(|step| step.key == MIN_INSYNC_REPLICAS);
    if !image.is_elr_enabled() || resource_type != ConfigResourceType::Broker || !is_named {
        return Ok(());
    }
    let message = match name {
        "" if entries.contains_key(MIN_INSYNC_REPLICAS) => return Ok(()),
        "" => "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        _ => "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
    };
    Err(Refused::new(ErrorCode::INVALID_CONFIG, message))
}
