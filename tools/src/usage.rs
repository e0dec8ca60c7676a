//! Wrong arguments, in one line: what is wrong, and what was probably meant.

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::{Cli, complaint};

/// Prints why the arguments are wrong, or the help that was asked for, and ends the program.
pub(crate) fn exit(error: &clap::Error) -> ! {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    complaint::print(in_a_line(&error.to_string(), &command_of(std::env::args().skip(1))));
    std::process::exit(2);
}

/// Of an error's paragraphs: the cause, and a tip or where the help is.
pub(crate) fn in_a_line(text: &str, command: &str) -> String {
    let (mut cause, mut tip) = (Vec::new(), None);
    for line in text.lines().take_while(|line| !line.starts_with("Usage: ")) {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("tip: ") {
            tip = tip.or(Some(meant(text)));
        } else if !line.is_empty() && !line.starts_with("For more information") {
            cause.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    let tip = tip.unwrap_or_else(|| format!("see {command} --help"));
    format!("{}; {tip}", cause.join(" "))
}

/// The command that was called, as far as it is one: `ottlactl topics create`.
fn command_of(words: impl Iterator<Item = String>) -> String {
    let (mut command, mut path) = (Cli::command(), "ottlactl".to_owned());
    for word in words {
        if let Some(within) = command.find_subcommand(&word).cloned() {
            path = format!("{path} {word}");
            command = within;
        }
    }
    path
}

/// `a similar argument exists: '--partitions'` as a question.
fn meant(tip: &str) -> String {
    match tip.split_once(" exists: '").or(tip.split_once(" exist: '")) {
        Some((_, names)) => format!("did you mean {}?", names.replace('\'', "")),
        None => tip.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_clap_fit_a_line() {
        let text = "error: unrecognized subcommand 'topic'\n\n  tip: a similar subcommand exists: \
                    'topics'\n\nUsage: ottlactl [OPTIONS] <COMMAND>\n\nFor more information, try \
                    '--help'.\n";
        let line = "unrecognized subcommand 'topic'; did you mean topics?";
        assert_eq!(in_a_line(text, "ottlactl topics create"), line);
        let text = "error: the following required arguments were not provided:\n  <NAME>...\n\n\
                    Usage: ottlactl topics create <NAME>...\n\nFor more information, try '--help'.";
        let line = "the following required arguments were not provided: <NAME>...; \
                    see ottlactl topics create --help";
        assert_eq!(in_a_line(text, "ottlactl topics create"), line);
    }
}
