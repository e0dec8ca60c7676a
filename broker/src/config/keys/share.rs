//! Share groups and the share coordinator.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    List "group.share.assignors" = "simple", NonEmptyList, ReadOnly, NotYet,
        "Assignors of share groups.";
    Int "group.share.session.timeout.ms" = "45000", AtLeast(1), ReadOnly, NotYet,
        "Silence after which a share group's member is out.";
    Int "group.share.min.session.timeout.ms" = "45000", AtLeast(1), ReadOnly, NotYet,
        "Lower bound of the session timeout set on a share group.";
    Int "group.share.max.session.timeout.ms" = "60000", AtLeast(1), ReadOnly, NotYet,
        "Upper bound of the session timeout set on a share group.";
    Int "group.share.heartbeat.interval.ms" = "5000", AtLeast(1), ReadOnly, NotYet,
        "How often a share group's members report.";
    Int "group.share.min.heartbeat.interval.ms" = "5000", AtLeast(1), ReadOnly, NotYet,
        "Lower bound of the heartbeat interval set on a share group.";
    Int "group.share.max.heartbeat.interval.ms" = "15000", AtLeast(1), ReadOnly, NotYet,
        "Upper bound of the heartbeat interval set on a share group.";
    Int "group.share.assignment.interval.ms" = "1000", AtLeast(0), ClusterWide, NotYet,
        "Shortest time between two assignments of a share group.";
    Int "group.share.min.assignment.interval.ms" = "0", AtLeast(0), ReadOnly, NotYet,
        "Lower bound of the assignment interval set on a share group.";
    Int "group.share.max.assignment.interval.ms" = "15000", AtLeast(0), ReadOnly, NotYet,
        "Upper bound of the assignment interval set on a share group.";
    Int "group.share.delivery.count.limit" = "5", Between(2, 10), ReadOnly, NotYet,
        "How often a record is delivered before it is given up.";
    Int "group.share.min.delivery.count.limit" = "2", Between(2, 5), ReadOnly, NotYet,
        "Lower bound of the delivery count set on a share group.";
    Int "group.share.max.delivery.count.limit" = "10", Between(5, 25), ReadOnly, NotYet,
        "Upper bound of the delivery count set on a share group.";
    Int "group.share.record.lock.duration.ms" = "30000", Between(1000, 3_600_000), ReadOnly, NotYet,
        "How long a consumer may hold a record.";
    Int "group.share.min.record.lock.duration.ms" =
        "15000", Between(1000, 30_000), ReadOnly, NotYet,
        "Lower bound of the lock duration set on a share group.";
    Int "group.share.max.record.lock.duration.ms" =
        "60000", Between(30_000, 3_600_000), ReadOnly, NotYet,
        "Upper bound of the lock duration set on a share group.";
    Int "group.share.partition.max.record.locks" = "2000", Between(100, 10_000), ReadOnly, NotYet,
        "Records of a partition that may be held at once.";
    Int "group.share.min.partition.max.record.locks" = "100", Between(100, 2000), ReadOnly, NotYet,
        "Lower bound of the held records set on a share group.";
    Int "group.share.max.partition.max.record.locks" =
        "4000", Between(2000, 10_000), ReadOnly, NotYet,
        "Upper bound of the held records set on a share group.";
    Int "group.share.max.share.sessions" = "2000", AtLeast(1), ReadOnly, NotYet,
        "Share sessions that a broker keeps.";
    Int "group.share.max.size" = "200", Between(1, 1000), ReadOnly, NotYet,
        "Most members of a share group.";
    Int "group.share.initialize.retry.interval.ms" = "30000", AtLeast(1), ReadOnly, NotYet,
        "Wait before initializing a share partition is tried again." [internal];
    String "group.share.persister.class.name" =
        "org.apache.kafka.server.share.persister.DefaultStatePersister", Any, ReadOnly, NotYet,
        "The class that keeps the state of share partitions." [internal];
    Int "share.coordinator.append.linger.ms" = "-1", AtLeast(-1), ReadOnly, NotYet,
        "How long share state is gathered before a write; -1 adapts.";
    Int "share.coordinator.cached.buffer.max.bytes" =
        "1048588", AtLeast(524_288), ClusterWide, NotYet,
        "The largest write buffer that the share coordinator keeps.";
    Int "share.coordinator.cold.partition.snapshot.interval.ms" =
        "300000", AtLeast(1), ReadOnly, NotYet,
        "How often state that does not change is written again." [internal];
    Int "share.coordinator.load.buffer.size" = "5242880", AtLeast(1), ReadOnly, NotYet,
        "Bytes read at once when share state is loaded.";
    Int "share.coordinator.snapshot.update.records.per.snapshot" =
        "500", Between(0, 500), ReadOnly, NotYet,
        "Updates of share state between two whole snapshots.";
    Int "share.coordinator.state.topic.compression.codec" = "0", Any, ReadOnly, NotYet,
        "Codec number of `__share_group_state`; 0 is none.";
    Short "share.coordinator.state.topic.min.isr" = "2", AtLeast(1), ReadOnly, NotYet,
        "In-sync replicas that writes to `__share_group_state` need.";
    Int "share.coordinator.state.topic.num.partitions" = "50", AtLeast(1), ReadOnly, NotYet,
        "Partitions of `__share_group_state`; fixed once it exists.";
    Int "share.coordinator.state.topic.prune.interval.ms" =
        "300000", AtLeast(1), ReadOnly, NotYet,
        "How often outdated share state is deleted." [internal];
    Short "share.coordinator.state.topic.replication.factor" = "3", AtLeast(1), ReadOnly, NotYet,
        "Replicas of `__share_group_state`; one node can only have one.";
    Int "share.coordinator.state.topic.segment.bytes" = "104857600", AtLeast(1), ReadOnly, NotYet,
        "Segment size of `__share_group_state`.";
    Int "share.coordinator.threads" = "1", AtLeast(1), ReadOnly, NotYet,
        "Threads that run the share coordinator.";
    Int "share.coordinator.write.timeout.ms" = "5000", AtLeast(1), ReadOnly, NotYet,
        "How long a write of share state may take.";
};
