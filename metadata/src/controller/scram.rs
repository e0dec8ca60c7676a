//! Changing SCRAM credentials (KIP-554).

use super::{Answers, RECORDS_PER_REQUEST_MAX, Records, Refused};
use crate::image::{Image, ScramCredential, ScramMechanism, scram_record};
use hmac::{Hmac, KeyInit, Mac};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::security::RemoveUserScramCredentialRecord;
use sha2::{Digest, Sha256, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

/// How often a password must and may be hashed.
const ITERATIONS: RangeInclusive<i32> = 4096..=16_384;

/// A credential to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScramDeletion<'a> {
    /// The user.
    pub name: &'a str,
    /// The mechanism's number.
    pub mechanism: i8,
}

/// A credential to set, in place of one that the user may have for that mechanism.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScramUpsertion<'a> {
    /// The user.
    pub name: &'a str,
    /// The mechanism's number.
    pub mechanism: i8,
    /// How often the password was hashed.
    pub iterations: i32,
    /// Random bytes that were hashed with it.
    pub salt: &'a [u8],
    /// The hash. It is not stored, only what can be worked out from it.
    pub salted_password: &'a [u8],
}

/// Without what stands for the password.
impl fmt::Debug for ScramUpsertion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mechanism, iterations, .. } = self;
        f.debug_struct("ScramUpsertion")
            .field("name", name)
            .field("mechanism", mechanism)
            .field("iterations", iterations)
            .finish_non_exhaustive()
    }
}

