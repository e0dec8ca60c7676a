//! Elections, reassignments, the quorum, features, brokers, producers and ACLs of one node.

use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use ottla_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla_protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest,
};
use ottla_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, PartitionData, TopicData,
};
use ottla_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use ottla_protocol::messages::unregister_broker::{
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use ottla_protocol::messages::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use ottla_protocol::record::builder::BatchOptions;
use ottla_protocol::uuid::Uuid;

use crate::harness::{Client, PATIENCE, TestBroker, batch, batch_of};

type Elected = Vec<(String, Vec<(i32, ErrorCode)>)>;

fn elect(
    client: &mut Client,
    election_type: i8,
    asked: Option<&[(&str, &[i32])]>,
) -> (ErrorCode, Elected) {
    let topic_partitions = asked.map(|asked| {
        let topic = |(topic, list): &(&'static str, &[i32])| TopicPartitions {
            topic,
            partitions: list.to_vec(),
        };
        let asked: Vec<(&'static str, &[i32])> =
            asked.iter().map(|(name, list)| (&*name.to_string().leak(), *list)).collect();
        asked.iter().map(topic).collect()
    });
    let request = ElectLeadersRequest { election_type, topic_partitions, timeout_ms: 1000 };
    let answer = client.call(ApiKey::ElectLeaders, 2, &request);
    let response: ElectLeadersResponse<'_> = answer.message();
    let results = response.replica_election_results.iter().map(|topic| {
        let partitions = topic.partition_result.iter();
        (
            topic.topic.to_owned(),
            partitions.map(|told| (told.partition_id, told.error_code)).collect(),
        )
    });
    (response.error_code, results.collect())
}

#[test]
fn elections() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 2, &[]);
    client.create_topic("b", 1, &[]);
    let (idle, unknown) = (ErrorCode::ELECTION_NOT_NEEDED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for election_type in [0, 1] {
        let asked: [(&str, &[i32]); 3] = [("a", &[0, 5, 0]), ("nope", &[0]), ("b", &[])];
        let (code, elected) = elect(&mut client, election_type, Some(&asked));
        assert_eq!(code, ErrorCode::NONE);
        let expected = [
            ("a".to_owned(), vec![(0, idle), (5, unknown), (0, idle)]),
            ("nope".to_owned(), vec![(0, unknown)]),
            ("b".to_owned(), vec![]),
        ];
        assert_eq!(elected, expected);
        let all = [("a".to_owned(), vec![]), ("b".to_owned(), vec![])];
        assert_eq!(elect(&mut client, election_type, None), (ErrorCode::NONE, all.to_vec()));
    }
    let bad = ErrorCode::INVALID_REQUEST;
    let told = elect(&mut client, 2, Some(&[("a", &[0])]));
    assert_eq!(told, (bad, vec![("a".to_owned(), vec![(0, bad)])]));
    assert_eq!(elect(&mut client, -1, None), (bad, vec![]));
    assert_eq!(elect(&mut client, -1, Some(&[])), (ErrorCode::NONE, vec![]));
}

#[test]
fn reassignments() {
    use ErrorCode as E;
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 1, &[]);
    type Row = (&'static str, i32, Option<&'static [i32]>, ErrorCode);
    let table: [Row; 7] = [
        ("a", 0, Some(&[1]), E::NONE),
        ("a", 0, None, E::NO_REASSIGNMENT_IN_PROGRESS),
        ("a", 0, Some(&[]), E::INVALID_REPLICA_ASSIGNMENT),
        ("a", 0, Some(&[1, 2]), E::INVALID_REPLICA_ASSIGNMENT),
        ("a", 0, Some(&[1, 1]), E::INVALID_REPLICA_ASSIGNMENT),
        ("a", 1, Some(&[1]), E::UNKNOWN_TOPIC_OR_PARTITION),
        ("nope", 0, None, E::UNKNOWN_TOPIC_OR_PARTITION),
    ];
    for (name, partition_index, replicas, expected) in table {
        let replicas = replicas.map(<[i32]>::to_vec);
        let partitions = vec![ReassignablePartition { partition_index, replicas }];
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic { name, partitions }],
            ..Default::default()
        };
        let answer = client.call(ApiKey::AlterPartitionReassignments, 1, &request);
        let response: AlterPartitionReassignmentsResponse<'_> = answer.message();
        let told = response.responses[0].partitions[0].error_code;
        assert_eq!((response.error_code, told), (E::NONE, expected), "{name} {partition_index}");
    }
    assert_eq!(client.append("a", &batch(&[b"v"])), 0, "the partition goes on");
}

