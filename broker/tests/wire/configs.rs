//! DescribeConfigs.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};

use crate::harness::{Answer, Client, TestBroker};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

fn describe(client: &mut Client, kind: i8, name: &str, keys: Option<Vec<&str>>) -> Answer {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: keys,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    client.call(ApiKey::DescribeConfigs, 4, &request)
}

#[test]
fn topics_and_where_their_values_come_from() {
    let broker = TestBroker::with(&["log.flush.interval.messages=500"]);
    let mut client = broker.client();
    client.create_topic("t", 1, &[("max.message.bytes", "2000")]);
    for (key, value, source, synonyms) in [
        ("max.message.bytes", "2000", 1, &[("max.message.bytes", 1), ("message.max.bytes", 5)][..]),
        (
            "flush.messages",
            "500",
            4,
            &[("log.flush.interval.messages", 4), ("log.flush.interval.messages", 5)],
        ),
        ("segment.index.bytes", "10485760", 5, &[("log.index.size.max.bytes", 5)]),
    ] {
        let answer = describe(&mut client, TOPIC, "t", Some(vec![key, "unknown"]));
        let response: DescribeConfigsResponse<'_> = answer.message();
        let result = &response.results[0];
        assert_eq!((result.error_code, result.configs.len()), (ErrorCode::NONE, 1), "{key}");
        let told = &result.configs[0];
        assert_eq!((told.name, told.value, told.config_source), (key, Some(value), source));
        assert!(!told.read_only && !told.is_sensitive && told.documentation.is_some());
        let found: Vec<(&str, i8)> =
            told.synonyms.iter().map(|synonym| (synonym.name, synonym.source)).collect();
        assert_eq!(found, synonyms, "{key}");
    }
    for keys in [None, Some(vec![])] {
        let answer = describe(&mut client, TOPIC, "t", keys);
        let response: DescribeConfigsResponse<'_> = answer.message();
        assert!(response.results[0].configs.len() > 25);
    }
}

#[test]
fn brokers() {
    let broker = TestBroker::with(&["num.partitions=7", "made.up.key=secret"]);
    let mut client = broker.client();
    let answer = describe(&mut client, BROKER, "1", None);
    let response: DescribeConfigsResponse<'_> = answer.message();
    let configs = &response.results[0].configs;
    let find = |key| configs.iter().find(|config| config.name == key).unwrap();
    let partitions = find("num.partitions");
    assert_eq!((partitions.value, partitions.config_source), (Some("7"), 4));
    assert!(partitions.read_only);
    assert!(!find("message.max.bytes").read_only);
    let made_up = find("made.up.key");
    assert_eq!((made_up.value, made_up.is_sensitive), (None, true));
    let answer = describe(&mut client, BROKER, "", None);
    let response: DescribeConfigsResponse<'_> = answer.message();
    // A new cluster sets one key for all brokers, so that ELR can rely on it (KIP-966).
    let set: Vec<_> =
        response.results[0].configs.iter().map(|told| (told.name, told.value)).collect();
    assert_eq!(set, [("min.insync.replicas", Some("1"))]);
}

#[test]
fn a_new_cluster_begins_with_its_nodes_setting() {
    let mut broker = TestBroker::with(&["min.insync.replicas=2"]);
    broker.client().create_topic("t", 1, &[]);
    for _ in 0..2 {
        for (kind, name) in [(BROKER, ""), (TOPIC, "t")] {
            let keys = Some(vec!["min.insync.replicas"]);
            let answer = describe(&mut broker.client(), kind, name, keys);
            let response: DescribeConfigsResponse<'_> = answer.message();
            let told = &response.results[0].configs[0];
            assert_eq!((told.value, told.config_source), (Some("2"), 3), "{kind}");
        }
        broker.restart();
    }
}

