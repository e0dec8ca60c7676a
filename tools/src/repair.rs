//! `ottlactl repair`: makes anew what can be made of the batches, and cuts logs only when asked to.

use std::io::{self, Write};

use ottla_storage::disk::RealDisk;
use ottla_storage::repair::{self, RepairOptions};

use crate::verify::{Verified, What, lock, release};
use crate::{CannotRun, Found, Outcome};

/// Rebuilds what can be rebuilt in a directory.
#[derive(clap::Args)]
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
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Outcome {
    let locked = lock(&args.what.dir)?;
    let outcome = repair_locked(args);
    release(locked);
    outcome
}

fn repair_locked(args: &Args) -> Outcome {
    let metadata = args.what.metadata();
    let Verified { report, .. } = args.what.verify(&metadata)?;
    let known = |topic_partition: &_, topic_id| metadata.known(topic_partition, topic_id);
    let options = RepairOptions {
        truncate_damaged: args.truncate_damaged,
        index_interval_bytes: args.what.index_interval_bytes,
        known: &known,
    };
    let plan = repair::plan(&RealDisk, &report, &options)?;
    let mut out = io::stdout().lock();
    for action in &plan.actions {
        writeln!(out, "{action}")?;
        if !args.dry_run {
            repair::carry_out(&RealDisk, action)
                .map_err(|error| CannotRun(format!("{action}: {error}")))?;
        }
    }
    for finding in &plan.left {
        writeln!(out, "left: {finding}")?;
        writeln!(out, "    repair: {}", finding.remedy)?;
    }
    if args.dry_run {
        let (count, left) = (plan.actions.len(), plan.left.len());
        writeln!(out, "{count} actions, none carried out; {left} findings would be left")?;
        return Ok(if report.is_wrong() { Found::Damage } else { Found::Nothing });
    }
    let Verified { report, .. } = args.what.verify(&metadata)?;
    let still = report.is_wrong();
    let outcome = if still { "there are findings left" } else { "nothing is wrong any more" };
    writeln!(out, "{} actions carried out, {outcome}", plan.actions.len())?;
    Ok(if still { Found::Damage } else { Found::Nothing })
}
