//! `ottlactl perf e2e`: from a producer through a broker to a consumer.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_client::{Consumer, IsolationLevel, Producer, ProducerRecord};

use super::consume::consumer;
use super::meter::{Interval, Meter};
use super::pace::Pace;
use super::payload::Payloads;
use super::produce::{cpu_time, leaked};
use super::report::{Form, Report};
use super::stamp::{Arrivals, STAMP_BYTES, Stamp};
use super::watch::watched;
use super::{Common, parse_throughput};
use crate::flow::interrupt::Interrupt;
use crate::flow::partitions;
use crate::flow::place::{parse_count, parse_size};
use crate::flow::produce::producer_properties;
use crate::global::Global;
use crate::{CannotRun, Found, Outcome, complaint, duration};

const LATENCY: &str = "\
A latency is the time from when a record was due to be sent until a consumer in the same process has
it: producer, broker and consumer together, by one clock. Records are due at a steady pace, whether
the ones before them were late or not.";

/// Measures how long records take from a producer to a consumer
#[derive(clap::Args, Debug)]
#[command(after_help = LATENCY)]
pub(crate) struct Args {
    /// Where they go through
    topic: String,
    /// How many: 1000, 50k
    #[arg(short, long, value_name = "COUNT", value_parser = parse_count, default_value = "10k")]
    num_records: u64,
    /// Bytes of a record's value, 24 at least
    #[arg(short = 's', long, value_name = "SIZE", value_parser = parse_size, default_value = "100")]
    record_size: u64,
    /// Records a second
    #[arg(short, long, value_name = "COUNT", value_parser = parse_throughput)]
    #[arg(default_value = "1000")]
    throughput: u64,
    /// Records in front that are not measured: connections are made for them
    #[arg(long, value_name = "COUNT", value_parser = parse_count, default_value = "100")]
    warmup_records: u64,
    /// How long to wait for records that do not come
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    idle: Duration,
    /// Prints how many records took how long
    #[arg(long)]
    histogram: bool,
    #[command(flatten)]
    common: Common,
}

/// More than this cannot be remembered one by one.
const RECORDS_MAX: u64 = 10_000_000_000;
/// How long a poll waits before it looks at whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(100);

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let form = args.common.form(global)?;
    let size = usize::try_from(args.record_size).unwrap_or(usize::MAX);
    if size < STAMP_BYTES || size > i32::MAX as usize {
        return Err(CannotRun("--record-size: from 24 bytes to 2 GiB".to_owned()));
    }
    if args.num_records > RECORDS_MAX {
        return Err(CannotRun("--num-records: e2e takes 10G records at most".to_owned()));
    }
    let mut properties = producer_properties(global)?;
    // A record that waits for others is late.
    if properties.get("linger.ms").is_none() {
        properties.set("linger.ms", "0");
    }
    let producer = Producer::new(&properties)?;
    let consumer = consumer(global)?;
    let admin = global.admin()?;
    let partitions = partitions::of_topics(&admin, std::slice::from_ref(&args.topic), None)?;
    let ends = partitions::ends(&admin, &partitions, IsolationLevel::ReadUncommitted)?;
    let interrupt = Interrupt::catch()?;
    consumer.assign(&partitions)?;
    for (partition, end) in &ends {
        consumer.seek(partition, *end)?;
    }
    if form == Form::Csv {
        writeln!(io::stdout(), "{}", Report::csv_header())?;
    }
    let through = Through {
        producer: &producer,
        consumer: &consumer,
        topic: &args.topic,
        interrupt: &interrupt,
        size,
        throughput: args.throughput as f64,
        idle_max: args.idle,
    };
    if args.warmup_records > 0 {
        let start = Instant::now();
        through.send_all(args.warmup_records, leaked(start), start)?;
    }
    let (start, cpu_before) = (Instant::now(), cpu_time());
    let meter = leaked(start);
    let what = "e2e";
    let report = |interval: &Interval, took| {
        let counts = &interval.counts;
        let report = Report { what, is_interval: true, counts, took, cpu: None };
        // The end says what cannot be written.
        _ = report.write(form, false, &mut io::stdout());
    };
    let missing = watched(meter, Some(args.num_records), args.common.every, report, || {
        through.send_all(args.num_records, meter, start)
    });
    let (counts, took, first_error) = meter.total();
    let cpu = cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let report = Report { what, is_interval: false, counts: &counts, took, cpu };
    report.write(form, args.histogram, &mut io::stdout())?;
    let missing = missing?;
    if interrupt.is_set() || missing == 0 {
        return Ok(Found::Nothing);
    }
    let first = first_error.map(|error| format!("; first error: {error}")).unwrap_or_default();
    complaint::print(format_args!("{missing} records did not come{first}"));
    Ok(Found::Damage)
}