fn quorum_codes(client: &mut Client, asked: &[(&'static str, &[i32])]) -> Vec<ErrorCode> {
    let topics = asked.iter().map(|(topic_name, numbers)| TopicData {
        topic_name,
        partitions: numbers.iter().map(|n| PartitionData { partition_index: *n }).collect(),
    });
    let request = DescribeQuorumRequest { topics: topics.collect() };
    let answer = client.call(ApiKey::DescribeQuorum, 2, &request);
    let response: DescribeQuorumResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::NONE);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error_code).collect()
}

#[test]
fn the_quorum_is_this_node() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let metadata = "__cluster_metadata";
    let mut end_offsets = vec![];
    for name in ["a", "b"] {
        let partitions = vec![PartitionData { partition_index: 0 }];
        let request =
            DescribeQuorumRequest { topics: vec![TopicData { topic_name: metadata, partitions }] };
        let answer = client.call(ApiKey::DescribeQuorum, 2, &request);
        let response: DescribeQuorumResponse<'_> = answer.message();
        let told = &response.topics[0].partitions[0];
        assert_eq!((told.leader_id, told.leader_epoch, told.observers.len()), (1, 1, 0));
        let voter = &told.current_voters[0];
        assert_eq!((voter.replica_id, voter.replica_directory_id), (1, Uuid::ZERO));
        assert_eq!(voter.log_end_offset, told.high_watermark);
        assert!(voter.last_caught_up_timestamp > 0);
        assert_eq!(response.nodes[0].node_id, 1);
        end_offsets.push(told.high_watermark);
        client.create_topic(name, 1, &[]);
    }
    assert!(end_offsets[0] < end_offsets[1]);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let mut told = |asked: &[(&'static str, &[i32])]| quorum_codes(&mut client, asked);
    assert_eq!(told(&[]), []);
    assert_eq!(told(&[(metadata, &[1])]), [unknown]);
    assert_eq!(told(&[(metadata, &[0, 0])]), [unknown; 2]);
    assert_eq!(told(&[(metadata, &[0]), ("a", &[0])]), [unknown; 2]);
}

const ELR: &str = "eligible.leader.replicas.version";

/// The level of [`ELR`] that clients are told, 0 when it is off.
fn level(client: &mut Client) -> i16 {
    let request = ApiVersionsRequest { client_software_name: "test", client_software_version: "1" };
    let answer = client.call(ApiKey::ApiVersions, 4, &request);
    let response: ApiVersionsResponse<'_> = answer.message();
    let told = response.finalized_features.iter().find(|feature| feature.name == ELR);
    told.map_or(0, |feature| feature.max_version_level)
}

#[test]
fn features_go_up_and_down() {
    use ErrorCode as E;
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    let mut update = |features: &[(&'static str, i16, i8)], validate_only| {
        let updates = features.iter().map(|(feature, level, upgrade_type)| FeatureUpdateKey {
            feature,
            max_version_level: *level,
            upgrade_type: *upgrade_type,
            ..Default::default()
        });
        let feature_updates = updates.collect();
        let request =
            UpdateFeaturesRequest { feature_updates, validate_only, ..Default::default() };
        let answer = client.call(ApiKey::UpdateFeatures, 2, &request);
        let response: UpdateFeaturesResponse<'_> = answer.message();
        (response.error_code, level(&mut client))
    };
    let bad = E::INVALID_UPDATE_VERSION;
    assert_eq!(update(&[(ELR, 0, 2)], true), (E::NONE, 1));
    assert_eq!(update(&[(ELR, 0, 2), ("nope", 1, 1)], false), (bad, 1));
    assert_eq!(update(&[(ELR, 0, 1)], false), (bad, 1));
    assert_eq!(update(&[(ELR, 0, 9)], false), (bad, 1));
    assert_eq!(update(&[("metadata.version", 29, 2)], false), (bad, 1));
    assert_eq!(update(&[(ELR, 0, 2)], false), (E::NONE, 0));
    broker.restart();
    assert_eq!(level(&mut broker.client()), 0);
}

#[test]
fn consumer_groups_are_served_while_their_feature_is_on() {
    use ErrorCode as E;
    fn beat(broker: &TestBroker) -> E {
        let mut client = broker.client();
        crate::groups::find(&mut client, "g");
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "g",
            member_id: "m",
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec!["t"]),
            topic_partitions: Some(vec![]),
            ..Default::default()
        };
        let begun = Instant::now();
        loop {
            let answer = client.call(ApiKey::ConsumerGroupHeartbeat, 1, &request);
            let response: ConsumerGroupHeartbeatResponse<'_> = answer.message();
            // The group's partition may still be on its way.
            if response.error_code != E::COORDINATOR_NOT_AVAILABLE
                && response.error_code != E::COORDINATOR_LOAD_IN_PROGRESS
            {
                return response.error_code;
            }
            assert!(begun.elapsed() < PATIENCE, "{:?}", response.error_code);
        }
    }
    let mut broker = TestBroker::start();
    assert_eq!(beat(&broker), E::NONE, "a new cluster has it");
    for (max_version_level, upgrade_type, expected) in
        [(0, 2, E::UNSUPPORTED_VERSION), (1, 1, E::NONE), (0, 2, E::UNSUPPORTED_VERSION)]
    {
        let update = FeatureUpdateKey {
            feature: "group.version",
            max_version_level,
            upgrade_type,
            ..Default::default()
        };
        let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
        let answer = broker.client().call(ApiKey::UpdateFeatures, 2, &request);
        assert_eq!(answer.message::<UpdateFeaturesResponse<'_>>().error_code, E::NONE);
        assert_eq!(beat(&broker), expected, "level {max_version_level}");
    }
    broker.restart();
    assert_eq!(beat(&broker), E::UNSUPPORTED_VERSION, "after a restart");
}

#[test]
fn brokers_are_unregistered_that_are_not_here() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 1, &[]);
    for (broker_id, code) in [
        (7, ErrorCode::BROKER_ID_NOT_REGISTERED),
        (-1, ErrorCode::BROKER_ID_NOT_REGISTERED),
        (1, ErrorCode::INVALID_REQUEST),
    ] {
        let request = UnregisterBrokerRequest { broker_id };
        let answer = client.call(ApiKey::UnregisterBroker, 0, &request);
        let response: UnregisterBrokerResponse<'_> = answer.message();
        assert_eq!(response.error_code, code, "{broker_id}");
    }
    assert_eq!(client.append("a", &batch(&[b"v"])), 0, "the broker goes on");
}

