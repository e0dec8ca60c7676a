//! DescribeGroups: state and members of classic groups.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 15. State and members of classic groups.
    struct DescribeGroupsRequest<'a> [0..=6, flexible (5..)] {
        /// The ids of the groups.
        groups: Vec<&'a str> [0..];
        /// Whether to say what the client may do to each group.
        include_authorized_operations: bool [3..];
    }

    /// The answer to [`DescribeGroupsRequest`].
    struct DescribeGroupsResponse<'a> [0..=6, flexible (5..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// One entry a group.
        groups: Vec<DescribedGroup<'a>> [0..];
    }

    /// A group.
    struct DescribedGroup<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [6..];
        /// The group's id.
        group_id: &'a str [0..];
        /// The group's state: `Stable`, `Empty` and so on.
        group_state: &'a str [0..];
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: &'a str [0..];
        /// The protocol that the group uses.
        protocol_data: &'a str [0..];
        /// One entry a member.
        members: Vec<DescribedGroupMember<'a>> [0..];
        /// What the client may do, bit n for operation code n; `i32::MIN` when not asked for.
        authorized_operations: i32 [3..] = i32::MIN;
    }

    /// A member.
    struct DescribedGroupMember<'a> {
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [4.., ignorable];
        /// The client id of the member's last request.
        client_id: &'a str [0..];
        /// The address that the member came from.
        client_host: &'a str [0..];
        /// The member's subscription, in the protocol's own format.
        member_metadata: &'a [u8] [0..];
        /// The member's assignment, in the protocol's own format.
        member_assignment: &'a [u8] [0..];
    }
}
