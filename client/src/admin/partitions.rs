//! More partitions for topics.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic,
};

use super::spread::{TopicName, distinct, sorted};
use super::{Admin, Results, topics};
use crate::error::Error;
use crate::net::{Answer, Outgoing, millis};
use crate::session::Route;

/// A topic that is to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    topic: String,
    count: i32,
    assignments: Vec<Vec<i32>>,
}

impl NewPartitions {
    /// So many partitions in all, those that are there included.
    pub fn increase_to(topic: &str, count: i32) -> Self {
        Self { topic: topic.to_owned(), count, assignments: Vec::new() }
    }

    /// With the replicas of each new partition on these brokers, the preferred leader first.
    /// Without it the broker chooses.
    #[must_use]
    pub fn assignments(mut self, brokers: Vec<Vec<i32>>) -> Self {
        self.assignments = brokers;
        self
    }

    fn request(&self) -> CreatePartitionsTopic<'_> {
        let of = |brokers: &Vec<i32>| CreatePartitionsAssignment { broker_ids: brokers.clone() };
        let assignments = self.assignments.iter().map(of).collect::<Vec<_>>();
        CreatePartitionsTopic {
            name: &self.topic,
            count: self.count,
            assignments: (!assignments.is_empty()).then_some(assignments),
        }
    }
}

impl Admin {
    /// Gives topics more partitions.
    ///
    /// # Errors
    /// No broker answered; a topic is there twice. Of a topic: the broker's, such as
    /// INVALID_PARTITIONS.
    pub fn create_partitions(
        &self,
        topics: &[NewPartitions],
    ) -> Result<Results<String, ()>, Error> {
        self.increase(topics, false)
    }

    /// Checks whether topics could get more partitions, and changes nothing.
    ///
    /// # Errors
    /// As [`Admin::create_partitions`].
    pub fn validate_partitions(
        &self,
        topics: &[NewPartitions],
    ) -> Result<Results<String, ()>, Error> {
        self.increase(topics, true)
    }

    fn increase(
        &self,
        topics: &[NewPartitions],
        validate_only: bool,
    ) -> Result<Results<String, ()>, Error> {
        let names: Vec<TopicName> =
            topics.iter().map(|topic| TopicName(topic.topic.clone())).collect();
        distinct(&names)?;
        let topics = topics.to_vec();
        let build = move |version, timeout| {
            let topics = topics.iter().map(NewPartitions::request).collect();
            let timeout_ms = millis(timeout);
            let request = CreatePartitionsRequest { topics, timeout_ms, validate_only };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: CreatePartitionsResponse<'_> = answer.read()?;
            let told = read.results.iter().map(|topic| {
                let result = Error::of_code(topic.error_code, topic.error_message);
                (TopicName(topic.name.to_owned()), result)
            });
            topics::named(sorted(ApiKey::CreatePartitions, &names, told))
        };
        let api = (ApiKey::CreatePartitions, 0..=3);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }
}
