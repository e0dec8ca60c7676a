//! `ottlactl perf consume`.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ottla_client::{Consumer, IsolationLevel, Records};

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

/// Reads records as fast as they come; all that are there, without a group
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to read them
    topic: String,
    /// Ends after so many: 1000, 50k, 10M; at the end of the topic without
    #[arg(short, long, value_name = "COUNT", value_parser = parse_count)]
    num_records: Option<u64>,
    /// Waits for new records instead of reading those that are there
    #[arg(long, requires = "num_records")]
    from_latest: bool,
    /// Ends when no record has come for so long
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    idle: Duration,
    #[command(flatten)]
    common: Common,
}

/// How long a poll waits before it looks at whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(100);
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let form = args.common.form(global)?;
    let consumer = consumer(global)?;
    let admin = global.admin()?;
    let partitions = partitions::of_topics(&admin, std::slice::from_ref(&args.topic), None)?;
    let isolation = IsolationLevel::ReadUncommitted;
    let ends = partitions::ends(&admin, &partitions, isolation)?;
    let start = if args.from_latest { Start::End } else { Start::Beginning };
    let starts = partitions::starts(&admin, &partitions, start, isolation)?;
    // Offsets that compaction has left, and those of transactions' ends, are no records: they are
    // fewer than this.
    let there: i64 = ends.values().sum::<i64>() - starts.values().sum::<i64>();
    let there = u64::try_from(there).unwrap_or(0);
    let expected = args.num_records.unwrap_or(there);
    let stops = args.num_records.is_none().then(|| Stops::new(ends));
    let interrupt = Interrupt::catch()?;
    if form == Form::Csv {
        writeln!(io::stdout(), "{}", Report::csv_header())?;
    }
    let (start, cpu_before) = (Instant::now(), cpu_time());
    let meter = Meter::new(start);
    consumer.assign(&partitions)?;
    for (partition, offset) in &starts {
        consumer.seek(partition, *offset)?;
    }
    let what = "consume";
    let report = |interval: &Interval, took| {
        let counts = &interval.counts;
        let report = Report { what, is_interval: true, counts, took, cpu: None };
        // The end says what cannot be written.
        _ = report.write(form, false, &mut io::stdout());
    };
    let read = watched(&meter, Some(expected), args.common.every, report, || {
        let mut last = Instant::now();
        let mut left = args.num_records.unwrap_or(u64::MAX);
        while left > 0 && !interrupt.is_set() && last.elapsed() < args.idle {
            let records = consumer.poll(TICK)?;
            if let Some(stops) = &stops
                && stops.are_reached(&partitions, |partition| consumer.position(partition))?
            {
                count(&records, &meter, &mut left);
                return Ok(());
            }
            if !records.is_empty() {
                last = Instant::now();
                count(&records, &meter, &mut left);
            }
        }
        Ok::<(), CannotRun>(())
    });
    let (counts, took, _) = meter.total();
    let cpu = cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let report = Report { what, is_interval: false, counts: &counts, took, cpu };
    report.write(form, false, &mut io::stdout())?;
    read?;
    _ = consumer.close(CLOSE_MAX);
    match args.num_records {
        Some(wanted) if counts.records < wanted && !interrupt.is_set() => {
            let (records, idle) = (counts.records, args.idle.as_secs_f64());
            let why = format!("{records} of {wanted} records came, then none for {idle} s; --idle");
            complaint::print(format_args!("{why} waits longer"));
            Ok(Found::Damage)
        }
        _ => Ok(Found::Nothing),
    }
}

/// A consumer that takes many records at a time.
///
/// # Errors
/// A setting is not valid.
pub(super) fn consumer(global: &Global) -> Result<Consumer, CannotRun> {
    let mut properties = global.properties()?;
    for (name, value) in [
        ("client.id", "ottlactl-perf"),
        ("max.poll.records", "10000"),
        ("enable.auto.commit", "false"),
    ] {
        if properties.get(name).is_none() {
            properties.set(name, value);
        }
    }
    Ok(Consumer::new(&properties)?)
}

/// Counts records, but no more than are wanted.
fn count(records: &Records, meter: &Meter, left: &mut u64) {
    let (mut count, mut bytes) = (0, 0);
    for record in records.iter().take(usize::try_from(*left).unwrap_or(usize::MAX)) {
        count += 1;
        let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len) as u64;
        bytes += length(record.key()) + length(record.value());
    }
    *left -= count;
    meter.done(count, bytes, None, Instant::now());
}
