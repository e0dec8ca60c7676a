//! A topic's settings in the forms that appending to it needs.

use ottla_protocol::record::batch::TimestampType;
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_storage::config::{CompressionType, LogConfig};
use ottla_storage::validate::{
    AppendOrigin, DECOMPRESSED_BYTES_MAX, TargetCompression, ValidateRules,
};

use crate::config::TopicConfig;

/// The settings of one topic, worked out once for all its requests.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// What its logs obey.
    pub log: LogConfig,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    compression: TargetCompression,
}

impl TopicSettings {
    /// The settings that `config` stands for.
    pub fn new(config: &TopicConfig) -> Self {
        let has_policy = |policy| config.cleanup_policy.iter().any(|each| each == policy);
        let log = LogConfig {
            segment_bytes: config.segment_bytes_max(),
            segment_ms: config.segment_ms,
            segment_jitter_ms: config.segment_jitter_ms,
            segment_index_bytes: config.segment_index_bytes,
            index_interval_bytes: config.index_interval_bytes,
            flush_messages: config.flush_messages,
            flush_ms: config.flush_ms,
            retention_bytes: config.retention_bytes,
            retention_ms: config.retention_ms,
            max_message_bytes: config.max_message_bytes,
            delete_retention_ms: config.delete_retention_ms,
            min_compaction_lag_ms: config.min_compaction_lag_ms,
            max_compaction_lag_ms: config.max_compaction_lag_ms,
            min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
            file_delete_delay_ms: config.file_delete_delay_ms,
            cleanup_delete: has_policy("delete"),
            cleanup_compact: has_policy("compact"),
            compression: compression_type(&config.compression_type),
            preallocate: config.preallocate,
            log_append_time: config.is_log_append_time(),
            message_timestamp_before_max_ms: config.message_timestamp_before_max_ms,
            message_timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        };
        let compression = target(&log, config);
        Self { log, min_insync_replicas: config.min_insync_replicas as usize, compression }
    }

    /// The rules for a batch of a Produce request of this version, at this time.
    pub fn rules(&self, produce_version: i16, now_ms: i64) -> ValidateRules {
        ValidateRules {
            origin: AppendOrigin::Client,
            now_ms,
            max_message_bytes: self.log.max_message_bytes as usize,
            compression: self.compression,
            timestamp_type: if self.log.log_append_time {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            timestamp_before_max_ms: self.log.message_timestamp_before_max_ms,
            timestamp_after_max_ms: self.log.message_timestamp_after_max_ms,
            compacted: self.log.cleanup_compact,
            zstd_allowed: produce_version >= 7,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        }
    }
}

fn compression_type(name: &str) -> CompressionType {
    match name {
        "uncompressed" => CompressionType::Uncompressed,
        "gzip" => CompressionType::Gzip,
        "snappy" => CompressionType::Snappy,
        "lz4" => CompressionType::Lz4,
        "zstd" => CompressionType::Zstd,
        _ => CompressionType::Producer,
    }
}

fn target(log: &LogConfig, config: &TopicConfig) -> TargetCompression {
    let (codec, level) = match log.compression {
        CompressionType::Producer => return TargetCompression::Producer,
        CompressionType::Uncompressed => return TargetCompression::Topic(Compression::NONE),
        CompressionType::Gzip => (Codec::Gzip, config.compression_gzip_level),
        CompressionType::Snappy => (Codec::Snappy, 0),
        CompressionType::Lz4 => (Codec::Lz4, config.compression_lz4_level),
        CompressionType::Zstd => (Codec::Zstd, config.compression_zstd_level),
    };
    // A level that the codec does not have was refused when it was set.
    let compression = Compression::with_level(codec, level);
    TargetCompression::Topic(compression.unwrap_or(Compression::new(codec)))
}
