//! `cargo xtask bench`: Ottla beside Apache Kafka and beside the floor, in one run.
//!
//! Broker on processor 0, load generator on processor 1. Rounds go floor, Ottla, Kafka, floor and
//! so on: a machine that drifts does so for all. What is measured of each is a list of workloads
//! ([`workload`]). Told are medians, their spread and ratios. Kafka is warmed up before it is
//! measured. As many pages as a measurement appends are written and freed
//! before it: a virtual machine's untouched pages cost an append more than twice as much.
//!
//! With `--scale` it is not records that are measured but what a broker has many of ([`scale`]),
//! with `--restart` it is starts, recoveries and appends that are synced ([`mod@restart`]), with
//! `--curves` it is what a record costs as there is more and more of something ([`curves`]), with
//! `--tools` it is Kafka's own performance tools that measure ([`tools`]), and with `--client`
//! clients are measured beside one another, not brokers ([`client`]).

mod client;
mod codecs;
mod crowds;
mod curves;
mod durable;
mod fetches;
mod goal;
mod machine;
mod maintenance;
mod plot;
mod records;
mod report;
mod restart;
mod scale;
mod starts;
mod tail;
mod tools;
mod workload;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args as ClapArgs;
use serde_json::{Value, json};

use crate::gate::{cargo_command, target_dir};
use crate::interop::{Kind, Need, Toolbox};
use client::Clients;
use curves::CurveArgs;
use machine::Machine;
use report::Figures;
use restart::{Piece, Restart};
use scale::Scale;
use tools::Tools;
use workload::Workload;

/// All that `cargo xtask bench` measures by default.
const WORKLOADS: &[&[Workload]] = &[
    records::WORKLOADS,
    fetches::WORKLOADS,
    codecs::WORKLOADS,
    starts::WORKLOADS,
    tail::WORKLOADS,
    durable::WORKLOADS,
    maintenance::WORKLOADS,
    crowds::WORKLOADS,
];

/// Measures the broker beside Apache Kafka and the floor.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// How many times each is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Without Apache Kafka.
    #[arg(long)]
    no_kafka: bool,
    /// Even on a machine that has other work.
    #[arg(long)]
    force: bool,
    /// Only this workload; may be given several times.
    #[arg(long, conflicts_with_all = ["scale", "restart", "tools"])]
    only: Vec<String>,
    /// Many members, groups, commits and partitions, and compaction, instead of records.
    #[arg(long)]
    scale: bool,
    /// Divides every size, to try the command itself.
    #[arg(long, default_value_t = NonZeroUsize::MIN, conflicts_with = "restart")]
    shrink: NonZeroUsize,
    /// Kafka's own producer and consumer performance tools, on all processors.
    #[arg(long, conflicts_with_all = ["scale", "restart", "curves"])]
    tools: bool,
    /// This project's client beside librdkafka, the Java client and rskafka.
    #[arg(long, conflicts_with_all = ["scale", "restart", "curves", "tools", "only"])]
    client: bool,
    #[command(flatten)]
    restart: RestartArgs,
    #[command(flatten)]
    curves: CurveArgs,
}

