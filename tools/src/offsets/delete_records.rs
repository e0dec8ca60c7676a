//! `ottlactl offsets delete-records`: the first records of partitions.

use ottla_client::{Admin, DeleteBefore, Error, TopicPartition};

use super::named;
use crate::confirm::Yes;
use crate::global::Global;
use crate::{CannotRun, Outcome, advice};

/// Deletes the first records of partitions
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl offsets delete-records orders:0=1000            those before offset 1000
  ottlactl offsets delete-records orders:0=end orders:1=end --yes")]
pub(super) struct Args {
    /// Partitions, and the offset that each begins with afterwards; end for none that stays
    #[arg(required = true, value_name = "TOPIC:PARTITION=OFFSET")]
    partitions: Vec<String>,
    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(super) fn run(args: &Args, admin: &Admin, global: &Global) -> Outcome {
    let ends = args.partitions.iter().map(|text| parsed(text)).collect::<Result<Vec<_>, _>>()?;
    args.yes.confirm(&format!("delete the records before {}", args.partitions.join(", ")))?;
    let fates = admin
        .delete_records(&ends)?
        .into_iter()
        .map(|(at, deleted)| {
            let fate = deleted.map_err(|error| refused(admin, &at, &error));
            (at.to_string(), fate.map(|low| vec![("earliest", low.into())]))
        })
        .collect();
    global.output.changes("partition", "deleted records of", fates)
}

/// Of a topic that is compacted only, which is all that this code means here, nothing is deleted.
fn refused(admin: &Admin, at: &TopicPartition, error: &Error) -> CannotRun {
    match error.code().and_then(|code| code.name()) {
        Some("POLICY_VIOLATION") => {
            let topic = &at.topic;
            CannotRun(format!(
                "{error}; cleanup.policy of {topic} has no delete in it, ottlactl configs set \
                 topic {topic} --append cleanup.policy=delete adds it"
            ))
        }
        _ => advice::on(admin, error),
    }
}

fn parsed(text: &str) -> Result<(TopicPartition, DeleteBefore), CannotRun> {
    let wrong = || CannotRun(format!("{text}: no TOPIC:PARTITION=OFFSET, such as orders:0=1000"));
    let (at, offset) = text.split_once('=').ok_or_else(wrong)?;
    let (topic, Some(partition)) = named(at)? else { return Err(wrong()) };
    let before = match offset {
        "end" => DeleteBefore::HighWatermark,
        offset => {
            let offset = offset.parse().ok().filter(|offset: &i64| *offset >= 0);
            DeleteBefore::Offset(offset.ok_or_else(wrong)?)
        }
    };
    Ok((TopicPartition::new(topic, partition), before))
}
