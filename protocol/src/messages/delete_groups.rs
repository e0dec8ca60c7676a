//! DeleteGroups: delete empty groups.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 42. Delete empty groups.
    struct DeleteGroupsRequest<'a> [0..=2, flexible (2..)] {
        /// The ids of the groups.
        groups_names: Vec<&'a str> [0..];
    }

    /// The answer to [`DeleteGroupsRequest`].
    struct DeleteGroupsResponse<'a> [0..=2, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry for each thing asked for.
        results: Vec<DeletableGroupResult<'a>> [0..];
    }

    /// What became of a group.
    struct DeletableGroupResult<'a> {
        /// The group's id.
        group_id: &'a str [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
