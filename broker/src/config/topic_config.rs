//! The settings of one topic, as plain values.

use super::field::Field;
use super::layers::{Layers, Overrides};
use super::topic_keys::{self, TopicKey};

/// Declares the struct and how it is read, one line a field.
macro_rules! topic_config {
    ($($field:ident: $type:ty = $name:literal;)*) => {
        /// The effective settings of one topic. A field is named after its key.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each field is the key of its name; see TOPIC_KEYS")]
        pub struct TopicConfig {
            $(pub $field: $type,)*
        }

        impl TopicConfig {
            /// The settings of a topic whose own ones are `topic`.
            pub fn effective(layers: Layers<'_>, topic: &Overrides) -> Self {
                let value = |name| layers.topic_value(key(name), topic);
                Self { $($field: Field::of(value($name)),)* }
            }
        }

        #[cfg(test)]
        pub(super) const FIELDS: &[(&str, &str)] = &[$((stringify!($field), $name)),*];
    };
}

topic_config! {
    cleanup_policy: Vec<String> = "cleanup.policy";
    compression_gzip_level: i32 = "compression.gzip.level";
    compression_lz4_level: i32 = "compression.lz4.level";
    compression_type: String = "compression.type";
    compression_zstd_level: i32 = "compression.zstd.level";
    delete_retention_ms: i64 = "delete.retention.ms";
    file_delete_delay_ms: i64 = "file.delete.delay.ms";
    flush_messages: i64 = "flush.messages";
    flush_ms: i64 = "flush.ms";
    follower_replication_throttled_replicas: Vec<String> =
        "follower.replication.throttled.replicas";
    index_interval_bytes: u32 = "index.interval.bytes";
    internal_segment_bytes: Option<u32> = "internal.segment.bytes";
    leader_replication_throttled_replicas: Vec<String> = "leader.replication.throttled.replicas";
    local_retention_bytes: i64 = "local.retention.bytes";
    local_retention_ms: i64 = "local.retention.ms";
    max_compaction_lag_ms: i64 = "max.compaction.lag.ms";
    max_message_bytes: u32 = "max.message.bytes";
    message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms";
    message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms";
    message_timestamp_type: String = "message.timestamp.type";
    min_cleanable_dirty_ratio: f64 = "min.cleanable.dirty.ratio";
    min_compaction_lag_ms: i64 = "min.compaction.lag.ms";
    min_insync_replicas: u32 = "min.insync.replicas";
    preallocate: bool = "preallocate";
    remote_log_copy_disable: bool = "remote.log.copy.disable";
    remote_log_delete_on_disable: bool = "remote.log.delete.on.disable";
    remote_storage_enable: bool = "remote.storage.enable";
    retention_bytes: i64 = "retention.bytes";
    retention_ms: i64 = "retention.ms";
    segment_bytes: u32 = "segment.bytes";
    segment_index_bytes: u32 = "segment.index.bytes";
    segment_jitter_ms: i64 = "segment.jitter.ms";
    segment_ms: i64 = "segment.ms";
    unclean_leader_election_enable: bool = "unclean.leader.election.enable";
}

impl TopicConfig {
    /// The size at which a segment is closed: `internal.segment.bytes` where it is set, else
    /// `segment.bytes`.
    pub fn segment_bytes_max(&self) -> u32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }

    /// Whether the broker's clock stamps records.
    pub fn is_log_append_time(&self) -> bool {
        self.message_timestamp_type == "LogAppendTime"
    }
}

fn key(name: &str) -> &'static TopicKey {
    topic_keys::find(name).expect("fields name keys of the table")
}
