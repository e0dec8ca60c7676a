//! `ottlactl topics`: made, deleted, listed, looked at, changed.

mod alter;

use ottla_client::{
    Admin, ConfigDetails, ConfigResource, ConfigSource, NewTopic, TopicDescription,
};
use serde_json::Value;

use crate::confirm::Yes;
use crate::global::{Global, name_and_value};
use crate::output::{Section, Table, number, text};
use crate::{CannotRun, Found, Outcome, advice, complaint};

const EXAMPLES: &str = "\
Examples:
  ottlactl topics list
  ottlactl topics create orders --partitions 12 --config retention.ms=86400000
  ottlactl topics describe orders
  ottlactl topics alter orders --partitions 24
  ottlactl topics delete orders --yes";

/// Topics: made, deleted, listed, looked at, changed
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    List(List),
    Create(Create),
    Describe(Describe),
    Alter(alter::Args),
    Delete(Delete),
}

/// All topics, by name
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  ottlactl topics list\n  ottlactl topics list --internal -o wide"
)]
struct List {
    /// Also those in which brokers keep state of their own
    #[arg(long)]
    internal: bool,
}

/// Makes topics
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl topics create orders --partitions 12
  ottlactl topics create orders customers --replication-factor 3
  ottlactl topics create state --config cleanup.policy=compact
  ottlactl topics create orders --assignment 1,2 --assignment 2,1     two partitions")]
struct Create {
    /// Their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// How many partitions [default: the broker's num.partitions]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas of each partition [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting of the topics; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE")]
    configs: Vec<String>,
    /// The brokers of the next partition, the preferred leader first; may be repeated
    #[arg(long = "assignment", value_name = "BROKER,...")]
    #[arg(conflicts_with_all = ["partitions", "replication_factor"])]
    assignments: Vec<String>,
    /// No error when a topic is there already
    #[arg(long)]
    if_not_exists: bool,
    /// Only checks whether they could be made
    #[arg(long)]
    dry_run: bool,
}

/// What there is to know of topics
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl topics describe orders
  ottlactl topics describe orders customers -o json")]
