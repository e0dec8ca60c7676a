//! `ottlactl perf`: how much a cluster takes, gives and how long that takes it.
//!
//! | module | what it is |
//! |---|---|
//! | [`produce`], [`consume`], [`e2e`] | records in, out, and through |
//! | [`meter`] | counts and latencies while they come |
//! | [`pace`] | when each record is due |
//! | [`payload`], [`stamp`] | what is in the records |
//! | [`watch`] | progress on the terminal, a report each interval |
//! | [`report`] | text, JSON, CSV |

use std::time::Duration;

use super::place;
use crate::global::Global;
use crate::output::Format;
use crate::{CannotRun, Outcome};

pub(crate) mod consume;
pub(crate) mod e2e;
pub(crate) mod meter;
pub(crate) mod pace;
pub(crate) mod payload;
pub(crate) mod produce;
mod report;
mod stamp;
pub(super) mod watch;

pub(super) use produce::leaked;

use report::Form;

const EXAMPLES: &str = "\
Examples:
  ottlactl perf produce test --num-records 10M --record-size 100
  ottlactl perf produce test --throughput 50k --histogram    latencies at a fixed pace
  ottlactl perf produce test -X acks=1 -X compression.type=zstd -o json
  ottlactl perf consume test
  ottlactl perf consume test -g readers -n 1M                as a member of a group
  ottlactl perf e2e test --throughput 5000 --every 1s --csv";

/// Measures how fast records go in and come out
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Produce(produce::Args),
    Consume(consume::Args),
    E2e(e2e::Args),
}

/// Options of every measurement.
#[derive(clap::Args, Debug)]
pub(crate) struct Common {
    /// Prints a report this often too: 1s, 10s
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    every: Option<Duration>,
    /// Prints comma-separated values, with a header
    #[arg(long)]
    csv: bool,
}

impl Common {
    fn form(&self, global: &Global) -> Result<Form, CannotRun> {
        match global.format() {
            None | Some(Format::Table) if self.csv => Ok(Form::Csv),
            Some(_) if self.csv => {
                Err(CannotRun("--csv is a form by itself; leave out -o".to_owned()))
            }
            None | Some(Format::Table | Format::Wide) => Ok(Form::Text),
            Some(Format::Json) => Ok(Form::Json),
            Some(Format::Yaml | Format::Name) => {
                Err(CannotRun("perf prints -o table, -o json or --csv".to_owned()))
            }
        }
    }
}

/// How often a report comes.
///
/// # Errors
/// It is no length of time, or none at all.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = crate::duration::parse(text)?;
    if interval.is_zero() {
        return Err(format!("{text:?} is no interval; write 1s, 500ms"));
    }
    Ok(interval)
}

/// Records a second.
///
/// # Errors
/// It is no number, or 0.
fn parse_throughput(text: &str) -> Result<u64, String> {
    match place::parse_count(text)? {
        0 => Err("at 0 records a second nothing is sent; write 1000, 50k".to_owned()),
        throughput => Ok(throughput),
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    match &args.command {
        Command::Produce(args) => produce::run(args, global),
        Command::Consume(args) => consume::run(args, global),
        Command::E2e(args) => e2e::run(args, global),
    }
}
