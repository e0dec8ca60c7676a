//! DeleteAcls: delete ACLs.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 31. Delete ACLs.
    struct DeleteAclsRequest<'a> [1..=3, flexible (2..)] {
        /// ACLs that match any of these are deleted.
        filters: Vec<DeleteAclsFilter<'a>> [0..];
    }

    /// Which ACLs to delete.
    struct DeleteAclsFilter<'a> {
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

    /// The answer to [`DeleteAclsRequest`].
    struct DeleteAclsResponse<'a> [1..=3, flexible (2..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry a filter.
        filter_results: Vec<DeleteAclsFilterResult<'a>> [0..];
    }

    /// What a filter deleted.
    struct DeleteAclsFilterResult<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// The ACLs that matched.
        matching_acls: Vec<DeleteAclsMatchingAcl<'a>> [0..];
    }

    /// An ACL that matched.
    struct DeleteAclsMatchingAcl<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// The type of resource: 2 topic, 3 group, 4 cluster, 5 transactional id, 6 token, 7 user.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The type of pattern: 3 literal, 4 prefixed.
        pattern_type: i8 [1..] = 3;
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
