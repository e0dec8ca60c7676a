//! A client for Kafka's protocol: against Ottla, Apache Kafka, and whatever else speaks it.
//!
//! There is no async runtime inside and none is needed: a thread of the client's own has the
//! connections. What takes its time is a [`Pending`], which can be waited for, called back or
//! awaited.
//!
//! | module | what it is |
//! |---|---|
//! | [`Producer`] | sending records |
//! | [`Consumer`] | reading records |
//! | [`Admin`] | topics, settings, offsets, groups, quotas, ACLs, users, brokers and the cluster |
//! | [`Properties`] | settings by Kafka's names |
//! | [`Error`] | what went wrong, of which topic, partition, group and broker |
//!
//! What it does not do yet: TLS and SASL, transactions.
//!
#![doc = include_str!("guide.md")]
#![forbid(unsafe_code)]

// From the ground up:
mod chance;
mod config;
mod error;
mod net;
mod partition;
mod pending;

// What all clients have in common:
mod cluster;
mod session;

// The clients:
mod admin;
mod consumer;
mod producer;

pub use admin::{
    AclBinding, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType, Admin,
    BrokerApi, ClientQuota, ClusterDescription, CommittedOffset, ConfigChange, ConfigDetails,
    ConfigEntry, ConfigKind, ConfigResource, ConfigResourceKind, ConfigSource, ConfigSynonym,
    DeleteBefore, ElectionType, Feature, FeatureMetadata, FeatureUpdate, FeatureUpgrade,
    GroupDescription, GroupFilter, GroupKind, GroupListing, GroupMember, IsolationLevel,
    ListedOffset, LogDirDescription, MemberDescription, NewPartitions, NewTopic, OffsetSpec,
    PartitionDescription, PartitionReassignment, ProducerState, QuorumInfo, QuorumNode,
    QuorumReplica, QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch, ReplicaInfo, Results,
    ScramChange, ScramCredentialInfo, ScramMechanism, TopicDescription, TopicListing,
    TopicPartitionReplica, TransactionDescription, TransactionFilter, TransactionListing,
};
pub use cluster::Broker;
pub use config::{Def, Kind, Properties};
pub use consumer::{
    Consumer, ConsumerGroupMetadata, ConsumerIter, OffsetAndMetadata, OffsetAndTimestamp,
    OwnedRecord, RebalanceListener, Record, Records, RecordsIntoIter, RecordsIter,
};
pub use error::{Error, ErrorKind};
pub use partition::TopicPartition;
pub use pending::Pending;
pub use producer::{
    Delivery, Header, Partitioner, Producer, ProducerRecord, RecordMetadata, partition_of_key,
};
