//! One directory, served by Apache Kafka and by the broker in turn, after clean stops and kills.
//!
//! A program of `interop/java` writes at every stop, keeps what was acknowledged and what could be
//! seen before the end, and compares it with what the next broker shows. [`logs`] looks at what
//! brokers say of the directory at their start, [`folders`] at what lies in it.

mod folders;
mod logs;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Shop;
use super::broker::{Kind, Site};
use super::process::Process;
use super::toolbox::Need;
use crate::gate::Outcome;

/// For all that the program does; the full volume takes some minutes.
const LIMIT: Duration = Duration::from_secs(3600);

/// Records of the short form and of the full one.
const RECORDS: u32 = 40_000;
const RECORDS_FULL: u32 = 250_000;

/// What was done by the scheduler is on disk after two of its rounds, and may be killed then.
const ROUNDS: Duration = Duration::from_millis(1500);

/// Two disks, few partitions of internal topics, and everything periodic soon and often.
const SETTINGS: &str = "offsets.topic.num.partitions=5
transaction.state.log.num.partitions=3
share.coordinator.state.topic.num.partitions=3
transaction.max.timeout.ms=900000
log.retention.ms=-1
log.initial.task.delay.ms=100
log.retention.check.interval.ms=300
log.cleaner.backoff.ms=200
log.flush.start.offset.checkpoint.interval.ms=500
log.flush.offset.checkpoint.interval.ms=500
log.segment.delete.delay.ms=1000
";

/// How a broker's time in the directory ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// It is asked to stop.
    Stopped,
    /// `kill -9`.
    Killed,
}

/// Runs all chains.
pub(crate) fn run(shop: &Shop) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let mut command = shop.toolbox.java();
    command.arg("Hops");
    let process = Process::start(command, &shop.toolbox.log("hops"), LIMIT)?;
    let mut lane = Lane { shop, process, outcome: Outcome::default() };
    let ours = shop.kind;
    let rich = lane.begin("kafka", Kind::Kafka)?;
    let copy = lane.copy(&rich, "kafka-killed")?;
    lane.follow(&rich, &[ours, Kind::Kafka, ours], [End::Stopped, End::Stopped])?;
    lane.follow(&copy, &[Kind::Kafka, ours, Kind::Kafka, ours], [End::Stopped, End::Killed])?;
    let born = lane.begin("ottla", ours)?;
    let copy = lane.copy(&born, "ottla-killed")?;
    lane.follow(&born, &[Kind::Kafka, ours], [End::Stopped, End::Stopped])?;
    lane.follow(&copy, &[ours, Kind::Kafka, ours], [End::Stopped, End::Killed])?;
    Ok(lane.outcome)
}

/// One broker's turn.
struct Stop {
    kind: Kind,
    /// For messages.
    what: String,
    /// For what is made there.
    name: String,
    /// Whether the transaction is ended that was left open.
    ends_open: bool,
}

struct Lane<'a> {
    shop: &'a Shop<'a>,
    process: Process,
    outcome: Outcome,
}

impl<'a> Lane<'a> {
    /// A directory that a broker formats and fills.
    fn begin(&mut self, name: &str, kind: Kind) -> Result<Site<'a>> {
        let name = format!("hops-{name}");
        let site = Site::fresh_in(&self.shop.toolbox, &name, &["one", "two"], SETTINGS)?;
        let records = if self.shop.args.full { RECORDS_FULL } else { RECORDS };
        let running = site.start(kind)?;
        self.must(&format!("use {name}"))?;
        self.must(&format!("rich {} {records}", site.bootstrap()))?;
        if kind == Kind::Kafka {
            self.must(&format!("transactions {}", site.bootstrap()))?;
        }
        self.ask(&name, &format!("remember {}", site.bootstrap()))?;
        running.stop()?;
        Ok(site)
    }

    /// Another directory with the same content and the same past.
    fn copy(&mut self, site: &Site<'a>, name: &str) -> Result<Site<'a>> {
        let copy = site.copy(&format!("hops-{name}"))?;
        self.must(&format!("use {}", copy.name()))?;
        self.must(&format!("copy {}", site.name()))?;
        Ok(copy)
    }

    /// Brokers take their turns in the directory; `ends` are how the last one before them ended
    /// and how they do.
    fn follow(&mut self, site: &Site, stops: &[Kind], ends: [End; 2]) -> Result<()> {
        let start = Instant::now();
        self.must(&format!("use {}", site.name()))?;
        let [mut before, end] = ends;
        let last_of_kafka = stops.iter().rposition(|kind| *kind == Kind::Kafka);
        for (n, kind) in stops.iter().enumerate() {
            let what = format!("{} {n}: {kind:?} after {before:?}", site.name());
            let ends_open = last_of_kafka == Some(n);
            let stop = Stop { kind: *kind, what, name: format!("stop-{n}"), ends_open };
            self.stop_over(site, &stop, [before, end])?;
            before = end;
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}: {} stops, {end:?}, in {seconds:.1} s", site.name(), stops.len());
        Ok(())
    }

    fn stop_over(&mut self, site: &Site, stop: &Stop, [before, end]: [End; 2]) -> Result<()> {
        let Stop { kind, what, name, ends_open } = stop;
        let bootstrap = site.bootstrap();
        self.found(what, &folders::before_start(site, before == End::Stopped)?);
        let running = site.start(*kind)?;
        self.ask(what, &format!("compare {bootstrap}"))?;
        self.found(what, &logs::check(&running.log_lines()?, *kind, before == End::Stopped));
        self.ask(what, &format!("visit {bootstrap} {name}"))?;
        if *kind == Kind::Kafka {
            self.ask(what, &format!("ended {bootstrap}"))?;
        }
        if *ends_open {
            self.ask(what, &format!("end {bootstrap}"))?;
        }
        self.found(what, &folders::while_running(site)?);
        self.ask(what, &format!("remember {bootstrap}"))?;
        match end {
            End::Stopped => running.stop(),
            End::Killed => {
                thread::sleep(ROUNDS);
                running.kill()
            }
        }
    }

    /// Has the program do something; each line that it says is a finding.
    fn ask(&mut self, what: &str, command: &str) -> Result<()> {
        let lines = self.command(command)?;
        self.found(what, &lines);
        Ok(())
    }

    /// Has the program do something without which there is nothing to go on with.
    fn must(&mut self, command: &str) -> Result<()> {
        match self.command(command)?.first() {
            Some(line) => bail!("{line}"),
            None => Ok(()),
        }
    }

    fn command(&mut self, command: &str) -> Result<Vec<String>> {
        self.process.say(command)?;
        let mut lines = Vec::new();
        while let Some(line) = self.process.line()? {
            if line == "done" {
                return Ok(lines);
            }
            let failed = line.starts_with("failed ");
            lines.push(line);
            if failed {
                return Ok(lines);
            }
        }
        bail!("the program ended, see {}", self.shop.toolbox.log("hops").display())
    }

    fn found(&mut self, what: &str, problems: &[String]) {
        let lines: Vec<String> =
            problems.iter().map(|line| format!("FAIL hops {what}: {line}")).collect();
        self.outcome.add(Outcome::of_problems(&lines));
    }
}
