//! `ottlactl mirror`: topics of one cluster copied to another, with their records' bytes, their
//! settings and, on demand, groups' offsets.
//!
//! | module | what it is |
//! |---|---|
//! | [`plan`] | which topics, and making those that are missing |
//! | [`mapping`] | which offset of the source became which of the target |
//! | [`state`] | the file that remembers it |
//! | [`resume`] | what was copied and not remembered |
//! | [`copy`] | records on their way |
//! | [`groups`] | offsets of groups |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, IsolationLevel, OffsetSpec, Properties, TopicPartition};
use regex::Regex;

use super::interrupt::Interrupt;
use super::partitions;
use super::perf::meter::Meter;
use super::perf::watch::watched;
use super::wanted::Stops;
use crate::global::{Global, name_and_value};
use crate::{CannotRun, Found, Outcome, complaint};

mod copy;
mod groups;
mod mapping;
mod plan;
mod resume;
mod state;

use mapping::{Mapping, Pair};
use state::State;

const EXAMPLES: &str = "\
Examples:
  ottlactl -b old:9092 mirror orders --to new:9092 --state mirror.json
  ottlactl -b old:9092 mirror --pattern 'orders\\..*' --groups '.*' --to new:9092 --state m.json
  ottlactl -b old:9092 mirror orders --to new:9092 --state m.json --follow

The same command again goes on where it was, whether it ended or was killed.

Exit codes: 0 all was copied, or Ctrl-C; 1 offsets of a group were not set; 2 cannot run or go on.";

/// Copies topics to another cluster, record by record
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Topics
    #[arg(required_unless_present = "pattern", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Topics whose whole name matches this regular expression; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = plan::parse_pattern)]
    pattern: Vec<Regex>,
    /// Brokers of the cluster that is copied to; -b are those of the one that is copied from
    #[arg(long, value_name = "HOST:PORT,...")]
    to: String,
    /// Settings of the clients of that cluster, a file such as client.properties
    #[arg(long, value_name = "FILE")]
    to_config: Option<PathBuf>,
    /// A setting of the clients of that cluster; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    to_property: Vec<String>,
    /// Where it is remembered which offset became which; made if it is not there
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Also sets the offsets of groups whose whole name matches; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = plan::parse_pattern)]
    groups: Vec<Regex>,
    /// Replicas of topics that are made; as many as that cluster's default without
    #[arg(long, value_name = "N")]
    replication_factor: Option<i16>,
    /// Goes on with what comes, until it is interrupted
    #[arg(long)]
    follow: bool,
}

/// How often the state is written, and offsets of groups are set.
const SAVE_EVERY: Duration = Duration::from_secs(5);
const GROUPS_EVERY: Duration = Duration::from_secs(10);
/// Records of transactions are copied when those are committed, and never if they are not.
const ISOLATION: IsolationLevel = IsolationLevel::ReadCommitted;
const API_TIMEOUT: &str = "default.api.timeout.ms";

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let interrupt = Interrupt::catch()?;
    let ends = Ends::new(args, global)?;
    let (from, to) = (ends.source.describe_cluster()?.id, ends.target.describe_cluster()?.id);
    if from == to {
        return Err(CannotRun(format!("-b and --to lead to the same cluster, {from}")));
    }
    let state = State::read(&args.state, &from, &to)?;
    let topics = plan::topics(&ends.source, &args.topics, &args.pattern)?;
    if topics.is_empty() {
        return Err(CannotRun("there is no such topic; ottlactl topics list".to_owned()));
    }
    plan::prepare(&ends.source, &ends.target, &topics, args.replication_factor)?;
    let partitions = partitions::of_topics(&ends.source, &topics, None)?;
    let mut mirror = Mirror { ends, state, partitions, path: args.state.clone() };
    if !mirror.begin(&interrupt)? {
        return Ok(Found::Nothing);
    }
    let stops = match args.follow {
        true => None,
        false => Some(partitions::ends(&mirror.ends.source, &mirror.partitions, ISOLATION)?),
    };
    let copied = mirror.copy(stops, &args.groups, &interrupt);
    mirror.state.write(&mirror.path)?;
    let (records, took) = copied?;
    let found = groups::set(&mirror.ends, &mirror.state, &args.groups)?;
    let (seconds, count) = (took.as_secs_f64(), mirror.partitions.len());
    let text = format!("{records} records of {count} partitions copied in {seconds:.1} s\n");
    global.output.print(&text)?;
    Ok(found)
}

/// Both clusters.
struct Ends {
    source: Admin,
    target: Admin,
    source_properties: Properties,
    target_properties: Properties,
}

impl Ends {
    fn new(args: &Args, global: &Global) -> Result<Self, CannotRun> {
        let mut target_properties = Properties::new();
        if let Some(file) = &args.to_config {
            target_properties.add_file(file)?;
        }
        for text in &args.to_property {
            let (name, value) = name_and_value("--to-property", text)?;
            target_properties.set(name, value);
        }
        target_properties.set("bootstrap.servers", &args.to);
        if target_properties.get(API_TIMEOUT).is_none() {
            target_properties.set(API_TIMEOUT, &global.timeout().as_millis().to_string());
        }
        Ok(Self {
            source: global.admin()?,
            target: Admin::new(&target_properties)?,
            source_properties: global.properties()?,
            target_properties,
        })
    }

