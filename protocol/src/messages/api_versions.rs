//! ApiVersions: which requests and features a broker has.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 18. Which requests and features a broker has.
    struct ApiVersionsRequest<'a> [0..=4, flexible (3..)] {
        /// The client library's name. Letters, digits, `-` and `.` only.
        client_software_name: &'a str [3.., ignorable];
        /// The client library's version. Letters, digits, `-` and `.` only.
        client_software_version: &'a str [3.., ignorable];
    }

    /// The answer to [`ApiVersionsRequest`].
    struct ApiVersionsResponse<'a> [0..=4, flexible (3..)] {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The requests that this broker serves.
        api_keys: Vec<ApiVersion> [0..];
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
    } tagged {
        /// The feature levels that the broker's code can run at.
        0 => supported_features: Vec<SupportedFeatureKey<'a>> [3.., ignorable];
        /// The metadata offset that the finalized features are of; -1 when not known.
        1 => finalized_features_epoch: i64 [3.., ignorable] = -1;
        /// The feature levels that the cluster runs at.
        2 => finalized_features: Vec<FinalizedFeatureKey<'a>> [3.., ignorable];
        /// Whether a migration away from ZooKeeper may start. False in 4.x.
        3 => zk_migration_ready: bool [3.., ignorable];
    }

    /// A kind of request and its versions.
    struct ApiVersion {
        /// The request's number; see [`ApiKey`](crate::api::ApiKey).
        api_key: i16 [0..];
        /// The lowest version served.
        min_version: i16 [0..];
        /// The highest version served.
        max_version: i16 [0..];
    }

    /// A feature that the broker has.
    struct SupportedFeatureKey<'a> {
        /// The feature, `metadata.version` for instance.
        name: &'a str [3..];
        /// The lowest level.
        min_version: i16 [3..];
        /// The highest level.
        max_version: i16 [3..];
    }

    /// A feature that is in force.
    struct FinalizedFeatureKey<'a> {
        /// The feature, `metadata.version` for instance.
        name: &'a str [3..];
        /// The level that is in force.
        max_version_level: i16 [3..];
        /// The lowest level that nodes may have.
        min_version_level: i16 [3..];
    }
}
