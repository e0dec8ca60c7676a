//! `ottlactl`: the command line for clusters of Ottla and of Apache Kafka, and for their log
//! directories.
//!
//! Each command is a file: [`topics`], [`cluster`], [`dump_log`] and so on. They only take
//! arguments apart and print; what they know of clusters is in `ottla-client`, of files in
//! `ottla-storage`, of records in `ottla-protocol`.
//!
//! | module | what all commands share |
//! |---|---|
//! | [`global`] | which cluster, with which settings |
//! | [`context`] | clusters by names of one's own |
//! | [`output`] | tables, JSON, YAML, names |
//! | [`size`] | bytes as people read them |
//! | [`complaint`] | words on standard error |
//! | [`usage`] | wrong arguments in a line |
//! | [`advice`] | the next step after a refusal |
//! | [`confirm`] | asking before anything is lost |
//!
//! | exit code | meaning |
//! |---:|---|
//! | 0 | done, nothing found |
//! | 1 | done as far as it goes: something is damaged, or failed for some of what was named |
//! | 2 | cannot run: bad arguments, no broker, no such directory, a broker holds it |
//!
//! A reader that goes away (`ottlactl … | head`) ends the program without a word.
#![forbid(unsafe_code)]

mod advice;
mod complaint;
mod confirm;
mod context;
mod duration;
mod global;
mod output;
mod size;
mod time;
mod usage;

mod apis;
mod check;
mod cluster;
mod configs;
mod doctor;
mod dump_log;
mod flow;
mod generate;
mod groups;
mod kafka;
mod logdirs;
mod offsets;
mod quorum;
mod repair;
mod topics;
mod verify;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use ottla_client::{Error, ErrorKind};

use global::Global;

const EXAMPLES: &str = "\
Examples:
  ottlactl -b localhost:9092 topics list
  ottlactl context set local -b localhost:9092      from here on without -b
  ottlactl topics create orders --partitions 12
  ottlactl topics describe orders -o json

Exit codes: 0 done; 1 done, but something failed or is damaged; 2 cannot run.";

/// The command line for clusters of Ottla and of Apache Kafka, and for their log directories.
#[derive(Parser)]
#[command(name = "ottlactl", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: global::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Topics(topics::Args),
    Produce(flow::produce::Args),
    Consume(flow::consume::Args),
    Mirror(flow::mirror::Args),
    Perf(flow::perf::Args),
    Groups(groups::Args),
    Configs(configs::Args),
    Offsets(offsets::Args),
    Cluster(cluster::Args),
    Logdirs(logdirs::Args),
    Quorum(quorum::Args),
    Apis(apis::Args),
    Context(context::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    DumpLog(dump_log::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    InstallLinks(kafka::links::Args),
    Completions(generate::Completions),
    Man(generate::Man),
}

/// What a command that ran has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing that is wrong.
    Nothing,
    /// Something is damaged, or was refused; it was printed.
    Damage,
}

/// Why a command cannot run, in words for a person: the cause, and behind a semicolon what to do.
#[derive(Debug)]
struct CannotRun(String);

/// The outcome of a command.
type Outcome = Result<Found, CannotRun>;

impl From<io::Error> for CannotRun {
    fn from(error: io::Error) -> Self {
        // Nobody reads the output any more: there is nobody to tell either.
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        Self(error.to_string())
    }
}

impl From<Error> for CannotRun {
    fn from(error: Error) -> Self {
        let next = match error.kind() {
            ErrorKind::Timeout(_) | ErrorKind::Network => {
                "; is a broker running there? -b names another, --timeout waits longer"
            }
            ErrorKind::Malformed => "; is this the port of a broker, without TLS?",
            ErrorKind::UnsupportedVersion => "; ottlactl apis shows what the brokers serve",
            _ => "",
        };
        Self(format!("{error}{next}"))
    }
}

/// A report that was printed; or of which its reader has seen enough, which changes nothing about
/// what was found.
fn heard(printed: io::Result<()>) -> Result<(), CannotRun> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let args: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(code) = kafka::run_as(program.as_ref(), &args) {
        return code;
    }
    let command = global::with_properties(Cli::command());
    let matches = command.clone().try_get_matches();
    let matches = matches.unwrap_or_else(|error| usage::exit(&error));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| usage::exit(&error));
    let global = Global::new(cli.global, &matches);
    let outcome = match &cli.command {
        Command::Topics(args) => topics::run(args, &global),
        Command::Produce(args) => flow::produce::run(args, &global),
        Command::Consume(args) => flow::consume::run(args, &global),
        Command::Mirror(args) => flow::mirror::run(args, &global),
        Command::Perf(args) => flow::perf::run(args, &global),
        Command::Groups(args) => groups::run(args, &global),
        Command::Configs(args) => configs::run(args, &global),
        Command::Offsets(args) => offsets::run(args, &global),
        Command::Cluster(args) => cluster::run(args, &global),
        Command::Logdirs(args) => logdirs::run(args, &global),
        Command::Quorum(args) => quorum::run(args, &global),
        Command::Apis(args) => apis::run(args, &global),
        Command::Context(args) => context::run(args, &global),
        Command::Check(args) => check::run(args),
        Command::Doctor(args) => doctor::run(args, &global),
        Command::DumpLog(args) => dump_log::run(args, &global),
        Command::Verify(args) => verify::run(args, &global),
        Command::Repair(args) => repair::run(args),
        Command::InstallLinks(args) => kafka::links::run(args, &global),
        Command::Completions(args) => generate::completions(args, command),
        Command::Man(args) => generate::man(args, command),
    };
    match outcome {
        Ok(Found::Nothing) => ExitCode::SUCCESS,
        Ok(Found::Damage) => ExitCode::from(1),
        Err(CannotRun(why)) => {
            complaint::print(why);
            ExitCode::from(2)
        }
    }
}
