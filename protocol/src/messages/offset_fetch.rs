//! OffsetFetch: read a group's committed offsets.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 9. Read a group's committed offsets.
    struct OffsetFetchRequest<'a> [1..=10, flexible (6..)] {
        /// The group's id.
        group_id: &'a str [0..=7];
        /// The topics to look up; null asks for all that have offsets.
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>> [0..=7; null 2..=7] = Some(Vec::new());
        /// The groups to look up.
        groups: Vec<OffsetFetchRequestGroup<'a>> [8..];
        /// Whether to answer with an error while an open transaction may change an offset.
        require_stable: bool [7..];
    }

    /// Partitions asked about.
    struct OffsetFetchRequestTopic<'a> {
        /// The topic's name.
        name: &'a str [0..=7];
        /// The partitions' numbers within their topic.
        partition_indexes: Vec<i32> [0..=7];
    }

    /// A group asked about.
    struct OffsetFetchRequestGroup<'a> {
        /// The group's id.
        group_id: &'a str [8..];
        /// The member's id, to be checked; null for no check.
        member_id: Option<&'a str> [9.., ignorable];
        /// The member's epoch, to be checked; -1 for no check.
        member_epoch: i32 [9.., ignorable] = -1;
        /// The topics to look up; null asks for all that have offsets.
        topics: Option<Vec<OffsetFetchRequestTopics<'a>>> [8..] = Some(Vec::new());
    }

    /// Partitions asked about.
    struct OffsetFetchRequestTopics<'a> {
        /// The topic's name.
        name: &'a str [8..=9, ignorable];
        /// The topic's id.
        topic_id: Uuid [10.., ignorable];
        /// The partitions' numbers within their topic.
        partition_indexes: Vec<i32> [8..];
    }

    /// The answer to [`OffsetFetchRequest`].
    struct OffsetFetchResponse<'a> [1..=10, flexible (6..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [3.., ignorable];
        /// One entry a topic.
        topics: Vec<OffsetFetchResponseTopic<'a>> [0..=7];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [2..=7, ignorable];
        /// One entry a group.
        groups: Vec<OffsetFetchResponseGroup<'a>> [8..];
    }

    /// A topic's offsets.
    struct OffsetFetchResponseTopic<'a> {
        /// The topic's name.
        name: &'a str [0..=7];
        /// One entry a partition.
        partitions: Vec<OffsetFetchResponsePartition<'a>> [0..=7];
    }

    /// A partition's offset.
    struct OffsetFetchResponsePartition<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [0..=7];
        /// The offset committed: the next one to consume; -1 when there is none.
        committed_offset: i64 [0..=7];
        /// The leader epoch of the last record consumed; -1 when not known.
        committed_leader_epoch: i32 [5..=7, ignorable] = -1;
        /// The client's own note about the offset.
        metadata: Option<&'a str> [0..=7] = Some("");
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..=7];
    }

    /// A group's offsets.
    struct OffsetFetchResponseGroup<'a> {
        /// The group's id.
        group_id: &'a str [8..];
        /// One entry a topic.
        topics: Vec<OffsetFetchResponseTopics<'a>> [8..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [8..];
    }

    /// A topic's offsets.
    struct OffsetFetchResponseTopics<'a> {
        /// The topic's name.
        name: &'a str [8..=9, ignorable];
        /// The topic's id.
        topic_id: Uuid [10.., ignorable];
        /// One entry a partition.
        partitions: Vec<OffsetFetchResponsePartitions<'a>> [8..];
    }

    /// A partition's offset.
    struct OffsetFetchResponsePartitions<'a> {
        /// The partition's number within its topic.
        partition_index: i32 [8..];
        /// The offset committed: the next one to consume; -1 when there is none.
        committed_offset: i64 [8..];
        /// The leader epoch of the last record consumed; -1 when not known.
        committed_leader_epoch: i32 [8.., ignorable] = -1;
        /// The client's own note about the offset.
        metadata: Option<&'a str> [8..] = Some("");
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [8..];
    }
}
