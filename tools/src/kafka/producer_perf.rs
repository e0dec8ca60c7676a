//! `kafka-producer-perf-test`.

use std::path::{Path, absolute};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use ottla_client::{Error, ErrorKind, Producer, ProducerRecord, Properties};
use regex::bytes::Regex;

use super::argparse::{Known, Values};
use super::options::Options;
use super::producer_stats::Stats;
use super::{Failed, java, out};
use crate::complaint;
use crate::flow::perf::pace::Pace;
use crate::flow::perf::payload::Payloads;

static KNOWN: Known = Known {
    tool: "kafka-producer-perf-test",
    options: &[
        ("bootstrap-server", Values::One),
        ("topic", Values::One),
        ("num-records", Values::One),
        ("payload-delimiter", Values::One),
        ("throughput", Values::One),
        ("producer-props", Values::Some),
        ("command-property", Values::Some),
        ("producer.config", Values::One),
        ("command-config", Values::One),
        ("print-metrics", Values::None),
        ("transactional-id", Values::One),
        ("transaction-duration-ms", Values::One),
        ("warmup-records", Values::One),
        ("reporting-interval", Values::One),
        ("record-size", Values::One),
        ("payload-file", Values::One),
        ("payload-monotonic", Values::None),
    ],
    required: &["topic", "num-records", "throughput"],
    one_of: &["record-size", "payload-file", "payload-monotonic"],
};

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    if args.is_empty() {
        return out(&format!("{}\n", KNOWN.usage()));
    }
    if args.iter().any(|arg| arg == "-h" || arg == "--help") {
        return Err(Failed::Out(KNOWN.usage()));
    }
    let options = KNOWN.parse(args)?;
    let plan = Plan::new(&options)?;
    let properties = properties(&options)?;
    let mut payloads = payloads(&options, plan.record_size)?;
    let producer = Producer::new(&properties)?;
    let warmup = plan.warmup_records;
    if warmup > 0 {
        out(&format!(
            "Warmup first {warmup} records. Steady state results will print after the complete \
             test summary.\n"
        ))?;
    }
    let topic = options.get("topic").unwrap_or_default();
    let start = Instant::now();
    // Callbacks have them on the client's thread, and the process ends with them.
    let stats: &'static Both = Box::leak(Box::new(Both::new(start, plan.every)));
    let pace = Pace::new(start, Some(plan.throughput));
    for number in 0..plan.num_records {
        thread::sleep(pace.wait(number, Instant::now()).0);
        let value = payloads.value(number);
        let bytes = value.len() as u64;
        let sent = Instant::now();
        if warmup > 0 && number == warmup {
            stats.begin_steady(sent, plan.every);
        }
        let is_steady = warmup > 0 && number >= warmup;
        let record = ProducerRecord::new(topic, value);
        let taken = producer.send_then(&record, move |result| match result {
            Ok(_) => stats.done(is_steady, bytes, sent, Instant::now()),
            Err(error) => tell(&error),
        });
        if let Err(error) = taken {
            tell(&error);
        }
    }
    producer.flush();
    out(&stats.total(Instant::now()))
}

/// The tool goes on behind a record that was not taken, and says so in its exit code no more.
fn tell(error: &Error) {
    let has_class = error.code().is_some() || matches!(error.kind(), ErrorKind::Timeout(_));
    complaint::plain(&if has_class { java::exception(error) } else { error.to_string() });
}

/// The whole, and what comes after the warmup.
struct Both(Mutex<(Stats, Option<Stats>)>);

