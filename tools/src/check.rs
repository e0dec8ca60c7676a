//! `ottlactl check`: what the broker's own program says of a configuration, by the name that the
//! other offline commands stand under.
//!
//! The rules are the broker's, which is no part of this program: it is found beside this one, or
//! where the shell looks for programs.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

use crate::{CannotRun, Outcome};

const PROGRAM: &str = "ottla";

/// Tells what a broker would serve with a configuration, and what speaks against it
#[derive(clap::Args, Debug)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  ottlactl check config/server.properties
  ottlactl check --help                  the options, which are those of `ottla check`

It is `ottla check`, with its exit codes: 0 it would start; 1 it would not."
)]
pub(crate) struct Args {
    /// What `ottla check` takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Outcome {
    let beside = beside();
    let program = beside.clone().filter(|path| path.is_file());
    let program = program.unwrap_or_else(|| PathBuf::from(PROGRAM));
    // It comes back only when there is no such program.
    let error = Command::new(&program).arg("check").args(&args.arguments).exec();
    let (what, why) = (program.display(), error);
    if why.kind() != io::ErrorKind::NotFound {
        return Err(CannotRun(format!("{what}: {why}")));
    }
    let at = beside.map(|path| format!(" at {}", path.display())).unwrap_or_default();
    Err(CannotRun(format!(
        "the program {PROGRAM} is neither{at} nor on the PATH; check is a part of it: install it \
         too"
    )))
}

/// Where it would be, if it was installed with this program.
fn beside() -> Option<PathBuf> {
    Some(env::current_exe().ok()?.with_file_name(PROGRAM))
}
