//! Classic groups, in `__consumer_offsets`.

use crate::wire::messages;

messages! {
    /// Key of a classic group.
    struct GroupMetadataKey<'a> [0..=0] {
        /// The group's id.
        group: &'a str [0..=0];
    }

    /// A classic group.
    struct GroupMetadataValue<'a> [0..=4, flexible (4..)] {
        /// What the group is for: `consumer`, `connect` and so on.
        protocol_type: &'a str [0..];
        /// The group's generation.
        generation: i32 [0..];
        /// The protocol that the group uses; null when it has no members.
        protocol: Option<&'a str> [0..] = Some("");
        /// The member id of the group's leader, who makes the assignment.
        leader: Option<&'a str> [0..] = Some("");
        /// When the group came into its state, in ms; -1 when not known.
        current_state_timestamp: i64 [2.., ignorable] = -1;
        /// One entry a member.
        members: Vec<MemberMetadata<'a>> [0..];
    }

    /// A member.
    struct MemberMetadata<'a> {
        /// The member's id, given by the coordinator.
        member_id: &'a str [0..];
        /// The member's own lasting name, if it is a static member.
        group_instance_id: Option<&'a str> [3.., ignorable];
        /// The client id of the member's last request.
        client_id: &'a str [0..];
        /// The address that the member came from.
        client_host: &'a str [0..];
        /// How long a rebalance waits for the member, in ms; -1 for the session timeout.
        rebalance_timeout: i32 [1.., ignorable] = -1;
        /// The member is dropped after this long without a heartbeat, in ms.
        session_timeout: i32 [0..];
        /// The member's subscription, in the protocol's own format.
        subscription: &'a [u8] [0..];
        /// The member's assignment, in the protocol's own format.
        assignment: &'a [u8] [0..];
    }
}
