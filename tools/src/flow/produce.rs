//! `ottlactl produce`: lines of standard input become records.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use ottla_client::{Error, Header, Producer, ProducerRecord, Properties};

use super::escapes::Typed;
use super::input::{LineFormat, parse_header};
use super::interrupt::Interrupt;
use super::json::{OwnedHeader, ReadRecord};
use super::lines;
use crate::global::Global;
use crate::{CannotRun, Found, Outcome, complaint};

const EXAMPLES: &str = "\
Examples:
  echo hello | ottlactl produce orders
  ottlactl produce orders -K : < keyed.txt            lines are key:value
  ottlactl produce orders -K : -Z < keyed.txt         and an empty value is null
  ottlactl produce orders -H source=import -z zstd < lines.txt
  ottlactl consume t --from-beginning -e -o json | ottlactl -b other:9092 produce t -i json

Exit codes: 0 all records were appended; 1 some were not, as told with their lines; 2 cannot run.";

/// Sends lines of standard input as records
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to send them
    topic: String,
    /// What a line is: a value, or a record as consume -o json prints it
    #[arg(short, long, value_enum, default_value_t = Input::Lines)]
    input: Input,
    /// What is between key and value in a line; a line without it has no key (\n \t \xNN)
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = Typed::parse_delimiter)]
    key_delimiter: Option<Typed>,
    /// The key of lines that have none
    #[arg(short, long, value_parser = Typed::parse)]
    key: Option<Typed>,
    /// A header of every record, NAME alone for a null one; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    headers: Vec<OwnedHeader>,
    /// Sends empty keys and values as null
    #[arg(short = 'Z', long)]
    null_empty: bool,
    /// The partition of every record, instead of the partitioner's choice
    #[arg(short, long)]
    partition: Option<i32>,
    /// Leaves each record in the partition that its JSON line tells
    #[arg(long, conflicts_with = "partition")]
    keep_partition: bool,
    /// What ends a line (\n \t \0 \xNN)
    #[arg(short = 'D', long, value_name = "TEXT", value_parser = Typed::parse_delimiter)]
    #[arg(default_value = "\\n")]
    delimiter: Typed,
    /// The codec of batches, as -X compression.type=CODEC
    #[arg(short = 'z', long, value_name = "CODEC")]
    compression: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Input {
    Lines,
    Json,
}

/// How often a wait looks at whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(100);
/// Errors that are told one by one.
const TOLD_MAX: u64 = 20;

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    args.check()?;
    let mut properties = producer_properties(global)?;
    if let Some(codec) = &args.compression {
        properties.set("compression.type", codec);
    }
    let producer = Producer::new(&properties)?;
    let format = LineFormat {
        is_json: args.input == Input::Json,
        key_delimiter: args.key_delimiter.clone().map(|typed| typed.0),
        key: args.key.clone().map(|typed| typed.0),
        empty_is_null: args.null_empty,
        headers: args.headers.clone(),
    };
    let sent = Sending {
        topic: &args.topic,
        partition: args.partition,
        keeps_partition: args.keep_partition,
        read: Box::new(move |line, _| format.record(line)),
        stops_at_malformed: false,
        waits_for_each: false,
    };
    sent.all(producer, &args.delimiter.0, line_bytes_max(args.input, &properties))
}

impl Args {
    /// # Errors
    /// An option is for the other form of lines.
    fn check(&self) -> Result<(), CannotRun> {
        let (is_json, why) = match self.input {
            Input::Lines => (false, "is for --input json"),
            Input::Json => (true, "is for lines; JSON says itself what is key and what is null"),
        };
        for (option, is_given, is_for_json) in [
            ("--keep-partition", self.keep_partition, true),
            ("--key-delimiter", self.key_delimiter.is_some(), false),
            ("--null-empty", self.null_empty, false),
        ] {
            if is_given && is_for_json != is_json {
                return Err(CannotRun(format!("{option} {why}")));
            }
        }
        Ok(())
    }
}

/// Settings of a producer: one that cannot reach a broker says so as soon as other commands do.
///
/// # Errors
/// As [`Global::properties`].
pub(crate) fn producer_properties(global: &Global) -> Result<Properties, CannotRun> {
    const BLOCK_MAX: &str = "max.block.ms";
    let mut properties = global.properties()?;
    if properties.get(BLOCK_MAX).is_none() {
        properties.set(BLOCK_MAX, &global.timeout().as_millis().to_string());
    }
    Ok(properties)
}

