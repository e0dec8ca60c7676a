//! IncrementalAlterConfigs, AlterConfigs and ListConfigResources: what is taken, what is refused
//! with Kafka's codes, what acts at once, and what is the same after a restart.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode as E;
use ottla_protocol::messages::alter_configs;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use ottla_protocol::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use crate::groups;
use crate::harness::{Client, PATIENCE, TestBroker, batch};

const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// A key, an operation and a value.
type Step<'a> = (&'a str, i8, Option<&'a str>);
/// A resource and its steps.
type Change<'a> = (i8, &'a str, &'a [Step<'a>]);

fn resource<'a>(change: &Change<'a>) -> AlterConfigsResource<'a> {
    let (resource_type, resource_name, steps) = *change;
    let configs = steps.iter().map(|(name, config_operation, value)| AlterableConfig {
        name,
        config_operation: *config_operation,
        value: *value,
    });
    AlterConfigsResource { resource_type, resource_name, configs: configs.collect() }
}

fn alter_all(client: &mut Client, changes: &[Change<'_>], validate_only: bool) -> Vec<E> {
    let resources = changes.iter().map(resource).collect();
    let request = IncrementalAlterConfigsRequest { resources, validate_only };
    let answer = client.call(ApiKey::IncrementalAlterConfigs, 1, &request);
    let response: IncrementalAlterConfigsResponse<'_> = answer.message();
    for (told, (resource_type, resource_name, _)) in response.responses.iter().zip(changes) {
        assert_eq!((told.resource_type, told.resource_name), (*resource_type, *resource_name));
    }
    response.responses.iter().map(|told| told.error_code).collect()
}

fn alter(client: &mut Client, kind: i8, name: &str, steps: &[Step<'_>]) -> E {
    alter_all(client, &[(kind, name, steps)], false)[0]
}

pub(crate) fn set(client: &mut Client, kind: i8, name: &str, key: &str, value: &str) -> E {
    alter(client, kind, name, &[(key, SET, Some(value))])
}

fn replace(client: &mut Client, kind: i8, name: &str, entries: &[(&str, Option<&str>)]) -> E {
    let configs = entries
        .iter()
        .map(|(name, value)| alter_configs::AlterableConfig { name, value: *value })
        .collect();
    let resource =
        alter_configs::AlterConfigsResource { resource_type: kind, resource_name: name, configs };
    let request =
        alter_configs::AlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.call(ApiKey::AlterConfigs, 2, &request);
    let response: alter_configs::AlterConfigsResponse<'_> = answer.message();
    response.responses[0].error_code
}

/// All that is told of a resource: key, value, source.
fn told(client: &mut Client, kind: i8, name: &str) -> Vec<(String, Option<String>, i8)> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = client.call(ApiKey::DescribeConfigs, 4, &request);
    let response: DescribeConfigsResponse<'_> = answer.message();
    assert_eq!(response.results[0].error_code, E::NONE, "{kind} {name}");
    let configs = response.results[0].configs.iter();
    configs
        .map(|told| (told.name.to_owned(), told.value.map(str::to_owned), told.config_source))
        .collect()
}

fn value(client: &mut Client, kind: i8, name: &str, key: &str) -> (Option<String>, i8) {
    let all = told(client, kind, name);
    let found = all.into_iter().find(|(name, ..)| name == key);
    found.map_or((None, -1), |(_, value, source)| (value, source))
}

fn everything(client: &mut Client) -> Vec<Vec<(String, Option<String>, i8)>> {
    let resources = [(TOPIC, "t"), (BROKER, "1"), (BROKER, ""), (GROUP, "g"), (METRICS, "m")];
    resources.iter().map(|(kind, name)| told(client, *kind, name)).collect()
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[("retention.ms", "5000")]);
    for (kind, name, key, value) in [
        (TOPIC, "t", "segment.bytes", "2000000"),
        (BROKER, "1", "log.retention.ms", "7000"),
        (BROKER, "", "log.segment.bytes", "3000000"),
        (GROUP, "g", "consumer.session.timeout.ms", "50000"),
        (METRICS, "m", "interval.ms", "1000"),
    ] {
        assert_eq!(set(&mut client, kind, name, key, value), E::NONE, "{key}");
    }
    let before = everything(&mut client);
    let huge = "9".repeat(32_000);
    let long = "a".repeat(250);
    for (kind, name, key, value, expected) in [
        (TOPIC, "t", "retention.ms", "x", E::INVALID_CONFIG),
        (TOPIC, "t", "retention.ms", "", E::INVALID_CONFIG),
        (TOPIC, "t", "retention.ms", "-2", E::INVALID_CONFIG),
        (TOPIC, "t", "retention.ms", &huge, E::INVALID_CONFIG),
        (TOPIC, "t", "unknown", "x", E::INVALID_CONFIG),
        (TOPIC, "t", &huge, "x", E::INVALID_CONFIG),
        (TOPIC, "t", "", "x", E::INVALID_CONFIG),
        (TOPIC, "t", "cleanup.policy", "shrink", E::INVALID_CONFIG),
        (TOPIC, "t", "max.message.bytes", "2147483648", E::INVALID_CONFIG),
        (TOPIC, "t", "preallocate", "yes", E::INVALID_CONFIG),
        (TOPIC, "t", "remote.storage.enable", "true", E::INVALID_CONFIG),
        (TOPIC, "", "retention.ms", "1", E::INVALID_REQUEST),
        (TOPIC, "..", "retention.ms", "1", E::INVALID_TOPIC_EXCEPTION),
        (TOPIC, "a b", "retention.ms", "1", E::INVALID_TOPIC_EXCEPTION),
        (TOPIC, &long, "retention.ms", "1", E::INVALID_TOPIC_EXCEPTION),
        (TOPIC, "unknown", "retention.ms", "1", E::UNKNOWN_TOPIC_OR_PARTITION),
        (BROKER, "1", "num.partitions", "3", E::INVALID_REQUEST),
        (BROKER, "1", "log.retention.ms", "x", E::INVALID_REQUEST),
        (BROKER, "1", "log.retention.ms", &huge, E::INVALID_REQUEST),
        (BROKER, "1", "num.io.threads", "17", E::INVALID_REQUEST),
        (BROKER, "1", "max.connections.per.ip.overrides", "x", E::INVALID_REQUEST),
        (BROKER, "1", "min.insync.replicas", "1", E::INVALID_CONFIG),
        (BROKER, "", "cordoned.log.dirs", "*", E::INVALID_REQUEST),
        (BROKER, "2", "log.retention.ms", "1", E::INVALID_REQUEST),
        (BROKER, "one", "log.retention.ms", "1", E::INVALID_REQUEST),
        (GROUP, "g", "consumer.session.timeout.ms", "1", E::INVALID_CONFIG),
        (GROUP, "g", "unknown", "1", E::INVALID_CONFIG),
        (GROUP, "", "consumer.session.timeout.ms", "50000", E::INVALID_REQUEST),
        (METRICS, "m", "interval.ms", "1", E::INVALID_REQUEST),
        (METRICS, "m", "interval.ms", "x", E::INVALID_CONFIG),
        (METRICS, "m", "match", "x", E::INVALID_CONFIG),
        (METRICS, "m", "unknown", "x", E::INVALID_REQUEST),
        (METRICS, "", "interval.ms", "1000", E::INVALID_REQUEST),
        (LOGGER, "1", "unknown", "INFO", E::INVALID_CONFIG),
        (LOGGER, "1", "ottla", "LOUD", E::INVALID_CONFIG),
        (LOGGER, "", "ottla", "INFO", E::INVALID_REQUEST),
        (LOGGER, "2", "ottla", "INFO", E::INVALID_REQUEST),
        (0, "x", "k", "v", E::INVALID_REQUEST),
        (64, "x", "k", "v", E::INVALID_REQUEST),
        (-1, "x", "k", "v", E::INVALID_REQUEST),
    ] {
        let what = (kind, &name[..name.len().min(20)], &key[..key.len().min(40)]);
        assert_eq!(set(&mut client, kind, name, key, value), expected, "{what:?}");
        if kind != LOGGER {
            let replaced = replace(&mut client, kind, name, &[(key, Some(value))]);
            assert_eq!(replaced, expected, "AlterConfigs {what:?}");
        }
    }
    assert_eq!(replace(&mut client, LOGGER, "1", &[("ottla", Some("INFO"))]), E::INVALID_REQUEST);
    assert_eq!(everything(&mut client), before);
    broker.restart();
    assert_eq!(everything(&mut broker.client()), before);
}

