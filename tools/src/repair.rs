//! `ottlactl repair`: makes anew what can be made of the batches, and cuts logs only when asked to.

mod lost;

use std::fmt;
use std::io::{self, Write};

use ottla_storage::disk::RealDisk;
use ottla_storage::repair::{self, RepairOptions};

use crate::verify::{Verified, What};
use crate::{CannotRun, Found, Outcome, heard};

const EXAMPLES: &str = "\
Examples:
  ottlactl repair --dry-run /var/lib/kafka/data
  ottlactl repair --truncate-damaged /var/lib/kafka/data";

/// Rebuilds what can be rebuilt in a directory
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
    /// Prints what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
    /// Cuts logs before their first damaged batch. What is cut off stays beside them, in files
    /// named saved-*.ottla.
    #[arg(long)]
    truncate_damaged: bool,
    /// Cuts the metadata log so, which no other option does: topics, settings and users that were
    /// recorded behind the damage are given up.
    #[arg(long)]
    truncate_metadata: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Outcome {
    let target = args.what.lock()?;
    if args.truncate_damaged && target.is_in_log_dir() {
        let why = "--truncate-damaged needs the log directory that the partition is in, whose \
                   checkpoints follow a cut";
        return Err(CannotRun(why.to_owned()));
    }
    let metadata = args.what.metadata(&target)?;
    let Verified { report, .. } = args.what.verify(&target, &metadata)?;
    let known = |topic_partition: &_, topic_id| metadata.known(topic_partition, topic_id);
    let options = RepairOptions {
        truncate_damaged: args.truncate_damaged,
        truncate_metadata: args.truncate_metadata,
        index_interval_bytes: args.what.index_interval_bytes,
        known: &known,
    };
    let plan = repair::plan(&RealDisk, &report, &options)?;
    let mut out = io::stdout().lock();
    // A repair that was begun goes on, whether anybody reads what it says or not.
    let mut say = |line: fmt::Arguments<'_>| match writeln!(out, "{line}") {
        Err(error) if args.dry_run => heard(Err(error)),
        _ => Ok(()),
    };
    for lost in lost::behind_damage(&report)? {
        say(format_args!("{lost}"))?;
    }
    for action in &plan.actions {
        say(format_args!("{action}"))?;
        if !args.dry_run {
            repair::carry_out(&RealDisk, action)
                .map_err(|error| CannotRun(format!("{action}: {error}")))?;
        }
    }
    for finding in &plan.left {
        say(format_args!("left: {finding}\n    repair: {}", finding.remedy))?;
    }
    let (count, left) = (plan.actions.len(), plan.left.len());
    if args.dry_run {
        say(format_args!("{count} actions, none carried out; {left} findings would be left"))?;
        return Ok(if report.is_wrong() { Found::Damage } else { Found::Nothing });
    }
    // A cut of the metadata log changes what it says of the partitions.
    let metadata = args.what.metadata(&target)?;
    let Verified { report, .. } = args.what.verify(&target, &metadata)?;
    let still = report.is_wrong();
    let outcome = if still { "there are findings left" } else { "nothing is wrong any more" };
    say(format_args!("{count} actions carried out, {outcome}"))?;
    Ok(if still { Found::Damage } else { Found::Nothing })
}
