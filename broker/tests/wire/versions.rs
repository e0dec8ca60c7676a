//! Every request that is served, in every version, and those that are not.

use ottla::api::served;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_configs;
use ottla_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use ottla_protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use ottla_protocol::messages::fetch::FetchResponse;
use ottla_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::messages::incremental_alter_configs;
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ottla_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};
use ottla_protocol::messages::produce::ProduceResponse;
use ottla_protocol::uuid::Uuid;

use crate::group_versions;
use crate::harness::{Client, TestBroker, batch, fetch_request, produce_request};

/// A request in one version, on a topic `known` of one partition.
pub(crate) struct Tried<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) version: i16,
    topic_id: Uuid,
}

#[test]
fn every_request_is_answered_in_every_version() {
    let broker = TestBroker::with(&["group.initial.rebalance.delay.ms=0"]);
    let mut client = broker.client();
    let topic_id = client.create_topic("known", 1, &[]);
    client.append("known", &batch(&[b"v"]));
    find_coordinator(&mut client, 4);
    let mut count = 0;
    for (api, _) in served() {
        for version in api.versions() {
            let mut tried = Tried { client: &mut client, version, topic_id };
            let code = tried.data(api).or_else(|| tried.topics(api)).or_else(|| tried.others(api));
            let code = code.or_else(|| tried.configs(api));
            let code = code.or_else(|| tried.administration(api));
            let code = code.or_else(|| tried.cluster(api)).or_else(|| tried.security(api));
            let code = code.or_else(|| group_versions::code(&mut client, api, version, topic_id));
            assert_eq!(code, Some(ErrorCode::NONE), "{api:?} {version}");
            count += 1;
        }
    }
    assert!(count > 90, "{count}");
}

fn find_coordinator(client: &mut Client, version: i16) -> ErrorCode {
    let mut request = FindCoordinatorRequest::default();
    if version < 4 {
        request.key = "group";
    } else {
        request.coordinator_keys = vec!["group"];
    }
    let answer = client.call(ApiKey::FindCoordinator, version, &request);
    let response: FindCoordinatorResponse<'_> = answer.message();
    response.coordinators.first().map_or(response.error_code, |c| c.error_code)
}

