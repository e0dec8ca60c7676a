//! Creating, growing, deleting and describing topics.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    CreateTopicsResponse,
};
use ottla_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use ottla_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use ottla_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla_protocol::uuid::Uuid;

use crate::harness::{Client, TestBroker, batch};

fn new_topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic<'_> {
    CreatableTopic { name, num_partitions, replication_factor, ..Default::default() }
}

fn with_config<'a>(name: &'a str, key: &'a str, value: Option<&'a str>) -> CreatableTopic<'a> {
    let configs = vec![CreatableTopicConfig { name: key, value }];
    CreatableTopic { configs, ..new_topic(name, 1, 1) }
}

fn assigned<'a>(name: &'a str, assignments: &[(i32, &[i32])]) -> CreatableTopic<'a> {
    let assignments =
        assignments.iter().map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
            partition_index: *partition_index,
            broker_ids: broker_ids.to_vec(),
        });
    CreatableTopic { assignments: assignments.collect(), ..new_topic(name, -1, -1) }
}

/// Creates topics and checks what an error leaves of the rest of an entry.
fn create(
    client: &mut Client,
    topics: Vec<CreatableTopic<'_>>,
    validate_only: bool,
) -> Vec<(String, ErrorCode)> {
    let request = CreateTopicsRequest { topics, validate_only, ..Default::default() };
    let answer = client.call(ApiKey::CreateTopics, 7, &request);
    let response: CreateTopicsResponse<'_> = answer.message();
    for topic in &response.topics {
        assert_eq!(topic.error_code == ErrorCode::NONE, topic.topic_id != Uuid::ZERO);
        if topic.error_code != ErrorCode::NONE {
            assert_eq!((topic.num_partitions, topic.replication_factor), (-1, -1));
            assert_eq!(topic.configs.as_ref().map(Vec::len), Some(0));
            assert!(topic.error_message.is_some_and(|message| !message.is_empty()));
        }
    }
    response.topics.iter().map(|topic| (topic.name.to_owned(), topic.error_code)).collect()
}

