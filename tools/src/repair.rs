//! `ottlactl repair`.

use std::path::PathBuf;

use crate::{CannotRun, Outcome};

/// Rebuilds what can be rebuilt in a directory.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log directory, one entry of `log.dirs`.
    dir: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Outcome {
    Err(CannotRun(format!("{}: repair is not available in this build", args.dir.display())))
}
