//! `ottlactl perf produce`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use ottla_client::{Producer, ProducerRecord};

use super::meter::Meter;
use super::pace::Pace;
use super::payload::Payloads;
use super::report::{Form, Report};
use super::watch::watched;
use super::{Common, parse_throughput};
use crate::flow::escapes::Typed;
use crate::flow::interrupt::Interrupt;
use crate::flow::place::{parse_count, parse_size};
use crate::flow::produce::producer_properties;
use crate::global::Global;
use crate::{CannotRun, Found, Outcome, complaint};

const LATENCY: &str = "\
A latency is the time from when a record was due to its acknowledgment. With --throughput a record
is due at its place in the schedule, whether the ones before it were late or not.";

/// Sends records, as fast as they are taken or at a fixed pace
#[derive(clap::Args, Debug)]
#[command(after_help = LATENCY)]
pub(crate) struct Args {
    /// Where to send them
    topic: String,
    /// How many: 1000, 50k, 10M
    #[arg(short, long, value_name = "COUNT", value_parser = parse_count, default_value = "1M")]
    num_records: u64,
    /// Bytes of a record's value, letters by chance: 100, 1k, 64KiB [default: 100]
    #[arg(short = 's', long, value_name = "SIZE", value_parser = parse_size)]
    #[arg(conflicts_with_all = ["payload_file", "payload_monotonic"])]
    record_size: Option<u64>,
    /// A file of values, of which each record has one by chance
    #[arg(long, value_name = "FILE", conflicts_with = "payload_monotonic")]
    payload_file: Option<PathBuf>,
    /// What is between the values of the file
    #[arg(long, value_name = "TEXT", value_parser = Typed::parse_delimiter, default_value = "\\n")]
    payload_delimiter: Typed,
    /// Values are numbers that count up
    #[arg(long)]
    payload_monotonic: bool,
    /// Records a second: 1000, 50k; as many as possible without
    #[arg(short, long, value_name = "COUNT", value_parser = parse_throughput)]
    throughput: Option<u64>,
    /// Records in front that are not measured
    #[arg(long, value_name = "COUNT", value_parser = parse_count, default_value = "0")]
    warmup_records: u64,
    /// Prints how many records took how long
    #[arg(long)]
    histogram: bool,
    #[command(flatten)]
    common: Common,
}

/// Values that are longer no broker takes.
const RECORD_SIZE_MAX: u64 = i32::MAX as u64;

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let form = args.common.form(global)?;
    let mut payloads = args.payloads()?;
    let mut properties = producer_properties(global)?;
    if properties.get("client.id").is_none() {
        properties.set("client.id", "ottlactl-perf");
    }
    let producer = Producer::new(&properties)?;
    producer.partitions(&args.topic)?;
    let interrupt = Interrupt::catch()?;
    let sending = Sending { producer: &producer, topic: &args.topic, interrupt: &interrupt };
    if args.warmup_records > 0 {
        let pace = Pace::new(Instant::now(), args.throughput.map(|rate| rate as f64));
        sending.run(0..args.warmup_records, pace, &mut payloads, leaked(Instant::now()))?;
        producer.flush();
    }
    let (start, cpu_before) = (Instant::now(), cpu_time());
    let meter = leaked(start);
    let pace = Pace::new(start, args.throughput.map(|rate| rate as f64));
    if form == Form::Csv {
        writeln!(io::stdout(), "{}", Report::csv_header())?;
    }
    let histogram = args.histogram;
    let print = |report: &Report<'_>, histogram| report.write(form, histogram, &mut io::stdout());
    let report = |interval: &super::meter::Interval, took| {
        let counts = &interval.counts;
        let report = Report { what: "produce", is_interval: true, counts, took, cpu: None };
        // The end says what cannot be written.
        _ = print(&report, false);
    };
    let sent = watched(meter, Some(args.num_records), args.common.every, report, || {
        let sent = sending.run(0..args.num_records, pace, &mut payloads, meter);
        producer.flush();
        sent
    });
    let (counts, took, first_error) = meter.total();
    let cpu = cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let report = Report { what: "produce", is_interval: false, counts: &counts, took, cpu };
    print(&report, histogram)?;
    sent?;
    match first_error {
        None => Ok(Found::Nothing),
        Some(error) => {
            complaint::print(format_args!("{} records failed, first: {error}", counts.failed));
            Ok(Found::Damage)
        }
    }
}

impl Args {
    fn payloads(&self) -> Result<Payloads, CannotRun> {
        if let Some(file) = &self.payload_file {
            return Payloads::of_file(file, &self.payload_delimiter.0).map_err(CannotRun);
        }
        if self.payload_monotonic {
            return Ok(Payloads::counting());
        }
        let size = self.record_size.unwrap_or(100);
        let size = usize::try_from(size).ok().filter(|_| size <= RECORD_SIZE_MAX);
        let size = size.ok_or_else(|| {
            CannotRun(format!("--record-size: a record has {RECORD_SIZE_MAX} bytes at most"))
        })?;
        Ok(Payloads::random(size))
    }
}

/// A meter that stays: a callback for each record that shared ownership would count references up
/// on one processor and down on another.
pub(crate) fn leaked(start: Instant) -> &'static Meter {
    Box::leak(Box::new(Meter::new(start)))
}

/// CPU time of this process, all threads.
pub(super) fn cpu_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let of = |time: nix::sys::time::TimeVal| {
        let micros = u64::try_from(time.tv_sec()).ok()? * 1_000_000;
        Some(Duration::from_micros(micros + u64::try_from(time.tv_usec()).ok()?))
    };
    Some(of(usage.user_time())? + of(usage.system_time())?)
}

/// Where records go, and who may stop it.
pub(super) struct Sending<'a> {
    pub(super) producer: &'a Producer,
    pub(super) topic: &'a str,
    pub(super) interrupt: &'a Interrupt,
}

/// The longest sleep that does not look at whether somebody wants to stop.
const SLEEP_MAX: Duration = Duration::from_millis(100);

impl Sending<'_> {
    /// Sends records of these numbers; their results come to the meter.
    ///
    /// # Errors
    /// One cannot be sent, and so none can.
    pub(super) fn run(
        &self,
        numbers: std::ops::Range<u64>,
        pace: Pace,
        payloads: &mut Payloads,
        meter: &'static Meter,
    ) -> Result<(), CannotRun> {
        for number in numbers {
            let due = loop {
                let (wait, due) = pace.wait(number, Instant::now());
                if self.interrupt.is_set() {
                    return Ok(());
                }
                if wait.is_zero() {
                    break due;
                }
                thread::sleep(wait.min(SLEEP_MAX));
            };
            let value = payloads.value(number);
            let bytes = value.len() as u32;
            let record = ProducerRecord::new(self.topic, value);
            let sent = self.producer.send_then(&record, move |result| match result {
                Ok(_) => meter.done(1, u64::from(bytes), Some(due), Instant::now()),
                Err(error) => meter.failed(error),
            });
            if let Err(error) = sent {
                // One that finds no room is one that failed; what is against a rule always is.
                if !error.is_retriable() {
                    return Err(error.into());
                }
                meter.failed(error);
            }
        }
        Ok(())
    }
}
