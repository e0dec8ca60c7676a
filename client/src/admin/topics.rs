//! Topics: made, deleted, listed, looked at.

use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    CreateTopicsResponse,
};
use ottla_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::operations::{AclOperation, authorized};
use super::spread::{TopicName, distinct, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing, millis};
use crate::session::Route;

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    name: String,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    assignments: Vec<Vec<i32>>,
    configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with as many partitions and replicas as the broker's defaults say.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            partitions: None,
            replication_factor: None,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }

    /// With so many partitions.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        self.partitions = Some(count);
        self
    }

    /// With so many replicas of each partition.
    #[must_use]
    pub fn replication_factor(mut self, count: i16) -> Self {
        self.replication_factor = Some(count);
        self
    }

    /// With the replicas of each partition on these brokers, the preferred leader first. The
    /// numbers of partitions and replicas follow from it, and must not be set beside.
    #[must_use]
    pub fn assignments(mut self, brokers: Vec<Vec<i32>>) -> Self {
        self.assignments = brokers;
        self
    }

    /// With a setting of its own.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.configs.push((name.to_owned(), value.to_owned()));
        self
    }

    fn request(&self) -> CreatableTopic<'_> {
        let assignment = |(partition_index, brokers): (usize, &Vec<i32>)| {
            let partition_index = partition_index as i32;
            CreatableReplicaAssignment { partition_index, broker_ids: brokers.clone() }
        };
        CreatableTopic {
            name: &self.name,
            num_partitions: self.partitions.unwrap_or(-1),
            replication_factor: self.replication_factor.unwrap_or(-1),
            assignments: self.assignments.iter().enumerate().map(assignment).collect(),
            configs: self
                .configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
                .collect(),
        }
    }
}

/// A topic as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; zero when the broker is too old to tell.
    pub id: Uuid,
    /// Whether Kafka keeps state of its own in it.
    pub is_internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
}

/// What there is to know of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id; zero when the broker is too old to tell.
    pub id: Uuid,
    /// Whether Kafka keeps state of its own in it.
    pub is_internal: bool,
    /// Its partitions, by their numbers.
    pub partitions: Vec<PartitionDescription>,
    /// What this client may do to it; `None` when the broker does not tell.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// What there is to know of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Its number within the topic.
    pub index: i32,
    /// The broker that leads it; `None` when none does.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 when not known.
    pub leader_epoch: i32,
    /// The brokers that have it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The brokers whose replica is in sync.
    pub isr: Vec<i32>,
    /// The brokers whose replica is not in sync and could lead all the same, without loss
    /// (KIP-966); `None` when the broker does not tell (from Kafka 3.7 on).
    pub elr: Option<Vec<i32>>,
    /// The last ones that could, before there were none; `None` as for `elr`.
    pub last_known_elr: Option<Vec<i32>>,
    /// The brokers whose replica is down.
    pub offline: Vec<i32>,
}

impl PartitionDescription {
    pub(crate) fn of(told: &MetadataResponsePartition) -> Self {
        Self {
            index: told.partition_index,
            leader: (told.leader_id >= 0).then_some(told.leader_id),
            leader_epoch: told.leader_epoch,
            replicas: told.replica_nodes.clone(),
            isr: told.isr_nodes.clone(),
            offline: told.offline_replicas.clone(),
            ..Self::default()
        }
    }
}

impl TopicDescription {
    fn of(told: &MetadataResponseTopic<'_>) -> Result<Self, Error> {
        let name = told.name.unwrap_or_default();
        Error::of_code(told.error_code, None).map_err(|error| error.of_topic(name))?;
        let mut partitions: Vec<_> = told.partitions.iter().map(PartitionDescription::of).collect();
        partitions.sort_by_key(|partition| partition.index);
        Ok(Self {
            name: name.to_owned(),
            id: told.topic_id,
            is_internal: told.is_internal,
            partitions,
            authorized_operations: authorized(told.topic_authorized_operations),
        })
    }
}

impl Admin {
    /// Makes topics.
    ///
    /// # Errors
    /// No broker answered; a topic is there twice. Of a topic: the broker's, such as
    /// TOPIC_ALREADY_EXISTS.
    pub fn create_topics(&self, topics: &[NewTopic]) -> Result<Results<String, Uuid>, Error> {
        self.create(topics, false)
    }

