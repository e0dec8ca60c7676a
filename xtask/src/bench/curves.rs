//! `cargo xtask bench --curves`: what a record costs as there is more and more of something.
//!
//! Each curve is measured on a broker of its own, from its least point to its greatest. The figures
//! are kept in `docs/curves.json` and drawn from there, a figure of two panels each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Args as ClapArgs, ValueEnum};
use serde_json::{Map, Value, json};

use super::plot::{self, Figure, Panel, Series};
use super::report::median;
use super::{Bench, Server, Target, free_address, wait_for};
use crate::interop::{Kind, Site};

/// What belongs to `--curves`.
#[derive(ClapArgs)]
pub(super) struct CurveArgs {
    /// Costs against numbers of things, into `docs/`, instead of the table.
    #[arg(long, conflicts_with_all = ["scale", "restart", "only"])]
    pub(super) curves: bool,
    /// With `--curves`: only this; may be given several times.
    #[arg(long, value_enum, requires = "curves")]
    curve: Vec<Name>,
    /// With `--curves`: measure nothing, draw what the file has.
    #[arg(long, requires = "curves")]
    pub(super) plot_only: bool,
    /// With `--curves`: also Apache Kafka, at fewer points.
    #[arg(long, requires = "curves", conflicts_with = "no_kafka")]
    pub(super) kafka: bool,
    /// With `--curves`: how often each curve is measured; medians are drawn.
    #[arg(long, default_value_t = 1, requires = "curves")]
    curve_rounds: usize,
    /// With `--curves`: the folder of `curves.json` and the figures, from the root.
    #[arg(long, default_value = "docs", requires = "curves")]
    into: PathBuf,
}

/// What there is more and more of.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Name {
    Batch,
    Connections,
    Partitions,
    Segments,
    Consumers,
    Processors,
}

