//! What may change while a broker runs, and what follows from a change.

use super::super::*;

const LISTENERS: &[&str] = &["PLAINTEXT", "INNER"];

fn overrides(entries: &[(&str, &str)]) -> Overrides {
    entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// What is set in three layers.
struct Set {
    broker: Overrides,
    broker_default: Overrides,
    statics: StaticConfig,
}

impl Set {
    fn new(text: &str) -> Self {
        let statics = StaticConfig::parse("f", text.as_bytes()).unwrap();
        Self { broker: Overrides::new(), broker_default: Overrides::new(), statics }
    }

    fn layers(&self) -> Layers<'_> {
        Layers {
            broker: &self.broker,
            broker_default: &self.broker_default,
            statics: &self.statics,
        }
    }

    /// Sets keys on the broker, or on the default of all.
    fn try_set(&self, is_default: bool, entries: &[(&str, &str)]) -> Result<(), InvalidConfig> {
        let mut all = if is_default { self.broker_default.clone() } else { self.broker.clone() };
        all.extend(overrides(entries));
        let changed: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
        let change = BrokerChange {
            entries: &all,
            changed: &changed,
            is_default,
            listeners: LISTENERS,
            log_dirs: &["/a", "/b"],
        };
        check_broker(self.layers(), &change)
    }
}

#[test]
fn what_one_broker_may_be_given() {
    let set = Set::new("num.io.threads=8\nlog.cleaner.threads=2\n");
    for (key, value) in [
        ("num.io.threads", "4"),
        ("num.io.threads", " 16 "),
        ("num.network.threads", "1"),
        ("num.network.threads", "6"),
        ("listener.name.inner.num.network.threads", "6"),
        ("listener.name.other.max.connections", "5"),
        ("listener.name.plaintext.ssl.keystore.password", "secret"),
        ("listener.name.plaintext.num.partitions", "5"),
        ("listener.name.plaintext.sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.other.ssl.principal.mapping.rules", "DEFAULT"),
        ("ssl.client.auth", "none"),
        ("background.threads", "20"),
        ("log.cleaner.threads", "4"),
        ("log.cleaner.dedupe.buffer.size", "2097154"),
        ("log.retention.ms", "-2"),
        ("log.roll.ms", "1"),
        ("log.cleanup.policy", ""),
        ("max.connections.per.ip.overrides", "127.0.0.1:60,::1:3"),
        ("group.consumer.assignment.interval.ms", "15000"),
        ("leader.replication.throttled.rate", "5"),
        ("cordoned.log.dirs", "/b,*"),
        ("log.local.retention.ms", "604800000"),
        ("listeners", "PLAINTEXT://:9092"),
        ("anything.else", "x"),
        ("", "x"),
    ] {
        assert_eq!(set.try_set(false, &[(key, value)]), Ok(()), "{key}={value}");
    }
    let both = [("max.connections.per.ip", "0"), ("max.connections.per.ip.overrides", "h:1")];
    assert_eq!(set.try_set(false, &both), Ok(()));
}