    /// Checks whether topics could be made, and makes none.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub fn validate_topics(&self, topics: &[NewTopic]) -> Result<Results<String, Uuid>, Error> {
        self.create(topics, true)
    }

    fn create(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Results<String, Uuid>, Error> {
        let names = topic_names(topics.iter().map(|topic| &*topic.name));
        distinct(&names)?;
        let topics = topics.to_vec();
        let build = move |version, timeout| {
            let topics = topics.iter().map(NewTopic::request).collect();
            let request =
                CreateTopicsRequest { topics, timeout_ms: millis(timeout), validate_only };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: CreateTopicsResponse<'_> = answer.read()?;
            let told = read.topics.iter().map(|topic| {
                let result = Error::of_code(topic.error_code, topic.error_message);
                (TopicName(topic.name.to_owned()), result.map(|()| topic.topic_id))
            });
            named(sorted(ApiKey::CreateTopics, &names, told))
        };
        let api = (ApiKey::CreateTopics, 2..=7);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }

    /// Deletes topics and all their records.
    ///
    /// # Errors
    /// No broker answered; a topic is there twice. Of a topic: the broker's, such as
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn delete_topics(&self, topics: &[&str]) -> Result<Results<String, ()>, Error> {
        let (asked, names) = (names(topics.iter().copied()), topic_names(topics.iter().copied()));
        distinct(&names)?;
        let build = move |version, timeout| {
            let state = |name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO };
            let asked = asked.iter().map(String::as_str);
            let mut request =
                DeleteTopicsRequest { timeout_ms: millis(timeout), ..Default::default() };
            if version < 6 {
                request.topic_names = asked.collect();
            } else {
                request.topics = asked.map(state).collect();
            }
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: DeleteTopicsResponse<'_> = answer.read()?;
            let told = read.responses.iter().map(|topic| {
                let name = topic.name.unwrap_or_default().to_owned();
                (TopicName(name), Error::of_code(topic.error_code, topic.error_message))
            });
            named(sorted(ApiKey::DeleteTopics, &names, told))
        };
        let api = (ApiKey::DeleteTopics, 1..=6);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }

    /// All topics, by name. `with_internal`: also those in which Kafka keeps state of its own.
    ///
    /// # Errors
    /// No broker answered.
    pub fn list_topics(&self, with_internal: bool) -> Result<Vec<TopicListing>, Error> {
        let listing = |topic: &MetadataResponseTopic<'_>| TopicListing {
            name: topic.name.unwrap_or_default().to_owned(),
            id: topic.topic_id,
            is_internal: topic.is_internal,
            partitions: topic.partitions.len(),
        };
        let read = move |read: &MetadataResponse<'_>| {
            let topics = read.topics.iter().filter(|topic| with_internal || !topic.is_internal);
            Ok(topics.map(listing).collect())
        };
        let mut topics: Vec<TopicListing> =
            self.metadata(None, Instant::now() + self.remote.timeout, read)?;
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// What there is to know of these topics.
    ///
    /// # Errors
    /// No broker answered; a topic is there twice. Of a topic: the broker's, such as
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn describe_topics(
        &self,
        topics: &[&str],
    ) -> Result<Results<String, TopicDescription>, Error> {
        match self.described_in_pages(topics) {
            Err(error) if error.kind() == ErrorKind::UnsupportedVersion => {}
            described => return described,
        }
        let asked = names(topics.iter().copied());
        let names = topic_names(topics.iter().copied());
        let read = move |read: &MetadataResponse<'_>| {
            let told = read.topics.iter().map(|topic| {
                let name = TopicName(topic.name.unwrap_or_default().to_owned());
                (name, TopicDescription::of(topic))
            });
            named(sorted(ApiKey::Metadata, &names, told))
        };
        self.metadata(Some(asked), Instant::now() + self.remote.timeout, read)
    }

    /// Metadata of these topics, or of all.
    pub(super) fn metadata<T: Send + 'static>(
        &self,
        topics: Option<Vec<String>>,
        deadline: Instant,
        mut read: impl FnMut(&MetadataResponse<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let build = move |version, timeout| {
            let of = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
            let asked = topics.as_ref();
            let request = MetadataRequest {
                topics: asked.map(|topics| topics.iter().map(|name| of(name.as_str())).collect()),
                allow_auto_topic_creation: false,
                include_topic_authorized_operations: topics.is_some() && version >= 8,
                ..Default::default()
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let told: MetadataResponse<'_> = answer.read()?;
            Error::of_code(told.error_code, None)?;
            read(&told)
        };
        let api = (ApiKey::Metadata, 4..=13);
        self.remote.ask_until(deadline, Route::Any, api, build, read).wait()
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

fn topic_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<TopicName> {
    names.map(|name| TopicName(name.to_owned())).collect()
}

/// The same by the topics' names.
pub(super) fn named<T>(
    results: Result<Results<TopicName, T>, Error>,
) -> Result<Results<String, T>, Error> {
    Ok(results?.into_iter().map(|(name, result)| (name.0, result)).collect())
}
