//! Every group key of Kafka 4.3.1: settings of one group, kept under its id.

use super::def::ConfigDef;
use super::keys::keys;

/// The group keys, sorted by name. Each takes its default from the broker key `group.<name>`
/// where there is one.
pub const GROUP_KEYS: &[ConfigDef] = keys! {
    Int "consumer.assignment.interval.ms" = "1000", AtLeast(0), ClusterWide, Acts,
        "Shortest time between two assignments of a consumer group.";
    Int "consumer.heartbeat.interval.ms" = "5000", AtLeast(1), ClusterWide, Acts,
        "How often a consumer group's members report.";
    Int "consumer.session.timeout.ms" = "45000", AtLeast(1), ClusterWide, Acts,
        "Silence after which a consumer group's member is out.";
    Int "share.assignment.interval.ms" = "1000", AtLeast(0), ClusterWide, NotYet,
        "Shortest time between two assignments of a share group.";
    String "share.auto.offset.reset" = "latest", OffsetReset, ClusterWide, NotYet,
        "Where a share group starts: latest, earliest, or by_duration with an ISO 8601 duration.";
    Int "share.delivery.count.limit" = "5", AtLeast(2), ClusterWide, NotYet,
        "How often a record is delivered before it is given up.";
    Int "share.heartbeat.interval.ms" = "5000", AtLeast(1), ClusterWide, NotYet,
        "How often a share group's members report.";
    String "share.isolation.level" = "read_uncommitted",
        OneOf(&["read_committed", "read_uncommitted"]), ClusterWide, NotYet,
        "Whether a share group sees records of open and aborted transactions.";
    Int "share.partition.max.record.locks" = "2000", AtLeast(100), ClusterWide, NotYet,
        "Records of a partition that may be held at once.";
    Int "share.record.lock.duration.ms" = "30000", AtLeast(1000), ClusterWide, NotYet,
        "How long a consumer may hold a record.";
    Bool "share.renew.acknowledge.enable" = "true", Any, ClusterWide, NotYet,
        "Whether a consumer may hold a record for longer by asking.";
    Int "share.session.timeout.ms" = "45000", AtLeast(1), ClusterWide, NotYet,
        "Silence after which a share group's member is out.";
    Int "streams.assignment.interval.ms" = "1000", AtLeast(0), ClusterWide, NotYet,
        "Shortest time between two assignments of a streams group.";
    Int "streams.heartbeat.interval.ms" = "5000", AtLeast(1), ClusterWide, NotYet,
        "How often a streams group's members report.";
    Int "streams.initial.rebalance.delay.ms" = "3000", AtLeast(0), ClusterWide, NotYet,
        "How long an empty streams group waits for more members.";
    Int "streams.num.standby.replicas" = "0", AtLeast(0), ClusterWide, NotYet,
        "Standby copies of each task of a streams group.";
    Int "streams.session.timeout.ms" = "45000", AtLeast(1), ClusterWide, NotYet,
        "Silence after which a streams group's member is out.";
};

/// The declaration of the group key `name`.
pub fn find(name: &str) -> Option<&'static ConfigDef> {
    GROUP_KEYS.binary_search_by(|def| def.name.cmp(name)).ok().map(|at| &GROUP_KEYS[at])
}
