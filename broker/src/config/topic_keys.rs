//! Every topic key of Kafka 4.3.1, with the broker keys that give its default.

use super::def::ConfigDef;
use super::keys::keys;

/// One topic key's declaration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopicKey {
    /// Type, default, valid values, effect. Every topic key is dynamic.
    pub def: ConfigDef,
    /// The broker keys that stand in when a topic does not set it: the first one that is set
    /// counts. The number is what its value is multiplied with, hours in milliseconds say.
    pub broker_keys: &'static [(&'static str, i64)],
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

macro_rules! topic_keys {
    ($($kind:ident $name:literal = $default:tt, $valid:ident $(($($arg:tt)*))?, $effect:ident,
        [$($broker_key:literal $(* $factor:ident)?),*], $doc:literal $([$internal:ident])?;)*) => {
        &[$(TopicKey {
            def: keys! {
                $kind $name = $default, $valid $(($($arg)*))?, ClusterWide, $effect, $doc
                    $([$internal])?;
            }[0],
            broker_keys: &[$(($broker_key, 1 $(* $factor)?)),*],
        }),*]
    };
}

/// The topic keys, sorted by name.
pub const TOPIC_KEYS: &[TopicKey] = topic_keys! {
    List "cleanup.policy" = "delete", ListOf(&["compact", "delete"]), Acts,
        ["log.cleanup.policy"],
        "What happens to old segments: delete, compact, both, or nothing when empty.";
    Int "compression.gzip.level" = "-1", BetweenOr(1, 9, -1), Acts, ["compression.gzip.level"],
        "The gzip level when the broker compresses; -1 is zlib's default.";
    Int "compression.lz4.level" = "9", Between(1, 17), Acts, ["compression.lz4.level"],
        "The lz4 level when the broker compresses.";
    String "compression.type" = "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Acts,
        ["compression.type"],
        "The codec on disk; `producer` keeps what arrives.";
    Int "compression.zstd.level" = "3", Between(-131_072, 22), Acts, ["compression.zstd.level"],
        "The zstd level when the broker compresses.";
    Long "delete.retention.ms" = "86400000", AtLeast(0), Acts,
        ["log.cleaner.delete.retention.ms"],
        "How long delete markers stay in a compacted topic.";
    Long "file.delete.delay.ms" = "60000", AtLeast(0), Acts, ["log.segment.delete.delay.ms"],
        "How long a deleted file keeps its data under another name.";
    Long "flush.messages" = "9223372036854775807", AtLeast(1), Acts,
        ["log.flush.interval.messages"],
        "Records after which the partition is synced to disk; 1 syncs before each answer.";
    Long "flush.ms" = "9223372036854775807", AtLeast(0), Acts,
        ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
        "Age of unsynced records at which the partition is synced.";
    List "follower.replication.throttled.replicas" = "", ThrottledReplicas, NoEffect, [],
        "Replicas whose fetching is throttled, as partition:broker, or `*`.";
    Int "index.interval.bytes" = "4096", AtLeast(0), Acts, ["log.index.interval.bytes"],
        "Bytes of records between two index entries.";
    Int "internal.segment.bytes" = null, Any, Acts, [],
        "`segment.bytes` without the lower bound, for tests." [internal];
    List "leader.replication.throttled.replicas" = "", ThrottledReplicas, NoEffect, [],
        "Replicas whose leader is throttled, as partition:broker, or `*`.";
    Long "local.retention.bytes" = "-2", AtLeast(-2), NoEffect, ["log.local.retention.bytes"],
        "Local retention size of a tiered topic; -2 for `retention.bytes`.";
    Long "local.retention.ms" = "-2", AtLeast(-2), NoEffect, ["log.local.retention.ms"],
        "Local retention time of a tiered topic; -2 for `retention.ms`.";
    Long "max.compaction.lag.ms" = "9223372036854775807", AtLeast(1), Acts,
        ["log.cleaner.max.compaction.lag.ms"],
        "How long a record may stay uncompacted.";
    Int "max.message.bytes" = "1048588", AtLeast(0), Acts, ["message.max.bytes"],
        "The largest record batch, compressed.";
    Long "message.timestamp.after.max.ms" = "3600000", AtLeast(0), Acts,
        ["log.message.timestamp.after.max.ms"],
        "How far a record's time may lie in the future.";
    Long "message.timestamp.before.max.ms" = "9223372036854775807", AtLeast(0), Acts,
        ["log.message.timestamp.before.max.ms"],
        "How far a record's time may lie in the past.";
    String "message.timestamp.type" = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Acts,
        ["log.message.timestamp.type"],
        "Whose clock stamps records: CreateTime (client) or LogAppendTime (broker).";
    Double "min.cleanable.dirty.ratio" = "0.5", Fraction(0.0, 1.0), Acts,
        ["log.cleaner.min.cleanable.ratio"],
        "The share of a log that must be uncompacted before compaction runs.";
    Long "min.compaction.lag.ms" = "0", AtLeast(0), Acts,
        ["log.cleaner.min.compaction.lag.ms"],
        "How long a record is safe from compaction.";
    Int "min.insync.replicas" = "1", AtLeast(1), Acts, ["min.insync.replicas"],
        "In-sync replicas that acks=all needs; of a partition that has fewer, all.";
    Bool "preallocate" = "false", Any, Acts, ["log.preallocate"],
        "Whether a new segment's blocks are allocated at once.";
    Bool "remote.log.copy.disable" = "false", Any, NotYet, [],
        "Whether a tiered topic copies no further segments.";
    Bool "remote.log.delete.on.disable" = "false", Any, NotYet, [],
        "Whether tiered segments are deleted when tiering is switched off.";
    Bool "remote.storage.enable" = "false", Any, NotYet, [],
        "Whether the topic is tiered. Ottla has no tiered storage yet and refuses true.";
    Long "retention.bytes" = "-1", Any, Acts, ["log.retention.bytes"],
        "The size at which a partition's oldest segments go; -1 for no limit.";
    Long "retention.ms" = "604800000", AtLeast(-1), Acts,
        ["log.retention.ms", "log.retention.minutes" * MINUTE_MS, "log.retention.hours" * HOUR_MS],
        "How long closed segments are kept; -1 for ever.";
    Int "segment.bytes" = "1073741824", AtLeast(1_048_576), Acts, ["log.segment.bytes"],
        "The size at which a segment is closed and the next begun.";
    Int "segment.index.bytes" = "10485760", AtLeast(4), Acts, ["log.index.size.max.bytes"],
        "The largest offset index; a full one closes the segment.";
    Long "segment.jitter.ms" = "0", AtLeast(0), Acts,
        ["log.roll.jitter.ms", "log.roll.jitter.hours" * HOUR_MS],
        "Random span taken off `segment.ms`, so that partitions do not roll at once.";
    Long "segment.ms" = "604800000", AtLeast(1), Acts, ["log.roll.ms", "log.roll.hours" * HOUR_MS],
        "The age at which a segment is closed.";
    Bool "unclean.leader.election.enable" = "false", Any, NoEffect,
        ["unclean.leader.election.enable"],
        "Whether a replica that lags may lead.";
};

/// The declaration of the topic key `name`.
pub fn find(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.binary_search_by(|key| key.def.name.cmp(name)).ok().map(|at| &TOPIC_KEYS[at])
}
