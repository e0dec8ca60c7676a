//! Figures of several clients, side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bench::report::{ratios, told};

/// What one run of a client tells, and how it is called.
const FIGURES: [(&str, &str); 3] = [
    ("records/s", "records_per_s"),
    ("records a CPU second", "records_per_cpu_s"),
    ("peak memory, MiB", "peak_mib"),
];

/// Rows of figures, a value a round for each client.
pub(super) struct Table {
    clients: &'static [&'static str],
    /// In the order in which they were first measured.
    names: Vec<String>,
    values: BTreeMap<(String, String), Vec<f64>>,
}

impl Table {
    /// Nothing yet. Others are compared with the first of the clients.
    pub(super) fn new(clients: &'static [&'static str]) -> Self {
        Self { clients, names: Vec::new(), values: BTreeMap::new() }
    }

    /// Adds the figures that a client tells.
    pub(super) fn take(&mut self, name: &str, client: &str, answer: &Value) -> Result<()> {
        for (figure, key) in FIGURES {
            let value = answer[key].as_f64().with_context(|| format!("no {key} in {answer}"))?;
            self.add(&format!("{name}: {figure}"), client, value);
        }
        Ok(())
    }

    pub(super) fn add(&mut self, name: &str, client: &str, value: f64) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.values.entry((name.to_owned(), client.to_owned())).or_default().push(value);
    }

    fn of(&self, name: &str, client: &str) -> &[f64] {
        self.values.get(&(name.to_owned(), client.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Medians, with the least and the greatest value; then the first client's figures in shares of
    /// each other's, each the median of the rounds' ratios.
    pub(super) fn told(&self) -> String {
        let first = self.clients[0];
        let others = &self.clients[1..];
        let mut table = format!("| | {} |", self.clients.join(" | "));
        for other in others {
            table += &format!(" {first} / {other} |");
        }
        table += &format!("\n|{}\n", "---|".repeat(self.clients.len() + others.len() + 1));
        for name in &self.names {
            table += &format!("| {name} |");
            for client in self.clients {
                table += &format!(" {} |", cell(self.of(name, client)));
            }
            for other in others {
                let ratios = ratios_of(self.of(name, first), self.of(name, other));
                table += &format!(" {} |", cell(&ratios));
            }
            // Writing to a string cannot fail.
            let _ = writeln!(table);
        }
        table
    }

    pub(super) fn json(&self) -> Value {
        let rows = self.names.iter().map(|name| {
            let values = self.clients.iter().map(|client| (*client, self.of(name, client)));
            json!({ "name": name, "values": values.collect::<BTreeMap<_, _>>() })
        });
        Value::Array(rows.collect())
    }
}

fn ratios_of(first: &[f64], other: &[f64]) -> Vec<f64> {
    if first.is_empty() || other.is_empty() { Vec::new() } else { ratios(first, other) }
}

fn cell(values: &[f64]) -> String {
    if values.is_empty() { String::new() } else { told(values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_compared_with_the_first() {
        let mut table = Table::new(&["a", "b", "c"]);
        for (client, peak) in [("a", 2.0), ("b", 4.0), ("a", 3.0), ("b", 12.0)] {
            table.add("peak", client, peak);
        }
        let text = table.told();
        let row = text.lines().nth(2).unwrap();
        assert_eq!(
            row,
            "| peak | 2.50 (2.00..3.00) | 8.00 (4.00..12.00) |  | 0.38 (0.25..0.50) |  |"
        );
        let answer = json!({ "records_per_s": 1.0, "records_per_cpu_s": 2.0 });
        let error = table.take("producer", "a", &answer).unwrap_err();
        assert!(error.to_string().starts_with("no peak_mib in"), "{error}");
        assert_eq!(table.json()[0]["values"]["b"], json!([4.0, 12.0]));
    }
}
