//! `cargo xtask bench --curves`: what a record costs as there is more and more of something.
//!
//! Each point is measured on a server of its own, the floor, Ottla and Apache Kafka one after the
//! other. Rounds go from the least point to the greatest and back in turn, so that no point always
//! comes behind the same others. The figures are kept in `docs/curves.json` ([`kept`]) and drawn
//! from there, a figure of two panels each; where a curve bends upwards is printed.

mod kept;
mod loads;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args as ClapArgs, ValueEnum};

use super::plot::{self, Figure};
use super::{Bench, Server, Target, free_address, wait_for};
use crate::interop::{Kind, Site};
use kept::{Header, Rounds};
use loads::{KIB, MIB, Sample, Stage};

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
    #[arg(long, default_value_t = 3, requires = "curves")]
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
    /// Lines below the title.
    note: &'static [&'static str],
    x_label: &'static str,
    points: &'static [u64],
    /// Some of the points.
    kafka_points: &'static [u64],
    has_floor: bool,
    measure: fn(&Stage<'_>, u64) -> Result<Vec<Sample>>,
}

const CURVES: [Curve; 6] = [
    Curve {
        name: Name::Batch,
        title: "Cost of a batch by its size",
        note: &[
            "A batch of one record a request, one connection.",
            "CPU: five in flight, as fast as answers come. Latency: 100 MiB/s, at most 2,000/s.",
        ],
        x_label: "batch size",
        points: &[100, KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB],
        kafka_points: &[100, 16 * KIB, 64 * KIB, MIB],
        has_floor: true,
        measure: loads::batch,
    },
    Curve {
        name: Name::Connections,
        title: "Cost of a request by the number of connections",
        note: &[
            "5,000 requests/s in all, each of one record of 1 KiB, from the connections in turn.",
        ],
        x_label: "connections",
        points: &[1, 10, 100, 1000, 10_000],
        kafka_points: &[1, 100, 10_000],
        has_floor: true,
        measure: loads::connections,
    },
    Curve {
        name: Name::Partitions,
        title: "Cost of a request by the number of partitions",
        note: &[
            "5,000 requests/s of one connection, each of one record of 1 KiB, in turn.",
            "Each partition has two batches of 8 KiB before; one topic at 1, else ten.",
        ],
        x_label: "partitions",
        points: &[1, 10, 100, 1000, 10_000],
        kafka_points: &[1, 100, 10_000],
        has_floor: false,
        measure: loads::partitions,
    },
    Curve {
        name: Name::Segments,
        title: "Cost by the number of segments of a partition",
        note: &["Fetch: 64 KiB from chance places, one at a time. Produce: 2,000/s of 1 KiB."],
        x_label: "segments of 1 MiB",
        points: &[1, 10, 100, 1000],
        kafka_points: &[1, 1000],
        has_floor: false,
        measure: loads::segments,
    },
    Curve {
        name: Name::Consumers,
        title: "Cost of a delivered batch by the number of consumers",
        note: &["100 batches/s of 10 KiB, read along by all; latency until the last one has it."],
        x_label: "consumers",
        points: &[1, 10, 50, 100, 200],
        kafka_points: &[1, 50, 200],
        has_floor: false,
        measure: loads::consumers,
    },
    Curve {
        name: Name::Processors,
        title: "Cost by the number of the broker's processors",
        note: &[
            "Producers: 5,000 batches/s of 16 KiB. Consumers: 100/s of 10 KiB, read along by all.",
            "At 1 the broker is alone on it. At 2 it shares the second with the generator.",
        ],
        x_label: "processors",
        points: &[1, 2],
        kafka_points: &[1, 2],
        has_floor: false,
        measure: loads::processors,
    },
];

/// Connections may come faster than they are accepted, and one that finds no room in the backlog
/// tries again after a second.
const SETTINGS: &str = "\nsocket.listen.backlog.size=1024\n";
/// What Apache Kafka is given to compile before each point, and a point's load besides: the
/// point's own, or that of this one if it is less.
const WARM_UP_MIB: &str = "2048";
const WARM_UP_POINT_MAX: u64 = 100;

