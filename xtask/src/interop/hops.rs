//! One directory, served by Apache Kafka and by the broker in turn, after clean stops and kills.
//!
//! A program of `interop/java` writes at every stop, keeps what was acknowledged and what could be
//! seen before the end, and compares it with what the next broker shows. [`logs`] looks at what
//! brokers say of the directory at their start, [`folders`] and [`verify`] at what lies in it.

mod folders;
mod logs;
mod open_transactions;
mod sabotage;
mod verify;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Shop;
use super::broker::{Kind, Site};
use super::dump_log;
use super::process::Process;
use super::toolbox::Need;
use crate::gate::Outcome;

/// For all that the program does; the full volume takes some minutes.
const LIMIT: Duration = Duration::from_secs(3600);

/// Records of the short form and of the full one.
const RECORDS: u32 = 25_000;
const RECORDS_FULL: u32 = 250_000;

/// Ids of the transactions that stay open under Ottla. One is ended by Kafka's first stop, the
/// other by its last one: in the short form the first after a clean stop, the last after a kill.
const OPEN: [&str; 2] = ["open-briefly", "open"];

/// What was done by the scheduler is on disk after two of its rounds, and may be killed then.
const ROUNDS: Duration = Duration::from_millis(1500);

/// Two disks, few partitions of internal topics, and everything periodic soon and often.
const SETTINGS: &str = "offsets.topic.num.partitions=5
transaction.state.log.num.partitions=3
share.coordinator.state.topic.num.partitions=3
transaction.max.timeout.ms=7200000
log.retention.ms=-1
log.initial.task.delay.ms=100
log.retention.check.interval.ms=300
log.cleaner.backoff.ms=200
log.flush.start.offset.checkpoint.interval.ms=500
log.flush.offset.checkpoint.interval.ms=500
log.segment.delete.delay.ms=1000
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
";

/// The metadata log soon has snapshots, and they soon stand for its beginning.
const TRIMMING: &str = "metadata.log.segment.ms=2000
metadata.log.max.record.bytes.between.snapshots=4000
metadata.log.max.snapshot.interval.ms=5000
metadata.max.retention.bytes=20000
internal.metadata.delete.delay.millis=1000
";

/// How a broker's time in the directory ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// It is asked to stop.
    Stopped,
    /// `kill -9`.
    Killed,
}

/// Another Apache Kafka that a directory comes from, and goes back to.
struct Origin {
    /// Of the folder.
    name: &'static str,
    /// `None` is the version of `pom.xml`.
    version: Option<&'static str>,
    keeps_voters: bool,
    /// Words for the program: what that version cannot do.
    lacks: &'static str,
    /// Settings behind [`SETTINGS`].
    settings: &'static str,
}

const LATEST: Origin =
    Origin { name: "kafka", version: None, keeps_voters: false, lacks: "", settings: "" };

/// Older ones have share and streams groups as a preview at most, which its users are told not to
/// use, as those of 3.9 are of the consumer protocol.
const NO_NEW_GROUPS: &str = "new-groups";

/// In the full form only.
const OTHERS: [Origin; 6] = [
    Origin { name: "voters", keeps_voters: true, ..LATEST },
    Origin { name: "trim", settings: TRIMMING, ..LATEST },
    Origin { name: "4.2", version: Some("4.2.0"), ..LATEST },
    Origin { name: "4.1", version: Some("4.1.1"), lacks: NO_NEW_GROUPS, ..LATEST },
    Origin { name: "4.0", version: Some("4.0.0"), lacks: NO_NEW_GROUPS, ..LATEST },
    Origin { name: "3.9", version: Some("3.9.1"), lacks: "new-groups consumer-groups", ..LATEST },
];

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
    let cases = &shop.args.case;
    let wants = |name: &str| cases.is_empty() || cases.iter().any(|case| case == name);
    if wants("kafka") {
        lane.both_ways(&LATEST, Kind::Kafka)?;
    }
    if wants("ottla") {
        // Ottla has none.
        lane.both_ways(&Origin { name: "ottla", lacks: NO_NEW_GROUPS, ..LATEST }, shop.kind)?;
    }
    let wants =
        |name: &str| cases.iter().any(|case| case == name) || shop.args.full && cases.is_empty();
    for origin in &OTHERS {
        if wants(origin.name) {
            let result = lane.there_and_back(origin);
            lane.went(origin.name, result);
        }
    }
    if wants(open_transactions::NAME) {
        let result = lane.open_transactions();
        lane.went(open_transactions::NAME, result);
    }
    if wants(sabotage::NAME) {
        let result = lane.sabotage();
        lane.went(sabotage::NAME, result);
    }
    Ok(lane.outcome)
}

