//! AlterUserScramCredentials: change users' SCRAM credentials.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 51. Change users' SCRAM credentials.
    struct AlterUserScramCredentialsRequest<'a> [0..=0, flexible (0..)] {
        /// The credentials to delete.
        deletions: Vec<ScramCredentialDeletion<'a>> [0..];
        /// The credentials to set.
        upsertions: Vec<ScramCredentialUpsertion<'a>> [0..];
    }

    /// A credential to delete.
    struct ScramCredentialDeletion<'a> {
        /// The user.
        name: &'a str [0..];
        /// The SCRAM mechanism: 1 SHA-256, 2 SHA-512.
        mechanism: i8 [0..];
    }

    /// A credential to set.
    struct ScramCredentialUpsertion<'a> {
        /// The user.
        name: &'a str [0..];
        /// The SCRAM mechanism: 1 SHA-256, 2 SHA-512.
        mechanism: i8 [0..];
        /// How often the password is hashed.
        iterations: i32 [0..];
        /// The random bytes hashed with the password.
        salt: &'a [u8] [0..];
        /// The password, hashed by the client.
        salted_password: &'a [u8] [0..];
    }

    /// The answer to [`AlterUserScramCredentialsRequest`].
    struct AlterUserScramCredentialsResponse<'a> [0..=0, flexible (0..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry for each thing asked for.
        results: Vec<AlterUserScramCredentialsResult<'a>> [0..];
    }

    /// What became of a user.
    struct AlterUserScramCredentialsResult<'a> {
        /// The user's name.
        user: &'a str [0..];
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
    }
}
