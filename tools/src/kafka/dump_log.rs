//! `kafka-dump-log`: the command of that name, whose options are Kafka's.

use clap::Parser;

use super::Failed;
use crate::{Found, dump_log, usage};

#[derive(Parser)]
#[command(name = "kafka-dump-log", version = "4.3.1")]
struct Cli {
    #[command(flatten)]
    args: dump_log::Args,
}

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let words = std::iter::once("kafka-dump-log").chain(args.iter().map(String::as_str));
    let mut cli = Cli::try_parse_from(words).unwrap_or_else(|error| usage::exit(&error));
    // That tool never asks whether a broker is running.
    cli.args.live = true;
    match dump_log::as_text(&cli.args)? {
        Found::Nothing => Ok(()),
        Found::Damage => Err(Failed::Told),
    }
}
