//! `ottlactl consume`: records of topics on standard output.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, Error, IsolationLevel, Records, TopicPartition};
use regex::bytes::Regex;

use super::escapes::Typed;
use super::format::{Format, LETTERS};
use super::interrupt::Interrupt;
use super::json::BytesAs;
use super::partitions;
use super::place::{Start, parse_partitions};
use super::printer::{How, Printer};
use super::wanted::{Stops, Wanted};
use crate::duration;
use crate::global::Global;
use crate::output::Format as Form;
use crate::{CannotRun, Found, Outcome, complaint, time};

const EXAMPLES: &str = "\
Examples:
  ottlactl consume orders                                 what comes from now on
  ottlactl consume orders --from-beginning -e             all that is there
  ottlactl consume orders --since 2h --grep 'error|fatal'
  ottlactl consume orders --offset -10 -e                 the last ten of each partition
  ottlactl consume orders -f '%T %p/%o %k: %s\\n'
  ottlactl consume orders -e --from-beginning -o json | jq .payload
  ottlactl consume orders -g billing                      as a member of a group, with commits";

/// Prints records: values, one a line, as they come
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Begins with the first records; in a group only where it has no committed offsets
    #[arg(long, conflicts_with_all = ["offset", "since"])]
    from_beginning: bool,
    /// Where to begin: beginning, end, an offset (5), so many before the end (-5), a time (@2h)
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["since", "group"])]
    offset: Option<String>,
    /// Records of this time or later: 2h (ago), 2026-11-26T10:00, ms since the epoch
    #[arg(long, value_name = "TIME", conflicts_with = "group")]
    since: Option<String>,
    /// Records of before this time, and then ends
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Partitions of each topic: 0,3,5-7
    #[arg(short, long, value_name = "LIST", value_parser = parse_partitions)]
    #[arg(conflicts_with = "group")]
    partition: Option<BTreeSet<i32>>,
    /// Ends after so many records
    #[arg(short = 'c', long, value_name = "N")]
    max_messages: Option<u64>,
    /// Ends at the end of the partitions as it is now
    #[arg(short, long)]
    exit: bool,
    /// Ends when no record has come for so long: 500ms, 10s
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    idle: Option<Duration>,
    /// Reads as a member of this group, and commits what was printed
    #[arg(short, long)]
    group: Option<String>,
    /// Only records whose value has this regular expression in it
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
    /// What is printed of a record; see below
    #[arg(short, long, value_name = "FORMAT", value_parser = Format::parse)]
    #[arg(long_help = format!("What is printed of a record: {LETTERS}"))]
    format: Option<Format>,
    /// How -o json prints bytes [default: exact]
    #[arg(long, value_enum)]
    bytes: Option<BytesAs>,
    /// What is printed for null with -f
    #[arg(short = 'Z', long, value_name = "TEXT", value_parser = Typed::parse)]
    #[arg(num_args = 0..=1, default_missing_value = "NULL", require_equals = true)]
    null: Option<Typed>,
    /// Which records of transactions are read
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = Isolation::ReadUncommitted)]
    isolation: Isolation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Isolation {
    /// All of them
    #[value(name = "read_uncommitted", alias = "uncommitted")]
    ReadUncommitted,
    /// Those of transactions that were committed
    #[value(name = "read_committed", alias = "committed")]
    ReadCommitted,
}

impl Isolation {
    fn level(self) -> IsolationLevel {
        match self {
            Self::ReadUncommitted => IsolationLevel::ReadUncommitted,
            Self::ReadCommitted => IsolationLevel::ReadCommitted,
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// How long a poll waits before it looks at whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(100);
/// How long the last commit may take.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let point = |text: &Option<String>, option: &str| {
        let parsed = text.as_deref().map(time::point).transpose();
        parsed.map_err(|CannotRun(why)| CannotRun(format!("{option}: {why}")))
    };
    let (since, until) = (point(&args.since, "--since")?, point(&args.until, "--until")?);
    let start = args.start(since)?;
    let printer = Printer::new(args.how(global)?, args.null.clone().map_or_else(Vec::new, |n| n.0));
    let admin = global.admin()?;
    let partitions = partitions::of_topics(&admin, &args.topics, args.partition.as_ref())?;
    let interrupt = Interrupt::catch()?;
    let reading = Reading {
        consumer: args.consumer(global)?,
        admin,
        interrupt,
        isolation: args.isolation.level(),
        idle_max: args.idle,
        is_member: args.group.is_some(),
        until,
        partitions,
        printer,
        wanted: Wanted { since, until, grep: args.grep.clone(), left: args.max_messages },
        stops: None,
    };
    reading.run(start, args)
}

impl Args {
    fn start(&self, since: Option<i64>) -> Result<Start, CannotRun> {
        if self.from_beginning {
            return Ok(Start::Beginning);
        }
        if let Some(since) = since {
            return Ok(Start::Time(since));
        }
        match &self.offset {
            Some(text) => Start::parse(text).map_err(|why| CannotRun(format!("--offset: {why}"))),
            None => Ok(Start::End),
        }
    }