fn names(client: &mut Client) -> Vec<String> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = client.call(ApiKey::Metadata, 12, &request);
    let response: MetadataResponse<'_> = answer.message();
    let mut names: Vec<String> =
        response.topics.iter().map(|topic| topic.name.unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn topics_that_are_refused() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a.b", 1, &[]);
    let long = "x".repeat(250);
    let invalid = ErrorCode::INVALID_TOPIC_EXCEPTION;
    let assignment = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    let mixed = CreatableTopic { num_partitions: 1, ..assigned("t", &[(0, &[1])]) };
    let also_mixed = CreatableTopic { replication_factor: 1, ..assigned("t", &[(0, &[1])]) };
    let table = [
        (new_topic("__cluster_metadata", 1, 1), ErrorCode::INVALID_REQUEST),
        (new_topic("", 1, 1), invalid),
        (new_topic(".", 1, 1), invalid),
        (new_topic("..", 1, 1), invalid),
        (new_topic("in/valid", 1, 1), invalid),
        (new_topic("nul\0", 1, 1), invalid),
        (new_topic(&long, 1, 1), invalid),
        (new_topic("a_b", 1, 1), invalid),
        (new_topic("a.b", 1, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (with_config("t", "retention.ms", None), ErrorCode::INVALID_CONFIG),
        (with_config("t", "no.such.key", Some("1")), ErrorCode::INVALID_CONFIG),
        (with_config("t", "retention.ms", Some("long")), ErrorCode::INVALID_CONFIG),
        (with_config("t", "compression.type", Some("brotli")), ErrorCode::INVALID_CONFIG),
        (with_config("t", "segment.bytes", Some("1000")), ErrorCode::INVALID_CONFIG),
        (mixed, ErrorCode::INVALID_REQUEST),
        (also_mixed, ErrorCode::INVALID_REQUEST),
        (assigned("t", &[(0, &[1]), (0, &[1])]), assignment),
        (assigned("t", &[(1, &[1])]), assignment),
        (assigned("t", &[(-1, &[1])]), assignment),
        (assigned("t", &[(0, &[7])]), assignment),
        (assigned("t", &[(0, &[1, 1])]), assignment),
        (assigned("t", &[(0, &[])]), assignment),
        (new_topic("t", 1, 0), ErrorCode::INVALID_REPLICATION_FACTOR),
        (new_topic("t", 1, -2), ErrorCode::INVALID_REPLICATION_FACTOR),
        (new_topic("t", 1, 2), ErrorCode::INVALID_REPLICATION_FACTOR),
        (new_topic("t", 0, 1), ErrorCode::INVALID_PARTITIONS),
        (new_topic("t", -2, 1), ErrorCode::INVALID_PARTITIONS),
        (new_topic("t", i32::MIN, 1), ErrorCode::INVALID_PARTITIONS),
        (new_topic("t", 10_001, 1), ErrorCode::POLICY_VIOLATION),
        (new_topic("t", i32::MAX, 1), ErrorCode::POLICY_VIOLATION),
    ];
    for (topic, code) in table {
        for validate_only in [true, false] {
            let expected = vec![(topic.name.to_owned(), code)];
            let told = create(&mut client, vec![topic.clone()], validate_only);
            assert_eq!(told, expected, "{topic:?}");
        }
    }
    let twice = vec![new_topic("t", 1, 1), new_topic("u", 1, 1), new_topic("t", 1, 1)];
    let mut told = create(&mut client, twice, false);
    told.sort_unstable_by_key(|(name, _)| name.clone());
    let expected =
        [("t".to_owned(), ErrorCode::INVALID_REQUEST), ("u".to_owned(), ErrorCode::NONE)];
    assert_eq!(told, expected);
    assert_eq!(names(&mut client), ["a.b", "u"], "what is refused leaves nothing");
}

#[test]
fn topics_that_are_made() {
    let broker = TestBroker::with(&["num.partitions=3"]);
    let mut client = broker.client();
    let table = [
        (new_topic("defaults", -1, -1), 3),
        (new_topic("__x", 2, 1), 2),
        (with_config("neither", "cleanup.policy", Some("")), 1),
        (with_config("small", "internal.segment.bytes", Some("1000")), 1),
        (assigned("assigned", &[(1, &[1]), (0, &[1])]), 2),
    ];
    for (topic, partitions) in table {
        for validate_only in [true, false] {
            let topics = vec![topic.clone()];
            let request = CreateTopicsRequest { topics, validate_only, ..Default::default() };
            let answer = client.call(ApiKey::CreateTopics, 7, &request);
            let response: CreateTopicsResponse<'_> = answer.message();
            let told = &response.topics[0];
            assert_eq!(told.error_code, ErrorCode::NONE, "{topic:?}: {:?}", told.error_message);
            assert_eq!((told.num_partitions, told.replication_factor), (partitions, 1));
            assert!(!told.topic_id.is_zero());
            let configs = told.configs.as_ref().unwrap();
            for set in &topic.configs {
                let shown = configs.iter().find(|config| config.name == set.name).unwrap();
                assert_eq!((shown.value, shown.config_source), (set.value, 1));
            }
            assert_eq!(names(&mut client).contains(&topic.name.to_owned()), !validate_only);
        }
        assert_eq!(client.append(topic.name, &batch(&[b"v"])), 0);
    }
}

fn delete(client: &mut Client, topics: Vec<DeleteTopicState<'_>>) -> Vec<ErrorCode> {
    let request = DeleteTopicsRequest { topics, ..Default::default() };
    let answer = client.call(ApiKey::DeleteTopics, 6, &request);
    let response: DeleteTopicsResponse<'_> = answer.message();
    let mut codes: Vec<ErrorCode> = response.responses.iter().map(|told| told.error_code).collect();
    codes.sort_unstable_by_key(|code| code.0);
    codes
}

#[test]
fn deleting() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let by_name = |name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO };
    let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
    let id = client.create_topic("a", 1, &[]);
    let both = DeleteTopicState { name: Some("a"), topic_id: id };
    for (topics, code) in [
        (vec![both], ErrorCode::INVALID_REQUEST),
        (vec![by_id(Uuid::ZERO)], ErrorCode::INVALID_REQUEST),
        (vec![by_name("a"), by_name("a")], ErrorCode::INVALID_REQUEST),
        (vec![by_name("a"), by_id(id)], ErrorCode::INVALID_REQUEST),
        (vec![by_name("unknown")], ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (vec![by_id(Uuid::ONE)], ErrorCode::UNKNOWN_TOPIC_ID),
    ] {
        assert_eq!(delete(&mut client, topics.clone()), [code], "{topics:?}");
    }
    client.append("a", &batch(&[b"v"]));
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(delete(&mut client, vec![by_id(id), by_name("x")]), [ErrorCode::NONE, unknown]);
    assert_eq!(client.produce("a", &batch(&[b"v"])).code, unknown);
    assert_eq!(client.fetch("a", 0).code, unknown);
    assert!(!broker.dir().join("a-0").exists(), "its directory has another name at once");
    // The same name is another topic.
    assert_ne!(client.create_topic("a", 1, &[]), id);
    assert_eq!(client.append("a", &batch(&[b"v"])), 0);
}

#[test]
fn deleting_may_be_switched_off() {
    let broker = TestBroker::with(&["delete.topic.enable=false"]);
    let mut client = broker.client();
    client.create_topic("a", 1, &[]);
    for version in 1..=6 {
        let mut request = DeleteTopicsRequest::default();
        if version < 6 {
            request.topic_names = vec!["a"];
        } else {
            request.topics = vec![DeleteTopicState { name: Some("a"), ..Default::default() }];
        }
        let answer = client.call(ApiKey::DeleteTopics, version, &request);
        let response: DeleteTopicsResponse<'_> = answer.message();
        let old = version < 3;
        let code =
            if old { ErrorCode::INVALID_REQUEST } else { ErrorCode::TOPIC_DELETION_DISABLED };
        assert_eq!(response.responses[0].error_code, code, "{version}");
    }
    assert_eq!(names(&mut client), ["a"]);
}

/// Name, number of partitions, and the brokers of those that are new.
type Growth<'a> = (&'a str, i32, Option<&'a [&'a [i32]]>);

