//! Settings of consumers.

use super::{Table, defs};

const INT_MAX: i64 = i32::MAX as i64;

/// Beside those that every client has.
pub(crate) const CONSUMER: &Table = &defs! {
    "group.id": Text,
        "The group that partitions are shared with and offsets are committed for. Without one \
         there is neither.";
    "group.protocol": Choice(&["classic", "consumer"]) = "classic",
        "How the group shares partitions out: by a member of it (classic), or by the broker \
         (consumer, KIP-848).";
    "group.instance.id": Text,
        "A lasting name for this member, so that its restart moves no partitions (KIP-345).";
    "group.remote.assignor": Text,
        "The broker's assignor, with group.protocol=consumer; the broker's first when not set.";
    "partition.assignment.strategy": List = "range,cooperative-sticky",
        "The assignors that this member can, the best first, with group.protocol=classic: range, \
         roundrobin, sticky, cooperative-sticky, or Java's class names for them.";
    "session.timeout.ms": Number(0, INT_MAX) = "45000",
        "After how long without a heartbeat a member has left, with group.protocol=classic.";
    "heartbeat.interval.ms": Number(0, INT_MAX) = "3000",
        "How often a member says that it is there, with group.protocol=classic.";
    "max.poll.interval.ms": Number(1, INT_MAX) = "300000",
        "After how long without a poll a member leaves the group.";
    "auto.offset.reset": Text = "latest",
        "Where to begin when there is no committed offset, or none that is there any more: \
         earliest, latest, none (an error), or by_duration:PT1H (an hour back, KIP-1106).";
    "enable.auto.commit": Flag = "true",
        "Whether what polls have returned is committed by itself.";
    "auto.commit.interval.ms": Number(0, INT_MAX) = "5000",
        "How often, then.";
    "max.poll.records": Number(1, INT_MAX) = "500",
        "Records that one poll returns at most.";
    "fetch.min.bytes": Number(0, INT_MAX) = "1",
        "Bytes that a broker waits for before it answers a fetch.";
    "fetch.max.wait.ms": Number(0, INT_MAX) = "500",
        "How long it waits for them.";
    "fetch.max.bytes": Number(0, INT_MAX) = "52428800",
        "Bytes of an answer to a fetch; one batch that is larger comes all the same.";
    "max.partition.fetch.bytes": Number(0, INT_MAX) = "1048576",
        "Bytes of a partition in an answer; one batch that is larger comes all the same.";
    "isolation.level": Choice(&["read_uncommitted", "read_committed"]) = "read_uncommitted",
        "Whether records of transactions are returned before they are committed, and when they are \
         aborted.";
    "check.crcs": Flag = "true",
        "Whether batches are compared with their checksums.";
    "client.rack": Text = "",
        "Where this client is, so that it can read from a replica nearby (KIP-392), and gets \
         partitions that have one (KIP-881).";
    "allow.auto.create.topics": Flag = "true",
        "Whether asking for a topic may create it, if the broker does so.";
    "exclude.internal.topics": Flag = "true",
        "Whether patterns leave internal topics out.";
};
