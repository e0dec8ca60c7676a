//! Dynamic configs, by resource.

use super::SharedMap;
use ottla_protocol::metadata::config::ConfigRecord;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The config keys set on one resource, and their values.
pub type ConfigEntries = BTreeMap<Arc<str>, Arc<str>>;

/// What a config belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResourceType {
    /// A topic, by name.
    Topic,
    /// A broker, by its id in decimal; the empty name stands for the default of all brokers.
    Broker,
    /// The log levels of a broker; never in the metadata log.
    BrokerLogger,
    /// A subscription to clients' metrics (KIP-714).
    ClientMetrics,
    /// A group, by id.
    Group,
}

impl ConfigResourceType {
    /// The number of the wire and of the log.
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// The type with that number, if one has it.
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|resource_type| resource_type.code() == code)
    }
}

/// The dynamic configs of all resources. Types that this build does not know are kept too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configs {
    by_type: BTreeMap<i8, SharedMap<Arc<str>, Arc<ConfigEntries>>>,
}

impl Configs {
    /// What is set on one resource; `None` when nothing is.
    pub fn get(&self, resource_type: ConfigResourceType, name: &str) -> Option<&ConfigEntries> {
        Some(self.by_type.get(&resource_type.code())?.get(name)?)
    }

    /// One key of one resource.
    pub fn value(&self, resource_type: ConfigResourceType, name: &str, key: &str) -> Option<&str> {
        Some(self.get(resource_type, name)?.get(key)?)
    }

    /// What is set on a topic.
    pub fn topic(&self, name: &str) -> Option<&ConfigEntries> {
        self.get(ConfigResourceType::Topic, name)
    }

    /// What is set on one broker.
    pub fn broker(&self, id: i32) -> Option<&ConfigEntries> {
        self.get(ConfigResourceType::Broker, &id.to_string())
    }

    /// What is set on all brokers together, the cluster-wide default.
    pub fn default_broker(&self) -> Option<&ConfigEntries> {
        self.get(ConfigResourceType::Broker, "")
    }

    /// All resources that have something set: type number, name, entries.
    pub fn iter(&self) -> impl Iterator<Item = (i8, &str, &ConfigEntries)> {
        self.by_type.iter().flat_map(|(resource_type, resources)| {
            resources.iter().map(|(name, entries)| (*resource_type, &**name, &**entries))
        })
    }

    pub(super) fn replay(&mut self, record: &ConfigRecord<'_>) {
        let resources = self.by_type.entry(record.resource_type).or_default();
        match record.value {
            Some(value) => {
                let entries = match resources.get_mut(record.resource_name) {
                    Some(entries) => Arc::make_mut(entries),
                    None => {
                        let name: Arc<str> = record.resource_name.into();
                        resources.insert(name, Arc::default());
                        let entries = resources.get_mut(record.resource_name);
                        Arc::make_mut(entries.expect("inserted on the line above"))
                    }
                };
                entries.insert(record.name.into(), value.into());
            }
            None => {
                let Some(entries) = resources.get_mut(record.resource_name) else { return };
                let entries = Arc::make_mut(entries);
                entries.remove(record.name);
                if entries.is_empty() {
                    resources.remove(record.resource_name);
                }
            }
        }
        self.drop_type_if_empty(record.resource_type);
    }

    pub(super) fn remove_resource(&mut self, resource_type: i8, name: &str) {
        if let Some(resources) = self.by_type.get_mut(&resource_type) {
            resources.remove(name);
        }
        self.drop_type_if_empty(resource_type);
    }

    /// Equal contents make equal images, however they came about.
    fn drop_type_if_empty(&mut self, resource_type: i8) {
        if self.by_type.get(&resource_type).is_some_and(SharedMap::is_empty) {
            self.by_type.remove(&resource_type);
        }
    }
}
