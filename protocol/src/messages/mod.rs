//! The API messages, one file for a request and its response.
//!
//! Each file is a table in the words of Kafka's schemas; `cargo xtask spec` compares every line
//! with the schemas inside Kafka's own jars. See [`Message`] for reading and writing, and
//! [`crate::header`] for what stands in front.

use crate::api::ApiKey;
use crate::wire::Message;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod push_telemetry;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod unregister_broker;
pub mod update_features;
pub mod write_txn_markers;

/// A request: a message with a number and an answer.
pub trait Request<'a>: Message<'a> {
    /// Its kind.
    const API_KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message<'a>;
}

macro_rules! pairs {
    ($(
        $api:ident:
        $file:ident::$request:ident $(<$a:lifetime>)?, $response:ident $(<$b:lifetime>)?;
    )*) => {
        $(
            impl<'a> Request<'a> for $file::$request $(<$a>)? {
                const API_KEY: ApiKey = ApiKey::$api;
                type Response = $file::$response $(<$b>)?;
            }
        )*

        /// All requests and responses.
        #[cfg(any(test, feature = "schema"))]
        pub fn registry() -> Vec<crate::wire::reflect::MessageSchema> {
            crate::wire::reflect::registry![
                $(crate::messages::$file::$request, crate::messages::$file::$response,)*
            ]
        }
    };
}

