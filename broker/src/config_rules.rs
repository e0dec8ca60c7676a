//! The controller's questions about config keys, answered from the tables.

use ottla_metadata::controller::{ConfigKey, ConfigRules, ConfigValidation, Refused};
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::error_code::ErrorCode;

use crate::config::{
    BrokerChange, BrokerConfig, ConfigDef, ConfigType, InvalidConfig, InvalidSubscription, Layers,
    check_broker, check_client_metrics, check_group, check_topic, group_keys, keys, topic_keys,
};

/// The rules of a broker with these settings.
pub(crate) struct Rules<'a> {
    /// The settings in force, on which those of topics and groups fall back.
    pub(crate) layers: Layers<'a>,
    /// What this broker started with.
    pub(crate) config: &'a BrokerConfig,
}

fn def(resource_type: ConfigResourceType, key: &str) -> Option<&'static ConfigDef> {
    match resource_type {
        ConfigResourceType::Topic => topic_keys::find(key).map(|key| &key.def),
        ConfigResourceType::Broker => keys::find(key),
        ConfigResourceType::Group => group_keys::find(key),
        // Kafka appends to no list of a subscription, though two of its keys are lists.
        ConfigResourceType::ClientMetrics | ConfigResourceType::BrokerLogger => None,
    }
}

impl ConfigRules for Rules<'_> {
    fn key(&self, resource_type: ConfigResourceType, key: &str) -> Option<ConfigKey> {
        let def = def(resource_type, key)?;
        // A list is edited from the key's own default, whatever holds for brokers, as in Kafka.
        let default = def.default_value().map(|value| value.to_string());
        Some(ConfigKey { is_list: def.kind == ConfigType::List, default })
    }

    fn validate(&self, validation: &ConfigValidation<'_>) -> Result<(), Refused> {
        let (config, request) = (ErrorCode::INVALID_CONFIG, ErrorCode::INVALID_REQUEST);
        let with = |code| move |error: InvalidConfig| Refused::new(code, error.0);
        match validation.resource_type {
            ConfigResourceType::Topic => {
                check_topic(self.layers, validation.entries).map_err(with(config))
            }
            ConfigResourceType::Broker => self.broker(validation).map_err(with(request)),
            ConfigResourceType::Group => {
                check_group(self.layers, validation.entries).map_err(with(config))
            }
            ConfigResourceType::ClientMetrics => {
                check_client_metrics(validation.entries).map_err(|invalid| match invalid {
                    InvalidSubscription::Request(message) => Refused::new(request, message),
                    InvalidSubscription::Config(message) => Refused::new(config, message),
                })
            }
            // The controller asks about no loggers.
            ConfigResourceType::BrokerLogger => Ok(()),
        }
    }
}

impl Rules<'_> {
    fn broker(&self, validation: &ConfigValidation<'_>) -> Result<(), InvalidConfig> {
        let listeners: Vec<&str> = self.config.listeners.names().collect();
        let log_dirs: Vec<&str> =
            self.config.log_dirs.iter().filter_map(|dir| dir.to_str()).collect();
        let change = BrokerChange {
            entries: validation.entries,
            changed: validation.changed,
            is_default: validation.resource_name.is_empty(),
            listeners: &listeners,
            log_dirs: &log_dirs,
        };
        check_broker(self.layers, &change)
    }
}
