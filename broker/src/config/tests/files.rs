//! Reading whole files: what starts, what is refused and in which words, what is said.

use std::path::PathBuf;

use super::super::*;
use super::expect_file;

fn dynamic(text: &str) -> DynamicConfig {
    let statics = StaticConfig::parse("f", text.as_bytes()).unwrap();
    let config = BrokerConfig::new(&statics, "h").unwrap();
    let none = Overrides::new();
    let layers = Layers { broker: &none, broker_default: &none, statics: &statics };
    DynamicConfig::effective(layers, config.listeners.names())
}

fn read(text: &str) -> Result<BrokerConfig, ConfigError> {
    BrokerConfig::new(&statics(text), "this-host")
}

fn statics(text: &str) -> StaticConfig {
    StaticConfig::parse("server.properties", text.as_bytes()).unwrap()
}

/// What an operator brings along from a single Kafka node.
const SAMPLE: &str = "\
# One node, both roles.
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093

listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600

log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2

offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1

log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

#[test]
fn the_usual_file_starts_unchanged() {
    let config = read(SAMPLE).unwrap();
    assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
    let names: Vec<_> = config.listeners.bind.iter().map(|l| (&*l.name, l.port)).collect();
    assert_eq!(names, [("PLAINTEXT", 9092)], "the controller's listener is not bound");
    let Endpoint { host, port, .. } = &config.listeners.advertised[0];
    assert_eq!((host.as_str(), *port), ("localhost", 9092));
    assert_eq!(config.listeners.inter_broker, "PLAINTEXT");
}

#[test]
fn the_usual_file_with_voters_starts_too() {
    read(&SAMPLE.replace("bootstrap.servers=localhost", "voters=1@localhost")).unwrap();
}

#[test]
fn an_empty_file_starts_with_kafkas_defaults() {
    let config = read("").unwrap();
    assert_eq!((config.node_id, config.log_dirs), (1, vec![PathBuf::from("/tmp/kafka-logs")]));
    assert_eq!(config.listeners.bind[0].host, "");
    assert_eq!(config.listeners.advertised[0].host, "this-host");
    let topics = dynamic("").topic_defaults;
    assert_eq!(topics.segment_ms, 604_800_000);
    assert_eq!(topics.retention_ms, 604_800_000);
    assert_eq!(topics.flush_ms, i64::MAX);
    assert_eq!(config.network.queued_max_requests, 500);
}

#[test]
fn fields_hold_what_their_keys_say() {
    for (line, expected) in [
        ("log.roll.hours=2", 7_200_000),
        ("log.roll.ms=5\nlog.roll.hours=2", 5),
        ("log.roll.hours=2\nlog.roll.hours=3", 10_800_000),
    ] {
        assert_eq!(dynamic(line).topic_defaults.segment_ms, expected, "{line}");
    }
    for (line, expected) in [
        ("log.retention.hours=-1", -1),
        ("log.retention.minutes=3\nlog.retention.hours=1", 180_000),
        ("log.retention.ms=-1\nlog.retention.minutes=3", -1),
    ] {
        assert_eq!(dynamic(line).topic_defaults.retention_ms, expected, "{line}");
    }
    let config = read("broker.id=5\nlog.dir=/x\nmax.connections.per.ip.overrides=h:3, ::1:4\n");
    let config = config.unwrap();
    assert_eq!((config.node_id, config.metadata_log_dir), (5, PathBuf::from("/x")));
    let overrides = [("h".to_owned(), 3), ("::1".to_owned(), 4)];
    let text = "max.connections.per.ip.overrides=h:3, ::1:4\n";
    assert_eq!(dynamic(text).max_connections_per_ip_overrides, overrides);
    let flush = dynamic("log.flush.scheduler.interval.ms=7");
    assert_eq!(flush.topic_defaults.flush_ms, 7);
}

#[test]
fn listeners_have_names_and_threads_of_their_own() {
    let text = "listeners=IN://127.0.0.1:19092, out://[::1]:19092\n\
        advertised.listeners=OUT://[2001:db8::7]:29092,IN://in.example:39092\n\
        listener.security.protocol.map=in:plaintext,OUT:PLAINTEXT\n\
        inter.broker.listener.name=out\n\
        num.network.threads=2\n\
        listener.name.out.num.network.threads=5\n";
    let listeners = read(text).unwrap().listeners;
    let bound: Vec<_> = listeners.bind.iter().map(|l| (&*l.name, &*l.host)).collect();
    assert_eq!(bound, [("IN", "127.0.0.1"), ("OUT", "::1")]);
    let threads = dynamic(text).listeners;
    let threads: Vec<_> = threads.iter().map(|l| l.num_network_threads).collect();
    assert_eq!(threads, [2, 5]);
    let told: Vec<_> = listeners.advertised.iter().map(|e| (&*e.host, e.port)).collect();
    assert_eq!(told, [("in.example", 39092), ("2001:db8::7", 29092)]);
    assert_eq!(listeners.inter_broker, "OUT");
}

