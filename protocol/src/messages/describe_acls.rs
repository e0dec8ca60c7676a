//! DescribeAcls: find ACLs.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 29. Find ACLs.
    struct DescribeAclsRequest<'a> [1..=3, flexible (2..)] {
        /// The type of resource: 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 token, 7
        /// user.
        resource_type_filter: i8 [0..];
        /// The resource's name; null for any.
        resource_name_filter: Option<&'a str> [0..] = Some("");
        /// The type of pattern: 1 any, 2 matching, 3 literal, 4 prefixed.
        pattern_type_filter: i8 [1..] = 3;
        /// The principal, `User:name`; null for any.
        principal_filter: Option<&'a str> [0..] = Some("");
        /// The client's host; null for any.
        host_filter: Option<&'a str> [0..] = Some("");
        /// The operation's code; 1 any, 2 all, 3 read, 4 write and so on.
        operation: i8 [0..];
        /// 1 any, 2 deny, 3 allow.
        permission_type: i8 [0..];
    }

    /// The answer to [`DescribeAclsRequest`].
    struct DescribeAclsResponse<'a> [1..=3, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry a resource that has matching ACLs.
        resources: Vec<DescribeAclsResource<'a>> [0..];
    }

    /// A resource with ACLs.
    struct DescribeAclsResource<'a> {
        /// The type of resource: 2 topic, 3 group, 4 cluster, 5 transactional id, 6 token, 7 user.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The type of pattern: 3 literal, 4 prefixed.
        pattern_type: i8 [1..] = 3;
        /// One entry an ACL.
        acls: Vec<AclDescription<'a>> [0..];
    }

    /// An ACL.
    struct AclDescription<'a> {
        /// The principal, `User:name`.
        principal: &'a str [0..];
        /// The client's host, or `*`.
        host: &'a str [0..];
        /// The operation's code; 1 any, 2 all, 3 read, 4 write and so on.
        operation: i8 [0..];
        /// 1 any, 2 deny, 3 allow.
        permission_type: i8 [0..];
    }
}
