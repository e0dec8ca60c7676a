//! `ottlactl offsets`: where partitions begin and end, and records that are deleted.

mod delete_records;

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Admin, Error, IsolationLevel, ListedOffset, OffsetSpec, TopicPartition};
use serde_json::Value;

use crate::global::Global;
use crate::output::{Table, number, text};
use crate::{CannotRun, Found, Outcome, advice, complaint, time};

const EXAMPLES: &str = "\
Examples:
  ottlactl offsets list orders
  ottlactl offsets list orders:0 orders:1 --at 2026-11-26T12:00:00Z
  ottlactl offsets list orders --at 2h
  ottlactl offsets delete-records orders:0=1000";

/// Offsets: where partitions begin and end, and records that are deleted
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    List(List),
    DeleteRecords(delete_records::Args),
}

/// Where partitions begin and end
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl offsets list                        of all topics
  ottlactl offsets list orders customers:3
  ottlactl offsets list orders --at 2h         the first record of the last two hours
  ottlactl offsets list orders --at 2026-11-26
  ottlactl offsets list orders --at max-timestamp")]
struct List {
    /// Topics, or partitions of them; all topics if none is named
    #[arg(value_name = "TOPIC[:PARTITION]")]
    of: Vec<String>,
    /// Also the first record from then on: a date and time, how long ago, milliseconds since 1970,
    /// or max-timestamp for the record with the latest timestamp
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Ends at the first open transaction
    #[arg(long)]
    read_committed: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let admin = global.admin()?;
    match &args.command {
        Command::List(args) => list(args, &admin, global),
        Command::DeleteRecords(args) => delete_records::run(args, &admin, global),
    }
}

/// `TOPIC:PARTITION`, or all partitions of `TOPIC`. A name of a topic has no colon in it.
pub(crate) fn named(text: &str) -> Result<(&str, Option<i32>), CannotRun> {
    let Some((topic, partition)) = text.split_once(':') else { return Ok((text, None)) };
    let number = partition.parse().ok().filter(|number| *number >= 0);
    let number = number.ok_or_else(|| {
        CannotRun(format!("{text}: {partition:?} is no partition; name one as orders:0"))
    })?;
    Ok((topic, Some(number)))
}

/// The partitions that are named, each once; of all topics if none is. Topics that are not there
/// are told.
pub(crate) fn partitions(
    admin: &Admin,
    of: &[String],
) -> Result<(Vec<TopicPartition>, Found), CannotRun> {
    // Of each topic these, `None` for all.
    let mut asked: BTreeMap<String, BTreeSet<Option<i32>>> = BTreeMap::new();
    for text in of {
        let (topic, partition) = named(text)?;
        asked.entry(topic.to_owned()).or_default().insert(partition);
    }
    if asked.is_empty() {
        let all = admin.list_topics(false)?.into_iter();
        asked = all.map(|topic| (topic.name, BTreeSet::from([None]))).collect();
    }
    let names: Vec<&str> = asked.keys().map(String::as_str).collect();
    let (mut partitions, mut found) = (Vec::new(), Found::Nothing);
    for (topic, described) in admin.describe_topics(&names)? {
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                let CannotRun(why) = advice::on(admin, &error);
                complaint::print(why);
                found = Found::Damage;
                continue;
            }
        };
        let asked = &asked[&topic];
        let count = described.partitions.len();
        for number in asked.iter().flatten().filter(|number| **number as usize >= count) {
            complaint::print(format!("{topic}-{number}: the topic has {count} partitions"));
            found = Found::Damage;
        }
        let is_named = |index: i32| asked.contains(&None) || asked.contains(&Some(index));
        let indexes = described.partitions.iter().map(|partition| partition.index);
        partitions.extend(
            indexes.filter(|index| is_named(*index)).map(|at| TopicPartition::new(&topic, at)),
        );
    }
    Ok((partitions, found))
}

/// Offsets of one kind, in the order of the partitions.
pub(crate) fn of_all(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
    isolation: IsolationLevel,
) -> Result<Vec<Result<ListedOffset, Error>>, CannotRun> {
    let asked: Vec<_> = partitions.iter().map(|at| (at.clone(), spec)).collect();
    Ok(admin.list_offsets(&asked, isolation)?.into_iter().map(|(_, listed)| listed).collect())
}

fn list(args: &List, admin: &Admin, global: &Global) -> Outcome {
    let spec = args.at.as_deref().map(time::spec).transpose()?;
    let isolation = if args.read_committed {
        IsolationLevel::ReadCommitted
    } else {
        IsolationLevel::ReadUncommitted
    };
    let (partitions, mut found) = partitions(admin, &args.of)?;
    let earliest = of_all(admin, &partitions, OffsetSpec::Earliest, isolation)?;
    let latest = of_all(admin, &partitions, OffsetSpec::Latest, isolation)?;
    let asked = match spec {
        Some(spec) => of_all(admin, &partitions, spec, isolation)?.into_iter().map(Some).collect(),
        None => partitions.iter().map(|_| None).collect::<Vec<_>>(),
    };
    let columns = [text("topic"), number("partition"), number("earliest"), number("latest")];
    let at_columns = [number("at"), text("timestamp")];
    let all: Vec<_> = columns.into_iter().chain(at_columns).collect();
    let mut plain = Table::new(&columns).named_by(2);
    let mut with_time = Table::new(&all).named_by(2);
    let each = partitions.iter().zip(earliest).zip(latest).zip(asked);
    for (((at, earliest), latest), asked) in each {
        let mut offset = |listed: Result<ListedOffset, Error>| match listed {
            Ok(listed) => Some(listed),
            Err(error) => {
                let CannotRun(why) = advice::on(admin, &error);
                complaint::print(why);
                found = Found::Damage;
                None
            }
        };
        let earliest = Value::from(offset(earliest).and_then(|listed| listed.offset));
        let latest = Value::from(offset(latest).and_then(|listed| listed.offset));
        let asked = asked.and_then(offset);
        let (topic, partition) = (Value::from(&*at.topic), Value::from(at.partition));
        if spec.is_none() {
            plain.push([topic, partition, earliest, latest]);
        } else {
            let when = asked.and_then(|listed| listed.timestamp).map(time::utc);
            let asked = Value::from(asked.and_then(|listed| listed.offset));
            with_time.push([topic, partition, earliest, latest, asked, when.into()]);
        }
    }
    global.output.table_of_rest(if spec.is_some() { &with_time } else { &plain }, found)
}
