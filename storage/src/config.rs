//! The topic settings that a partition log obeys.

/// A topic's settings as its logs see them, under Kafka's names; `Default` is Kafka's default.
///
/// Sizes are bytes, times milliseconds; a negative retention means none. The values are taken as
/// they are: whoever reads them from a file or a request checks their ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment rolls before it grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment rolls when its first batch is older than this.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: at most so much sooner, so that not all logs roll at once.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: the length of a preallocated index file.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: how much is appended between two index entries.
    pub index_interval_bytes: u32,
    /// `flush.messages`: how many records may be unflushed when an append is acknowledged;
    /// 1 makes acknowledged mean flushed.
    pub flush_messages: i64,
    /// `flush.ms`: how long a record may stay unflushed.
    pub flush_ms: i64,
    /// `retention.bytes`: kept per partition; negative keeps all.
    pub retention_bytes: i64,
    /// `retention.ms`: how long a segment is kept; negative keeps all.
    pub retention_ms: i64,
    /// `max.message.bytes`: the largest batch taken from a producer.
    pub max_message_bytes: u32,
    /// `delete.retention.ms`: how long a tombstone outlives its compaction.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a record younger than this is not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a record older than this must be compacted.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: the dirty share from which a log is compacted, 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `file.delete.delay.ms`: from the rename of a file to be deleted to its removal.
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy` contains `delete`.
    pub cleanup_delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub cleanup_compact: bool,
    /// `compression.type`.
    pub compression: CompressionType,
    /// `preallocate`: a new segment's file has its full length at once.
    pub preallocate: bool,
    /// `message.timestamp.type` is `LogAppendTime`, not `CreateTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`: how far behind the clock a record may be.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of the clock a record may be.
    pub message_timestamp_after_max_ms: i64,
}

/// `compression.type`: what the broker stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// Whatever the producer chose.
    Producer,
    /// No compression.
    Uncompressed,
    /// Gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            max_message_bytes: 1_048_588,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            file_delete_delay_ms: 60_000,
            cleanup_delete: true,
            cleanup_compact: false,
            compression: CompressionType::Producer,
            preallocate: false,
            log_append_time: false,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
        }
    }
}

impl LogConfig {
    /// How old a segment's first batch may be: `segment.ms`, or the compaction lag if a compacted
    /// topic has a smaller one.
    pub fn segment_ms_max(&self) -> i64 {
        if self.cleanup_compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }

    /// How much sooner the segment at `base_offset` rolls. Kafka draws a random number; here it is
    /// a hash of the log's name and the offset, which spreads the logs as well and repeats.
    pub(crate) fn roll_jitter_ms(&self, log_name: &str, base_offset: i64) -> i64 {
        let limit = self.segment_jitter_ms.min(self.segment_ms);
        if limit <= 0 {
            return 0;
        }
        // FNV-1a: good enough to spread, and the same on every machine.
        let hash = log_name
            .bytes()
            .chain(base_offset.to_be_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        (hash >> 33) as i64 % limit
    }
}

#[cfg(test)]
mod tests {
    use super::LogConfig;

    #[test]
    fn jitter_stays_below_its_limit_and_spreads() {
        let config = LogConfig { segment_jitter_ms: 1000, ..LogConfig::default() };
        let drawn: Vec<i64> = (0..100).map(|base| config.roll_jitter_ms("t-0", base)).collect();
        assert!(drawn.iter().all(|ms| (0..1000).contains(ms)));
        assert!(drawn.iter().any(|ms| *ms < 300) && drawn.iter().any(|ms| *ms > 700));
        assert_eq!(LogConfig::default().roll_jitter_ms("t-0", 5), 0);
    }

    #[test]
    fn a_compacted_topic_rolls_by_its_compaction_lag() {
        let mut config = LogConfig { max_compaction_lag_ms: 5, ..LogConfig::default() };
        assert_eq!(config.segment_ms_max(), 604_800_000);
        config.cleanup_compact = true;
        assert_eq!(config.segment_ms_max(), 5);
    }
}