#[test]
fn what_it_may_not_be_given() {
    let set = Set::new("num.io.threads=8\nlog.cleaner.threads=2\n");
    for (key, value, why) in [
        ("num.partitions", "3", "Cannot update these configs dynamically: [num.partitions]"),
        ("ssl.keystore.password", "x", "only per-listener"),
        ("sasl.enabled.mechanisms", "PLAIN", "for existing listener"),
        ("listener.name.inner.ssl.principal.mapping.rules", "DEFAULT", "for existing listener"),
        ("listener.name.inner.principal.builder.class", "x", "Class x could not be found"),
        ("listener.name.other.ssl.allow.dn.changes", "x", "must be true or false"),
        ("num.io.threads", "3", "at least half the current value 8"),
        ("num.io.threads", "17", "double the current value 8"),
        ("num.io.threads", "0", "must be at least 1"),
        ("num.io.threads", "", "not a number of type INT"),
        ("num.network.threads", "7", "num.network.threads=7"),
        ("listener.name.inner.num.network.threads", "7", "num.network.threads=7"),
        ("listener.name.other.max.connections", "x", "not a number of type INT"),
        ("listener.name.inner.max.connections", "0", "at least one connection"),
        ("num.replica.fetchers", "3", "double the current value 1"),
        ("log.cleaner.threads", "0", "must be at least 1"),
        ("log.cleaner.threads", "5", "more than double"),
        ("log.cleaner.dedupe.buffer.size", "2097152", "at least 1MB"),
        ("log.retention.ms", "0", "must be unlimited"),
        ("log.retention.ms", "x", "not a number of type LONG"),
        ("log.roll.ms", "0", "log.roll.ms"),
        ("log.roll.jitter.ms", "-1", "log.roll.jitter.ms"),
        ("log.flush.interval.ms", "-5", "log.flush.interval.ms"),
        ("log.local.retention.ms", "604800001", "log.retention.ms property value: 604800000"),
        ("max.connections", "0", "Invalid max.connections 0"),
        ("max.connections", "-1", "must be at least 0"),
        ("max.connections.per.ip", "0", "max.connections.per.ip.overrides"),
        ("max.connections.per.ip.overrides", "x", "no host:count"),
        ("max.connection.creation.rate", "0", "Invalid max.connection.creation.rate 0"),
        ("group.consumer.assignment.interval.ms", "15001", "less than or equal to"),
        ("cordoned.log.dirs", "/c", "Missing entries : /c"),
        ("listeners", "PLAINTEXT://:9093", "cannot be changed while"),
        ("metric.reporters", "x", "cannot be changed while"),
    ] {
        let refused = set.try_set(false, &[(key, value)]).unwrap_err().0;
        assert!(refused.contains(why), "{key}={value}: {refused}");
    }
    let several = [("node.id", "2"), ("num.io.threads", "x"), ("log.dirs", "/c")];
    let refused = set.try_set(false, &several).unwrap_err().0;
    assert_eq!(refused, "Cannot update these configs dynamically: [log.dirs, node.id]");
}

#[test]
fn what_all_brokers_may_not_be_given_together() {
    let mut set = Set::new("");
    for (key, is_allowed) in [
        ("num.io.threads", true),
        ("listener.name.plaintext.max.connections", true),
        ("listener.name.plaintext.num.io.threads", false),
        ("listener.name.plaintext.ssl.keystore.location", false),
        ("listener.name.plaintext.unknown", false),
        ("cordoned.log.dirs", false),
        ("unknown", true),
    ] {
        assert_eq!(set.try_set(true, &[(key, "9")]).is_ok(), is_allowed, "{key}");
    }
    assert!(set.try_set(true, &[("num.io.threads", "100")]).is_err());
    // What one broker has of its own hides the default, which so changes nothing there.
    set.broker = overrides(&[("num.io.threads", "8")]);
    assert_eq!(set.try_set(true, &[("num.io.threads", "100")]), Ok(()));
}

#[test]
fn layers_make_the_settings_in_force() {
    let mut set = Set::new(
        "num.network.threads=2\nlog.retention.hours=1\nmessage.max.bytes=1\nnum.io.threads=7\n",
    );
    set.broker_default = overrides(&[
        ("message.max.bytes", "2"),
        ("max.connections", "50"),
        ("log.retention.ms", "nonsense"),
        ("listener.name.inner.max.connections", "5"),
    ]);
    set.broker = overrides(&[
        ("message.max.bytes", "3"),
        ("max.connections.per.ip.overrides", "h:4"),
        ("listener.name.inner.num.network.threads", "3"),
        ("listener.name.plaintext.max.connection.creation.rate", "9"),
    ]);
    let config = DynamicConfig::effective(set.layers(), LISTENERS.iter().copied());
    assert_eq!((config.threads.num_io_threads, config.network_threads()), (7, 5));
    assert_eq!(config.connections.max_connections, 50);
    assert_eq!(config.max_connections_per_ip_overrides, [("h".to_owned(), 4)]);
    assert_eq!(config.listeners[0].max_connection_creation_rate, Some(9));
    assert_eq!(
        (config.listeners[0].max_connections, config.listeners[1].max_connections),
        (None, Some(5))
    );
    let topics = &config.topic_defaults;
    assert_eq!((topics.max_message_bytes, topics.retention_ms), (3, 3_600_000));
    // What a broker may have been given by Kafka, and no topic can have.
    set.broker = overrides(&[("log.flush.interval.ms", "-5"), ("log.roll.ms", "0")]);
    let topics = DynamicConfig::effective(set.layers(), LISTENERS.iter().copied()).topic_defaults;
    assert_eq!((topics.flush_ms, topics.segment_ms), (i64::MAX, 604_800_000));
    for (hours, expected) in [("-1", -1), ("-7", -1), ("2", 7_200_000)] {
        let set = Set::new(&format!("log.retention.hours={hours}\n"));
        let config = DynamicConfig::effective(set.layers(), LISTENERS.iter().copied());
        assert_eq!(config.topic_defaults.retention_ms, expected, "{hours}");
    }
}