impl Tried<'_> {
    fn data(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::Produce => {
                let records = batch(&[b"v"]);
                let mut request = produce_request("known", Some(&records), 1);
                request.topic_data[0].topic_id = self.topic_id;
                let answer = self.client.call(api, version, &request);
                let response: ProduceResponse<'_> = answer.message();
                Some(response.responses[0].partition_responses[0].error_code)
            }
            ApiKey::Fetch => {
                let request = fetch_request("known", self.topic_id, 0);
                let answer = self.client.call(api, version, &request);
                let response: FetchResponse<'_> = answer.message();
                let data = &response.responses[0].partitions[0];
                assert!(data.high_watermark > 0 && !data.records?.bytes().is_empty());
                assert_eq!(data.last_stable_offset, data.high_watermark);
                assert_eq!(data.aborted_transactions, None);
                Some(data.error_code)
            }
            ApiKey::ListOffsets => {
                let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
                let topic = ListOffsetsTopic { name: "known", partitions: vec![partition] };
                let request = ListOffsetsRequest {
                    replica_id: -1,
                    topics: vec![topic],
                    ..Default::default()
                };
                let answer = self.client.call(api, version, &request);
                let response: ListOffsetsResponse<'_> = answer.message();
                let told = &response.topics[0].partitions[0];
                assert!(told.offset > 0);
                assert_eq!(told.leader_epoch, if version < 4 { -1 } else { 0 });
                Some(told.error_code)
            }
            ApiKey::OffsetForLeaderEpoch => {
                let topic = OffsetForLeaderTopic {
                    topic: "known",
                    partitions: vec![OffsetForLeaderPartition::default()],
                };
                let mut request =
                    OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
                request.topics[0].partitions[0].current_leader_epoch = 0;
                let answer = self.client.call(api, version, &request);
                let response: OffsetForLeaderEpochResponse<'_> = answer.message();
                let told = &response.topics[0].partitions[0];
                assert!(told.leader_epoch == 0 && told.end_offset > 0);
                Some(told.error_code)
            }
            _ => None,
        }
    }

    fn topics(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::Metadata => {
                let topic = MetadataRequestTopic { name: Some("known"), ..Default::default() };
                let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
                let answer = self.client.call(api, version, &request);
                let response: MetadataResponse<'_> = answer.message();
                assert_eq!(response.brokers.len(), 1);
                let topic = &response.topics[0];
                assert_eq!((topic.partitions.len(), topic.partitions[0].leader_id), (1, 1));
                Some(topic.error_code)
            }
            ApiKey::CreateTopics => {
                let name = format!("created-{version}");
                let topic = CreatableTopic {
                    name: &name,
                    num_partitions: 2,
                    replication_factor: 1,
                    ..Default::default()
                };
                let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
                let answer = self.client.call(api, version, &request);
                let response: CreateTopicsResponse<'_> = answer.message();
                assert_eq!(response.topics[0].num_partitions, if version < 5 { -1 } else { 2 });
                Some(response.topics[0].error_code)
            }
            ApiKey::DeleteTopics => {
                let name = format!("doomed-{version}");
                self.client.create_topic(&name, 1, &[]);
                let mut request = DeleteTopicsRequest::default();
                if version < 6 {
                    request.topic_names = vec![&name];
                } else {
                    let topic = DeleteTopicState { name: Some(&name), ..Default::default() };
                    request.topics = vec![topic];
                }
                let answer = self.client.call(api, version, &request);
                let response: DeleteTopicsResponse<'_> = answer.message();
                Some(response.responses[0].error_code)
            }
            ApiKey::CreatePartitions => {
                let name = format!("grown-{version}");
                self.client.create_topic(&name, 1, &[]);
                let topic = CreatePartitionsTopic { name: &name, count: 3, assignments: None };
                let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
                let answer = self.client.call(api, version, &request);
                let response: CreatePartitionsResponse<'_> = answer.message();
                Some(response.results[0].error_code)
            }
            ApiKey::DescribeTopicPartitions => {
                let request = DescribeTopicPartitionsRequest {
                    topics: vec![TopicRequest { name: "known" }],
                    ..Default::default()
                };
                let answer = self.client.call(api, version, &request);
                let response: DescribeTopicPartitionsResponse<'_> = answer.message();
                assert_eq!(response.topics[0].partitions.len(), 1);
                Some(response.topics[0].error_code)
            }
            _ => None,
        }
    }

    fn others(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::ApiVersions => {
                let answer = self.client.call(api, version, &software());
                let response: ApiVersionsResponse<'_> = answer.message();
                assert_eq!(response.api_keys.len(), served().count());
                Some(response.error_code)
            }
            ApiKey::FindCoordinator => Some(find_coordinator(self.client, version)),
            ApiKey::InitProducerId => {
                let request =
                    InitProducerIdRequest { transactional_id: None, ..Default::default() };
                let answer = self.client.call(api, version, &request);
                let response: InitProducerIdResponse = answer.message();
                assert!(response.producer_id >= 0 && response.producer_epoch == 0);
                Some(response.error_code)
            }
            ApiKey::DescribeCluster => {
                let answer = self.client.call(api, version, &DescribeClusterRequest::default());
                let response: DescribeClusterResponse<'_> = answer.message();
                assert_eq!((response.brokers.len(), response.controller_id), (1, 1));
                Some(response.error_code)
            }
            _ => None,
        }
    }
}

impl Tried<'_> {
    fn configs(&mut self, api: ApiKey) -> Option<ErrorCode> {
        let version = self.version;
        match api {
            ApiKey::DescribeConfigs => {
                let resource = DescribeConfigsResource {
                    resource_type: 2,
                    resource_name: "known",
                    configuration_keys: None,
                };
                let request =
                    DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
                let answer = self.client.call(api, version, &request);
                let response: DescribeConfigsResponse<'_> = answer.message();
                assert!(response.results[0].configs.len() > 25);
                Some(response.results[0].error_code)
            }
            ApiKey::ListConfigResources => {
                let request = ListConfigResourcesRequest { resource_types: vec![] };
                let answer = self.client.call(api, version, &request);
                let response: ListConfigResourcesResponse<'_> = answer.message();
                assert_eq!(response.config_resources.is_empty(), version == 0);
                Some(response.error_code)
            }
            ApiKey::AlterConfigs => {
                let resource = alter_configs::AlterConfigsResource {
                    resource_type: 2,
                    resource_name: "known",
                    configs: vec![],
                };
                let request = alter_configs::AlterConfigsRequest {
                    resources: vec![resource],
                    validate_only: false,
                };
                let answer = self.client.call(api, version, &request);
                let response: alter_configs::AlterConfigsResponse<'_> = answer.message();
                Some(response.responses[0].error_code)
            }
            ApiKey::IncrementalAlterConfigs => {
                let resource = incremental_alter_configs::AlterConfigsResource {
                    resource_type: 2,
                    resource_name: "known",
                    configs: vec![],
                };
                let request = incremental_alter_configs::IncrementalAlterConfigsRequest {
                    resources: vec![resource],
                    validate_only: false,
                };
                let answer = self.client.call(api, version, &request);
                let response: incremental_alter_configs::IncrementalAlterConfigsResponse<'_> =
                    answer.message();
                Some(response.responses[0].error_code)
            }
            _ => None,
        }
    }
}

