//! Committed offsets, in `__consumer_offsets`.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Key of a committed offset.
    struct OffsetCommitKey<'a> [0..=0] {
        /// The group's id.
        group: &'a str [0..=0];
        /// The topic's name.
        topic: &'a str [0..=0];
        /// The partition's number within its topic.
        partition: i32 [0..=0];
    }

    /// A committed offset.
    struct OffsetCommitValue<'a> [0..=4, flexible (4..)] {
        /// The offset committed: the next one to consume.
        offset: i64 [0..];
        /// The leader's epoch, counted up by each election; -1 when not known.
        leader_epoch: i32 [3.., ignorable] = -1;
        /// The client's own note about the offset.
        metadata: &'a str [0..];
        /// When it was committed, in ms.
        commit_timestamp: i64 [0..];
        /// When it expires, in ms; -1 for the broker's setting.
        expire_timestamp: i64 [1..=1, ignorable] = -1;
    } tagged {
        /// The topic's id.
        0 => topic_id: Uuid [4.., ignorable];
    }

    /// Key of a committed offset as written by Kafka before 0.9.
    struct LegacyOffsetCommitKey<'a> [0..=0] {
        /// The group's id.
        group: &'a str [0..=0];
        /// The topic's name.
        topic: &'a str [0..=0];
        /// The partition's number within its topic.
        partition: i32 [0..=0];
    }

    /// A committed offset as written by Kafka before 0.9.
    struct LegacyOffsetCommitValue<'a> [0..=0] {
        /// An offset.
        offset: i64 [0..=0];
        /// The client's own note about the offset.
        metadata: &'a str [0..=0];
        /// When it was committed, in ms.
        commit_timestamp: i64 [0..=0];
    }
}