/// What belongs to `--restart`.
#[derive(ClapArgs)]
struct RestartArgs {
    /// Starts, recoveries and synced appends, instead of records.
    #[arg(long, conflicts_with = "scale")]
    restart: bool,
    /// With `--restart`: only this; may be given several times.
    #[arg(long, value_enum, requires = "restart")]
    piece: Vec<Piece>,
    /// With `--restart`: GiB that a recovery goes through.
    #[arg(long, default_value_t = 4, requires = "restart")]
    recovery_gib: u64,
    /// With `--restart`: GiB below the dirty tail.
    #[arg(long, default_value_t = 10, requires = "restart")]
    tail_gib: u64,
    /// With `--restart`: in how many of the rounds Apache Kafka takes part; a start of 10,000
    /// partitions may take it minutes.
    #[arg(long, default_value_t = 1, requires = "restart")]
    kafka_rounds: usize,
    /// With `--restart`: seconds that a start may take.
    #[arg(long, default_value_t = 120, requires = "restart")]
    limit: u64,
    /// With `--restart`: also recover what is not in the page cache, which needs root.
    #[arg(long, requires = "restart")]
    drop_caches: bool,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Subject {
    Floor,
    Ottla,
    Kafka,
}

const LOAD_MAX: f64 = 0.7;

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    if args.curves.plot_only {
        return curves::draw(root, &args.curves);
    }
    check_idle(args.force)?;
    let build = ["build", "--release", "--quiet", "-p", "ottla", "-p", "ottla-bench"];
    ensure!(cargo_command(root, &build).status()?.success(), "the release build failed");
    let wants_kafka = if args.curves.curves { args.curves.kafka } else { !args.no_kafka };
    let needs: &[Need] = if wants_kafka || args.tools || args.client { &[Need::Java] } else { &[] };
    let (toolbox, missing) = Toolbox::prepare(root, &[], needs)?;
    let with_kafka = wants_kafka && missing.is_empty();
    for lane in &missing {
        println!("NOT RUN: {lane}");
    }
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder)?;
    let shrink = args.shrink.get();
    let name = match (args.scale, args.restart.restart, args.tools, args.client) {
        (true, _, _, _) => "scale",
        (_, true, _, _) => "restart",
        (_, _, true, _) => "tools",
        (_, _, _, true) => "client",
        // What is not the whole must not take its place.
        _ if !args.only.is_empty() || shrink > 1 => "part",
        _ => "result",
    };
    let machine = Machine::look(root, toolbox.has(Need::Java), &how(args))?;
    let bench = Bench { root, folder: &folder, toolbox: &toolbox, shrink, name, machine };
    if args.curves.curves {
        return curves::run(&bench, &args.curves, with_kafka);
    }
    if args.client {
        return Clients::build(&bench)?.run(with_kafka, args.rounds);
    }
    let mut figures = Figures::default();
    let mut brokers = vec![(Subject::Ottla, Kind::Ottla)];
    if with_kafka {
        brokers.push((Subject::Kafka, Kind::Kafka));
    }
    if args.restart.restart {
        restart(&bench, &args.restart).run(&brokers, args.rounds, &mut figures)?;
    } else if args.scale {
        Scale { bench: &bench }.run(&brokers, args.rounds, &mut figures)?;
    } else if args.tools {
        Tools { bench: &bench }.run(&brokers, args.rounds, &mut figures)?;
    } else {
        let selected = select(&args.only)?;
        workload::rounds(&bench, &selected, &brokers, args.rounds, &mut figures)?;
    }
    println!("\n{}", bench.told(&figures)?);
    bench.save(&figures)?;
    println!("also in {}", folder.display());
    figures.check()?;
    ensure!(missing.is_empty(), "not run: {}", missing.join(", "));
    Ok(())
}

fn restart<'a>(bench: &'a Bench<'a>, args: &'a RestartArgs) -> Restart<'a> {
    Restart {
        bench,
        pieces: &args.piece,
        recovery_gib: args.recovery_gib,
        tail_gib: args.tail_gib,
        kafka_rounds: args.kafka_rounds,
        limit_s: args.limit,
        drop_caches: args.drop_caches,
    }
}

/// The workloads of these names; all when there are none.
fn select(names: &[String]) -> Result<Vec<&'static Workload>> {
    let all: Vec<&Workload> = WORKLOADS.iter().copied().flatten().collect();
    if names.is_empty() {
        return Ok(all);
    }
    let known: Vec<&str> = all.iter().map(|workload| workload.name).collect();
    let find = |name: &String| {
        let found = all.iter().copied().find(|workload| workload.name == name);
        found.with_context(|| format!("no workload is called {name}; there are {known:?}"))
    };
    names.iter().map(find).collect()
}

