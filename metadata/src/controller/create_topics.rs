//! Creating topics.

use super::configs::{ConfigRules, ConfigValidation, MIN_INSYNC_REPLICAS};
use super::placement::{self, ReplicaAssignment};
use super::{Answers, Entropy, RECORDS_PER_REQUEST_MAX, Records, Refused};
use super::{check_topic_name, new_topic_id};
use crate::features::RecordVersions;
use crate::image::{ConfigEntries, ConfigResourceType, Image, folded};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::config::ConfigRecord;
use ottla_protocol::metadata::topic::{ClearElrRecord, TopicRecord};
use ottla_protocol::uuid::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// Topics to create.
#[derive(Clone, Debug)]
pub struct CreateTopics<'a> {
    /// The topics, each name once.
    pub topics: Vec<NewTopic<'a>>,
    /// Whether everything is checked and nothing is done.
    pub validate_only: bool,
}

/// One topic to create.
#[derive(Clone, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions it gets; -1 for the default, and when `assignments` are given.
    pub num_partitions: i32,
    /// How many replicas each has; -1 for the default, and when `assignments` are given.
    pub replication_factor: i16,
    /// The replicas of each partition, or none to let the controller choose.
    pub assignments: Vec<ReplicaAssignment>,
    /// The configs that it gets; a null value is refused.
    pub configs: Vec<(&'a str, Option<&'a str>)>,
}

/// What a topic gets when its creator does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
}

/// A topic that is created, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; a fresh one also when nothing is done.
    pub id: Uuid,
    /// How many partitions it has.
    pub num_partitions: i32,
    /// How many replicas the first of them has.
    pub replication_factor: i16,
    /// The configs that it was given.
    pub configs: ConfigEntries,
}

