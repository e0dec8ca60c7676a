//! `kafka-console-consumer`.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, IsolationLevel, Properties};
use regex::Regex;

use super::message_formatter::MessageFormatter;
use super::options::{Known, Options, Takes};
use super::{Failed, out, topics};
use crate::complaint;
use crate::flow::interrupt::Interrupt;
use crate::flow::partitions;
use crate::flow::place::Start;

const KNOWN: &Known = &[
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("command-property", Takes::Values),
    ("consumer-property", Takes::Values),
    ("consumer.config", Takes::Value),
    ("enable-systest-events", Takes::Nothing),
    ("formatter", Takes::Value),
    ("formatter-config", Takes::Value),
    ("formatter-property", Takes::Values),
    ("from-beginning", Takes::Nothing),
    ("group", Takes::Value),
    ("help", Takes::Nothing),
    ("include", Takes::Value),
    ("isolation-level", Takes::Value),
    ("key-deserializer", Takes::Value),
    ("max-messages", Takes::Value),
    ("offset", Takes::Value),
    ("partition", Takes::Value),
    ("property", Takes::Values),
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
/// Prints nothing.
const NO_FORMATTER: &str = "org.apache.kafka.tools.consumer.NoOpMessageFormatter";
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked whether a topic has come to be.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the last commit may take.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
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
    let wanted = Wanted::new(&options)?;
    let consumer = Consumer::new(&properties)?;
    let printed = match begin(&options, &properties, &consumer, wanted.timeout)? {
        true => read(&consumer, formatter.as_ref(), &Interrupt::catch()?, &wanted),
        false => Ok(0),
    };
    let closed = consumer.close(CLOSE_MAX);
    let (Ok(count) | Err((count, _))) = &printed;
    complaint::plain(&format!("Processed a total of {count} messages"));
    printed.map(drop).map_err(|(_, failed)| failed)?;
    closed?;
    if options.has("enable-systest-events") { out("shutdown_complete\n") } else { Ok(()) }
}

/// When to end, and what of.
struct Wanted {
    messages: Option<i64>,
    /// Without a record for so long.
    timeout: Option<Duration>,
    skips_malformed: bool,
}

impl Wanted {
    fn new(options: &Options) -> Result<Self, Failed> {
        let number = |name| {
            // Less than nothing is without an end.
            let number: Option<i64> = options.number(name)?;
            Ok::<_, String>(number.filter(|number| *number >= 0))
        };
        let timeout = number("timeout-ms").map_err(Failed::Err)?;
        Ok(Self {
            messages: number("max-messages").map_err(Failed::Err)?,
            timeout: timeout.map(|ms| Duration::from_millis(ms.unsigned_abs())),
            skips_malformed: options.has("skip-message-on-error"),
        })
    }
}

/// Prints records; how many.
fn read(
    consumer: &Consumer,
    formatter: Option<&MessageFormatter>,
    interrupt: &Interrupt,
    wanted: &Wanted,
) -> Result<i64, (i64, Failed)> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let (mut count, mut last) = (0, Instant::now());
    let is_over = |count: i64| wanted.messages.is_some_and(|wanted| count >= wanted);
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
            let written = formatter.map_or(Ok(()), |formatter| formatter.write(&record, &mut out));
            count += 1;
            last = Instant::now();
            match written {
                Err(error)
                    if wanted.skips_malformed && error.kind() == io::ErrorKind::InvalidData =>
                {
                    let at = format!("{}, offset {}", record.topic_partition(), record.offset());
                    complaint::plain(&format!("{at}: skipping this message: {error}"));
                }
                written => written.map_err(|error| (count, error.into()))?,
            }
        }
        if wanted.timeout.is_some_and(|timeout| last.elapsed() >= timeout) {
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
    let is_known = |class: &&str| FORMATTERS.contains(class) || *class == NO_FORMATTER;
    if let Some(class) = options.get("formatter").filter(|class| !is_known(class)) {
        return err(&format!("--formatter {class}: there is no JVM here to load the class"));
    }
    Ok(())
}

fn formatter(options: &Options) -> Result<Option<MessageFormatter>, Failed> {
    if options.get("formatter") == Some(NO_FORMATTER) {
        return Ok(None);
    }
    let mut file = Properties::new();
    if let Some(path) = options.get("formatter-config") {
        file.add_file(Path::new(path))?;
    }
    let given = options.pairs(&["property", "formatter-property"]);
    let classes =
        [("key.deserializer", "key-deserializer"), ("value.deserializer", "value-deserializer")];
    let classes = classes.iter().filter_map(|(name, option)| Some((*name, options.get(option)?)));
    MessageFormatter::new(file.iter().chain(given).chain(classes)).map(Some)
}

