//! `cargo xtask bench --restart`: starts, recoveries, and appends that are synced.
//!
//! Both brokers start on the same directory, which Ottla has filled. A start is clean after an
//! orderly stop and dirty after SIGKILL; it is over when a record is acknowledged. What a recovery
//! reads is in the page cache, since whoever died wrote it shortly before, unless a row says
//! otherwise. Recovery begins at the first byte of every log, because the checkpoint that says what
//! was flushed is removed before.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::Value;

use super::report::Figures;
use super::workload::Run;
use super::{Bench, Subject, Target, durable};
use crate::interop::{Kind, Site};

/// What is measured on its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(super) enum Piece {
    /// How fast logs are recovered.
    Recovery,
    /// Starts with 1, 1,000 and 10,000 partitions, and with many bytes of which only the last are
    /// dirty.
    Starts,
    /// Appends that are synced before they are acknowledged.
    Durable,
}

/// How much of everything.
pub(super) struct Restart<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) pieces: &'a [Piece],
    /// What a recovery has to go through.
    pub(super) recovery_gib: u64,
    /// What lies below the dirty tail.
    pub(super) tail_gib: u64,
    /// So many of the rounds have Apache Kafka in them.
    pub(super) kafka_rounds: usize,
    /// A broker that needs longer to start is killed, seconds.
    pub(super) limit_s: u64,
    /// Also recover what is not in the page cache, which needs root.
    pub(super) drop_caches: bool,
}

/// A directory that both brokers start on.
struct Place<'a> {
    site: Site<'a>,
    shape: Shape,
    dirs: Vec<PathBuf>,
}

#[derive(Clone)]
struct Shape {
    name: String,
    topics: u64,
    partitions: u64,
    dirs: usize,
    mib: u64,
    batch_records: u64,
}

type Answer = BTreeMap<String, Value>;

/// Beyond the last whole segment.
const TAIL_MIB: u64 = 64;
const CHECKPOINT: &str = "recovery-point-offset-checkpoint";
const CLEAN_MARKER: &str = ".kafka_cleanshutdown";

impl<'a> Restart<'a> {
    /// Measures all pieces in so many rounds; Ottla is the first of the brokers.
    pub(super) fn run(
        &self,
        brokers: &[(Subject, Kind)],
        rounds: usize,
        figures: &mut Figures,
    ) -> Result<()> {
        let in_round = |round: usize| match round <= self.kafka_rounds {
            true => brokers,
            false => &brokers[..1],
        };
        let has = |piece| self.pieces.is_empty() || self.pieces.contains(&piece);
        let recoveries = if has(Piece::Recovery) { self.recoveries() } else { Vec::new() };
        let starts = if has(Piece::Starts) { self.starts() } else { Vec::new() };
        for shape in recoveries {
            self.each_round(shape, rounds, |place, round| {
                self.recovery(place, in_round(round), figures)
            })?;
        }
        for shape in starts {
            self.each_round(shape, rounds, |place, round| {
                let mut brokers = in_round(round).iter();
                brokers.try_for_each(|broker| self.start(place, *broker, figures))
            })?;
        }
        if has(Piece::Durable) {
            for round in 1..=rounds {
                println!("synced appends, round {round} of {rounds}");
                durable::floor(self.bench, figures)?;
                for (subject, kind) in in_round(round) {
                    self.durable(*subject, *kind, figures)?;
                }
            }
        }
        Ok(())
    }

