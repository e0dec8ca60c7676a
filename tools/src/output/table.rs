//! Columns and rows.
//!
//! A table that is wider than the terminal gives up the ends of its longest texts, and `…` stands
//! where something is left out. Numbers stay whole. What is not a terminal has no width: nothing is
//! left out there.

use serde_json::Value;

use super::Data;

/// The least width that a text is cut to, characters.
const TEXT_MIN: usize = 8;
const GAP: &str = "  ";

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    is_number: bool,
    is_wide: bool,
    is_data_only: bool,
}

/// A column of texts, by its name in data: `leaderEpoch` has the title `LEADER-EPOCH`.
pub(crate) const fn text(name: &'static str) -> Column {
    Column { name, is_number: false, is_wide: false, is_data_only: false }
}

/// A column of numbers.
pub(crate) const fn number(name: &'static str) -> Column {
    Column { name, is_number: true, is_wide: false, is_data_only: false }
}

impl Column {
    /// Only in wide tables, and in data.
    pub(crate) const fn wide(mut self) -> Self {
        self.is_wide = true;
        self
    }

    /// Only in data.
    pub(crate) const fn in_data(mut self) -> Self {
        self.is_data_only = true;
        self
    }
}

/// Rows of values under columns.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    name_columns: usize,
}

impl Table {
    /// No rows yet. The first column names a row.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), name_columns: 1 }
    }

    /// The same, with rows named by so many columns: `orders-0` by two.
    pub(crate) fn named_by(mut self, columns: usize) -> Self {
        self.name_columns = columns;
        self
    }

    /// Adds a row: a value for each column.
    ///
    /// # Panics
    /// When there are more or less.
    pub(crate) fn push<const N: usize>(&mut self, row: [Value; N]) {
        assert_eq!(N, self.columns.len(), "a row has a value for each column");
        self.rows.push(row.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the rows, one a line.
    pub(super) fn names(&self) -> String {
        let name = |row: &Vec<Value>| {
            let parts: Vec<String> = row.iter().take(self.name_columns).map(shown).collect();
            parts.join("-") + "\n"
        };
        self.rows.iter().map(name).collect()
    }

    /// An object for each row.
    pub(super) fn data(&self) -> Vec<Data> {
        let object = |row: &Vec<Value>| {
            let cells = self.columns.iter().zip(row);
            Data::Object(cells.map(|(of, value)| (of.name, Data::Leaf(value.clone()))).collect())
        };
        self.rows.iter().map(object).collect()
    }

    /// The lines of the table, its titles first.
    pub(super) fn lines(&self, is_wide: bool, width: Option<usize>) -> Vec<String> {
        let is_shown = |column: &Column| !column.is_data_only && (is_wide || !column.is_wide);
        let shown_columns: Vec<usize> =
            (0..self.columns.len()).filter(|n| is_shown(&self.columns[*n])).collect();
        let titles = shown_columns.iter().map(|n| title(self.columns[*n].name)).collect();
        let mut cells: Vec<Vec<String>> = vec![titles];
        for row in &self.rows {
            cells.push(shown_columns.iter().map(|n| shown(&row[*n])).collect());
        }
        let mut widths: Vec<usize> = (0..shown_columns.len())
            .map(|n| cells.iter().map(|row| row[n].chars().count()).max().unwrap_or(0))
            .collect();
        if let Some(width) = width {
            let texts: Vec<usize> =
                (0..widths.len()).filter(|n| !self.columns[shown_columns[*n]].is_number).collect();
            shrink(&mut widths, &texts, width);
        }
        let line = |row: &Vec<String>| {
            let padded = row.iter().enumerate().map(|(n, cell)| {
                let (cell, width) = (cut(cell, widths[n]), widths[n]);
                if self.columns[shown_columns[n]].is_number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        cells.iter().map(line).collect()
    }
}

/// Takes from the widest of these columns till all fit, or none can be less.
fn shrink(widths: &mut [usize], texts: &[usize], width: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
    while excess > 0 {
        let widest = texts.iter().copied().max_by_key(|n| widths[*n]);
        let Some(widest) = widest.filter(|n| widths[*n] > TEXT_MIN) else { return };
        widths[widest] -= 1;
        excess -= 1;
    }
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A value in a table. Control characters would move the rest of it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => {
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
        }
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// `leaderEpoch` as `LEADER-EPOCH`.
fn title(name: &str) -> String {
    spaced(name, '-').to_ascii_uppercase()
}

/// `leaderEpoch` as `Leader epoch`.
pub(super) fn words(name: &str) -> String {
    let words = spaced(name, ' ').to_ascii_lowercase();
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn spaced(name: &str, gap: char) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push(gap);
        }
        text.push(c);
    }
    text
}