impl Both {
    fn new(start: Instant, every: Duration) -> Self {
        Self(Mutex::new((Stats::new(start, every, false), None)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut (Stats, Option<Stats>)) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin_steady(&self, now: Instant, every: Duration) {
        self.with(|(whole, steady)| {
            whole.be_quiet();
            *steady = Some(Stats::new(now, every, true));
        });
    }

    fn done(&self, is_steady: bool, bytes: u64, sent: Instant, now: Instant) {
        let text = self.with(|(whole, steady)| {
            let of_whole = whole.done(bytes, sent, now);
            let steady = steady.as_mut().filter(|_| is_steady);
            of_whole.or(steady.and_then(|steady| steady.done(bytes, sent, now)))
        });
        // The end says what cannot be written.
        _ = text.map(|text| out(&text));
    }

    fn total(&self, now: Instant) -> String {
        self.with(|(whole, steady)| {
            let steady = steady.as_ref().map(|steady| steady.total(now));
            whole.total(now) + &steady.unwrap_or_default()
        })
    }
}

/// How many records, of which size, how fast.
#[derive(Debug)]
struct Plan {
    num_records: u64,
    /// `None` when a file or numbers are sent.
    record_size: Option<usize>,
    /// Records a second; less than 0: as many as can be.
    throughput: f64,
    warmup_records: u64,
    every: Duration,
}

impl Plan {
    fn new(options: &Options) -> Result<Self, Failed> {
        let num_records = number::<i64>(options, "num-records", "Long")?.unwrap_or(0);
        let record_size = number::<i32>(options, "record-size", "Integer")?;
        let throughput = number::<f64>(options, "throughput", "Double")?.unwrap_or(-1.0);
        let warmup = number::<i64>(options, "warmup-records", "Long")?.unwrap_or(0);
        let every = number::<i64>(options, "reporting-interval", "Long")?.unwrap_or(5000);
        let duration = number::<i64>(options, "transaction-duration-ms", "Long")?;
        for (name, is_wrong) in [
            ("num-records", num_records <= 0),
            ("record-size", record_size.is_some_and(|size| size <= 0)),
            ("reporting-interval", every <= 0),
            ("transaction-duration-ms", duration.is_some_and(|duration| duration <= 0)),
        ] {
            if is_wrong {
                return Err(KNOWN.wrong(&format!("--{name} should be greater than zero.")));
            }
        }
        if warmup >= num_records {
            return Err(KNOWN.wrong(
                "The value for --warmup-records must be strictly fewer than the number of records \
                 in the test, --num-records.",
            ));
        }
        refuse(options)?;
        if throughput == 0.0 || throughput.is_nan() {
            return Err(KNOWN.wrong("--throughput: nothing is sent at that pace; -1 is no limit"));
        }
        Ok(Self {
            num_records: u64::try_from(num_records).unwrap_or(0),
            record_size: record_size.and_then(|size| usize::try_from(size).ok()),
            throughput,
            warmup_records: u64::try_from(warmup).unwrap_or(0),
            every: Duration::from_millis(u64::try_from(every).unwrap_or(0)),
        })
    }
}

/// Options that exclude each other or need another, and those of what is not here.
fn refuse(options: &Options) -> Result<(), Failed> {
    let servers = [
        "bootstrap-server",
        "command-property",
        "producer-props",
        "producer.config",
        "command-config",
    ];
    if options.given(&servers).is_empty() {
        return Err(KNOWN.wrong(
            "At least one of --bootstrap-server, --command-property, --producer-props, \
             --producer.config or --command-config must be specified.",
        ));
    }
    for (one, other) in
        [("command-property", "producer-props"), ("command-config", "producer.config")]
    {
        if options.has(one) && options.has(other) {
            let why = format!("--{one} and --{other} cannot be specified together.");
            return Err(KNOWN.wrong(&why));
        }
    }
    for (name, why) in [
        ("transactional-id", "there are no transactions here yet; leave it out"),
        ("transaction-duration-ms", "there are no transactions here yet; leave it out"),
        ("print-metrics", "they are those of Kafka's own client; leave it out"),
    ] {
        if options.has(name) {
            return Err(KNOWN.wrong(&format!("argument --{name}: {why}")));
        }
    }
    Ok(())
}

fn number<T: std::str::FromStr>(
    options: &Options,
    name: &str,
    class: &str,
) -> Result<Option<T>, Failed> {
    let parsed = |text: &str| {
        let wrong = || {
            let why =
                format!("could not convert '{text}' to {class} (For input string: \"{text}\")");
            KNOWN.wrong(&format!("argument --{name}: {why}"))
        };
        text.parse().map_err(|_| wrong())
    };
    options.get(name).map(parsed).transpose()
}

fn properties(options: &Options) -> Result<Properties, Failed> {
    for (old, new) in
        [("producer-props", "command-property"), ("producer.config", "command-config")]
    {
        if options.has(old) {
            out(&format!(
                "Option --{old} has been deprecated and will be removed in a future version. Use \
                 --{new} instead.\n"
            ))?;
        }
    }
    let mut properties = Properties::new();
    for name in ["producer.config", "command-config"] {
        if let Some(file) = options.get(name) {
            properties.add_file(Path::new(file))?;
        }
    }
    for text in ["producer-props", "command-property"].iter().flat_map(|name| options.all(name)) {
        // A value cannot be empty, nor have the sign in it.
        match text.split_once('=') {
            Some((name, value)) if !value.is_empty() && !value.contains('=') => {
                properties.set(name, value);
            }
            _ => return Err(Failed::Err(format!("Invalid property: {text}"))),
        }
    }
    if let Some(server) = options.get("bootstrap-server") {
        properties.set("bootstrap.servers", server);
    }
    if properties.get("client.id").is_none() {
        properties.set("client.id", "perf-producer-client");
    }
    Ok(properties)
}

fn payloads(options: &Options, size: Option<usize>) -> Result<Payloads, Failed> {
    if let Some(size) = size {
        return Ok(Payloads::random(size));
    }
    let Some(file) = options.get("payload-file") else { return Ok(Payloads::counting()) };
    out(&format!("Reading payloads from: {}\n", absolute(file)?.display()))?;
    let bytes = fs::read(file).unwrap_or_default();
    let missing = "File does not exist or empty file provided.";
    if bytes.is_empty() {
        return Err(Failed::Err(missing.to_owned()));
    }
    let pattern = options.get("payload-delimiter").unwrap_or("\\n");
    let delimiter = Regex::new(pattern)
        .map_err(|error| KNOWN.wrong(&format!("argument --payload-delimiter: {error}")))?;
    let values = split(&bytes, &delimiter);
    out(&format!("Number of records read: {}\n", values.len()))?;
    if values.is_empty() {
        return Err(Failed::Err(missing.to_owned()));
    }
    Ok(Payloads::Of(values))
}

/// The parts of a file between delimiters; one at either end is in front of or behind nothing.
fn split(bytes: &[u8], delimiter: &Regex) -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = delimiter.split(bytes).map(<[u8]>::to_vec).collect();
    if values.last().is_some_and(Vec::is_empty) {
        values.pop();
    }
    if values.first().is_some_and(Vec::is_empty) {
        values.remove(0);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_an_error_when_it_is_asked_for() {
        assert!(run(&[]).is_ok());
        let asked = run(&["--topic".to_owned(), "t".to_owned(), "-h".to_owned()]);
        assert!(matches!(asked, Err(Failed::Out(text)) if text.starts_with("usage: kafka-")));
    }

    #[test]
    fn files_are_split_as_javas_scanner_does() {
        for (text, delimiter, values) in [
            ("one\ntwo\nthree\n", "\\n", vec!["one", "two", "three"]),
            ("a\n\nb", "\\n", vec!["a", "", "b"]),
            ("one\ntwo\nthree\n", "e", vec!["on", "\ntwo\nthr", "", "\n"]),
            ("\na", "\\n", vec!["a"]),
            ("a, b,c", ", ?", vec!["a", "b", "c"]),
            ("\n", "\\n", vec![]),
        ] {
            let expected: Vec<Vec<u8>> =
                values.iter().map(|value| value.as_bytes().into()).collect();
            let split = split(text.as_bytes(), &Regex::new(delimiter).unwrap());
            assert_eq!(split, expected, "{text:?}");
        }
    }
}