#[test]
fn steps_that_make_no_sense() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let before = everything(&mut client);
    let retention: Step<'_> = ("retention.ms", SET, Some("1"));
    for (kind, name, steps, expected) in [
        (TOPIC, "t", &[retention, retention][..], E::INVALID_REQUEST),
        (TOPIC, "t", &[retention, ("retention.ms", DELETE, None)], E::INVALID_REQUEST),
        (TOPIC, "t", &[retention, ("unknown", SET, Some("1"))], E::INVALID_CONFIG),
        (TOPIC, "t", &[("retention.ms", SET, None)], E::INVALID_REQUEST),
        (TOPIC, "t", &[("cleanup.policy", APPEND, None)], E::INVALID_REQUEST),
        (TOPIC, "t", &[("retention.ms", APPEND, Some("1"))], E::INVALID_CONFIG),
        (TOPIC, "t", &[("unknown", SUBTRACT, Some("1"))], E::INVALID_CONFIG),
        (TOPIC, "t", &[("retention.ms", 4, Some("1"))], E::UNKNOWN_SERVER_ERROR),
        (TOPIC, "t", &[("retention.ms", -1, Some("1"))], E::UNKNOWN_SERVER_ERROR),
        (TOPIC, "t", &[("unknown", DELETE, None)], E::NONE),
        (TOPIC, "t", &[], E::NONE),
        (BROKER, "1", &[("num.io.threads", APPEND, Some("1"))], E::INVALID_CONFIG),
        (BROKER, "1", &[("num.io.threads", 5, Some("1"))], E::INVALID_REQUEST),
        (BROKER, "1", &[("num.partitions", DELETE, None)], E::NONE),
        (GROUP, "g", &[("consumer.session.timeout.ms", APPEND, Some("1"))], E::INVALID_CONFIG),
        (METRICS, "m", &[("metrics", APPEND, Some("1"))], E::INVALID_CONFIG),
        (LOGGER, "1", &[("ottla", APPEND, Some("INFO"))], E::INVALID_REQUEST),
        (LOGGER, "1", &[("root", DELETE, None)], E::INVALID_REQUEST),
        (LOGGER, "1", &[("ottla", SET, None)], E::INVALID_REQUEST),
    ] {
        assert_eq!(alter(&mut client, kind, name, steps), expected, "{kind} {steps:?}");
    }
    assert_eq!(everything(&mut client), before);
}

