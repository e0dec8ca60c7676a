//! `kafka-dump-log`: the command of that name, whose options are Kafka's.

use clap::Parser;

use super::{Failed, out};
use crate::{Found, dump_log, usage};

const NAME: &str = "kafka-dump-log";

#[derive(Parser)]
#[command(name = NAME)]
struct Cli {
    /// Prints the version of Kafka whose tool this is like
    #[arg(long, exclusive = true)]
    version: bool,
    #[command(flatten)]
    args: dump_log::Args,
}

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let words = std::iter::once(NAME).chain(args.iter().map(String::as_str));
    let mut cli = Cli::try_parse_from(words).map_err(|error| match error.use_stderr() {
        true => Failed::Err(usage::in_a_line(&error.to_string(), NAME)),
        // The tool prints its help where it prints what is wrong.
        false => Failed::Err(error.to_string()),
    })?;
    if cli.version {
        return out("4.3.1\n");
    }
    // That tool never asks whether a broker is running.
    cli.args.live = true;
    match dump_log::as_text(&cli.args)? {
        Found::Nothing => Ok(()),
        Found::Damage => Err(Failed::Told),
    }
}
