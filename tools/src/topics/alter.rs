//! `ottlactl topics alter`: more partitions, other settings.

use ottla_client::{Admin, ConfigChange, ConfigResource, NewPartitions};

use super::brokers;
use crate::global::{Global, name_and_value};
use crate::output::Fate;
use crate::{CannotRun, Outcome, advice};

/// Gives topics more partitions and other settings
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl topics alter orders --partitions 24
  ottlactl topics alter orders --config retention.ms=86400000 --delete-config max.message.bytes

Keys go to other partitions when there are more; records stay where they are.")]
pub(super) struct Args {
    /// Their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// How many partitions there are to be in all
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    #[arg(required_unless_present_any = ["configs", "delete_configs"])]
    partitions: Option<i32>,
    /// The brokers of the next new partition, the preferred leader first; may be repeated
    #[arg(long = "assignment", value_name = "BROKER,...", requires = "partitions")]
    assignments: Vec<String>,
    /// A setting and its value; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE")]
    configs: Vec<String>,
    /// A setting that goes back to its default; may be repeated
    #[arg(long = "delete-config", value_name = "NAME")]
    delete_configs: Vec<String>,
    /// Only checks whether it could be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, global: &Global) -> Outcome {
    let changes = args.changes()?;
    let assignments = brokers(&args.assignments)?;
    let admin = global.admin()?;
    let verb = if args.dry_run { "checked" } else { "altered" };
    let mut fates: Vec<(String, Fate)> =
        args.names.iter().map(|name| (name.clone(), Ok(Vec::new()))).collect();
    if !changes.is_empty() {
        configs(args, &changes, &admin, &mut fates)?;
    }
    if let Some(count) = args.partitions {
        partitions(args, (count, &assignments), &admin, &mut fates)?;
    }
    global.output.changes("topic", verb, fates)
}

impl Args {
    fn changes(&self) -> Result<Vec<ConfigChange>, CannotRun> {
        let set = self.configs.iter().map(|text| {
            let (name, value) = name_and_value("--config", text)?;
            Ok(ConfigChange::set(name, value))
        });
        let deleted = self.delete_configs.iter().map(|name| Ok(ConfigChange::delete(name)));
        set.chain(deleted).collect()
    }
}

fn configs(
    args: &Args,
    changes: &[ConfigChange],
    admin: &Admin,
    fates: &mut [(String, Fate)],
) -> Result<(), CannotRun> {
    let of_all: Vec<_> =
        args.names.iter().map(|name| (ConfigResource::topic(name), changes.to_vec())).collect();
    let results = if args.dry_run {
        admin.validate_configs(&of_all)?
    } else {
        admin.incremental_alter_configs(&of_all)?
    };
    for ((_, fate), (_, result)) in fates.iter_mut().zip(results) {
        if let Err(error) = result {
            *fate = Err(advice::on(admin, &error));
        }
    }
    Ok(())
}

/// Gives partitions to the topics that nothing went wrong with yet.
fn partitions(
    args: &Args,
    (count, assignments): (i32, &[Vec<i32>]),
    admin: &Admin,
    fates: &mut [(String, Fate)],
) -> Result<(), CannotRun> {
    let mut fates: Vec<_> = fates.iter_mut().filter(|(_, fate)| fate.is_ok()).collect();
    let more = |name: &str| {
        let more = NewPartitions::increase_to(name, count);
        if assignments.is_empty() { more } else { more.assignments(assignments.to_vec()) }
    };
    let of_all: Vec<_> = fates.iter().map(|(name, _)| more(name)).collect();
    let results = if args.dry_run {
        admin.validate_partitions(&of_all)?
    } else {
        admin.create_partitions(&of_all)?
    };
    for (topic, (_, result)) in fates.iter_mut().zip(results) {
        if let Err(error) = result {
            topic.1 = Err(advice::on(admin, &error));
        }
    }
    Ok(())
}
