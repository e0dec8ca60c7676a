//! `kafka-console-consumer`.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, IsolationLevel, Properties, TopicPartition};

use super::message_formatter::MessageFormatter;
use super::options::{Known, Options, Takes};
use super::{Failed, out};
use crate::complaint;
use crate::flow::interrupt::Interrupt;
use crate::flow::partitions;
use crate::flow::place::Start;

const KNOWN: &Known = &[
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("command-property", Takes::Value),
    ("consumer-property", Takes::Value),
    ("consumer.config", Takes::Value),
    ("enable-systest-events", Takes::Nothing),
    ("formatter", Takes::Value),
    ("formatter-config", Takes::Value),
    ("formatter-property", Takes::Value),
    ("from-beginning", Takes::Nothing),
    ("group", Takes::Value),
    ("help", Takes::Nothing),
    ("include", Takes::Value),
    ("isolation-level", Takes::Value),
    ("key-deserializer", Takes::Value),
    ("max-messages", Takes::Value),
    ("offset", Takes::Value),
    ("partition", Takes::Value),
    ("property", Takes::Value),
    ("skip-message-on-error", Takes::Nothing),
    ("timeout-ms", Takes::Value),
    ("topic", Takes::Value),
    ("value-deserializer", Takes::Value),
    ("version", Takes::Nothing),
];

const FORMATTERS: [&str; 3] = [
    "kafka.tools.DefaultMessageFormatter",
    "org.apache.kafka.tools.consumer.DefaultMessageFormatter",
    "DefaultMessageFormatter",
];
const TICK: Duration = Duration::from_millis(100);
/// How long the last commit may take.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let options = Options::parse(KNOWN, args)?;
    if options.has("version") {
        return out("4.3.1\n");
    }
    refuse(&options)?;
    for (old, new) in [
        ("consumer-property", "command-property"),
        ("consumer.config", "command-config"),
        ("property", "formatter-property"),
    ] {
        if options.has(old) {
            out(&format!(
                "Option --{old} is deprecated and will be removed in a future version. Use --{new} \
                 instead.\n"
            ))?;
        }
    }
    let formatter = formatter(&options)?;
    let properties = properties(&options)?;
    let level = match properties.get("isolation.level") {
        Some("read_committed") => IsolationLevel::ReadCommitted,
        _ => IsolationLevel::ReadUncommitted,
    };
    let admin = Admin::new(
        &Properties::new()
            .with("bootstrap.servers", properties.get("bootstrap.servers").unwrap_or_default()),
    )?;
    let (partitions, start) = places(&options, &admin)?;
    let consumer = Consumer::new(&properties)?;
    if properties.get("group.id").is_some() && !options.has("partition") {
        let topics: BTreeSet<&str> = partitions.iter().map(|of| &*of.topic).collect();
        consumer.subscribe(&topics.into_iter().collect::<Vec<_>>())?;
    } else {
        let starts = partitions::starts(&admin, &partitions, start, level)?;
        consumer.assign(&partitions)?;
        for (partition, offset) in &starts {
            consumer.seek(partition, *offset)?;
        }
    }
    let count = options.number("max-messages").map_err(Failed::Err)?;
    let timeout = options.number("timeout-ms").map_err(Failed::Err)?.map(Duration::from_millis);
    let interrupt = Interrupt::catch()?;
    let printed = read(&consumer, &formatter, &interrupt, (count, timeout));
    let closed = consumer.close(CLOSE_MAX);
    let (Ok(count) | Err((count, _))) = &printed;
    complaint::plain(&format!("Processed a total of {count} messages"));
    printed.map(drop).map_err(|(_, failed)| failed)?;
    Ok(closed?)
}

/// Prints records; how many.
fn read(
    consumer: &Consumer,
    formatter: &MessageFormatter,
    interrupt: &Interrupt,
    (wanted, timeout): (Option<i64>, Option<Duration>),
) -> Result<i64, (i64, Failed)> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let (mut count, mut last) = (0, Instant::now());
    // Less than nothing is without an end, as in Kafka's.
    let wanted = wanted.filter(|wanted| *wanted >= 0);
    let is_over = |count: i64| wanted.is_some_and(|wanted| count >= wanted);
    while !is_over(count) && !interrupt.is_set() {
        let mut polled = consumer.poll(Duration::ZERO);
        if polled.as_ref().is_ok_and(ottla_client::Records::is_empty) {
            out.flush().map_err(|error| (count, error.into()))?;
            polled = consumer.poll(TICK);
        }
        let records = polled.map_err(|error| (count, error.into()))?;
        let mut unread = BTreeSet::new();
        for record in &records {
            if is_over(count) {
                // Of what was not printed nothing is committed.
                let partition = record.topic_partition();
                if unread.insert(partition.clone()) {
                    let given = partitions::give_back(consumer, partition, record.offset());
                    given.map_err(|error| (count, error.into()))?;
                }
                continue;
            }
            formatter.write(&record, &mut out).map_err(|error| (count, error.into()))?;
            count += 1;
            last = Instant::now();
        }
        if timeout.is_some_and(|timeout| last.elapsed() >= timeout) {
            break;
        }
    }
    out.flush().map_err(|error| (count, error.into()))?;
    Ok(count)
}

