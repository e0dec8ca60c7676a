//! `ottlactl install-links`: Kafka's names for this program.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::TOOLS;
use crate::global::Global;
use crate::output::Fate;
use crate::{CannotRun, Outcome};

/// Makes links by which this program is called as Kafka's tools are
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl install-links ~/.local/bin
  kafka-topics.sh --bootstrap-server localhost:9092 --list

A file of that name that is no link to this program is left alone.")]
pub(crate) struct Args {
    /// The folder; it is made if it is not there
    dir: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let program = env::current_exe()?;
    let cannot = |error: io::Error| CannotRun(format!("{}: {error}", args.dir.display()));
    fs::create_dir_all(&args.dir).map_err(cannot)?;
    let mut fates: Vec<(String, Fate)> = Vec::new();
    for (tool, _) in TOOLS {
        let path = args.dir.join(format!("{tool}.sh"));
        let fate = link(&program, &path).map(|()| Vec::new());
        fates.push((path.display().to_string(), fate));
    }
    global.output.changes("link", "made", fates)
}

fn link(program: &Path, path: &Path) -> Result<(), CannotRun> {
    match symlink(program, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_link(path).is_ok_and(|to| to == program) {
                return Ok(());
            }
            let why = "is there already, and no link to this program; move it away first";
            Err(CannotRun(format!("{} {why}", path.display())))
        }
        made => made.map_err(|error| CannotRun(format!("{}: {error}", path.display()))),
    }
}
