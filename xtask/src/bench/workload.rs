//! What is measured, and in which order: the floors, Ottla, Apache Kafka, and so on round by round.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::report::Figures;
use super::{Bench, Server, Subject, Target, free_address, peak_mib, resident_mib, wait_for};
use crate::interop::{Kind, Running, Site};

/// Something that is measured of each subject in each round.
pub(super) struct Workload {
    /// What `--only` selects it by.
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// The floor that is measured beside the brokers.
    pub(super) floor: Option<Floor>,
    pub(super) run: fn(&Run<'_>, &mut Figures) -> Result<()>,
}

/// On which broker a workload runs.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// On one that serves all of these in a round. Kafka has been warmed up.
    Shared,
    /// On a new one with these lines in its settings, and not warmed up.
    Own(&'static str),
    /// On a fresh site on which no broker runs: the workload starts it.
    Stopped,
}

/// A server without a broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Floor {
    /// Appends what it is sent.
    Produce,
    /// Sends what is in a file.
    Fetch,
}

impl Floor {
    const ALL: [Floor; 2] = [Floor::Produce, Floor::Fetch];

    /// The generator's command.
    fn command(self) -> &'static str {
        match self {
            Self::Produce => "floor-produce",
            Self::Fetch => "floor-fetch",
        }
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
}

impl Run<'_> {
    /// Runs the generator and takes `rows`: what a figure is called, and its field. What was
    /// written before is on the disk by then, so that nobody pays for the workload before.
    pub(super) fn take(
        &self,
        (command, args): (&str, &[&str]),
        rows: &[(&str, &str)],
        figures: &mut Figures,
    ) -> Result<()> {
        nix::unistd::sync();
        let answer = self.bench.load(&self.target.args(command, args))?;
        rows.iter().try_for_each(|(name, key)| figures.take(name, self.subject, &answer, key))
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
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for floor in Floor::ALL {
            let of = |workload: &&&Workload| workload.floor == Some(floor);
            let workloads: Vec<&Workload> = workloads.iter().filter(of).copied().collect();
            if !workloads.is_empty() {
                let result = on_floor(bench, floor, &workloads, figures);
                figures.note(floor.command(), result);
            }
        }
        let (shared, own): (Vec<&Workload>, Vec<&Workload>) =
            workloads.iter().partition(|workload| matches!(workload.place, Place::Shared));
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
            for broker in &brokers {
                let result = on_own(bench, *broker, workload, figures);
                figures.note(&format!("{:?}, {}", broker.0, workload.name), result);
            }
            bench.save(figures)?;
        }
    }
    Ok(())
}

fn on_floor(
    bench: &Bench<'_>,
    floor: Floor,
    workloads: &[&Workload],
    figures: &mut Figures,
) -> Result<()> {
    let command = floor.command();
    let file = bench.folder.join(command);
    let address = free_address()?;
    let mut server = Command::new(bench.generator());
    server.args(["--cpu", "0", command, "--listen", &address, "--file"]).arg(&file);
    let server = Server(server.spawn()?);
    wait_for(&address)?;
    let target = Target { address: &address, pid: server.0.id().to_string(), floor: true };
    let run = Run { bench, subject: Subject::Floor, target, broker: None };
    for workload in workloads {
        let result = (workload.run)(&run, figures);
        figures.note(&format!("{command}, {}", workload.name), result);
    }
    drop(server);
    Ok(fs::remove_file(file)?)
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
    figures.add("memory idle, MiB", subject, resident_mib(running.id())?);
    let address = site.bootstrap().to_owned();
    let target = Target { address: &address, pid: running.id().to_string(), floor: false };
    let run = Run { bench, subject, target, broker: Some((&site, kind)) };
    if run.wants_warm_up() {
        super::records::warm_up(&run)?;
    }
    for workload in workloads {
        let result = (workload.run)(&run, figures);
        figures.note(&format!("{kind:?}, {}", workload.name), result);
    }
    figures.add("memory after load, MiB", subject, resident_mib(running.id())?);
    figures.add("memory under load, at its peak, MiB", subject, peak_mib(running.id())?);
    running.stop()?;
    site.remove()
}

fn on_own(
    bench: &Bench<'_>,
    (subject, kind): (Subject, Kind),
    workload: &Workload,
    figures: &mut Figures,
) -> Result<()> {
    let settings = if let Place::Own(settings) = workload.place { settings } else { "" };
    let name = format!("bench-{}-{subject:?}", workload.name).to_lowercase();
    let site = Site::fresh_with(bench.toolbox, &name, settings)?;
    let running = match workload.place {
        Place::Stopped => None,
        Place::Shared | Place::Own(_) => Some(site.start_on(kind, 0)?),
    };
    let pid = running.as_ref().map_or(0, Running::id);
    let address = site.bootstrap().to_owned();
    let target = Target { address: &address, pid: pid.to_string(), floor: false };
    let run = Run { bench, subject, target, broker: Some((&site, kind)) };
    (workload.run)(&run, figures)?;
    if let Some(running) = running {
        running.stop()?;
    }
    site.remove()
}
