//! What DescribeConfigs tells. The expected lines are what an Apache Kafka 4.3.1 broker with the
//! same settings answered.

use super::super::describe::{self, Entry};
use super::super::*;

const FILE: &str = "process.roles=broker,controller\nnode.id=1\n\
    controller.listener.names=CONTROLLER\nlog.retention.hours=24\nlog.roll.hours=48\n\
    log.segment.bytes=2000000\nsome.unknown.key=17\nssl.key.password=secret\n\
    listener.name.plaintext.num.network.threads=4\ncompression.type=lz4\n\
    log.initial.task.delay.ms=2000\n";

fn overrides(entries: &[(&str, &str)]) -> Overrides {
    entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// The dynamic settings of the broker and of all brokers, and those of a topic.
fn stored() -> (Overrides, Overrides, Overrides) {
    let broker = [
        ("log.cleaner.threads", "2"),
        ("log.retention.ms", "9999999"),
        ("max.connections", "19"),
        ("nope.key", "5"),
    ];
    let all =
        [("log.segment.bytes", "3000000"), ("max.connections", "17"), ("min.insync.replicas", "1")];
    let topic = [
        ("cleanup.policy", ""),
        ("flush.messages", "5"),
        ("internal.segment.bytes", "1000"),
        ("min.cleanable.dirty.ratio", "0.25f"),
        ("preallocate", " TRUE "),
        ("segment.bytes", " 1048577 "),
        ("segment.ms", "7200000"),
    ];
    (overrides(&broker), overrides(&all), overrides(&topic))
}

fn line(entry: &Entry) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<_> = entry
        .synonyms
        .iter()
        .map(|s| format!("{}={}@{:?}", s.name, shown(&s.value), s.source))
        .collect();
    let kind = entry.kind.map_or("UNKNOWN", ConfigType::name);
    let flags = (entry.is_sensitive, entry.is_read_only);
    let flags = match flags {
        (false, false) => "",
        (false, true) => " read-only",
        (true, false) => " sensitive",
        (true, true) => " sensitive read-only",
    };
    let (name, value, source) = (&entry.name, shown(&entry.value), entry.source);
    format!("{name}={value} {source:?} {kind}{flags} [{}]", synonyms.join(", "))
}

fn check(entries: &[Entry], expected: &[&str]) {
    let lines: Vec<_> = entries.iter().map(line).collect();
    for expected in expected {
        let name = expected.split_once('=').unwrap().0;
        let found = lines.iter().find(|line| line.split_once('=').unwrap().0 == name);
        assert_eq!(found.map(String::as_str), Some(*expected));
    }
}

#[test]
fn a_topic() {
    let statics = StaticConfig::parse("f", FILE.as_bytes()).unwrap();
    let (broker, broker_default, topic) = stored();
    let layers = Layers { broker: &broker, broker_default: &broker_default, statics: &statics };
    let entries = describe::topic(layers, &topic);
    assert_eq!(entries.len(), 34);
    check(
        &entries,
        &[
            "cleanup.policy= Topic LIST [cleanup.policy=@Topic, log.cleanup.policy=delete@Default]",
            "compression.type=lz4 StaticBroker STRING [compression.type=lz4@StaticBroker, \
             compression.type=producer@Default]",
            "flush.messages=5 Topic LONG [flush.messages=5@Topic, \
             log.flush.interval.messages=9223372036854775807@Default]",
            "flush.ms=9223372036854775807 Default LONG []",
            "follower.replication.throttled.replicas= Default LIST []",
            "internal.segment.bytes=1000 Topic INT [internal.segment.bytes=1000@Topic]",
            "min.cleanable.dirty.ratio=0.25 Topic DOUBLE [min.cleanable.dirty.ratio=0.25@Topic, \
             log.cleaner.min.cleanable.ratio=0.5@Default]",
            "min.insync.replicas=1 DynamicDefaultBroker INT \
             [min.insync.replicas=1@DynamicDefaultBroker, min.insync.replicas=1@Default]",
            "preallocate=true Topic BOOLEAN [preallocate=true@Topic, \
             log.preallocate=false@Default]",
            "retention.ms=9999999 DynamicBroker LONG [log.retention.ms=9999999@DynamicBroker, \
             log.retention.hours=24@StaticBroker, log.retention.hours=168@Default]",
            "segment.bytes=1048577 Topic INT [segment.bytes=1048577@Topic, \
             log.segment.bytes=3000000@DynamicDefaultBroker, \
             log.segment.bytes=2000000@StaticBroker, log.segment.bytes=1073741824@Default]",
            "segment.jitter.ms=0 Default LONG []",
            "segment.ms=7200000 Topic LONG [segment.ms=7200000@Topic]",
        ],
    );
    let entries = describe::topic(layers, &Overrides::new());
    assert_eq!(entries.len(), 33);
    check(&entries, &["segment.ms=172800000 Default LONG []"]);
}

