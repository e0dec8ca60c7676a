//! Options that every command takes: which cluster, with which settings, how to print.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use ottla_client::{Admin, Properties};

use crate::context::Contexts;
use crate::output::{Format, Output};
use crate::{CannotRun, complaint, duration};

/// How long brokers may take when nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(15);
const BOOTSTRAP: &str = "bootstrap.servers";
const API_TIMEOUT: &str = "default.api.timeout.ms";

/// Options that every command takes, in front of it or behind.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Brokers of the cluster [env: OTTLA_BOOTSTRAP]
    #[arg(short, long, global = true, value_name = "HOST:PORT,...", help_heading = GLOBAL)]
    bootstrap_server: Option<String>,
    /// Settings of the client, a file such as client.properties
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    command_config: Option<PathBuf>,
    /// The cluster of this context instead of the current one
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    context: Option<String>,
    /// The form of the output
    #[arg(short, long, global = true, value_enum, value_name = "FORM", help_heading = GLOBAL)]
    output: Option<Format>,
    /// How long brokers may take: 500ms, 10s, 2m [default: 15s]
    #[arg(long, global = true, value_name = "TIME", help_heading = GLOBAL)]
    #[arg(value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Tells what the client does, on standard error; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    verbose: u8,
    /// No colors on a terminal either [env: NO_COLOR]
    #[arg(long, global = true, help_heading = GLOBAL)]
    no_color: bool,
}

const GLOBAL: &str = "Global options";

/// Where `-X` may stand: behind `ottlactl`, behind a command, behind a command of that.
const PROPERTIES: [&str; 4] = ["X", "X1", "X2", "X3"];

/// The command line with `-X` at every level. A global option of clap's that is given in front of
/// the command and behind it again keeps only the latter.
pub(crate) fn with_properties(command: Command) -> Command {
    at_level(command, &PROPERTIES)
}

fn at_level(command: Command, ids: &[&'static str]) -> Command {
    let Some((id, deeper)) = ids.split_first() else { return command };
    let option = Arg::new(*id)
        .short('X')
        .long("property")
        .value_name("NAME=VALUE")
        .help("A setting of the client, by Kafka's name; may be repeated")
        .help_heading(GLOBAL)
        .action(ArgAction::Append);
    command.arg(option).mut_subcommands(|command| at_level(command, deeper))
}

/// The values of `-X`, from the front to the back.
fn given(mut matches: &ArgMatches) -> Vec<String> {
    let mut values = Vec::new();
    for id in PROPERTIES {
        let here = matches.try_get_many::<String>(id).ok().flatten();
        values.extend(here.into_iter().flatten().cloned());
        let Some((_, within)) = matches.subcommand() else { break };
        matches = within;
    }
    values
}

/// What the options amount to.
pub(crate) struct Global {
    args: Args,
    properties: Vec<String>,
    /// Where and how results are printed.
    pub(crate) output: Output,
}

impl Global {
    pub(crate) fn new(args: Args, matches: &ArgMatches) -> Self {
        let no_color = args.no_color || env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        complaint::log(args.verbose);
        let output = Output::new(args.output, !no_color);
        Self { args, properties: given(matches), output }
    }

    /// The form that was asked for; `None` when none was.
    pub(crate) fn format(&self) -> Option<Format> {
        self.args.output
    }

    /// How long brokers may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.args.timeout.unwrap_or(TIMEOUT)
    }

    /// The name of the context that was asked for.
    pub(crate) fn context(&self) -> Option<&str> {
        self.args.context.as_deref()
    }

    /// The address on the command line.
    pub(crate) fn given_bootstrap(&self) -> Option<&str> {
        self.args.bootstrap_server.as_deref()
    }

    /// The file of settings on the command line.
    pub(crate) fn given_config(&self) -> Option<&Path> {
        self.args.command_config.as_deref()
    }

    /// The settings on the command line, `NAME=VALUE`.
    pub(crate) fn given_properties(&self) -> &[String] {
        &self.properties
    }

    /// The settings that were given, wherever they were: what is nearer to the command goes before
    /// what is farther. A context is taken as a whole or not at all, since its settings belong to
    /// its cluster: one that nobody named gives way to an address on the command line or in the
    /// environment.
    ///
    /// # Errors
    /// A file cannot be read, there is no such context, or no address of a cluster anywhere.
    pub(crate) fn properties(&self) -> Result<Properties, CannotRun> {
        let args = &self.args;
        let mut properties = Properties::new();
        let from_env = env::var("OTTLA_BOOTSTRAP").ok().filter(|address| !address.is_empty());
        let is_elsewhere = args.bootstrap_server.is_some() || from_env.is_some();
        if let Some(name) = &args.context {
            properties = Contexts::read()?.properties(name)?;
        } else if let Some(address) = &from_env {
            properties.set(BOOTSTRAP, address);
        } else if !is_elsewhere && let Some(current) = Contexts::read()?.current_properties()? {
            properties = current;
        }
        if let Some(file) = &args.command_config {
            properties.add_file(file)?;
        }
        for text in &self.properties {
            let (name, value) = name_and_value("-X", text)?;
            properties.set(name, value);
        }
        if let Some(address) = &args.bootstrap_server {
            properties.set(BOOTSTRAP, address);
        }
        if properties.get(BOOTSTRAP).is_none() {
            let why = "which cluster is not said; give -b HOST:PORT, set OTTLA_BOOTSTRAP, or make \
                       a context with ottlactl context set";
            return Err(CannotRun(why.to_owned()));
        }
        Ok(properties)
    }

    /// The client for operators.
    ///
    /// # Errors
    /// As [`Global::properties`]; a setting is unknown or not valid.
    pub(crate) fn admin(&self) -> Result<Admin, CannotRun> {
        let mut properties = self.properties()?;
        if self.args.timeout.is_some() || properties.get(API_TIMEOUT).is_none() {
            let timeout = self.args.timeout.unwrap_or(TIMEOUT);
            properties.set(API_TIMEOUT, &timeout.as_millis().to_string());
        }
        Ok(Admin::new(&properties)?)
    }
}

/// The parts of `NAME=VALUE`.
///
/// # Errors
/// There is no `=` in it, or nothing in front of it.
pub(crate) fn name_and_value<'a>(
    option: &str,
    text: &'a str,
) -> Result<(&'a str, &'a str), CannotRun> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    let is_named = |parts: &(&str, &str)| !parts.0.is_empty();
    parts.filter(is_named).ok_or_else(|| {
        let example = if option == "-X" { "client.id=me" } else { "retention.ms=86400000" };
        CannotRun(format!("{option} {text}: no NAME=VALUE, such as {example}"))
    })
}
