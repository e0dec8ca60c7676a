//! Which topics there are to be at the target, and which are missing.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{
    Admin, ConfigDetails, ConfigEntry, ConfigResource, ConfigSource, Error, NewPartitions, NewTopic,
};
use regex::Regex;

use crate::{CannotRun, advice, complaint};

/// Settings that are of a cluster's own brokers, not of what is in a topic.
const LEFT_OUT: [&str; 2] =
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];
const TIMESTAMP_TYPE: &str = "message.timestamp.type";

/// The topics that are meant: by their names, and by patterns that match a name as a whole.
///
/// # Errors
/// There is no topic of a name, or none that matches a pattern; no broker answers.
pub(super) fn topics(
    source: &Admin,
    names: &[String],
    patterns: &[Regex],
) -> Result<Vec<String>, CannotRun> {
    let mut chosen: BTreeSet<String> = names.iter().cloned().collect();
    let all = source.list_topics(false)?;
    for pattern in patterns {
        let before = chosen.len();
        let matching = all.iter().filter(|topic| pattern.is_match(&topic.name));
        chosen.extend(matching.map(|topic| topic.name.clone()));
        if chosen.len() == before {
            complaint::print("a --pattern matches no topic that is not named already");
        }
    }
    Ok(chosen.into_iter().collect())
}

/// A pattern that matches all of a name, or nothing.
///
/// # Errors
/// It is no regular expression.
pub(super) fn parse_pattern(text: &str) -> Result<Regex, String> {
    // By itself first: what is wrong with it is not about what is put around it.
    Regex::new(text).map_err(|error| error.to_string())?;
    Regex::new(&format!("^(?:{text})$")).map_err(|error| error.to_string())
}

/// Makes topics at the target that are missing there, with the source's partitions and settings,
/// and gives those that are there as many partitions.
///
/// # Errors
/// A topic cannot be made.
pub(super) fn prepare(
    source: &Admin,
    target: &Admin,
    topics: &[String],
    replication_factor: Option<i16>,
) -> Result<(), CannotRun> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut wanted = BTreeMap::new();
    for (name, description) in source.describe_topics(&names)? {
        let description = description.map_err(|error| advice::on(source, &error))?;
        wanted.insert(name, description.partitions.len());
    }
    let (mut new, mut more) = (Vec::new(), Vec::new());
    for (name, description) in target.describe_topics(&names)? {
        let count = wanted.get(&name).copied().unwrap_or(0);
        match description {
            Ok(there) if there.partitions.len() < count => {
                more.push(NewPartitions::increase_to(
                    &name,
                    i32::try_from(count).unwrap_or(i32::MAX),
                ));
            }
            Ok(_) => {}
            Err(error) if is_unknown(&error) => new.push((name, count)),
            Err(error) => return Err(error.into()),
        }
    }
    let resources: Vec<ConfigResource> =
        new.iter().map(|(name, _)| ConfigResource::topic(name)).collect();
    let settings = source.describe_configs(&resources, ConfigDetails::default())?;
    let mut created = Vec::new();
    for ((name, count), (_, entries)) in new.iter().zip(settings) {
        let mut topic = NewTopic::new(name).partitions(i32::try_from(*count).unwrap_or(i32::MAX));
        if let Some(factor) = replication_factor {
            topic = topic.replication_factor(factor);
        }
        for (setting, value) in settings_of(name, &entries?) {
            topic = topic.config(&setting, &value);
        }
        created.push(topic);
    }
    for (_, result) in target.create_topics(&created)? {
        result?;
    }
    for (_, result) in target.create_partitions(&more)? {
        result?;
    }
    Ok(())
}

fn is_unknown(error: &Error) -> bool {
    let name = error.code().and_then(|code| code.name());
    name == Some("UNKNOWN_TOPIC_OR_PARTITION")
}

/// The settings that a topic has of its own.
fn settings_of(topic: &str, entries: &[ConfigEntry]) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for entry in entries {
        let is_own = entry.source == ConfigSource::Topic;
        let Some(value) = entry.value.as_ref().filter(|_| is_own) else { continue };
        if LEFT_OUT.contains(&&*entry.name) {
            continue;
        }
        if entry.name == TIMESTAMP_TYPE && value == "LogAppendTime" {
            complaint::print(format_args!(
                "{topic}: {TIMESTAMP_TYPE} is left at CreateTime at the target, so that records \
                 keep their times"
            ));
            continue;
        }
        settings.push((entry.name.clone(), value.clone()));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_name_as_a_whole() {
        for (pattern, name, is_matched) in [
            ("orders", "orders", true),
            ("orders", "orders-2", false),
            ("orders.*", "orders-2", true),
            ("a|b", "b", true),
            ("a|ab", "ab", true),
            ("rder", "orders", false),
        ] {
            let pattern = parse_pattern(pattern).unwrap();
            assert_eq!(pattern.is_match(name), is_matched, "{pattern} {name}");
        }
        assert!(parse_pattern(")(").is_err());
    }
}
