//! JoinGroup: join a classic group.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 11. Join a classic group.
    struct JoinGroupRequest<'a> [0..=9, flexible (6..)] {
        /// The group's id.
        group_id: &'a str [0..];
        /// The member is dropped after this long without a heartbeat, in ms.
        session_timeout_ms: i32 [0..];
        /// How long a rebalance waits for the member, in ms.
        rebalance_timeout_ms: i32 [1.., ignorable] = -1;
        /// The member's id; empty when it has none yet.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [5..];
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: &'a str [0..];
        /// The protocols that the member can use, the best first.
        protocols: Vec<JoinGroupRequestProtocol<'a>> [0..];
        /// Why, for the broker's log.
        reason: Option<&'a str> [8.., ignorable];
    }

    /// A protocol that the member can use.
    struct JoinGroupRequestProtocol<'a> {
        /// The protocol: an assignor's name, for consumers.
        name: &'a str [0..];
        /// The member's subscription, in the protocol's own format.
        metadata: &'a [u8] [0..];
    }

    /// The answer to [`JoinGroupRequest`].
    struct JoinGroupResponse<'a> [0..=9, flexible (6..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [2.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// The group's generation; -1 for none.
        generation_id: i32 [0..] = -1;
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: Option<&'a str> [7.., ignorable];
        /// The protocol that the group uses.
        protocol_name: Option<&'a str> [0..; null 7..] = Some("");
        /// The member id of the group's leader, who makes the assignment.
        leader: &'a str [0..];
        /// Whether the leader shall not make an assignment this time.
        skip_assignment: bool [9..];
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The members and their subscriptions; for the leader only.
        members: Vec<JoinGroupResponseMember<'a>> [0..];
    }

    /// A member and its subscription.
    struct JoinGroupResponseMember<'a> {
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [5.., ignorable];
        /// The member's subscription, in the protocol's own format.
        metadata: &'a [u8] [0..];
    }
}
