//! Figures of several rounds, as a table of medians and ratios and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Subject;

/// All figures, by what was measured and of whom, a value a round.
#[derive(Default)]
pub(crate) struct Figures {
    /// In the order in which they were first measured.
    names: Vec<String>,
    values: BTreeMap<(String, Subject), Vec<f64>>,
    failures: Vec<String>,
}

impl Figures {
    pub(crate) fn add(&mut self, name: &str, subject: Subject, value: f64) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.values.entry((name.to_owned(), subject)).or_default().push(value);
    }

    /// Adds the field `key` of a generator's answer.
    pub(crate) fn take(
        &mut self,
        name: &str,
        subject: Subject,
        answer: &BTreeMap<String, Value>,
        key: &str,
    ) -> Result<()> {
        let value = answer.get(key).and_then(Value::as_f64);
        self.add(name, subject, value.with_context(|| format!("no {key} in {answer:?}"))?);
        Ok(())
    }

    /// Notes what could not be measured, and lets the rest go on.
    pub(crate) fn note(&mut self, of: &str, result: Result<()>) {
        if let Err(error) = result {
            let told = format!("{of}: {error:#}");
            println!("FAILED: {told}");
            self.failures.push(told);
        }
    }

    /// Fails when something could not be measured.
    pub(crate) fn check(&self) -> Result<()> {
        let failures = &self.failures;
        ensure!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
        Ok(())
    }

    fn of(&self, name: &str, subject: Subject) -> Option<&[f64]> {
        self.values.get(&(name.to_owned(), subject)).map(Vec::as_slice)
    }

    /// Medians, with the least and the greatest value. A ratio is the median of the rounds' ratios:
    /// what both met in one round tells the most.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| | floor | Ottla | Apache Kafka | Ottla / floor | Ottla / Kafka |\n\
             |---|---|---|---|---|---|\n",
        );
        for name in &self.names {
            let [floor, ottla, kafka] = [Subject::Floor, Subject::Ottla, Subject::Kafka]
                .map(|subject| self.of(name, subject));
            let ratio = |other: Option<&[f64]>| match (ottla, other) {
                (Some(ottla), Some(other)) => told_ratio(ottla, other),
                _ => String::new(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| {name} | {} | {} | {} | {} | {} |",
                told(floor),
                told(ottla),
                told(kafka),
                ratio(floor),
                ratio(kafka)
            );
        }
        for failure in &self.failures {
            let _ = writeln!(table, "\nFailed: {failure}");
        }
        table
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.names.iter().map(|name| {
            let values = |subject| self.of(name, subject).unwrap_or_default().to_vec();
            json!({
                "name": name,
                "floor": values(Subject::Floor),
                "ottla": values(Subject::Ottla),
                "kafka": values(Subject::Kafka),
            })
        });
        Value::Array(rows.collect())
    }
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

fn told(values: Option<&[f64]>) -> String {
    let Some(values) = values else { return String::new() };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} ({}..{})", short(median(values)), short(least), short(greatest))
}

/// Round by round; of the medians when one was measured in fewer rounds.
fn told_ratio(ottla: &[f64], other: &[f64]) -> String {
    if ottla.len() != other.len() || ottla.len() == 1 {
        let ratio = median(ottla) / median(other);
        return if median(other).is_finite() { short(ratio) } else { String::new() };
    }
    let pairs = ottla.iter().zip(other);
    let ratios: Vec<f64> =
        pairs.filter(|(_, other)| other.is_finite()).map(|(ottla, other)| ottla / other).collect();
    if ratios.is_empty() { String::new() } else { told(Some(&ratios)) }
}

/// What did not happen in time took for ever.
fn short(value: f64) -> String {
    match value {
        f64::INFINITY => "not in time".to_owned(),
        100.0.. => format!("{value:.0}"),
        ..0.1 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_spread_and_ratios() {
        let mut figures = Figures::default();
        for value in [3.0, 1.0, 2.0] {
            figures.add("x", Subject::Ottla, value);
        }
        figures.add("x", Subject::Floor, 1.0);
        figures.add("x", Subject::Floor, 3.0);
        let table = figures.table();
        let row = table.lines().last().unwrap();
        assert_eq!(row, "| x | 2.00 (1.00..3.00) | 2.00 (1.00..3.00) |  | 1.00 |  |");
        for value in [30.0, 100.0, 40.0] {
            figures.add("x", Subject::Kafka, value);
        }
        let table = figures.table();
        let ratio = " | 0.0500 (0.0100..0.10) |";
        assert!(table.lines().last().unwrap().ends_with(ratio), "{table}");
    }
}