/// Options that exclude each other, and those of what is not here.
fn refuse(options: &Options) -> Result<(), Failed> {
    let err = |why: &str| Err(Failed::Err(why.to_owned()));
    for (one, other) in [
        ("from-beginning", "offset"),
        ("group", "partition"),
        ("property", "formatter-property"),
        ("consumer-property", "command-property"),
        ("consumer.config", "command-config"),
    ] {
        if options.has(one) && options.has(other) {
            let (one, other) = match (one, other) {
                ("from-beginning" | "group", _) => (one.to_owned(), other.to_owned()),
                _ => (format!("--{one}"), format!("--{other}")),
            };
            return err(&format!("Options {one} and {other} cannot be specified together."));
        }
    }
    if options.has("offset") && !options.has("partition") {
        return err("The partition is required when offset is specified.");
    }
    if options.has("partition") && !options.has("topic") {
        return err("The topic is required when partition is specified.");
    }
    if options.has("topic") == options.has("include") {
        return err("Exactly one of the following arguments is required: [topic], [include]");
    }
    if let Some(class) = options.get("formatter").filter(|class| !FORMATTERS.contains(class)) {
        return err(&format!("--formatter {class}: there is no JVM here to load the class"));
    }
    Ok(())
}

fn formatter(options: &Options) -> Result<MessageFormatter, Failed> {
    let mut file = Properties::new();
    if let Some(path) = options.get("formatter-config") {
        file.add_file(Path::new(path))?;
    }
    let given = options.pairs(&["property", "formatter-property"]);
    let classes =
        [("key.deserializer", "key-deserializer"), ("value.deserializer", "value-deserializer")];
    let classes = classes.iter().filter_map(|(name, option)| Some((*name, options.get(option)?)));
    MessageFormatter::new(file.iter().chain(given).chain(classes))
}

fn properties(options: &Options) -> Result<Properties, Failed> {
    let mut properties = Properties::new();
    for option in ["consumer.config", "command-config"] {
        if let Some(file) = options.get(option) {
            properties.add_file(Path::new(file))?;
        }
    }
    for (name, value) in options.pairs(&["consumer-property", "command-property"]) {
        properties.set(name, value);
    }
    let server = options.get("bootstrap-server");
    let missing = || Failed::Err("Missing required argument \"[bootstrap-server]\"".to_owned());
    properties.set("bootstrap.servers", server.ok_or_else(missing)?);
    if let Some(level) = options.get("isolation-level") {
        properties.set("isolation.level", level);
    }
    match options.get("group").or(properties.get("group.id")).map(str::to_owned) {
        Some(group) if !options.has("partition") => {
            properties.set("group.id", &group);
            if options.has("from-beginning") {
                properties.set("auto.offset.reset", "earliest");
            }
        }
        // The tool makes up a group of its own; none is as good when nothing is committed.
        _ => properties.set("enable.auto.commit", "false"),
    }
    if properties.get("client.id").is_none() {
        properties.set("client.id", "console-consumer");
    }
    Ok(properties)
}

/// Which partitions are read, and where that begins.
fn places(options: &Options, admin: &Admin) -> Result<(Vec<TopicPartition>, Start), Failed> {
    let topics: Vec<String> = match (options.get("topic"), options.get("include")) {
        (Some(topic), _) => vec![topic.to_owned()],
        (None, pattern) => {
            let pattern = format!("^(?:{})$", pattern.unwrap_or_default().replace(',', "|"));
            let pattern = regex::Regex::new(&pattern)
                .map_err(|error| Failed::Err(format!("--include: {error}")))?;
            let all = admin.list_topics(false)?.into_iter().map(|topic| topic.name);
            all.filter(|name| pattern.is_match(name)).collect()
        }
    };
    let only = options
        .number::<i32>("partition")
        .map_err(Failed::Err)?
        .map(|partition| BTreeSet::from([partition]));
    let partitions = partitions::of_topics(admin, &topics, only.as_ref())?;
    let start = match options.get("offset") {
        None if options.has("from-beginning") => Start::Beginning,
        None | Some("latest") => Start::End,
        Some("earliest") => Start::Beginning,
        Some(offset) => match offset.parse() {
            Ok(offset) if offset >= 0 => Start::At(offset),
            _ => {
                return Err(Failed::Err(format!(
                    "The provided offset value '{offset}' is incorrect. Valid values are \
                     'earliest', 'latest', or a non-negative long."
                )));
            }
        },
    };
    Ok((partitions, start))
}
