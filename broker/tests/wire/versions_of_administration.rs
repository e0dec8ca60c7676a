//! Requests of administrators, in every version: what [`crate::versions`] tries of them.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse,
};
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};
use ottla_protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
};
use ottla_protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
};
use ottla_protocol::messages::create_acls::{AclCreation, CreateAclsRequest, CreateAclsResponse};
use ottla_protocol::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsRequest, DeleteAclsResponse,
};
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use ottla_protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use ottla_protocol::messages::describe_client_quotas::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};
use ottla_protocol::messages::describe_log_dirs::{
    DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use ottla_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest,
};
use ottla_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, PartitionData, TopicData,
};
use ottla_protocol::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};
use ottla_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use ottla_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use ottla_protocol::messages::unregister_broker::{
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use ottla_protocol::messages::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use crate::versions::Tried;

/// Success, if that is the code expected.
fn expect(code: ErrorCode, expected: ErrorCode) -> Option<ErrorCode> {
    Some(if code == expected { ErrorCode::NONE } else { code })
}

impl Tried<'_> {
    pub(crate) fn administration(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::DeleteRecords => {
                let partitions = vec![DeleteRecordsPartition::default()];
                let topic = DeleteRecordsTopic { name: "known", partitions };
                let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000 };
                let answer = self.client.call(api, version, &request);
                let response: DeleteRecordsResponse<'_> = answer.message();
                assert_eq!(response.topics[0].partitions[0].low_watermark, 0);
                Some(response.topics[0].partitions[0].error_code)
            }
            ApiKey::AlterReplicaLogDirs => {
                let request = AlterReplicaLogDirsRequest::default();
                let answer = self.client.call(api, version, &request);
                let response: AlterReplicaLogDirsResponse<'_> = answer.message();
                assert!(response.results.is_empty());
                Some(ErrorCode::NONE)
            }
            ApiKey::DescribeLogDirs => {
                let request = DescribeLogDirsRequest { topics: None };
                let answer = self.client.call(api, version, &request);
                let response: DescribeLogDirsResponse<'_> = answer.message();
                assert!(response.results[0].topics.iter().any(|topic| topic.name == "known"));
                assert_eq!(response.results[0].total_bytes > 0, version >= 4);
                Some(response.error_code)
            }
            ApiKey::ElectLeaders => {
                let topic = TopicPartitions { topic: "known", partitions: vec![0] };
                let request = ElectLeadersRequest {
                    topic_partitions: Some(vec![topic]),
                    ..Default::default()
                };
                let answer = self.client.call(api, version, &request);
                let response: ElectLeadersResponse<'_> = answer.message();
                let told = &response.replica_election_results[0].partition_result[0];
                expect(told.error_code, ErrorCode::ELECTION_NOT_NEEDED)
            }
            ApiKey::AlterPartitionReassignments => {
                let request = AlterPartitionReassignmentsRequest::default();
                let answer = self.client.call(api, version, &request);
                let response: AlterPartitionReassignmentsResponse<'_> = answer.message();
                Some(response.error_code)
            }
            ApiKey::ListPartitionReassignments => {
                let request = ListPartitionReassignmentsRequest::default();
                let answer = self.client.call(api, version, &request);
                let response: ListPartitionReassignmentsResponse<'_> = answer.message();
                Some(response.error_code)
            }
            _ => None,
        }
    }

    pub(crate) fn cluster(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::DescribeQuorum => {
                let partitions = vec![PartitionData { partition_index: 0 }];
                let topic = TopicData { topic_name: "__cluster_metadata", partitions };
                let request = DescribeQuorumRequest { topics: vec![topic] };
                let answer = self.client.call(api, version, &request);
                let response: DescribeQuorumResponse<'_> = answer.message();
                assert_eq!(response.nodes.len(), usize::from(version >= 2));
                Some(response.topics[0].partitions[0].error_code)
            }
            ApiKey::UpdateFeatures => {
                let update = FeatureUpdateKey {
                    feature: "group.version",
                    max_version_level: 1,
                    ..Default::default()
                };
                let request =
                    UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
                let answer = self.client.call(api, version, &request);
                let response: UpdateFeaturesResponse<'_> = answer.message();
                assert_eq!(response.results.len(), usize::from(version < 2));
                Some(response.error_code)
            }
            ApiKey::DescribeProducers => {
                let topic = TopicRequest { name: "known", partition_indexes: vec![0] };
                let request = DescribeProducersRequest { topics: vec![topic] };
                let answer = self.client.call(api, version, &request);
                let response: DescribeProducersResponse<'_> = answer.message();
                Some(response.topics[0].partitions[0].error_code)
            }
            ApiKey::UnregisterBroker => {
                let request = UnregisterBrokerRequest { broker_id: 9 };
                let answer = self.client.call(api, version, &request);
                let response: UnregisterBrokerResponse<'_> = answer.message();
                expect(response.error_code, ErrorCode::BROKER_ID_NOT_REGISTERED)
            }
            _ => None,
        }
    }

    pub(crate) fn security(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::DescribeAcls => {
                let request = DescribeAclsRequest {
                    resource_type_filter: 1,
                    operation: 1,
                    permission_type: 1,
                    ..Default::default()
                };
                let answer = self.client.call(api, version, &request);
                let response: DescribeAclsResponse<'_> = answer.message();
                expect(response.error_code, ErrorCode::SECURITY_DISABLED)
            }
            ApiKey::CreateAcls => {
                let creation = AclCreation {
                    resource_type: 2,
                    operation: 3,
                    permission_type: 3,
                    ..Default::default()
                };
                let request = CreateAclsRequest { creations: vec![creation] };
                let answer = self.client.call(api, version, &request);
                let response: CreateAclsResponse<'_> = answer.message();
                expect(response.results[0].error_code, ErrorCode::SECURITY_DISABLED)
            }
            ApiKey::DeleteAcls => {
                let filter = DeleteAclsFilter {
                    resource_type_filter: 2,
                    operation: 3,
                    permission_type: 3,
                    ..Default::default()
                };
                let request = DeleteAclsRequest { filters: vec![filter] };
                let answer = self.client.call(api, version, &request);
                let response: DeleteAclsResponse<'_> = answer.message();
                expect(response.filter_results[0].error_code, ErrorCode::SECURITY_DISABLED)
            }
            ApiKey::DescribeClientQuotas => {
                let request = DescribeClientQuotasRequest::default();
                let answer = self.client.call(api, version, &request);
                let response: DescribeClientQuotasResponse<'_> = answer.message();
                assert_eq!(response.entries.map(|entries| entries.len()), Some(0));
                Some(response.error_code)
            }
            ApiKey::AlterClientQuotas => {
                let request = AlterClientQuotasRequest::default();
                let answer = self.client.call(api, version, &request);
                let response: AlterClientQuotasResponse<'_> = answer.message();
                assert!(response.entries.is_empty());
                Some(ErrorCode::NONE)
            }
            ApiKey::DescribeUserScramCredentials => {
                let request = DescribeUserScramCredentialsRequest { users: None };
                let answer = self.client.call(api, version, &request);
                let response: DescribeUserScramCredentialsResponse<'_> = answer.message();
                Some(response.error_code)
            }
            ApiKey::AlterUserScramCredentials => {
                let request = AlterUserScramCredentialsRequest::default();
                let answer = self.client.call(api, version, &request);
                let response: AlterUserScramCredentialsResponse<'_> = answer.message();
                assert!(response.results.is_empty());
                Some(ErrorCode::NONE)
            }
            _ => None,
        }
    }
}