#[test]
fn what_there_is_not() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for (kind, name, code) in [
        (TOPIC, "unknown", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "in valid", ErrorCode::INVALID_TOPIC_EXCEPTION),
        (BROKER, "2", ErrorCode::INVALID_REQUEST),
        (BROKER, "one", ErrorCode::INVALID_REQUEST),
        (1, "x", ErrorCode::INVALID_REQUEST),
        (-1, "x", ErrorCode::INVALID_REQUEST),
    ] {
        let answer = describe(&mut client, kind, name, None);
        let response: DescribeConfigsResponse<'_> = answer.message();
        let told = &response.results[0];
        assert_eq!((told.error_code, told.configs.len()), (code, 0), "{kind} {name}");
        assert_eq!((told.resource_type, told.resource_name), (kind, name));
    }
    let answer = describe(&mut client, GROUP, "any", None);
    let response: DescribeConfigsResponse<'_> = answer.message();
    assert_eq!(response.results[0].configs.len(), 17);
}

#[test]
fn other_resources() {
    let broker = TestBroker::with(&["listener.name.plaintext.ssl.key.password=secret"]);
    let mut client = broker.client();
    for (kind, name, count) in [(METRICS, "none", 3), (LOGGER, "1", 7), (GROUP, "any", 17)] {
        let answer = describe(&mut client, kind, name, None);
        let response: DescribeConfigsResponse<'_> = answer.message();
        let told = &response.results[0];
        assert_eq!((told.error_code, told.configs.len()), (ErrorCode::NONE, count), "{kind}");
        assert!(told.configs.iter().all(|config| !config.read_only && config.value.is_some()));
    }
    let answer = describe(&mut client, METRICS, "none", Some(vec!["interval.ms"]));
    let response: DescribeConfigsResponse<'_> = answer.message();
    let told = &response.results[0].configs[0];
    assert_eq!((told.value, told.config_source, told.config_type), (Some("300000"), 5, 3));
    assert!(told.synonyms.is_empty() && told.documentation.is_some());
    let answer = describe(&mut client, LOGGER, "1", Some(vec!["root", "unknown"]));
    let response: DescribeConfigsResponse<'_> = answer.message();
    let told = &response.results[0].configs;
    assert_eq!((told.len(), told[0].name, told[0].config_source), (1, "root", 6));
    let secret = "listener.name.plaintext.ssl.key.password";
    let answer = describe(&mut client, BROKER, "1", Some(vec![secret]));
    let response: DescribeConfigsResponse<'_> = answer.message();
    let told = &response.results[0].configs[0];
    assert_eq!((told.value, told.is_sensitive, told.config_type), (None, true, 9));
    assert!(told.synonyms.iter().all(|synonym| synonym.value.is_none()));
    for (kind, name) in [(METRICS, ""), (GROUP, ""), (LOGGER, ""), (LOGGER, "2"), (LOGGER, "x")] {
        let answer = describe(&mut client, kind, name, None);
        let response: DescribeConfigsResponse<'_> = answer.message();
        let told = &response.results[0];
        let expected = (ErrorCode::INVALID_REQUEST, 0);
        assert_eq!((told.error_code, told.configs.len()), expected, "{kind} {name}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    for version in 1..=4 {
        for asked in [false, true] {
            let resource = DescribeConfigsResource {
                resource_type: BROKER,
                resource_name: "1",
                configuration_keys: Some(vec!["num.io.threads"]),
            };
            let request = DescribeConfigsRequest {
                resources: vec![resource],
                include_synonyms: asked,
                include_documentation: asked && version >= 3,
            };
            let answer = client.call(ApiKey::DescribeConfigs, version, &request);
            let response: DescribeConfigsResponse<'_> = answer.message();
            let told = &response.results[0].configs[0];
            assert_eq!(told.synonyms.len(), usize::from(asked), "{version}");
            let is_told = told.documentation.is_some_and(|doc| !doc.is_empty());
            assert_eq!(is_told, asked && version >= 3, "{version}");
            assert_eq!(told.config_type, if version >= 3 { 3 } else { 0 }, "{version}");
        }
    }
}