/// Creates topics. The answer has each name once, in the order of the request.
///
/// Refusals, in this order: INVALID_REQUEST for a name given twice and for `__cluster_metadata`,
/// INVALID_TOPIC_EXCEPTION for a bad name, TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION for a
/// collision, INVALID_CONFIG, then those of numbers and assignments: INVALID_REQUEST,
/// INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR, INVALID_PARTITIONS. Too many partitions
/// in one request are a POLICY_VIOLATION for each of its topics.
pub fn create_topics<'a>(
    image: &Image,
    request: &CreateTopics<'a>,
    defaults: TopicDefaults,
    rules: &dyn ConfigRules,
    entropy: Entropy<'_>,
) -> (Records, Answers<'a, CreatedTopic>) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name).or_default() += 1;
    }
    let too_many = count_partitions(&request.topics, defaults) > RECORDS_PER_REQUEST_MAX;
    let (records, folded) = (Records::new(), BTreeMap::new());
    let mut creation = Creation { image, defaults, rules, records, folded };
    let (mut answered, mut answers) = (BTreeSet::new(), vec![]);
    for topic in request.topics.iter().filter(|topic| answered.insert(topic.name)) {
        let result = if too_many {
            let message = "Excessively large number of partitions per request.";
            Err(Refused::new(ErrorCode::POLICY_VIOLATION, message))
        } else if times[topic.name] > 1 {
            Err(Refused::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else {
            creation.create(topic, entropy)
        };
        answers.push((topic.name, result));
    }
    if request.validate_only {
        return (Records::new(), answers);
    }
    (creation.records, answers)
}

fn count_partitions(topics: &[NewTopic<'_>], defaults: TopicDefaults) -> usize {
    let count = |topic: &NewTopic<'_>| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len(),
        -1 => usize::try_from(defaults.num_partitions).unwrap_or(0),
        count => usize::try_from(count).unwrap_or(0),
    };
    topics.iter().map(count).fold(0, usize::saturating_add)
}

struct Creation<'i, 'a> {
    image: &'i Image,
    defaults: TopicDefaults,
    rules: &'i dyn ConfigRules,
    records: Records,
    /// The topics of the request that are created, by what other names must not fold to.
    folded: BTreeMap<String, &'a str>,
}

impl<'a> Creation<'_, 'a> {
    fn create(
        &mut self,
        topic: &NewTopic<'a>,
        entropy: Entropy<'_>,
    ) -> Result<CreatedTopic, Refused> {
        self.check_name(topic.name)?;
        let configs = self.check_configs(topic)?;
        let replicas = self.replicas(topic, entropy)?;
        let id = new_topic_id(self.image, entropy)?;
        let num_partitions = i32::try_from(replicas.len()).unwrap_or(i32::MAX);
        let replication_factor = replicas.first().map_or(0, Vec::len);
        self.push_records(topic, id, replicas);
        self.folded.extend(folded(topic.name).map(|folded| (folded, topic.name)));
        Ok(CreatedTopic {
            id,
            num_partitions,
            replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
            configs,
        })
    }

    fn check_name(&self, name: &str) -> Result<(), Refused> {
        if name == crate::METADATA_TOPIC_NAME {
            let message = format!("Creation of internal topic {name} is prohibited.");
            return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
        }
        check_topic_name(name)?;
        if self.image.topics().by_name(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(Refused::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
        }
        // Kafka does not look at the other topics of the same request, and so lets two that collide
        // come in together.
        let other = self.image.topics().colliding(name);
        let other = other.or_else(|| self.folded.get(&folded(name)?).copied());
        match other {
            Some(other) => Err(Refused::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("Topic '{name}' collides with existing topic: {other}"),
            )),
            None => Ok(()),
        }
    }

    fn check_configs(&self, topic: &NewTopic<'_>) -> Result<ConfigEntries, Refused> {
        let mut entries = ConfigEntries::new();
        for (name, value) in &topic.configs {
            let Some(value) = *value else {
                let message = format!("Null value not supported for topic configs: {name}");
                return Err(Refused::new(ErrorCode::INVALID_CONFIG, message));
            };
            entries.insert((*name).into(), value.into());
        }
        let changed: Vec<&str> = topic.configs.iter().map(|(name, _)| *name).collect();
        self.rules.validate(&ConfigValidation {
            resource_type: ConfigResourceType::Topic,
            resource_name: topic.name,
            entries: &entries,
            changed: &changed,
        })?;
        Ok(entries)
    }

    fn replicas(
        &self,
        topic: &NewTopic<'_>,
        entropy: Entropy<'_>,
    ) -> Result<Vec<Vec<i32>>, Refused> {
        if !topic.assignments.is_empty() {
            return self.manual_replicas(topic);
        }
        let replication_factor = match topic.replication_factor {
            -1 => self.defaults.replication_factor,
            given => given,
        };
        if replication_factor <= 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default \
                           value.";
            return Err(Refused::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
        }
        let num_partitions = match topic.num_partitions {
            -1 => self.defaults.num_partitions,
            given => given,
        };
        if num_partitions <= 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refused::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        let [a, b, c, d, ..] = entropy();
        let seed = u32::from_be_bytes([a, b, c, d]);
        placement::place(self.image, num_partitions, replication_factor, seed)
    }

    fn manual_replicas(&self, topic: &NewTopic<'_>) -> Result<Vec<Vec<i32>>, Refused> {
        if topic.replication_factor != -1 {
            let message = "A manual partition assignment was specified, but replication factor \
                           was not set to -1.";
            return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
        }
        if topic.num_partitions != -1 {
            let message = "A manual partition assignment was specified, but numPartitions was not \
                           set to -1.";
            return Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
        }
        let mut by_number = BTreeMap::new();
        let mut expected = None;
        for assignment in &topic.assignments {
            let (number, broker_ids) = (assignment.partition_index, &assignment.broker_ids);
            if by_number.insert(number, broker_ids.clone()).is_some() {
                let message = format!("Found multiple manual assignments for partition {number}");
                return Err(Refused::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
            }
            placement::check_manual(self.image, broker_ids, expected)?;
            expected = Some(broker_ids.len());
        }
        if !by_number.keys().copied().eq((0..).take(by_number.len())) {
            let message = "partitions should be a consecutive 0-based integer sequence";
            return Err(Refused::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        Ok(by_number.into_values().collect())
    }

    fn push_records(&mut self, topic: &NewTopic<'_>, topic_id: Uuid, replicas: Vec<Vec<i32>>) {
        let versions = RecordVersions::of(self.image);
        let name = topic.name;
        self.records.push(&MetadataRecord::Topic(TopicRecord { name, topic_id }), 0);
        // Kafka's snapshots can hold configs of topics that are gone: the new topic of that name
        // must not inherit them.
        let mut last = BTreeMap::new();
        last.extend(topic.configs.iter().enumerate().map(|(n, (key, _))| (*key, n)));
        let given = |key: &str| last.contains_key(key);
        let orphans = self.image.configs().topic(name).into_iter().flatten();
        let orphans = orphans.map(|(key, _)| (&**key, None)).filter(|(key, _)| !given(key));
        let configs = topic.configs.iter().enumerate();
        let configs = configs.filter(|(n, (key, _))| last[key] == *n).map(|(_, config)| *config);
        for (key, value) in orphans.chain(configs) {
            let record = ConfigRecord {
                resource_type: ConfigResourceType::Topic.code(),
                resource_name: name,
                name: key,
                value,
            };
            self.records.push(&MetadataRecord::Config(record), 0);
        }
        if versions.has_elr() && given(MIN_INSYNC_REPLICAS) {
            let record = ClearElrRecord { topic_name: name };
            self.records.push(&MetadataRecord::ClearElr(record), 0);
        }
        for (number, replicas) in (0..).zip(replicas) {
            let record = placement::new_partition(self.image, versions, topic_id, number, replicas);
            self.records.push(&record, versions.partition());
        }
    }
}
