//! The settings that the broker obeys from its start to its end, as plain values. Those that may
//! change in between are in [`DynamicConfig`](super::DynamicConfig).

use std::path::{Path, PathBuf};

use super::check;
use super::error::ConfigError;
use super::field::{Field, settings};
use super::listeners::Listeners;
use super::statics::StaticConfig;
use super::value::Value;

settings! {
    /// Limits of connections and requests. A field is named after its key.
    NetworkSettings {
        queued_max_requests: usize = "queued.max.requests";
        queued_max_request_bytes: i64 = "queued.max.request.bytes";
        socket_request_max_bytes: usize = "socket.request.max.bytes";
        socket_send_buffer_bytes: i32 = "socket.send.buffer.bytes";
        socket_receive_buffer_bytes: i32 = "socket.receive.buffer.bytes";
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size";
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
        log_initial_task_delay_ms: i64 = "log.initial.task.delay.ms";
        log_cleaner_enable: bool = "log.cleaner.enable";
        log_retention_check_interval_ms: i64 = "log.retention.check.interval.ms";
        log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms";
        log_flush_offset_checkpoint_interval_ms: i64 = "log.flush.offset.checkpoint.interval.ms";
        log_flush_start_offset_checkpoint_interval_ms: i64 =
            "log.flush.start.offset.checkpoint.interval.ms";
        replica_high_watermark_checkpoint_interval_ms: i64 =
            "replica.high.watermark.checkpoint.interval.ms";
        producer_id_expiration_check_interval_ms: i64 = "producer.id.expiration.check.interval.ms";
    }
    /// The metadata log and its snapshots. A field is named after its key.
    MetadataSettings {
        metadata_log_segment_bytes: u32 = "metadata.log.segment.bytes";
        metadata_log_segment_ms: i64 = "metadata.log.segment.ms";
        metadata_log_max_record_bytes_between_snapshots: u64 =
            "metadata.log.max.record.bytes.between.snapshots";
        metadata_log_max_snapshot_interval_ms: i64 = "metadata.log.max.snapshot.interval.ms";
        metadata_max_retention_bytes: i64 = "metadata.max.retention.bytes";
        metadata_max_retention_ms: i64 = "metadata.max.retention.ms";
        internal_metadata_delete_delay_millis: i64 = "internal.metadata.delete.delay.millis";
    }
    /// Classic and consumer groups. A field is named after its key.
    GroupSettings {
        group_coordinator_rebalance_protocols: Vec<String> =
            "group.coordinator.rebalance.protocols";
        group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms";
        group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms";
        group_initial_rebalance_delay_ms: i32 = "group.initial.rebalance.delay.ms";
        group_max_size: usize = "group.max.size";
        group_consumer_max_size: usize = "group.consumer.max.size";
        group_consumer_assignors: Vec<String> = "group.consumer.assignors";
        group_consumer_migration_policy: String = "group.consumer.migration.policy";
        group_consumer_regex_refresh_interval_ms: i32 =
            "group.consumer.regex.refresh.interval.ms";
    }
    /// Committed offsets and the topic that keeps them. A field is named after its key.
    OffsetSettings {
        offset_metadata_max_bytes: usize = "offset.metadata.max.bytes";
        offsets_load_buffer_size: usize = "offsets.load.buffer.size";
        offsets_retention_check_interval_ms: i64 = "offsets.retention.check.interval.ms";
        offsets_retention_minutes: i32 = "offsets.retention.minutes";
        offsets_topic_compression_codec: i32 = "offsets.topic.compression.codec";
        offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions";
        offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor";
        offsets_topic_segment_bytes: i32 = "offsets.topic.segment.bytes";
    }
}

/// All that the broker obeys and that only a restart changes.
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
    /// Limits of what one request may ask for.
    pub requests: RequestSettings,
    /// How topics come and go.
    pub topics: TopicSettings,
    /// How logs are loaded and kept.
    pub logs: LogSettings,
    /// The metadata log and its snapshots.
    pub metadata: MetadataSettings,
    /// Classic and consumer groups; what one group has of its own is in [`super::GroupConfig`].
    pub groups: GroupSettings,
    /// Committed offsets and their topic.
    pub offsets: OffsetSettings,
}

/// Whose data it is and where it lies: enough to look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDirs {
    /// `node.id`, else `broker.id`, else 1.
    pub node_id: i32,
    /// `log.dirs`, else `log.dir`; at least one.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, else the first of `log_dirs`.
    pub metadata_log_dir: PathBuf,
}

impl DataDirs {
    /// `log.dirs`, and behind them the metadata log's directory if it is none of them.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let home = &self.metadata_log_dir;
        self.log_dirs.iter().chain((!self.log_dirs.contains(home)).then_some(home))
    }

    /// Those of a configuration that may be wrong elsewhere.
    ///
    /// # Errors
    /// One of the settings that they come from is not valid.
    pub fn of(config: &StaticConfig) -> Result<Self, ConfigError> {
        let log_dirs: Vec<PathBuf> = match config.known("log.dirs")? {
            Some(Value::List(dirs)) => dirs.into_iter().map(PathBuf::from).collect(),
            _ => {
                Vec::<String>::of(config.known("log.dir")?).into_iter().map(PathBuf::from).collect()
            }
        };
        let metadata_log_dir = match config.known("metadata.log.dir")? {
            Some(Value::Text(dir)) if !dir.is_empty() => same_of(&log_dirs, PathBuf::from(dir)),
            _ => log_dirs[0].clone(),
        };
        Ok(Self { node_id: check::node_id(config)?, log_dirs, metadata_log_dir })
    }
}

/// A directory as `log_dirs` writes it, if it is one of them by another path.
fn same_of(log_dirs: &[PathBuf], dir: PathBuf) -> PathBuf {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let same = log_dirs.iter().find(|of| absolute(of) == absolute(&dir));
    same.cloned().unwrap_or(dir)
}

impl BrokerConfig {
    /// Reads and checks all of `config`. `hostname` is this machine's name, which is advertised
    /// for a listener without a host.
    ///
    /// # Errors
    /// All values that are not valid, and all settings that do not go together; of those about
    /// listeners the first.
    pub fn new(config: &StaticConfig, hostname: &str) -> Result<Self, ConfigError> {
        let mut problems = check::values(config);
        let listeners = Listeners::read(config, hostname);
        let others = check::together(config).into_iter().chain(listeners.err());
        for problem in others {
            if !problems.iter().any(|told| told.is_of_same(&problem)) {
                problems.push(problem);
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let DataDirs { node_id, log_dirs, metadata_log_dir } = DataDirs::of(config)?;
        let value = |name| config.known(name);
        Ok(Self {
            node_id,
            rack: Field::of(config.known("broker.rack")?),
            listeners: Listeners::read(config, hostname)?,
            log_dirs,
            metadata_log_dir,
            network: NetworkSettings::read(value)?,
            requests: RequestSettings::read(value)?,
            topics: TopicSettings::read(value)?,
            logs: LogSettings::read(value)?,
            metadata: MetadataSettings::read(value)?,
            groups: GroupSettings::read(value)?,
            offsets: OffsetSettings::read(value)?,
        })
    }
}
