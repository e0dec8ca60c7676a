//! `ottlactl configs`: settings of topics, brokers, groups and loggers.

use std::path::PathBuf;

use clap::ValueEnum;
use ottla_client::{
    Admin, ConfigChange, ConfigDetails, ConfigEntry, ConfigResource, ConfigResourceKind,
    ConfigSource, Error, Properties,
};
use serde_json::Value;

use crate::global::{Global, name_and_value};
use crate::output::{Table, text};
use crate::{CannotRun, Found, Outcome, advice, complaint};

const EXAMPLES: &str = "\
Examples:
  ottlactl configs describe topic orders
  ottlactl configs set topic orders retention.ms=86400000 cleanup.policy=compact
  ottlactl configs delete topic orders retention.ms
  ottlactl configs describe broker 1 --all
  ottlactl configs set broker default log.retention.ms=700000000
  ottlactl configs list";

/// Settings of topics, brokers, groups and loggers
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    List(List),
    Describe(Describe),
    Set(Set),
    Delete(Delete),
}

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// A topic
    #[value(alias = "topics")]
    Topic,
    /// A broker by its id, or default for what all have in common
    #[value(alias = "brokers")]
    Broker,
    /// A group
    #[value(alias = "groups")]
    Group,
    /// The loggers of a broker by its id
    #[value(alias = "loggers", alias = "broker-loggers")]
    Logger,
    /// A subscription to clients' metrics
    ClientMetrics,
}

/// What there is that has settings of its own
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  ottlactl configs list\n  ottlactl configs list group")]
struct List {
    /// Only of this kind
    of: Option<Of>,
}

/// The settings of something
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl configs describe topic orders            what was set for it
  ottlactl configs describe topic orders --all      everything, with defaults
  ottlactl configs describe broker 1 -o wide        and where it comes from
  ottlactl configs describe logger 1 --all")]
struct Describe {
    /// What it is
    of: Of,
    /// Its name, or a broker's id
    #[arg(required = true)]
    names: Vec<String>,
    /// Also what is left to its default
    #[arg(short, long)]
    all: bool,
}

/// Sets values
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl configs set topic orders retention.ms=86400000
  ottlactl configs set topic orders cleanup.policy=compact,delete
  ottlactl configs set topic orders --from-file orders.properties
  ottlactl configs set topic orders --append cleanup.policy=compact
  ottlactl configs set logger 1 ottla=DEBUG")]
struct Set {
    /// What it is
    of: Of,
    /// Its name, or a broker's id
    name: String,
    /// Settings and their values
    #[arg(value_name = "NAME=VALUE")]
    #[arg(required_unless_present_any = ["from_file", "append", "subtract"])]
    values: Vec<String>,
    /// A file of settings and their values
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Adds to a list; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<String>,
    /// Takes from a list; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    subtract: Vec<String>,
    /// Only checks whether it could be set
    #[arg(long)]
    dry_run: bool,
}

/// Takes values away, so that the defaults hold
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl configs delete topic orders retention.ms
  ottlactl configs delete broker default log.retention.ms")]
struct Delete {
    /// What it is
    of: Of,
    /// Its name, or a broker's id
    name: String,
    /// Settings
    #[arg(required = true, value_name = "NAME")]
    settings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let admin = global.admin()?;
    match &args.command {
        Command::List(args) => list(args, &admin, global),
        Command::Describe(args) => describe(args, &admin, global),
        Command::Set(args) => set(args, &admin, global),
        Command::Delete(args) => delete(args, &admin, global),
    }
}

impl Of {
    fn kind(self) -> ConfigResourceKind {
        match self {
            Self::Topic => ConfigResourceKind::Topic,
            Self::Broker => ConfigResourceKind::Broker,
            Self::Group => ConfigResourceKind::Group,
            Self::Logger => ConfigResourceKind::BrokerLogger,
            Self::ClientMetrics => ConfigResourceKind::ClientMetrics,
        }
    }

