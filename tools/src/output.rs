//! Results on standard output: as tables for people, as data for programs.
//!
//! | module | what it is |
//! |---|---|
//! | [`table`] | columns and rows, and how they fit a terminal |
//! | [`data`] | the same as JSON or YAML |
//! | [`changes`] | what became of several things |

mod changes;
mod data;
mod table;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use serde_json::Value;

pub(crate) use changes::Fate;
pub(crate) use data::Data;
pub(crate) use table::{Table, number, text};

use crate::{CannotRun, Found, Outcome};

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table that fits the terminal
    #[value(alias = "text")]
    Table,
    /// A table with more columns
    Wide,
    /// An array of objects
    Json,
    /// The same as YAML
    Yaml,
    /// Names only, one a line
    Name,
}

/// Where and how results are printed.
pub(crate) struct Output {
    format: Format,
    is_colored: bool,
    /// Columns of the terminal; `None` for no bound, when it is none.
    width: Option<usize>,
}

/// One thing that is described: what is true of it, and lists of its parts.
pub(crate) struct Section {
    /// Names and values, the name of the thing first.
    pub(crate) facts: Vec<(&'static str, Value)>,
    /// Lists by their names in data.
    pub(crate) tables: Vec<(&'static str, Table)>,
}

impl Output {
    pub(crate) fn new(format: Option<Format>, may_color: bool) -> Self {
        crate::complaint::may_color(may_color);
        let is_terminal = io::stdout().is_terminal();
        let width = is_terminal.then(terminal_size::terminal_size).flatten();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            format: format.unwrap_or(Format::Table),
            is_colored: may_color && is_terminal && !is_dumb,
            width: width.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0),
        }
    }

    /// Whether programs read it.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// The form that is printed.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Prints a table.
    pub(crate) fn table(&self, table: &Table) -> Result<(), CannotRun> {
        let text = match self.format {
            Format::Table | Format::Wide => self.drawn(table),
            Format::Name => table.names(),
            Format::Json | Format::Yaml => self.encoded(&Data::List(table.data())),
        };
        self.print(&text)
    }

    /// Prints the rows of what did not fail, which was told: when all has, no titles above nothing.
    pub(crate) fn table_of_rest(&self, table: &Table, found: Found) -> Outcome {
        if self.is_data() || found == Found::Nothing || !table.is_empty() {
            self.table(table)?;
        }
        Ok(found)
    }

    /// Prints what is described.
    pub(crate) fn sections(&self, sections: &[Section]) -> Result<(), CannotRun> {
        let text = match self.format {
            Format::Json | Format::Yaml => {
                self.encoded(&Data::List(sections.iter().map(Section::data).collect()))
            }
            Format::Name => sections.iter().fold(String::new(), |mut text, section| {
                _ = writeln!(text, "{}", section.name());
                text
            }),
            Format::Table | Format::Wide => {
                let drawn: Vec<String> =
                    sections.iter().map(|section| self.section(section)).collect();
                drawn.join("\n")
            }
        };
        self.print(&text)
    }

    fn section(&self, section: &Section) -> String {
        let titles = section.facts.iter().map(|(name, _)| table::words(name));
        let width = titles.clone().map(|title| title.len()).max().unwrap_or(0) + 1;
        let mut text = String::new();
        for ((_, value), title) in section.facts.iter().zip(titles) {
            let title = format!("{title}:");
            let padding = width - title.len();
            _ = writeln!(text, "{}{:padding$} {}", self.bold(&title), "", table::shown(value));
        }
        for (_, table) in section.tables.iter().filter(|(_, table)| !table.is_empty()) {
            text.push('\n');
            text.push_str(&self.drawn(table));
        }
        text
    }

    /// Prints text as it is.
    pub(crate) fn print(&self, text: &str) -> Result<(), CannotRun> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    fn drawn(&self, table: &Table) -> String {
        let is_wide = self.format == Format::Wide;
        let lines = table.lines(is_wide, self.width);
        let mut text = String::new();
        for (n, line) in lines.iter().enumerate() {
            _ = if n == 0 {
                writeln!(text, "{}", self.bold(line))
            } else {
                writeln!(text, "{line}")
            };
        }
        text
    }

    fn encoded(&self, data: &Data) -> String {
        if self.format == Format::Yaml { data.yaml() } else { data.json() }
    }

    fn bold(&self, text: &str) -> String {
        if self.is_colored { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Section {
    fn name(&self) -> String {
        self.facts.first().map(|(_, value)| table::shown(value)).unwrap_or_default()
    }

    fn data(&self) -> Data {
        let facts = self.facts.iter().map(|(name, value)| (*name, Data::Leaf(value.clone())));
        let tables = self.tables.iter().map(|(name, table)| (*name, Data::List(table.data())));
        Data::Object(facts.chain(tables).collect())
    }
}

#[cfg(test)]
mod tests;
