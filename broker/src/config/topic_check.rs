//! Whether a topic may be given some settings.

use std::fmt;

use ottla_properties::nearest;

use super::layers::{Layers, Overrides};
use super::topic_config::TopicConfig;
use super::topic_keys::{self, TOPIC_KEYS};

/// Why a topic cannot have a setting: the message that goes with INVALID_CONFIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidConfig(pub String);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidConfig {}

/// Whether a topic may have the settings `topic`, all of those that it is to have.
///
/// # Errors
/// The first key that is unknown or whose value is not valid, or two that contradict each other.
pub fn check_topic(layers: Layers<'_>, topic: &Overrides) -> Result<(), InvalidConfig> {
    for (name, text) in topic {
        let Some(key) = topic_keys::find(name) else {
            let known = TOPIC_KEYS.iter().map(|key| key.def.name);
            let guess = nearest(name, known).map(|name| format!("; did you mean {name}?"));
            let guess = guess.unwrap_or_default();
            return Err(InvalidConfig(format!("Unknown topic config name: {name}{guess}")));
        };
        key.def.parse(text).map_err(|wrong| {
            let valid = key.def.valid_words();
            InvalidConfig(format!(
                "Invalid value {text} for configuration {name}: it {wrong} (valid: {valid})"
            ))
        })?;
    }
    let config = TopicConfig::effective(layers, topic);
    if config.remote_storage_enable {
        let wrong = "remote.storage.enable=true needs tiered storage, which this broker lacks";
        return Err(InvalidConfig(wrong.to_owned()));
    }
    if config.max_compaction_lag_ms < config.min_compaction_lag_ms {
        return Err(InvalidConfig(format!(
            "max.compaction.lag.ms={} is less than min.compaction.lag.ms={}",
            config.max_compaction_lag_ms, config.min_compaction_lag_ms
        )));
    }
    Ok(())
}
