//! SCRAM credentials of users (KIP-554): what a password can be checked by, never the password.

use super::SharedMap;
use ottla_protocol::metadata::security::{
    RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How a password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramMechanism {
    /// The number of the wire and of the log.
    pub fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// The mechanism with that number, if one has it.
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|mechanism| mechanism.code() == code)
    }
}

/// What is stored of a user's password for one mechanism (RFC 5802).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Random bytes that were hashed with the password.
    pub salt: Vec<u8>,
    /// Tells whether a client knows the password.
    pub stored_key: Vec<u8>,
    /// Proves to a client that the server knows it too.
    pub server_key: Vec<u8>,
    /// How often the password was hashed.
    pub iterations: i32,
}

/// Without what an attacker could guess passwords by.
impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The credentials of one user, by the number of their mechanism. Numbers that this build does not
/// know are kept.
pub type UserCredentials = BTreeMap<i8, ScramCredential>;

/// The SCRAM credentials of all users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScramCredentials {
    by_user: SharedMap<Arc<str>, Arc<UserCredentials>>,
}

impl ScramCredentials {
    /// The credentials of a user who has any.
    pub fn user(&self, name: &str) -> Option<&UserCredentials> {
        self.by_user.get(name).map(|credentials| &**credentials)
    }

    /// One credential of a user.
    pub fn get(&self, name: &str, mechanism: ScramMechanism) -> Option<&ScramCredential> {
        self.user(name)?.get(&mechanism.code())
    }

    /// The users who have credentials, by name, with those.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &UserCredentials)> {
        self.by_user.iter().map(|(name, credentials)| (&**name, &**credentials))
    }

    /// How many users have credentials.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }

    pub(super) fn replay(&mut self, record: &UserScramCredentialRecord<'_>) {
        let credential = ScramCredential {
            salt: record.salt.to_vec(),
            stored_key: record.stored_key.to_vec(),
            server_key: record.server_key.to_vec(),
            iterations: record.iterations,
        };
        match self.by_user.get_mut(record.name) {
            Some(credentials) => {
                Arc::make_mut(credentials).insert(record.mechanism, credential);
            }
            None => {
                let credentials = UserCredentials::from([(record.mechanism, credential)]);
                self.by_user.insert(record.name.into(), Arc::new(credentials));
            }
        }
    }

    pub(super) fn replay_remove(&mut self, record: &RemoveUserScramCredentialRecord<'_>) {
        let Some(credentials) = self.by_user.get_mut(record.name) else { return };
        let credentials = Arc::make_mut(credentials);
        credentials.remove(&record.mechanism);
        if credentials.is_empty() {
            self.by_user.remove(record.name);
        }
    }
}

/// The record that sets a credential.
pub(crate) fn scram_record<'a>(
    name: &'a str,
    mechanism: i8,
    credential: &'a ScramCredential,
) -> UserScramCredentialRecord<'a> {
    UserScramCredentialRecord {
        name,
        mechanism,
        salt: &credential.salt,
        stored_key: &credential.stored_key,
        server_key: &credential.server_key,
        iterations: credential.iterations,
    }
}