/// How long a line can be that has a record in it.
fn line_bytes_max(input: Input, properties: &Properties) -> usize {
    let size = properties.get("max.request.size").and_then(|size| size.trim().parse().ok());
    let size: usize = size.unwrap_or(1 << 20);
    match input {
        Input::Lines => size,
        // A byte may be six characters there: \u0000.
        Input::Json => size.saturating_mul(8),
    }
}

/// Makes a record of a line and its number, or says what is wrong.
pub(crate) type ReadLine<'a> = Box<dyn Fn(&[u8], u64) -> Result<ReadRecord, String> + 'a>;

/// What is sent, and how.
pub(crate) struct Sending<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) keeps_partition: bool,
    pub(crate) read: ReadLine<'a>,
    /// Whether a line that is none ends all.
    pub(crate) stops_at_malformed: bool,
    /// Whether each record is waited for before the next is sent.
    pub(crate) waits_for_each: bool,
}

/// What became of the records.
#[derive(Debug, Default)]
struct Tally {
    failed: AtomicU64,
    is_fatal: AtomicBool,
}

impl Tally {
    /// Tells of a line that did not become a record in the log.
    fn failed(&self, line: u64, why: &dyn std::fmt::Display) {
        let before = self.failed.fetch_add(1, Ordering::Relaxed);
        if before < TOLD_MAX {
            complaint::print(format_args!("line {line}: {why}"));
        } else if before == TOLD_MAX {
            complaint::print("more lines failed; their number comes at the end");
        }
    }

    fn error(&self, line: u64, error: &Error) {
        if error.is_fatal() {
            self.is_fatal.store(true, Ordering::Relaxed);
        }
        self.failed(line, error);
    }
}

impl Sending<'_> {
    /// Sends all lines of standard input, and waits for their answers.
    ///
    /// # Errors
    /// The topic is not there, or no broker is.
    pub(crate) fn all(
        &self,
        producer: Producer,
        delimiter: &[u8],
        line_bytes_max: usize,
    ) -> Outcome {
        let count = producer.partitions(self.topic)?;
        if let Some(partition) = self.partition
            && usize::try_from(partition).map_or(true, |partition| partition >= count)
        {
            let why = format!("{} has no partition {partition}, but {count} of them", self.topic);
            return Err(CannotRun(why));
        }
        // From here on there is something to end in order.
        let interrupt = Interrupt::catch()?;
        let chunks = lines::spawn(io::stdin(), delimiter.to_vec(), line_bytes_max)?;
        let tally = Arc::new(Tally::default());
        let mut lines: u64 = 0;
        while !interrupt.is_set() && !tally.is_fatal.load(Ordering::Relaxed) {
            let chunk = match chunks.recv_timeout(TICK) {
                Ok(chunk) => chunk,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            for (line, number) in chunk.lines.iter().zip(chunk.first..) {
                lines = number;
                match line {
                    Some(line) => self.line(&producer, line, number, &tally)?,
                    None => {
                        let why = format!(
                            "longer than {line_bytes_max} bytes; raise -X max.request.size and the \
                             topic's max.message.bytes"
                        );
                        tally.failed(number, &why);
                    }
                }
            }
            if let Some(error) = chunk.error {
                producer.flush();
                return Err(CannotRun(format!("standard input, line {}: {error}", lines + 1)));
            }
        }
        producer.flush();
        match tally.failed.load(Ordering::Relaxed) {
            0 => Ok(Found::Nothing),
            failed => {
                complaint::print(format_args!("{failed} of {lines} lines were not appended"));
                Ok(Found::Damage)
            }
        }
    }

    fn line(
        &self,
        producer: &Producer,
        line: &[u8],
        number: u64,
        tally: &Arc<Tally>,
    ) -> Result<(), CannotRun> {
        let record = match (self.read)(line, number) {
            Ok(record) => record,
            Err(why) if self.stops_at_malformed => {
                producer.flush();
                return Err(CannotRun(why));
            }
            Err(why) => {
                tally.failed(number, &why);
                return Ok(());
            }
        };
        let ReadRecord { partition, timestamp, key, value, headers } = &record;
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let record = ProducerRecord {
            topic: self.topic,
            partition: self.partition.or(partition.filter(|_| self.keeps_partition)),
            timestamp: *timestamp,
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &headers,
        };
        let told = Arc::clone(tally);
        let sent = producer.send_then(&record, move |result| {
            if let Err(error) = result {
                told.error(number, &error);
            }
        });
        if let Err(error) = sent {
            tally.error(number, &error);
        }
        if self.waits_for_each {
            producer.flush();
        }
        Ok(())
    }
}
