//! The same questions to Apache Kafka and to the broker, and the answers side by side.
//!
//! The questions are lists: `interop/tools.txt` of calls of Kafka's own tools, and
//! `interop/requests.txt` of requests as they go over the wire. A program of `interop/java`
//! asks both brokers in one JVM and prints what only one of them says; what may differ, and why, is
//! in `docs/DIFFERENCES.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Shop;
use super::broker::{Kind, Site};
use super::differences::Differences;
use super::process::Process;
use super::toolbox::Need;
use crate::gate::Outcome;

/// For all questions of one list; two minutes are enough on an idle machine.
const LIMIT: Duration = Duration::from_secs(900);

/// Lines shown of one case.
const SHOWN_MAX: usize = 8;

/// Runs Kafka's tools against both.
pub(crate) fn tools(shop: &Shop) -> Result<Outcome> {
    let list = shop.toolbox.sources.join("tools.txt");
    compare(shop, "tools", |first, second, folder| {
        let mut command = shop.toolbox.java();
        command.arg("CompareTools").arg(list).arg(folder);
        for site in [first, second] {
            command.arg(site.bootstrap()).arg(site.data());
        }
        command
    })
}

/// Sends requests of every kind to both.
pub(crate) fn differential(shop: &Shop) -> Result<Outcome> {
    let list = shop.toolbox.sources.join("requests.txt");
    compare(shop, "differential", |first, second, folder| {
        let mut command = shop.toolbox.java();
        command.arg("Differential").arg(list).arg(folder);
        command.args([first.bootstrap(), second.bootstrap()]);
        command
    })
}

fn compare(
    shop: &Shop,
    lane: &str,
    command: impl FnOnce(&Site, &Site, PathBuf) -> Command,
) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let differences = Differences::read(&shop.toolbox.root)?;
    let first = Site::fresh(&shop.toolbox, &format!("{lane}-first"))?;
    let second = Site::fresh(&shop.toolbox, &format!("{lane}-second"))?;
    let brokers = [first.start(Kind::Kafka)?, second.start(shop.kind)?];
    let folder = shop.toolbox.log(&format!("{lane}-answers"));
    let command = command(&first, &second, folder.clone());
    let log = shop.toolbox.log(&format!("{lane}.log"));
    let mut process = Process::start(command, &log, LIMIT)?;
    let mut tally = Tally { lane, differences: &differences, cases: BTreeMap::new() };
    let mut last = String::new();
    while let Some(line) = process.line()? {
        tally.hear(&line);
        last = line;
    }
    for broker in brokers {
        broker.stop()?;
    }
    println!("{lane}: whole answers are in {}", folder.display());
    ensure!(last == "end", "it ended early, see {}", log.display());
    Ok(tally.outcome())
}

/// What is known of each case.
struct Tally<'a> {
    lane: &'a str,
    differences: &'a Differences,
    /// The lines of a case that have no reason, and the reasons of the others.
    cases: BTreeMap<String, (Vec<String>, Vec<String>)>,
}

impl Tally<'_> {
    fn hear(&mut self, line: &str) {
        if let Some(case) = line.strip_prefix("same ") {
            self.cases.entry(case.to_owned()).or_default();
            return;
        }
        let Some(rest) = line.strip_prefix("differs ") else { return };
        let Some((case, what)) = rest.split_once('\t') else { return };
        let (unknown, reasons) = self.cases.entry(case.to_owned()).or_default();
        match self.differences.reason(self.lane, case, what) {
            Some(reason) => {
                if !reasons.iter().any(|known| known == reason) {
                    reasons.push(reason.to_owned());
                }
            }
            None => unknown.push(what.replace('\t', ": ")),
        }
    }

    fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut explained = 0;
        for (case, (unknown, reasons)) in &self.cases {
            for reason in reasons {
                println!("{}: {case}: differs: {reason}", self.lane);
            }
            for line in unknown.iter().take(SHOWN_MAX) {
                println!("FAIL {} {case}: {line}", self.lane);
            }
            explained += usize::from(!reasons.is_empty());
            outcome.add(Outcome::of(unknown.is_empty()));
        }
        for row in self.differences.unmet(self.lane) {
            println!("{}: differs no more, take it out of docs/DIFFERENCES.md: {row}", self.lane);
        }
        println!("{}: {} cases, {explained} with known differences", self.lane, self.cases.len());
        outcome
    }
}
