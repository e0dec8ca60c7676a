//! DeleteTopics: delete topics.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Request 20. Delete topics.
    struct DeleteTopicsRequest<'a> [1..=6, flexible (4..)] {
        /// The topics, by name or id.
        topics: Vec<DeleteTopicState<'a>> [6..];
        /// The topics' names.
        topic_names: Vec<&'a str> [0..=5, ignorable];
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..];
    }

    /// A topic to delete.
    struct DeleteTopicState<'a> {
        /// The topic's name; null when it is given by id.
        name: Option<&'a str> [6..];
        /// The topic's id; zero when it is given by name.
        topic_id: Uuid [6..];
    }

    /// The answer to [`DeleteTopicsRequest`].
    struct DeleteTopicsResponse<'a> [1..=6, flexible (4..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// One entry a topic.
        responses: Vec<DeletableTopicResult<'a>> [0..];
    }

    /// What became of a topic.
    struct DeletableTopicResult<'a> {
        /// The topic's name; null when only an id is known.
        name: Option<&'a str> [0..; null 6..] = Some("");
        /// The topic's id.
        topic_id: Uuid [6.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [5.., ignorable];
    }
}
