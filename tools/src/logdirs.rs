//! `ottlactl logdirs`: the log directories of brokers, and how full they are.

use ottla_client::{LogDirDescription, ReplicaInfo};
use serde_json::Value;

use crate::global::Global;
use crate::output::{Format, Table, number, text};
use crate::{CannotRun, Found, Outcome, complaint, size};

/// The log directories of brokers, and how full they are
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl logdirs
  ottlactl logdirs --broker 1 -o wide
  ottlactl logdirs orders                   its partitions, the largest first")]
pub(crate) struct Args {
    /// Shows the replicas of these topics
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Shows all replicas
    #[arg(short, long, conflicts_with = "topics")]
    replicas: bool,
    /// Only of this broker; may be repeated
    #[arg(long = "broker", value_name = "ID")]
    brokers: Vec<i32>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let mut found = Found::Nothing;
    let mut dirs: Vec<(i32, LogDirDescription)> = Vec::new();
    for (broker, described) in global.admin()?.describe_log_dirs(&args.brokers)? {
        match described {
            Ok(described) => dirs.extend(described.into_iter().map(|dir| (broker, dir))),
            Err(error) => {
                let CannotRun(why) = error.into();
                complaint::print(why);
                found = Found::Damage;
            }
        }
    }
    for (broker, dir) in &dirs {
        if let Some(error) = &dir.error {
            complaint::print(format!("broker {broker}: {}: {error}", dir.path));
            found = Found::Damage;
        }
    }
    for topic in &args.topics {
        let is_there = |replica: &ReplicaInfo| *topic == *replica.partition.topic;
        if !dirs.iter().any(|(_, dir)| dir.replicas.iter().any(is_there)) {
            complaint::print(format!(
                "{topic}: no replica of it is seen; ottlactl topics list shows which topics there \
                 are"
            ));
            found = Found::Damage;
        }
    }
    let is_people = !global.output.is_data() && global.output.format() != Format::Name;
    let table = if args.replicas || !args.topics.is_empty() {
        replicas(args, &dirs, is_people)
    } else {
        directories(&dirs, is_people)
    };
    global.output.table_of_rest(&table, found)
}

fn directories(dirs: &[(i32, LogDirDescription)], is_people: bool) -> Table {
    let mut table = Table::new(&[
        text("dir"),
        number("broker"),
        number("replicas"),
        number("sizeBytes"),
        number("usableBytes"),
        number("totalBytes"),
        text("cordoned").wide(),
        text("error").in_data(),
    ]);
    for (broker, dir) in dirs {
        let size = dir.replicas.iter().map(|replica| replica.size_bytes).sum();
        table.push([
            dir.path.as_str().into(),
            (*broker).into(),
            dir.replicas.len().into(),
            bytes(Some(size), is_people),
            bytes(dir.usable_bytes, is_people),
            bytes(dir.total_bytes, is_people),
            dir.is_cordoned.into(),
            dir.error.as_ref().map(ToString::to_string).into(),
        ]);
    }
    table
}

fn replicas(args: &Args, dirs: &[(i32, LogDirDescription)], is_people: bool) -> Table {
    let mut table = Table::new(&[
        text("topic"),
        number("partition"),
        number("broker"),
        number("sizeBytes"),
        number("offsetLag"),
        text("future").wide(),
        text("dir"),
    ])
    .named_by(2);
    let is_asked = |replica: &ReplicaInfo| {
        let topic = &*replica.partition.topic;
        args.topics.is_empty() || args.topics.iter().any(|asked| asked == topic)
    };
    let all = dirs.iter().flat_map(|(broker, dir)| {
        dir.replicas.iter().map(move |replica| (*broker, dir.path.as_str(), replica))
    });
    let mut all: Vec<_> = all.filter(|(_, _, replica)| is_asked(replica)).collect();
    all.sort_by_key(|(broker, _, replica)| {
        let at = &replica.partition;
        (-replica.size_bytes, at.topic.clone(), at.partition, *broker)
    });
    for (broker, path, replica) in all {
        table.push([
            (*replica.partition.topic).into(),
            replica.partition.partition.into(),
            broker.into(),
            bytes(Some(replica.size_bytes), is_people),
            replica.offset_lag.into(),
            replica.is_future.into(),
            path.into(),
        ]);
    }
    table
}

/// A number of bytes, for people with a unit.
fn bytes(count: Option<i64>, is_people: bool) -> Value {
    let Some(count) = count else { return Value::Null };
    let size = count.unsigned_abs();
    if !is_people || size < 1024 {
        return count.into();
    }
    let sign = if count < 0 { "-" } else { "" };
    format!("{sign}{}", size::words(size)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_units() {
        for (count, text) in
            [(1024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (i64::MAX, "8.0 EiB"), (-2048, "-2.0 KiB")]
        {
            assert_eq!(bytes(Some(count), true), Value::from(text));
        }
        assert_eq!(bytes(Some(1023), true), Value::from(1023));
        assert_eq!(bytes(Some(4096), false), Value::from(4096));
        assert_eq!(bytes(None, true), Value::Null);
    }
}