/// Who is measured at a point.
#[derive(Clone, Copy)]
enum Who {
    Floor,
    Broker(Kind),
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Broker(Kind::Ottla) => "Ottla",
            Self::Broker(Kind::Kafka) => "Apache Kafka",
        }
    }
}

/// Measures the curves that are asked for and draws all that the file has.
///
/// # Errors
/// Also when a point could not be measured, after all others.
pub(super) fn run(bench: &Bench<'_>, args: &CurveArgs, kafka: bool) -> Result<()> {
    let begun = Instant::now();
    let chosen = |curve: &&Curve| args.curve.is_empty() || args.curve.contains(&curve.name);
    let mut run = Run { bench, kafka, sites: Vec::new(), failures: Vec::new() };
    for curve in CURVES.iter().filter(chosen) {
        let header = Header::now(bench.root, args.curve_rounds)?;
        let begun = Instant::now();
        let mut values = Rounds::new();
        for round in 1..=args.curve_rounds {
            println!("{:?}: round {round} of {}", curve.name, args.curve_rounds);
            run.round(curve, round, &mut values);
        }
        println!("{:?}: {:.0} s", curve.name, begun.elapsed().as_secs_f64());
        kept::keep(&bench.root.join(&args.into), curve.key(), &header, &values)?;
    }
    println!("all: {:.0} s", begun.elapsed().as_secs_f64());
    draw(bench.root, args)?;
    run.sites.into_iter().try_for_each(Site::remove)?;
    let failures = run.failures;
    ensure!(failures.is_empty(), "{} points failed:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// Draws what the file has, and tells where it bends upwards.
pub(super) fn draw(root: &Path, args: &CurveArgs) -> Result<()> {
    let folder = root.join(&args.into);
    let kept = kept::read(&folder)?;
    let mut bends = Vec::new();
    for curve in &CURVES {
        let Some(of) = kept.get(&curve.key()) else { continue };
        let path = folder.join(format!("curve-{}.svg", curve.key()));
        let footer = kept::footer(of);
        let figure = Figure {
            title: curve.title,
            note: curve.note,
            footer: &footer,
            x_label: curve.x_label,
            x_bytes: curve.name == Name::Batch,
            panels: kept::panels(of)?,
        };
        fs::write(&path, plot::svg(&figure))?;
        println!("{}", path.display());
        bends.extend(kept::bends(&figure));
    }
    println!("more than a quarter more from one point to the next: {}", bends.len());
    bends.iter().for_each(|bend| println!("  {bend}"));
    Ok(())
}

impl Curve {
    fn key(&self) -> String {
        format!("{:?}", self.name).to_lowercase()
    }

    /// In a round: every other one goes back.
    fn ordered(&self, round: usize) -> Vec<u64> {
        let mut points = self.points.to_vec();
        if round.is_multiple_of(2) {
            points.reverse();
        }
        points
    }

    /// Who is measured at a point, in the round's order.
    fn subjects(&self, point: u64, round: usize, kafka: bool) -> Vec<Who> {
        let mut subjects = vec![Who::Broker(Kind::Ottla)];
        if self.has_floor {
            subjects.insert(0, Who::Floor);
        }
        if kafka && self.kafka_points.contains(&point) {
            subjects.push(Who::Broker(Kind::Kafka));
        }
        if round.is_multiple_of(2) {
            subjects.reverse();
        }
        subjects
    }

    /// Whether so much is appended at a point that it cannot stay on the disk until the end.
    fn is_large(&self) -> bool {
        matches!(self.name, Name::Batch | Name::Processors)
    }

    /// The processors of a broker.
    fn cpus(&self, point: u64) -> &'static str {
        if self.name == Name::Processors && point > 1 { "0,1" } else { "0" }
    }
}

/// All that is measured in one go.
struct Run<'a> {
    bench: &'a Bench<'a>,
    kafka: bool,
    /// Directories with many files, to be removed at the end: a file system may pass over the
    /// inodes of files that were removed shortly before one by one, which the next broker would
    /// pay for.
    sites: Vec<Site<'a>>,
    failures: Vec<String>,
}

