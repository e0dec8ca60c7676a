//! ListPartitionReassignments: the partitions that are moving.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 46. The partitions that are moving.
    struct ListPartitionReassignmentsRequest<'a> [0..=0, flexible (0..)] {
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..] = 60000;
        /// The partitions to report; null asks for all.
        topics: Option<Vec<ListPartitionReassignmentsTopics<'a>>> [0..];
    }

    /// Partitions asked about.
    struct ListPartitionReassignmentsTopics<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The partitions' numbers within their topic.
        partition_indexes: Vec<i32> [0..];
    }

    /// The answer to [`ListPartitionReassignmentsRequest`].
    struct ListPartitionReassignmentsResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry a topic.
        topics: Vec<OngoingTopicReassignment<'a>> [0..];
    }

    /// A topic's moving partitions.
    struct OngoingTopicReassignment<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// One entry a partition.
        partitions: Vec<OngoingPartitionReassignment> [0..];
    }

    /// A moving partition.
    struct OngoingPartitionReassignment {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The replicas' node ids, the preferred leader first.
        replicas: Vec<i32> [0..];
        /// The node ids of replicas being added.
        adding_replicas: Vec<i32> [0..];
        /// The node ids of replicas being removed.
        removing_replicas: Vec<i32> [0..];
    }
}
