//! `ottlactl`: offline commands on the log directories of Ottla and of Apache Kafka.
//!
//! Each command is a file: [`dump_log`], [`verify`], [`repair`]. They only take arguments apart and
//! print; what they know of files is in `ottla-storage`, of records in `ottla-protocol`.
//!
//! | exit code | meaning |
//! |---:|---|
//! | 0 | done, nothing found |
//! | 1 | done as far as it goes: something is damaged |
//! | 2 | cannot run: bad arguments, no such directory, a broker holds it |
//!
//! A reader that goes away (`ottlactl … | head`) ends the program without a word.
#![forbid(unsafe_code)]

mod dump_log;
mod repair;
mod verify;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Offline commands on the log directories of Ottla and of Apache Kafka.
#[derive(Parser)]
#[command(name = "ottlactl", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what is in log segments, snapshots and indexes.
    DumpLog(dump_log::Args),
    /// Checks a directory: every structure against every other.
    Verify(verify::Args),
    /// Rebuilds what can be rebuilt in a directory.
    Repair(repair::Args),
}

/// What a command that ran has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing that is wrong.
    Nothing,
    /// Something is damaged; it was printed.
    Damage,
}

/// Why a command cannot run, in words for a person.
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

/// A report that was printed; or of which its reader has seen enough, which changes nothing about
/// what was found.
fn heard(printed: io::Result<()>) -> Result<(), CannotRun> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::DumpLog(args) => dump_log::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Repair(args) => repair::run(&args),
    };
    match outcome {
        Ok(Found::Nothing) => ExitCode::SUCCESS,
        Ok(Found::Damage) => ExitCode::from(1),
        Err(CannotRun(why)) => {
            // Standard error may be closed too, which is no reason to panic.
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("ottlactl: {why}\n"));
            ExitCode::from(2)
        }
    }
}
