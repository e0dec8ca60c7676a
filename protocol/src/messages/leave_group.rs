//! LeaveGroup: leave a classic group.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 13. Leave a classic group.
    struct LeaveGroupRequest<'a> [0..=5, flexible (4..)] {
        /// The group's id.
        group_id: &'a str [0..];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..=2];
        /// One entry a member.
        members: Vec<MemberIdentity<'a>> [3..];
    }

    /// A member that leaves.
    struct MemberIdentity<'a> {
        /// The member's id, given by the coordinator.
        member_id: &'a str [3..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [3..];
        /// Why, for the broker's log.
        reason: Option<&'a str> [5.., ignorable];
    }

    /// The answer to [`LeaveGroupRequest`].
    struct LeaveGroupResponse<'a> [0..=5, flexible (4..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// One entry a member.
        members: Vec<MemberResponse<'a>> [3..];
    }

    /// What became of a member.
    struct MemberResponse<'a> {
        /// The member's id, given by the coordinator.
        member_id: &'a str [3..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [3..] = Some("");
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [3..];
    }
}
