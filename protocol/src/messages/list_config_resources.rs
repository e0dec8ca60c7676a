//! ListConfigResources: the resources that have configs.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 74. The resources that have configs.
    struct ListConfigResourcesRequest [0..=1, flexible (0..)] {
        /// Only resources of these types; empty for all.
        resource_types: Vec<i8> [1..];
    }

    /// The answer to [`ListConfigResourcesRequest`].
    struct ListConfigResourcesResponse<'a> [0..=1, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// One entry a resource.
        config_resources: Vec<ConfigResource<'a>> [0..];
    }

    /// A resource.
    struct ConfigResource<'a> {
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The type of resource: 2 topic, 4 broker, 8 logger, 16 client metrics, 32 group.
        resource_type: i8 [1.., ignorable] = 16;
    }
}
