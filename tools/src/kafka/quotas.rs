//! Quotas, as `kafka-configs` describes and alters them.

use ottla_client::{ClientQuota, QuotaEntity, QuotaFilter, QuotaMatch};

use super::configs::refused;
use super::configs_args::{Change, changes};
use super::options::Options;
use super::{Failed, java, out};
use crate::complaint;

/// What has quotas: as `--entity-type` has it, and as the options have it that name one at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    plural: &'static str,
    name: &'static str,
    default: &'static str,
    /// As brokers call it.
    kind: &'static str,
    /// As it is printed.
    title: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        plural: "users",
        name: "user",
        default: "user-defaults",
        kind: "user",
        title: "user-principal",
    },
    Kind {
        plural: "clients",
        name: "client",
        default: "client-defaults",
        kind: "client-id",
        title: "client-id",
    },
    Kind { plural: "ips", name: "ip", default: "ip-defaults", kind: "ip", title: "ip" },
];

/// The kinds that are asked for, each with its name: empty for the default, `None` for all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entity(Vec<(Kind, Option<String>)>);

/// Whose quotas are asked for; `None` when it is about something else.
///
/// # Errors
/// They are asked for beside something that has none; there are more names than kinds.
pub(super) fn entity(options: &Options) -> Result<Option<Entity>, Failed> {
    let known = |plural: &str| KINDS.into_iter().find(|of| of.plural == plural);
    let kinds: Vec<Option<Kind>> = options.all("entity-type").map(known).collect();
    let names = options.in_order(&["entity-name", "entity-default"]);
    let mut names = names.map(|(_, name)| name.unwrap_or_default().to_owned());
    let mut parts: Vec<(Kind, Option<String>)> = Vec::new();
    for kind in kinds.iter().flatten() {
        parts.push((*kind, names.next()));
    }
    for kind in KINDS {
        for (_, name) in options.in_order(&[kind.name, kind.default]) {
            parts.push((kind, Some(name.unwrap_or_default().to_owned())));
        }
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let has_ip = parts.iter().any(|(kind, _)| kind.kind == "ip");
    if kinds.contains(&None) || (has_ip && parts.len() > 1) {
        let why = "Only 'users' and 'clients' entity types can be specified together";
        return Err(Failed::Err(why.to_owned()));
    }
    if names.next().is_some() {
        return Err(Failed::Err("More entity names specified than entity types".to_owned()));
    }
    Ok(Some(Entity(parts)))
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
        let missing = || {
            let why = "An entity name must be specified for every entity type";
            Failed::Err(why.to_owned())
        };
        let name = name.as_deref().ok_or_else(missing)?;
        whose = whose.part(kind.kind, (!name.is_empty()).then_some(name));
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
