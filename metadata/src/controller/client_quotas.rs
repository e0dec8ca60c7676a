//! Changing and finding client quotas (KIP-546, KIP-612).

use super::{RECORDS_PER_REQUEST_MAX, Records, Refused};
use crate::image::{Image, QuotaEntity, QuotaLimits, quota_record};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// How far a value may be from a whole number and still be taken for one.
const WHOLE_TOLERANCE: f64 = 1e-6;
/// The first value above all that a key with 64 bits can have: 2^63.
const LONG_END: f64 = 9_223_372_036_854_775_808.0;

/// What a key's values may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Above zero.
    Double,
    /// Whole, above zero, below 2^63.
    Long,
    /// Whole, above zero, below 2^31.
    Int,
}

/// The keys of users, clients and both together.
const CLIENT_KEYS: [(&str, Kind); 4] = [
    ("producer_byte_rate", Kind::Long),
    ("consumer_byte_rate", Kind::Long),
    ("request_percentage", Kind::Double),
    ("controller_mutation_rate", Kind::Double),
];
/// The keys of addresses.
const IP_KEYS: [(&str, Kind); 1] = [("connection_creation_rate", Kind::Int)];

/// New limits of one entity.
#[derive(Clone, Debug)]
pub struct QuotaAlteration<'a> {
    /// Types and names of the entity's parts; a name of `None` is the default of its type. The
    /// last of several parts of one type counts.
    pub entity: Vec<(&'a str, Option<&'a str>)>,
    /// Keys and their new limits; `None` removes a limit.
    pub limits: Vec<(&'a str, Option<f64>)>,
}

/// What became of each entity: once each, in the order of the request.
pub type QuotaAnswers<'a> = Vec<(Entity<'a>, Result<(), Refused>)>;

/// An entity as a request names it.
type Entity<'a> = BTreeMap<&'a str, Option<&'a str>>;

/// Changes client quotas. An entity whose limits are refused in part keeps all that it has, and so
/// does one that is named twice.
///
/// Refusals: INVALID_REQUEST for an entity that cannot be, a key that it does not have, a value
/// that the key cannot have, and for what is named twice. More records than one request may cause
/// are a POLICY_VIOLATION for all entities.
pub fn alter_client_quotas<'a>(
    image: &Image,
    request: &[QuotaAlteration<'a>],
    validate_only: bool,
) -> (Records, QuotaAnswers<'a>) {
    let mut times: BTreeMap<Entity<'a>, usize> = BTreeMap::new();
    let entity_of = |alteration: &QuotaAlteration<'a>| alteration.entity.iter().copied().collect();
    for alteration in request {
        *times.entry(entity_of(alteration)).or_default() += 1;
    }
    let (mut records, mut answered) = (Records::new(), BTreeSet::new());
    let mut answers: QuotaAnswers<'a> = vec![];
    for alteration in request {
        let entity: Entity<'a> = entity_of(alteration);
        if !answered.insert(entity.clone()) {
            continue;
        }
        let result = if times[&entity] > 1 {
            Err(invalid("The entity is named more than once in the request.".into()))
        } else {
            alter(image, &entity, &alteration.limits, &mut records)
        };
        answers.push((entity, result));
    }
    if records.len() > RECORDS_PER_REQUEST_MAX {
        let refused = Refused::new(ErrorCode::POLICY_VIOLATION, "Too many quotas in one request.");
        answers.iter_mut().for_each(|(_, result)| *result = Err(refused.clone()));
        records = Records::new();
    }
    if validate_only {
        records = Records::new();
    }
    (records, answers)
}

fn invalid(message: String) -> Refused {
    Refused::new(ErrorCode::INVALID_REQUEST, message)
}

fn alter(
    image: &Image,
    entity: &Entity<'_>,
    limits: &[(&str, Option<f64>)],
    records: &mut Records,
) -> Result<(), Refused> {
    let keys = check_entity(entity)?;
    let mut seen = BTreeSet::new();
    for (key, limit) in limits {
        if !seen.insert(*key) {
            return Err(invalid(format!("Quota {key} is named more than once for one entity.")));
        }
        if let Some(limit) = limit {
            check_limit(keys, key, *limit)?;
        }
    }
    let entity: QuotaEntity =
        entity.iter().map(|(part, name)| (Arc::from(*part), name.map(Arc::from))).collect();
    let none = QuotaLimits::new();
    let current = image.client_quotas().get(&entity).unwrap_or(&none);
    for (key, limit) in limits.iter().filter(|(key, limit)| current.get(*key) != limit.as_ref()) {
        let record = quota_record(&entity, key, *limit);
        records.push(&MetadataRecord::ClientQuota(record), 0);
    }
    Ok(())
}