#[test]
fn resources_are_changed_each_for_itself() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.create_topic("u", 1, &[]);
    let (good, bad) = ([("retention.ms", SET, Some("1"))], [("retention.ms", SET, Some("x"))]);
    let changes: [Change<'_>; 5] = [
        (TOPIC, "t", &good),
        (TOPIC, "u", &good),
        (BROKER, "7", &good),
        (TOPIC, "t", &bad),
        (GROUP, "g", &[("consumer.heartbeat.interval.ms", SET, Some("6000"))]),
    ];
    let validated = alter_all(&mut client, &changes, true);
    assert_eq!(value(&mut client, TOPIC, "u", "retention.ms").1, 5);
    let codes = alter_all(&mut client, &changes, false);
    let twice = E::INVALID_REQUEST;
    assert_eq!(codes, [twice, E::NONE, E::INVALID_REQUEST, twice, E::NONE]);
    assert_eq!(validated, codes);
    assert_eq!(value(&mut client, TOPIC, "t", "retention.ms").1, 5);
    assert_eq!(value(&mut client, TOPIC, "u", "retention.ms"), (Some("1".into()), 1));
    assert_eq!(alter_all(&mut client, &[], false), []);
}

#[test]
fn lists_grow_and_shrink_and_keys_go_back() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    for (key, operation, text, expected) in [
        ("cleanup.policy", APPEND, Some("compact"), "delete,compact"),
        ("cleanup.policy", APPEND, Some("compact"), "delete,compact"),
        ("cleanup.policy", SUBTRACT, Some("delete,other"), "compact"),
        ("cleanup.policy", SUBTRACT, Some("compact"), ""),
        ("cleanup.policy", DELETE, None, "delete"),
        ("retention.ms", SET, Some(" 7 "), "7"),
    ] {
        assert_eq!(alter(&mut client, TOPIC, "t", &[(key, operation, text)]), E::NONE);
        assert_eq!(value(&mut client, TOPIC, "t", key).0.as_deref(), Some(expected));
    }
    let replaced = replace(&mut client, TOPIC, "t", &[("segment.bytes", Some("1048576"))]);
    assert_eq!(replaced, E::NONE);
    broker.restart();
    let mut client = broker.client();
    assert_eq!(value(&mut client, TOPIC, "t", "retention.ms"), (Some("604800000".into()), 5));
    assert_eq!(value(&mut client, TOPIC, "t", "segment.bytes"), (Some("1048576".into()), 1));
    assert_eq!(replace(&mut client, TOPIC, "t", &[("retention.ms", None)]), E::INVALID_REQUEST);
    assert_eq!(replace(&mut client, TOPIC, "t", &[]), E::NONE);
    assert_eq!(value(&mut client, TOPIC, "t", "segment.bytes").1, 5);
    client.delete_topic("t");
    client.create_topic("t", 1, &[]);
    assert_eq!(value(&mut client, TOPIC, "t", "segment.bytes").1, 5);
}

