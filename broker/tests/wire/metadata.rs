//! Metadata, and the topics that asking for them makes.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ottla_protocol::uuid::Uuid;

use crate::harness::{Answer, Client, TestBroker, batch};

fn named(name: &str) -> MetadataRequestTopic<'_> {
    MetadataRequestTopic { name: Some(name), ..Default::default() }
}

fn ask(client: &mut Client, version: i16, names: &[&str]) -> Answer {
    let topics = Some(names.iter().map(|name| named(name)).collect());
    client.call(ApiKey::Metadata, version, &MetadataRequest { topics, ..Default::default() })
}

/// Name, error and number of partitions of each topic, by name.
fn told<'a>(answer: &'a Answer) -> Vec<(&'a str, ErrorCode, usize)> {
    let response: MetadataResponse<'a> = answer.message();
    let topics = response.topics.iter();
    let mut told: Vec<_> = topics
        .map(|topic| (topic.name.unwrap_or("null"), topic.error_code, topic.partitions.len()))
        .collect();
    told.sort_unstable_by_key(|(name, ..)| *name);
    told
}

#[test]
fn all_topics_and_none() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a", 1, &[]);
    client.create_topic("b", 2, &[]);
    let all = [("a", ErrorCode::NONE, 1), ("b", ErrorCode::NONE, 2)];
    assert_eq!(told(&ask(&mut client, 0, &[])), all, "in version 0 nothing asks for all");
    for version in 1..=13 {
        let null = MetadataRequest { topics: None, ..Default::default() };
        assert_eq!(told(&client.call(ApiKey::Metadata, version, &null)), all, "{version}");
        assert_eq!(told(&ask(&mut client, version, &[])), [], "{version}");
    }
}

#[test]
fn a_topic_that_is_asked_for_is_made_and_served_at_once() {
    let broker = TestBroker::with(&["num.partitions=3"]);
    let mut client = broker.client();
    for version in 0..=13 {
        let name = format!("made-{version}");
        let answer = ask(&mut client, version, &[&name, &name]);
        assert_eq!(told(&answer), [(&*name, ErrorCode::NONE, 3)], "{version}");
        let response: MetadataResponse<'_> = answer.message();
        assert!(response.topics[0].partitions.iter().all(|partition| partition.leader_id == 1));
        assert_eq!(client.append(&name, &batch(&[b"v"])), 0);
    }
    for n in 0..20 {
        let name = format!("created-{n}");
        client.create_topic(&name, 1, &[]);
        assert_eq!(broker.client().append(&name, &batch(&[b"v"])), 0);
    }
}

#[test]
fn what_cannot_be_made() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("a.b", 1, &[]);
    let long = "x".repeat(250);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let invalid = ErrorCode::INVALID_TOPIC_EXCEPTION;
    for (name, code) in [
        ("a_b", unknown),
        ("", invalid),
        (".", invalid),
        ("..", invalid),
        ("in valid", invalid),
        ("\u{fc}", invalid),
        (&*long, invalid),
        ("__cluster_metadata", unknown),
    ] {
        for version in [1, 12] {
            assert_eq!(told(&ask(&mut client, version, &[name])), [(name, code, 0)]);
        }
    }
    let request = MetadataRequest {
        topics: Some(vec![named("not-made"), named("in valid")]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let expected = [("in valid", invalid, 0), ("not-made", unknown, 0)];
    assert_eq!(told(&client.call(ApiKey::Metadata, 12, &request)), expected);
    assert_eq!(told(&ask(&mut client, 0, &[])), [("a.b", ErrorCode::NONE, 1)]);
}

#[test]
fn the_groups_topic_is_made_with_its_own_settings() {
    let broker = TestBroker::with(&["offsets.topic.num.partitions=7"]);
    let mut client = broker.client();
    let made = [("__consumer_offsets", ErrorCode::NONE, 7)];
    assert_eq!(told(&ask(&mut client, 12, &["__consumer_offsets"])), made);
}

#[test]
fn nothing_is_made_when_it_is_switched_off() {
    let broker = TestBroker::with(&["auto.create.topics.enable=false"]);
    let mut client = broker.client();
    for version in 0..=13 {
        let unknown = [("t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0)];
        assert_eq!(told(&ask(&mut client, version, &["t"])), unknown);
        let invalid = [("..", ErrorCode::INVALID_TOPIC_EXCEPTION, 0)];
        assert_eq!(told(&ask(&mut client, version, &[".."])), invalid);
    }
    assert_eq!(told(&ask(&mut client, 0, &[])), []);
}

#[test]
fn topics_by_id() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[]);
    let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
    let ask = |client: &mut Client, version, topics| {
        let request = MetadataRequest { topics: Some(topics), ..Default::default() };
        client.call(ApiKey::Metadata, version, &request)
    };
    for version in [12, 13] {
        let unknown = Uuid::ONE;
        let answer = ask(&mut client, version, vec![by_id(id), by_id(unknown), named("x")]);
        let expected = [("null", ErrorCode::UNKNOWN_TOPIC_ID, 0), ("t", ErrorCode::NONE, 1)];
        assert_eq!(told(&answer), expected, "with an id, names alone are not answered");
        let answer = ask(&mut client, version, vec![by_id(Uuid::ZERO)]);
        let response: MetadataResponse<'_> = answer.message();
        assert_eq!(response.topics[0].error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
        assert_eq!((response.brokers.len(), response.controller_id), (0, -1));
    }
    for version in [10, 11] {
        for topic in [by_id(id), by_id(Uuid::ZERO)] {
            let answer = ask(&mut client, version, vec![topic]);
            let response: MetadataResponse<'_> = answer.message();
            let told = &response.topics[0];
            assert_eq!((told.error_code, told.name), (ErrorCode::INVALID_REQUEST, Some("")));
            assert_eq!((response.brokers.len(), response.cluster_id), (0, None));
        }
    }
    // In version 9 a name cannot be null: no request.
    client.send_frame(b"\0\x03\0\x09\0\0\0\x07\xff\xff\0\x02\0\0\x01\0\0\0");
    client.assert_closed("a null name");
}

#[test]
fn who_may_do_what_is_told_when_asked() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    for version in 8..=13 {
        let request = MetadataRequest {
            include_cluster_authorized_operations: version <= 10,
            include_topic_authorized_operations: true,
            ..Default::default()
        };
        let request = MetadataRequest { topics: Some(vec![named("t"), named("..")]), ..request };
        let answer = client.call(ApiKey::Metadata, version, &request);
        let response: MetadataResponse<'_> = answer.message();
        let cluster = if version <= 10 { 0x1fa0 } else { i32::MIN };
        assert_eq!(response.cluster_authorized_operations, cluster);
        let operations: Vec<i32> =
            response.topics.iter().map(|topic| topic.topic_authorized_operations).collect();
        assert_eq!(operations, [0x0df8, i32::MIN]);
    }
}

#[test]
fn the_bytes_of_an_answer() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let answer = ask(&mut client, 13, &[]);
    let mut expected = b"\0\0\0\x01\0\0\0\0\0\x02\0\0\0\x01\x0a127.0.0.1".to_vec();
    expected.extend(i32::from(broker.address().port()).to_be_bytes());
    expected.extend(b"\0\0\x17");
    let (before, after) = answer.bytes.split_at(expected.len());
    assert_eq!(before, expected);
    // 22 characters of a cluster id, controller id 1, no topics, no error, no tagged fields.
    assert_eq!(after[22..], *b"\0\0\0\x01\x01\0\0\0");
}
