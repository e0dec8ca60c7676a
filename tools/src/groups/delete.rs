//! `ottlactl groups delete` and `delete-offsets`.

use ottla_client::Admin;

use crate::confirm::Yes;
use crate::global::Global;
use crate::{Found, Outcome, advice, offsets};

/// Deletes groups that have no members, and their offsets
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups delete billing
  ottlactl groups delete billing audit --yes")]
pub(super) struct Args {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    yes: Yes,
}

/// Forgets how far a group has come in topics that no member of it reads
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups delete-offsets billing orders
  ottlactl groups delete-offsets billing orders:0 orders:1 --yes")]
pub(super) struct Offsets {
    /// Its name
    group: String,
    /// Topics, or partitions of them
    #[arg(required = true, value_name = "TOPIC[:PARTITION]")]
    of: Vec<String>,
    #[command(flatten)]
    yes: Yes,
}

/// Deletes groups.
pub(super) fn run(args: &Args, admin: &Admin, global: &Global) -> Outcome {
    args.yes.confirm(&format!("delete {} and their offsets", args.groups.join(", ")))?;
    let names: Vec<&str> = args.groups.iter().map(String::as_str).collect();
    let fates = admin
        .delete_groups(&names)?
        .into_iter()
        .map(|(group, deleted)| {
            let fate = deleted.map_err(|error| advice::on_group(admin, &group, &error));
            (group, fate.map(|()| Vec::new()))
        })
        .collect();
    global.output.changes("group", "deleted", fates)
}

/// Deletes offsets.
pub(super) fn offsets(args: &Offsets, admin: &Admin, global: &Global) -> Outcome {
    let (partitions, found) = offsets::partitions(admin, &args.of)?;
    let of = args.of.join(", ");
    args.yes.confirm(&format!("forget how far {} has come in {of}", args.group))?;
    let deleted = admin
        .delete_consumer_group_offsets(&args.group, &partitions)
        .map_err(|error| advice::on_group(admin, &args.group, &error))?;
    let fates = deleted
        .into_iter()
        .map(|(at, deleted)| {
            let fate = deleted.map_err(|error| advice::on(admin, &error));
            (at.to_string(), fate.map(|()| Vec::new()))
        })
        .collect();
    let all = global.output.changes("partition", "deleted offset of", fates)?;
    Ok(if found == Found::Damage { found } else { all })
}