fn grow(client: &mut Client, topics: &[Growth<'_>], validate_only: bool) -> Vec<ErrorCode> {
    let topics = topics.iter().map(|(name, count, brokers)| {
        let assignment = |ids: &&[i32]| CreatePartitionsAssignment { broker_ids: ids.to_vec() };
        let assignments = brokers.map(|brokers| brokers.iter().map(assignment).collect());
        CreatePartitionsTopic { name, count: *count, assignments }
    });
    let topics = topics.collect();
    let request = CreatePartitionsRequest { topics, timeout_ms: 1000, validate_only };
    let answer = client.call(ApiKey::CreatePartitions, 3, &request);
    let response: CreatePartitionsResponse<'_> = answer.message();
    response.results.iter().map(|told| told.error_code).collect()
}

#[test]
fn growing() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 2, &[]);
    let invalid = ErrorCode::INVALID_PARTITIONS;
    let assignment = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    for (name, count, brokers, code) in [
        ("unknown", 3, None, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("t", 2, None, invalid),
        ("t", 1, None, invalid),
        ("t", 0, None, invalid),
        ("t", i32::MIN, None, invalid),
        ("t", 4, Some(&[&[1][..]][..]), assignment),
        ("t", 3, Some(&[&[1][..], &[1]]), assignment),
        ("t", 3, Some(&[&[7]]), assignment),
        ("t", 3, Some(&[&[1, 1]]), assignment),
        ("t", 3, Some(&[&[]]), assignment),
    ] {
        assert_eq!(grow(&mut client, &[(name, count, brokers)], false), [code], "{name} {count}");
    }
    let huge = grow(&mut client, &[("t", i32::MAX, None)], false);
    assert_ne!(huge, [ErrorCode::NONE]);
    let twice = grow(&mut client, &[("t", 3, None), ("t", 4, None)], false);
    assert_eq!(twice, [ErrorCode::INVALID_REQUEST]);
    assert_eq!(grow(&mut client, &[("t", 4, None)], true), [ErrorCode::NONE]);
    assert!(!broker.dir().join("t-2").exists());
    let grown = grow(&mut client, &[("t", 4, Some(&[&[1], &[1]]))], false);
    assert_eq!(grown, [ErrorCode::NONE]);
    assert!(broker.dir().join("t-3").exists());
}

/// Topics with their errors and partitions, and where the next page begins.
type Page = (Vec<(String, ErrorCode, Vec<i32>)>, Option<(String, i32)>);

fn page(client: &mut Client, topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> Page {
    let request = DescribeTopicPartitionsRequest {
        topics: topics.iter().map(|name| TopicRequest { name }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(topic_name, partition_index)| Cursor { topic_name, partition_index }),
    };
    let answer = client.call(ApiKey::DescribeTopicPartitions, 0, &request);
    let response: DescribeTopicPartitionsResponse<'_> = answer.message();
    let topics = response.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
        (topic.name.unwrap().to_owned(), topic.error_code, partitions.collect())
    });
    let next = response.next_cursor.as_ref();
    (topics.collect(), next.map(|cursor| (cursor.topic_name.to_owned(), cursor.partition_index)))
}

