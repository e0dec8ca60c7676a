//! CreatePartitions: add partitions to topics.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 37. Add partitions to topics.
    struct CreatePartitionsRequest<'a> [0..=3, flexible (2..)] {
        /// One entry a topic.
        topics: Vec<CreatePartitionsTopic<'a>> [0..];
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..];
        /// Whether to check only, and change nothing.
        validate_only: bool [0..];
    }

    /// A topic to enlarge.
    struct CreatePartitionsTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The new number of partitions, old ones included.
        count: i32 [0..];
        /// The brokers of each new partition, when chosen by hand; null leaves it to the broker.
        assignments: Option<Vec<CreatePartitionsAssignment>> [0..] = Some(Vec::new());
    }

    /// The brokers of a new partition.
    struct CreatePartitionsAssignment {
        /// The replicas' node ids, the preferred leader first.
        broker_ids: Vec<i32> [0..];
    }

    /// The answer to [`CreatePartitionsRequest`].
    struct CreatePartitionsResponse<'a> [0..=3, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry for each thing asked for.
        results: Vec<CreatePartitionsTopicResult<'a>> [0..];
    }

    /// What became of a topic.
    struct CreatePartitionsTopicResult<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..];
    }
}
