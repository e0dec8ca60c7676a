//! The requests that are served: one table, and a file for each.
//!
//! The table says which versions are served; dispatch, the ApiVersions answer and the list in the
//! documentation come from it.

mod acls;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod answer;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
mod document;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
pub(crate) mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
pub(crate) mod sync_group;
mod unregister_broker;
mod update_features;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ottla_coordinator::context::Caller;
use ottla_network::{Connection, Reply, Request, Service};
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::RequestHeader;
use ottla_protocol::wire::{Message, ReadError, Reader, WriteError};

use crate::node::Node;

pub use answer::{Envelope, Outcome};
pub use document::document;
pub use fetch::FetchKey;

/// A request whose header was read.
pub struct Call<'a> {
    /// Which request it is.
    pub api: ApiKey,
    /// Its header.
    pub header: RequestHeader<'a>,
    /// Where it came from.
    pub connection: Connection,
    body: &'a [u8],
}

impl<'a> Call<'a> {
    /// The request's version, one that is served.
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    /// The peer's address as Kafka shows it.
    fn client_host(&self) -> String {
        java_address(self.connection.peer.ip())
    }

    /// Who sent the request, as coordinators are told.
    fn caller<'c>(&'c self, client_host: &'c str) -> Caller<'c> {
        let client_id = self.header.client_id.unwrap_or_default();
        Caller { client_id, client_host, version: self.version() }
    }

    /// Reads the body. Bytes behind it are ignored, as in Kafka.
    pub fn body<M: Message<'a>>(&self) -> Result<M, Unanswerable> {
        let mut reader = Reader::new(self.body);
        M::decode(&mut reader, self.version()).map_err(Unanswerable::Malformed)
    }
}

/// Why a request has no answer and its connection is closed.
#[derive(Debug)]
pub enum Unanswerable {
    /// It is not what its header says.
    Malformed(ReadError),
    /// The answer has no form in the request's version: a bug of ours.
    Unwritable(WriteError),
    /// There is no such request, or not in this version.
    Unsupported,
    /// It names something by a number that has no meaning, and has no answer for that.
    Meaningless(&'static str),
    /// It asks for more items than one answer may have.
    TooMuch {
        /// How many it asks for.
        asked: usize,
        /// How many it may.
        max: usize,
    },
    /// Its answer would be longer than one may be.
    TooLong {
        /// Bytes.
        max: usize,
    },
}

impl fmt::Display for Unanswerable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "malformed request: {error}"),
            Self::Unwritable(error) => error.fmt(f),
            Self::Unsupported => f.write_str("not a request, or not in a version, that is served"),
            Self::Meaningless(what) => write!(f, "a request for {what}"),
            Self::TooMuch { asked, max } => {
                write!(f, "{asked} items asked for, at most {max} told")
            }
            Self::TooLong { max } => write!(f, "an answer of more than {max} bytes"),
        }
    }
}

/// Items of one request, where each asks for an answer some times its own size.
const ITEMS_MAX: usize = 100_000;

/// Refuses a request whose answer would be many times its own size: a few bytes a name ask for some
/// hundred. Kafka has no such limit; no tool comes near it.
fn check_count(asked: usize, max: usize) -> Result<(), Unanswerable> {
    if asked > max { Err(Unanswerable::TooMuch { asked, max }) } else { Ok(()) }
}

/// Drops what is named again: each name asks for a whole description, many times its own size.
fn name_once(names: &mut Vec<&str>) {
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(*name));
}

impl From<WriteError> for Unanswerable {
    fn from(error: WriteError) -> Self {
        Self::Unwritable(error)
    }
}

/// An address as Java writes it: with a slash before it, and IPv6 without any abbreviation.
fn java_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            format!("/{}", groups.join(":"))
        }
    }
}

