//! Every broker key of Kafka 4.3.1, each declared once, in tables by subject.
//!
//! A line reads: type, name, default (`null` and `required` stand for themselves), what is valid,
//! how it may change while the broker runs, what Ottla does with it, and what it means.
//! `[internal]` keys are shown by DescribeConfigs only when they are set.

mod groups;
mod identity;
mod log;
mod metadata;
mod network;
mod quotas;
mod remote;
mod replication;
mod security;
mod share;
mod topics;
mod transactions;

use std::sync::LazyLock;

use super::def::ConfigDef;

/// One table's lines as a slice of [`ConfigDef`].
macro_rules! keys {
    (@default null) => { $crate::config::Default::Null };
    (@default required) => { $crate::config::Default::Required };
    (@default $value:literal) => { $crate::config::Default::Value($value) };
    (@internal) => { false };
    (@internal internal) => { true };
    ($($kind:ident $name:literal = $default:tt, $valid:ident $(($($arg:tt)*))?,
        $dynamic:ident, $effect:ident, $doc:literal $([$internal:ident])?;)*) => {
        &[$($crate::config::ConfigDef {
            name: $name,
            kind: $crate::config::ConfigType::$kind,
            default: keys!(@default $default),
            valid: $crate::config::Valid::$valid $(($($arg)*))?,
            dynamic: $crate::config::Dynamic::$dynamic,
            effect: $crate::config::Effect::$effect,
            internal: keys!(@internal $($internal)?),
            doc: $doc,
        }),*]
    };
}
pub(in crate::config) use keys;

/// The tables with their titles, in the order of the documentation.
pub const SUBJECTS: &[(&str, &[ConfigDef])] = &[
    ("Identity and the controller", identity::KEYS),
    ("Listeners, connections, requests", network::KEYS),
    ("Topics", topics::KEYS),
    ("Logs", log::KEYS),
    ("Producers and transactions", transactions::KEYS),
    ("Groups and committed offsets", groups::KEYS),
    ("Share groups", share::KEYS),
    ("The metadata log", metadata::KEYS),
    ("Quotas and metrics", quotas::KEYS),
    ("Security", security::KEYS),
    ("Replication", replication::KEYS),
    ("Tiered storage", remote::KEYS),
];

/// Every broker key, in the order of the tables.
pub fn all() -> impl Iterator<Item = &'static ConfigDef> {
    SUBJECTS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The declaration of the broker key `name`; `None` when Kafka 4.3.1 has none.
pub fn find(name: &str) -> Option<&'static ConfigDef> {
    static BY_NAME: LazyLock<Vec<&ConfigDef>> = LazyLock::new(|| {
        let mut keys: Vec<_> = all().collect();
        keys.sort_unstable_by_key(|def| def.name);
        keys
    });
    BY_NAME.binary_search_by(|def| def.name.cmp(name)).ok().map(|at| BY_NAME[at])
}

/// Whether `name` is one of the keys about TLS, SASL, ACLs and tokens.
pub fn is_security(name: &str) -> bool {
    security::KEYS.iter().any(|def| def.name == name)
}

/// Keys of older Kafka versions that 4.3.1 ignores; a name that ends in `.` is a prefix.
pub const REMOVED: &[&str] = &[
    "advertised.host.name",
    "advertised.port",
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "delegation.token.master.key",
    "group.coordinator.new.enable",
    "host.name",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "password.encoder.",
    "port",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
    "zookeeper.",
];

/// Whether `name` is a key that Kafka had before 4.0 and ignores since.
pub fn is_removed(name: &str) -> bool {
    REMOVED.iter().any(|old| name == *old || (old.ends_with('.') && name.starts_with(old)))
}

/// The key that a `listener.name.<listener>.<key>` or `listener.name.<listener>.<mechanism>.<key>`
/// setting is about; `None` when `name` is not of that form or ends in no known key.
pub fn listener_key(name: &str) -> Option<&'static ConfigDef> {
    let (_, mut rest) = name.strip_prefix("listener.name.")?.split_once('.')?;
    loop {
        if let Some(def) = find(rest) {
            return Some(def);
        }
        rest = rest.split_once('.')?.1;
    }
}
