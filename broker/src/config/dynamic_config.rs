//! The settings that may change while the broker runs, as plain values.
//!
//! Kafka's dynamic keys: what is set for this broker, else for all brokers, else in the file. The
//! whole is made anew when one of them changes, and put in the place of the old one.

use std::path::Path;

use super::field::settings;
use super::keys;
use super::layers::{Layers, Overrides};
use super::topic_config::TopicConfig;
use super::value::Value;

settings! {
    /// Sizes of pools of threads. A field is named after its key.
    ThreadSettings {
        num_io_threads: usize = "num.io.threads";
        num_recovery_threads_per_data_dir: usize = "num.recovery.threads.per.data.dir";
    }
    /// Limits of connections, all listeners together. A field is named after its key.
    ConnectionSettings {
        max_connections: usize = "max.connections";
        max_connections_per_ip: usize = "max.connections.per.ip";
        max_connection_creation_rate: u32 = "max.connection.creation.rate";
    }
    /// Compaction. A field is named after its key.
    CleanerSettings {
        log_cleaner_threads: usize = "log.cleaner.threads";
        log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second";
        log_cleaner_dedupe_buffer_size: u64 = "log.cleaner.dedupe.buffer.size";
        log_cleaner_io_buffer_size: usize = "log.cleaner.io.buffer.size";
        log_cleaner_io_buffer_load_factor: f64 = "log.cleaner.io.buffer.load.factor";
        log_cleaner_backoff_ms: i64 = "log.cleaner.backoff.ms";
    }
    /// The state of producers. A field is named after its key.
    ProducerStateSettings {
        producer_id_expiration_ms: i64 = "producer.id.expiration.ms";
    }
}

/// What a listener has for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// `listener.name.<name>.num.network.threads`, else `num.network.threads`.
    pub num_network_threads: usize,
    /// `listener.name.<name>.max.connections`; without it only the broker's limit holds.
    pub max_connections: Option<usize>,
    /// `listener.name.<name>.max.connection.creation.rate`; likewise.
    pub max_connection_creation_rate: Option<u32>,
}

/// All that the broker obeys and that may change while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicConfig {
    /// Sizes of pools.
    pub threads: ThreadSettings,
    /// Limits of connections.
    pub connections: ConnectionSettings,
    /// `max.connections.per.ip.overrides`: hosts with a limit of their own.
    pub max_connections_per_ip_overrides: Vec<(String, usize)>,
    /// What each listener has for itself, in the order of `listeners`.
    pub listeners: Vec<ListenerLimits>,
    /// `cordoned.log.dirs`: directories that get no new partitions, as the setting writes them.
    pub cordoned_log_dirs: Vec<String>,
    /// Compaction.
    pub cleaner: CleanerSettings,
    /// The state of producers.
    pub producers: ProducerStateSettings,
    /// The settings of a topic that sets none.
    pub topic_defaults: TopicConfig,
}

impl DynamicConfig {
    /// What holds under `layers`, for listeners of these names in upper case. Values were checked
    /// when they were set; one that is not valid all the same is passed over for the next layer's.
    pub fn effective<'a>(
        layers: Layers<'_>,
        listener_names: impl Iterator<Item = &'a str>,
    ) -> Self {
        let value = |name| -> Result<Option<Value>, std::convert::Infallible> {
            Ok(layers.value(keys::find(name).expect("fields name keys of the tables")))
        };
        let Ok(threads) = ThreadSettings::read(value);
        let Ok(connections) = ConnectionSettings::read(value);
        let Ok(cleaner) = CleanerSettings::read(value);
        let Ok(producers) = ProducerStateSettings::read(value);
        let Ok(overrides) = value("max.connections.per.ip.overrides");
        let overrides = overrides.map(|text| text.to_string()).unwrap_or_default();
        Self {
            threads,
            connections,
            max_connections_per_ip_overrides: per_ip_overrides(&overrides).unwrap_or_default(),
            listeners: listener_names.map(|name| ListenerLimits::of(layers, name)).collect(),
            cordoned_log_dirs: match value("cordoned.log.dirs") {
                Ok(Some(Value::List(dirs))) => dirs,
                _ => vec![],
            },
            cleaner,
            producers,
            topic_defaults: TopicConfig::effective(layers, &Overrides::new()),
        }
    }

    /// Whether a directory of `log.dirs` is to get no new partitions.
    pub fn is_cordoned(&self, dir: &Path) -> bool {
        self.cordoned_log_dirs.iter().any(|entry| entry == "*" || Path::new(entry) == dir)
    }

    /// Threads for the sockets of all listeners.
    pub fn network_threads(&self) -> usize {
        self.listeners.iter().map(|listener| listener.num_network_threads).sum()
    }
}

impl ListenerLimits {
    fn of(layers: Layers<'_>, name: &str) -> Self {
        let own = |key: &str| listener_value(layers, name, key);
        let all = || layers.value(keys::find("num.network.threads")?);
        let count =
            |value| if let Value::Integer(n) = value { usize::try_from(n).ok() } else { None };
        Self {
            num_network_threads: own("num.network.threads")
                .or_else(all)
                .and_then(count)
                .unwrap_or(1),
            max_connections: own("max.connections").and_then(count),
            max_connection_creation_rate: own("max.connection.creation.rate")
                .and_then(count)
                .map(|rate| u32::try_from(rate).unwrap_or(u32::MAX)),
        }
    }
}

/// What is set for a listener by itself: `listener.name.<name in lower case>.<key>`.
fn listener_value(layers: Layers<'_>, listener: &str, key: &str) -> Option<Value> {
    let def = keys::find(key)?;
    let name = format!("listener.name.{}.{key}", listener.to_lowercase());
    layers.texts(&name).find_map(|(_, text)| def.parse(text).ok())
}

/// `max.connections.per.ip.overrides`, whose form is `host:count,host:count`.
///
/// # Errors
/// The first entry that is not of that form.
pub(super) fn per_ip_overrides(text: &str) -> Result<Vec<(String, usize)>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            // The count follows the last colon: an IPv6 address has colons of its own.
            let parts = entry.rsplit_once(':');
            let parsed = parts.and_then(|(host, count)| {
                let count = count.trim().parse().ok()?;
                Some((host.trim().to_owned(), count))
            });
            parsed.ok_or_else(|| entry.to_owned())
        })
        .collect()
}