#[test]
fn what_a_group_may_be_given() {
    let set = Set::new("group.consumer.min.heartbeat.interval.ms=1000\n");
    for (key, value) in [
        ("consumer.session.timeout.ms", "60000"),
        ("consumer.heartbeat.interval.ms", "1000"),
        ("consumer.assignment.interval.ms", "0"),
        ("share.auto.offset.reset", "by_duration:P1DT2H3M4.5S"),
        ("share.isolation.level", "read_committed"),
        ("streams.num.standby.replicas", "2"),
        ("streams.initial.rebalance.delay.ms", "99"),
    ] {
        let checked = check_group(set.layers(), &overrides(&[(key, value)]));
        assert_eq!(checked, Ok(()), "{key}={value}");
    }
    for (key, value, why) in [
        ("consumer.session.timeout.ms", "44999", "group.consumer.min.session.timeout.ms"),
        ("consumer.session.timeout.ms", "60001", "group.consumer.max.session.timeout.ms"),
        ("consumer.session.timeout.ms", "x", "not a number"),
        ("consumer.heartbeat.interval.ms", "999", "group.consumer.min.heartbeat.interval.ms"),
        ("consumer.assignment.interval.ms", "-1", "at least 0"),
        ("share.delivery.count.limit", "11", "group.share.max.delivery.count.limit"),
        ("share.partition.max.record.locks", "99", "at least 100"),
        ("share.auto.offset.reset", "none", "by_duration"),
        ("share.auto.offset.reset", "by_duration:PT", "by_duration"),
        ("share.auto.offset.reset", "by_duration:-PT1H", "by_duration"),
        ("share.auto.offset.reset", "by_duration:PT1M1H", "by_duration"),
        ("share.auto.offset.reset", "by_duration:P1H", "by_duration"),
        ("streams.num.standby.replicas", "3", "group.streams.max.standby.replicas"),
        ("unknown", "1", "Unknown group config name: unknown"),
    ] {
        let refused = check_group(set.layers(), &overrides(&[(key, value)])).unwrap_err().0;
        assert!(refused.contains(why), "{key}={value}: {refused}");
    }
    let set = Set::new(
        "group.consumer.max.heartbeat.interval.ms=70000\n\
         group.consumer.max.session.timeout.ms=70000\n",
    );
    let crossed = overrides(&[
        ("consumer.session.timeout.ms", "50000"),
        ("consumer.heartbeat.interval.ms", "50000"),
    ]);
    let refused = check_group(set.layers(), &crossed).unwrap_err().0;
    assert_eq!(
        refused,
        "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"
    );
}

#[test]
fn a_group_falls_back_on_the_broker() {
    let mut set = Set::new("group.consumer.session.timeout.ms=46000\n");
    set.broker_default = overrides(&[("group.consumer.assignment.interval.ms", "7")]);
    let own = overrides(&[("consumer.heartbeat.interval.ms", " 6000 ")]);
    let group = GroupConfig::effective(set.layers(), &own);
    assert_eq!(group.consumer_session_timeout_ms, 46_000);
    assert_eq!(group.consumer_assignment_interval_ms, 7);
    assert_eq!(group.consumer_heartbeat_interval_ms, 6_000);
}
