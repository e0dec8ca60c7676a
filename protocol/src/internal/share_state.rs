//! The delivery state of share groups (KIP-932), in `__share_group_state`. Read by tools.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Key of a partition's whole state in a group.
    struct ShareSnapshotKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The topic's id.
        topic_id: Uuid [0..=0];
        /// The partition's number within its topic.
        partition: i32 [0..=0];
    }

    /// A partition's whole state in a group.
    struct ShareSnapshotValue [0..=0, flexible (0..)] {
        /// Counted up by every snapshot.
        snapshot_epoch: i32 [0..];
        /// The epoch of the state: counted up when the group starts it anew.
        state_epoch: i32 [0..];
        /// The epoch of the partition's leader.
        leader_epoch: i32 [0..];
        /// The first offset that is not done with.
        start_offset: i64 [0..];
        /// When the state was begun, in ms.
        create_timestamp: i64 [0..];
        /// When the snapshot was written, in ms.
        write_timestamp: i64 [0..];
        /// The records from the start offset on, by ranges.
        state_batches: Vec<SnapshotStateBatch> [0..];
    } tagged {
        /// How many records from the start offset on are done with; -1 when not known.
        0 after start_offset => delivery_complete_count: i32 [0..] = -1;
    }

    /// A range of records with one state.
    struct SnapshotStateBatch {
        /// Its first offset.
        first_offset: i64 [0..];
        /// Its last offset.
        last_offset: i64 [0..];
        /// 0 available, 2 acknowledged, 4 archived.
        delivery_state: i8 [0..];
        /// How often they were delivered.
        delivery_count: i16 [0..];
    }

    /// Key of a change of a partition's state in a group.
    struct ShareUpdateKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The topic's id.
        topic_id: Uuid [0..=0];
        /// The partition's number within its topic.
        partition: i32 [0..=0];
    }

    /// A change of a partition's state in a group.
    struct ShareUpdateValue [0..=0, flexible (0..)] {
        /// The snapshot that it changes.
        snapshot_epoch: i32 [0..];
        /// The epoch of the partition's leader.
        leader_epoch: i32 [0..];
        /// The first offset that is not done with; -1 for no change.
        start_offset: i64 [0..];
        /// The ranges that have changed.
        state_batches: Vec<UpdateStateBatch> [0..];
    } tagged {
        /// How many records from the start offset on are done with; -1 when not known.
        0 after start_offset => delivery_complete_count: i32 [0..] = -1;
    }

    /// A range of records with one state.
    struct UpdateStateBatch {
        /// Its first offset.
        first_offset: i64 [0..];
        /// Its last offset.
        last_offset: i64 [0..];
        /// 0 available, 2 acknowledged, 4 archived.
        delivery_state: i8 [0..];
        /// How often they were delivered.
        delivery_count: i16 [0..];
    }
}