#[test]
fn lists_are_edited_from_the_keys_own_default() {
    let broker = TestBroker::with(&["log.cleanup.policy=compact"]);
    let mut client = broker.client();
    for (kind, name, key) in [(TOPIC, "t", "cleanup.policy"), (BROKER, "1", "log.cleanup.policy")] {
        if kind == TOPIC {
            client.create_topic(name, 1, &[]);
        }
        for (operation, expected) in [(APPEND, "delete"), (SUBTRACT, "")] {
            let steps = [(key, operation, Some("delete"))];
            assert_eq!(alter(&mut client, kind, name, &steps), E::NONE);
            assert_eq!(value(&mut client, kind, name, key).0.as_deref(), Some(expected), "{key}");
            assert_eq!(alter(&mut client, kind, name, &[(key, DELETE, None)]), E::NONE);
            assert_eq!(value(&mut client, kind, name, key).0.as_deref(), Some("compact"), "{key}");
        }
    }
}

#[test]
fn a_sole_replica_is_enough_whatever_is_asked_for() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("own", 1, &[("min.insync.replicas", "2")]);
    client.create_topic("t", 1, &[]);
    assert_eq!(set(&mut client, BROKER, "", "min.insync.replicas", "3"), E::NONE);
    for topic in ["own", "t"] {
        assert_eq!(client.append(topic, &batch(&[b"v"])), 0);
    }
    groups::find(&mut client, "g");
    let begun = Instant::now();
    while groups::commit_with(&mut client, ("g", "", -1), 7, "") != E::NONE {
        assert!(begun.elapsed() < PATIENCE, "the group's offset is never written");
    }
    assert_eq!(groups::committed(&mut client, "g").len(), 1);
}