#[test]
fn producers_are_described() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 1, &[]);
    let options = BatchOptions { producer_id: 5, producer_epoch: 3, ..Default::default() };
    client.append("a", &batch_of(BatchOptions { base_sequence: 0, ..options }, &[b"v", b"w"]));
    let mut ask = |name: &'static str, partition: i32| {
        let topic = TopicRequest { name, partition_indexes: vec![partition] };
        let request = DescribeProducersRequest { topics: vec![topic] };
        let answer = client.call(ApiKey::DescribeProducers, 0, &request);
        let response: DescribeProducersResponse<'_> = answer.message();
        let told = &response.topics[0].partitions[0];
        let producers = told.active_producers.iter().map(|producer| {
            assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
            assert!(producer.last_timestamp > 0);
            (producer.producer_id, producer.producer_epoch, producer.last_sequence)
        });
        (told.error_code, producers.collect::<Vec<_>>())
    };
    assert_eq!(ask("a", 0), (ErrorCode::NONE, vec![(5, 3, 1)]));
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let invalid = ErrorCode::INVALID_TOPIC_EXCEPTION;
    for (name, partition, code) in
        [("a", 1, unknown), ("a", -1, unknown), ("nope", 0, unknown), ("", 0, invalid)]
    {
        assert_eq!(ask(name, partition), (code, vec![]), "{name} {partition}");
    }
}

#[test]
fn acls_of_no_kind_close_the_connection() {
    let broker = TestBroker::start();
    // A filter, and the place of the number that is to be 0.
    for place in 0..4 {
        let number = |at| if at == place { 0 } else { 1 };
        let mut client = broker.client();
        let request = DescribeAclsRequest {
            resource_type_filter: number(0),
            pattern_type_filter: number(1),
            operation: number(2),
            permission_type: number(3),
            ..Default::default()
        };
        client.send(ApiKey::DescribeAcls, 3, &request);
        client.assert_closed("DescribeAcls");
        let mut client = broker.client();
        let creation = AclCreation {
            resource_type: number(0),
            resource_pattern_type: number(1),
            operation: number(2),
            permission_type: number(3),
            ..Default::default()
        };
        client.send(ApiKey::CreateAcls, 3, &CreateAclsRequest { creations: vec![creation] });
        client.assert_closed("CreateAcls");
        let mut client = broker.client();
        let filter = DeleteAclsFilter {
            resource_type_filter: number(0),
            pattern_type_filter: number(1),
            operation: number(2),
            permission_type: number(3),
            ..Default::default()
        };
        client.send(ApiKey::DeleteAcls, 3, &DeleteAclsRequest { filters: vec![filter] });
        client.assert_closed("DeleteAcls");
    }
}