#[test]
fn a_broker() {
    let statics = StaticConfig::parse("f", FILE.as_bytes()).unwrap();
    let (broker, broker_default, _) = stored();
    let layers = Layers { broker: &broker, broker_default: &broker_default, statics: &statics };
    let entries = describe::broker(layers);
    // 340 keys that are no internal ones, one of those, two unknown ones and a listener's.
    assert_eq!(entries.len(), 344);
    check(
        &entries,
        &[
            "broker.id=1 StaticBroker INT read-only [broker.id=1@StaticBroker, \
             broker.id=-1@Default]",
            "delegation.token.secret.key=null Default PASSWORD sensitive read-only []",
            "listener.name.plaintext.num.network.threads=4 StaticBroker INT read-only \
             [listener.name.plaintext.num.network.threads=4@StaticBroker, \
             num.network.threads=3@Default]",
            "log.dir=/tmp/kafka-logs Default LIST read-only [log.dir=/tmp/kafka-logs@Default]",
            "log.dirs=null Default LIST read-only []",
            "log.flush.interval.ms=null Default LONG []",
            "log.initial.task.delay.ms=2000 StaticBroker LONG read-only \
             [log.initial.task.delay.ms=2000@StaticBroker, \
             log.initial.task.delay.ms=30000@Default]",
            "log.retention.minutes=null Default INT read-only []",
            "log.retention.ms=9999999 DynamicBroker LONG \
             [log.retention.ms=9999999@DynamicBroker, log.retention.hours=24@StaticBroker, \
             log.retention.hours=168@Default]",
            "log.roll.hours=48 StaticBroker INT read-only [log.roll.hours=48@StaticBroker, \
             log.roll.hours=168@Default]",
            "log.roll.ms=null Default LONG []",
            "max.connections=19 DynamicBroker INT [max.connections=19@DynamicBroker, \
             max.connections=17@DynamicDefaultBroker, max.connections=2147483647@Default]",
            "node.id=1 StaticBroker INT read-only [node.id=1@StaticBroker]",
            "nope.key=null DynamicBroker UNKNOWN sensitive read-only [nope.key=null@DynamicBroker]",
            "process.roles=broker,controller StaticBroker LIST read-only \
             [process.roles=broker,controller@StaticBroker]",
            "some.unknown.key=null StaticBroker UNKNOWN sensitive read-only \
             [some.unknown.key=null@StaticBroker]",
            "ssl.key.password=null StaticBroker PASSWORD sensitive \
             [ssl.key.password=null@StaticBroker]",
        ],
    );
}

#[test]
fn all_brokers_at_once() {
    let (_, broker_default, _) = stored();
    let lines: Vec<_> = describe::broker_default(&broker_default).iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "log.segment.bytes=3000000 DynamicDefaultBroker INT \
             [log.segment.bytes=3000000@DynamicDefaultBroker]",
            "max.connections=17 DynamicDefaultBroker INT \
             [max.connections=17@DynamicDefaultBroker]",
            "min.insync.replicas=1 DynamicDefaultBroker INT \
             [min.insync.replicas=1@DynamicDefaultBroker]",
        ]
    );
}

