//! Kafka's own tools: called by one of their names, the program takes that tool's options and
//! prints its output, of Apache Kafka 4.3.1.
//!
//! | module | what it is |
//! |---|---|
//! | [`options`], [`argparse`] | arguments as those tools take them |
//! | [`java`], [`date_format`] | orders of maps, names of exceptions, numbers, dates |
//! | [`links`] | `ottlactl install-links` |
//! | the others | a tool each |
//!
//! What is printed on standard output is the same, and so are exit codes. On standard error there
//! is a line where the scripts have a page: no stack traces, no list of all options.

mod argparse;
mod configs;
mod configs_args;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod consumer_perf;
mod consumer_stats;
mod date_format;
mod delete_records;
mod dump_log;
mod get_offsets;
mod group_tables;
pub(crate) mod java;
mod line_reader;
pub(crate) mod links;
mod log_dirs;
mod message_formatter;
mod options;
mod producer_perf;
mod producer_stats;
mod quotas;
mod reset;
mod scram;
mod topics;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use ottla_client::ErrorKind;

use crate::{CannotRun, complaint};

/// A tool's name, and what does its work.
type Tool = (&'static str, fn(&[String]) -> Result<(), Failed>);

const TOOLS: [Tool; 11] = [
    ("kafka-configs", configs::run),
    ("kafka-console-consumer", console_consumer::run),
    ("kafka-console-producer", console_producer::run),
    ("kafka-consumer-groups", consumer_groups::run),
    ("kafka-consumer-perf-test", consumer_perf::run),
    ("kafka-delete-records", delete_records::run),
    ("kafka-dump-log", dump_log::run),
    ("kafka-get-offsets", get_offsets::run),
    ("kafka-log-dirs", log_dirs::run),
    ("kafka-producer-perf-test", producer_perf::run),
    ("kafka-topics", topics::run),
];

/// Why a tool has failed.
#[derive(Debug)]
enum Failed {
    /// It says so on standard error.
    Err(String),
    /// It says so on standard output.
    Out(String),
    /// It has said all.
    Told,
}

impl From<CannotRun> for Failed {
    fn from(CannotRun(why): CannotRun) -> Self {
        Self::Err(why)
    }
}

impl From<ottla_client::Error> for Failed {
    fn from(error: ottla_client::Error) -> Self {
        match error.kind() {
            ErrorKind::Timeout(_) | ErrorKind::Network => {
                Self::Err(format!("{error}; is a broker running there?"))
            }
            _ => CannotRun::from(error).into(),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        CannotRun::from(error).into()
    }
}

/// Runs as the tool by whose name the program was called, with or without `.sh`; `None` when it is
/// none of them.
pub(crate) fn run_as(program: &Path, args: &[String]) -> Option<ExitCode> {
    let name = program.file_name()?.to_str()?;
    let name = name.strip_suffix(".sh").unwrap_or(name);
    let (_, run) = TOOLS.iter().find(|(tool, _)| *tool == name)?;
    Some(match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            match failed {
                Failed::Err(why) => complaint::plain(&why),
                Failed::Out(why) => _ = out(&format!("{why}\n")),
                Failed::Told => {}
            }
            ExitCode::FAILURE
        }
    })
}

/// Prints text on standard output.
fn out(text: &str) -> Result<(), Failed> {
    use std::io::Write;
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
