//! Users' SCRAM credentials.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, ScramCredentialDeletion,
    ScramCredentialUpsertion,
};
use ottla_protocol::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, UserName,
};
use sha2::{Sha256, Sha512};

use super::codes::codes;
use super::spread::{Item, distinct, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::Route;

codes! {
    /// How a user proves to know a password.
    ScramMechanism {
        /// With SHA-256.
        1 Sha256 "SCRAM-SHA-256",
        /// With SHA-512.
        2 Sha512 "SCRAM-SHA-512",
    }
}

/// A credential of a user, without its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScramCredentialInfo {
    /// How it is used.
    pub mechanism: ScramMechanism,
    /// How many times the password is hashed.
    pub iterations: i32,
}

/// A change of a user's credential.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramChange {
    /// The user gets this password, in place of the one before. It does not leave this process: the
    /// broker is sent its hash.
    Upsert {
        /// The user's name.
        user: String,
        /// How it is used.
        mechanism: ScramMechanism,
        /// How many times the password is hashed. Kafka takes 4096 to 16384, and its tools 4096.
        iterations: u32,
        /// Bytes that are hashed with the password; `None` for random ones.
        salt: Option<Vec<u8>>,
        /// The password.
        password: Vec<u8>,
    },
    /// The user loses the credential.
    Delete {
        /// The user's name.
        user: String,
        /// How it was used.
        mechanism: ScramMechanism,
    },
}

/// Without the password.
impl fmt::Debug for ScramChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upsert { user, mechanism, iterations, .. } => {
                write!(f, "Upsert {user} {mechanism} iterations={iterations}")
            }
            Self::Delete { user, mechanism } => write!(f, "Delete {user} {mechanism}"),
        }
    }
}

/// The name of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct User(String);

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.0)
    }
}

impl Item for User {
    fn blame(&self, error: Error) -> Error {
        error.about(self)
    }
}

/// A credential as it is sent.
struct Salted {
    user: String,
    mechanism: i8,
    iterations: i32,
    salt: Vec<u8>,
    salted_password: Vec<u8>,
}

impl Admin {
    /// Which credentials users have; with no users, of all that have some. From Kafka 2.7 on.
    ///
    /// # Errors
    /// A user is there twice; no broker answered. Of a user: the broker's, such as
    /// RESOURCE_NOT_FOUND of one that has none.
    pub fn describe_user_scram_credentials(
        &self,
        users: &[&str],
    ) -> Result<Results<String, Vec<ScramCredentialInfo>>, Error> {
        let of: Vec<User> = users.iter().map(|&name| User(name.to_owned())).collect();
        distinct(&of)?;
        let asked = of.clone();
        let build = move |version, timeout| {
            let users = asked.iter().map(|user| UserName { name: &user.0 }).collect();
            let request = DescribeUserScramCredentialsRequest { users: Some(users) };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: DescribeUserScramCredentialsResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, read.error_message)?;
            let told = read.results.iter().map(|told| {
                let infos = told.credential_infos.iter().map(|of| ScramCredentialInfo {
                    mechanism: ScramMechanism::of(of.mechanism),
                    iterations: of.iterations,
                });
                let result = Error::of_code(told.error_code, told.error_message);
                (User(told.user.to_owned()), result.map(|()| infos.collect()))
            });
            let all: Vec<User>;
            let of = if of.is_empty() {
                all = read.results.iter().map(|told| User(told.user.to_owned())).collect();
                &all
            } else {
                &of
            };
            by_user(sorted(ApiKey::DescribeUserScramCredentials, of, told))
        };
        let api = (ApiKey::DescribeUserScramCredentials, 0..=0);
        self.remote.ask(Route::Any, api, build, read).wait()
    }

    /// Changes users' credentials. Of one user it takes one change: Kafka refuses more in one call,
    /// with DUPLICATE_RESOURCE. The results are in the order in which the users come first. From
    /// Kafka 2.7 on.
    ///
    /// # Errors
    /// A mechanism is not known here; no broker answered. Of a user: the controller's, such as
    /// UNACCEPTABLE_CREDENTIAL or RESOURCE_NOT_FOUND.
    pub fn alter_user_scram_credentials(
        &self,
        changes: &[ScramChange],
    ) -> Result<Results<String, ()>, Error> {
        let (mut users, mut seen) = (Vec::new(), BTreeSet::new());
        let (mut deletions, mut upsertions) = (Vec::new(), Vec::new());
        for change in changes {
            let user = match change {
                ScramChange::Upsert { user, .. } => {
                    upsertions.push(Salted::of(change)?);
                    user
                }
                ScramChange::Delete { user, mechanism } => {
                    deletions.push((user.clone(), i8::from(*mechanism)));
                    user
                }
            };
            if seen.insert(user) {
                users.push(User(user.clone()));
            }
        }
        let build = move |version, timeout| {
            let request = AlterUserScramCredentialsRequest {
                deletions: (deletions.iter())
                    .map(|(name, mechanism)| ScramCredentialDeletion {
                        name,
                        mechanism: *mechanism,
                    })
                    .collect(),
                upsertions: upsertions.iter().map(Salted::request).collect(),
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: AlterUserScramCredentialsResponse<'_> = answer.read()?;
            let told = read.results.iter().map(|told| {
                let result = Error::of_code(told.error_code, told.error_message);
                (User(told.user.to_owned()), result)
            });
            by_user(sorted(ApiKey::AlterUserScramCredentials, &users, told))
        };
        let api = (ApiKey::AlterUserScramCredentials, 0..=0);
        self.remote.ask(Route::Controller, api, build, read).wait()
    }
}

