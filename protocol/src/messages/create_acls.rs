//! CreateAcls: create ACLs.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 30. Create ACLs.
    struct CreateAclsRequest<'a> [1..=3, flexible (2..)] {
        /// The ACLs to create.
        creations: Vec<AclCreation<'a>> [0..];
    }

    /// An ACL to create.
    struct AclCreation<'a> {
        /// The type of resource: 2 topic, 3 group, 4 cluster, 5 transactional id, 6 token, 7 user.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The type of pattern: 3 literal, 4 prefixed.
        resource_pattern_type: i8 [1..] = 3;
        /// The principal, `User:name`.
        principal: &'a str [0..];
        /// The client's host, or `*`.
        host: &'a str [0..];
        /// The operation's code; 1 any, 2 all, 3 read, 4 write and so on.
        operation: i8 [0..];
        /// 1 any, 2 deny, 3 allow.
        permission_type: i8 [0..];
    }

    /// The answer to [`CreateAclsRequest`].
    struct CreateAclsResponse<'a> [1..=3, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry for each thing asked for.
        results: Vec<AclCreationResult<'a>> [0..];
    }

    /// What became of an ACL.
    struct AclCreationResult<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
    }
}
