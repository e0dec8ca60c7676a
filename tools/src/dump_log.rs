//! `ottlactl dump-log`: what is in log segments, snapshots and indexes, as `kafka-dump-log` tells.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::{CannotRun, Found, Outcome};

/// Prints what is in log segments, snapshots and indexes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The files, with commas between them.
    #[arg(long, required = true, value_delimiter = ',')]
    files: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut found = Found::Nothing;
    for file in &args.files {
        if file.extension().is_none() {
            writeln!(io::stderr(), "Ignoring unknown file {}", file.display())?;
        } else if !file.exists() {
            writeln!(io::stderr(), "{}: no such file", file.display())?;
            found = Found::Damage;
        } else {
            let what = format!("{}: dump-log is not available in this build", file.display());
            return Err(CannotRun(what));
        }
    }
    Ok(found)
}