impl Salted {
    fn of(change: &ScramChange) -> Result<Self, Error> {
        let ScramChange::Upsert { user, mechanism, iterations, salt, password } = change else {
            return Err(Error::new(ErrorKind::Usage, "nothing to be hashed"));
        };
        let usage = |detail: String| Error::new(ErrorKind::Usage, format!("user {user}: {detail}"));
        let times = i32::try_from(*iterations).ok().filter(|times| *times > 0);
        let times = times.ok_or_else(|| usage(format!("{iterations} iterations")))?;
        let salt = match salt {
            Some(salt) => salt.clone(),
            None => {
                let mut salt = vec![0; 32];
                getrandom::fill(&mut salt)
                    .map_err(|error| usage(format!("the system has no random bytes: {error}")))?;
                salt
            }
        };
        let hashed = match mechanism {
            ScramMechanism::Sha256 => salted::<Hmac<Sha256>>(password, &salt, *iterations),
            ScramMechanism::Sha512 => salted::<Hmac<Sha512>>(password, &salt, *iterations),
            ScramMechanism::Unknown(code) => return Err(usage(format!("mechanism {code}"))),
        };
        let salted_password = hashed.ok_or_else(|| usage("no key for its hash".to_owned()))?;
        let (user, mechanism, iterations) = (user.clone(), i8::from(*mechanism), times);
        Ok(Self { user, mechanism, iterations, salt, salted_password })
    }

    fn request(&self) -> ScramCredentialUpsertion<'_> {
        ScramCredentialUpsertion {
            name: &self.user,
            mechanism: self.mechanism,
            iterations: self.iterations,
            salt: &self.salt,
            salted_password: &self.salted_password,
        }
    }
}

/// A password that is hashed so many times: `Hi` of RFC 5802, which is PBKDF2 with one block.
fn salted<M: Mac + KeyInit + Clone>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> Option<Vec<u8>> {
    let keyed = <M as KeyInit>::new_from_slice(password).ok()?;
    let mut mac = keyed.clone();
    mac.update(salt);
    mac.update(&1u32.to_be_bytes());
    let mut last = mac.finalize().into_bytes();
    let mut all = last.to_vec();
    for _ in 1..iterations {
        let mut mac = keyed.clone();
        mac.update(&last);
        last = mac.finalize().into_bytes();
        for (byte, next) in all.iter_mut().zip(&last) {
            *byte ^= next;
        }
    }
    Some(all)
}

fn by_user<T>(results: Result<Results<User, T>, Error>) -> Result<Results<String, T>, Error> {
    Ok(results?.into_iter().map(|(user, result)| (user.0, result)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hashed_as_pbkdf2_does() {
        let hex = |bytes: Option<Vec<u8>>| {
            bytes.unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let of = |times| hex(salted::<Hmac<Sha256>>(b"password", b"salt", times));
        let one = "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b";
        assert_eq!(of(1), one);
        let many = "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a";
        assert_eq!(of(4096), many);
        let long = hex(salted::<Hmac<Sha512>>(b"password", b"salt", 1));
        assert!(
            long.starts_with("867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252")
        );
        assert_eq!(long.len(), 128);
    }

    #[test]
    fn a_password_is_not_shown() {
        let change = ScramChange::Upsert {
            user: "alice".to_owned(),
            mechanism: ScramMechanism::Sha256,
            iterations: 4096,
            salt: None,
            password: b"secret".to_vec(),
        };
        assert_eq!(format!("{change:?}"), "Upsert alice SCRAM-SHA-256 iterations=4096");
        let one = Salted::of(&change).unwrap();
        let other = Salted::of(&change).unwrap();
        assert_ne!(one.salt, other.salt);
        assert_eq!((one.salt.len(), one.salted_password.len()), (32, 32));
    }
}
