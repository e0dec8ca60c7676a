//! Names of Kafka's clients that mean nothing here: a `client.properties` that Java's clients read
//! too has them, and is no mistake.
//!
//! What changes nothing of what a program sees is passed over. What would be missed is refused.

use super::{COMMON, CONSUMER, Def, PRODUCER};

/// What becomes of a name that is not in the tables of a kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// It belongs to another kind of client.
    OtherKind,
    /// This client has nothing that it would change.
    NoEffect,
    /// Who sets it would miss something: what to do about it.
    Missing(&'static str),
}

/// Besides these, everything that begins with `sasl.` or `ssl.`: what it says matters with a
/// `security.protocol` that is refused by itself.
const NO_EFFECT: [&str; 19] = [
    "auto.include.jmx.reporter",
    "client.dns.lookup",
    "enable.metrics.push",
    "internal.throw.on.fetch.stable.offset.unsupported",
    "key.deserializer",
    "key.serializer",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "security.providers",
    "share.acknowledgement.mode",
    "share.acquire.mode",
    "transaction.timeout.ms",
    "transaction.two.phase.commit.enable",
    "value.deserializer",
    "value.serializer",
];

const MISSING: [(&str, &str); 5] = [
    ("bootstrap.controllers", "controllers are not asked; set bootstrap.servers"),
    ("config.providers", "values are not looked up elsewhere; set the values themselves"),
    ("interceptor.classes", "there are no interceptors; leave it out"),
    ("partitioner.class", "it names a class of Java; use Producer::with_partitioner"),
    ("transactional.id", "there are no transactions yet; leave it out"),
];

impl Elsewhere {
    /// `None` for a name that Kafka's clients do not have either.
    pub(super) fn of(name: &str, value: &str) -> Option<Self> {
        if let Some((_, wrong)) = MISSING.iter().find(|(missing, _)| *missing == name) {
            let is_set = !value.trim().is_empty();
            return Some(if is_set { Self::Missing(wrong) } else { Self::NoEffect });
        }
        let mut all = [COMMON, PRODUCER, CONSUMER].into_iter().flatten();
        if all.any(|def: &Def| def.name == name) {
            return Some(Self::OtherKind);
        }
        let is_security = name.starts_with("sasl.") || name.starts_with("ssl.");
        (is_security || NO_EFFECT.contains(&name)).then_some(Self::NoEffect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_kafkas_clients_has_one_meaning() {
        for name in NO_EFFECT.iter().chain(MISSING.iter().map(|(name, _)| name)) {
            let mut tables = [COMMON, PRODUCER, CONSUMER].into_iter().flatten();
            assert!(tables.all(|def: &Def| def.name != *name), "{name}");
        }
        for (name, value, wanted) in [
            ("linger.ms", "5", Some(Elsewhere::OtherKind)),
            ("fetch.min.bytes", "x", Some(Elsewhere::OtherKind)),
            ("ssl.keystore.location", "/a", Some(Elsewhere::NoEffect)),
            ("key.serializer", "", Some(Elsewhere::NoEffect)),
            ("interceptor.classes", " ", Some(Elsewhere::NoEffect)),
            ("linger.sm", "5", None),
        ] {
            assert_eq!(Elsewhere::of(name, value), wanted, "{name}");
        }
        let told = Elsewhere::of("transactional.id", "a");
        assert!(matches!(told, Some(Elsewhere::Missing(_))), "{told:?}");
    }
}
