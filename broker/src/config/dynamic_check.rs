//! Whether a broker's dynamic settings may change as asked, by Kafka's rules.

use super::check;
use super::def::{ConfigType, Dynamic};
use super::dynamic_config::{DynamicConfig, per_ip_overrides};
use super::keys;
use super::layers::{Layers, Overrides};
use super::listeners::LISTENER_LIMITS;
use super::topic_check::InvalidConfig;
use super::value::Value;

/// A change of what is set for one broker, or for all of them.
#[derive(Clone, Copy, Debug)]
pub struct BrokerChange<'a> {
    /// All that would be set on the resource.
    pub entries: &'a Overrides,
    /// The keys that the request names.
    pub changed: &'a [&'a str],
    /// Whether the resource is the default of all brokers.
    pub is_default: bool,
    /// The names of this broker's listeners, in upper case.
    pub listeners: &'a [&'a str],
    /// This broker's log directories, as they are written.
    pub log_dirs: &'a [&'a str],
}

/// Whether the settings `before` may become what `change` makes of them. Unknown keys are taken, as
/// in Kafka: they may be a plugin's.
///
/// # Errors
/// The message that goes with INVALID_REQUEST: a key that cannot change while the broker runs, or
/// not there; a bad value; a pool that would shrink to less than half or grow to more than double.
pub fn check_broker(before: Layers<'_>, change: &BrokerChange<'_>) -> Result<(), InvalidConfig> {
    let mut set: Vec<&str> =
        change.changed.iter().copied().filter(|key| change.entries.contains_key(*key)).collect();
    set.sort_unstable();
    check_places(&set, change.is_default)?;
    check_listeners(&set, change.listeners)?;
    for key in &set {
        let Some(def) = keys::find(key).or_else(|| keys::listener_key(key)) else { continue };
        let text = &change.entries[*key];
        if let Err(wrong) = def.parse(text) {
            return invalid(format!("Invalid value {text} for configuration {key}: it {wrong}"));
        }
        // Only Kafka's own are ever stood for by something; others would be a plugin's.
        if def.kind == ConfigType::Class && !text.trim().starts_with("org.apache.kafka.") {
            return invalid(format!(
                "Invalid value {text} for configuration {key}: Class {text} could not be found."
            ));
        }
    }
    let after = if change.is_default {
        Layers { broker_default: change.entries, ..before }
    } else {
        Layers { broker: change.entries, ..before }
    };
    let both = Both { before, after };
    both.check_spans()?;
    both.check_bounds()?;
    both.check_pools(change.listeners)?;
    both.check_cleaner()?;
    both.check_connections(change.listeners)?;
    both.check_fixed(change.log_dirs)
}

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidConfig> {
    Err(InvalidConfig(message.into()))
}

/// Whether each key may be set at all, and where it is.
fn check_places(set: &[&str], is_default: bool) -> Result<(), InvalidConfig> {
    let mode = |key: &str| keys::find(key).map(|def| def.dynamic);
    let is_of_listener = |key: &str| {
        let rest = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
        rest.is_some_and(|(_, base)| !LISTENER_LIMITS.contains(&base))
    };
    let refuse = |why: &str, is_wrong: &dyn Fn(&str) -> bool| {
        let wrong: Vec<&str> = set.iter().copied().filter(|key| is_wrong(key)).collect();
        if wrong.is_empty() { Ok(()) } else { invalid(format!("{why}: [{}]", wrong.join(", "))) }
    };
    refuse("Cannot update these configs dynamically", &|key| mode(key) == Some(Dynamic::ReadOnly))?;
    let why = "These security configs can be dynamically updated only per-listener using the \
               listener prefix";
    refuse(why, &|key| mode(key) == Some(Dynamic::PerBroker) && is_of_stores(key))?;
    if !is_default {
        return Ok(());
    }
    let why = "Cannot update these configs at default cluster level, broker id must be specified";
    refuse(why, &|key| mode(key) == Some(Dynamic::PerBroker) || is_of_listener(key))
}

/// Whether `key` says what a listener proves itself by, and whom it believes.
fn is_of_stores(key: &str) -> bool {
    let of_stores = ["ssl.keystore.", "ssl.truststore.", "ssl.key.password"];
    of_stores.iter().any(|start| key.starts_with(start))
}

