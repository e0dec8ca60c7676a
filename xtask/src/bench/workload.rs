//! What is measured, and in which order: the floors, Ottla, Apache Kafka, and so on round by round.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::goal::{Bound, Row};
use super::machine::Watch;
use super::report::Figures;
use super::{Bench, Server, Subject, Target};
use super::{forget_peak, free_address, peak_mib, resident_mib, wait_for};
use crate::interop::{Kind, Running, Site};

/// Something that is measured of each subject in each round.
pub(super) struct Workload {
    /// What `--only` selects it by.
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// The floors that are measured beside the brokers.
    pub(super) floors: &'static [Floor],
    /// In how many of the rounds Apache Kafka is measured: some take it minutes.
    pub(super) kafka_rounds: usize,
    pub(super) run: fn(&Run<'_>, &mut Figures) -> Result<()>,
}

/// Of [`Workload::kafka_rounds`].
pub(super) const EVERY: usize = usize::MAX;

/// On which broker a workload runs.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// On one that serves all of these in a round. Kafka has been warmed up.
    Shared,
    /// On a new one with these lines in its settings, and not warmed up.
    Own(&'static str),
    /// On a new one, whose thousands of files are kept until all is measured: a file system may
    /// pass over the inodes of files that were removed shortly before one by one, which the next
    /// broker would pay for.
    Kept,
    /// On a fresh site on which no broker runs: the workload starts it.
    Stopped,
}

/// A server without a broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Floor {
    /// Appends what it is sent.
    Produce,
    /// Appends to so many hundreds of files in turn.
    ProduceToHundreds(usize),
    /// Sends what is in a file, beginning anywhere in a page, as a log's region does.
    Fetch,
    /// Sends whole pages.
    FetchAligned,
}

impl Floor {
    /// In the order in which they are measured.
    const ALL: [Floor; 5] = [
        Floor::Produce,
        Floor::ProduceToHundreds(10),
        Floor::ProduceToHundreds(100),
        Floor::Fetch,
        Floor::FetchAligned,
    ];

    /// The generator's command and its options.
    fn command(self, bench: &Bench<'_>) -> Vec<String> {
        let words = match self {
            Self::Produce => vec!["floor-produce"],
            Self::ProduceToHundreds(hundreds) => {
                let files = (bench.size(hundreds) * 100).to_string();
                return vec!["floor-produce".to_owned(), "--files".to_owned(), files];
            }
            Self::Fetch => vec!["floor-fetch"],
            Self::FetchAligned => vec!["floor-fetch", "--aligned"],
        };
        words.into_iter().map(str::to_owned).collect()
    }
}

/// One workload of one subject in one round.
pub(super) struct Run<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) subject: Subject,
    /// Of a broker that does not run the process is 0.
    pub(super) target: Target<'a>,
    /// None of the floor.
    pub(super) broker: Option<(&'a Site<'a>, Kind)>,
    pub(super) floor: Option<Floor>,
}

impl Run<'_> {
    fn measure(&self, workload: &Workload, figures: &mut Figures) -> Result<()> {
        let begun = Instant::now();
        let result = (workload.run)(self, figures);
        let seconds = begun.elapsed().as_secs_f64();
        println!("{}, {:?}: {seconds:.0} s", workload.name, self.subject);
        result
    }

    /// Runs the generator and takes `rows` of its answer.
    pub(super) fn take(
        &self,
        command: (&str, &[&str]),
        rows: &[Row<'_>],
        figures: &mut Figures,
    ) -> Result<()> {
        figures.take_rows(rows, self.subject, &self.answer(command)?)
    }

    /// Has the generator warm up what is measured later.
    pub(super) fn warm_up(&self, command: (&str, &[&str])) -> Result<()> {
        self.answer(command).map(drop)
    }

    /// Runs the generator. What was written before is on the disk by then, so that nobody pays for
    /// the workload before.
    pub(super) fn answer(
        &self,
        (command, args): (&str, &[&str]),
    ) -> Result<BTreeMap<String, Value>> {
        nix::unistd::sync();
        let watch = Watch::start(Some(self.pid()?).filter(|pid| *pid > 0))?;
        let answer = self.bench.load(&self.target.args(command, args))?;
        self.bench.machine.note(&watch, &format!("{command} of {:?}", self.subject))?;
        Ok(answer)
    }

    /// The broker's or the floor's.
    pub(super) fn pid(&self) -> Result<u32> {
        Ok(self.target.pid.parse()?)
    }

    /// Writes and frees as many pages as will be appended.
    pub(super) fn warm_pages(&self, mib: usize) -> Result<()> {
        self.bench.warm_pages(self.bench.size(mib) as u64)
    }

    /// A size as the generator is told it: divided when the command itself is to be tried.
    pub(super) fn size(&self, full: usize) -> String {
        self.bench.size(full).to_string()
    }

    /// Whether it is the JVM's, which compiles what it has run often.
    pub(super) fn wants_warm_up(&self) -> bool {
        self.subject == Subject::Kafka
    }
}

