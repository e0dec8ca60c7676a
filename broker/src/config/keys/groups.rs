//! Consumer and streams groups, committed offsets.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    List "group.coordinator.rebalance.protocols" =
        "classic,consumer,streams", NonEmptyListOf(&["consumer", "classic", "share", "streams"]),
        ReadOnly, Acts,
        "Kinds of groups that are served.";
    Int "group.coordinator.threads" = "4", AtLeast(1), ReadOnly, NoEffect,
        "Threads that run the group coordinator; here those that handle requests do.";
    Int "group.coordinator.background.threads" = "2", AtLeast(1), ReadOnly, NoEffect,
        "Threads for the group coordinator's long work; here those that handle requests do it.";
    Int "group.coordinator.append.linger.ms" = "-1", AtLeast(-1), ReadOnly, NoEffect,
        "How long group records are gathered before a write; -1 adapts.";
    Int "group.coordinator.cached.buffer.max.bytes" =
        "1048588", AtLeast(524_288), ClusterWide, NoEffect,
        "The largest write buffer that the group coordinator keeps.";
    Int "group.min.session.timeout.ms" = "6000", Any, ReadOnly, Acts,
        "Shortest session timeout that a classic member may ask for.";
    Int "group.max.session.timeout.ms" = "1800000", Any, ReadOnly, Acts,
        "Longest session timeout that a classic member may ask for.";
    Int "group.initial.rebalance.delay.ms" = "3000", Any, ReadOnly, Acts,
        "How long an empty classic group waits for more members.";
    Int "group.max.size" = "2147483647", AtLeast(1), ReadOnly, Acts,
        "Most members of a classic group.";
    Int "group.consumer.session.timeout.ms" = "45000", AtLeast(1), ReadOnly, Acts,
        "Silence after which a consumer group's member is out.";
    Int "group.consumer.min.session.timeout.ms" = "45000", AtLeast(1), ReadOnly, Acts,
        "Lower bound of the session timeout set on a consumer group.";
    Int "group.consumer.max.session.timeout.ms" = "60000", AtLeast(1), ReadOnly, Acts,
        "Upper bound of the session timeout set on a consumer group.";
    Int "group.consumer.heartbeat.interval.ms" = "5000", AtLeast(1), ReadOnly, Acts,
        "How often a consumer group's members report.";
    Int "group.consumer.min.heartbeat.interval.ms" = "5000", AtLeast(1), ReadOnly, Acts,
        "Lower bound of the heartbeat interval set on a consumer group.";
    Int "group.consumer.max.heartbeat.interval.ms" = "15000", AtLeast(1), ReadOnly, Acts,
        "Upper bound of the heartbeat interval set on a consumer group.";
    Int "group.consumer.max.size" = "2147483647", AtLeast(1), ReadOnly, Acts,
        "Most members of a consumer group.";
    List "group.consumer.assignors" = "uniform,range", NonEmptyList, ReadOnly, Acts,
        "Assignors on the broker's side; the first is the default.";
    Int "group.consumer.assignment.interval.ms" = "1000", AtLeast(0), ClusterWide, Acts,
        "Shortest time between two assignments of a consumer group.";
    Int "group.consumer.min.assignment.interval.ms" = "0", AtLeast(0), ReadOnly, Acts,
        "Lower bound of the assignment interval set on a consumer group.";
    Int "group.consumer.max.assignment.interval.ms" = "15000", AtLeast(0), ReadOnly, Acts,
        "Upper bound of the assignment interval set on a consumer group.";
    String "group.consumer.migration.policy" =
        "bidirectional",
        OneOfIgnoringCase(&["disabled", "downgrade", "upgrade", "bidirectional"]),
        ReadOnly, Acts,
        "Which way groups may change between the classic and the consumer protocol.";
    Int "group.consumer.regex.refresh.interval.ms" =
        "600000", AtLeast(10_000), ReadOnly, Acts,
        "How often subscribed patterns are matched against the topics again." [internal];
    Int "group.streams.session.timeout.ms" = "45000", AtLeast(1), ReadOnly, NotYet,
        "Silence after which a streams group's member is out.";
    Int "group.streams.min.session.timeout.ms" = "45000", AtLeast(1), ReadOnly, NotYet,
        "Lower bound of the session timeout set on a streams group.";
    Int "group.streams.max.session.timeout.ms" = "60000", AtLeast(1), ReadOnly, NotYet,
        "Upper bound of the session timeout set on a streams group.";
    Int "group.streams.heartbeat.interval.ms" = "5000", AtLeast(1), ReadOnly, NotYet,
        "How often a streams group's members report.";
    Int "group.streams.min.heartbeat.interval.ms" = "5000", AtLeast(1), ReadOnly, NotYet,
        "Lower bound of the heartbeat interval set on a streams group.";
    Int "group.streams.max.heartbeat.interval.ms" = "15000", AtLeast(1), ReadOnly, NotYet,
        "Upper bound of the heartbeat interval set on a streams group.";
    Int "group.streams.assignment.interval.ms" = "1000", AtLeast(0), ClusterWide, NotYet,
        "Shortest time between two assignments of a streams group.";
    Int "group.streams.min.assignment.interval.ms" = "0", AtLeast(0), ReadOnly, NotYet,
        "Lower bound of the assignment interval set on a streams group.";
    Int "group.streams.max.assignment.interval.ms" = "15000", AtLeast(0), ReadOnly, NotYet,
        "Upper bound of the assignment interval set on a streams group.";
    Int "group.streams.max.size" = "2147483647", AtLeast(1), ReadOnly, NotYet,
        "Most members of a streams group.";
    Int "group.streams.initial.rebalance.delay.ms" = "3000", AtLeast(0), ReadOnly, NotYet,
        "How long an empty streams group waits for more members.";
    Int "group.streams.num.standby.replicas" = "0", AtLeast(0), ReadOnly, NotYet,
        "Standby copies of each task of a streams group.";
    Int "group.streams.max.standby.replicas" = "2", AtLeast(0), ReadOnly, NotYet,
        "Upper bound of the standby copies set on a streams group.";
    Int "offset.metadata.max.bytes" = "4096", Any, ReadOnly, Acts,
        "Most bytes of the text that a client commits beside an offset.";
    Int "offsets.commit.timeout.ms" = "5000", AtLeast(1), ReadOnly, NoEffect,
        "How long a commit may wait for its write.";
    Int "offsets.load.buffer.size" = "5242880", AtLeast(1), ReadOnly, Acts,
        "Bytes read at once when committed offsets are loaded.";
    Long "offsets.retention.check.interval.ms" = "600000", AtLeast(1), ReadOnly, Acts,
        "How often expired offsets are looked for.";
    Int "offsets.retention.minutes" = "10080", AtLeast(1), ReadOnly, Acts,
        "How long an empty group's offsets are kept.";
    Int "offsets.topic.compression.codec" = "0", Any, ReadOnly, Acts,
        "Codec number of `__consumer_offsets`; 0 is none.";
    Int "offsets.topic.num.partitions" = "50", AtLeast(1), ReadOnly, Acts,
        "Partitions of `__consumer_offsets`; fixed once it exists.";
    Short "offsets.topic.replication.factor" = "3", AtLeast(1), ReadOnly, Acts,
        "Replicas of `__consumer_offsets`; one node can only have one.";
    Int "offsets.topic.segment.bytes" = "104857600", AtLeast(1), ReadOnly, Acts,
        "Segment size of `__consumer_offsets`.";
};
