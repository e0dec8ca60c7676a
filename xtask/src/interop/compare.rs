//! The same questions to Apache Kafka and to the broker, and the answers side by side.
//!
//! The questions are lists: `interop/tools.txt` of calls of Kafka's own tools, and
//! `interop/requests.txt` of requests as they go over the wire. A program of `interop/java`
//! asks both brokers in one JVM and prints what only one of them says; what may differ, and why, is
//! in `docs/DIFFERENCES.md`.

use std::collections::BTreeMap;
use std::iter;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::broker::{Kind, Running, Site};
use super::differences::Differences;
use super::process::Process;
use super::toolbox::Need;
use super::{Lane, Shop, ottlactl};
use crate::gate::Outcome;

/// For all questions of one list; two minutes are enough on an idle machine.
const LIMIT: Duration = Duration::from_secs(900);

/// Lines shown of one case.
const SHOWN_MAX: usize = 8;

/// Runs Kafka's tools against both, and `ottlactl` by those tools' names against another Apache
/// Kafka, as far as these are asked for.
pub(crate) fn tools(shop: &Shop) -> Result<Outcome> {
    let list = shop.toolbox.sources.join("tools.txt");
    let mut others = Vec::new();
    if shop.wants(Lane::Tools) {
        others.push(Other { lane: "tools", kind: shop.kind, tools: "kafka".to_owned() });
    }
    if shop.wants(Lane::Ottlactl) {
        let tools = ottlactl::links(&shop.toolbox)?.display().to_string();
        others.push(Other { lane: "ottlactl", kind: Kind::Kafka, tools });
    }
    compare(shop, "tools", &others, |first, sites, folder| {
        let mut command = shop.toolbox.java();
        command.arg("CompareTools").arg(list).arg(folder);
        command.arg(first.bootstrap()).arg(first.data());
        for (other, site) in others.iter().zip(sites) {
            command.args([other.lane, &other.tools, site.bootstrap()]).arg(site.data());
        }
        command
    })
}

/// Sends requests of every kind to both.
pub(crate) fn differential(shop: &Shop) -> Result<Outcome> {
    let list = shop.toolbox.sources.join("requests.txt");
    let other = Other { lane: "differential", kind: shop.kind, tools: String::new() };
    compare(shop, "differential", &[other], |first, sites, folder| {
        let mut command = shop.toolbox.java();
        command.arg("Differential").arg(list).arg(folder).arg(first.bootstrap());
        command.args(sites.iter().map(Site::bootstrap));
        command
    })
}

/// What is compared with Apache Kafka.
struct Other {
    /// Where what may differ is looked up.
    lane: &'static str,
    kind: Kind,
    /// What calls go to it by.
    tools: String,
}

fn compare(
    shop: &Shop,
    name: &str,
    others: &[Other],
    command: impl FnOnce(&Site, &[Site], PathBuf) -> Command,
) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let differences = Differences::read(&shop.toolbox.root)?;
    let first = Site::fresh(&shop.toolbox, &format!("{name}-first"))?;
    let fresh = |other: &Other| Site::fresh(&shop.toolbox, &format!("{}-second", other.lane));
    let sites: Vec<Site> = others.iter().map(fresh).collect::<Result<_>>()?;
    let kinds = others.iter().map(|other| other.kind);
    let brokers = start_all(iter::once((&first, Kind::Kafka)).chain(sites.iter().zip(kinds)))?;
    let folder = shop.toolbox.log(&format!("{name}-answers"));
    let command = command(&first, &sites, folder.clone());
    let log = shop.toolbox.log(&format!("{name}.log"));
    let mut process = Process::start(command, &log, LIMIT)?;
    let tally = |other: &Other| Tally {
        lane: other.lane,
        differences: &differences,
        cases: BTreeMap::new(),
    };
    let mut tallies: Vec<Tally> = others.iter().map(tally).collect();
    let mut last = String::new();
    while let Some(line) = process.line()? {
        for tally in &mut tallies {
            tally.hear(&line);
        }
        last = line;
    }
    for broker in brokers {
        broker.stop()?;
    }
    println!("{name}: whole answers are in {}", folder.display());
    ensure!(last == "end", "it ended early, see {}", log.display());
    let mut outcome = Outcome::default();
    for tally in tallies {
        outcome.add(tally.outcome());
    }
    Ok(outcome)
}

/// Starts brokers side by side.
fn start_all<'a, 'b: 'a>(
    brokers: impl Iterator<Item = (&'a Site<'b>, Kind)>,
) -> Result<Vec<Running>> {
    thread::scope(|scope| {
        let threads: Vec<_> =
            brokers.map(|(site, kind)| scope.spawn(move || site.start(kind))).collect();
        threads.into_iter().map(|t| t.join().expect("a start does not panic")).collect()
    })
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
        let Some(line) = line.strip_prefix(self.lane).and_then(|line| line.strip_prefix(' '))
        else {
            return;
        };
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
