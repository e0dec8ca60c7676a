//! FindCoordinator: find the coordinator of a group or transactional id.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 10. Find the coordinator of a group or transactional id.
    struct FindCoordinatorRequest<'a> [0..=6, flexible (3..)] {
        /// What to find the coordinator of: a group id, transactional id, or share partition.
        key: &'a str [0..=3];
        /// What the keys are: 0 groups, 1 transactional ids, 2 share partitions.
        key_type: i8 [1..];
        /// What to find the coordinators of.
        coordinator_keys: Vec<&'a str> [4..];
    }

    /// The answer to [`FindCoordinatorRequest`].
    struct FindCoordinatorResponse<'a> [0..=6, flexible (3..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [1.., ignorable];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..=3];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [1..=3, ignorable] = Some("");
        /// The node's id.
        node_id: i32 [0..=3];
        /// Where to connect: a host name or an address.
        host: &'a str [0..=3];
        /// Where to connect: the TCP port.
        port: i32 [0..=3];
        /// One entry a key.
        coordinators: Vec<Coordinator<'a>> [4..];
    }

    /// Where a coordinator is.
    struct Coordinator<'a> {
        /// What this is the coordinator of.
        key: &'a str [4..];
        /// The node's id.
        node_id: i32 [4..];
        /// Where to connect: a host name or an address.
        host: &'a str [4..];
        /// Where to connect: the TCP port.
        port: i32 [4..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [4..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [4.., ignorable] = Some("");
    }
}