#[test]
fn topics_follow_their_defaults_at_once() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 2, &[]);
    client.create_topic("own", 1, &[("max.message.bytes", "100000")]);
    let records = batch(&[&[7; 5000]]);
    client.append("t", &records);
    assert_eq!(set(&mut client, BROKER, "", "message.max.bytes", "2000"), E::NONE);
    assert_eq!(client.produce("t", &records).code, E::MESSAGE_TOO_LARGE);
    client.append("own", &records);
    // One broker's own goes before that of all, and a topic's before both.
    assert_eq!(set(&mut client, BROKER, "1", "message.max.bytes", "9000"), E::NONE);
    client.append("t", &records);
    assert_eq!(value(&mut client, TOPIC, "t", "max.message.bytes"), (Some("9000".into()), 2));
    assert_eq!(set(&mut client, TOPIC, "t", "max.message.bytes", "1000"), E::NONE);
    assert_eq!(client.produce("t", &records).code, E::MESSAGE_TOO_LARGE);
    let back = [("max.message.bytes", DELETE, None)];
    assert_eq!(alter(&mut client, TOPIC, "t", &back), E::NONE);
    client.append("t", &records);
    let back = [("message.max.bytes", DELETE, None)];
    assert_eq!(alter(&mut client, BROKER, "1", &back), E::NONE);
    assert_eq!(client.produce("t", &records).code, E::MESSAGE_TOO_LARGE);
    broker.restart();
    let mut client = broker.client();
    assert_eq!(client.produce("t", &records).code, E::MESSAGE_TOO_LARGE);
    client.append("own", &records);
    // A topic that is made later begins with what holds.
    client.create_topic("later", 1, &[]);
    assert_eq!(client.produce("later", &records).code, E::MESSAGE_TOO_LARGE);
}

#[test]
fn what_has_configs_is_listed() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    assert_eq!(set(&mut client, GROUP, "g", "share.delivery.count.limit", "4"), E::NONE);
    assert_eq!(set(&mut client, METRICS, "m", "metrics", "*"), E::NONE);
    let mut list = |version, resource_types: Vec<i8>| {
        let request = ListConfigResourcesRequest { resource_types };
        let answer = client.call(ApiKey::ListConfigResources, version, &request);
        let response: ListConfigResourcesResponse<'_> = answer.message();
        let resources = response.config_resources.iter();
        let listed: Vec<(i8, String)> =
            resources.map(|told| (told.resource_type, told.resource_name.to_owned())).collect();
        (response.error_code, listed)
    };
    let (t, b, l) = ((TOPIC, "t".into()), (BROKER, "1".into()), (LOGGER, "1".into()));
    let (m, g) = ((METRICS, "m".into()), (GROUP, "g".into()));
    for (types, expected) in [
        (vec![], vec![&t, &b, &l, &m, &g]),
        (vec![GROUP, TOPIC, GROUP], vec![&t, &g]),
        (vec![LOGGER], vec![&l]),
    ] {
        let expected: Vec<(i8, String)> = expected.into_iter().cloned().collect();
        assert_eq!(list(1, types.clone()), (E::NONE, expected), "{types:?}");
    }
    for types in [vec![0], vec![99], vec![TOPIC, 3], vec![-1]] {
        assert_eq!(list(1, types.clone()), (E::UNSUPPORTED_VERSION, vec![]), "{types:?}");
    }
    assert_eq!(list(0, vec![]), (E::NONE, vec![m]));
}

#[test]
fn loggers_have_levels() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    // The level is the process's, so that a level that nobody minds is set here.
    let level = |client: &mut Client| value(client, LOGGER, "1", "ottla_protocol").0;
    assert_eq!(set(&mut client, LOGGER, "1", "ottla_protocol", "ERROR"), E::NONE);
    assert_eq!(level(&mut client).as_deref(), Some("ERROR"));
    let debug = [("ottla_protocol", SET, Some("DEBUG"))];
    let validated = alter_all(&mut client, &[(LOGGER, "1", &debug)], true);
    assert_eq!((validated, level(&mut client).as_deref()), (vec![E::NONE], Some("ERROR")));
    let back = [("ottla_protocol", DELETE, None)];
    assert_eq!(alter(&mut client, LOGGER, "1", &back), E::NONE);
    assert_eq!(told(&mut client, LOGGER, "1").len(), 7);
}