type Handle = fn(&Arc<Node>, &Call<'_>) -> Result<Outcome, Unanswerable>;

struct Api {
    key: ApiKey,
    handle: Handle,
}

/// All that is served. The versions are Kafka 4.3.1's: see [`ApiKey::versions`].
const APIS: &[Api] = &[
    Api { key: ApiKey::Produce, handle: produce::handle },
    Api { key: ApiKey::Fetch, handle: fetch::handle },
    Api { key: ApiKey::ListOffsets, handle: list_offsets::handle },
    Api { key: ApiKey::Metadata, handle: metadata::handle },
    Api { key: ApiKey::OffsetCommit, handle: offset_commit::handle },
    Api { key: ApiKey::OffsetFetch, handle: offset_fetch::handle },
    Api { key: ApiKey::FindCoordinator, handle: find_coordinator::handle },
    Api { key: ApiKey::JoinGroup, handle: join_group::handle },
    Api { key: ApiKey::Heartbeat, handle: heartbeat::handle },
    Api { key: ApiKey::LeaveGroup, handle: leave_group::handle },
    Api { key: ApiKey::SyncGroup, handle: sync_group::handle },
    Api { key: ApiKey::DescribeGroups, handle: describe_groups::handle },
    Api { key: ApiKey::ListGroups, handle: list_groups::handle },
    Api { key: ApiKey::ApiVersions, handle: api_versions::handle },
    Api { key: ApiKey::CreateTopics, handle: create_topics::handle },
    Api { key: ApiKey::DeleteTopics, handle: delete_topics::handle },
    Api { key: ApiKey::DeleteRecords, handle: delete_records::handle },
    Api { key: ApiKey::InitProducerId, handle: init_producer_id::handle },
    Api { key: ApiKey::OffsetForLeaderEpoch, handle: offset_for_leader_epoch::handle },
    Api { key: ApiKey::DescribeAcls, handle: acls::describe },
    Api { key: ApiKey::CreateAcls, handle: acls::create },
    Api { key: ApiKey::DeleteAcls, handle: acls::delete },
    Api { key: ApiKey::DescribeConfigs, handle: describe_configs::handle },
    Api { key: ApiKey::AlterConfigs, handle: alter_configs::handle },
    Api { key: ApiKey::AlterReplicaLogDirs, handle: alter_replica_log_dirs::handle },
    Api { key: ApiKey::DescribeLogDirs, handle: describe_log_dirs::handle },
    Api { key: ApiKey::CreatePartitions, handle: create_partitions::handle },
    Api { key: ApiKey::DeleteGroups, handle: delete_groups::handle },
    Api { key: ApiKey::ElectLeaders, handle: elect_leaders::handle },
    Api { key: ApiKey::IncrementalAlterConfigs, handle: incremental_alter_configs::handle },
    Api { key: ApiKey::AlterPartitionReassignments, handle: alter_partition_reassignments::handle },
    Api { key: ApiKey::ListPartitionReassignments, handle: list_partition_reassignments::handle },
    Api { key: ApiKey::OffsetDelete, handle: offset_delete::handle },
    Api { key: ApiKey::DescribeClientQuotas, handle: describe_client_quotas::handle },
    Api { key: ApiKey::AlterClientQuotas, handle: alter_client_quotas::handle },
    Api {
        key: ApiKey::DescribeUserScramCredentials,
        handle: describe_user_scram_credentials::handle,
    },
    Api { key: ApiKey::AlterUserScramCredentials, handle: alter_user_scram_credentials::handle },
    Api { key: ApiKey::DescribeQuorum, handle: describe_quorum::handle },
    Api { key: ApiKey::UpdateFeatures, handle: update_features::handle },
    Api { key: ApiKey::DescribeCluster, handle: describe_cluster::handle },
    Api { key: ApiKey::DescribeProducers, handle: describe_producers::handle },
    Api { key: ApiKey::UnregisterBroker, handle: unregister_broker::handle },
    Api { key: ApiKey::ConsumerGroupHeartbeat, handle: consumer_group_heartbeat::handle },
    Api { key: ApiKey::ConsumerGroupDescribe, handle: consumer_group_describe::handle },
    Api { key: ApiKey::ListConfigResources, handle: list_config_resources::handle },
    Api { key: ApiKey::DescribeTopicPartitions, handle: describe_topic_partitions::handle },
];

/// What is served: each request with the versions that are told to clients.
pub fn served() -> impl Iterator<Item = (ApiKey, RangeInclusive<i16>)> {
    APIS.iter().map(|api| (api.key, api.key.advertised()))
}

/// The broker as the network sees it.
pub struct Apis {
    node: Arc<Node>,
}

impl Apis {
    /// Serves `node`.
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn outcome(&self, request: &Request) -> Result<Outcome, Unanswerable> {
        let mut reader = Reader::new(&request.frame);
        let header = RequestHeader::read(&mut reader).map_err(Unanswerable::Malformed)?;
        let api = APIS
            .iter()
            .find(|api| api.key.as_i16() == header.api_key)
            .ok_or(Unanswerable::Unsupported)?;
        let call =
            Call { api: api.key, header, connection: request.connection, body: reader.remaining() };
        if !api.key.versions().contains(&header.api_version) {
            // A client that is younger than the broker must learn what the broker speaks.
            return match api.key {
                ApiKey::ApiVersions => api_versions::from_the_future(&call),
                _ => Err(Unanswerable::Unsupported),
            };
        }
        (api.handle)(&self.node, &call)
    }
}

/// Whether a request is quick enough for the thread that reads the sockets. Changes of the cluster
/// are not: each syncs the metadata log, and waits for those before it. Metadata and InitProducerId
/// can be such changes. Nor are those of groups whose work grows with the group.
fn is_quick(frame: &[u8]) -> bool {
    let key = frame.first_chunk().map(|key| i16::from_be_bytes(*key));
    !matches!(
        key.and_then(ApiKey::from_i16),
        Some(
            ApiKey::CreateTopics
                | ApiKey::Metadata
                | ApiKey::InitProducerId
                | ApiKey::FindCoordinator
                | ApiKey::ListGroups
                | ApiKey::DescribeGroups
                | ApiKey::ConsumerGroupDescribe
                | ApiKey::ConsumerGroupHeartbeat
                | ApiKey::JoinGroup
                | ApiKey::SyncGroup
                | ApiKey::LeaveGroup
                | ApiKey::DeleteGroups
                | ApiKey::OffsetDelete
                | ApiKey::DeleteTopics
                | ApiKey::CreatePartitions
                | ApiKey::DescribeConfigs
                | ApiKey::AlterConfigs
                | ApiKey::IncrementalAlterConfigs
                | ApiKey::ListConfigResources
                | ApiKey::DescribeTopicPartitions
                | ApiKey::DeleteRecords
                | ApiKey::AlterReplicaLogDirs
                | ApiKey::DescribeLogDirs
                | ApiKey::ElectLeaders
                | ApiKey::AlterPartitionReassignments
                | ApiKey::ListPartitionReassignments
                | ApiKey::DescribeClientQuotas
                | ApiKey::AlterClientQuotas
                | ApiKey::DescribeUserScramCredentials
                | ApiKey::AlterUserScramCredentials
                | ApiKey::DescribeQuorum
                | ApiKey::UpdateFeatures
                | ApiKey::DescribeProducers
                | ApiKey::UnregisterBroker
        )
    )
}

impl Service for Apis {
    fn may_run_inline(&self, request: &Request) -> bool {
        is_quick(&request.frame)
    }

    fn call(&self, request: Request, reply: Reply) {
        match self.outcome(&request) {
            Ok(Outcome::Answer(response)) => reply.send(response),
            Ok(Outcome::Nothing) => reply.nothing(),
            Ok(Outcome::Close) => reply.close(),
            Ok(Outcome::Later(park)) => park(reply),
            Err(reason) => {
                self.node.note_refused(&request, &reason);
                reply.close();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_the_cluster_is_not_run_by_those_who_read_the_sockets() {
        let is_quick = |api: ApiKey| is_quick(&api.as_i16().to_be_bytes());
        for api in [ApiKey::CreateTopics, ApiKey::Metadata, ApiKey::InitProducerId] {
            assert!(!is_quick(api), "{api:?}");
        }
        for api in [ApiKey::ConsumerGroupHeartbeat, ApiKey::JoinGroup, ApiKey::DeleteGroups] {
            assert!(!is_quick(api), "{api:?}");
        }
        assert!(is_quick(ApiKey::Heartbeat) && is_quick(ApiKey::OffsetCommit));
        assert!(is_quick(ApiKey::Produce) && is_quick(ApiKey::Fetch));
    }

    #[test]
    fn addresses_are_written_as_java_does() {
        let written = |text: &str| java_address(text.parse().unwrap());
        assert_eq!(written("127.0.0.1"), "/127.0.0.1");
        assert_eq!(written("::1"), "/0:0:0:0:0:0:0:1");
        assert_eq!(written("fe80::a0b:1"), "/fe80:0:0:0:0:0:a0b:1");
    }
}