/// What is measured, and how it is drawn.
struct Curve {
    name: Name,
    title: &'static str,
    note: &'static str,
    x_label: &'static str,
    points: &'static [u64],
    kafka_points: &'static [u64],
    has_floor: bool,
    measure: fn(&Stage<'_>, u64) -> Result<Vec<Sample>>,
}

const KIB: u64 = 1024;
const MIB: u64 = 1 << 20;

const CURVES: [Curve; 6] = [
    Curve {
        name: Name::Batch,
        title: "Cost of a batch by its size",
        note: "One record each. CPU: as fast as answers come. Latency: 100 MiB/s, at most 2,000/s.",
        x_label: "batch",
        points: &[100, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 512 * KIB, MIB],
        kafka_points: &[100, 4 * KIB, 64 * KIB, MIB],
        has_floor: true,
        measure: batch,
    },
    Curve {
        name: Name::Connections,
        title: "Cost of a request by the number of connections",
        note: "5,000 requests/s in all, each of one record of 1 KiB, from the connections in turn.",
        x_label: "connections",
        points: &[1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
        kafka_points: &[1, 100, 10_000],
        has_floor: true,
        measure: connections,
    },
    Curve {
        name: Name::Partitions,
        title: "Cost of a request by the number of partitions",
        note: "5,000 requests/s of one connection, each of one record of 1 KiB, in turn.",
        x_label: "partitions",
        points: &[1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
        kafka_points: &[1, 100, 10_000],
        has_floor: false,
        measure: partitions,
    },
    Curve {
        name: Name::Segments,
        title: "Cost by the number of segments of a partition",
        note: "Fetch: 64 KiB from chance places, one at a time. Produce: 2,000/s of 1 KiB.",
        x_label: "segments of 1 MiB",
        points: &[1, 3, 10, 30, 100, 300, 1000],
        kafka_points: &[1, 30, 1000],
        has_floor: false,
        measure: segments,
    },
    Curve {
        name: Name::Consumers,
        title: "Cost of a delivered batch by the number of consumers",
        note: "100 batches/s of 10 KiB, read along by all; latency until the last one has it.",
        x_label: "consumers",
        points: &[1, 2, 5, 10, 20, 50, 100, 200],
        kafka_points: &[1, 20, 200],
        has_floor: false,
        measure: consumers,
    },
    Curve {
        name: Name::Processors,
        title: "Cost by the number of processors",
        note: "The generator is on the second one too. Produce: 4 connections, 16 KiB a batch.",
        x_label: "processors",
        points: &[1, 2],
        kafka_points: &[1, 2],
        has_floor: false,
        measure: processors,
    },
];

/// Connections may come faster than they are accepted, and one that finds no room in the backlog
/// tries again after a second.
const SETTINGS: &str = "\nsocket.listen.backlog.size=1024\n";
/// What Apache Kafka is given to compile before each curve.
const WARM_UP_MIB: &str = "2048";
/// Seconds of a load at a fixed rate.
const SECONDS: &str = "3";

/// One point of one load.
struct Sample {
    /// Behind the broker's name: which load, when there are several.
    load: &'static str,
    cpu_s_per_gib: f64,
    p99_ms: f64,
}

type Answer = BTreeMap<String, Value>;

/// A server that is measured.
struct Stage<'a> {
    bench: &'a Bench<'a>,
    target: Target<'a>,
}

impl Stage<'_> {
    fn load(&self, command: &str, args: &[&str]) -> Result<Answer> {
        self.bench.load(&self.target.args(command, args))
    }
}

/// Values of all rounds: by series and, in its bits, x.
type Rounds = BTreeMap<(String, u64), Vec<(f64, f64)>>;

/// Measures the curves that are asked for and draws all that the file has.
pub(super) fn run(bench: &Bench<'_>, args: &CurveArgs, kafka: bool) -> Result<()> {
    let chosen = |curve: &&Curve| args.curve.is_empty() || args.curve.contains(&curve.name);
    for curve in CURVES.iter().filter(chosen) {
        let mut rounds = Rounds::new();
        for round in 1..=args.curve_rounds {
            println!("{:?}: round {round} of {}", curve.name, args.curve_rounds);
            curve.measure_all(bench, kafka, &mut rounds)?;
        }
        keep(&bench.root.join(&args.into), curve, &rounds)?;
    }
    draw(bench.root, args)
}

/// Draws what the file has.
pub(super) fn draw(root: &Path, args: &CurveArgs) -> Result<()> {
    let folder = root.join(&args.into);
    let kept = read(&folder)?;
    for curve in &CURVES {
        let Some(points) = kept.get(&curve.key()).and_then(|curve| curve["points"].as_array())
        else {
            continue;
        };
        let path = folder.join(format!("curve-{}.svg", curve.key()));
        fs::write(&path, plot::svg(&curve.figure(points)?))?;
        println!("{}", path.display());
    }
    Ok(())
}

impl Curve {
    fn key(&self) -> String {
        format!("{:?}", self.name).to_lowercase()
    }

    fn measure_all(&self, bench: &Bench<'_>, kafka: bool, rounds: &mut Rounds) -> Result<()> {
        if self.has_floor {
            let file = bench.folder.join("floor-curve");
            let address = free_address()?;
            let mut server = Command::new(bench.generator());
            server.args(["--cpu", "0", "floor-produce", "--listen", &address, "--file"]).arg(&file);
            let server = Server(server.spawn()?);
            wait_for(&address)?;
            let target = Target { address: &address, pid: server.0.id().to_string(), floor: true };
            self.each(&Stage { bench, target }, ("floor", self.points), rounds)?;
            drop(server);
            fs::remove_file(file)?;
        }
        self.broker(bench, Kind::Ottla, rounds)?;
        if kafka { self.broker(bench, Kind::Kafka, rounds) } else { Ok(()) }
    }

    fn broker(&self, bench: &Bench<'_>, kind: Kind, rounds: &mut Rounds) -> Result<()> {
        let site = Site::fresh_with(bench.toolbox, "bench-curve", SETTINGS)?;
        let running = site.start_on(kind, 0)?;
        let address = site.bootstrap().to_owned();
        let target = Target { address: &address, pid: running.id().to_string(), floor: false };
        let stage = Stage { bench, target };
        let (name, points) = match kind {
            Kind::Ottla => ("Ottla", self.points),
            Kind::Kafka => ("Apache Kafka", self.kafka_points),
        };
        if kind == Kind::Kafka {
            for command in ["produce", "fetch"] {
                stage.load(command, &["--topic", "warm-up", "--mib", WARM_UP_MIB])?;
            }
        }
        self.each(&stage, (name, points), rounds)?;
        running.stop()?;
        site.remove()
    }

