//! Settings: each key declared once, and all that follows from the declarations.
//!
//! [`keys`], [`topic_keys`] and [`group_keys`] are the tables. From them come the reading and
//! checking of `server.properties` ([`StaticConfig`], [`BrokerConfig`]), the settings of a topic
//! ([`TopicConfig`], [`check_topic`]), of a group ([`GroupConfig`], [`check_group`]) and what is
//! dynamic of a broker ([`DynamicConfig`], [`check_broker`]), what DescribeConfigs tells
//! ([`describe`]), what is said at start ([`notices()`]) and `docs/CONFIG.md` ([`document()`]).
//!
//! Nothing here reads a clock or the environment; only [`StaticConfig::read`] opens a file, and
//! only [`server_config`], [`set_dynamic`] and [`per_ip_overrides`] ask the system's resolver.
//!
//! ```
//! use ottla::config::{BrokerConfig, StaticConfig};
//!
//! let file = b"node.id=7\nadvertised.listeners=PLAINTEXT://b7:9092\n";
//! let mut statics = StaticConfig::parse("server.properties", file)?;
//! statics.set_override("num.partitions=3")?;
//! let config = BrokerConfig::new(&statics, "this-host")?;
//! assert_eq!((config.node_id, config.topics.num_partitions), (7, 3));
//! assert_eq!(config.listeners.advertised[0].host, "b7");
//! # Ok::<(), ottla::config::ConfigError>(())
//! ```

mod accept;
mod broker_config;
mod check;
pub mod client_metrics;
mod def;
pub mod describe;
mod document;
mod dynamic_check;
mod dynamic_config;
mod error;
mod field;
mod group_check;
mod group_config;
pub mod group_keys;
pub mod keys;
mod layers;
mod listeners;
mod notices;
mod providers;
mod sockets;
mod statics;
#[cfg(test)]
mod tests;
mod topic_check;
mod topic_config;
pub mod topic_keys;
mod value;

pub use accept::{Acceptable, Accepted};
pub use broker_config::{
    BrokerConfig, DataDirs, GroupSettings, LogSettings, MetadataSettings, NetworkSettings,
    OffsetSettings, RequestSettings, TopicSettings,
};
pub use client_metrics::{CLIENT_METRICS_KEYS, InvalidSubscription, check_client_metrics};
pub use def::{ConfigDef, ConfigType, Default, Dynamic, Effect, Valid};
pub use document::document;
pub use dynamic_check::{BrokerChange, check_broker};
pub use dynamic_config::{
    CleanerSettings, ConnectionSettings, DynamicConfig, ListenerLimits, ProducerStateSettings,
    ThreadSettings,
};
pub use error::{ConfigError, Problem};
pub use group_check::check_group;
pub use group_config::GroupConfig;
pub use layers::{Layers, Overrides, Source};
pub use listeners::{Endpoint, Listener, Listeners};
pub use notices::{Notice, notices};
pub use ottla_properties::nearest;
pub use sockets::{change_limits, has_host_names, per_ip_overrides, server_config, set_dynamic};
pub use statics::{Origin, Setting, StaticConfig};
pub use topic_check::{InvalidConfig, check_topic};
pub use topic_config::TopicConfig;
pub use topic_keys::{TOPIC_KEYS, TopicKey};
pub use value::Value;
