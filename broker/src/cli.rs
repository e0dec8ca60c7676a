//! The `ottla` command line: arguments, messages, exit codes.
//!
//! | exit code | when |
//! |---|---|
//! | 0 | stopped by SIGTERM or SIGINT; `--help` and `--version` |
//! | 1 | bad arguments or settings, or the broker failed; one message says why |
//! | 1 | `ottla check` found a reason not to start; without one it is 0 |
//! | 130, 143 | a second SIGINT or SIGTERM ended the stop |

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use log::LevelFilter;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ottla_storage::disk::RealDisk;

use crate::adopt;
use crate::config::{self, BrokerConfig, ConfigError, Problem, StaticConfig};
use crate::logging;
use crate::stop::Stop;

/// Where the data is when nothing else is said.
const DATA_DIR: &str = "./ottla-data";

const EXAMPLES: &str = "\
Examples:
  ottla                                        data in ./ottla-data, clients at 127.0.0.1:9092
  ottla --data /var/lib/ottla                  data elsewhere
  ottla server.properties                      as an Apache Kafka 4 broker's file says
  ottla server.properties --override num.partitions=3
  ottla check server.properties                whether it would start on Kafka's data, and why not

The settings are in docs/CONFIG.md. OTTLA_LOG takes a level, or levels by module:
OTTLA_LOG=warn,ottla::config=debug";

/// A message broker that speaks Apache Kafka's protocol and keeps Apache Kafka's files.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    settings: Settings,

    /// Log up to: error, warn, info, debug, trace, or off [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LevelFilter>,
}

/// What is done instead of serving.
#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what would be served and what speaks against it; changes nothing
    Check(Settings),
}

/// Where settings come from.
#[derive(Debug, Args)]
struct Settings {
    /// A Kafka configuration file; without one, ottla needs none
    #[arg(value_name = "server.properties")]
    file: Option<PathBuf>,

    /// The data directory, made on the first run [default: ./ottla-data]
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    data: Option<PathBuf>,

    /// Set one setting, whatever the file says; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Start in spite of reasons, by the names that ottla check gives them
    #[arg(long, value_name = "REASONS")]
    accept: Vec<String>,
}

/// What the broker is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The settings, checked.
    pub config: BrokerConfig,
    /// The settings as they were written, which DescribeConfigs tells.
    pub statics: StaticConfig,
    /// Raised when the broker is to stop.
    pub stop: Stop,
}

impl Start {
    /// Checks `statics` and makes a start of them, with a [`Stop`] that nobody has raised: all that
    /// [`RunningBroker::start`](crate::broker::RunningBroker::start) needs.
    ///
    /// # Errors
    /// A setting is wrong; the message says which, and what would be right.
    pub fn new(statics: StaticConfig) -> Result<Self, ConfigError> {
        let config = BrokerConfig::new(&statics, &hostname())?;
        Ok(Self { config, statics, stop: Stop::new() })
    }
}

/// Runs the command `arguments`, whose first one is the program's name: reads the settings, starts
/// logging and the handling of signals, and calls `serve`, which returns when the broker has
/// stopped.
pub fn run<F>(arguments: impl IntoIterator<Item = OsString>, serve: F) -> ExitCode
where
    F: FnOnce(Start) -> Result<(), Box<dyn Error>>,
{
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing fails when nobody listens any more; the exit code tells the same.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if let Some(Command::Check(settings)) = &arguments.command {
        return check(settings);
    }
    let variable = std::env::var(logging::VARIABLE).ok();
    logging::start(arguments.log_level, variable.as_deref());
    match begin(&arguments.settings).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ottla: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what speaks against a start.
fn check(settings: &Settings) -> ExitCode {
    let statics = match statics(settings) {
        Ok(statics) => statics,
        Err(error) => {
            eprintln!("ottla: {error}");
            return ExitCode::FAILURE;
        }
    };
    let check = adopt::check(&RealDisk, &statics, &hostname());
    // The exit code says it too, should nobody read on.
    let _ = std::io::stdout().write_all(check.text.as_bytes());
    if check.is_ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn begin(arguments: &Settings) -> Result<Start, Box<dyn Error>> {
    let (config, statics) = settings(arguments, &hostname())?;
    say_notices(&statics);
    for accepted in statics.accepted().iter() {
        log::warn!("accepted: {}: {}", accepted.name(), accepted.meaning());
    }
    raise_open_files();
    let stop = Stop::new();
    stop.on_signals().map_err(|error| format!("cannot handle signals: {error}"))?;
    Ok(Start { config, statics, stop })
}

/// Logs what one should know about settings that do not do what one might think.
pub(crate) fn say_notices(statics: &StaticConfig) {
    for notice in config::notices(statics) {
        let level = if notice.is_warning() { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "{notice}");
    }
}

/// Lets this process open as many files as it may: every connection takes one, and the limit that
/// a shell gives, often 1,024, is meant for programs that use `select`. A JVM does the same by
/// default (HotSpot, `MaxFDLimit`).
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::warn!("the limit of open files (ulimit -n) stays as it is: {error}");
    }
}

fn settings(
    arguments: &Settings,
    hostname: &str,
) -> Result<(BrokerConfig, StaticConfig), ConfigError> {
    let statics = statics(arguments)?;
    Ok((BrokerConfig::new(&statics, hostname)?, statics))
}

/// The settings as they are written, not yet checked.
fn statics(arguments: &Settings) -> Result<StaticConfig, ConfigError> {
    let mut statics = match &arguments.file {
        Some(path) => StaticConfig::read(path)?,
        None => StaticConfig::standalone(data_dir(arguments.data.as_deref())?),
    };
    for setting in &arguments.overrides {
        statics.set_override(setting)?;
    }
    for names in &arguments.accept {
        statics.accept(names)?;
    }
    Ok(statics)
}

/// The directory as a value of `log.dirs`, which is a list separated by commas.
fn data_dir(given: Option<&Path>) -> Result<&str, Problem> {
    let Some(path) = given else { return Ok(DATA_DIR) };
    match path.to_str() {
        Some(dir) if !dir.trim().is_empty() && !dir.contains(',') => Ok(dir),
        _ => Err(Problem {
            place: "command line, --data".to_owned(),
            subject: format!("{path:?}"),
            wrong: "cannot be a data directory".to_owned(),
            valid: "a path in UTF-8, not empty, without commas".to_owned(),
            next: "choose another directory".to_owned(),
        }),
    }
}

fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests;
