//! Settings that change while the broker runs: who reads them, and what a change sets off.
//!
//! [`Node::dynamic`] is a snapshot of all that is dynamic; a request that loads it once sees one
//! state. A change of the configs in the image comes here before it is shown.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::{ArcSwap, Guard};
use ottla_metadata::image::{ConfigResourceType, Image};
use ottla_network::Control;
use ottla_storage::manager::ManagerConfig;
use ottla_storage::producer_state::ProducerSettings;

use crate::config::{
    self, BrokerConfig, DynamicConfig, GroupConfig, Layers, Overrides, StaticConfig,
};
use crate::groups::group_config;
use crate::node::Node;
use crate::topic_settings::TopicSettings;

/// The dynamic settings in force.
#[derive(Debug)]
pub struct Dynamic {
    config: ArcSwap<DynamicConfig>,
    /// The network's limits and pools, from when it listens until it has stopped.
    network: Mutex<Option<Control>>,
}

impl Dynamic {
    /// Begins with `config`.
    pub fn new(config: DynamicConfig) -> Self {
        Self { config: ArcSwap::from_pointee(config), network: Mutex::new(None) }
    }

    fn network(&self) -> MutexGuard<'_, Option<Control>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings in their layers, as an image has them.
pub(crate) fn layers_of<'a>(
    node_id: i32,
    statics: &'a StaticConfig,
    image: &'a Image,
    none: &'a Overrides,
) -> Layers<'a> {
    Layers {
        broker: image.configs().broker(node_id).unwrap_or(none),
        broker_default: image.configs().default_broker().unwrap_or(none),
        statics,
    }
}

/// The dynamic settings of a broker under an image.
pub(crate) fn dynamic_config(
    config: &BrokerConfig,
    statics: &StaticConfig,
    image: &Image,
) -> DynamicConfig {
    let none = Overrides::new();
    let layers = layers_of(config.node_id, statics, image, &none);
    DynamicConfig::effective(layers, config.listeners.names())
}

/// Puts what the logs obey into their manager's settings.
pub(crate) fn configure_logs(manager: &mut ManagerConfig, dynamic: &DynamicConfig) {
    manager.recovery_threads_per_dir = dynamic.threads.num_recovery_threads_per_data_dir;
    manager.default_log_config = TopicSettings::new(&dynamic.topic_defaults).log;
    manager.producer_settings = ProducerSettings {
        producer_id_expiration_ms: dynamic.producers.producer_id_expiration_ms,
        ..manager.producer_settings
    };
}

impl Node {
    /// Has the network, which was started with `started`, follow what is dynamic from now on.
    pub(crate) fn follow_with(&self, network: Control, started: &DynamicConfig) {
        // Held, so that no change falls between the settings it started with and those it follows.
        self.cluster.hold(|_| {
            self.change_network(&network, started);
            *self.dynamic.network() = Some(network);
        });
    }

    /// Lets go of the network, which has this node for its service: each would else keep the other
    /// for ever, in a program that goes on when its broker has stopped.
    pub(crate) fn let_network_go(&self) {
        *self.dynamic.network() = None;
    }

    /// `min.insync.replicas` as this node's file has it, whatever was set since.
    pub(crate) fn static_min_insync_replicas(&self) -> String {
        let config = dynamic_config(&self.config, &self.statics, &Image::empty());
        config.topic_defaults.min_insync_replicas.to_string()
    }

    /// The dynamic settings in force. Cheap, without a lock; not to be kept for long.
    pub fn dynamic(&self) -> Guard<Arc<DynamicConfig>> {
        self.dynamic.config.load()
    }

    /// The settings in force of a group, whether it exists or not.
    pub fn group_config(&self, group_id: &str) -> GroupConfig {
        let image = self.cluster.image();
        let none = Overrides::new();
        let own = image.configs().get(ConfigResourceType::Group, group_id).unwrap_or(&none);
        self.with_layers_of(&image, |layers| GroupConfig::effective(layers, own))
    }

