//! What DescribeConfigs tells: each key with its value, its source and its synonyms.

use super::client_metrics::CLIENT_METRICS_KEYS;
use super::def::{ConfigDef, ConfigType, Dynamic};
use super::group_config::broker_key;
use super::group_keys::GROUP_KEYS;
use super::keys;
use super::layers::{Layers, Overrides, Source};
use super::topic_keys::TOPIC_KEYS;

/// One key of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// Its effective value; `None` for null and for what must not be shown.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// Whether it cannot change while the broker runs.
    pub is_read_only: bool,
    /// Whether its value must not be shown.
    pub is_sensitive: bool,
    /// Its type; `None`, code 0, for a key that nobody knows.
    pub kind: Option<ConfigType>,
    /// What it means.
    pub doc: Option<&'static str>,
    /// What each layer says, the strongest first.
    pub synonyms: Vec<Synonym>,
}

/// What one layer says about a key, perhaps under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key under which it is set.
    pub name: String,
    /// Its value there; `None` for what must not be shown.
    pub value: Option<String>,
    /// The layer.
    pub source: Source,
}

/// The keys of a topic whose own settings are `topic`, sorted by name.
pub fn topic(layers: Layers<'_>, topic: &Overrides) -> Vec<Entry> {
    let shown =
        TOPIC_KEYS.iter().filter(|key| !key.def.internal || topic.contains_key(key.def.name));
    shown
        .map(|key| {
            let value = layers.topic_value(key, topic).map(|value| value.to_string());
            let mut synonyms = Vec::new();
            if topic.contains_key(key.def.name) {
                synonyms.push(synonym(&key.def, key.def.name, value.clone(), Source::Topic));
            }
            let names: Vec<&str> = key.broker_keys.iter().map(|(name, _)| *name).collect();
            if let [first, ..] = names[..] {
                synonyms.extend(broker_synonyms(layers, first, &names));
            }
            entry(&key.def, key.def.name, value, synonyms)
        })
        .collect()
}