    fn each(
        &self,
        stage: &Stage<'_>,
        (name, points): (&str, &[u64]),
        rounds: &mut Rounds,
    ) -> Result<()> {
        for point in points {
            for sample in (self.measure)(stage, *point)? {
                let (cpu, p99) = (sample.cpu_s_per_gib, sample.p99_ms);
                let series = format!("{name}{}", sample.load);
                println!("  {series}, {point} {}: {cpu:.2} s/GiB, {p99:.3} ms", self.x_label);
                rounds.entry((series, *point)).or_default().push((cpu, p99));
            }
        }
        Ok(())
    }

    fn figure(&self, points: &[Value]) -> Result<Figure<'_>> {
        let panel = |y_label, key: &str| {
            let mut series: Vec<Series> = Vec::new();
            for point in points {
                let of = point["of"].as_str().context("a point of nothing")?;
                let x = point["x"].as_f64().context("a point without x")?;
                let values = point[key].as_array().context("a point without values")?;
                let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
                ensure!(!values.is_empty(), "{of} at {x} has no {key}");
                let point = (x, median(&values));
                match series.iter_mut().find(|series| series.name == of) {
                    Some(known) => known.points.push(point),
                    None => series.push(styled(of, point, &series)),
                }
            }
            series.sort_by_key(|series| series.color);
            Ok::<_, anyhow::Error>(Panel { y_label, series })
        };
        Ok(Figure {
            title: self.title,
            note: self.note,
            x_label: self.x_label,
            x_bytes: self.name == Name::Batch,
            panels: vec![
                panel("CPU of the broker, s/GiB", "cpu_s_per_gib")?,
                panel("latency p99, ms", "p99_ms")?,
            ],
        })
    }
}

/// A series that begins with a point: each subject has a color, each of its loads a dash.
fn styled(of: &str, point: (f64, f64), others: &[Series]) -> Series {
    let color = match of {
        of if of.starts_with("Ottla") => "#0b5cad",
        of if of.starts_with("floor") => "#6b7280",
        _ => "#c2410c",
    };
    let before = others.iter().filter(|other| other.color == color).count();
    let dash = if before == 0 { "" } else { "7 3" };
    Series { name: of.to_owned(), color, dash, points: vec![point] }
}

fn sample(load: &'static str, cpu: &Answer, latency: &Answer) -> Result<Sample> {
    let number = |answer: &Answer, key: &str| {
        let value = answer.get(key).and_then(Value::as_f64);
        value.with_context(|| format!("no {key} in {answer:?}"))
    };
    let cpu_s_per_gib = number(cpu, "cpu_s_per_gib")?;
    Ok(Sample { load, cpu_s_per_gib, p99_ms: number(latency, "p99_ms")? })
}

fn batch(stage: &Stage<'_>, bytes: u64) -> Result<Vec<Sample>> {
    // What a batch of one record has around its value.
    let record_bytes = (bytes - 68).saturating_sub(if bytes < KIB { 0 } else { 4 }).to_string();
    let mib = stage.bench.size((bytes * 60_000 / MIB).clamp(6, 1024) as usize) as u64;
    let rate = (100 * MIB / bytes).min(2000).to_string();
    let topic = format!("batch-{bytes}");
    let of = ["--topic", &topic, "--record-bytes", &record_bytes, "--batch-records", "1"];
    stage.bench.warm_pages(mib)?;
    let mib = mib.to_string();
    let full = stage.load("produce", &[&of[..], &["--mib", &mib]].concat())?;
    let paced = ["--rate", &rate, "--seconds", SECONDS];
    let paced = stage.load("paced", &[&of[..], &paced].concat())?;
    Ok(vec![sample("", &full, &paced)?])
}