    fn from_kind(kind: ConfigResourceKind) -> Option<Self> {
        Self::value_variants().iter().copied().find(|of| of.kind() == kind)
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn resource(self, name: &str) -> ConfigResource {
        match (self, name) {
            (Self::Broker, "default") => ConfigResource::all_brokers(),
            _ => ConfigResource::new(self.kind(), name),
        }
    }
}

/// The name of a resource as this command has it.
fn name_of(resource: &ConfigResource) -> &str {
    match (resource.kind, resource.name.as_str()) {
        (ConfigResourceKind::Broker, "") => "default",
        (_, name) => name,
    }
}

fn list(args: &List, admin: &Admin, global: &Global) -> Outcome {
    let kinds: Vec<_> = args.of.into_iter().map(Of::kind).collect();
    let mut resources = admin.list_config_resources(&kinds)?;
    resources.sort();
    let mut table = Table::new(&[text("name"), text("kind")]);
    for resource in resources {
        let kind = Of::from_kind(resource.kind).map_or_else(|| resource.kind.to_string(), Of::word);
        table.push([name_of(&resource).into(), kind.into()]);
    }
    global.output.table(&table)?;
    Ok(Found::Nothing)
}

fn describe(args: &Describe, admin: &Admin, global: &Global) -> Outcome {
    let resources: Vec<_> = args.names.iter().map(|name| args.of.resource(name)).collect();
    let mut table = Table::new(&[
        text("setting"),
        text("value"),
        text("source"),
        text("of"),
        text("readOnly").wide(),
        text("synonyms").wide(),
        text("type").in_data(),
        text("sensitive").in_data(),
    ]);
    let mut found = Found::Nothing;
    let details = ConfigDetails { synonyms: true, documentation: false };
    for (resource, entries) in admin.describe_configs(&resources, details)? {
        match entries {
            Ok(entries) => {
                let entries = entries.into_iter();
                for entry in entries.filter(|entry| args.all || is_set(entry)) {
                    table.push(row(&resource, entry));
                }
            }
            Err(error) => {
                let CannotRun(why) = refused(admin, &resource, &error);
                complaint::print(why);
                found = Found::Damage;
            }
        }
    }
    global.output.table_of_rest(&table, found)
}

/// An error with what it is of, and what to do about it.
fn refused(admin: &Admin, resource: &ConfigResource, error: &Error) -> CannotRun {
    let CannotRun(why) = advice::on(admin, error);
    let is_named = error.detail().starts_with(&resource.to_string());
    let is_told = error.topic().is_some() || error.group().is_some() || is_named;
    match Of::from_kind(resource.kind).filter(|_| !is_told && error.code().is_some()) {
        Some(of) => CannotRun(format!("{} {}: {why}", of.word(), name_of(resource))),
        None => CannotRun(why),
    }
}

/// Whether it is more than a default. What a broker's file says of topics is one for them.
fn is_set(entry: &ConfigEntry) -> bool {
    !matches!(entry.source, ConfigSource::Default)
}

fn row(resource: &ConfigResource, entry: ConfigEntry) -> [Value; 8] {
    let synonym = |synonym: &ottla_client::ConfigSynonym| {
        let value = synonym.value.as_deref().unwrap_or("(hidden)");
        format!("{}:{}={value}", source(synonym.source), synonym.name)
    };
    let synonyms: Vec<String> = entry.synonyms.iter().map(synonym).collect();
    let value = match entry.value {
        None if entry.is_sensitive => "(hidden)".into(),
        value => Value::from(value),
    };
    [
        entry.name.into(),
        value,
        source(entry.source).into(),
        name_of(resource).into(),
        entry.is_read_only.into(),
        synonyms.into(),
        entry.kind.to_string().to_ascii_lowercase().into(),
        entry.is_sensitive.into(),
    ]
}

/// Where a value comes from, in a word or two.
fn source(source: ConfigSource) -> String {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
        ConfigSource::AllBrokers => "all brokers",
        ConfigSource::File => "file",
        ConfigSource::Default => "default",
        ConfigSource::Logger => "logger",
        ConfigSource::ClientMetrics => "client metrics",
        ConfigSource::Group => "group",
        other => return other.to_string(),
    }
    .to_owned()
}

fn set(args: &Set, admin: &Admin, global: &Global) -> Outcome {
    let mut changes = Vec::new();
    if let Some(file) = &args.from_file {
        let properties = Properties::from_file(file)?;
        changes.extend(properties.iter().map(|(name, value)| ConfigChange::set(name, value)));
    }
    for text in &args.values {
        let (name, value) = name_and_value("set", text)?;
        changes.push(ConfigChange::set(name, value));
    }
    for text in &args.append {
        let (name, value) = name_and_value("--append", text)?;
        changes.push(ConfigChange::append(name, value));
    }
    for text in &args.subtract {
        let (name, value) = name_and_value("--subtract", text)?;
        changes.push(ConfigChange::subtract(name, value));
    }
    let change = [(args.of.resource(&args.name), changes)];
    let (results, verb) = if args.dry_run {
        (admin.validate_configs(&change)?, "checked")
    } else {
        (admin.incremental_alter_configs(&change)?, "changed")
    };
    changed(admin, global, verb, results)
}

fn delete(args: &Delete, admin: &Admin, global: &Global) -> Outcome {
    let resource = args.of.resource(&args.name);
    let changes = args.settings.iter().map(|name| ConfigChange::delete(name)).collect();
    let results = admin.incremental_alter_configs(&[(resource, changes)])?;
    changed(admin, global, "changed", results)
}

fn changed(
    admin: &Admin,
    global: &Global,
    verb: &'static str,
    results: Vec<(ConfigResource, Result<(), Error>)>,
) -> Outcome {
    let kinds = ["topic", "broker", "group", "logger", "client-metrics"];
    let kind = results.first().and_then(|(resource, _)| Of::from_kind(resource.kind)).map(Of::word);
    let kind = kinds.into_iter().find(|of| kind.as_deref() == Some(*of)).unwrap_or("resource");
    let fates = results
        .into_iter()
        .map(|(resource, result)| {
            let fate = result.map_err(|error| refused(admin, &resource, &error));
            (name_of(&resource).to_owned(), fate.map(|()| Vec::new()))
        })
        .collect();
    global.output.changes(kind, verb, fates)
}