/// Files that are refused; the texts are in `errors.txt`.
const REFUSED: &[&str] = &[
    "# comment\n\nnum.network.threads = abc",
    "num.network.threads=0\nlog.segment.bytes=100\nauto.create.topics.enable=yes",
    "compression.type=brotli",
    "compression.gzip.level=0",
    "log.cleaner.min.cleanable.ratio=1.5",
    "log.cleanup.policy=delete,shrink",
    "offsets.topic.replication.factor=40000",
    "log.dirs=",
    "log.dirs=/a,,/b",
    "log.dirs=/a,/a",
    "log.dirs=/a,/b\ncordoned.log.dirs=/b,/c",
    "log.dirs=/a,/b\ncordoned.log.dirs=/b,*",
    "ssl.key.password=secret\nlog.roll.ms=0",
    "log.retention.hours=0",
    "log.cleaner.min.compaction.lag.ms=10\nlog.cleaner.max.compaction.lag.ms=9",
    "node.id=1\nbroker.id=2",
    "node.id=-1",
    "process.roles=broker",
    "controller.quorum.voters=1@a:9093,2@b:9093",
    "controller.quorum.voters=a:9093",
    "authorizer.class.name=org.example.MyAuthorizer",
    "remote.log.storage.system.enable=true",
    "listeners=localhost:9092",
    "listeners=PLAINTEXT://:99999",
    "listeners=PLAINTEXT://:9092,PLAINTEXT://:9093",
    "listeners=PLAINTEXT://:9092,IN://:9092",
    "listeners=SSL://:9093",
    "listeners=IN://:9092",
    "listeners=SASL://:9092\nlistener.security.protocol.map=SASL:SASL_PLAINTEXT",
    "listeners=PLAINTEXT://:9092\nlistener.security.protocol.map=PLAINTEXT:QUIC",
    "listeners=PLAINTEXT://0.0.0.0:9092",
    "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
    "advertised.listeners=OTHER://h:9092",
    "listeners=CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER",
    "inter.broker.listener.name=OTHER",
    "listener.name.plaintext.num.network.threads=0",
    "max.connections.per.ip=0",
    "max.connections.per.ip.overrides=host",
    "queued.max.request.bytes=1000",
    "socket.send.buffer.bytes=0",
    "group.consumer.session.timeout.ms=1000",
];

#[test]
fn errors_say_where_what_and_what_next() {
    let mut texts = String::new();
    for file in REFUSED {
        let error = read(file).expect_err(file);
        let error = error.to_string().replace('\n', "\n    ");
        texts.push_str(&format!("{file}\n    {error}\n\n"));
    }
    expect_file("src/config/tests/errors.txt", &texts);
}

#[test]
fn a_password_is_never_in_a_message() {
    for def in keys::all().filter(|def| def.is_sensitive()) {
        let problem = statics(&format!("{}=hunter2", def.name)).problem(def.name, "is wrong");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}

#[test]
fn malformed_escapes_name_their_line() {
    let error = StaticConfig::parse("f", b"a=1\nb=\\u00g0").unwrap_err().to_string();
    assert!(
        error.starts_with("f, line 2: an escape\n  wrong: has no four hexadecimal digits"),
        "{error}"
    );
}

#[test]
fn notices_name_what_does_not_act() {
    let text = "num.partition=3\nretention.ms=5\nmy.plugin.setting=x\nzookeeper.connect=z:2181\n\
        node.id=1\nnum.partitions=2\nnum.replica.fetchers=2\nquota.window.num=12\n\
        listener.name.in.ssl.keystore.location=/k\nlistener.name.in.max.connections=4\n\
        listener.name.in.num.network.threads=4\n";
    let notices = notices(&statics(text));
    let texts: Vec<_> = notices.iter().map(|n| (n.is_warning(), n.to_string())).collect();
    let expected = [
        (true, "server.properties, line 3: unknown setting my.plugin.setting, ignored"),
        (
            true,
            "server.properties, line 1: unknown setting num.partition, ignored; \
             did you mean num.partitions?",
        ),
        (
            true,
            "server.properties, line 2: unknown setting retention.ms, ignored; \
             did you mean log.retention.ms?",
        ),
        (false, "process.roles is not set, taken as broker,controller"),
        (
            true,
            "known settings that Ottla does not act on yet: \
             listener.name.in.ssl.keystore.location, \
             quota.window.num",
        ),
        (false, "known settings that have no effect on one node: num.replica.fetchers"),
        (false, "settings that Kafka 4 has no more, ignored: zookeeper.connect"),
    ];
    assert_eq!(texts, expected.map(|(warns, text)| (warns, text.to_owned())));
}

#[test]
fn starts_without_notices_are_quiet() {
    assert_eq!(notices(&StaticConfig::standalone("d")), []);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Bytes of any kind are settings or an error, and so is each value of each key.
    #[test]
    fn no_file_panics(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        text in "[ -~]{0,30}",
    ) {
        if let Ok(statics) = StaticConfig::parse("f", &bytes) {
            let _ = BrokerConfig::new(&statics, "h");
            let _ = notices(&statics);
        }
        for def in keys::all() {
            let _ = def.parse(&text);
        }
    }

    /// What is written with escapes is read back.
    #[test]
    fn escaped_settings_are_read_back(key in "\\PC{1,20}", value in "\\PC{0,20}") {
        let escape = |text: &str| -> String {
            text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
        };
        let file = format!("{}={}", escape(&key), escape(&value));
        let statics = StaticConfig::parse("f", file.as_bytes()).unwrap();
        proptest::prop_assert_eq!(&statics.get(&key).unwrap().value, &value);
    }
}
