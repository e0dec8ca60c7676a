//! Which of the places that can set a key wins, and where each value comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::def::ConfigDef;
use super::group_config::broker_key;
use super::keys;
use super::statics::StaticConfig;
use super::topic_keys::TopicKey;
use super::value::Value;

/// Settings that are kept in the cluster's metadata, of one topic, broker or group.
pub type Overrides = BTreeMap<Arc<str>, Arc<str>>;

/// Where a value comes from, as DescribeConfigs tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Set for the topic.
    Topic,
    /// Set for this broker while it ran.
    DynamicBroker,
    /// Set for all brokers while they ran.
    DynamicDefaultBroker,
    /// Set in the file or on the command line.
    StaticBroker,
    /// Not set.
    Default,
    /// The level of a logger.
    BrokerLogger,
    /// Set for the subscription to clients' metrics.
    ClientMetrics,
    /// Set for the group.
    Group,
}

impl Source {
    /// Its number in DescribeConfigs responses.
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::BrokerLogger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// The places that can set a broker key, the strongest first.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// Set for this broker while it ran.
    pub broker: &'a Overrides,
    /// Set for all brokers while they ran.
    pub broker_default: &'a Overrides,
    /// Set in the file or on the command line.
    pub statics: &'a StaticConfig,
}

impl<'a> Layers<'a> {
    /// What each layer says about the broker key `name`, the strongest first, the default last.
    pub fn texts(self, name: &str) -> impl Iterator<Item = (Source, &'a str)> {
        let default = keys::find(name).and_then(|def| def.default.text());
        [
            (Source::DynamicBroker, self.broker.get(name).map(|value| &**value)),
            (Source::DynamicDefaultBroker, self.broker_default.get(name).map(|value| &**value)),
            (Source::StaticBroker, static_text(self.statics, name)),
            (Source::Default, default),
        ]
        .into_iter()
        .filter_map(|(source, text)| Some((source, text?)))
    }

    /// The value of the broker key `def` that wins; `None` for null.
    pub fn value(self, def: &ConfigDef) -> Option<Value> {
        self.texts(def.name).find_map(|(_, text)| valid(def, text))
    }

    /// The value of `key` for a topic whose own settings are `topic`; `None` for null.
    pub fn topic_value(self, key: &TopicKey, topic: &Overrides) -> Option<Value> {
        if let Some(value) = topic.get(key.def.name).and_then(|text| valid(&key.def, text)) {
            return Some(value);
        }
        for (name, factor) in key.broker_keys {
            let def =
                keys::find(name).expect("a test looks up each of the topic keys' broker keys");
            match self.value(def) {
                // For ever is not a span: no unit turns it into another number.
                Some(Value::Integer(n)) if n < 0 && key.def.name == "retention.ms" => {
                    return Some(Value::Integer(-1));
                }
                Some(Value::Integer(n)) => {
                    let value = Value::Integer(n.saturating_mul(*factor));
                    // Kafka takes some values for brokers that no topic can have.
                    if key.def.valid.check(&value).is_ok() {
                        return Some(value);
                    }
                }
                Some(value) => return Some(value),
                None => {}
            }
        }
        key.def.default_value()
    }

    /// The value of the group key `def` for a group whose own settings are `group`.
    pub fn group_value(self, def: &ConfigDef, group: &Overrides) -> Option<Value> {
        let own = group.get(def.name).and_then(|text| valid(def, text));
        own.or_else(|| match broker_key(def) {
            Some(key) => self.value(key),
            None => def.default_value(),
        })
    }
}

/// What the file says about `name`. `node.id` and `broker.id` are one setting with two names.
fn static_text<'a>(statics: &'a StaticConfig, name: &str) -> Option<&'a str> {
    let twin = match name {
        "node.id" => Some("broker.id"),
        "broker.id" => Some("node.id"),
        _ => None,
    };
    let setting = statics.get(name).or_else(|| statics.get(twin?));
    setting.map(|setting| setting.value.trim())
}

/// `text` as a value of `def`. What is stored in the metadata was checked when it was set, but
/// perhaps by another version: a value that is not valid here is passed over, and said so.
fn valid(def: &ConfigDef, text: &str) -> Option<Value> {
    match def.parse(text) {
        Ok(value) => Some(value),
        Err(wrong) => {
            if !text.is_empty() {
                log::warn!("the stored value of {} is passed over: it {wrong}", def.name);
            }
            None
        }
    }
}
