//! DescribeUserScramCredentials: which SCRAM credentials users have.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 50. Which SCRAM credentials users have.
    struct DescribeUserScramCredentialsRequest<'a> [0..=0, flexible (0..)] {
        /// The users to describe; null or empty for all.
        users: Option<Vec<UserName<'a>>> [0..] = Some(Vec::new());
    }

    /// A user asked about.
    struct UserName<'a> {
        /// The user.
        name: &'a str [0..];
    }

    /// The answer to [`DescribeUserScramCredentialsRequest`].
    struct DescribeUserScramCredentialsResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry for each thing asked for.
        results: Vec<DescribeUserScramCredentialsResult<'a>> [0..];
    }

    /// A user's credentials.
    struct DescribeUserScramCredentialsResult<'a> {
        /// The user's name.
        user: &'a str [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// One entry a mechanism.
        credential_infos: Vec<CredentialInfo> [0..];
    }

    /// A credential, without its secrets.
    struct CredentialInfo {
        /// The SCRAM mechanism: 1 SHA-256, 2 SHA-512.
        mechanism: i8 [0..];
        /// How often the password is hashed.
        iterations: i32 [0..];
    }
}
