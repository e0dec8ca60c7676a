//! `ottlactl groups`: which there are, how far they have come, what is done about them.

mod delete;
mod describe;
mod list;
mod members;
pub(crate) mod reset;
mod reset_offsets;

use crate::Outcome;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  ottlactl groups list
  ottlactl groups describe billing
  ottlactl groups reset-offsets billing --to-earliest              a preview
  ottlactl groups reset-offsets billing --to-earliest --execute
  ottlactl groups delete billing --yes";

/// Groups: which there are, how far they have come, what is done about them
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    List(list::Args),
    Describe(describe::Args),
    ResetOffsets(reset_offsets::Args),
    DeleteOffsets(delete::Offsets),
    RemoveMembers(members::Args),
    Delete(delete::Args),
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let admin = global.admin()?;
    match &args.command {
        Command::List(args) => list::run(args, &admin, global),
        Command::Describe(args) => describe::run(args, &admin, global),
        Command::ResetOffsets(args) => reset_offsets::run(args, &admin, global),
        Command::DeleteOffsets(args) => delete::offsets(args, &admin, global),
        Command::RemoveMembers(args) => members::run(args, &admin, global),
        Command::Delete(args) => delete::run(args, &admin, global),
    }
}