struct Describe {
    /// Their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Deletes topics and all their records
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl topics delete orders
  ottlactl topics delete orders customers --yes")]
struct Delete {
    /// Their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// No error when a topic is not there
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    match &args.command {
        Command::List(args) => list(args, global),
        Command::Create(args) => create(args, global),
        Command::Describe(args) => describe(args, global),
        Command::Alter(args) => alter::run(args, global),
        Command::Delete(args) => delete(args, global),
    }
}

fn list(args: &List, global: &Global) -> Outcome {
    let mut table = Table::new(&[
        text("topic"),
        number("partitions"),
        text("id").wide(),
        text("internal").wide(),
    ]);
    for topic in global.admin()?.list_topics(args.internal)? {
        let (partitions, id) = (topic.partitions.into(), topic.id.to_string().into());
        table.push([topic.name.into(), partitions, id, topic.is_internal.into()]);
    }
    global.output.table(&table)?;
    Ok(Found::Nothing)
}

fn create(args: &Create, global: &Global) -> Outcome {
    let topics = args.names.iter().map(|name| args.topic(name)).collect::<Result<Vec<_>, _>>()?;
    let admin = global.admin()?;
    let (created, verb) = if args.dry_run {
        (admin.validate_topics(&topics)?, "checked")
    } else {
        (admin.create_topics(&topics)?, "created")
    };
    let is_there = |result: &Result<_, ottla_client::Error>| {
        let code = result.as_ref().err().and_then(|error| error.code());
        code.and_then(|code| code.name()) == Some("TOPIC_ALREADY_EXISTS")
    };
    let fates = created
        .into_iter()
        .filter(|(_, result)| !(args.if_not_exists && is_there(result)))
        .map(|(name, result)| {
            let fate = result.map_err(|error| advice::on(&admin, &error));
            (name, fate.map(|id| vec![("id", Value::from(id.to_string()))]))
        })
        .collect();
    global.output.changes("topic", verb, fates)
}

impl Create {
    fn topic(&self, name: &str) -> Result<NewTopic, CannotRun> {
        let mut topic = NewTopic::new(name);
        if let Some(count) = self.partitions {
            topic = topic.partitions(count);
        }
        if let Some(count) = self.replication_factor {
            topic = topic.replication_factor(count);
        }
        let assignments = brokers(&self.assignments)?;
        if !assignments.is_empty() {
            topic = topic.assignments(assignments);
        }
        for config in &self.configs {
            let (name, value) = name_and_value("--config", config)?;
            topic = topic.config(name, value);
        }
        Ok(topic)
    }
}

/// The ids of each `--assignment`.
fn brokers(assignments: &[String]) -> Result<Vec<Vec<i32>>, CannotRun> {
    let brokers = |text: &String| {
        let ids = text.split(',').map(|id| id.trim().parse::<i32>());
        ids.collect::<Result<Vec<i32>, _>>()
            .map_err(|_| CannotRun(format!("--assignment {text}: no ids of brokers, such as 1,2")))
    };
    assignments.iter().map(brokers).collect()
}

fn describe(args: &Describe, global: &Global) -> Outcome {
    let admin = global.admin()?;
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let (mut sections, mut found) = (Vec::new(), Found::Nothing);
    for (name, described) in admin.describe_topics(&names)? {
        match described {
            Ok(topic) => sections.push(section(topic, settings(&admin, &name)?)),
            Err(error) => {
                let CannotRun(why) = advice::on(&admin, &error);
                complaint::print(why);
                found = Found::Damage;
            }
        }
    }
    global.output.sections(&sections)?;
    Ok(found)
}

/// What was set for the topic.
fn settings(admin: &Admin, topic: &str) -> Result<Table, CannotRun> {
    let mut table = Table::new(&[text("setting"), text("value")]);
    let resources = [ConfigResource::topic(topic)];
    for (_, entries) in admin.describe_configs(&resources, ConfigDetails::default())? {
        // It may be gone meanwhile, or its settings may not be for everybody.
        let entries = entries.unwrap_or_default().into_iter();
        for entry in entries.filter(|entry| entry.source == ConfigSource::Topic) {
            table.push([entry.name.into(), entry.value.into()]);
        }
    }
    Ok(table)
}

fn section(topic: TopicDescription, settings: Table) -> Section {
    let mut table = Table::new(&[
        number("partition"),
        number("leader"),
        number("leaderEpoch"),
        text("replicas"),
        text("isr"),
        text("offline"),
        text("elr").wide(),
        text("lastKnownElr").wide(),
    ]);
    let facts = vec![
        ("topic", topic.name.into()),
        ("id", topic.id.to_string().into()),
        ("internal", topic.is_internal.into()),
        ("partitionCount", topic.partitions.len().into()),
    ];
    for partition in topic.partitions {
        table.push([
            partition.index.into(),
            partition.leader.into(),
            partition.leader_epoch.into(),
            partition.replicas.into(),
            partition.isr.into(),
            partition.offline.into(),
            partition.elr.into(),
            partition.last_known_elr.into(),
        ]);
    }
    Section { facts, tables: vec![("partitions", table), ("settings", settings)] }
}

fn delete(args: &Delete, global: &Global) -> Outcome {
    let admin = global.admin()?;
    args.yes.confirm(&format!("delete {} and all records", args.names.join(", ")))?;
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let is_missing = |result: &Result<(), ottla_client::Error>| {
        let code = result.as_ref().err().and_then(|error| error.code());
        code.and_then(|code| code.name()) == Some("UNKNOWN_TOPIC_OR_PARTITION")
    };
    let fates = admin
        .delete_topics(&names)?
        .into_iter()
        .filter(|(_, result)| !(args.if_exists && is_missing(result)))
        .map(|(name, result)| {
            let fate = result.map_err(|error| advice::on(&admin, &error));
            (name, fate.map(|()| Vec::new()))
        })
        .collect();
    global.output.changes("topic", "deleted", fates)
}
