//! SyncGroup: give or take the assignment of a classic group.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 14. Give or take the assignment of a classic group.
    struct SyncGroupRequest<'a> [0..=5, flexible (4..)] {
        /// The group's id.
        group_id: &'a str [0..];
        /// The group's generation; -1 for none.
        generation_id: i32 [0..];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [3..];
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: Option<&'a str> [5.., ignorable];
        /// The protocol that the group uses.
        protocol_name: Option<&'a str> [5.., ignorable];
        /// The members' assignments, from the group's leader; empty from others.
        assignments: Vec<SyncGroupRequestAssignment<'a>> [0..];
    }

    /// A member's assignment.
    struct SyncGroupRequestAssignment<'a> {
        /// Whose assignment it is.
        member_id: &'a str [0..];
        /// The member's assignment, in the protocol's own format.
        assignment: &'a [u8] [0..];
    }

    /// The answer to [`SyncGroupRequest`].
    struct SyncGroupResponse<'a> [0..=5, flexible (4..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: Option<&'a str> [5.., ignorable];
        /// The protocol that the group uses.
        protocol_name: Option<&'a str> [5.., ignorable];
        /// The member's assignment, in the protocol's own format.
        assignment: &'a [u8] [0..];
    }
}
