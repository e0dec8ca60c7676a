//! Where partitions are and who leads them: elections by hand, and moves to other brokers.

use std::collections::BTreeMap;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use ottla_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use ottla_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    ListPartitionReassignmentsTopics,
};

use super::spread::{by_topic, distinct, sorted};
use super::{Admin, Results};
use crate::error::Error;
use crate::net::{Answer, Outgoing, millis};
use crate::partition::TopicPartition;
use crate::session::Route;

/// Who is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElectionType {
    /// The first one of the replicas, if it is in sync.
    Preferred,
    /// Any replica that is there, when none in sync is: records may be lost.
    Unclean,
}

/// The brokers that have a partition which is moving.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionReassignment {
    /// The partition.
    pub partition: TopicPartition,
    /// All brokers that have it by now, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those that are to have it.
    pub adding: Vec<i32>,
    /// Those that are to have it no more.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Has leaders elected: of these partitions, or of all (`None`). Of all, only those partitions
    /// have a result that were elected for, or failed.
    ///
    /// # Errors
    /// A partition is there twice; no broker answered, or it is too old for the election
    /// (`UnsupportedVersion`: unclean from Kafka 2.4 on). Of a partition: the controller's, such as
    /// ELECTION_NOT_NEEDED or PREFERRED_LEADER_NOT_AVAILABLE.
    pub fn elect_leaders(
        &self,
        election: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Results<TopicPartition, ()>, Error> {
        distinct(partitions.unwrap_or_default())?;
        let (election_type, least) = match election {
            ElectionType::Preferred => (0, 0),
            ElectionType::Unclean => (1, 1),
        };
        let asked = partitions.map(<[TopicPartition]>::to_vec);
        let of = asked.clone();
        let build = move |version, timeout| {
            let topic = |(topic, partitions)| TopicPartitions { topic, partitions };
            let request = ElectLeadersRequest {
                election_type,
                topic_partitions: (asked.as_deref())
                    .map(|asked| by_topic(asked).into_iter().map(topic).collect()),
                timeout_ms: millis(timeout),
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: ElectLeadersResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            let told = read.replica_election_results.iter().flat_map(|topic| {
                topic.partition_result.iter().map(|told| {
                    let at = TopicPartition::new(topic.topic, told.partition_id);
                    (at, Error::of_code(told.error_code, told.error_message))
                })
            });
            match &of {
                Some(of) => sorted(ApiKey::ElectLeaders, of, told),
                None => {
                    let of: Vec<_> = told.clone().map(|(at, _)| at).collect();
                    sorted(ApiKey::ElectLeaders, &of, told)
                }
            }
        };
        let api = (ApiKey::ElectLeaders, least..=2);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }

    /// Has partitions moved to these brokers, the preferred leader first; `None` calls a move off.
    /// The call does not wait for the end of the moves: [`Admin::list_partition_reassignments`]
    /// shows them. From Kafka 2.4 on.
    ///
    /// # Errors
    /// A partition is there twice; no broker answered. Of a partition: the controller's, such as
    /// INVALID_REPLICA_ASSIGNMENT or NO_REASSIGNMENT_IN_PROGRESS.
    pub fn alter_partition_reassignments(
        &self,
        moves: &[(TopicPartition, Option<Vec<i32>>)],
    ) -> Result<Results<TopicPartition, ()>, Error> {
        let of: Vec<_> = moves.iter().map(|(partition, _)| partition.clone()).collect();
        distinct(&of)?;
        let moves = moves.to_vec();
        let build = move |version, timeout| {
            let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
            for (at, replicas) in &moves {
                let (partition_index, replicas) = (at.partition, replicas.clone());
                let partition = ReassignablePartition { partition_index, replicas };
                topics.entry(&at.topic).or_default().push(partition);
            }
            let topic = |(name, partitions)| ReassignableTopic { name, partitions };
            let request = AlterPartitionReassignmentsRequest {
                timeout_ms: millis(timeout),
                topics: topics.into_iter().map(topic).collect(),
                ..Default::default()
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: AlterPartitionReassignmentsResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let told = read.responses.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let at = TopicPartition::new(topic.name, told.partition_index);
                    (at, Error::of_code(told.error_code, told.error_message))
                })
            });
            sorted(ApiKey::AlterPartitionReassignments, &of, told)
        };
        let api = (ApiKey::AlterPartitionReassignments, 0..=1);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }

    /// The partitions that are moving: those of these, or all (`None`). From Kafka 2.4 on.
    ///
    /// # Errors
    /// No broker answered.
    pub fn list_partition_reassignments(
        &self,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<PartitionReassignment>, Error> {
        let asked = partitions.map(<[TopicPartition]>::to_vec);
        let build = move |version, timeout| {
            let topic = |(name, partition_indexes)| ListPartitionReassignmentsTopics {
                name,
                partition_indexes,
            };
            let topics =
                (asked.as_deref()).map(|asked| by_topic(asked).into_iter().map(topic).collect());
            let timeout_ms = millis(timeout);
            let request = ListPartitionReassignmentsRequest { timeout_ms, topics };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: ListPartitionReassignmentsResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let told = read.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| PartitionReassignment {
                    partition: TopicPartition::new(topic.name, told.partition_index),
                    replicas: told.replicas.clone(),
                    adding: told.adding_replicas.clone(),
                    removing: told.removing_replicas.clone(),
                })
            });
            let mut moving: Vec<_> = told.collect();
            moving.sort_by(|one, other| one.partition.cmp(&other.partition));
            Ok(moving)
        };
        let api = (ApiKey::ListPartitionReassignments, 0..=0);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }
}