#[test]
fn describing_in_pages() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for (name, partitions) in [("b", 3), ("a", 2), ("c", 1)] {
        client.create_topic(name, partitions, &[]);
    }
    for (topics, limit) in [(&[][..], 1), (&[], 2), (&["c", "a", "b"], 4), (&[], 100)] {
        let (mut told, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let at = cursor.as_ref().map(|(name, index): &(String, i32)| (&**name, *index));
            let (topics, next) = page(&mut client, topics, limit, at);
            let count: usize = topics.iter().map(|(.., partitions)| partitions.len()).sum();
            assert!(count <= limit as usize);
            for (name, code, partitions) in topics {
                assert_eq!(code, ErrorCode::NONE);
                told.extend(partitions.iter().map(|index| format!("{name}{index}")));
            }
            pages += 1;
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(told, ["a0", "a1", "b0", "b1", "b2", "c0"], "{limit}");
        assert!(pages >= 6 / limit && pages < 8);
    }
    // A limit below 1 is 1.
    assert_eq!(page(&mut client, &["b"], 0, None).1, Some(("b".to_owned(), 1)));
    let (told, next) = page(&mut client, &["x", "..", "a"], 10, None);
    let expected = [
        ("..".to_owned(), ErrorCode::INVALID_TOPIC_EXCEPTION, vec![]),
        ("a".to_owned(), ErrorCode::NONE, vec![0, 1]),
        ("x".to_owned(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, vec![]),
    ];
    assert_eq!((told, next), (expected.to_vec(), None));
    for cursor in [("z", 0), ("a", -1)] {
        let (told, next) = page(&mut client, &["a", "b"], 10, Some(cursor));
        assert!(told.iter().all(|(_, code, _)| *code == ErrorCode::INVALID_REQUEST));
        assert_eq!(next, None);
    }
}

#[test]
fn clusters_are_described_by_brokers_for_clients() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let mismatched = ErrorCode::MISMATCHED_ENDPOINT_TYPE;
    for (version, endpoint_type, code) in [
        (1, 2, mismatched),
        (2, 2, mismatched),
        (1, 0, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE),
        (2, -1, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE),
    ] {
        let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
        let answer = client.call(ApiKey::DescribeCluster, version, &request);
        let response: DescribeClusterResponse<'_> = answer.message();
        assert_eq!((response.error_code, response.cluster_id), (code, ""));
        assert_eq!((response.controller_id, response.endpoint_type), (-1, 1));
    }
}

#[test]
fn this_broker_coordinates_groups_and_no_transactions() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for (key_type, code) in [
        (0, ErrorCode::NONE),
        (1, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        (9, ErrorCode::INVALID_REQUEST),
    ] {
        let request = FindCoordinatorRequest {
            key_type,
            coordinator_keys: vec!["a", "b"],
            ..Default::default()
        };
        let answer = client.call(ApiKey::FindCoordinator, 4, &request);
        let response: FindCoordinatorResponse<'_> = answer.message();
        let told: Vec<_> =
            response.coordinators.iter().map(|told| (told.key, told.error_code)).collect();
        assert_eq!(told, [("a", code), ("b", code)]);
    }
}

#[test]
fn producer_ids_are_never_given_twice() {
    let mut broker = TestBroker::start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut client = broker.client();
        for _ in 0..3 {
            let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
            let answer = client.call(ApiKey::InitProducerId, 4, &request);
            let response: InitProducerIdResponse = answer.message();
            assert_eq!((response.error_code, response.producer_epoch), (ErrorCode::NONE, 0));
            ids.push(response.producer_id);
        }
        broker.restart();
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let mut client = broker.client();
    for (transactional_id, producer_id, code) in [
        (Some(""), -1, ErrorCode::INVALID_REQUEST),
        (None, 5, ErrorCode::INVALID_REQUEST),
        (Some("x"), -1, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    ] {
        let request = InitProducerIdRequest { transactional_id, producer_id, ..Default::default() };
        let answer = client.call(ApiKey::InitProducerId, 4, &request);
        let response: InitProducerIdResponse = answer.message();
        assert_eq!(response.error_code, code);
        assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
    }
}
