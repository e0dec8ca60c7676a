//! Tiered storage.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    Bool "remote.log.storage.system.enable" = "false", Any, ReadOnly, NotYet,
        "Whether tiered storage is on. Ottla has none yet and refuses true.";
    Bool "follower.fetch.last.tiered.offset.enable" = "false", Any, ClusterWide, NoEffect,
        "Whether a new follower starts at the last tiered offset.";
    Int "remote.fetch.max.wait.ms" = "500", AtLeast(1), ClusterWide, NotYet,
        "How long a fetch waits for tiered data.";
    Long "remote.list.offsets.request.timeout.ms" = "30000", AtLeast(1), ClusterWide, NotYet,
        "How long an offset lookup waits for tiered data.";
    Long "remote.log.index.file.cache.total.size.bytes" =
        "1073741824", AtLeast(1), ClusterWide, NotYet,
        "Bytes of tiered indexes that are kept locally.";
    Long "remote.log.index.file.cache.ttl.ms" = "900000", AtLeast(-1), ReadOnly, NotYet,
        "How long an unused tiered index is kept locally; -1 for ever." [internal];
    Int "remote.log.manager.copier.thread.pool.size" = "10", AtLeast(1), ClusterWide, NotYet,
        "Threads that copy segments away.";
    Long "remote.log.manager.copy.max.bytes.per.second" =
        "9223372036854775807", AtLeast(1), ClusterWide, NotYet,
        "Bytes a second that are copied away.";
    Int "remote.log.manager.copy.quota.window.num" = "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that the copy quota remembers.";
    Int "remote.log.manager.copy.quota.window.size.seconds" = "1", AtLeast(1), ReadOnly, NotYet,
        "Length of a window of the copy quota.";
    Int "remote.log.manager.expiration.thread.pool.size" = "10", AtLeast(1), ClusterWide, NotYet,
        "Threads that delete tiered segments.";
    Long "remote.log.manager.fetch.max.bytes.per.second" =
        "9223372036854775807", AtLeast(1), ClusterWide, NotYet,
        "Bytes a second that are fetched back.";
    Int "remote.log.manager.fetch.quota.window.num" = "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that the fetch quota remembers.";
    Int "remote.log.manager.fetch.quota.window.size.seconds" = "1", AtLeast(1), ReadOnly, NotYet,
        "Length of a window of the fetch quota.";
    Int "remote.log.manager.follower.thread.pool.size" = "2", AtLeast(1), ClusterWide, NotYet,
        "Threads that follow tiered partitions.";
    Long "remote.log.manager.task.interval.ms" = "30000", AtLeast(1), ReadOnly, NotYet,
        "How often segments to copy or delete are looked for.";
    Long "remote.log.manager.task.retry.backoff.ms" = "500", AtLeast(1), ReadOnly, NotYet,
        "First wait after a failed task." [internal];
    Long "remote.log.manager.task.retry.backoff.max.ms" =
        "30000", AtLeast(1), ReadOnly, NotYet,
        "Longest wait after a failed task." [internal];
    Double "remote.log.manager.task.retry.jitter" =
        "0.2", Fraction(0.0, 0.5), ReadOnly, NotYet,
        "Random share added to the wait after a failed task." [internal];
    Int "remote.log.manager.thread.pool.size" = "2", AtLeast(1), ReadOnly, NotYet,
        "Threads that plan tiered storage.";
    Int "remote.log.metadata.custom.metadata.max.bytes" = "128", AtLeast(0), ReadOnly, NotYet,
        "Bytes of its own that a plugin may keep for a segment.";
    String "remote.log.metadata.manager.class.name" =
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        NonEmpty, ReadOnly, NotYet,
        "The class that keeps track of tiered segments.";
    String "remote.log.metadata.manager.class.path" = null, Any, ReadOnly, NotYet,
        "Where that class is loaded from.";
    String "remote.log.metadata.manager.impl.prefix" = "rlmm.config.", NonEmpty, ReadOnly, NotYet,
        "Prefix of the settings that are handed to that class.";
    String "remote.log.metadata.manager.listener.name" = null, NonEmpty, ReadOnly, NotYet,
        "The listener that class connects to.";
    Int "remote.log.reader.max.pending.tasks" = "100", AtLeast(1), ReadOnly, NotYet,
        "Reads of tiered data that may wait.";
    Int "remote.log.reader.threads" = "10", AtLeast(1), ClusterWide, NotYet,
        "Threads that read tiered data.";
    String "remote.log.storage.manager.class.name" = null, NonEmpty, ReadOnly, NotYet,
        "The class that moves segments.";
    String "remote.log.storage.manager.class.path" = null, Any, ReadOnly, NotYet,
        "Where that class is loaded from.";
    String "remote.log.storage.manager.impl.prefix" = "rsm.config.", NonEmpty, ReadOnly, NotYet,
        "Prefix of the settings that are handed to that class.";
};
