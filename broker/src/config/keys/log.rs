//! Log directories, segments, flush and retention.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    List "log.dir" = "/tmp/kafka-logs", NonEmptyList, ReadOnly, Acts,
        "The log directory when `log.dirs` is not set.";
    List "log.dirs" = null, NonEmptyList, ReadOnly, Acts,
        "The directories that hold partitions, separated by commas.";
    List "cordoned.log.dirs" = "", Any, PerBroker, Acts,
        "Log directories that get no new partitions; `*` for all.";
    Long "log.dir.failure.timeout.ms" = "30000", AtLeast(1), ReadOnly, NoEffect,
        "How long to try telling the controller of a failed directory before stopping.";
    Int "log.segment.bytes" = "1073741824", AtLeast(1_048_576), ClusterWide, Acts,
        "The size at which a segment is closed and the next begun.";
    Long "log.roll.ms" = null, Any, ClusterWide, Acts,
        "The age at which a segment is closed; null defers to `log.roll.hours`.";
    Int "log.roll.hours" = "168", AtLeast(1), ReadOnly, Acts,
        "The age at which a segment is closed, in hours.";
    Long "log.roll.jitter.ms" = null, Any, ClusterWide, Acts,
        "Random span taken off the roll age; null defers to `log.roll.jitter.hours`.";
    Int "log.roll.jitter.hours" = "0", AtLeast(0), ReadOnly, Acts,
        "Random span taken off the roll age, in hours.";
    Long "log.retention.ms" = null, Any, ClusterWide, Acts,
        "How long closed segments are kept, -1 for ever; null defers to minutes.";
    Int "log.retention.minutes" = null, Any, ReadOnly, Acts,
        "How long closed segments are kept, in minutes; null defers to hours.";
    Int "log.retention.hours" = "168", Any, ReadOnly, Acts,
        "How long closed segments are kept, in hours.";
    Long "log.retention.bytes" = "-1", Any, ClusterWide, Acts,
        "The size at which a partition's oldest segments go; -1 for no limit.";
    Long "log.retention.check.interval.ms" = "300000", AtLeast(1), ReadOnly, Acts,
        "How often retention is applied.";
    List "log.cleanup.policy" = "delete", ListOf(&["compact", "delete"]), ClusterWide, Acts,
        "What happens to old segments: delete, compact, both, or nothing when empty.";
    Int "log.index.size.max.bytes" = "10485760", AtLeast(4), ClusterWide, Acts,
        "The largest offset index; a full one closes the segment.";
    Int "log.index.interval.bytes" = "4096", AtLeast(0), ClusterWide, Acts,
        "Bytes of records between two index entries.";
    Long "log.segment.delete.delay.ms" = "60000", AtLeast(0), ClusterWide, Acts,
        "How long a deleted file keeps its data under another name.";
    Long "log.flush.interval.messages" = "9223372036854775807", AtLeast(1), ClusterWide, Acts,
        "Records after which a partition is synced to disk.";
    Long "log.flush.interval.ms" = null, Any, ClusterWide, Acts,
        "Age of unsynced records at which a partition is synced; null defers to the scheduler's.";
    Long "log.flush.scheduler.interval.ms" = "9223372036854775807", Any, ReadOnly, Acts,
        "How often partitions are looked at for `log.flush.interval.ms`.";
    Int "log.flush.offset.checkpoint.interval.ms" = "60000", AtLeast(0), ReadOnly, Acts,
        "How often recovery points are written down.";
    Int "log.flush.start.offset.checkpoint.interval.ms" = "60000", AtLeast(0), ReadOnly, Acts,
        "How often log start offsets are written down.";
    Long "log.initial.task.delay.ms" = "30000", AtLeast(0), ReadOnly, Acts,
        "How long after the start the first flush, retention and checkpoint run." [internal];
    Bool "log.preallocate" = "false", Any, ClusterWide, Acts,
        "Whether a new segment's blocks are allocated at once.";
    String "log.message.timestamp.type" =
        "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Acts,
        "Whose clock stamps records: CreateTime (client) or LogAppendTime (broker).";
    Long "log.message.timestamp.before.max.ms" =
        "9223372036854775807", AtLeast(0), ClusterWide, Acts,
        "How far a record's time may lie in the past.";
    Long "log.message.timestamp.after.max.ms" = "3600000", AtLeast(0), ClusterWide, Acts,
        "How far a record's time may lie in the future.";
    Long "log.local.retention.ms" = "-2", AtLeast(-2), ClusterWide, NoEffect,
        "Local retention time of tiered topics; -2 for the topic's own.";
    Long "log.local.retention.bytes" = "-2", AtLeast(-2), ClusterWide, NoEffect,
        "Local retention size of tiered topics; -2 for the topic's own.";
    Int "num.recovery.threads.per.data.dir" = "2", AtLeast(1), ClusterWide, Acts,
        "Threads a directory that load logs at start and flush them at stop.";
    Int "num.replica.alter.log.dirs.threads" = null, Any, ReadOnly, NoEffect,
        "Threads that move replicas between directories.";
    Bool "log.cleaner.enable" = "true", Any, ReadOnly, Acts,
        "Whether compaction runs.";
    Int "log.cleaner.threads" = "1", AtLeast(0), ClusterWide, Acts,
        "Threads that compact.";
    Double "log.cleaner.io.max.bytes.per.second" =
        "1.7976931348623157E308", Any, ClusterWide, Acts,
        "Most bytes a second that compaction reads and writes.";
    Long "log.cleaner.dedupe.buffer.size" = "134217728", Any, ClusterWide, Acts,
        "Bytes for compaction's key map, all threads together.";
    Int "log.cleaner.io.buffer.size" = "524288", AtLeast(0), ClusterWide, Acts,
        "Bytes for compaction's buffers, all threads together.";
    Double "log.cleaner.io.buffer.load.factor" = "0.9", Any, ClusterWide, Acts,
        "How full compaction's key map may get, as a share of 1.";
    Long "log.cleaner.backoff.ms" = "15000", AtLeast(0), ClusterWide, Acts,
        "How long compaction sleeps when there is nothing to do.";
    Double "log.cleaner.min.cleanable.ratio" = "0.5", Fraction(0.0, 1.0), ClusterWide, Acts,
        "The share of a log that must be uncompacted before compaction runs.";
    Long "log.cleaner.delete.retention.ms" = "86400000", AtLeast(0), ClusterWide, Acts,
        "How long delete markers stay in a compacted topic.";
    Long "log.cleaner.min.compaction.lag.ms" = "0", AtLeast(0), ClusterWide, Acts,
        "How long a record is safe from compaction.";
    Long "log.cleaner.max.compaction.lag.ms" =
        "9223372036854775807", AtLeast(1), ClusterWide, Acts,
        "How long a record may stay uncompacted.";
};