/// One broker's turn.
struct Stop {
    kind: Kind,
    /// For messages.
    what: String,
    /// For what is made there.
    name: String,
    /// Transactions that end there, of those that were left open.
    ends: Vec<&'static str>,
}

struct Lane<'a> {
    shop: &'a Shop<'a>,
    process: Process,
    outcome: Outcome,
}

impl<'a> Lane<'a> {
    /// From a directory that a broker of that kind begins. The full form goes on by clean stops
    /// only, and from a copy by kills only; the short one has each change of brokers once in each
    /// way, as far as there is time.
    fn both_ways(&mut self, origin: &Origin, first: Kind) -> Result<()> {
        let site = self.begin(origin, first)?;
        let ours = self.shop.kind;
        if !self.shop.args.full {
            let turns = [
                (ours, End::Stopped),
                (Kind::Kafka, End::Killed),
                (ours, End::Killed),
                (Kind::Kafka, End::Stopped),
                (ours, End::Stopped),
            ];
            let turns = if first == Kind::Kafka {
                &turns[..]
            } else {
                &[(Kind::Kafka, End::Killed), (ours, End::Stopped)]
            };
            return self.follow(&site, turns);
        }
        let copy = self.copy(&site, &format!("{}-killed", origin.name))?;
        let turns = [Kind::Kafka, ours, Kind::Kafka, ours];
        let next = usize::from(first == Kind::Kafka);
        self.follow(
            &site,
            &turns[next..].iter().map(|kind| (*kind, End::Stopped)).collect::<Vec<_>>(),
        )?;
        let mut killed: Vec<_> =
            turns[1 - next..].iter().map(|kind| (*kind, End::Killed)).collect();
        if let Some((_, end)) = killed.last_mut() {
            *end = End::Stopped;
        }
        self.follow(&copy, &killed)
    }

    /// From another version's directory, and back to it, by clean stops; and in a copy from where
    /// that version was killed.
    fn there_and_back(&mut self, origin: &Origin) -> Result<()> {
        let site = self.begin(origin, Kind::Kafka)?;
        let ours = self.shop.kind;
        let copy = self.copy(&site, &format!("{}-killed", origin.name))?;
        self.follow(&site, &[ours, Kind::Kafka, ours].map(|kind| (kind, End::Stopped)))?;
        if !origin.settings.is_empty() {
            self.found(site.name(), &folders::trimmed(&site)?);
        }
        self.follow(&copy, &[(Kind::Kafka, End::Killed), (ours, End::Stopped)])
    }

