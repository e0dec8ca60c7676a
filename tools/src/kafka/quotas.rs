//! Quotas, as `kafka-configs` describes and alters them.

use ottla_client::{ClientQuota, QuotaEntity, QuotaFilter, QuotaMatch};

use super::configs::refused;
use super::configs_args::{self, Change, changes};
use super::options::Options;
use super::{Failed, java, out};
use crate::complaint;

/// What has quotas: as `--entity-type` has it, and one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    plural: &'static str,
    name: &'static str,
    /// As brokers call it.
    kind: &'static str,
    /// As it is printed.
    title: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind { plural: "users", name: "user", kind: "user", title: "user-principal" },
    Kind { plural: "clients", name: "client", kind: "client-id", title: "client-id" },
    Kind { plural: "ips", name: "ip", kind: "ip", title: "ip" },
];

/// The kinds that are asked for, each with its name: empty for the default, `None` for all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entity(Vec<(Kind, Option<String>)>);

/// Whose quotas are asked for; `None` when it is about something else.
pub(super) fn entity(asked: &[configs_args::Entity]) -> Option<Entity> {
    let known = |plural: &str| KINDS.into_iter().find(|of| of.plural == plural);
    let part = |(kind, name): &configs_args::Entity| Some((known(kind)?, name.clone()));
    asked.iter().map(part).collect::<Option<_>>().map(Entity)
}

/// Describes or alters them.
pub(super) fn run(
    options: &Options,
    action: &str,
    entity: &Entity,
    args: &[String],
) -> Result<(), Failed> {
    if action == "alter" {
        return alter(options, entity, args);
    }
    for quota in found(options, entity)? {
        out(&line(&quota))?;
    }
    let is_user =
        |(kind, name): &(Kind, Option<String>)| kind.kind == "user" && name.as_deref() != Some("");
    if entity.0.iter().all(is_user) {
        complaint::plain("SCRAM credentials are not shown; Kafka's own kafka-configs shows them");
    }
    Ok(())
}

fn found(options: &Options, entity: &Entity) -> Result<Vec<ClientQuota>, Failed> {
    let mut filter = QuotaFilter::new().strict();
    for (kind, name) in &entity.0 {
        filter = filter.part(
            kind.kind,
            match name.as_deref() {
                Some("") => QuotaMatch::Default,
                Some(name) => QuotaMatch::Named(name.to_owned()),
                None => QuotaMatch::Any,
            },
        );
    }
    let mut found = options.admin()?.describe_client_quotas(&filter)?;
    java::sized_map_order(&mut found, |quota| hash(&quota.entity));
    Ok(found)
}

/// `ClientQuotaEntity.hashCode`.
fn hash(entity: &QuotaEntity) -> u32 {
    let parts = entity.parts().map(|(kind, name)| java::hash(kind) ^ name.map_or(0, java::hash));
    parts.fold(31, u32::wrapping_add)
}

fn line(quota: &ClientQuota) -> String {
    let mut whose = Vec::new();
    for kind in KINDS {
        for (_, name) in quota.entity.parts().filter(|(of, _)| *of == kind.kind) {
            let title = kind.title;
            whose.push(match name {
                Some(name) => format!("{title} '{name}'"),
                None => format!("the default {title}"),
            });
        }
    }
    let mut limits = quota.limits.clone();
    java::sized_map_order(&mut limits, |(name, _)| java::hash(name));
    let limits: Vec<String> =
        limits.iter().map(|(name, limit)| format!("{name}={}", java::double(*limit))).collect();
    format!("Quota configs for {} are {}\n", whose.join(", "), limits.join(", "))
}

fn alter(options: &Options, entity: &Entity, args: &[String]) -> Result<(), Failed> {
    let changes = changes(options)?;
    let is_scram = |(name, _): &&Change| name.starts_with("SCRAM-");
    if let Some((name, _)) = changes.iter().find(is_scram) {
        let why = format!("{name}: SCRAM credentials are for Kafka's own kafka-configs");
        return Err(Failed::Err(why));
    }
    let mut whose = QuotaEntity::new();
    for (kind, name) in &entity.0 {
        whose = whose.part(kind.kind, name.as_deref().filter(|name| !name.is_empty()));
    }
    let old = found(options, entity)?;
    let is_set = |name: &str| old.iter().any(|of| of.limits.iter().any(|(set, _)| set == name));
    let deleted = changes.iter().filter(|(_, value)| value.is_none());
    let deleted = deleted.map(|(name, _)| name.as_str());
    let gone: Vec<&str> = deleted.filter(|name| !is_set(name)).collect();
    if !gone.is_empty() {
        let gone = gone.join(",");
        return Err(Failed::Err(format!(
            "Error while executing config command with args '{}'\n\
             org.apache.kafka.common.errors.InvalidConfigurationException: Invalid config(s): \
             {gone}",
            args.join(" ")
        )));
    }
    let limit = |(name, value): &Change| {
        let text = value.as_deref();
        let parsed = text.map(str::parse::<f64>).transpose().map_err(|_| {
            let value = text.unwrap_or_default();
            Failed::Err(format!("Cannot parse quota configuration value for {name}: {value}"))
        })?;
        Ok((name.clone(), parsed))
    };
    let limits = changes.iter().map(limit).collect::<Result<Vec<_>, Failed>>()?;
    for (_, result) in options.admin()?.alter_client_quotas(&[(whose, limits)])? {
        result.map_err(|error| refused(args, &error))?;
    }
    let (kind, name) = &entity.0[0];
    match name.as_deref().unwrap_or_default() {
        "" => {
            out(&format!("Completed updating default config for {} in the cluster.\n", kind.plural))
        }
        name => out(&format!("Completed updating config for {} {name}.\n", kind.name)),
    }
}
