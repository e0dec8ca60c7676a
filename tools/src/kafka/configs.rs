//! `kafka-configs`, but for credentials; quotas are in [`quotas`].

use std::fmt::Write as _;

use ottla_client::{
    Admin, ConfigChange, ConfigDetails, ConfigEntry, ConfigResource, ConfigResourceKind,
    ConfigSource, Error,
};

use super::configs_args::{KNOWN, changes, entities};
use super::options::Options;
use super::{Failed, java, out, quotas};

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    let [action] = options.given(&["alter", "describe"])[..] else {
        let why = "Command must include exactly one action: --describe, --alter";
        return Err(Failed::Err(why.to_owned()));
    };
    if action == "describe" {
        options.exclude("describe", &["add-config", "delete-config"])?;
    }
    let entities = entities(&options, action)?;
    if let Some(entity) = quotas::entity(&entities) {
        return quotas::run(&options, action, &entity, args);
    }
    let (kind, name) = entities.into_iter().next().expect("there is one, or it is an error");
    let entity = Entity::of(kind).expect("what has no quotas has settings");
    if action == "describe" {
        return describe(&options, &options.admin()?, (entity, name), args);
    }
    let changes = changes(&options)?;
    let name = name.unwrap_or_default();
    let resource = ConfigResource::new(entity.kind, &name);
    let change = |(name, value): (String, Option<String>)| match value {
        Some(value) => ConfigChange::set(&name, &value),
        None => ConfigChange::delete(&name),
    };
    let changes: Vec<ConfigChange> = changes.into_iter().map(change).collect();
    let results = options.admin()?.incremental_alter_configs(&[(resource, changes)])?;
    for (_, result) in results {
        result.map_err(|error| refused(args, &error))?;
    }
    let word = entity.word;
    if name.is_empty() {
        return out(&format!("Completed updating default config for {word}s in the cluster.\n"));
    }
    out(&format!("Completed updating config for {word} {name}.\n"))
}

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entity {
    kind: ConfigResourceKind,
    /// As `--entity-type` has it, without its `s`.
    word: &'static str,
}

impl Entity {
    fn of(kind: &str) -> Option<Self> {
        let (kind, word) = match kind {
            "topics" => (ConfigResourceKind::Topic, "topic"),
            "brokers" => (ConfigResourceKind::Broker, "broker"),
            "broker-loggers" => (ConfigResourceKind::BrokerLogger, "broker-logger"),
            "client-metrics" => (ConfigResourceKind::ClientMetrics, "client-metric"),
            "groups" => (ConfigResourceKind::Group, "group"),
            _ => return None,
        };
        Some(Self { kind, word })
    }
}

/// What the tool says when a cluster refuses.
pub(super) fn refused(args: &[String], error: &Error) -> Failed {
    let args = args.join(" ");
    Failed::Err(format!(
        "Error while executing config command with args '{args}'\n\
         java.util.concurrent.ExecutionException: {}",
        java::exception(error)
    ))
}

fn describe(
    options: &Options,
    admin: &Admin,
    (entity, name): (Entity, Option<String>),
    args: &[String],
) -> Result<(), Failed> {
    let is_all = options.has("all");
    let names = match name {
        Some(name) => {
            if !is_all && !name.is_empty() && !is_there(admin, entity, &name)? {
                let word = entity.word;
                return out(&format!(
                    "The {word} '{name}' doesn't exist and doesn't have dynamic config.\n"
                ));
            }
            vec![name]
        }
        None => all_names(admin, entity)?,
    };
    for name in names {
        let resource = ConfigResource::new(entity.kind, &name);
        let details = ConfigDetails { synonyms: true, documentation: false };
        out(&match (is_all, name.as_str()) {
            (false, "") => format!("Default configs for {}s in the cluster are:\n", entity.word),
            (false, name) => format!("Dynamic configs for {} {name} are:\n", entity.word),
            (true, "") => format!("All configs for {}s in the cluster are:\n", entity.word),
            (true, name) => format!("All configs for {} {name} are:\n", entity.word),
        })?;
        for (_, entries) in admin.describe_configs(&[resource], details)? {
            let mut entries = entries.map_err(|error| refused(args, &error))?;
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            let is_shown = |entry: &&ConfigEntry| is_all || is_own(entity, &name, entry);
            out(&entries.iter().filter(is_shown).map(line).collect::<String>())?;
        }
    }
    Ok(())
}

/// Whether it was set for that itself.
fn is_own(entity: Entity, name: &str, entry: &ConfigEntry) -> bool {
    match entity.kind {
        ConfigResourceKind::Topic => entry.source == ConfigSource::Topic,
        ConfigResourceKind::Broker if name.is_empty() => entry.source == ConfigSource::AllBrokers,
        ConfigResourceKind::Broker => entry.source == ConfigSource::Broker,
        ConfigResourceKind::ClientMetrics => entry.source == ConfigSource::ClientMetrics,
        ConfigResourceKind::Group => entry.source == ConfigSource::Group,
        // All levels of loggers are told.
        _ => true,
    }
}

fn line(entry: &ConfigEntry) -> String {
    let null = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let mut text = format!("  {}={}", entry.name, null(&entry.value));
    let synonym =
        |of: &ottla_client::ConfigSynonym| format!("{}:{}={}", of.source, of.name, null(&of.value));
    let synonyms: Vec<String> = entry.synonyms.iter().map(synonym).collect();
    let sensitive = entry.is_sensitive;
    _ = writeln!(text, " sensitive={sensitive} synonyms={{{}}}", synonyms.join(", "));
    text
}

fn is_there(admin: &Admin, entity: Entity, name: &str) -> Result<bool, Failed> {
    Ok(match entity.kind {
        ConfigResourceKind::Group => {
            let is_group = admin.list_groups()?.iter().any(|group| group.id == name);
            is_group || all_names(admin, entity)?.iter().any(|known| known == name)
        }
        _ => all_names(admin, entity)?.iter().any(|known| known == name),
    })
}

fn all_names(admin: &Admin, entity: Entity) -> Result<Vec<String>, Failed> {
    let is_logger = entity.kind == ConfigResourceKind::BrokerLogger;
    Ok(match entity.kind {
        ConfigResourceKind::Topic => {
            let all = admin.list_topics(true)?;
            let mut names: Vec<String> = all.into_iter().map(|topic| topic.name).collect();
            java::map_order(&mut names, |name| java::hash(name));
            names
        }
        ConfigResourceKind::Broker | ConfigResourceKind::BrokerLogger => {
            let brokers = admin.describe_cluster()?.brokers;
            let ids = brokers.iter().map(|broker| broker.id.to_string());
            let default = (!is_logger).then(String::new);
            ids.chain(default).collect()
        }
        kind => {
            let all = admin.list_config_resources(&[kind])?;
            all.into_iter().map(|resource| resource.name).collect()
        }
    })
}
