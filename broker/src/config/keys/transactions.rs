//! Idempotent producers and transactions.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    Int "producer.id.expiration.ms" = "86400000", AtLeast(1), ClusterWide, Acts,
        "How long an idle producer's sequence is remembered.";
    Int "producer.id.expiration.check.interval.ms" = "600000", AtLeast(1), ReadOnly, Acts,
        "How often idle producers are looked for." [internal];
    Int "transaction.max.timeout.ms" = "900000", AtLeast(1), ReadOnly, NotYet,
        "Longest transaction timeout that a producer may ask for.";
    Int "transaction.state.log.load.buffer.size" = "5242880", AtLeast(1), ReadOnly, NotYet,
        "Bytes read at once when transactions are loaded.";
    Int "transaction.state.log.min.isr" = "2", AtLeast(1), ReadOnly, NotYet,
        "In-sync replicas that writes to `__transaction_state` need.";
    Int "transaction.state.log.num.partitions" = "50", AtLeast(1), ReadOnly, NotYet,
        "Partitions of `__transaction_state`; fixed once it exists.";
    Short "transaction.state.log.replication.factor" = "3", AtLeast(1), ReadOnly, NotYet,
        "Replicas of `__transaction_state`; one node can only have one.";
    Int "transaction.state.log.segment.bytes" = "104857600", AtLeast(1), ReadOnly, NotYet,
        "Segment size of `__transaction_state`.";
    Int "transaction.abort.timed.out.transaction.cleanup.interval.ms" =
        "10000", AtLeast(1), ReadOnly, NotYet,
        "How often transactions past their timeout are aborted.";
    Int "transaction.remove.expired.transaction.cleanup.interval.ms" =
        "3600000", AtLeast(1), ReadOnly, NotYet,
        "How often expired transactional ids are removed.";
    Int "transactional.id.expiration.ms" = "604800000", AtLeast(1), ReadOnly, NotYet,
        "How long an unused transactional id is remembered.";
    Bool "transaction.partition.verification.enable" = "true", Any, ClusterWide, NotYet,
        "Whether a transactional write is checked with the coordinator first.";
    Bool "transaction.two.phase.commit.enable" = "false", Any, ReadOnly, NotYet,
        "Whether producers may leave the end of a transaction to an outer coordinator.";
    Int "add.partitions.to.txn.retry.backoff.ms" = "20", AtLeast(1), ReadOnly, NotYet,
        "Wait before checking a transaction is tried again.";
    Int "add.partitions.to.txn.retry.backoff.max.ms" = "100", AtLeast(0), ReadOnly, NotYet,
        "Longest wait before checking a transaction is tried again.";
};