    fn each_round(
        &self,
        shape: Shape,
        rounds: usize,
        mut measure: impl FnMut(&Place<'a>, usize) -> Result<()>,
    ) -> Result<()> {
        println!("{}: filling", shape.name);
        let place = self.filled(shape)?;
        for round in 1..=rounds {
            println!("{}: round {round} of {rounds}", place.shape.name);
            measure(&place, round)?;
        }
        place.site.remove()
    }

    fn recoveries(&self) -> Vec<Shape> {
        let gib = self.recovery_gib;
        let shape = |name: &str, partitions, dirs| Shape {
            name: format!("recover {gib} GiB, {name}"),
            topics: 1,
            partitions,
            dirs,
            mib: gib * 1024,
            batch_records: 63,
        };
        vec![
            shape("1 partition", 1, 1),
            shape("16 partitions", 16, 1),
            shape("16 partitions in 2 directories", 16, 2),
        ]
    }

    fn starts(&self) -> Vec<Shape> {
        let many = |name: &str, topics, partitions| Shape {
            name: name.to_owned(),
            topics,
            partitions,
            dirs: 1,
            mib: 0,
            batch_records: 1,
        };
        let tail = Shape {
            mib: self.tail_gib * 1024 + TAIL_MIB,
            batch_records: 63,
            ..many(&format!("{} GiB, {TAIL_MIB} MiB dirty", self.tail_gib), 1, 1)
        };
        vec![
            many("1 partition", 1, 1),
            many("1,000 partitions", 10, 100),
            many("10,000 partitions", 100, 100),
            tail,
        ]
    }

    /// Has Ottla make and fill a directory, and stop in order.
    fn filled(&self, shape: Shape) -> Result<Place<'a>> {
        let toolbox = self.bench.toolbox;
        let name = "bench-restart";
        let folder = toolbox.target.join(format!("site-{name}"));
        let dirs: Vec<_> = (0..shape.dirs)
            .map(|dir| match dir {
                // Where the site looks whether it is formatted.
                0 => folder.join("data"),
                _ => folder.join(format!("data-{dir}")),
            })
            .collect();
        let listed: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let settings = format!("\nlog.dirs={}\n", listed.join(","));
        let site = Site::fresh_with(toolbox, name, &settings)?;
        let running = site.start(Kind::Ottla)?;
        let address = site.bootstrap().to_owned();
        let target = Target { address: &address, pid: running.id().to_string(), floor: false };
        let number = |count: u64| count.to_string();
        let [topics, partitions] = [shape.topics, shape.partitions].map(number);
        let [mib, records] = [shape.mib, shape.batch_records].map(number);
        let mut args = vec!["--topics", &topics, "--partitions", &partitions];
        args.extend(["--mib", &mib, "--batch-records", &records]);
        self.bench.load(&target.args("fill", &args))?;
        running.stop()?;
        Ok(Place { site, shape, dirs })
    }

    fn recovery(
        &self,
        place: &Place<'_>,
        brokers: &[(Subject, Kind)],
        figures: &mut Figures,
    ) -> Result<()> {
        for cold in [false, true] {
            if cold && !self.drop_caches {
                continue;
            }
            self.floor_sum(place, cold, figures)?;
            for broker in brokers {
                self.recover(place, *broker, cold, figures)?;
            }
        }
        Ok(())
    }

    /// Every log is gone through from its first byte; what a clean start needs is taken off.
    fn recover(
        &self,
        place: &Place<'_>,
        (subject, kind): (Subject, Kind),
        cold: bool,
        figures: &mut Figures,
    ) -> Result<()> {
        let rows = rows(place, cold);
        for dir in &place.dirs {
            remove_if_there(dir.join(CLEAN_MARKER))?;
            remove_if_there(dir.join(CHECKPOINT))?;
        }
        if cold {
            drop_caches()?;
        }
        let Some(dirty) = self.first_ack(place, (subject, kind), false)? else {
            rows.iter().for_each(|row| figures.add(row, subject, f64::INFINITY));
            return Ok(());
        };
        let clean = self.first_ack(place, (subject, kind), false)?;
        let clean = clean.context("a clean start takes longer than the limit")?;
        let gib = place.shape.mib as f64 / 1024.0;
        let took = |key: &str| Ok::<_, anyhow::Error>(number(&dirty, key)? - number(&clean, key)?);
        figures.add(&rows[0], subject, gib / (took("first_ack_ms")? / 1e3));
        figures.add(&rows[1], subject, took("first_ack_cpu_s")? / gib);
        Ok(())
    }

