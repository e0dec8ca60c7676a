//! `ottlactl perf consume`.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, IsolationLevel, Properties, Records, TopicPartition};

use super::Common;
use super::meter::{Interval, Meter};
use super::produce::cpu_time;
use super::report::{Form, Report};
use super::watch::watched;
use crate::flow::interrupt::Interrupt;
use crate::flow::partitions;
use crate::flow::place::{Start, parse_count};
use crate::flow::wanted::Stops;
use crate::global::Global;
use crate::{CannotRun, Found, Outcome, complaint, duration};

const GROUP: &str = "\
As a member of a group it begins where the group has committed, or else at the beginning, and at the
end commits what was read. The time has joining the group in it; it ends at the end of those
partitions that are its own.";

/// Reads records as fast as they come; all that are there
#[derive(clap::Args, Debug)]
#[command(after_help = GROUP)]
pub(crate) struct Args {
    /// Where to read them
    topic: String,
    /// Ends after so many: 1000, 50k, 10M; at the end of the topic without
    #[arg(short, long, value_name = "COUNT", value_parser = parse_count)]
    num_records: Option<u64>,
    /// Waits for new records instead of reading those that are there
    #[arg(long, requires = "num_records")]
    from_latest: bool,
    /// Reads as a member of this group
    #[arg(short, long)]
    group: Option<String>,
    /// Ends when no record has come for so long
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    idle: Duration,
    #[command(flatten)]
    common: Common,
}

/// How long a poll waits before it looks at whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(100);
/// How long the last commit may take.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let form = args.common.form(global)?;
    let reading = Reading::new(args, global)?;
    if form == Form::Csv {
        writeln!(io::stdout(), "{}", Report::csv_header())?;
    }
    let (start, cpu_before) = (Instant::now(), cpu_time());
    let meter = Meter::new(start);
    reading.begin(&args.topic)?;
    let what = "consume";
    let report = |interval: &Interval, took| {
        let counts = &interval.counts;
        let report = Report { what, is_interval: true, counts, took, cpu: None };
        // The end says what cannot be written.
        _ = report.write(form, false, &mut io::stdout());
    };
    let read = watched(&meter, reading.expected, args.common.every, report, || {
        reading.read(&meter, args.num_records, args.idle)
    });
    let (counts, took, _) = meter.total();
    let cpu = cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let report = Report { what, is_interval: false, counts: &counts, took, cpu };
    report.write(form, false, &mut io::stdout())?;
    let is_interrupted = reading.interrupt.is_set();
    read?;
    reading.consumer.close(CLOSE_MAX)?;
    match args.num_records {
        Some(wanted) if counts.records < wanted && !is_interrupted => {
            let (records, idle) = (counts.records, args.idle.as_secs_f64());
            let why = format!("{records} of {wanted} records came, then none for {idle} s; --idle");
            complaint::print(format_args!("{why} waits longer"));
            Ok(Found::Damage)
        }
        _ => Ok(Found::Nothing),
    }
}

/// A reading that can be begun.
struct Reading {
    consumer: Consumer,
    interrupt: Interrupt,
    is_member: bool,
    partitions: Vec<TopicPartition>,
    /// Where it begins, unless the group says that.
    starts: Vec<(TopicPartition, i64)>,
    /// Where it ends, unless after so many.
    stops: Option<Stops>,
    /// How many records there may be.
    expected: Option<u64>,
}

impl Reading {
    fn new(args: &Args, global: &Global) -> Result<Self, CannotRun> {
        let consumer = args.consumer(global)?;
        let admin = global.admin()?;
        let is_member = args.group.is_some();
        let partitions = partitions::of_topics(&admin, std::slice::from_ref(&args.topic), None)?;
        let isolation = IsolationLevel::ReadUncommitted;
        let ends = partitions::ends(&admin, &partitions, isolation)?;
        let starts = if is_member { Vec::new() } else { args.starts(&admin, &partitions)? };
        // Offsets that compaction has left, and those of transactions' ends, are no records: they
        // are fewer than this.
        let there: i64 = ends.values().sum::<i64>() - starts.iter().map(|(_, at)| at).sum::<i64>();
        let there = u64::try_from(there).ok().filter(|_| !is_member);
        Ok(Self {
            consumer,
            interrupt: Interrupt::catch()?,
            is_member,
            partitions,
            starts,
            expected: args.num_records.or(there),
            stops: args.num_records.is_none().then(|| Stops::new(ends)),
        })
    }

    fn begin(&self, topic: &str) -> Result<(), CannotRun> {
        if self.is_member {
            return Ok(self.consumer.subscribe(&[topic])?);
        }
        self.consumer.assign(&self.partitions)?;
        for (partition, offset) in &self.starts {
            self.consumer.seek(partition, *offset)?;
        }
        Ok(())
    }

    fn read(&self, meter: &Meter, wanted: Option<u64>, idle: Duration) -> Result<(), CannotRun> {
        let mut last = Instant::now();
        let mut left = wanted.unwrap_or(u64::MAX);
        while left > 0 && !self.interrupt.is_set() && last.elapsed() < idle {
            let records = self.consumer.poll(TICK)?;
            if !records.is_empty() {
                last = Instant::now();
                let taken = count(&records, meter, left);
                left -= taken;
                let taken = usize::try_from(taken).unwrap_or(usize::MAX);
                let rest = records.iter().skip(taken).filter(|_| self.is_member);
                partitions::give_back_all(&self.consumer, rest)?;
            }
            if self.is_at_the_end()? {
                break;
            }
        }
        Ok(())
    }

    fn is_at_the_end(&self) -> Result<bool, CannotRun> {
        let Some(stops) = &self.stops else { return Ok(false) };
        let assigned = self.is_member.then(|| self.consumer.assignment());
        let partitions = assigned.as_ref().unwrap_or(&self.partitions);
        Ok(stops.are_reached(partitions, |partition| self.consumer.position(partition))?)
    }
}

impl Args {
    fn starts(
        &self,
        admin: &Admin,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, CannotRun> {
        let start = if self.from_latest { Start::End } else { Start::Beginning };
        let isolation = IsolationLevel::ReadUncommitted;
        Ok(partitions::starts(admin, partitions, start, isolation)?.into_iter().collect())
    }

    fn consumer(&self, global: &Global) -> Result<Consumer, CannotRun> {
        let Some(group) = &self.group else { return consumer(global) };
        let mut properties = global.properties()?;
        properties.set("group.id", group);
        let reset = if self.from_latest { "latest" } else { "earliest" };
        properties.set("auto.offset.reset", reset);
        of_many(properties)
    }
}

/// A consumer that takes many records at a time, and commits nothing.
///
/// # Errors
/// A setting is not valid.
pub(super) fn consumer(global: &Global) -> Result<Consumer, CannotRun> {
    let mut properties = global.properties()?;
    if properties.get("enable.auto.commit").is_none() {
        properties.set("enable.auto.commit", "false");
    }
    of_many(properties)
}

fn of_many(mut properties: Properties) -> Result<Consumer, CannotRun> {
    for (name, value) in [("client.id", "ottlactl-perf"), ("max.poll.records", "10000")] {
        if properties.get(name).is_none() {
            properties.set(name, value);
        }
    }
    Ok(Consumer::new(&properties)?)
}

/// Counts records, but no more than are left to be read. How many that were.
fn count(records: &Records, meter: &Meter, left: u64) -> u64 {
    let (mut count, mut bytes) = (0, 0);
    for record in records.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        count += 1;
        let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len) as u64;
        bytes += length(record.key()) + length(record.value());
    }
    meter.done(count, bytes, None, Instant::now());
    count
}
