//! Topics and their partitions.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// A new topic.
    struct TopicRecord<'a> [0..=0, flexible (0..)] {
        /// The topic's name.
        name: &'a str [0..];
        /// The topic's id.
        topic_id: Uuid [0..];
    }

    /// A new partition, or all of one in a snapshot.
    struct PartitionRecord [0..=2, flexible (0..)] {
        /// The partition's number within its topic.
        partition_id: i32 [0..] = -1;
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The replicas' node ids, the preferred leader first.
        replicas: Vec<i32> [0..];
        /// The node ids of the replicas that are in sync.
        isr: Vec<i32> [0..];
        /// The node ids of replicas being removed.
        removing_replicas: Vec<i32> [0..];
        /// The node ids of replicas being added.
        adding_replicas: Vec<i32> [0..];
        /// The leader's node id; -1 for none.
        leader: i32 [0..] = -1;
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [0..] = -1;
        /// Counted up by every change of the partition.
        partition_epoch: i32 [0..] = -1;
        /// The ids of the log directories of the replicas, in their order.
        directories: Vec<Uuid> [1..];
    } tagged {
        /// 0 recovered, 1 still recovering from an unclean election.
        0 after leader => leader_recovery_state: i8 [0..];
        /// Replicas out of sync that still may lead without loss (KIP-966).
        1 after directories => eligible_leader_replicas: Option<Vec<i32>> [2..];
        /// The last eligible leader replicas before there were none (KIP-966).
        2 => last_known_elr: Option<Vec<i32>> [2..];
    }

    /// A change of a partition; what is absent stays.
    struct PartitionChangeRecord [0..=2, flexible (0..)] {
        /// The partition's number within its topic.
        partition_id: i32 [0..] = -1;
        /// The topic's id.
        topic_id: Uuid [0..];
    } tagged {
        /// The node ids of the replicas that are in sync; null for no change.
        0 => isr: Option<Vec<i32>> [0..];
        /// The leader's node id; -1 for none, -2 for no change.
        1 => leader: i32 [0..] = -2;
        /// The replicas' node ids, the preferred leader first; null for no change.
        2 => replicas: Option<Vec<i32>> [0..];
        /// The node ids of replicas being removed; null for no change.
        3 => removing_replicas: Option<Vec<i32>> [0..];
        /// The node ids of replicas being added; null for no change.
        4 => adding_replicas: Option<Vec<i32>> [0..];
        /// 0 recovered, 1 still recovering from an unclean election, -1 for no change.
        5 => leader_recovery_state: i8 [0..] = -1;
        /// Replicas out of sync that still may lead without loss (KIP-966); null for no change.
        6 => eligible_leader_replicas: Option<Vec<i32>> [2..];
        /// The last eligible leader replicas before there were none (KIP-966); null for no change.
        7 => last_known_elr: Option<Vec<i32>> [2..];
        /// The ids of the log directories of the replicas, in their order; null for no change.
        8 after leader_recovery_state => directories: Option<Vec<Uuid>> [1..];
    }

    /// Removes a topic and its partitions.
    struct RemoveTopicRecord [0..=0, flexible (0..)] {
        /// The topic's id.
        topic_id: Uuid [0..];
    }

    /// Forgets eligible leader replicas, of one topic or of all.
    struct ClearElrRecord<'a> [0..=0, flexible (0..)] {
        /// The topic's name.
        topic_name: &'a str [0..];
    }
}
