//! CreateTopics: create topics.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 19. Create topics.
    struct CreateTopicsRequest<'a> [2..=7, flexible (5..)] {
        /// One entry a topic.
        topics: Vec<CreatableTopic<'a>> [0..];
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..] = 60000;
        /// Whether to check only, and change nothing.
        validate_only: bool [1..];
    }

    /// A topic to create.
    struct CreatableTopic<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The number of partitions; -1 for the broker's default, or on error.
        num_partitions: i32 [0..];
        /// The number of replicas; -1 for the broker's default, or on error.
        replication_factor: i16 [0..];
        /// The brokers of each partition, when chosen by hand.
        assignments: Vec<CreatableReplicaAssignment> [0..];
        /// One entry a config.
        configs: Vec<CreatableTopicConfig<'a>> [0..];
    }

    /// The brokers of a partition.
    struct CreatableReplicaAssignment {
        /// The partition's number within its topic.
        partition_index: i32 [0..];
        /// The replicas' node ids, the preferred leader first.
        broker_ids: Vec<i32> [0..];
    }

    /// A config to create a topic with.
    struct CreatableTopicConfig<'a> {
        /// The config.
        name: &'a str [0..];
        /// The config's value.
        value: Option<&'a str> [0..] = Some("");
    }

    /// The answer to [`CreateTopicsRequest`].
    struct CreateTopicsResponse<'a> [2..=7, flexible (5..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [2.., ignorable];
        /// One entry a topic.
        topics: Vec<CreatableTopicResult<'a>> [0..];
    }

    /// What became of a topic.
    struct CreatableTopicResult<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The topic's id.
        topic_id: Uuid [7.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [1.., ignorable] = Some("");
        /// The number of partitions; -1 for the broker's default, or on error.
        num_partitions: i32 [5.., ignorable] = -1;
        /// The number of replicas; -1 for the broker's default, or on error.
        replication_factor: i16 [5.., ignorable] = -1;
        /// All configs in force; null when the client may not see them.
        configs: Option<Vec<CreatableTopicConfigs<'a>>> [5.., ignorable] = Some(Vec::new());
    } tagged {
        /// Why there are no configs, if so.
        0 => topic_config_error_code: ErrorCode [5.., ignorable];
    }

    /// A config of the new topic.
    struct CreatableTopicConfigs<'a> {
        /// The config.
        name: &'a str [5..];
        /// The config's value; null when it is sensitive.
        value: Option<&'a str> [5..] = Some("");
        /// Whether the config cannot be changed while the broker runs.
        read_only: bool [5..];
        /// Where the value comes from: 1 topic, 2 broker, 3 all brokers, 4 file, 5 default, 6
        /// logger, 7 client metrics, 8 group.
        config_source: i8 [5.., ignorable] = -1;
        /// Whether the value is a secret and kept back.
        is_sensitive: bool [5..];
    }
}
