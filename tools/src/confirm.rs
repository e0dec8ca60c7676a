//! Asking before anything is lost.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::CannotRun;

/// The option of commands that destroy something.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Yes {
    /// Does it without asking
    #[arg(short, long)]
    yes: bool,
}

impl Yes {
    /// Asks whether to do it, unless the option says so.
    ///
    /// # Errors
    /// The answer is no, or there is no terminal to ask at.
    pub(crate) fn confirm(self, what: &str) -> Result<(), CannotRun> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let why = format!("would {what}, and there is no terminal to ask at; give --yes");
            return Err(CannotRun(why));
        }
        write!(io::stderr(), "{what}? [y/N] ")?;
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(CannotRun("nothing was done".to_owned())),
        }
    }
}
