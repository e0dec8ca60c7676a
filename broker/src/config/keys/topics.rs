//! Topics: creation, partitions, durability.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    Int "num.partitions" = "1", AtLeast(1), ReadOnly, Acts,
        "Partitions of a topic that is created without a count.";
    Int "default.replication.factor" = "1", Any, ReadOnly, Acts,
        "Replicas of a topic that is created without a count; one node can only have one.";
    Bool "auto.create.topics.enable" = "true", Any, ReadOnly, Acts,
        "Whether asking for a topic that does not exist creates it.";
    Bool "delete.topic.enable" = "true", Any, ReadOnly, Acts,
        "Whether topics can be deleted.";
    Int "message.max.bytes" = "1048588", AtLeast(0), ClusterWide, Acts,
        "The largest record batch, compressed.";
    Int "min.insync.replicas" = "1", AtLeast(1), ClusterWide, Acts,
        "In-sync replicas that acks=all needs; of a partition that has fewer, all.";
    Bool "unclean.leader.election.enable" = "false", Any, ClusterWide, NoEffect,
        "Whether a replica that lags may lead.";
    Long "unclean.leader.election.interval.ms" = "300000", AtLeast(1), ReadOnly, NoEffect,
        "How often partitions without a leader are looked at." [internal];
    String "compression.type" =
        "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        ClusterWide, Acts,
        "The codec on disk; `producer` keeps what arrives.";
    Int "compression.gzip.level" = "-1", BetweenOr(1, 9, -1), ClusterWide, Acts,
        "The gzip level when the broker compresses; -1 is zlib's default.";
    Int "compression.lz4.level" = "9", Between(1, 17), ClusterWide, Acts,
        "The lz4 level when the broker compresses.";
    Int "compression.zstd.level" = "3", Between(-131_072, 22), ClusterWide, Acts,
        "The zstd level when the broker compresses.";
    Bool "auto.leader.rebalance.enable" = "true", Any, ReadOnly, NoEffect,
        "Whether leaders return to their preferred broker.";
    Long "leader.imbalance.check.interval.seconds" = "300", AtLeast(1), ReadOnly, NoEffect,
        "How often the spread of leaders is looked at.";
};
