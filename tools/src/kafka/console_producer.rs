//! `kafka-console-producer`.

use std::path::Path;

use ottla_client::{Producer, Properties};

use super::line_reader::LineReader;
use super::options::{Known, Options, Takes};
use super::{Failed, out};
use crate::Found;
use crate::flow::produce::Sending;

const KNOWN: &Known = &[
    ("batch-size", Takes::Value),
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("command-property", Takes::Values),
    ("compression-codec", Takes::Perhaps),
    ("help", Takes::Nothing),
    ("line-reader", Takes::Value),
    ("max-block-ms", Takes::Value),
    ("max-memory-bytes", Takes::Value),
    ("max-partition-memory-bytes", Takes::Value),
    ("message-send-max-retries", Takes::Value),
    ("metadata-expiry-ms", Takes::Value),
    ("producer-property", Takes::Values),
    ("producer.config", Takes::Value),
    ("property", Takes::Values),
    ("reader-config", Takes::Value),
    ("reader-property", Takes::Values),
    ("request-required-acks", Takes::Value),
    ("request-timeout-ms", Takes::Value),
    ("retry-backoff-ms", Takes::Value),
    ("socket-buffer-size", Takes::Value),
    ("sync", Takes::Nothing),
    ("timeout", Takes::Value),
    ("topic", Takes::Value),
    ("version", Takes::Nothing),
];

/// Options that are settings of the producer; of those the later ones count.
const SETTINGS: [(&str, &str); 11] = [
    ("batch-size", "batch.size"),
    ("max-partition-memory-bytes", "batch.size"),
    ("max-block-ms", "max.block.ms"),
    ("max-memory-bytes", "buffer.memory"),
    ("message-send-max-retries", "retries"),
    ("metadata-expiry-ms", "metadata.max.age.ms"),
    ("request-required-acks", "acks"),
    ("request-timeout-ms", "request.timeout.ms"),
    ("retry-backoff-ms", "retry.backoff.ms"),
    ("socket-buffer-size", "send.buffer.bytes"),
    ("timeout", "linger.ms"),
];
const READER: &str = "org.apache.kafka.tools.LineMessageReader";
/// Lines that are longer no broker takes.
const LINE_BYTES_MAX: usize = i32::MAX as usize;

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    for (one, other) in [
        ("property", "reader-property"),
        ("producer-property", "command-property"),
        ("producer.config", "command-config"),
    ] {
        if options.has(one) && options.has(other) {
            let why = format!("Options --{other} and --{one} cannot be specified together.");
            return Err(Failed::Err(why));
        }
    }
    warn(&options)?;
    let topic = options.required("topic")?;
    if let Some(class) = options.get("line-reader").filter(|class| *class != READER) {
        let why = format!("--line-reader {class}: there is no JVM here to load the class");
        return Err(Failed::Err(why));
    }
    let reader = reader(&options)?;
    let properties = properties(&options)?;
    let producer = Producer::new(&properties)?;
    let sending = Sending {
        topic,
        partition: None,
        keeps_partition: false,
        read: Box::new(move |line, number| reader.record(line, number)),
        stops_at_malformed: true,
        waits_for_each: options.has("sync"),
    };
    match sending.all(producer, b"\n", LINE_BYTES_MAX)? {
        Found::Nothing => Ok(()),
        Found::Damage => Err(Failed::Told),
    }
}

/// The tool does so on standard output.
fn warn(options: &Options) -> Result<(), Failed> {
    let future = "in a future version";
    for (old, new, when) in [
        ("producer-property", "command-property", future),
        ("producer.config", "command-config", future),
        ("property", "reader-property", future),
        ("max-partition-memory-bytes", "batch-size", "in Apache Kafka 5.0"),
    ] {
        if options.has(old) {
            out(&format!(
                "Warning: --{old} is deprecated and will be removed {when}. Use --{new} instead.\n"
            ))?;
        }
    }
    Ok(())
}

fn reader(options: &Options) -> Result<LineReader, Failed> {
    let mut file = Properties::new();
    if let Some(path) = options.get("reader-config") {
        file.add_file(Path::new(path))?;
    }
    let given = options.pairs(&["property", "reader-property"]);
    LineReader::new(file.iter().chain(given)).map_err(Failed::Err)
}

fn properties(options: &Options) -> Result<Properties, Failed> {
    let mut properties = Properties::new();
    for option in ["producer.config", "command-config"] {
        if let Some(file) = options.get(option) {
            properties.add_file(Path::new(file))?;
        }
    }
    for (name, value) in options.pairs(&["producer-property", "command-property"]) {
        properties.set(name, value);
    }
    for (option, setting) in SETTINGS {
        if let Some(value) = options.get(option) {
            properties.set(setting, value);
        }
    }
    if options.has("compression-codec") {
        let codec = options.get("compression-codec").unwrap_or("gzip");
        properties.set("compression.type", codec);
    }
    properties.set("bootstrap.servers", options.bootstrap()?);
    if properties.get("client.id").is_none() {
        properties.set("client.id", "console-producer");
    }
    Ok(properties)
}
