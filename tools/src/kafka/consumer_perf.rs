//! `kafka-consumer-perf-test`.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_client::{Consumer, Properties, RebalanceListener, TopicPartition};

use super::consumer_stats::{Interval, JoinTime, Totals};
use super::date_format::DateFormat;
use super::options::{Known, Options, Takes};
use super::{Failed, out};
use crate::time;

const KNOWN: &Known = &[
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("command-property", Takes::Values),
    ("consumer.config", Takes::Value),
    ("date-format", Takes::Value),
    ("fetch-size", Takes::Value),
    ("from-latest", Takes::Nothing),
    ("group", Takes::Value),
    ("help", Takes::Nothing),
    ("hide-header", Takes::Nothing),
    ("include", Takes::Value),
    ("messages", Takes::Value),
    ("num-records", Takes::Value),
    ("print-metrics", Takes::Nothing),
    ("reporting-interval", Takes::Value),
    ("show-detailed-stats", Takes::Nothing),
    ("socket-buffer-size", Takes::Value),
    ("timeout", Takes::Perhaps),
    ("topic", Takes::Value),
    ("version", Takes::Nothing),
];

const TICK: Duration = Duration::from_millis(100);
/// How long the last commit may take.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    refuse(&options)?;
    warn(&options)?;
    let is_detailed = options.has("show-detailed-stats");
    if !options.has("hide-header") {
        let times = if is_detailed { "time, threadId" } else { "start.time, end.time" };
        out(&format!(
            "{times}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
             rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n"
        ))?;
    }
    let plan = Plan::new(&options)?;
    let consumer = Consumer::new(&properties(&options)?)?;
    let (start, start_ms) = (Instant::now(), time::now());
    let joining = Joining(Arc::new(Mutex::new(JoinTime::new(start))));
    match options.get("topic") {
        Some(topic) => consumer.subscribe_with(&[topic], joining.clone())?,
        None => {
            let pattern = options.get("include").unwrap_or_default();
            consumer.subscribe_pattern_with(pattern, joining.clone())?;
        }
    }
    let totals = consume(&consumer, &plan, &joining)?;
    let (took, end_ms) = (start.elapsed(), time::now());
    if totals.records < plan.num_records {
        out(&format!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) \
             exceeded. You can use the --timeout option to increase the timeout.\n",
            plan.timeout.as_millis()
        ))?;
    }
    consumer.close(CLOSE_MAX)?;
    if is_detailed {
        return Ok(());
    }
    let times = [start_ms, end_ms].map(|ms| plan.dates.format(ms));
    out(&totals.row(&times, took, joining.lock().total()))
}

/// Reads records; those of a poll are all counted.
fn consume(consumer: &Consumer, plan: &Plan, joining: &Joining) -> Result<Totals, Failed> {
    let mut totals = Totals::default();
    let mut last = Instant::now();
    let mut interval = Interval::new(last, plan.every);
    while totals.records < plan.num_records && last.elapsed() <= plan.timeout {
        let records = consumer.poll(TICK)?;
        let now = Instant::now();
        if !records.is_empty() {
            last = now;
        }
        for record in &records {
            totals.records += 1;
            let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len) as u64;
            totals.bytes += length(record.key()) + length(record.value());
            if let Some(took) = interval.end(now) {
                let joined = joining.lock().since_last();
                let row = interval.row(totals, took, joined);
                if plan.is_detailed {
                    out(&format!("{}, 0, {row}", plan.dates.format(time::now())))?;
                }
            }
        }
    }
    Ok(totals)
}

/// Counts how long the group has kept this member waiting.
#[derive(Clone)]
struct Joining(Arc<Mutex<JoinTime>>);

impl Joining {
    fn lock(&self) -> MutexGuard<'_, JoinTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RebalanceListener for Joining {
    fn assigned(&mut self, _: &Consumer, partitions: &[TopicPartition]) {
        self.lock().assigned(partitions, Instant::now());
    }

    fn revoked(&mut self, _: &Consumer, partitions: &[TopicPartition]) {
        self.lock().revoked(partitions, Instant::now());
    }
}

#[derive(Debug)]
struct Plan {
    num_records: u64,
    timeout: Duration,
    every: Duration,
    is_detailed: bool,
    dates: DateFormat,
}

impl Plan {
    fn new(options: &Options) -> Result<Self, Failed> {
        let number = |name| options.number::<i64>(name).map_err(Failed::Err);
        let num_records = match number("num-records")? {
            Some(records) => records,
            None => number("messages")?.unwrap_or(0),
        };
        let every = number("reporting-interval")?.unwrap_or(5000);
        if every <= 0 {
            return Err(Failed::Err("Reporting interval must be greater than 0.".to_owned()));
        }
        let ms = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let pattern = options.get("date-format").unwrap_or("yyyy-MM-dd HH:mm:ss:SSS");
        Ok(Self {
            num_records: u64::try_from(num_records).unwrap_or(0),
            timeout: ms(number("timeout")?.unwrap_or(10_000)),
            every: ms(every),
            is_detailed: options.has("show-detailed-stats"),
            dates: DateFormat::parse(pattern).map_err(Failed::Err)?,
        })
    }
}

/// Options that exclude each other, and those of what is not here.
fn refuse(options: &Options) -> Result<(), Failed> {
    let err = |why: String| Err(Failed::Err(why));
    options.bootstrap()?;
    for (one, other) in [("topic", "include"), ("messages", "num-records")] {
        if options.has(one) == options.has(other) {
            return err(format!(
                "Exactly one of the following arguments is required: [{one}], [{other}]"
            ));
        }
    }
    options.exclude("consumer.config", &["command-config"])?;
    if options.has("print-metrics") {
        return err(
            "--print-metrics: they are those of Kafka's own client; leave it out".to_owned()
        );
    }
    Ok(())
}

/// The tool does so on standard output.
fn warn(options: &Options) -> Result<(), Failed> {
    for (old, new) in [("messages", "num-records"), ("consumer.config", "command-config")] {
        if options.has(old) {
            out(&format!("Warning: --{old} is deprecated. Use --{new} instead.\n"))?;
        }
    }
    Ok(())
}

fn properties(options: &Options) -> Result<Properties, Failed> {
    let mut properties = Properties::new();
    for name in ["consumer.config", "command-config"] {
        if let Some(file) = options.get(name) {
            properties.add_file(Path::new(file))?;
        }
    }
    for (name, value) in options.pairs(&["command-property"]) {
        properties.set(name, value);
    }
    let number = |name| options.number::<i32>(name).map_err(Failed::Err);
    let fetch_size = number("fetch-size")?.unwrap_or(1 << 20);
    let buffer_size = number("socket-buffer-size")?.unwrap_or(2 << 20);
    let of_its_own = || format!("perf-consumer-{}", std::process::id());
    let group = options.get("group").map_or_else(of_its_own, str::to_owned);
    let reset = if options.has("from-latest") { "latest" } else { "earliest" };
    for (name, value) in [
        ("bootstrap.servers", options.get("bootstrap-server").unwrap_or_default()),
        ("group.id", &group),
        ("receive.buffer.bytes", &buffer_size.to_string()),
        ("max.partition.fetch.bytes", &fetch_size.to_string()),
        ("auto.offset.reset", reset),
        ("check.crcs", "false"),
    ] {
        properties.set(name, value);
    }
    if properties.get("client.id").is_none() {
        properties.set("client.id", "perf-consumer-client");
    }
    Ok(properties)
}
