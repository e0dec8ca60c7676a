//! What to say at start about settings that do not do what one might think.

use std::fmt;

use ottla_properties::nearest;

use super::def::Effect;
use super::listeners::LISTENER_LIMITS;
use super::statics::{Origin, StaticConfig};
use super::topic_keys;
use super::{check, keys};

/// Something that a person who starts the broker should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Keys that one node, or a process that is no JVM, has no use for.
    NoEffect(Vec<String>),
    /// Keys of what is not built yet.
    NotYet(Vec<String>),
    /// Keys that Kafka had before 4.0 and ignores since.
    Removed(Vec<String>),
    /// A key that nobody knows.
    Unknown {
        /// Its name.
        key: String,
        /// Where it is set.
        origin: Origin,
        /// What it may have been meant to be.
        nearest: Option<&'static str>,
    },
    /// A key that Kafka demands is not set.
    Assumed {
        /// The key.
        key: &'static str,
        /// What holds instead.
        value: String,
    },
}

impl Notice {
    /// Whether it deserves a warning; else it is mere information.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::NotYet(_) | Self::Unknown { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEffect(keys) => {
                write!(f, "known settings that have no effect on one node: {}", keys.join(", "))
            }
            Self::NotYet(keys) => {
                write!(f, "known settings that Ottla does not act on yet: {}", keys.join(", "))
            }
            Self::Removed(keys) => {
                write!(f, "settings that Kafka 4 has no more, ignored: {}", keys.join(", "))
            }
            Self::Unknown { key, origin, nearest } => {
                write!(f, "{origin}: unknown setting {key}, ignored")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => Ok(()),
                }
            }
            Self::Assumed { key, value } => write!(f, "{key} is not set, taken as {value}"),
        }
    }
}

/// The notices about a configuration.
pub fn notices(config: &StaticConfig) -> Vec<Notice> {
    let (mut no_effect, mut not_yet, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let mut unknown = Vec::new();
    for (key, setting) in config.iter() {
        let effect = keys::find(key).map(|def| def.effect).or_else(|| listener_effect(key));
        match effect {
            Some(Effect::Acts) => {}
            Some(Effect::NoEffect) => no_effect.push(key.to_owned()),
            Some(Effect::NotYet) => not_yet.push(key.to_owned()),
            None if keys::is_removed(key) => removed.push(key.to_owned()),
            None => unknown.push(Notice::Unknown {
                key: key.to_owned(),
                origin: setting.origin.clone(),
                nearest: meant(key),
            }),
        }
    }
    let mut notices = unknown;
    for (key, value) in
        [("node.id", check::NODE_ID.to_string()), ("process.roles", "broker,controller".to_owned())]
    {
        let is_set =
            config.get(key).is_some() || (key == "node.id" && config.get("broker.id").is_some());
        if !is_set {
            notices.push(Notice::Assumed { key, value });
        }
    }
    let lists = [
        (not_yet, Notice::NotYet as fn(Vec<String>) -> Notice),
        (no_effect, Notice::NoEffect),
        (removed, Notice::Removed),
    ];
    notices.extend(lists.into_iter().filter(|(keys, _)| !keys.is_empty()).map(|(k, n)| n(k)));
    notices
}

/// What a listener's own setting does: threads and limits are all that a listener has of its own.
fn listener_effect(key: &str) -> Option<Effect> {
    let def = keys::listener_key(key)?;
    Some(match def.effect {
        Effect::Acts if !LISTENER_LIMITS.contains(&def.name) => Effect::NotYet,
        effect => effect,
    })
}

/// The broker key that `key` may have been meant to be: that of the topic key of this name, or
/// the one that is spelled most alike.
fn meant(key: &str) -> Option<&'static str> {
    let of_topic = topic_keys::find(key).and_then(|topic| topic.broker_keys.first());
    of_topic.map(|(name, _)| *name).or_else(|| nearest(key, keys::all().map(|def| def.name)))
}