    /// A directory that a broker formats and fills.
    fn begin(&mut self, origin: &Origin, kind: Kind) -> Result<Site<'a>> {
        let name = format!("hops-{}", origin.name);
        let settings = format!("{SETTINGS}{}", origin.settings);
        let mut site = Site::fresh_in(&self.shop.toolbox, &name, &["one", "two"], &settings)?;
        if let Some(version) = origin.version {
            site = site.with_kafka(version)?;
        }
        if origin.keeps_voters {
            site = site.keeping_voters()?;
        }
        let records = if self.shop.args.full { RECORDS_FULL } else { RECORDS };
        let start = Instant::now();
        let running = site.start(kind)?;
        self.must(&format!("use {name}"))?;
        self.must(&format!("rich {} {records} {}", site.bootstrap(), origin.lacks))?;
        if kind == Kind::Kafka {
            self.must(&format!("transactions {}", site.bootstrap()))?;
            if !origin.lacks.contains(NO_NEW_GROUPS) {
                self.must(&format!("new-groups {}", site.bootstrap()))?;
            }
        }
        self.ask(&name, &format!("remember {}", site.bootstrap()))?;
        running.stop()?;
        self.found(&name, &verify::check(&self.shop.toolbox, &site, true)?);
        println!("{name}: begun in {:.1} s", start.elapsed().as_secs_f64());
        Ok(site)
    }

    /// Another directory with the same content and the same past.
    fn copy(&mut self, site: &Site<'a>, name: &str) -> Result<Site<'a>> {
        let copy = site.copy(&format!("hops-{name}"))?;
        self.must(&format!("use {}", copy.name()))?;
        self.must(&format!("copy {}", site.name()))?;
        Ok(copy)
    }

    /// Brokers take their turns in the directory, which the one before has left cleanly. The last
    /// one leaves it so, too, and then Kafka's dump tool looks at every file.
    fn follow(&mut self, site: &Site, stops: &[(Kind, End)]) -> Result<()> {
        let start = Instant::now();
        self.must(&format!("use {}", site.name()))?;
        let mut before = End::Stopped;
        let is_kafka = |(kind, _): &(Kind, End)| *kind == Kind::Kafka;
        let (first, last) = (stops.iter().position(is_kafka), stops.iter().rposition(is_kafka));
        for (n, (kind, end)) in stops.iter().enumerate() {
            let what = format!("{} {n}: {kind:?} after {before:?}", site.name());
            let open = OPEN.into_iter().zip([first, last]);
            let ends = open.filter(|(_, end)| *end == Some(n)).map(|(id, _)| id).collect();
            let stop = Stop { kind: *kind, what, name: format!("stop-{n}"), ends };
            self.stop_over(site, &stop, [before, *end])?;
            before = *end;
        }
        let seconds = start.elapsed().as_secs_f64();
        let (name, stops) = (site.name(), stops.len());
        let records = self.command("count")?.join(" ");
        println!("{name}: {stops} stops in {seconds:.1} s, {records}");
        self.outcome.add(dump_log::of_site(self.shop, site)?);
        Ok(())
    }

    fn stop_over(&mut self, site: &Site, stop: &Stop, [before, end]: [End; 2]) -> Result<()> {
        let Stop { kind, what, name, ends } = stop;
        let bootstrap = site.bootstrap();
        self.found(what, &folders::before_start(site, before == End::Stopped)?);
        let running = site.start(*kind)?;
        self.ask(what, &format!("compare {bootstrap}"))?;
        self.found(what, &logs::check(&running.log_lines()?, *kind, before == End::Stopped));
        self.ask(what, &format!("visit {bootstrap} {name}"))?;
        if *kind == Kind::Kafka {
            self.ask(what, &format!("ended {bootstrap}"))?;
            self.ask(what, &format!("new-groups-go-on {bootstrap}"))?;
        }
        for id in ends {
            self.ask(what, &format!("end {bootstrap} {id}"))?;
        }
        self.found(what, &folders::while_running(site)?);
        self.ask(what, &format!("remember {bootstrap}"))?;
        match end {
            End::Stopped => running.stop()?,
            End::Killed => {
                thread::sleep(ROUNDS);
                running.kill()?;
            }
        }
        let what = format!("{what}, {end:?}");
        self.found(&what, &verify::check(&self.shop.toolbox, site, end == End::Stopped)?);
        Ok(())
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

    /// How a case went that could end early.
    fn went(&mut self, name: &str, result: Result<()>) {
        let problem = result.err().map(|error| format!("{error:#}"));
        self.found(name, &problem.into_iter().collect::<Vec<_>>());
    }

    fn found(&mut self, what: &str, problems: &[String]) {
        let lines: Vec<String> =
            problems.iter().map(|line| format!("FAIL hops {what}: {line}")).collect();
        self.outcome.add(Outcome::of_problems(&lines));
    }
}