/// Both ends.
struct Through<'a> {
    producer: &'a Producer,
    consumer: &'a Consumer,
    topic: &'a str,
    interrupt: &'a Interrupt,
    size: usize,
    throughput: f64,
    idle_max: Duration,
}

impl Through<'_> {
    /// Sends records on one thread and receives them on this one. How many did not come.
    fn send_all(
        &self,
        count: u64,
        meter: &'static Meter,
        start: Instant,
    ) -> Result<u64, CannotRun> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = now.as_nanos() as u64 ^ u64::from(std::process::id()) << 48;
        let (is_stopped, has_failed) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let sent = self.send(run, count, (meter, start), &is_stopped);
                has_failed.store(sent.is_err(), Ordering::Release);
                sent
            });
            // Those that are due later are not late.
            let received = self.receive(run, count, (meter, start), |idle| {
                has_failed.load(Ordering::Acquire) || sender.is_finished() && idle >= self.idle_max
            });
            is_stopped.store(true, Ordering::Release);
            let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let missing = received?;
            sent?;
            Ok(missing)
        })
    }

    fn send(
        &self,
        run: u64,
        count: u64,
        (meter, start): (&'static Meter, Instant),
        is_stopped: &AtomicBool,
    ) -> Result<(), CannotRun> {
        let pace = Pace::new(start, Some(self.throughput));
        let mut letters = Payloads::random(self.size);
        let mut value = vec![0; self.size];
        for number in 0..count {
            let due = loop {
                if self.interrupt.is_set() || is_stopped.load(Ordering::Acquire) {
                    return Ok(());
                }
                let (wait, due) = pace.wait(number, Instant::now());
                if wait.is_zero() {
                    break due;
                }
                thread::sleep(wait.min(TICK));
            };
            value.copy_from_slice(letters.value(number));
            let due_ns = due.saturating_duration_since(start).as_nanos() as u64;
            if let Some(front) = value.first_chunk_mut() {
                Stamp { run, number, due_ns }.write(front);
            }
            // That it came the consumer sees.
            self.producer.send_then(&ProducerRecord::new(self.topic, &value), |result| {
                if let Err(error) = result {
                    meter.failed(error);
                }
            })?;
        }
        self.producer.flush();
        Ok(())
    }

    fn receive(
        &self,
        run: u64,
        count: u64,
        (meter, start): (&Meter, Instant),
        is_over: impl Fn(Duration) -> bool,
    ) -> Result<u64, CannotRun> {
        let mut arrivals = Arrivals::new(count);
        let mut last = Instant::now();
        while arrivals.missing() > 0 && !self.interrupt.is_set() {
            let records = self.consumer.poll(TICK)?;
            let now = Instant::now();
            for record in &records {
                let Some(stamp) = record.value().and_then(|value| Stamp::read(value, run)) else {
                    continue;
                };
                last = now;
                if arrivals.is_first(stamp.number) {
                    let due = start + Duration::from_nanos(stamp.due_ns);
                    meter.done(1, self.size as u64, Some(due), now);
                }
            }
            if is_over(last.elapsed()) {
                break;
            }
        }
        Ok(arrivals.missing())
    }
}