/// What was asked for, as the header of the table tells it.
fn how(args: &Args) -> String {
    let mut how = format!("rounds: {}", args.rounds);
    if args.shrink.get() > 1 {
        how += &format!(", sizes divided by {}", args.shrink);
    }
    if args.force {
        how += ", --force";
    }
    how
}

fn check_idle(force: bool) -> Result<()> {
    let load = machine::load()?;
    if load > LOAD_MAX {
        let told =
            format!("the machine has a load of {load}, and at most {LOAD_MAX} gives figures");
        ensure!(force, "{told}; wait, or say --force");
        println!("{told}: these are not to be trusted");
    }
    Ok(())
}

struct Bench<'a> {
    root: &'a Path,
    folder: &'a Path,
    toolbox: &'a Toolbox,
    /// Every size is divided by this.
    shrink: usize,
    /// Of the files with the result.
    name: &'a str,
    machine: Machine,
}

impl Bench<'_> {
    fn size(&self, full: usize) -> usize {
        full.div_ceil(self.shrink)
    }

    /// The machine and the table, in Markdown.
    fn told(&self, figures: &Figures) -> Result<String> {
        Ok(format!("{}\n\n{}", self.machine.told()?, figures.table()))
    }

    /// Writes what has been measured so far.
    fn save(&self, figures: &Figures) -> Result<()> {
        self.write(&self.told(figures)?, &figures.json())
    }

    /// Writes a table and what is in it.
    fn write(&self, told: &str, rows: &Value) -> Result<()> {
        let path = self.folder.join(self.name);
        fs::write(path.with_extension("md"), told)?;
        let json = json!({ "machine": self.machine.told()?, "rows": rows });
        let json = serde_json::to_vec_pretty(&json)?;
        Ok(fs::write(path.with_extension("json"), json)?)
    }

    fn generator(&self) -> PathBuf {
        target_dir(self.root).join("release/ottla-bench")
    }

    /// Runs the load generator on its processor and reads its line of JSON.
    fn load(&self, args: &[&str]) -> Result<BTreeMap<String, Value>> {
        self.generate(&[&["--cpu", "1"], args].concat())
    }

    /// Runs the load generator, and what it starts, on all processors.
    fn generate(&self, args: &[&str]) -> Result<BTreeMap<String, Value>> {
        let output = Command::new(self.generator()).args(args).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{args:?}: {}: {}", output.status, told.trim());
        eprint!("{told}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Writes and frees as many pages as will be appended.
    fn warm_pages(&self, mib: u64) -> Result<()> {
        let path = self.folder.join("warm");
        let mut file = fs::File::create(&path)?;
        let block = vec![1; 1 << 20];
        for _ in 0..mib {
            file.write_all(&block)?;
        }
        drop(file);
        fs::remove_file(path)?;
        Ok(())
    }
}

/// Whom the generator drives.
struct Target<'a> {
    address: &'a str,
    pid: String,
    floor: bool,
}

impl Target<'_> {
    fn args<'s>(&'s self, command: &'s str, more: &[&'s str]) -> Vec<&'s str> {
        let mut args = vec![command, "--address", self.address, "--pid", &self.pid];
        args.extend_from_slice(more);
        if self.floor {
            args.push("--floor");
        }
        args
    }
}

/// A floor server; dropping it ends it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to save, and may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn wait_for(address: &str) -> Result<()> {
    for _ in 0..6000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("nothing listens on {address}")
}

fn resident_mib(pid: u32) -> Result<f64> {
    memory_mib(pid, "VmRSS:")
}

/// The most that was resident since the process's start, or since [`forget_peak`].
fn peak_mib(pid: u32) -> Result<f64> {
    memory_mib(pid, "VmHWM:")
}

/// Has the kernel take what is resident now for the most that ever was (proc(5), clear_refs).
fn forget_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn memory_mib(pid: u32, of: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(of));
    let line = line.with_context(|| format!("no {of} line"))?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure of memory")?.parse()?;
    Ok(kib / 1024.0)
}