#[test]
fn pools_resize_under_load() {
    let mut broker = TestBroker::with(&["num.io.threads=4", "num.network.threads=2"]);
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    // No more own connections than there are processors to run on.
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!(broker.pools(), (4, cores.min(2)));
    let (is_done, round_trips) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = broker.address();
    let load = |number: u8| {
        let mut client = Client::connect(address);
        let records = batch(&[&[number; 500]]);
        let mut last = -1;
        let mut count = 0;
        while !is_done.load(Ordering::Relaxed) {
            let offset = client.append("t", &records);
            assert!(offset > last, "{offset} after {last}");
            (last, count) = (offset, count + 1);
            client.fetch("t", offset);
            round_trips.fetch_add(1, Ordering::Relaxed);
        }
        count
    };
    let appended = thread::scope(|scope| {
        let loads: Vec<_> = (0..4).map(|number| scope.spawn(move || load(number))).collect();
        for (handlers, processors) in [(8, 4), (4, 2), (2, 1), (1, 2), (2, 1), (4, 2)] {
            let (io, network) = (handlers.to_string(), processors.to_string());
            let steps = [
                ("num.io.threads", SET, Some(&*io)),
                ("num.network.threads", SET, Some(&*network)),
            ];
            assert_eq!(alter(&mut client, BROKER, "1", &steps), E::NONE, "{steps:?}");
            assert_eq!(broker.pools(), (handlers, cores.min(processors)));
            let before = round_trips.load(Ordering::Relaxed);
            while round_trips.load(Ordering::Relaxed) < before + 40 {
                thread::yield_now();
            }
        }
        is_done.store(true, Ordering::Relaxed);
        loads.into_iter().map(|load| load.join().unwrap()).sum::<i64>()
    });
    assert!(appended > 0);
    assert_eq!(client.fetch("t", appended).high_watermark, appended);
    // More than double, less than half, none at all.
    for (key, value) in [
        ("num.io.threads", "9"),
        ("num.io.threads", "1"),
        ("num.io.threads", "0"),
        ("num.network.threads", "5"),
        ("num.network.threads", "-1"),
        ("listener.name.plaintext.num.network.threads", "5"),
    ] {
        assert_eq!(set(&mut client, BROKER, "1", key, value), E::INVALID_REQUEST, "{key}={value}");
        assert_eq!(broker.pools(), (4, cores.min(2)));
    }
    let own = "listener.name.plaintext.num.network.threads";
    assert_eq!(set(&mut client, BROKER, "1", own, "3"), E::NONE);
    assert_eq!(set(&mut client, BROKER, "1", "num.io.threads", "5"), E::NONE);
    assert_eq!(broker.pools(), (5, cores.min(3)));
    broker.restart();
    assert_eq!(broker.pools(), (5, cores.min(3)));
}

#[test]
fn limits_of_connections_act_at_once_and_after_a_restart() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let mut other = broker.client();
    other.fetch("t", 0);
    assert_eq!(set(&mut client, BROKER, "", "max.connections.per.ip", "2"), E::NONE);
    broker.client().assert_closed("a third connection");
    client.fetch("t", 0);
    let key = "max.connections.per.ip.overrides";
    // Names are looked up beside; addresses count at once.
    assert_eq!(set(&mut client, BROKER, "1", key, "localhost:3,no.such.host.invalid:9"), E::NONE);
    assert_eq!(set(&mut client, BROKER, "1", key, "127.0.0.1:3"), E::NONE);
    let mut third = broker.client();
    third.fetch("t", 0);
    broker.client().assert_closed("a fourth connection");
    drop((third, other));
    broker.restart();
    let mut client = broker.client();
    client.fetch("t", 0);
    let mut kept: Vec<Client> = (0..2).map(|_| broker.client()).collect();
    kept.iter_mut().for_each(|client| drop(client.fetch("t", 0)));
    broker.client().assert_closed("a fourth connection after the restart");
}