    /// Brings what runs to what the image says, after configs of these resources have changed.
    pub(crate) fn carry_out_configs(
        &self,
        before: &Image,
        after: &Image,
        changed: &[(ConfigResourceType, &str)],
    ) {
        let (old, new) = (before.configs(), after.configs());
        let node_id = self.config.node_id;
        let brokers_changed = old.broker(node_id) != new.broker(node_id)
            || old.default_broker() != new.default_broker();
        if brokers_changed {
            self.apply_dynamic(dynamic_config(&self.config, &self.statics, after));
            self.groups.set_config(group_config(&self.config, &self.statics, after));
            self.apply_to_topics(after);
            return;
        }
        let topics = changed.iter().filter(|(kind, _)| *kind == ConfigResourceType::Topic);
        let names: BTreeSet<&str> = topics.map(|(_, name)| *name).collect();
        for name in names.into_iter().filter(|name| old.topic(name) != new.topic(name)) {
            self.apply_to_topic(name, self.topic_settings(after, name));
        }
    }

    /// Puts dynamic settings in force, but for what topics make of them.
    pub(crate) fn apply_dynamic(&self, config: DynamicConfig) {
        self.logs.set_config(|manager| configure_logs(manager, &config));
        let dirs = self.logs.log_dirs().map(|dir| dir.path().to_owned());
        self.logs.set_cordoned(dirs.filter(|dir| config.is_cordoned(dir)));
        let before = self.dynamic.config.swap(Arc::new(config));
        if let Some(network) = &*self.dynamic.network() {
            self.change_network(network, &before);
        }
    }

    fn change_network(&self, network: &Control, before: &DynamicConfig) {
        let config = self.dynamic();
        if let Err(error) = config::change_limits(network, before, &config) {
            self.failures.say(log::Level::Error, format_args!("cannot resize a pool: {error}"));
        }
        let hosts = &config.max_connections_per_ip_overrides;
        if *hosts != before.max_connections_per_ip_overrides && config::has_host_names(&config) {
            self.look_up_hosts(network.clone(), Arc::clone(&config));
        }
    }

    /// Looks up the hosts that have limits of their own. It has a thread for itself, which ends
    /// with that: no request waits for name servers.
    fn look_up_hosts(&self, network: Control, config: Arc<DynamicConfig>) {
        let node = Weak::clone(&self.me);
        let look_up = move || {
            let overrides = config::per_ip_overrides(&config);
            let Some(node) = node.upgrade() else { return };
            // Held, so that what was set meanwhile is not undone.
            node.cluster.hold(|_| {
                let hosts = &node.dynamic().max_connections_per_ip_overrides;
                if *hosts == config.max_connections_per_ip_overrides {
                    network.set_connections_per_ip_overrides(&overrides);
                }
            });
        };
        if let Err(error) = std::thread::Builder::new().name("resolver".into()).spawn(look_up) {
            let said = format_args!("cannot look up hosts with limits of their own: {error}");
            self.failures.say(log::Level::Error, said);
        }
    }

    /// Every topic follows the broker's settings in what it does not set itself.
    fn apply_to_topics(&self, image: &Image) {
        let defaults = TopicSettings::new(&self.dynamic().topic_defaults);
        for topic in self.topics.all() {
            let settings = match image.configs().topic(&topic.name) {
                Some(_) => self.topic_settings(image, &topic.name),
                None => defaults.clone(),
            };
            self.apply_to_topic(&topic.name, settings);
        }
    }

    fn apply_to_topic(&self, name: &str, settings: TopicSettings) {
        let Some(topic) = self.topics.by_name(name) else { return };
        for partition in topic.partitions() {
            partition.log.set_config(settings.log.clone());
        }
        // The cell is one for all partitions of the topic.
        if let Some(partition) = topic.partitions().next() {
            partition.settings.store(Arc::new(settings));
        }
    }
}