    /// A consumer of either cluster that commits nothing and skips nothing.
    fn consumer(properties: &Properties) -> Result<Consumer, CannotRun> {
        let mut properties = properties.clone();
        for (name, value) in [
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "none"),
            ("max.poll.records", "2000"),
        ] {
            properties.set(name, value);
        }
        Ok(Consumer::new(&properties)?)
    }
}

/// A mirror at work.
struct Mirror {
    ends: Ends,
    state: State,
    partitions: Vec<TopicPartition>,
    path: PathBuf,
}

impl Mirror {
    /// Brings the state to where the target is, unless it is interrupted: whether it is there. A
    /// run that is killed meanwhile leaves what it has compared to the next one.
    fn begin(&mut self, interrupt: &Interrupt) -> Result<bool, CannotRun> {
        let (source, target) = (&self.ends.source, &self.ends.target);
        let first =
            |admin| partitions::offsets(admin, &self.partitions, OffsetSpec::Earliest, ISOLATION);
        let (source_first, target_first) = (first(source)?, first(target)?);
        let at = |offsets: &BTreeMap<TopicPartition, Option<i64>>, of: &TopicPartition| {
            offsets.get(of).copied().flatten().unwrap_or(0)
        };
        for of in &self.partitions {
            let start = Pair { source: at(&source_first, of), target: at(&target_first, of) };
            let new = || Mapping::new(start);
            self.state.partitions.entry(of.clone()).or_insert_with(new);
        }
        let mut saved = Instant::now();
        let turn = |state: &State| {
            if saved.elapsed() >= SAVE_EVERY {
                state.write(&self.path)?;
                saved = Instant::now();
            }
            Ok(!interrupt.is_set())
        };
        let first = |of: &TopicPartition| at(&source_first, of);
        if !resume::catch_up(&self.ends, &mut self.state, &self.partitions, first, turn)? {
            self.state.write(&self.path)?;
            return Ok(false);
        }
        for of in &self.partitions {
            let Some(mapping) = self.state.partitions.get(of) else { continue };
            let lost = at(&source_first, of) - mapping.next().source;
            if lost > 0 {
                complaint::print(format_args!(
                    "{of}: {lost} offsets were deleted at the source before they were copied"
                ));
            }
        }
        self.state.write(&self.path)?;
        Ok(true)
    }

    /// Copies up to the stops, or until it is interrupted.
    fn copy(
        &mut self,
        stops: Option<BTreeMap<TopicPartition, i64>>,
        groups: &[Regex],
        interrupt: &Interrupt,
    ) -> Result<(u64, Duration), CannotRun> {
        let source_first = partitions::offsets(
            &self.ends.source,
            &self.partitions,
            OffsetSpec::Earliest,
            ISOLATION,
        )?;
        let consumer = Ends::consumer(&self.ends.source_properties)?;
        consumer.assign(&self.partitions)?;
        let mut expected = 0;
        for of in &self.partitions {
            let next = self.state.partitions.get(of).map_or(0, |mapping| mapping.next().source);
            let start = next.max(source_first.get(of).copied().flatten().unwrap_or(0));
            consumer.seek(of, start)?;
            let stop = stops.as_ref().and_then(|stops| stops.get(of));
            expected += stop.map_or(0, |stop| (stop - start).max(0)).unsigned_abs();
        }
        let meter = super::perf::leaked(Instant::now());
        let progress = copy::Progress::new(std::mem::take(&mut self.state.partitions));
        let expected = stops.is_some().then_some(expected);
        let result = watched(
            meter,
            expected,
            None,
            |_, _| {},
            || self.turns(&consumer, stops.map(Stops::new), groups, interrupt, &progress, meter),
        );
        self.state.partitions = progress.mappings();
        let (counts, took, _) = meter.total();
        result.map(|()| (counts.records, took))
    }

    fn turns(
        &self,
        consumer: &Consumer,
        stops: Option<Stops>,
        groups: &[Regex],
        interrupt: &Interrupt,
        progress: &copy::Progress,
        meter: &'static Meter,
    ) -> Result<(), CannotRun> {
        let stops = stops.as_ref();
        let copier = copy::Copier::new(&self.ends.target_properties, progress, meter)?;
        let (mut saved, mut grouped) = (Instant::now(), Instant::now());
        loop {
            copier.turn(consumer, stops)?;
            let is_over = interrupt.is_set()
                || match stops {
                    Some(stops) => {
                        stops.are_reached(&self.partitions, |of| consumer.position(of))?
                    }
                    None => false,
                };
            if is_over {
                return copier.finish();
            }
            if saved.elapsed() >= SAVE_EVERY {
                self.snapshot(progress).write(&self.path)?;
                saved = Instant::now();
            }
            if stops.is_none() && grouped.elapsed() >= GROUPS_EVERY {
                groups::set(&self.ends, &self.snapshot(progress), groups)?;
                grouped = Instant::now();
            }
        }
    }

    fn snapshot(&self, progress: &copy::Progress) -> State {
        State {
            source: self.state.source.clone(),
            target: self.state.target.clone(),
            partitions: progress.mappings(),
        }
    }
}

/// A lock whose holder cannot leave anything half done.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
