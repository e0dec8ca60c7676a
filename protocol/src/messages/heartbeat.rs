//! Heartbeat: stay a member of a classic group.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 12. Stay a member of a classic group.
    struct HeartbeatRequest<'a> [0..=4, flexible (4..)] {
        /// The group's id.
        group_id: &'a str [0..];
        /// The group's generation; -1 for none.
        generation_id: i32 [0..];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [3..];
    }

    /// The answer to [`HeartbeatRequest`].
    struct HeartbeatResponse [0..=4, flexible (4..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
    }
}