fn software() -> ApiVersionsRequest<'static> {
    ApiVersionsRequest { client_software_name: "test", client_software_version: "1.0" }
}

/// A request that is only a header.
fn header_only(api_key: i16, version: i16) -> Vec<u8> {
    let mut frame = api_key.to_be_bytes().to_vec();
    frame.extend(version.to_be_bytes());
    frame.extend(b"\0\0\0\x07\xff\xff");
    frame
}

#[test]
fn versions_and_requests_that_are_not_served_close_the_connection() {
    let broker = TestBroker::start();
    let mut unserved: Vec<(i16, i16)> =
        [-1, 4, 5, 6, 7, 8, 52, 58, 93, i16::MIN, i16::MAX].iter().map(|key| (*key, 0)).collect();
    for (api, _) in served().filter(|(api, _)| *api != ApiKey::ApiVersions) {
        let (first, last) = (*api.versions().start(), *api.versions().end());
        for version in [i16::MIN, -1, first - 1, last + 1, i16::MAX] {
            unserved.push((api.as_i16(), version));
        }
    }
    for (key, version) in unserved {
        let mut client = broker.client();
        client.send_frame(&header_only(key, version));
        client.assert_closed(&format!("{key} {version}"));
    }
    broker.client().create_topic("alive", 1, &[]);
}

#[test]
fn api_versions_from_the_future_are_answered_in_version_0() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for version in [5, 6, i16::MAX, -1, i16::MIN] {
        let mut frame = header_only(18, version);
        // What follows is in a form that nobody knows yet.
        frame.extend(b"\xff\xff\xff\xff\xff\xff\xff");
        client.send_frame(&frame);
        let expected = b"\0\0\0\x07\0\x23\0\0\0\x01\0\x12\0\0\0\x04";
        assert_eq!(client.receive().as_deref(), Some(&expected[..]), "{version}");
    }
    let answer = client.call(ApiKey::ApiVersions, 4, &software());
    let response: ApiVersionsResponse<'_> = answer.message();
    let told: Vec<(i16, i16, i16)> = response
        .api_keys
        .iter()
        .map(|api| (api.api_key, api.min_version, api.max_version))
        .collect();
    let expected: Vec<(i16, i16, i16)> = served()
        .map(|(api, versions)| (api.as_i16(), *versions.start(), *versions.end()))
        .collect();
    assert_eq!(told, expected);
    assert!(told.contains(&(0, 0, 13)), "librdkafka wants Produce from 0");
    // Without a client id it is no request.
    client.send_frame(b"\0\x12\0\x09\0\0\0\x07");
    client.assert_closed("half a header");
}

#[test]
fn names_of_software_are_checked() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for name in ["", "-", "a b", "\u{fc}"] {
        let request = ApiVersionsRequest { client_software_name: name, ..software() };
        let answer = client.call(ApiKey::ApiVersions, 3, &request);
        let response: ApiVersionsResponse<'_> = answer.message();
        assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST, "{name}");
        assert!(response.api_keys.is_empty() && response.finalized_features.is_empty());
        // An answer without features has no tagged field at all.
        assert_eq!(answer.bytes[4..], *b"\0\x2a\x01\0\0\0\0\0");
    }
}

#[test]
fn client_ids_may_be_null_empty_or_strange_and_bytes_may_be_left() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for client_id in [&b"\xff\xff"[..], b"\0\0", "\0\u{2}\u{e9}".as_bytes()] {
        let mut frame = b"\0\x12\0\0\0\0\0\x07".to_vec();
        frame.extend(client_id);
        frame.extend(b"trailing");
        client.send_frame(&frame);
        let answer = client.receive().unwrap();
        assert_eq!(answer[..6], *b"\0\0\0\x07\0\0");
    }
}
