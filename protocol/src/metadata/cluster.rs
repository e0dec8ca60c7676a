//! What concerns the cluster as a whole: features, producer ids, transactions of records.

use crate::wire::messages;

messages! {
    /// A feature's level.
    struct FeatureLevelRecord<'a> [0..=0, flexible (0..)] {
        /// The feature.
        name: &'a str [0..];
        /// The level in force; 0 turns the feature off.
        feature_level: i16 [0..];
    }

    /// A block of producer ids given to a broker.
    struct ProducerIdsRecord [0..=0, flexible (0..)] {
        /// The node id of the broker that asked.
        broker_id: i32 [0..];
        /// The epoch of the broker that asked.
        broker_epoch: i64 [0..] = -1;
        /// The first id after the block that the broker got.
        next_producer_id: i64 [0..];
    }

    /// Does nothing; shows that the controller lives.
    struct NoOpRecord [0..=0, flexible (0..)] {}

    /// Begins a transaction: what follows counts only when it ends.
    struct BeginTransactionRecord<'a> [0..=0, flexible (0..)] {
    } tagged {
        /// What the transaction does, for people.
        0 => name: Option<&'a str> [0..];
    }

    /// Ends a transaction: its records count now.
    struct EndTransactionRecord [0..=0, flexible (0..)] {}

    /// Gives up the transaction of records that was begun.
    struct AbortTransactionRecord<'a> [0..=0, flexible (0..)] {
    } tagged {
        /// Why, for people.
        0 => reason: Option<&'a str> [0..];
    }

    /// The state of a migration from ZooKeeper.
    struct ZkMigrationStateRecord [0..=0, flexible (0..)] {
        /// 0 none, 1 before, 2 during, 3 after a migration from ZooKeeper.
        zk_migration_state: i8 [0..];
    }
}