impl Run<'_> {
    fn round(&mut self, curve: &Curve, round: usize, values: &mut Rounds) {
        for point in curve.ordered(round) {
            for who in curve.subjects(point, round, self.kafka) {
                let begun = Instant::now();
                let result = match who {
                    Who::Floor => self.floor(curve, point),
                    Who::Broker(kind) => self.broker(curve, (kind, point), round),
                };
                let of = format!("{}, {point} {}", who.name(), curve.x_label);
                match result {
                    Ok(samples) => note((who, point), begun.elapsed(), &samples, values),
                    Err(error) => {
                        println!("  FAILED: {of}: {error:#}");
                        self.failures.push(format!("{of}: {error:#}"));
                    }
                }
            }
        }
    }

    fn floor(&self, curve: &Curve, point: u64) -> Result<Vec<Sample>> {
        let bench = self.bench;
        let file = bench.folder.join("floor-curve");
        let address = free_address()?;
        let mut server = Command::new(bench.generator());
        server.args(["--cpu", "0", "floor-produce", "--listen", &address, "--file"]).arg(&file);
        let server = Server(server.spawn()?);
        wait_for(&address)?;
        let target = Target { address: &address, pid: server.0.id().to_string(), floor: true };
        let samples = (curve.measure)(&Stage { bench, target, topic: "curve" }, point);
        drop(server);
        fs::remove_file(file)?;
        samples
    }

    fn broker(
        &mut self,
        curve: &Curve,
        (kind, point): (Kind, u64),
        round: usize,
    ) -> Result<Vec<Sample>> {
        let name = format!("bench-curve-{}-{point}-{kind:?}-{round}", curve.key()).to_lowercase();
        let site = Site::fresh_with(self.bench.toolbox, &name, SETTINGS)?;
        let samples = on_site(self.bench, curve, (kind, point), &site);
        if curve.is_large() {
            site.remove()?;
        } else {
            self.sites.push(site);
        }
        samples
    }
}

fn on_site(
    bench: &Bench<'_>,
    curve: &Curve,
    (kind, point): (Kind, u64),
    site: &Site<'_>,
) -> Result<Vec<Sample>> {
    let running = site.start_among(kind, curve.cpus(point))?;
    let address = site.bootstrap().to_owned();
    let stage = |topic| {
        let target = Target { address: &address, pid: running.id().to_string(), floor: false };
        Stage { bench, target, topic }
    };
    if kind == Kind::Kafka {
        let warm = stage("warm-up");
        for command in ["produce", "fetch"] {
            warm.load(command, &["--mib", WARM_UP_MIB])?;
        }
        (curve.measure)(&stage("warm-up-too"), point.min(WARM_UP_POINT_MAX))?;
    }
    let samples = (curve.measure)(&stage("curve"), point)?;
    // A clean stop would write what nobody reads again.
    running.kill()?;
    Ok(samples)
}

fn note((who, point): (Who, u64), took: Duration, samples: &[Sample], values: &mut Rounds) {
    let took = took.as_secs_f64();
    for sample in samples {
        let (cpu, p99) = (sample.cpu_s_per_gib, sample.p99_ms);
        let series = format!("{}{}", who.name(), sample.load);
        println!("  {series}, {point}: {cpu:.2} s/GiB, {p99:.3} ms, after {took:.1} s");
        values.entry((series, point)).or_default().push((cpu, p99));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_goes_back() {
        for curve in &CURVES {
            let (there, mut back) = (curve.ordered(1), curve.ordered(2));
            back.reverse();
            assert_eq!(there, back);
            assert!(there.is_sorted());
            assert!(curve.kafka_points.iter().all(|point| there.contains(point)));
        }
        let names = |round| -> Vec<_> {
            CURVES[0].subjects(100, round, true).into_iter().map(Who::name).collect()
        };
        assert_eq!(names(1), ["floor", "Ottla", "Apache Kafka"]);
        assert_eq!(names(2), ["Apache Kafka", "Ottla", "floor"]);
    }
}