fn connections(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let topic = format!("connections-{count}");
    let count = count.to_string();
    let args = ["--topic", &topic, "--connections", &count, "--seconds", SECONDS];
    let answer = stage.load("connections", &args)?;
    Ok(vec![sample("", &answer, &answer)?])
}

fn partitions(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let topic = format!("partitions-{count}");
    // Kafka makes no more than some thousand partitions at once.
    let topics = if count < 1000 { 1 } else { 10 };
    let (each, topics) = ((count / topics).to_string(), topics.to_string());
    let args = ["--topic", &topic, "--topics", &topics, "--partitions", &each];
    let answer = stage.load("connections", &[&args[..], &["--seconds", SECONDS]].concat())?;
    Ok(vec![sample("", &answer, &answer)?])
}

fn segments(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let topic = format!("segments-{count}");
    let count = count.to_string();
    let fetches = stage.bench.size(20_000).to_string();
    let fetched = ["--topic", &topic, "--segments", &count, "--fetches", &fetches];
    let fetched = stage.load("scattered", &fetched)?;
    let paced = ["--topic", &topic, "--batch-records", "1", "--rate", "2000"];
    let paced = stage.load("paced", &[&paced[..], &["--seconds", SECONDS]].concat())?;
    Ok(vec![sample(", fetch", &fetched, &fetched)?, sample(", produce", &paced, &paced)?])
}

fn consumers(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let topic = format!("consumers-{count}");
    let count = count.to_string();
    let args = ["--topic", &topic, "--consumers", &count, "--seconds", SECONDS];
    let answer = stage.load("fan-out", &args)?;
    Ok(vec![sample("", &answer, &answer)?])
}

fn processors(stage: &Stage<'_>, count: u64) -> Result<Vec<Sample>> {
    let list = if count == 1 { "0" } else { "0,1" };
    let mut pin = Command::new("taskset");
    pin.args(["-a", "-c", "-p", list, &stage.target.pid]).stdout(Stdio::null());
    ensure!(pin.status()?.success(), "taskset to {list}");
    let mib = stage.bench.size(1024).to_string();
    let topic = format!("processors-{count}");
    let of = ["--topic", &topic, "--connections", "4"];
    let full = [&of[..], &["--batch-records", "15", "--mib", &mib]].concat();
    stage.bench.warm_pages(stage.bench.size(1024) as u64)?;
    let full = stage.load("produce", &full)?;
    let paced = ["--topic", &format!("{topic}-paced"), "--connections", "100"];
    let paced = stage.load("connections", &[&paced[..], &["--seconds", SECONDS]].concat())?;
    let topic = format!("{topic}-read");
    let read = ["--topic", &topic, "--consumers", "50", "--seconds", SECONDS];
    let read = stage.load("fan-out", &read)?;
    Ok(vec![sample(", produce", &full, &paced)?, sample(", 50 consumers", &read, &read)?])
}

fn read(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join("curves.json");
    if !path.exists() {
        return Ok(Map::new());
    }
    let text = fs::read(&path)?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Puts a curve into the file, in the place of what was there of it.
fn keep(folder: &Path, curve: &Curve, rounds: &Rounds) -> Result<()> {
    let points = rounds.iter().map(|((of, x), values)| {
        let column = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
            values.iter().map(of).map(|value| (value * 1e4).round() / 1e4).collect()
        };
        let (cpu, p99) = (column(|value| value.0), column(|value| value.1));
        json!({"of": of, "x": x, "cpu_s_per_gib": cpu, "p99_ms": p99})
    });
    let mut kept = read(folder)?;
    let points: Vec<Value> = points.collect();
    kept.insert(curve.key(), json!({"machine": machine()?, "points": points}));
    fs::create_dir_all(folder)?;
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    Ok(fs::write(folder.join("curves.json"), text)?)
}

/// Processors and kernel.
fn machine() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<_> = cpus.lines().filter(|line| line.starts_with("model name")).collect();
    let model = models.first().and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{} x {model}, Linux {}", models.len(), kernel.trim()))
}
