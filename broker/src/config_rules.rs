//! The controller's questions about config keys, answered from the tables.

use std::sync::Arc;

use ottla_metadata::controller::{ConfigKey, ConfigRules, ConfigValidation, Refused};
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::error_code::ErrorCode;

use crate::config::{
    ConfigDef, ConfigType, Dynamic, Layers, Overrides, check_topic, group_keys, keys, topic_keys,
};

/// The rules of a broker with these settings.
pub(crate) struct Rules<'a> {
    /// What the keys of a topic fall back to.
    pub(crate) layers: Layers<'a>,
}

fn def(resource_type: ConfigResourceType, key: &str) -> Option<&'static ConfigDef> {
    match resource_type {
        ConfigResourceType::Topic => topic_keys::find(key).map(|key| &key.def),
        ConfigResourceType::Broker => keys::find(key),
        ConfigResourceType::Group => group_keys::GROUP_KEYS.iter().find(|def| def.name == key),
        _ => None,
    }
}

impl ConfigRules for Rules<'_> {
    fn key(&self, resource_type: ConfigResourceType, key: &str) -> Option<ConfigKey> {
        let def = def(resource_type, key)?;
        let default = match resource_type {
            ConfigResourceType::Topic => topic_keys::find(key)
                .and_then(|key| self.layers.topic_value(key, &Overrides::new())),
            _ => self.layers.value(def),
        };
        Some(ConfigKey {
            is_list: def.kind == ConfigType::List,
            default: default.map(|value| value.to_string()),
        })
    }

    fn validate(&self, validation: &ConfigValidation<'_>) -> Result<(), Refused> {
        let invalid = |message: String| Refused::new(ErrorCode::INVALID_CONFIG, message);
        match validation.resource_type {
            ConfigResourceType::Topic => {
                let entries: Overrides = validation
                    .entries
                    .iter()
                    .map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
                    .collect();
                check_topic(self.layers, &entries).map_err(|error| invalid(error.0))
            }
            ConfigResourceType::Broker => broker(validation),
            ConfigResourceType::Group => validation.entries.iter().try_for_each(|(key, value)| {
                let def = def(ConfigResourceType::Group, key)
                    .ok_or_else(|| invalid(format!("Unknown group config name: {key}")))?;
                def.parse(value).map(drop).map_err(|wrong| invalid(format!("{key} {wrong}")))
            }),
            _ => Ok(()),
        }
    }
}

/// A broker's key must be one that can change while it runs, for one broker or for all. Unknown
/// keys are taken, as in Kafka: they may be a plugin's.
fn broker(validation: &ConfigValidation<'_>) -> Result<(), Refused> {
    let refused = |message: String| Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
    for key in validation.changed {
        let Some(def) = keys::find(key).or_else(|| keys::listener_key(key)) else { continue };
        match def.dynamic {
            Dynamic::ReadOnly => {
                return refused(format!("Cannot update these configs dynamically: [{key}]"));
            }
            Dynamic::PerBroker if validation.resource_name.is_empty() => {
                return refused(format!(
                    "Cannot update per-broker config {key} on the default of all brokers"
                ));
            }
            _ => {}
        }
        if let Some(value) = validation.entries.get(*key)
            && let Err(wrong) = def.parse(value)
        {
            return refused(format!("Invalid value {value} for configuration {key}: it {wrong}"));
        }
    }
    Ok(())
}