/// The keys of a running broker, sorted by name. Internal and unknown ones are there when they
/// are set.
pub fn broker(layers: Layers<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = keys::all()
        .filter(|def| !def.internal || is_set(layers, def.name))
        .map(|def| {
            let value = layers.value(def).map(|value| value.to_string());
            let synonyms = broker_synonyms(layers, def.name, &related(def.name));
            entry(def, def.name, value, synonyms)
        })
        .collect();
    let mut others: Vec<&str> = layers.statics.iter().map(|(key, _)| key).collect();
    others.extend(layers.broker.keys().chain(layers.broker_default.keys()).map(|key| &**key));
    others.sort_unstable();
    others.dedup();
    entries.extend(others.into_iter().filter(|key| keys::find(key).is_none()).map(|key| {
        match keys::listener_key(key) {
            Some(def) => {
                let value = layers.texts(key).next().map(|(_, text)| text.to_owned());
                entry(def, key, value, broker_synonyms(layers, key, &[key, def.name]))
            }
            None => unknown(layers, key),
        }
    }));
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// The keys that are set for all brokers at once, sorted by name; nothing else is shown of them.
pub fn broker_default(defaults: &Overrides) -> Vec<Entry> {
    let source = Source::DynamicDefaultBroker;
    let set = defaults.iter().map(|(key, value)| {
        let Some(def) = keys::find(key).or_else(|| keys::listener_key(key)) else {
            return hidden(key, source, vec![source]);
        };
        let mut synonyms = vec![synonym(def, key, Some(value.to_string()), source)];
        // A listener without a value of its own takes that of all listeners.
        if let (true, Some(value)) = (**key != *def.name, defaults.get(def.name)) {
            synonyms.push(synonym(def, def.name, Some(value.to_string()), source));
        }
        entry(def, key, Some(value.to_string()), synonyms)
    });
    set.collect()
}

/// The keys of a subscription to clients' metrics, sorted by name.
pub fn client_metrics(subscription: &Overrides) -> Vec<Entry> {
    let described = CLIENT_METRICS_KEYS.iter().map(|def| {
        let own = subscription.get(def.name).map(|value| value.to_string());
        let synonyms = own
            .iter()
            .map(|value| synonym(def, def.name, Some(value.clone()), Source::ClientMetrics));
        let default = || def.default.text().map(str::to_owned);
        entry(def, def.name, own.clone().or_else(default), synonyms.collect())
    });
    described.collect()
}

/// A broker's loggers with their levels.
pub fn loggers(levels: impl Iterator<Item = (&'static str, &'static str)>) -> Vec<Entry> {
    let described = levels.map(|(name, level)| Entry {
        name: name.to_owned(),
        value: Some(level.to_owned()),
        source: Source::BrokerLogger,
        is_read_only: false,
        is_sensitive: false,
        kind: None,
        doc: None,
        synonyms: Vec::new(),
    });
    described.collect()
}

/// The keys of a group whose own settings are `group`, sorted by name.
pub fn group(layers: Layers<'_>, group: &Overrides) -> Vec<Entry> {
    let described = GROUP_KEYS.iter().map(|def| {
        let value = layers.group_value(def, group).map(|value| value.to_string());
        let mut synonyms = Vec::new();
        if let Some(own) = group.get(def.name) {
            synonyms.push(synonym(def, def.name, Some(own.to_string()), Source::Group));
        }
        match broker_key(def) {
            Some(key) => synonyms.extend(broker_synonyms(layers, key.name, &[key.name])),
            None => {
                let default = def.default.text().map(str::to_owned);
                synonyms.push(synonym(def, def.name, default, Source::Default));
            }
        }
        entry(def, def.name, value, synonyms)
    });
    described.collect()
}

/// Keys that say the same in other units, with `log.flush.interval.ms` and what it falls back to.
fn related(name: &str) -> Vec<&str> {
    const FLUSH: &str = "log.flush.scheduler.interval.ms";
    let topic_key = TOPIC_KEYS
        .iter()
        .find(|key| name != FLUSH && key.broker_keys.iter().any(|(broker, _)| *broker == name));
    match topic_key {
        Some(key) => key.broker_keys.iter().map(|(name, _)| *name).collect(),
        None => vec![name],
    }
}

/// What the layers say about `names`. Kafka leaves out what is stronger than the first word about
/// `name` itself: with `log.roll.hours` set and `log.roll.ms` not, the latter has no synonym.
fn broker_synonyms(layers: Layers<'_>, name: &str, names: &[&str]) -> Vec<Synonym> {
    let mut found = Vec::new();
    for (nth, key) in names.iter().enumerate() {
        found.extend(layers.texts(key).map(|(source, text)| (source.code(), nth, source, text)));
    }
    found.sort_by_key(|(code, nth, ..)| (*code, *nth));
    found
        .into_iter()
        .skip_while(|(_, nth, ..)| names[*nth] != name)
        .map(|(_, nth, source, text)| {
            let is_shown = keys::find(names[nth])
                .or_else(|| keys::listener_key(names[nth]))
                .is_some_and(|def| !def.is_sensitive());
            let value = is_shown.then(|| text.to_owned());
            Synonym { name: names[nth].to_owned(), value, source }
        })
        .collect()
}

fn is_set(layers: Layers<'_>, name: &str) -> bool {
    layers.texts(name).any(|(source, _)| source != Source::Default)
}

fn synonym(def: &ConfigDef, name: &str, value: Option<String>, source: Source) -> Synonym {
    let value = value.filter(|_| !def.is_sensitive());
    Synonym { name: name.to_owned(), value, source }
}

fn entry(
    def: &'static ConfigDef,
    name: &str,
    value: Option<String>,
    synonyms: Vec<Synonym>,
) -> Entry {
    Entry {
        name: name.to_owned(),
        value: value.filter(|_| !def.is_sensitive()),
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        // Kafka takes a listener's own setting for read-only, whatever the key's mode.
        is_read_only: def.dynamic == Dynamic::ReadOnly || name != def.name,
        is_sensitive: def.is_sensitive(),
        kind: Some(def.kind),
        doc: Some(def.doc),
        synonyms,
    }
}

fn unknown(layers: Layers<'_>, name: &str) -> Entry {
    let sources: Vec<Source> = layers.texts(name).map(|(source, _)| source).collect();
    hidden(name, sources.first().copied().unwrap_or(Source::Default), sources)
}

/// An entry for a key that nobody knows: perhaps a password of a plugin, so its value is not shown.
fn hidden(name: &str, source: Source, sources: Vec<Source>) -> Entry {
    let synonyms = sources
        .into_iter()
        .map(|source| Synonym { name: name.to_owned(), value: None, source })
        .collect();
    Entry {
        name: name.to_owned(),
        value: None,
        source,
        is_read_only: true,
        is_sensitive: true,
        kind: None,
        doc: None,
        synonyms,
    }
}
