//! ACLs, SCRAM credentials, delegation tokens.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// An ACL.
    struct AccessControlEntryRecord<'a> [0..=0, flexible (0..)] {
        /// The ACL's id.
        id: Uuid [0..];
        /// The type of resource: 2 topic, 3 group, 4 cluster, 5 transactional id, 6 token, 7 user.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The type of pattern: 3 literal, 4 prefixed.
        pattern_type: i8 [0..];
        /// The principal, `User:name`.
        principal: &'a str [0..];
        /// The client's host, or `*`.
        host: &'a str [0..];
        /// The operation's code; 1 any, 2 all, 3 read, 4 write and so on.
        operation: i8 [0..];
        /// 1 any, 2 deny, 3 allow.
        permission_type: i8 [0..];
    }

    /// Removes an ACL.
    struct RemoveAccessControlEntryRecord [0..=0, flexible (0..)] {
        /// The ACL's id.
        id: Uuid [0..];
    }

    /// A SCRAM credential.
    struct UserScramCredentialRecord<'a> [0..=0, flexible (0..)] {
        /// The user.
        name: &'a str [0..];
        /// The SCRAM mechanism: 1 SHA-256, 2 SHA-512.
        mechanism: i8 [0..];
        /// The random bytes hashed with the password.
        salt: &'a [u8] [0..];
        /// SCRAM's StoredKey.
        stored_key: &'a [u8] [0..];
        /// SCRAM's ServerKey.
        server_key: &'a [u8] [0..];
        /// How often the password is hashed.
        iterations: i32 [0..];
    }

    /// Removes a SCRAM credential.
    struct RemoveUserScramCredentialRecord<'a> [0..=0, flexible (0..)] {
        /// The user.
        name: &'a str [0..];
        /// The SCRAM mechanism: 1 SHA-256, 2 SHA-512.
        mechanism: i8 [0..];
    }

    /// A delegation token.
    struct DelegationTokenRecord<'a> [0..=0, flexible (0..)] {
        /// The token's owner.
        owner: &'a str [0..];
        /// Who asked for the token.
        requester: &'a str [0..];
        /// Who may renew the token.
        renewers: Vec<&'a str> [0..];
        /// When the token was issued, in ms.
        issue_timestamp: i64 [0..];
        /// When the token expires for good, in ms.
        max_timestamp: i64 [0..];
        /// When the token expires unless renewed, in ms.
        expiration_timestamp: i64 [0..];
        /// The token's id.
        token_id: &'a str [0..];
    }

    /// Removes a delegation token.
    struct RemoveDelegationTokenRecord<'a> [0..=0, flexible (0..)] {
        /// The token's id.
        token_id: &'a str [0..];
    }
}
