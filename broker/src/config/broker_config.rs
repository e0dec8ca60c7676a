//! The settings that the broker obeys, as plain values.

use std::path::PathBuf;

use super::check;
use super::error::{ConfigError, Problem};
use super::field::Field;
use super::layers::{Layers, Overrides};
use super::listeners::Listeners;
use super::statics::StaticConfig;
use super::topic_config::TopicConfig;
use super::value::Value;

/// Declares a struct of settings and how it is read, one line a field.
macro_rules! settings {
    ($($(#[$doc:meta])* $struct:ident { $($field:ident: $type:ty = $name:literal;)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            #[expect(missing_docs, reason = "each field is the key of its name; see SUBJECTS")]
            pub struct $struct {
                $(pub $field: $type,)*
            }

            impl $struct {
                fn read(config: &StaticConfig) -> Result<Self, Problem> {
                    Ok(Self { $($field: Field::of(config.known($name)?),)* })
                }
            }
        )*

        #[cfg(test)]
        pub(super) const FIELDS: &[(&str, &str)] =
            &[$($((stringify!($field), $name)),*),*];
    };
}

settings! {
    /// Limits of connections and requests. A field is named after its key.
    NetworkSettings {
        num_io_threads: usize = "num.io.threads";
        queued_max_requests: usize = "queued.max.requests";
        queued_max_request_bytes: i64 = "queued.max.request.bytes";
        socket_request_max_bytes: usize = "socket.request.max.bytes";
        socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes";
        socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes";
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size";
        max_connections: usize = "max.connections";
        max_connections_per_ip: usize = "max.connections.per.ip";
        connections_max_idle_ms: i64 = "connections.max.idle.ms";
    }
    /// Limits of what one request may ask for. A field is named after its key.
    RequestSettings {
        fetch_max_bytes: u32 = "fetch.max.bytes";
        max_incremental_fetch_session_cache_slots: usize =
            "max.incremental.fetch.session.cache.slots";
        max_request_partition_size_limit: usize = "max.request.partition.size.limit";
    }
    /// How topics come and go. A field is named after its key.
    TopicSettings {
        num_partitions: i32 = "num.partitions";
        default_replication_factor: i32 = "default.replication.factor";
        auto_create_topics_enable: bool = "auto.create.topics.enable";
        delete_topic_enable: bool = "delete.topic.enable";
    }
    /// How logs are loaded and kept, whatever their topic. A field is named after its key.
    LogSettings {
        num_recovery_threads_per_data_dir: usize = "num.recovery.threads.per.data.dir";
        log_initial_task_delay_ms: i64 = "log.initial.task.delay.ms";
        log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms";
        log_flush_offset_checkpoint_interval_ms: i64 = "log.flush.offset.checkpoint.interval.ms";
        log_flush_start_offset_checkpoint_interval_ms: i64 =
            "log.flush.start.offset.checkpoint.interval.ms";
        replica_high_watermark_checkpoint_interval_ms: i64 =
            "replica.high.watermark.checkpoint.interval.ms";
        producer_id_expiration_ms: i64 = "producer.id.expiration.ms";
        producer_id_expiration_check_interval_ms: i64 = "producer.id.expiration.check.interval.ms";
    }
}

/// All that the broker obeys from its start on.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// `node.id`, else `broker.id`, else 1.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// What to bind and what to advertise.
    pub listeners: Listeners,
    /// `log.dirs`, else `log.dir`; at least one.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, else the first of `log_dirs`: where `__cluster_metadata-0` is.
    pub metadata_log_dir: PathBuf,
    /// Limits of connections and requests.
    pub network: NetworkSettings,
    /// `max.connections.per.ip.overrides`: hosts with a limit of their own.
    pub max_connections_per_ip_overrides: Vec<(String, usize)>,
    /// Limits of what one request may ask for.
    pub requests: RequestSettings,
    /// How topics come and go.
    pub topics: TopicSettings,
    /// How logs are loaded and kept.
    pub logs: LogSettings,
    /// The settings of a topic that sets none, as long as no broker key is changed at run time.
    pub topic_defaults: TopicConfig,
}

impl BrokerConfig {
    /// Reads and checks all of `config`. `hostname` is this machine's name, which is advertised
    /// for a listener without a host.
    ///
    /// # Errors
    /// All values that are not valid; or else the first two settings that do not go together.
    pub fn new(config: &StaticConfig, hostname: &str) -> Result<Self, ConfigError> {
        check::values(config)?;
        check::together(config)?;
        let log_dirs: Vec<PathBuf> = match config.known("log.dirs")? {
            Some(Value::List(dirs)) => dirs.into_iter().map(PathBuf::from).collect(),
            _ => {
                Vec::<String>::of(config.known("log.dir")?).into_iter().map(PathBuf::from).collect()
            }
        };
        let metadata_log_dir = match config.known("metadata.log.dir")? {
            Some(Value::Text(dir)) if !dir.is_empty() => PathBuf::from(dir),
            _ => log_dirs[0].clone(),
        };
        let none = Overrides::new();
        let layers = Layers { broker: &none, broker_default: &none, statics: config };
        Ok(Self {
            node_id: check::node_id(config)?,
            rack: Field::of(config.known("broker.rack")?),
            listeners: Listeners::read(config, hostname)?,
            log_dirs,
            metadata_log_dir,
            network: NetworkSettings::read(config)?,
            max_connections_per_ip_overrides: check::per_ip_overrides(config)?,
            requests: RequestSettings::read(config)?,
            topics: TopicSettings::read(config)?,
            logs: LogSettings::read(config)?,
            topic_defaults: TopicConfig::effective(layers, &none),
        })
    }
}