fn properties(options: &Options) -> Result<Properties, Failed> {
    let mut properties = Properties::new();
    for option in ["consumer.config", "command-config"] {
        if let Some(file) = options.get(option) {
            properties.add_file(Path::new(file))?;
        }
    }
    let of_file = properties.get("group.id").map(str::to_owned);
    for (name, value) in options.pairs(&["consumer-property", "command-property"]) {
        properties.set(name, value);
    }
    properties.set("bootstrap.servers", options.bootstrap()?);
    if let Some(level) = options.get("isolation-level") {
        properties.set("isolation.level", level);
    }
    let reset = properties.get("auto.offset.reset");
    if let Some(reset) = reset.filter(|reset| options.has("from-beginning") && *reset != "earliest")
    {
        return Err(Failed::Err(format!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please \
             remove one option"
        )));
    }
    match group(options, &properties, of_file)? {
        Some(_) if options.has("partition") => {
            let why = "Options group and partition cannot be specified together.";
            return Err(Failed::Err(why.to_owned()));
        }
        Some(group) => {
            properties.set("group.id", &group);
            if options.has("from-beginning") {
                properties.set("auto.offset.reset", "earliest");
            }
        }
        // The tool makes up a group of its own; none is as good when nothing is committed.
        None => properties.set("enable.auto.commit", "false"),
    }
    if properties.get("client.id").is_none() {
        properties.set("client.id", "console-consumer");
    }
    Ok(properties)
}

/// The group that is named, wherever that is.
///
/// # Errors
/// Several are.
fn group(
    options: &Options,
    properties: &Properties,
    of_file: Option<String>,
) -> Result<Option<String>, Failed> {
    let given = [options.get("group"), properties.get("group.id"), of_file.as_deref()];
    let groups: BTreeSet<&str> = given.into_iter().flatten().collect();
    if groups.len() > 1 {
        let groups: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        return Err(Failed::Err(format!(
            "The group ids provided in different places (directly using '--group', via \
             '--consumer-property', or via '--consumer.config') do not match. Detected group ids: \
             {}",
            groups.join(", ")
        )));
    }
    Ok(groups.first().map(|group| (*group).to_owned()))
}

/// Has the consumer read what is asked for. What is not there yet is waited for; false when it did
/// not come within `timeout`.
fn begin(
    options: &Options,
    properties: &Properties,
    consumer: &Consumer,
    timeout: Option<Duration>,
) -> Result<bool, Failed> {
    // A comma is one here, where other tools have a list.
    let whole = |include: &str| {
        let wrong = |_| Failed::Err(format!("{include} is an invalid regex."));
        Regex::new(&format!("^(?:{include})$")).map_err(wrong)
    };
    let include = options.get("include");
    let pattern = include.map(whole).transpose()?;
    if properties.get("group.id").is_some() {
        match include {
            Some(include) => consumer.subscribe_pattern(include)?,
            None => consumer.subscribe(&[options.get("topic").unwrap_or_default()])?,
        }
        return Ok(true);
    }
    let start = start(options, properties)?;
    let admin = Admin::new(properties)?;
    let (begun, mut has_waited) = (Instant::now(), false);
    let topics = loop {
        let topics = match &pattern {
            Some(pattern) => matching(&admin, pattern)?,
            None => named(&admin, options.get("topic").unwrap_or_default())?,
        };
        if !topics.is_empty() {
            break topics;
        }
        if timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
            return Ok(false);
        }
        if !std::mem::replace(&mut has_waited, true) {
            let asked = options.get("topic").or(include).unwrap_or_default();
            complaint::plain(&format!("{asked}: there is no such topic yet; waiting for it"));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let only = options.number::<i32>("partition").map_err(Failed::Err)?;
    let only = only.map(|partition| BTreeSet::from([partition]));
    let partitions = partitions::of_topics(&admin, &topics, only.as_ref())?;
    consumer.assign(&partitions)?;
    // What is in a topic that was waited for has come meanwhile.
    let start = start.map(|start| match start {
        Start::End if has_waited => Start::Beginning,
        start => start,
    });
    if let Some(start) = start {
        let level = match properties.get("isolation.level") {
            Some("read_committed") => IsolationLevel::ReadCommitted,
            _ => IsolationLevel::ReadUncommitted,
        };
        for (partition, offset) in &partitions::starts(&admin, &partitions, start, level)? {
            consumer.seek(partition, *offset)?;
        }
    }
    Ok(true)
}

fn matching(admin: &Admin, pattern: &Regex) -> Result<Vec<String>, Failed> {
    let all = admin.list_topics(false)?.into_iter().map(|topic| topic.name);
    Ok(all.filter(|name| pattern.is_match(name)).collect())
}

/// The topic of that name, if it is there.
fn named(admin: &Admin, topic: &str) -> Result<Vec<String>, Failed> {
    match topics::only(admin.describe_topics(&[topic])?) {
        Ok(topic) => Ok(vec![topic.name]),
        Err(error) if topics::is(&error, "UNKNOWN_TOPIC_OR_PARTITION") => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Where reading without a group begins; `None` leaves that to the consumer's settings.
fn start(options: &Options, properties: &Properties) -> Result<Option<Start>, Failed> {
    let Some(offset) = options.get("offset") else {
        return Ok(match properties.get("auto.offset.reset") {
            _ if options.has("from-beginning") => Some(Start::Beginning),
            Some("earliest") => Some(Start::Beginning),
            None | Some("latest") => Some(Start::End),
            Some(_) => None,
        });
    };
    match (offset.to_ascii_lowercase().as_str(), offset.parse()) {
        ("earliest", _) => Ok(Some(Start::Beginning)),
        ("latest", _) => Ok(Some(Start::End)),
        (_, Ok(offset)) if offset >= 0 => Ok(Some(Start::At(offset))),
        _ => Err(Failed::Err(format!(
            "The provided offset value '{offset}' is incorrect. Valid values are 'earliest', \
             'latest', or a non-negative long."
        ))),
    }
}
