//! Tests of the settings: the tables, the files, the texts.

mod described;
mod dynamic;
mod files;

use super::def::{ConfigDef, Default};
use super::*;

/// Compares `actual` with the file at `path` in this crate, or writes it there when UPDATE_EXPECT
/// is set.
fn expect_file(path: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs =
        actual.lines().zip(expected.lines()).find(|(actual, expected)| actual != expected);
    assert!(
        actual == expected,
        "{} is stale; UPDATE_EXPECT=1 cargo test -p ottla writes it again. First difference: {:?}",
        path.display(),
        differs
    );
}

#[test]
fn config_page_is_what_the_tables_say() {
    expect_file("../docs/CONFIG.md", &document());
}

fn every_def() -> impl Iterator<Item = &'static ConfigDef> {
    keys::all().chain(TOPIC_KEYS.iter().map(|key| &key.def)).chain(group_keys::GROUP_KEYS)
}

#[test]
fn each_default_is_valid_and_reads_back_as_itself() {
    for def in every_def() {
        let Default::Value(text) = def.default else { continue };
        assert_eq!(def.parse(text).unwrap().to_string(), text, "{}", def.name);
    }
}

#[test]
fn topic_and_group_keys_are_sorted_and_all_of_them() {
    assert!(TOPIC_KEYS.windows(2).all(|pair| pair[0].def.name < pair[1].def.name));
    assert!(group_keys::GROUP_KEYS.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert_eq!((TOPIC_KEYS.len(), group_keys::GROUP_KEYS.len()), (34, 17));
    // Kafka 4.3.1 declares 360; three more exist only while a broker runs.
    assert_eq!(keys::all().count(), 363);
    assert_eq!(keys::all().filter(|def| def.internal).count(), 23);
}

#[test]
fn broker_keys_are_declared_once() {
    let mut names: Vec<_> = keys::all().map(|def| def.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn a_topic_key_and_its_broker_keys_go_together() {
    for key in TOPIC_KEYS {
        for (name, factor) in key.broker_keys {
            let broker = keys::find(name).unwrap_or_else(|| panic!("{name} is no broker key"));
            assert_eq!(broker.effect, key.def.effect, "{name}");
            if *factor == 1 && *name != "log.flush.scheduler.interval.ms" {
                assert_eq!(broker.kind, key.def.kind, "{name}");
            }
        }
    }
}

/// Keys that act by code of their own, not by a field of their name.
const READ_BY_HAND: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "broker.rack",
    "controller.listener.names",
    "cordoned.log.dirs",
    "group.consumer.assignment.interval.ms",
    "group.consumer.heartbeat.interval.ms",
    "group.consumer.max.assignment.interval.ms",
    "group.consumer.max.heartbeat.interval.ms",
    "group.consumer.max.session.timeout.ms",
    "group.consumer.min.assignment.interval.ms",
    "group.consumer.min.heartbeat.interval.ms",
    "group.consumer.min.session.timeout.ms",
    "group.consumer.session.timeout.ms",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "max.connections.per.ip.overrides",
    "metadata.log.dir",
    "node.id",
    "num.network.threads",
    "process.roles",
];

#[test]
fn what_is_said_to_act_is_read_and_the_other_way_round() {
    let of_topics = TOPIC_KEYS.iter().flat_map(|key| key.broker_keys).map(|(name, _)| *name);
    let fields = broker_config::FIELDS.iter().chain(dynamic_config::FIELDS).map(|(_, name)| *name);
    let read: Vec<_> = of_topics.clone().chain(fields.clone()).collect();
    for def in keys::all().filter(|def| def.effect == Effect::Acts) {
        assert!(read.contains(&def.name) || READ_BY_HAND.contains(&def.name), "{}", def.name);
    }
    for name in fields.chain(READ_BY_HAND.iter().copied()) {
        assert_eq!(keys::find(name).map(|def| def.effect), Some(Effect::Acts), "{name}");
    }
}

#[test]
fn fields_are_named_after_their_keys() {
    let fields = broker_config::FIELDS.iter().chain(dynamic_config::FIELDS);
    for (field, name) in fields.chain(topic_config::FIELDS).chain(group_config::FIELDS) {
        assert_eq!(*field, name.replace('.', "_"));
    }
    let fields: Vec<_> = topic_config::FIELDS.iter().map(|(_, name)| *name).collect();
    assert_eq!(fields, TOPIC_KEYS.iter().map(|key| key.def.name).collect::<Vec<_>>());
}