/// The keys that an entity can have.
fn check_entity(entity: &Entity<'_>) -> Result<&'static [(&'static str, Kind)], Refused> {
    if entity.is_empty() {
        return Err(invalid(
            "A quota is for a user, a client or an address; none is named.".into(),
        ));
    }
    for (part, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(part) {
            return Err(invalid(format!("Unhandled client quota entity type: {part}")));
        }
        if *name == Some("") {
            return Err(invalid(format!("Empty {part} not supported")));
        }
    }
    let Some(address) = entity.get(IP) else { return Ok(&CLIENT_KEYS) };
    if entity.len() > 1 {
        return Err(invalid("An ip cannot be combined with a user or a client-id.".into()));
    }
    match address {
        Some(address) if !is_address(address) => {
            Err(invalid(format!("{address} is not an IP address; names are not looked up.")))
        }
        _ => Ok(&IP_KEYS),
    }
}

/// Whether a text is an IP address as Java reads one. An IPv4 address may leave parts out: the last
/// number fills what is left of its 32 bits.
fn is_address(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_v4 = || {
        let parts: Vec<&str> = text.split('.').collect();
        let Some((last, first)) = parts.split_last() else { return false };
        let is_byte = |part: &&str| is_number(part) && part.parse::<u8>().is_ok();
        let last_max = (1_u64 << (32 - 8 * first.len().min(3))) - 1;
        first.len() < 4
            && first.iter().all(is_byte)
            && is_number(last)
            && last.parse::<u64>().is_ok_and(|number| number <= last_max)
    };
    let v6 = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    text == "localhost" || is_v4() || v6.parse::<Ipv6Addr>().is_ok()
}

fn check_limit(keys: &[(&str, Kind)], key: &str, limit: f64) -> Result<(), Refused> {
    let Some((_, kind)) = keys.iter().find(|(known, _)| *known == key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    if limit <= 0.0 || limit.is_nan() {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    let (end, name) = match kind {
        Kind::Double => return Ok(()),
        Kind::Long => (LONG_END, "LONG"),
        Kind::Int => (f64::from(i32::MAX) + 1.0, "INT"),
    };
    if limit >= end {
        return Err(invalid(format!("Proposed value for {key} is too large for a {name}.")));
    }
    if ((limit + WHOLE_TOLERANCE).trunc() - limit).abs() > WHOLE_TOLERANCE {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}

/// Which names of one type of entity are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaMatch<'a> {
    /// The one of that name.
    Exact(&'a str),
    /// The default.
    Default,
    /// All, the default too.
    Any,
}

impl<'a> QuotaMatch<'a> {
    /// The match that a request's number and text stand for.
    ///
    /// # Errors
    /// INVALID_REQUEST for a number without a meaning, and for a text where none belongs or none
    /// where one does.
    pub fn from_wire(match_type: i8, text: Option<&'a str>) -> Result<Self, Refused> {
        match (match_type, text) {
            (0, Some(name)) => Ok(Self::Exact(name)),
            (0, None) => Err(invalid("An exact match needs a name, and none is given.".into())),
            (1, None) => Ok(Self::Default),
            (2, None) => Ok(Self::Any),
            (1 | 2, Some(_)) => Err(invalid("Only an exact match takes a name.".into())),
            (other, _) => Err(invalid(format!("Unknown match type {other}"))),
        }
    }

    fn matches(self, name: Option<&str>) -> bool {
        match self {
            Self::Exact(wanted) => name == Some(wanted),
            Self::Default => name.is_none(),
            Self::Any => true,
        }
    }
}

/// Finds the quotas of entities that have a part for each component and it matches; if `strict`,
/// and no other parts. No components ask for all, or strictly for none.
///
/// # Errors
/// INVALID_REQUEST for a type that is empty or named twice and for `ip` beside others;
/// UNSUPPORTED_VERSION for an unknown type, which a younger broker may know.
pub fn describe_client_quotas<'i>(
    image: &'i Image,
    components: &[(&str, QuotaMatch<'_>)],
    strict: bool,
) -> Result<Vec<(&'i QuotaEntity, &'i QuotaLimits)>, Refused> {
    let mut types = BTreeSet::new();
    for (part, _) in components {
        if part.is_empty() {
            return Err(invalid("Invalid empty entity type.".into()));
        }
        if !types.insert(*part) {
            return Err(invalid(format!("Entity type {part} is asked for more than once.")));
        }
        if ![USER, CLIENT_ID, IP].contains(part) {
            let message = format!("Unsupported entity type {part}");
            return Err(Refused::new(ErrorCode::UNSUPPORTED_VERSION, message));
        }
    }
    if types.contains(IP) && types.len() > 1 {
        return Err(invalid("An ip cannot be combined with a user or a client-id.".into()));
    }
    if strict && components.is_empty() {
        return Ok(vec![]);
    }
    let is_wanted = |entity: &QuotaEntity| {
        let matches = |(part, wanted): &(&str, QuotaMatch<'_>)| {
            entity.get(*part).is_some_and(|name| wanted.matches(name.as_deref()))
        };
        components.iter().all(matches) && (!strict || entity.len() == components.len())
    };
    Ok(image.client_quotas().iter().filter(|(entity, _)| is_wanted(entity)).collect())
}