    fn floor_sum(&self, place: &Place<'_>, cold: bool, figures: &mut Figures) -> Result<()> {
        if cold {
            drop_caches()?;
        }
        let mut args = vec!["floor-sum".to_owned()];
        for dir in &place.dirs {
            args.extend(["--data".to_owned(), dir.display().to_string()]);
        }
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let answer = self.bench.load(&args)?;
        let rows = rows(place, cold);
        figures.take(&rows[0], Subject::Floor, &answer, "gib_per_s")?;
        figures.take(&rows[1], Subject::Floor, &answer, "cpu_s_per_gib")
    }

    /// A clean start that ends in a kill, then a dirty one that ends in order.
    fn start(
        &self,
        place: &Place<'_>,
        broker: (Subject, Kind),
        figures: &mut Figures,
    ) -> Result<()> {
        let mut all_in_time = true;
        for (after, kill) in [("clean", true), ("dirty", false)] {
            let answer = self.first_ack(place, broker, kill)?;
            all_in_time &= answer.is_some();
            let mut row = |what: &str, key: &str, unit: f64| {
                let value = match &answer {
                    Some(answer) => number(answer, key)? / unit,
                    None => f64::INFINITY,
                };
                figures.add(&format!("{}: {what}", place.shape.name), broker.0, value);
                Ok::<_, anyhow::Error>(())
            };
            row(&format!("{after} start to first ack, s"), "first_ack_ms", 1e3)?;
            row(&format!("{after} start to first ack, CPU s"), "first_ack_cpu_s", 1.0)?;
            if kill {
                row("memory, MiB", "idle_rss_mib", 1.0)?;
                row("open files", "open_files", 1.0)?;
                row("memory maps", "maps", 1.0)?;
            } else {
                row("clean stop, s", "stop_ms", 1e3)?;
            }
        }
        if !all_in_time {
            // It was killed; the next one is to find a clean directory.
            place.site.start(Kind::Ottla)?.stop()?;
        }
        Ok(())
    }

    /// Starts a broker on both processors; `None` when it was not there within the limit.
    fn first_ack(
        &self,
        place: &Place<'_>,
        (subject, kind): (Subject, Kind),
        kill: bool,
    ) -> Result<Option<Answer>> {
        let start = place.site.command(kind)?;
        let mut command = Command::new(self.bench.generator());
        command.args(["cold-start", "--address", place.site.bootstrap()]);
        command.args(["--limit", &self.limit_s.to_string()]);
        if kill {
            command.arg("--kill");
        }
        command.arg("--").arg(start.get_program()).args(start.get_args());
        let output = command.stderr(Stdio::inherit()).output()?;
        let name = &place.shape.name;
        ensure!(output.status.success(), "{name}, {subject:?}: {}", output.status);
        let answer: Answer = serde_json::from_slice(&output.stdout)?;
        if answer.get("first_ack_ms").is_some_and(Value::is_null) {
            println!("{name}: {subject:?} not within {} s", self.limit_s);
            return Ok(None);
        }
        Ok(Some(answer))
    }

    fn durable(&self, subject: Subject, kind: Kind, figures: &mut Figures) -> Result<()> {
        let name = format!("bench-durable-{subject:?}").to_lowercase();
        let site = Site::fresh(self.bench.toolbox, &name)?;
        let running = site.start_on(kind, 0)?;
        let address = site.bootstrap().to_owned();
        let target = Target { address: &address, pid: running.id().to_string(), floor: false };
        let broker = Some((&site, kind));
        let run = Run { bench: self.bench, subject, target, broker, floor: None };
        durable::measure(&run, &durable::CROWDS, figures)?;
        running.stop()?;
        site.remove()
    }
}

/// What a recovery's figures are called.
fn rows(place: &Place<'_>, cold: bool) -> [String; 2] {
    let from = if cold { ", from the disk" } else { "" };
    let name = &place.shape.name;
    [format!("{name}{from}: GiB/s"), format!("{name}{from}: CPU s/GiB")]
}

fn number(answer: &Answer, key: &str) -> Result<f64> {
    let value = answer.get(key).and_then(Value::as_f64);
    value.with_context(|| format!("no {key} in {answer:?}"))
}

fn drop_caches() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    fs::write("/proc/sys/vm/drop_caches", "3").context("dropping the page cache needs root")
}

fn remove_if_there(path: PathBuf) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