/// Removes and sets credentials. The answer has each user once, in the order of the request; a user
/// of whom one credential is refused keeps all.
///
/// Refusals: UNACCEPTABLE_CREDENTIAL for an empty name or password and too few or too many
/// iterations, UNSUPPORTED_SASL_MECHANISM, RESOURCE_NOT_FOUND for a credential to remove that is
/// not there, DUPLICATE_RESOURCE for a user with two changes. More than 10,000 changes are a
/// POLICY_VIOLATION for all users.
pub fn alter_scram_credentials<'a>(
    image: &Image,
    deletions: &[ScramDeletion<'a>],
    upsertions: &[ScramUpsertion<'a>],
) -> (Records, Answers<'a, ()>) {
    enum Change<'a> {
        Remove(ScramDeletion<'a>),
        Set(ScramUpsertion<'a>),
    }
    let mut changes: BTreeMap<&'a str, Result<Change<'a>, Refused>> = BTreeMap::new();
    let mut order: Vec<&'a str> = vec![];
    let mut note = |name: &'a str, change: Result<Change<'a>, Refused>| {
        // The first refusal of a user stays.
        match changes.get_mut(name) {
            None => {
                changes.insert(name, change);
                order.push(name);
            }
            Some(known) if known.is_ok() => {
                let message = "A user credential cannot be altered twice in the same request";
                *known = Err(Refused::new(ErrorCode::DUPLICATE_RESOURCE, message));
            }
            Some(_) => {}
        }
    };
    for deletion in deletions {
        let checked = check_deletion(image, deletion);
        note(deletion.name, checked.map(|()| Change::Remove(*deletion)));
    }
    for upsertion in upsertions {
        note(upsertion.name, check_upsertion(upsertion).map(|()| Change::Set(*upsertion)));
    }
    let mut records = Records::new();
    if deletions.len() + upsertions.len() > RECORDS_PER_REQUEST_MAX {
        let message = "Too many credentials in one request.";
        let refused = Refused::new(ErrorCode::POLICY_VIOLATION, message);
        return (records, order.iter().map(|name| (*name, Err(refused.clone()))).collect());
    }
    let mut answers = vec![];
    for name in order {
        let change = changes.remove(name).expect("each user in the order has one change");
        match &change {
            Ok(Change::Remove(ScramDeletion { name, mechanism })) => {
                let record = RemoveUserScramCredentialRecord { name, mechanism: *mechanism };
                records.push(&MetadataRecord::RemoveUserScramCredential(record), 0);
            }
            Ok(Change::Set(upsertion)) => push_credential(upsertion, &mut records),
            Err(_) => {}
        }
        answers.push((name, change.map(drop)));
    }
    (records, answers)
}

fn unacceptable(message: &str) -> Refused {
    Refused::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, message)
}

fn check_user(name: &str, mechanism: i8) -> Result<ScramMechanism, Refused> {
    if name.is_empty() {
        return Err(unacceptable("Username must not be empty"));
    }
    ScramMechanism::from_code(mechanism).ok_or_else(|| {
        Refused::new(ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")
    })
}

fn check_deletion(image: &Image, deletion: &ScramDeletion<'_>) -> Result<(), Refused> {
    let mechanism = check_user(deletion.name, deletion.mechanism)?;
    if image.scram_credentials().get(deletion.name, mechanism).is_none() {
        let message = "Attempt to delete a user credential that does not exist";
        return Err(Refused::new(ErrorCode::RESOURCE_NOT_FOUND, message));
    }
    Ok(())
}

fn check_upsertion(upsertion: &ScramUpsertion<'_>) -> Result<(), Refused> {
    check_user(upsertion.name, upsertion.mechanism)?;
    if upsertion.iterations < *ITERATIONS.start() {
        return Err(unacceptable("Too few iterations"));
    }
    if upsertion.iterations > *ITERATIONS.end() {
        return Err(unacceptable("Too many iterations"));
    }
    if upsertion.salted_password.is_empty() {
        return Err(unacceptable("The salted password must not be empty"));
    }
    Ok(())
}

fn push_credential(upsertion: &ScramUpsertion<'_>, records: &mut Records) {
    let password = upsertion.salted_password;
    let sha512 = ScramMechanism::Sha512.code();
    let (client_key, server_key) = if upsertion.mechanism == sha512 {
        let of = |text| mac(Hmac::<Sha512>::new_from_slice(password), text);
        (of("Client Key"), of("Server Key"))
    } else {
        let of = |text| mac(Hmac::<Sha256>::new_from_slice(password), text);
        (of("Client Key"), of("Server Key"))
    };
    let stored_key = if upsertion.mechanism == sha512 {
        Sha512::digest(&client_key).to_vec()
    } else {
        Sha256::digest(&client_key).to_vec()
    };
    let credential = ScramCredential {
        salt: upsertion.salt.to_vec(),
        stored_key,
        server_key,
        iterations: upsertion.iterations,
    };
    let record = scram_record(upsertion.name, upsertion.mechanism, &credential);
    records.push(&MetadataRecord::UserScramCredential(record), 0);
}

fn mac<M: Mac, E: fmt::Debug>(keyed: Result<M, E>, text: &str) -> Vec<u8> {
    let mut mac = keyed.expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A user's credentials: mechanisms and iterations, and nothing that a password could be guessed
/// by.
pub type ScramInfos = Vec<(i8, i32)>;

/// Looks up the credentials of users; an empty list asks for all users. Each user is answered once.
///
/// Refusals: DUPLICATE_RESOURCE for a user named twice, RESOURCE_NOT_FOUND for one without
/// credentials.
pub fn describe_scram_credentials<'a>(
    image: &'a Image,
    users: &[&'a str],
) -> Answers<'a, ScramInfos> {
    let infos = |name: &str| {
        let credentials = image.scram_credentials().user(name)?;
        Some(credentials.iter().map(|(code, each)| (*code, each.iterations)).collect())
    };
    if users.is_empty() {
        let all = image.scram_credentials().iter();
        return all.map(|(name, _)| (name, Ok(infos(name).unwrap_or_default()))).collect();
    }
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    users.iter().for_each(|name| *times.entry(name).or_default() += 1);
    let mut answered = BTreeSet::new();
    let once = users.iter().filter(|name| answered.insert(**name));
    once.map(|name| {
        let result = if times[name] > 1 {
            let message = format!("The user {name} is named more than once in the request");
            Err(Refused::new(ErrorCode::DUPLICATE_RESOURCE, message))
        } else {
            infos(name).ok_or_else(|| {
                let message = format!("The user {name} has no SCRAM credential");
                Refused::new(ErrorCode::RESOURCE_NOT_FOUND, message)
            })
        };
        (*name, result)
    })
    .collect()
}
