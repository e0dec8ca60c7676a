//! What is wrong with a configuration, told so that one can mend it.

use std::fmt;

use super::def::ConfigDef;
use super::statics::Origin;

/// One or more settings that the broker cannot start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one: values that are wrong by themselves in the order of the file's lines, then
    /// those that do not go together.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was set: a file and line, or the command line.
    pub place: String,
    /// The setting, as `key=value`, a sensitive value hidden; or whatever it is about.
    pub subject: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What is valid.
    pub valid: String,
    /// What to do now.
    pub next: String,
}

impl Problem {
    /// Whether both are about the same setting in the same place.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        self.place == other.place && self.subject == other.subject
    }

    /// The problem `wrong` with the value that `origin` gives the key `def`.
    pub(super) fn with_value(def: &ConfigDef, value: &str, origin: &Origin, wrong: String) -> Self {
        let shown = if def.is_sensitive() { "(hidden)" } else { value };
        let (default, remedy) = match def.default.text() {
            Some("") => (" (empty by default)".to_owned(), ", or remove it to use the default"),
            Some(text) => (format!(" (default {text})"), ", or remove it to use the default"),
            None => (String::new(), ""),
        };
        Self {
            place: origin.to_string(),
            subject: format!("{}={shown}", def.name),
            wrong,
            valid: format!("{}{default}", def.valid_words()),
            next: format!("correct the value{remedy}"),
        }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.subject)?;
        writeln!(f, "  wrong: {}", self.wrong)?;
        if !self.valid.is_empty() {
            writeln!(f, "  valid: {}", self.valid)?;
        }
        write!(f, "  next: {}", self.next)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if 0 < n {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