/// Measures workloads in rounds.
pub(super) fn rounds(
    bench: &Bench<'_>,
    workloads: &[&Workload],
    brokers: &[(Subject, Kind)],
    rounds: usize,
    figures: &mut Figures,
) -> Result<()> {
    let (mut kept, mut kept_floors) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        let (shared, own): (Vec<&Workload>, Vec<&Workload>) =
            workloads.iter().partition(|workload| matches!(workload.place, Place::Shared));
        kept_floors.extend(on_floors(bench, &shared, &format!("shared-{round}"), figures));
        // Who comes second finds another machine: each does in its turn.
        let mut brokers = brokers.to_vec();
        if round % 2 == 0 {
            brokers.reverse();
        }
        for broker in brokers.iter().filter(|_| !shared.is_empty()) {
            let result = on_shared(bench, *broker, &shared, figures);
            figures.note(&format!("{:?}", broker.0), result);
            bench.save(figures)?;
        }
        for workload in own {
            let name = format!("{}-{round}", workload.name);
            kept_floors.extend(on_floors(bench, &[workload], &name, figures));
            let takes_part = |broker: &&(Subject, Kind)| {
                broker.1 == Kind::Ottla || round <= workload.kafka_rounds
            };
            for broker in brokers.iter().filter(takes_part) {
                let name = format!("bench-{}-{:?}-{round}", workload.name, broker.0);
                match on_own(bench, *broker, (workload, &name.to_lowercase()), figures) {
                    Ok(site) => kept.extend(site),
                    error => figures.note(&name, error.map(drop)),
                }
            }
            bench.save(figures)?;
        }
    }
    kept_floors.iter().try_for_each(fs::remove_dir_all)?;
    kept.into_iter().try_for_each(Site::remove)
}

/// Each workload on its floors; gives back the folders that are to be removed.
fn on_floors(
    bench: &Bench<'_>,
    workloads: &[&Workload],
    name: &str,
    figures: &mut Figures,
) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for floor in Floor::ALL {
        let of = |workload: &&&Workload| workload.floors.contains(&floor);
        let workloads: Vec<&Workload> = workloads.iter().filter(of).copied().collect();
        if !workloads.is_empty() {
            let folder = bench.folder.join(format!("{floor:?}-{name}").to_lowercase());
            let result = on_floor(bench, (floor, &folder), &workloads, figures);
            figures.note(&format!("{floor:?}"), result);
            folders.push(folder);
        }
    }
    folders
}

/// The folder stays, with empty files.
fn on_floor(
    bench: &Bench<'_>,
    (floor, folder): (Floor, &Path),
    workloads: &[&Workload],
    figures: &mut Figures,
) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let address = free_address()?;
    let mut server = Command::new(bench.generator());
    server.args(["--cpu", "0"]).args(floor.command(bench)).args(["--listen", &address]);
    server.arg("--file").arg(folder.join("log"));
    let server = Server(server.spawn()?);
    wait_for(&address)?;
    let target = Target { address: &address, pid: server.0.id().to_string(), floor: true };
    let run = Run { bench, subject: Subject::Floor, target, broker: None, floor: Some(floor) };
    for workload in workloads {
        let result = run.measure(workload, figures);
        figures.note(&format!("{floor:?}, {}", workload.name), result);
    }
    drop(server);
    empty(folder, |_| true)
}

fn on_shared(
    bench: &Bench<'_>,
    broker: (Subject, Kind),
    workloads: &[&Workload],
    figures: &mut Figures,
) -> Result<()> {
    let (subject, kind) = broker;
    let site = Site::fresh(bench.toolbox, &format!("bench-{subject:?}").to_lowercase())?;
    let running = site.start_on(kind, 0)?;
    std::thread::sleep(Duration::from_secs(2));
    figures.aim("memory idle, MiB", &[Bound::Most(10.0)]);
    figures.add("memory idle, MiB", subject, resident_mib(running.id())?);
    let address = site.bootstrap().to_owned();
    let target = Target { address: &address, pid: running.id().to_string(), floor: false };
    let run = Run { bench, subject, target, broker: Some((&site, kind)), floor: None };
    if run.wants_warm_up() {
        super::records::warm_up(&run)?;
    }
    let mut most = 0f64;
    for workload in workloads {
        forget_peak(running.id())?;
        let result = run.measure(workload, figures);
        figures.note(&format!("{kind:?}, {}", workload.name), result);
        let peak = peak_mib(running.id())?;
        figures.add(&format!("memory at its peak in {}, MiB", workload.name), subject, peak);
        most = most.max(peak);
    }
    figures.add("memory after load, MiB", subject, resident_mib(running.id())?);
    let row = "memory under load, at its peak, MiB";
    figures.aim(row, &[Bound::Most(32.0)]);
    figures.add(row, subject, most);
    running.stop()?;
    site.remove()
}

/// Gives back the site that is to be kept.
fn on_own<'a>(
    bench: &'a Bench<'a>,
    (subject, kind): (Subject, Kind),
    (workload, name): (&Workload, &str),
    figures: &mut Figures,
) -> Result<Option<Site<'a>>> {
    let settings = if let Place::Own(settings) = workload.place { settings } else { "" };
    let site = Site::fresh_with(bench.toolbox, name, settings)?;
    let running = match workload.place {
        Place::Stopped => None,
        Place::Shared | Place::Own(_) | Place::Kept => Some(site.start_on(kind, 0)?),
    };
    let pid = running.as_ref().map_or(0, Running::id);
    let address = site.bootstrap().to_owned();
    let target = Target { address: &address, pid: pid.to_string(), floor: false };
    let run = Run { bench, subject, target, broker: Some((&site, kind)), floor: None };
    run.measure(workload, figures)?;
    if let Some(running) = running {
        running.stop()?;
    }
    if matches!(workload.place, Place::Kept) {
        empty_logs(&site.data())?;
        return Ok(Some(site));
    }
    site.remove()?;
    Ok(None)
}

/// Gives back the disk of a log directory whose files are kept.
fn empty_logs(data: &Path) -> Result<()> {
    for partition in fs::read_dir(data)? {
        let partition = partition?;
        if partition.file_type()?.is_dir() {
            empty(&partition.path(), |path| path.extension().is_some_and(|kind| kind == "log"))?;
        }
    }
    Ok(())
}

fn empty(folder: &Path, which: impl Fn(&Path) -> bool) -> Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if which(&path) {
            fs::OpenOptions::new().write(true).truncate(true).open(path)?;
        }
    }
    Ok(())
}