    fn how(&self, global: &Global) -> Result<How, CannotRun> {
        match (&self.format, global.format()) {
            (Some(_), Some(_)) => Err(CannotRun("-f is a form by itself; leave out -o".to_owned())),
            (_, Some(Form::Json)) if self.null.is_some() => {
                Err(CannotRun("-Z is for -f; null is null in JSON".to_owned()))
            }
            (_, form) if self.bytes.is_some() && form != Some(Form::Json) => {
                Err(CannotRun("--bytes is for -o json".to_owned()))
            }
            (Some(format), None) => Ok(How::Format(format.clone())),
            (None, Some(Form::Json)) => Ok(How::Json(self.bytes.unwrap_or_default())),
            (None, None | Some(Form::Table)) => Ok(How::Format(Format::values())),
            (None, Some(_)) => {
                Err(CannotRun("consume prints values, -o json or -f FORMAT".to_owned()))
            }
        }
    }

    fn consumer(&self, global: &Global) -> Result<Consumer, CannotRun> {
        let mut properties = global.properties()?;
        properties.set("isolation.level", self.isolation.setting());
        match &self.group {
            Some(group) => {
                properties.set("group.id", group);
                if self.from_beginning {
                    properties.set("auto.offset.reset", "earliest");
                }
            }
            // Nobody asked for commits.
            None => properties.set("enable.auto.commit", "false"),
        }
        if properties.get("client.id").is_none() {
            properties.set("client.id", "ottlactl");
        }
        Ok(Consumer::new(&properties)?)
    }
}

/// A reading that goes on.
struct Reading {
    consumer: Consumer,
    admin: Admin,
    interrupt: Interrupt,
    isolation: IsolationLevel,
    idle_max: Option<Duration>,
    /// Of a group.
    is_member: bool,
    until: Option<i64>,
    partitions: Vec<TopicPartition>,
    printer: Printer,
    wanted: Wanted,
    stops: Option<Stops>,
}

impl Reading {
    fn run(mut self, start: Start, args: &Args) -> Outcome {
        if args.exit {
            let ends = partitions::ends(&self.admin, &self.partitions, self.isolation)?;
            self.stops = Some(Stops::new(ends));
        }
        if self.is_member {
            let topics: Vec<&str> = args.topics.iter().map(String::as_str).collect();
            self.consumer.subscribe(&topics)?;
        } else {
            let starts = partitions::starts(&self.admin, &self.partitions, start, self.isolation)?;
            self.consumer.assign(&self.partitions)?;
            for (partition, offset) in &starts {
                self.consumer.seek(partition, *offset)?;
            }
        }
        let read = self.read();
        let closed = self.consumer.close(CLOSE_MAX);
        read?;
        closed?;
        Ok(Found::Nothing)
    }

    fn read(&mut self) -> Result<(), CannotRun> {
        let mut last = Instant::now();
        while !self.interrupt.is_set() && !self.wanted.is_over() {
            self.look_at_the_clock()?;
            let records = match self.poll()? {
                Some(records) => records,
                None => continue,
            };
            if !records.is_empty() {
                last = Instant::now();
                self.print(&records)?;
            }
            if self.is_at_the_end()? {
                break;
            }
            if self.idle_max.is_some_and(|idle| last.elapsed() >= idle) {
                break;
            }
        }
        Ok(self.printer.flush()?)
    }

    /// What is there; and when nothing is, what comes within a tick. Whoever reads the output sees
    /// all of it before it is waited.
    fn poll(&mut self) -> Result<Option<Records>, CannotRun> {
        let mut polled = self.consumer.poll(Duration::ZERO);
        if polled.as_ref().is_ok_and(Records::is_empty) {
            self.printer.flush()?;
            polled = self.consumer.poll(TICK);
        }
        match polled {
            Ok(records) => Ok(Some(records)),
            Err(error) if error.is_retriable() => {
                complaint::print(format_args!("{error}; going on"));
                std::thread::sleep(TICK);
                Ok(None)
            }
            Err(error) => {
                self.printer.flush()?;
                Err(advised(&self.admin, &error))
            }
        }
    }

    /// When the time of `--until` is over, what was appended before it is all that there is.
    fn look_at_the_clock(&mut self) -> Result<(), CannotRun> {
        if self.until.is_some_and(|until| until <= time::now()) {
            self.until = None;
            if self.stops.is_none() {
                let stops = partitions::ends(&self.admin, &self.partitions, self.isolation)?;
                self.stops = Some(Stops::new(stops));
            }
        }
        Ok(())
    }

    fn print(&mut self, records: &Records) -> Result<(), CannotRun> {
        let mut records = records.iter();
        while let Some(record) = records.next() {
            let stops = self.stops.as_ref();
            if stops.is_some_and(|s| s.is_behind(record.topic_partition(), record.offset())) {
                continue;
            }
            if self.wanted.takes(record.timestamp(), record.value()) {
                self.printer.print(&record)?;
            }
            if self.wanted.is_over() {
                let rest = records.filter(|_| self.is_member);
                return Ok(partitions::give_back_all(&self.consumer, rest)?);
            }
        }
        Ok(())
    }

    fn is_at_the_end(&self) -> Result<bool, CannotRun> {
        let Some(stops) = &self.stops else { return Ok(false) };
        let assigned;
        let partitions = if self.is_member {
            assigned = self.consumer.assignment();
            &assigned
        } else {
            &self.partitions
        };
        Ok(stops.are_reached(partitions, |partition| self.consumer.position(partition))?)
    }
}

fn advised(admin: &Admin, error: &Error) -> CannotRun {
    crate::advice::on(admin, error)
}
