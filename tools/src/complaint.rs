//! Words on standard error: one line that says the cause and the next step, and what the client
//! does when that is asked for.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, Log, Metadata, Record};

static IS_COLORED: AtomicBool = AtomicBool::new(false);

/// Whether complaints may have colors, if standard error is a terminal.
pub(crate) fn may_color(may: bool) {
    IS_COLORED.store(may && io::stderr().is_terminal(), Ordering::Relaxed);
}

/// Prints one. Standard error may be closed, which is no reason to panic.
pub(crate) fn print(what: impl fmt::Display) {
    let (red, plain) =
        if IS_COLORED.load(Ordering::Relaxed) { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let what = harmless(&what.to_string()).replace(['\n', '\t'], " ");
    _ = writeln!(io::stderr(), "{red}ottlactl:{plain} {what}");
}

/// A text that may have a broker's words in it, without what would move the terminal.
fn harmless(text: &str) -> String {
    let is_kept = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_kept(c) { c } else { '\u{fffd}' }).collect()
}

/// Prints one as Kafka's tools do, without the program's name.
pub(crate) fn plain(what: &str) {
    _ = writeln!(io::stderr(), "{}", harmless(what));
}

/// Lets the client tell what it does, on standard error.
pub(crate) fn log(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    // It is set once, at the start.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = record.level().as_str().to_ascii_lowercase();
        let what = harmless(&record.args().to_string());
        _ = writeln!(io::stderr(), "{level}: {}: {what}", record.target());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_brokers_do_not_move_the_terminal() {
        assert_eq!(
            harmless("t: \x1b]0;mine\x07é\tx\ny\r"),
            "t: \u{fffd}]0;mine\u{fffd}é\tx\ny\u{fffd}"
        );
    }
}
