//! ListGroups: the groups that a broker coordinates.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 16. The groups that a broker coordinates.
    struct ListGroupsRequest<'a> [0..=5, flexible (3..)] {
        /// Only groups in these states; empty for all.
        states_filter: Vec<&'a str> [4..];
        /// Only groups of these types; empty for all.
        types_filter: Vec<&'a str> [5..];
    }

    /// The answer to [`ListGroupsRequest`].
    struct ListGroupsResponse<'a> [0..=5, flexible (3..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// One entry a group.
        groups: Vec<ListedGroup<'a>> [0..];
    }

    /// A group.
    struct ListedGroup<'a> {
        /// The group's id.
        group_id: &'a str [0..];
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: &'a str [0..];
        /// The group's state: `Stable`, `Empty` and so on.
        group_state: &'a str [4.., ignorable];
        /// The group's type: `classic`, `consumer`, `share`, `streams`.
        group_type: &'a str [5.., ignorable];
    }
}
