//! The quorum that keeps the cluster's metadata.

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, PartitionData, ReplicaState, TopicData,
};
use ottla_protocol::uuid::Uuid;

use super::Admin;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::Route;

/// The topic of the cluster's metadata; it has one partition.
const TOPIC: &str = "__cluster_metadata";

/// The quorum that keeps the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumInfo {
    /// The node that leads it; `None` when none does.
    pub leader: Option<i32>,
    /// The leader's epoch, counted up by each election.
    pub leader_epoch: i32,
    /// Offsets below it are on a majority of the voters; -1 when not known.
    pub high_watermark: i64,
    /// The voters.
    pub voters: Vec<QuorumReplica>,
    /// Nodes that follow without a vote.
    pub observers: Vec<QuorumReplica>,
    /// Where the nodes are. Told from Kafka 3.9 on.
    pub nodes: Vec<QuorumNode>,
}

/// A node that has the metadata, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumReplica {
    /// The node's id.
    pub id: i32,
    /// The id of the directory that it is in; zero when not known.
    pub directory_id: Uuid,
    /// The next offset of its log; -1 when not known.
    pub log_end_offset: i64,
    /// When the leader last heard it fetch, in ms since 1970; `None` when not known.
    pub last_fetch_timestamp: Option<i64>,
    /// When it last had all of the log, in ms since 1970; `None` when not known.
    pub last_caught_up_timestamp: Option<i64>,
}

/// A node of the quorum, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumNode {
    /// The node's id.
    pub id: i32,
    /// Its listeners' names, hosts and ports.
    pub listeners: Vec<(String, String, u16)>,
}

impl QuorumReplica {
    fn of(told: &ReplicaState) -> Self {
        let time = |ms: i64| (ms >= 0).then_some(ms);
        Self {
            id: told.replica_id,
            directory_id: told.replica_directory_id,
            log_end_offset: told.log_end_offset,
            last_fetch_timestamp: time(told.last_fetch_timestamp),
            last_caught_up_timestamp: time(told.last_caught_up_timestamp),
        }
    }
}

impl Admin {
    /// The quorum that keeps the cluster's metadata. From Kafka 3.3 on.
    ///
    /// # Errors
    /// No broker answered; the cluster has no such quorum (`UnsupportedVersion`).
    pub fn describe_quorum(&self) -> Result<QuorumInfo, Error> {
        let build = |version, timeout| {
            let partitions = vec![PartitionData { partition_index: 0 }];
            let topics = vec![TopicData { topic_name: TOPIC, partitions }];
            Outgoing::new(&DescribeQuorumRequest { topics }, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: DescribeQuorumResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let topic = read.topics.iter().find(|topic| topic.topic_name == TOPIC);
            let mut partitions = topic.iter().flat_map(|topic| &topic.partitions);
            let Some(told) = partitions.find(|told| told.partition_index == 0) else {
                let detail = format!("DescribeQuorum: no word about {TOPIC}-0");
                return Err(Error::new(ErrorKind::Malformed, detail));
            };
            Error::of_code(told.error_code, told.error_message)?;
            let nodes = read.nodes.iter().map(|node| {
                let listeners = node.listeners.iter();
                let listener =
                    listeners.map(|of| (of.name.to_owned(), of.host.to_owned(), of.port));
                QuorumNode { id: node.node_id, listeners: listener.collect() }
            });
            Ok(QuorumInfo {
                leader: (told.leader_id >= 0).then_some(told.leader_id),
                leader_epoch: told.leader_epoch,
                high_watermark: told.high_watermark,
                voters: told.current_voters.iter().map(QuorumReplica::of).collect(),
                observers: told.observers.iter().map(QuorumReplica::of).collect(),
                nodes: nodes.collect(),
            })
        };
        self.remote.ask(Route::Any, (ApiKey::DescribeQuorum, 0..=2), build, read).wait()
    }
}
