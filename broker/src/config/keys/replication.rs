//! Replication among brokers and its quotas.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    Int "num.replica.fetchers" = "1", AtLeast(1), ClusterWide, NoEffect,
        "Threads that fetch from each other broker.";
    Int "replica.fetch.backoff.ms" = "1000", AtLeast(0), ReadOnly, NoEffect,
        "Wait after a failed replica fetch.";
    Int "replica.fetch.max.bytes" = "1048576", AtLeast(0), ReadOnly, NoEffect,
        "Bytes a partition that a replica fetch asks for.";
    Int "replica.fetch.min.bytes" = "1", Any, ReadOnly, NoEffect,
        "Bytes that a replica fetch waits for.";
    Int "replica.fetch.response.max.bytes" = "10485760", AtLeast(0), ReadOnly, NoEffect,
        "Bytes in all that a replica fetch asks for.";
    Int "replica.fetch.wait.max.ms" = "500", Any, ReadOnly, NoEffect,
        "How long a replica fetch waits.";
    Long "replica.high.watermark.checkpoint.interval.ms" = "5000", Any, ReadOnly, Acts,
        "How often high watermarks are written down.";
    Long "replica.lag.time.max.ms" = "30000", Any, ReadOnly, NoEffect,
        "How long a follower may lag before it leaves the in-sync replicas.";
    String "replica.selector.class" = null, Any, ReadOnly, NoEffect,
        "A class that picks the replica to read from.";
    Int "replica.socket.receive.buffer.bytes" = "65536", Any, ReadOnly, NoEffect,
        "SO_RCVBUF of replica fetches.";
    Int "replica.socket.timeout.ms" = "30000", Any, ReadOnly, NoEffect,
        "How long a replica fetch waits for its answer.";
    Int "replication.quota.window.num" = "11", AtLeast(1), ReadOnly, NoEffect,
        "Windows that the replication quota remembers.";
    Int "replication.quota.window.size.seconds" = "1", AtLeast(1), ReadOnly, NoEffect,
        "Length of a window of the replication quota.";
    Int "alter.log.dirs.replication.quota.window.num" = "11", AtLeast(1), ReadOnly, NoEffect,
        "Windows that the quota of moves between directories remembers.";
    Int "alter.log.dirs.replication.quota.window.size.seconds" =
        "1", AtLeast(1), ReadOnly, NoEffect,
        "Length of a window of the quota of moves between directories.";
    Long "leader.replication.throttled.rate" = "9223372036854775807", AtLeast(0), ClusterWide,
        NoEffect, "Bytes a second that throttled leaders send to followers." [internal];
    Long "follower.replication.throttled.rate" =
        "9223372036854775807", AtLeast(0), ClusterWide, NoEffect,
        "Bytes a second that throttled followers fetch." [internal];
    Long "replica.alter.log.dirs.io.max.bytes.per.second" =
        "9223372036854775807", AtLeast(0), ClusterWide, NoEffect,
        "Bytes a second that moves between directories copy." [internal];
};
