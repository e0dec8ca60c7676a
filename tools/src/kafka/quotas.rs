//! Quotas, as `kafka-configs` describes and alters them, and what else users have.

use ottla_client::{ClientQuota, QuotaEntity, QuotaFilter, QuotaMatch};

use super::configs::refused;
use super::configs_args::{self, Change, changes};
use super::options::Options;
use super::{Failed, java, out, scram};

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

/// The quotas of users and client ids, and those of addresses.
const OF_CLIENTS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const OF_IPS: [&str; 1] = ["connection_creation_rate"];

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
    match &entity.0[..] {
        [(kind, name)] if kind.kind == "user" && name.as_deref() != Some("") => {
            scram::describe(options, name.as_deref())
        }
        _ => Ok(()),
    }
}

/// What is done with a setting: to add one, or to delete it.
struct Named<'a> {
    added: Vec<&'a str>,
    deleted: Vec<&'a str>,
}

impl<'a> Named<'a> {
    /// Those of the changes whose names are so.
    fn of(changes: &'a [Change], is_so: impl Fn(&str) -> bool) -> Self {
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        for (name, value) in changes.iter().filter(|(name, _)| is_so(name)) {
            let of = if value.is_some() { &mut added } else { &mut deleted };
            of.push(name.as_str());
        }
        java::map_order(&mut added, |name| java::hash(name));
        Self { added, deleted }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.deleted.is_empty()
    }
}

/// Whether all of the changes are for such an entity, and go together. Whether they are of
/// credentials.
fn check(entity: &Entity, changes: &[Change]) -> Result<bool, Failed> {
    let err = |why: String| Err(Failed::Err(why));
    let is_scram = |name: &str| scram::mechanism(name).is_some();
    let is_ip = entity.0[0].0.kind == "ip";
    let quotas: &[&str] = if is_ip { &OF_IPS } else { &OF_CLIENTS };
    let is_user = matches!(&entity.0[..], [(kind, _)] if kind.kind == "user");
    let is_known = |name: &str| quotas.contains(&name) || (is_user && is_scram(name));
    let unknown = Named::of(changes, |name| !is_known(name));
    if is_ip && !unknown.is_empty() {
        let names = [unknown.added, unknown.deleted].concat().join(",");
        return err(format!(
            "Only connection quota configs can be added for 'ips' using --bootstrap-server. \
             Unexpected config names: {names}"
        ));
    }
    let (what, whose) =
        if is_user { ("quota and SCRAM credential", "users") } else { ("quota", "clients") };
    for (done, class, names) in
        [("added", "Set", &unknown.added), ("deleted", "ArrayBuffer", &unknown.deleted)]
    {
        if !names.is_empty() {
            return err(format!(
                "Only {what} configs can be {done} for '{whose}' using --bootstrap-server. \
                 Unexpected config names: {class}({})",
                names.join(", ")
            ));
        }
    }
    if Named::of(changes, is_scram).is_empty() {
        return Ok(false);
    }
    if entity.0[0].1.as_deref() == Some("") {
        return err(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM \
                    Credentials using --bootstrap-server."
                .to_owned(),
        );
    }
    if !Named::of(changes, |name| !is_scram(name)).is_empty() {
        return err("Cannot alter both quota and SCRAM credential configs simultaneously for \
                    'users' using --bootstrap-server."
            .to_owned());
    }
    Ok(true)
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
    if check(entity, &changes)? {
        let user = entity.0[0].1.as_deref().unwrap_or_default();
        scram::alter(options, user, &changes, args)?;
    } else {
        alter_quotas(options, entity, &changes, args)?;
    }
    let (kind, name) = &entity.0[0];
    match name.as_deref().unwrap_or_default() {
        "" => {
            out(&format!("Completed updating default config for {} in the cluster.\n", kind.plural))
        }
        name => out(&format!("Completed updating config for {} {name}.\n", kind.name)),
    }
}

fn alter_quotas(
    options: &Options,
    entity: &Entity,
    changes: &[Change],
    args: &[String],
) -> Result<(), Failed> {
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
    Ok(())
}
