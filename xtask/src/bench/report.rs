//! Figures of several rounds, as a table of medians and ratios and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Subject;
use super::goal::{self, Goal, Row};

/// A generator that took more of its processor may be what was measured.
const GENERATOR_SHARE_MAX: f64 = 0.85;

/// All figures, by what was measured and of whom, a value a round.
#[derive(Default)]
pub(crate) struct Figures {
    /// In the order in which they were first measured.
    names: Vec<String>,
    values: BTreeMap<(String, Subject), Vec<f64>>,
    goals: BTreeMap<String, Goal>,
    /// In how many rounds a subject did not keep up with the load that a row is about.
    behind: BTreeMap<(String, Subject), usize>,
    /// Whose generator had little to spare.
    busy: Vec<String>,
    failures: Vec<String>,
}

impl Figures {
    pub(crate) fn add(&mut self, name: &str, subject: Subject, value: f64) {
        self.know(name);
        self.values.entry((name.to_owned(), subject)).or_default().push(value);
    }

    fn know(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// Sets what Ottla's figure should be.
    pub(crate) fn aim(&mut self, name: &str, goal: Goal) {
        self.goals.insert(name.to_owned(), goal);
    }

    /// Adds the fields of a generator's answer that the rows name.
    pub(crate) fn take_rows(
        &mut self,
        rows: &[Row<'_>],
        subject: Subject,
        answer: &BTreeMap<String, Value>,
    ) -> Result<()> {
        for row in rows {
            self.aim(row.name, row.goal);
            self.take(row.name, subject, answer, row.key)?;
        }
        let share = answer.get("generator_cpu_share").and_then(Value::as_f64).unwrap_or_default();
        if share >= GENERATOR_SHARE_MAX {
            let told = |row: &Row<'_>| format!("{} ({subject:?}, {share:.2})", row.name);
            self.busy.extend(rows.iter().map(told));
        }
        Ok(())
    }

    /// Adds what the subject's last figure of one row is in shares of its last one of another.
    pub(crate) fn add_ratio(
        &mut self,
        (name, goal): (&str, Goal),
        subject: Subject,
        (over, under): (&str, &str),
    ) -> Result<()> {
        let last = |of: &str| {
            let value = self.of(of, subject).and_then(<[f64]>::last).copied();
            value.with_context(|| format!("{of} was not measured"))
        };
        let ratio = last(over)? / last(under)?;
        self.aim(name, goal);
        self.add(name, subject, ratio);
        Ok(())
    }

    /// Notes that figures would mean nothing, since there was more to do than was done.
    pub(crate) fn add_behind(&mut self, rows: &[Row<'_>], subject: Subject) {
        for row in rows {
            self.know(row.name);
            self.aim(row.name, row.goal);
            *self.behind.entry((row.name.to_owned(), subject)).or_default() += 1;
        }
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

    /// The figures of a subject that kept up in all rounds.
    fn kept_up(&self, name: &str, subject: Subject) -> Option<&[f64]> {
        let is_behind = self.behind.contains_key(&(name.to_owned(), subject));
        self.of(name, subject).filter(|_| !is_behind)
    }

    /// Medians, with the least and the greatest value. A ratio is the median of the rounds' ratios:
    /// what both met in one round tells the most.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| | floor | Ottla | Apache Kafka | Ottla / floor | Ottla / Kafka | goal | |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for name in &self.names {
            let [floor, ottla, kafka] = [Subject::Floor, Subject::Ottla, Subject::Kafka]
                .map(|subject| self.cell(name, subject));
            let ratio = |other| self.ratios(name, other).map_or(String::new(), |of| told(&of));
            let goal = self.goals.get(name).copied().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| {name} | {floor} | {ottla} | {kafka} | {} | {} | {} | {} |",
                ratio(Subject::Floor),
                ratio(Subject::Kafka),
                goal::told(goal),
                self.verdict(name, goal)
            );
        }
        if !self.busy.is_empty() {
            let share = GENERATOR_SHARE_MAX * 100.0;
            let busy = self.busy.join("; ");
            let _ = writeln!(table, "\nThe generator took {share} % of its processor in: {busy}.");
        }
        for failure in &self.failures {
            let _ = writeln!(table, "\nFailed: {failure}");
        }
        table
    }

    fn cell(&self, name: &str, subject: Subject) -> String {
        let values = self.of(name, subject);
        let Some(behind) = self.behind.get(&(name.to_owned(), subject)) else {
            return values.map_or(String::new(), told);
        };
        let rounds = behind + values.map_or(0, <[f64]>::len);
        let told = "does not keep up";
        if *behind == rounds { told.to_owned() } else { format!("{told} ({behind} of {rounds})") }
    }

    /// Ottla's figures in shares of another's; `None` when one of them has none.
    fn ratios(&self, name: &str, other: Subject) -> Option<Vec<f64>> {
        let ottla = self.kept_up(name, Subject::Ottla)?;
        let ratios = ratios(ottla, self.kept_up(name, other)?);
        Some(ratios).filter(|ratios| !ratios.is_empty())
    }

    fn verdict(&self, name: &str, goal: Goal) -> &'static str {
        let ratio = |other| self.ratios(name, other).map(|ratios| median(&ratios));
        match self.kept_up(name, Subject::Ottla) {
            Some(ottla) => goal::verdict(goal, median(ottla), ratio),
            None if goal.is_empty() => "",
            None if self.behind.contains_key(&(name.to_owned(), Subject::Ottla)) => "missed",
            None => "open",
        }
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.names.iter().map(|name| {
            let goal = self.goals.get(name).copied().unwrap_or_default();
            let values = |subject| self.of(name, subject).unwrap_or_default().to_vec();
            json!({
                "name": name,
                "floor": values(Subject::Floor),
                "ottla": values(Subject::Ottla),
                "kafka": values(Subject::Kafka),
                "kafka_behind_rounds": self.behind.get(&(name.clone(), Subject::Kafka)),
                "ottla_behind_rounds": self.behind.get(&(name.clone(), Subject::Ottla)),
                "goal": goal::told(goal),
                "verdict": self.verdict(name, goal),
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

pub(super) fn told(values: &[f64]) -> String {
    if let [value] = values {
        return short(*value);
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} ({}..{})", short(median(values)), short(least), short(greatest))
}

/// Round by round; of the medians when one was measured in fewer rounds. What took for ever is no
/// measure for others.
pub(super) fn ratios(ottla: &[f64], other: &[f64]) -> Vec<f64> {
    let medians = ([median(ottla)], [median(other)]);
    let (ottla, other) =
        if ottla.len() == other.len() { (ottla, other) } else { (&medians.0[..], &medians.1[..]) };
    let pairs = ottla.iter().zip(other);
    pairs.filter(|(_, other)| other.is_finite()).map(|(ottla, other)| ottla / other).collect()
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
    use crate::bench::goal::{Bound, row};

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
        assert_eq!(row, "| x | 2.00 (1.00..3.00) | 2.00 (1.00..3.00) |  | 1.00 |  |  |  |");
        for value in [30.0, 100.0, 40.0] {
            figures.add("x", Subject::Kafka, value);
        }
        let table = figures.table();
        let ratio = " | 0.0500 (0.0100..0.10) |  |  |";
        assert!(table.lines().last().unwrap().ends_with(ratio), "{table}");
    }

    #[test]
    fn a_goal_is_judged_by_the_median_of_the_ratios() {
        let mut figures = Figures::default();
        figures.aim("x", &[Bound::MostOf(0.3, Subject::Kafka)]);
        assert_eq!(figures.verdict("x", figures.goals["x"]), "open");
        for (ottla, kafka) in [(1.0, 10.0), (2.0, 4.0), (3.0, 10.0)] {
            figures.add("x", Subject::Ottla, ottla);
            figures.add("x", Subject::Kafka, kafka);
        }
        let table = figures.table();
        let end = "| 0.30 (0.10..0.50) | <= 0.3 x Kafka | met |";
        assert!(table.lines().last().unwrap().ends_with(end), "{table}");
    }

    #[test]
    fn who_does_not_keep_up_has_no_ratio() {
        let mut figures = Figures::default();
        let rows = [row("x", "x").to(&[Bound::Most(2.0), Bound::MostOf(0.3, Subject::Kafka)])];
        figures.add("x", Subject::Ottla, 1.0);
        figures.add_behind(&rows, Subject::Kafka);
        let told = "| x |  | 1.00 | does not keep up |  |  | <= 2, <= 0.3 x Kafka | open |";
        assert_eq!(figures.table().lines().last().unwrap(), told);
        figures.add("x", Subject::Kafka, 9.0);
        let told = "| does not keep up (1 of 2) |  |  | <= 2, <= 0.3 x Kafka | open |";
        assert!(figures.table().lines().last().unwrap().ends_with(told));
        figures.add_behind(&rows, Subject::Ottla);
        assert!(figures.table().lines().last().unwrap().ends_with("| missed |"));
    }

    #[test]
    fn a_ratio_of_rows_is_that_of_the_round() {
        let mut figures = Figures::default();
        for (alone, among) in [(1.0, 1.0), (2.0, 3.0)] {
            figures.add("alone", Subject::Ottla, alone);
            figures.add("among", Subject::Ottla, among);
            let name: (&str, Goal) = ("among / alone", &[Bound::Most(1.1)]);
            figures.add_ratio(name, Subject::Ottla, ("among", "alone")).unwrap();
        }
        let told = "| among / alone |  | 1.25 (1.00..1.50) |  |  |  | <= 1.1 | missed |";
        assert_eq!(figures.table().lines().last().unwrap(), told);
        let of_kafka = figures.add_ratio(("x", &[]), Subject::Kafka, ("among", "alone"));
        assert!(of_kafka.is_err());
    }

    #[test]
    fn a_busy_generator_is_told() {
        let mut figures = Figures::default();
        let answer = |share: f64| {
            BTreeMap::from([
                ("x".to_owned(), json!(1)),
                ("generator_cpu_share".into(), json!(share)),
            ])
        };
        figures.take_rows(&[row("x", "x")], Subject::Ottla, &answer(0.5)).unwrap();
        assert!(!figures.table().contains("generator"));
        figures.take_rows(&[row("x", "x")], Subject::Ottla, &answer(0.93)).unwrap();
        assert!(figures.table().ends_with("85 % of its processor in: x (Ottla, 0.93).\n"));
    }
}
