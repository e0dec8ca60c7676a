//! `ottlactl completions` and `ottlactl man`: what is made of the table of options.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

use crate::{CannotRun, Found, Outcome};

const COMPLETIONS: &str = "\
Examples:
  ottlactl completions bash > ~/.local/share/bash-completion/completions/ottlactl
  ottlactl completions zsh > ~/.zfunc/_ottlactl
  ottlactl completions fish > ~/.config/fish/completions/ottlactl.fish";

const MAN: &str = "\
Examples:
  ottlactl man ~/.local/share/man/man1
  man ottlactl-topics";

/// Completions for a shell, on standard output
#[derive(clap::Args, Debug)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Manual pages, into a folder
#[derive(clap::Args, Debug)]
#[command(after_help = MAN)]
pub(crate) struct Man {
    /// The folder; it is made if it is not there
    dir: PathBuf,
}

/// Prints completions.
pub(crate) fn completions(args: &Completions, mut command: Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ottlactl", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Found::Nothing)
}

/// Writes manual pages: one for each command.
pub(crate) fn man(args: &Man, mut command: Command) -> Outcome {
    let cannot = |path: &Path, error: io::Error| CannotRun(format!("{}: {error}", path.display()));
    fs::create_dir_all(&args.dir).map_err(|error| cannot(&args.dir, error))?;
    command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = vec![("ottlactl".to_owned(), command)];
    while let Some((name, command)) = pages.pop() {
        let within = command.get_subcommands().filter(|command| !command.is_hide_set());
        pages.extend(within.map(|sub| (format!("{name}-{}", sub.get_name()), sub.clone())));
        let path = args.dir.join(format!("{name}.1"));
        let mut page = Vec::new();
        clap_mangen::Man::new(command.display_name(name)).render(&mut page)?;
        fs::write(&path, page).map_err(|error| cannot(&path, error))?;
    }
    Ok(Found::Nothing)
}
