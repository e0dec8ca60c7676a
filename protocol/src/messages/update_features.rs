//! UpdateFeatures: change levels of features.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 57. Change levels of features.
    struct UpdateFeaturesRequest<'a> [0..=2, flexible (0..)] {
        /// How long the broker may take, in ms.
        timeout_ms: i32 [0..] = 60000;
        /// The changes.
        feature_updates: Vec<FeatureUpdateKey<'a>> [0..];
        /// Whether to check only, and change nothing.
        validate_only: bool [1..];
    }

    /// A feature to change.
    struct FeatureUpdateKey<'a> {
        /// The feature's name.
        feature: &'a str [0..];
        /// The new level; below 1 deletes the feature.
        max_version_level: i16 [0..];
        /// Whether the level may go down.
        allow_downgrade: bool [0..=0];
        /// 1 upgrade only, 2 downgrade without loss, 3 downgrade even with loss.
        upgrade_type: i8 [1..] = 1;
    }

    /// The answer to [`UpdateFeaturesRequest`].
    struct UpdateFeaturesResponse<'a> [0..=2, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry for each thing asked for.
        results: Vec<UpdatableFeatureResult<'a>> [0..=1, ignorable];
    }

    /// What became of a feature.
    struct UpdatableFeatureResult<'a> {
        /// The feature's name.
        feature: &'a str [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
    }
}