/// How those who connect are known does not change under the connections there are.
fn check_listeners(set: &[&str], listeners: &[&str]) -> Result<(), InvalidConfig> {
    for key in set {
        let rest = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
        let is_known = |name: &str| listeners.iter().any(|own| own.to_lowercase() == name);
        let is_fixed = match (rest, keys::find(key), keys::listener_key(key)) {
            (None, Some(def), _) => {
                def.dynamic == Dynamic::PerBroker
                    && keys::is_security(key)
                    && !key.starts_with("ssl.")
            }
            (Some((name, _)), _, Some(def)) => {
                def.dynamic == Dynamic::ReadOnly && keys::is_security(def.name) && is_known(name)
            }
            _ => false,
        };
        if is_fixed {
            return invalid(format!(
                "Configs cannot be updated dynamically for existing listener, restart broker: {key}"
            ));
        }
    }
    Ok(())
}

/// Pools that may at most halve or double at a time.
const POOLS: &[&str] = &[
    "num.io.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];

/// What holds, and what would hold.
struct Both<'a> {
    before: Layers<'a>,
    after: Layers<'a>,
}

impl Both<'_> {
    fn text(layers: Layers<'_>, name: &str) -> Option<String> {
        let def = keys::find(name).expect("callers name keys of the tables");
        layers.value(def).map(|value| value.to_string())
    }

    fn integer(layers: Layers<'_>, name: &str) -> Option<i64> {
        let def = keys::find(name).expect("callers name keys of the tables");
        if let Some(Value::Integer(n)) = layers.value(def) { Some(n) } else { None }
    }

    /// The new value of an integer key, if it is another than before.
    fn changed(&self, name: &str) -> Option<i64> {
        let after = Self::integer(self.after, name)?;
        (Self::integer(self.before, name) != Some(after)).then_some(after)
    }

    fn check_spans(&self) -> Result<(), InvalidConfig> {
        // The last one is stricter than Kafka, whose topics cannot be described or changed any more
        // after it took a negative value.
        for (key, low) in
            [("log.roll.ms", 1), ("log.roll.jitter.ms", 0), ("log.flush.interval.ms", 0)]
        {
            if self.changed(key).is_some_and(|n| n < low) {
                return invalid(format!("{key} must be greater than or equal to {low}"));
            }
        }
        if self.changed("log.retention.ms") == Some(0) {
            return invalid(
                "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
            );
        }
        for unit in ["ms", "bytes"] {
            let key = format!("log.local.retention.{unit}");
            let whole = self.retention(unit);
            let Some(local) = self.changed(&key).filter(|n| *n != -2) else { continue };
            if whole != -1 && (local == -1 || local > whole) {
                return invalid(format!(
                    "Invalid value {local} for configuration {key}: Value must not be more than \
                     log.retention.{unit} property value: {whole}"
                ));
            }
        }
        Ok(())
    }

    /// How long or how much a topic without settings of its own keeps; -1 for all.
    fn retention(&self, unit: &str) -> i64 {
        let key = super::topic_keys::find(&format!("retention.{unit}"));
        let key = key.expect("a topic's retention is by time and by size");
        match self.after.topic_value(key, &Overrides::new()) {
            Some(Value::Integer(n)) => n,
            _ => -1,
        }
    }

    /// A group's setting lies between its bounds.
    fn check_bounds(&self) -> Result<(), InvalidConfig> {
        for (less, more) in check::ordered_keys() {
            if self.changed(&less).is_none() && self.changed(&more).is_none() {
                continue;
            }
            let low = Self::integer(self.after, &less);
            let high = Self::integer(self.after, &more);
            if let (Some(low), Some(high)) = (low, high)
                && high < low
            {
                return invalid(format!("{less} must be less than or equal to {more}"));
            }
        }
        Ok(())
    }

    fn check_pools(&self, listeners: &[&str]) -> Result<(), InvalidConfig> {
        for name in POOLS {
            if let (Some(before), Some(after)) =
                (Self::integer(self.before, name), Self::integer(self.after, name))
            {
                check_pool(name, before, after)?;
            }
        }
        let threads = |layers| {
            let config = DynamicConfig::effective(layers, listeners.iter().copied());
            config.listeners.into_iter().map(|listener| listener.num_network_threads as i64)
        };
        for (before, after) in threads(self.before).zip(threads(self.after)) {
            check_pool("num.network.threads", before, after)?;
        }
        Ok(())
    }

    fn check_cleaner(&self) -> Result<(), InvalidConfig> {
        const THREADS: &str = "log.cleaner.threads";
        const BUFFER: &str = "log.cleaner.dedupe.buffer.size";
        let threads = Self::integer(self.after, THREADS).unwrap_or(1);
        if let Some(after) = self.changed(THREADS) {
            let before = Self::integer(self.before, THREADS).unwrap_or(1);
            if after < 1 {
                return invalid(format!("{THREADS} must be at least 1"));
            }
            if after < before / 2 {
                return invalid(format!(
                    "Log cleaner threads cannot be reduced below half the current value {before}"
                ));
            }
            if after > before * 2 {
                return invalid(format!(
                    "Log cleaner threads cannot be increased to more than double the current \
                     value {before}"
                ));
            }
        }
        let is_changed = self.changed(THREADS).is_some() || self.changed(BUFFER).is_some();
        let buffer = Self::integer(self.after, BUFFER).unwrap_or(i64::MAX);
        if is_changed && buffer / threads.max(1) <= 1 << 20 {
            return invalid(format!("{BUFFER} must be at least 1MB per cleaner thread."));
        }
        Ok(())
    }

    fn check_connections(&self, listeners: &[&str]) -> Result<(), InvalidConfig> {
        const OVERRIDES: &str = "max.connections.per.ip.overrides";
        let overrides = Self::text(self.after, OVERRIDES).unwrap_or_default();
        let hosts = match per_ip_overrides(&overrides) {
            Ok(hosts) => hosts,
            Err(entry) => {
                return invalid(format!(
                    "Error parsing configuration property '{OVERRIDES}': {entry:?} is no host:count"
                ));
            }
        };
        if self.changed("max.connections.per.ip") == Some(0) && hosts.is_empty() {
            return invalid(format!(
                "max.connections.per.ip can be set to zero only if {OVERRIDES} property is set."
            ));
        }
        for name in ["max.connections", "max.connection.creation.rate"] {
            if self.changed(name) == Some(0) {
                return invalid(format!("Invalid {name} 0"));
            }
        }
        let config = DynamicConfig::effective(self.after, listeners.iter().copied());
        let is_shut = |limits: &super::ListenerLimits| {
            limits.max_connections == Some(0) || limits.max_connection_creation_rate == Some(0)
        };
        if config.listeners.iter().any(is_shut) {
            return invalid("A listener must let in at least one connection");
        }
        Ok(())
    }

    /// What Kafka can change in a running broker, and this one cannot.
    fn check_fixed(&self, log_dirs: &[&str]) -> Result<(), InvalidConfig> {
        for name in ["listeners", "listener.security.protocol.map", "metric.reporters"] {
            let after = Self::text(self.after, name);
            if after != Self::text(self.before, name) {
                return invalid(format!(
                    "{name} cannot be changed while this broker runs: set it in the file and \
                     restart"
                ));
            }
        }
        let cordoned = Self::text(self.after, "cordoned.log.dirs").unwrap_or_default();
        let missing: Vec<&str> = cordoned
            .split(',')
            .filter(|dir| !dir.is_empty() && *dir != "*" && !log_dirs.contains(dir))
            .collect();
        if !missing.is_empty() {
            return invalid(format!(
                "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing \
                 entries : {}",
                missing.join(", ")
            ));
        }
        Ok(())
    }
}

fn check_pool(name: &str, before: i64, after: i64) -> Result<(), InvalidConfig> {
    let wrong = if after < before / 2 {
        "at least half"
    } else if after > before * 2 {
        "not be greater than double"
    } else {
        return Ok(());
    };
    let should = if after < before { "should be" } else { "should" };
    invalid(format!(
        "Dynamic thread count update validation failed for {name}={after}, value {should} {wrong} \
         the current value {before}"
    ))
}