#[test]
fn a_group() {
    let statics = StaticConfig::parse("f", b"group.share.session.timeout.ms=46000").unwrap();
    let none = Overrides::new();
    let layers = Layers { broker: &none, broker_default: &none, statics: &statics };
    let group = overrides(&[("consumer.session.timeout.ms", "50000")]);
    let entries = describe::group(layers, &group);
    assert_eq!(entries.len(), 17);
    check(
        &entries,
        &[
            "consumer.session.timeout.ms=50000 Group INT \
             [consumer.session.timeout.ms=50000@Group, \
             group.consumer.session.timeout.ms=45000@Default]",
            "share.session.timeout.ms=46000 StaticBroker INT \
             [group.share.session.timeout.ms=46000@StaticBroker, \
             group.share.session.timeout.ms=45000@Default]",
        ],
    );
}

#[test]
fn what_a_topic_may_be_given() {
    let statics = StaticConfig::default();
    let none = Overrides::new();
    let layers = Layers { broker: &none, broker_default: &none, statics: &statics };
    let max = i64::MAX.to_string();
    for (key, value) in [
        ("cleanup.policy", "delete,delete"),
        ("cleanup.policy", "compact , delete"),
        ("cleanup.policy", ""),
        ("follower.replication.throttled.replicas", "*"),
        ("follower.replication.throttled.replicas", "0:1,1:1"),
        ("internal.segment.bytes", "1000"),
        ("internal.segment.bytes", "-1"),
        ("local.retention.ms", "604800001"),
        ("min.cleanable.dirty.ratio", "0.25f"),
        ("min.compaction.lag.ms", &max),
        ("preallocate", " TRUE "),
        ("retention.bytes", "-5"),
        ("segment.bytes", " 1048577 "),
        ("segment.index.bytes", "+8"),
        ("segment.jitter.ms", "999999999999"),
    ] {
        assert_eq!(check_topic(layers, &overrides(&[(key, value)])), Ok(()), "{key}={value}");
    }
    for (key, value, expected) in [
        ("cleanup.policy", "delete,foo", "Invalid value delete,foo for configuration cleanup"),
        ("compression.gzip.level", "0", "it must be from 1 to 9, or -1"),
        ("follower.replication.throttled.replicas", "x", "neither * nor partition:broker"),
        ("max.compaction.lag.ms", "0", "it must be at least 1 (valid: a whole number, at least 1)"),
        ("min.compaction.lag.ms", "x", "it is not a number of type LONG"),
        ("preallocate", "yes", "it must be true or false"),
        ("remote.storage.enable", "true", "needs tiered storage"),
        (
            "retension.ms",
            "1",
            "Unknown topic config name: retension.ms; did you mean retention.ms?",
        ),
        ("retention.ms", "", "it is not a number of type LONG"),
        ("retention.ms", "1.5", "it is not a number of type LONG"),
        ("segment.bytes", "100", "it must be at least 1048576"),
    ] {
        let error = check_topic(layers, &overrides(&[(key, value)])).unwrap_err().to_string();
        assert!(error.contains(expected), "{key}={value}: {error}");
    }
    let lags = [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "9")];
    assert!(check_topic(layers, &overrides(&lags)).is_err());
}

#[test]
fn stored_values_of_another_version_are_passed_over() {
    let statics = StaticConfig::default();
    let broker = overrides(&[("log.segment.bytes", "abc"), ("log.roll.hours", "0")]);
    let none = Overrides::new();
    let layers = Layers { broker: &broker, broker_default: &none, statics: &statics };
    let config = TopicConfig::effective(layers, &overrides(&[("flush.messages", "never")]));
    assert_eq!((config.segment_bytes, config.flush_messages), (1_073_741_824, i64::MAX));
    assert_eq!(config.segment_ms, 604_800_000);
}
