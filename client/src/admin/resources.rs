//! What has settings, and what kinds of settings there are.

use std::fmt;

use super::codes::codes;
use super::spread::Item;
use crate::error::{Error, ErrorKind};

codes! {
    /// What has settings.
    ConfigResourceKind {
        /// A topic, by its name.
        2 Topic "TOPIC",
        /// A broker, by its id; with an empty name, what all brokers have in common.
        4 Broker "BROKER",
        /// The levels of a broker's loggers, by the broker's id.
        8 BrokerLogger "BROKER_LOGGER",
        /// A subscription to clients' metrics, by its name.
        16 ClientMetrics "CLIENT_METRICS",
        /// A group, by its id.
        32 Group "GROUP",
    }
}

codes! {
    /// Where the value of a setting comes from.
    ConfigSource {
        /// It was set for the topic.
        1 Topic "DYNAMIC_TOPIC_CONFIG",
        /// It was set for the broker while it ran.
        2 Broker "DYNAMIC_BROKER_CONFIG",
        /// It was set for all brokers while they ran.
        3 AllBrokers "DYNAMIC_DEFAULT_BROKER_CONFIG",
        /// It is in the broker's file.
        4 File "STATIC_BROKER_CONFIG",
        /// It is the default.
        5 Default "DEFAULT_CONFIG",
        /// It was set for the logger.
        6 Logger "DYNAMIC_BROKER_LOGGER_CONFIG",
        /// It was set for the subscription to clients' metrics.
        7 ClientMetrics "DYNAMIC_CLIENT_METRICS_CONFIG",
        /// It was set for the group.
        8 Group "DYNAMIC_GROUP_CONFIG",
    }
}

codes! {
    /// What kind of value a setting has.
    ConfigKind {
        /// `true` or `false`.
        1 Boolean "BOOLEAN",
        /// Text.
        2 String "STRING",
        /// A number of 32 bits.
        3 Int "INT",
        /// A number of 16 bits.
        4 Short "SHORT",
        /// A number of 64 bits.
        5 Long "LONG",
        /// A number with a fraction.
        6 Double "DOUBLE",
        /// Texts with commas between them.
        7 List "LIST",
        /// The name of a Java class.
        8 Class "CLASS",
        /// A secret.
        9 Password "PASSWORD",
    }
}

/// Something that has settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceKind,
    /// Its name, or a broker's id.
    pub name: String,
}

impl ConfigResource {
    /// A resource of this kind.
    pub fn new(kind: ConfigResourceKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// A topic.
    pub fn topic(name: &str) -> Self {
        Self::new(ConfigResourceKind::Topic, name)
    }

    /// A broker.
    pub fn broker(id: i32) -> Self {
        Self::new(ConfigResourceKind::Broker, &id.to_string())
    }

    /// What all brokers have in common.
    pub fn all_brokers() -> Self {
        Self::new(ConfigResourceKind::Broker, "")
    }

    /// A broker's loggers.
    pub fn broker_logger(id: i32) -> Self {
        Self::new(ConfigResourceKind::BrokerLogger, &id.to_string())
    }

    /// A group.
    pub fn group(id: &str) -> Self {
        Self::new(ConfigResourceKind::Group, id)
    }

    /// A subscription to clients' metrics.
    pub fn client_metrics(name: &str) -> Self {
        Self::new(ConfigResourceKind::ClientMetrics, name)
    }

    /// Who is to be asked: only a broker itself knows its file and its loggers.
    pub(super) fn route(&self) -> Result<Option<i32>, Error> {
        let is_broker =
            matches!(self.kind, ConfigResourceKind::Broker | ConfigResourceKind::BrokerLogger);
        if !is_broker || self.name.is_empty() {
            return Ok(None);
        }
        let id = self.name.parse();
        id.map(Some).map_err(|_| Error::new(ErrorKind::Usage, format!("{self}: no broker's id")))
    }
}

/// `TOPIC orders`
impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, if self.name.is_empty() { "<default>" } else { &self.name })
    }
}

impl Item for ConfigResource {
    fn blame(&self, error: Error) -> Error {
        match self.kind {
            ConfigResourceKind::Topic => error.of_topic(&self.name),
            ConfigResourceKind::Group => error.of_group(&self.name),
            _ => error.about(self),
        }
    }
}
