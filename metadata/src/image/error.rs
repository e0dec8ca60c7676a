//! Why a metadata record cannot be applied.

use ottla_protocol::uuid::Uuid;
use std::fmt;

/// A record that cannot follow the records before it: the log is not one that a controller wrote,
/// or is read from the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's page names its fields")]
pub enum ReplayError {
    /// The record's offset, `got`, is not above the `last` one applied.
    OffsetNotAbove { last: i64, got: i64 },
    /// A marker of a metadata transaction was given to an image instead of a replay.
    TransactionMarker,
    /// A transaction begins at `offset` while the one begun at `open` has not ended.
    TransactionOpen { open: i64, offset: i64 },
    /// A transaction ends or aborts at `offset`, and none is open.
    NoTransaction { offset: i64 },
    /// A feature's level is below zero.
    FeatureLevel { name: String, level: i16 },
    /// The bound `got` of the producer ids handed out is not above the `next` one to hand out.
    ProducerIdsNotAbove { next: i64, got: i64 },
    /// There is a topic of that name, with this id.
    TopicExists { name: String, id: Uuid },
    /// There is a topic of that id, with this name.
    TopicIdExists { name: String, id: Uuid },
    /// A topic with an empty name or the zero id.
    TopicNameless { id: Uuid },
    /// No topic has that id.
    TopicIdUnknown { id: Uuid },
    /// No topic has that name.
    TopicUnknown { name: String },
    /// The topic has no such partition, or its number is negative.
    PartitionUnknown { topic_id: Uuid, partition: i32 },
    /// A partition names `directories` directories for its `replicas` replicas.
    DirectoriesCount { topic_id: Uuid, partition: i32, replicas: usize, directories: usize },
    /// A partition's leader epoch or partition epoch is negative, or would pass the largest.
    PartitionEpoch { topic_id: Uuid, partition: i32 },
    /// No broker is registered under that id.
    BrokerUnknown { id: i32 },
    /// The broker's registration has epoch `registered`, the record speaks of `got`.
    BrokerEpoch { id: i32, registered: i64, got: i64 },
    /// A change of a registration holds a code that means nothing.
    BrokerChangeCode { id: i32, field: &'static str, code: i8 },
    /// A record that is kept for snapshots cannot be written again.
    NotEncodable { api_key: i16 },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffsetNotAbove { last, got } => {
                write!(f, "record at offset {got} follows offset {last}")
            }
            Self::TransactionMarker => f.write_str("transaction marker outside a replay"),
            Self::TransactionOpen { open, offset } => write!(
                f,
                "transaction begins at offset {offset} while that of offset {open} is open"
            ),
            Self::NoTransaction { offset } => {
                write!(f, "transaction ends at offset {offset}, and none is open")
            }
            Self::FeatureLevel { name, level } => write!(f, "level of feature {name} is {level}"),
            Self::ProducerIdsNotAbove { next, got } => {
                write!(f, "next producer id goes from {next} to {got}")
            }
            Self::TopicExists { name, id } => write!(f, "topic {name} exists with id {id}"),
            Self::TopicIdExists { name, id } => write!(f, "topic id {id} belongs to {name}"),
            Self::TopicNameless { id } => write!(f, "topic with id {id} lacks a name or an id"),
            Self::TopicIdUnknown { id } => write!(f, "no topic has id {id}"),
            Self::TopicUnknown { name } => write!(f, "no topic is called {name}"),
            Self::PartitionUnknown { topic_id, partition } => {
                write!(f, "topic with id {topic_id} has no partition {partition}")
            }
            Self::DirectoriesCount { topic_id, partition, replicas, directories } => write!(
                f,
                "partition {partition} of topic id {topic_id} has {directories} directories \
                 for {replicas} replicas"
            ),
            Self::PartitionEpoch { topic_id, partition } => {
                write!(f, "epoch of partition {partition} of topic id {topic_id} is out of range")
            }
            Self::BrokerUnknown { id } => write!(f, "broker {id} is not registered"),
            Self::BrokerEpoch { id, registered, got } => {
                write!(f, "broker {id} is registered with epoch {registered}, not {got}")
            }
            Self::BrokerChangeCode { id, field, code } => {
                write!(f, "change of broker {id} has {field} {code}")
            }
            Self::NotEncodable { api_key } => {
                write!(f, "record of kind {api_key} cannot be written again")
            }
        }
    }
}

impl std::error::Error for ReplayError {}