pairs! {
    Produce: produce::ProduceRequest<'a>, ProduceResponse<'a>;
    Fetch: fetch::FetchRequest<'a>, FetchResponse<'a>;
    ListOffsets: list_offsets::ListOffsetsRequest<'a>, ListOffsetsResponse<'a>;
    Metadata: metadata::MetadataRequest<'a>, MetadataResponse<'a>;
    OffsetCommit: offset_commit::OffsetCommitRequest<'a>, OffsetCommitResponse<'a>;
    OffsetFetch: offset_fetch::OffsetFetchRequest<'a>, OffsetFetchResponse<'a>;
    FindCoordinator: find_coordinator::FindCoordinatorRequest<'a>, FindCoordinatorResponse<'a>;
    JoinGroup: join_group::JoinGroupRequest<'a>, JoinGroupResponse<'a>;
    Heartbeat: heartbeat::HeartbeatRequest<'a>, HeartbeatResponse;
    LeaveGroup: leave_group::LeaveGroupRequest<'a>, LeaveGroupResponse<'a>;
    SyncGroup: sync_group::SyncGroupRequest<'a>, SyncGroupResponse<'a>;
    DescribeGroups: describe_groups::DescribeGroupsRequest<'a>, DescribeGroupsResponse<'a>;
    ListGroups: list_groups::ListGroupsRequest<'a>, ListGroupsResponse<'a>;
    SaslHandshake: sasl_handshake::SaslHandshakeRequest<'a>, SaslHandshakeResponse<'a>;
    ApiVersions: api_versions::ApiVersionsRequest<'a>, ApiVersionsResponse<'a>;
    CreateTopics: create_topics::CreateTopicsRequest<'a>, CreateTopicsResponse<'a>;
    DeleteTopics: delete_topics::DeleteTopicsRequest<'a>, DeleteTopicsResponse<'a>;
    DeleteRecords: delete_records::DeleteRecordsRequest<'a>, DeleteRecordsResponse<'a>;
    InitProducerId: init_producer_id::InitProducerIdRequest<'a>, InitProducerIdResponse;
    OffsetForLeaderEpoch:
        offset_for_leader_epoch::OffsetForLeaderEpochRequest<'a>,
        OffsetForLeaderEpochResponse<'a>;
    AddPartitionsToTxn:
        add_partitions_to_txn::AddPartitionsToTxnRequest<'a>,
        AddPartitionsToTxnResponse<'a>;
    AddOffsetsToTxn: add_offsets_to_txn::AddOffsetsToTxnRequest<'a>, AddOffsetsToTxnResponse;
    EndTxn: end_txn::EndTxnRequest<'a>, EndTxnResponse;
    WriteTxnMarkers: write_txn_markers::WriteTxnMarkersRequest<'a>, WriteTxnMarkersResponse<'a>;
    TxnOffsetCommit: txn_offset_commit::TxnOffsetCommitRequest<'a>, TxnOffsetCommitResponse<'a>;
    DescribeAcls: describe_acls::DescribeAclsRequest<'a>, DescribeAclsResponse<'a>;
    CreateAcls: create_acls::CreateAclsRequest<'a>, CreateAclsResponse<'a>;
    DeleteAcls: delete_acls::DeleteAclsRequest<'a>, DeleteAclsResponse<'a>;
    DescribeConfigs: describe_configs::DescribeConfigsRequest<'a>, DescribeConfigsResponse<'a>;
    AlterConfigs: alter_configs::AlterConfigsRequest<'a>, AlterConfigsResponse<'a>;
    AlterReplicaLogDirs:
        alter_replica_log_dirs::AlterReplicaLogDirsRequest<'a>,
        AlterReplicaLogDirsResponse<'a>;
    DescribeLogDirs: describe_log_dirs::DescribeLogDirsRequest<'a>, DescribeLogDirsResponse<'a>;
    SaslAuthenticate: sasl_authenticate::SaslAuthenticateRequest<'a>, SaslAuthenticateResponse<'a>;
    CreatePartitions: create_partitions::CreatePartitionsRequest<'a>, CreatePartitionsResponse<'a>;
    DeleteGroups: delete_groups::DeleteGroupsRequest<'a>, DeleteGroupsResponse<'a>;
    ElectLeaders: elect_leaders::ElectLeadersRequest<'a>, ElectLeadersResponse<'a>;
    IncrementalAlterConfigs:
        incremental_alter_configs::IncrementalAlterConfigsRequest<'a>,
        IncrementalAlterConfigsResponse<'a>;
    AlterPartitionReassignments:
        alter_partition_reassignments::AlterPartitionReassignmentsRequest<'a>,
        AlterPartitionReassignmentsResponse<'a>;
    ListPartitionReassignments:
        list_partition_reassignments::ListPartitionReassignmentsRequest<'a>,
        ListPartitionReassignmentsResponse<'a>;
    OffsetDelete: offset_delete::OffsetDeleteRequest<'a>, OffsetDeleteResponse<'a>;
    DescribeClientQuotas:
        describe_client_quotas::DescribeClientQuotasRequest<'a>,
        DescribeClientQuotasResponse<'a>;
    AlterClientQuotas:
        alter_client_quotas::AlterClientQuotasRequest<'a>,
        AlterClientQuotasResponse<'a>;
    DescribeUserScramCredentials:
        describe_user_scram_credentials::DescribeUserScramCredentialsRequest<'a>,
        DescribeUserScramCredentialsResponse<'a>;
    AlterUserScramCredentials:
        alter_user_scram_credentials::AlterUserScramCredentialsRequest<'a>,
        AlterUserScramCredentialsResponse<'a>;
    DescribeQuorum: describe_quorum::DescribeQuorumRequest<'a>, DescribeQuorumResponse<'a>;
    UpdateFeatures: update_features::UpdateFeaturesRequest<'a>, UpdateFeaturesResponse<'a>;
    DescribeCluster: describe_cluster::DescribeClusterRequest, DescribeClusterResponse<'a>;
    DescribeProducers:
        describe_producers::DescribeProducersRequest<'a>,
        DescribeProducersResponse<'a>;
    UnregisterBroker: unregister_broker::UnregisterBrokerRequest, UnregisterBrokerResponse<'a>;
    DescribeTransactions:
        describe_transactions::DescribeTransactionsRequest<'a>,
        DescribeTransactionsResponse<'a>;
    ListTransactions: list_transactions::ListTransactionsRequest<'a>, ListTransactionsResponse<'a>;
    ConsumerGroupHeartbeat:
        consumer_group_heartbeat::ConsumerGroupHeartbeatRequest<'a>,
        ConsumerGroupHeartbeatResponse<'a>;
    ConsumerGroupDescribe:
        consumer_group_describe::ConsumerGroupDescribeRequest<'a>,
        ConsumerGroupDescribeResponse<'a>;
    GetTelemetrySubscriptions:
        get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest,
        GetTelemetrySubscriptionsResponse<'a>;
    PushTelemetry: push_telemetry::PushTelemetryRequest<'a>, PushTelemetryResponse;
    ListConfigResources:
        list_config_resources::ListConfigResourcesRequest,
        ListConfigResourcesResponse<'a>;
    DescribeTopicPartitions:
        describe_topic_partitions::DescribeTopicPartitionsRequest<'a>,
        DescribeTopicPartitionsResponse<'a>;
}

#[cfg(test)]
mod tests;
