//! IncrementalAlterConfigs: change single configs.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 44. Change single configs.
    struct IncrementalAlterConfigsRequest<'a> [0..=1, flexible (1..)] {
        /// One entry a resource.
        resources: Vec<AlterConfigsResource<'a>> [0..];
        /// Whether to check only, and change nothing.
        validate_only: bool [0..];
    }

    /// A resource to change.
    struct AlterConfigsResource<'a> {
        /// The type of resource: 2 topic, 4 broker, 8 logger, 16 client metrics, 32 group.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// One entry a config.
        configs: Vec<AlterableConfig<'a>> [0..];
    }

    /// A config to change.
    struct AlterableConfig<'a> {
        /// The config.
        name: &'a str [0..];
        /// 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
        config_operation: i8 [0..];
        /// The new value.
        value: Option<&'a str> [0..] = Some("");
    }

    /// The answer to [`IncrementalAlterConfigsRequest`].
    struct IncrementalAlterConfigsResponse<'a> [0..=1, flexible (1..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a topic.
        responses: Vec<AlterConfigsResourceResponse<'a>> [0..];
    }

    /// What became of a resource.
    struct AlterConfigsResourceResponse<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// The type of resource: 2 topic, 4 broker, 8 logger, 16 client metrics, 32 group.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
    }
}
