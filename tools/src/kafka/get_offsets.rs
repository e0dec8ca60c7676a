//! `kafka-get-offsets`.

use ottla_client::{IsolationLevel, OffsetSpec, TopicPartition};
use regex::Regex;

use super::options::{Known, Options, Takes};
use super::topics::pattern;
use super::{Failed, java, out};
use crate::complaint;

const KNOWN: &Known = &[
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("exclude-internal-topics", Takes::Nothing),
    ("help", Takes::Nothing),
    ("partitions", Takes::Value),
    ("time", Takes::Value),
    ("topic", Takes::Value),
    ("topic-partitions", Takes::Value),
    ("version", Takes::Nothing),
];

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    let spec = spec(options.get("time").unwrap_or("latest"))?;
    let filters = filters(&options)?;
    let admin = options.admin()?;
    let topics = admin.list_topics(!options.has("exclude-internal-topics"))?;
    let mut partitions: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| {
            let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
            (0..count).map(|index| TopicPartition::new(&topic.name, index))
        })
        .filter(|at| filters.is_empty() || filters.iter().any(|filter| filter.matches(at)))
        .collect();
    if partitions.is_empty() {
        let why = "Error occurred: Could not match any topic-partitions with the specified filters";
        return Err(Failed::Err(why.to_owned()));
    }
    partitions.sort_by_key(ToString::to_string);
    let asked: Vec<_> = partitions.into_iter().map(|at| (at, spec)).collect();
    for (at, listed) in admin.list_offsets(&asked, IsolationLevel::ReadUncommitted)? {
        let (topic, partition) = (&at.topic, at.partition);
        match listed {
            Ok(listed) => {
                if let Some(offset) = listed.offset {
                    out(&format!("{topic}:{partition}:{offset}\n"))?;
                }
            }
            Err(error) => complaint::plain(&format!(
                "Skip getting offsets for topic-partition {at} due to error: {}",
                java::message(&error)
            )),
        }
    }
    Ok(())
}

fn spec(text: &str) -> Result<OffsetSpec, Failed> {
    Ok(match text {
        "earliest" | "-2" => OffsetSpec::Earliest,
        "latest" | "-1" => OffsetSpec::Latest,
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        "earliest-local" | "-4" => OffsetSpec::EarliestLocal,
        "latest-tiered" | "-5" => OffsetSpec::LatestTiered,
        "earliest-pending-upload" | "-6" => OffsetSpec::EarliestPendingUpload,
        text => OffsetSpec::Timestamp(text.parse().map_err(|_| {
            Failed::Err(format!(
                "Error occurred: Malformed time argument {text}. Please use -1 or latest / -2 or \
                 earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 \
                 or earliest-pending-upload, or a specified long format timestamp"
            ))
        })?),
    })
}

/// Topics by their names, and which of their partitions.
struct Filter {
    topic: Option<Regex>,
    /// From, and up to but without.
    partitions: Option<(i32, i32)>,
}

impl Filter {
    fn matches(&self, at: &TopicPartition) -> bool {
        self.topic.as_ref().is_none_or(|topic| topic.is_match(&at.topic))
            && self.partitions.is_none_or(|(from, to)| from <= at.partition && at.partition < to)
    }
}

fn filters(options: &Options) -> Result<Vec<Filter>, Failed> {
    if let Some(list) = options.get("topic-partitions") {
        if options.has("topic") || options.has("partitions") {
            let why = "Error occurred: --topic-partitions cannot be used with --topic or \
                       --partitions";
            return Err(Failed::Err(why.to_owned()));
        }
        return list.split(',').map(topic_and_partitions).collect();
    }
    let topic = || options.get("topic").map(pattern).transpose();
    match options.get("partitions") {
        Some(list) => list
            .split(',')
            .map(|part| Ok(Filter { topic: topic()?, partitions: one(part)? }))
            .collect(),
        None if options.has("topic") => Ok(vec![Filter { topic: topic()?, partitions: None }]),
        None => Ok(Vec::new()),
    }
}

/// `TOPIC`, `TOPIC:1`, `TOPIC:1-3`, `:-3` and so on.
fn topic_and_partitions(text: &str) -> Result<Filter, Failed> {
    let (topic, partitions) = text.split_once(':').unwrap_or((text, ""));
    let topic = (!topic.is_empty()).then(|| pattern(topic)).transpose()?;
    Ok(Filter { topic, partitions: range(partitions)? })
}

/// A partition of `--partitions`.
fn one(text: &str) -> Result<Option<(i32, i32)>, Failed> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        Failed::Err(format!(
            "Error occurred: --partitions expects a comma separated list of numeric partition ids, \
             but received: {text}"
        ))
    };
    let at: i32 = text.parse().map_err(|_| wrong())?;
    Ok(Some((at, at.saturating_add(1))))
}

fn range(text: &str) -> Result<Option<(i32, i32)>, Failed> {
    let number = |part: &str, or| if part.is_empty() { Some(or) } else { part.parse().ok() };
    let range = match text.split_once('-') {
        _ if text.is_empty() => return Ok(None),
        Some((from, to)) => number(from, 0).zip(number(to, i32::MAX)),
        None => text.parse().ok().map(|at: i32| (at, at.saturating_add(1))),
    };
    let wrong = || Failed::Err(format!("Error occurred: Invalid rule: {text}"));
    range.map(Some).ok_or_else(wrong)
}
