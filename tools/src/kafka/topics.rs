//! `kafka-topics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_client::{
    Admin, ConfigDetails, ConfigEntry, ConfigResource, ConfigSource, ErrorKind, NewPartitions,
    NewTopic, PartitionDescription, PartitionReassignment, Results, TopicDescription,
    TopicPartition,
};
use ottla_protocol::uuid::Uuid;
use regex::Regex;

use super::options::{Known, Options, Takes};
use super::{Failed, java, out};

const KNOWN: &Known = &[
    ("alter", Takes::Nothing),
    ("at-min-isr-partitions", Takes::Nothing),
    ("bootstrap-server", Takes::Value),
    ("command-config", Takes::Value),
    ("config", Takes::Values),
    ("create", Takes::Nothing),
    ("delete", Takes::Nothing),
    ("delete-config", Takes::Value),
    ("describe", Takes::Nothing),
    ("exclude-internal", Takes::Nothing),
    ("help", Takes::Nothing),
    ("if-exists", Takes::Nothing),
    ("if-not-exists", Takes::Nothing),
    ("list", Takes::Nothing),
    ("partition-size-limit-per-response", Takes::Value),
    ("partitions", Takes::Value),
    ("replica-assignment", Takes::Value),
    ("replication-factor", Takes::Value),
    ("topic", Takes::Value),
    ("topic-id", Takes::Value),
    ("topics-with-overrides", Takes::Nothing),
    ("unavailable-partitions", Takes::Nothing),
    ("under-min-isr-partitions", Takes::Nothing),
    ("under-replicated-partitions", Takes::Nothing),
    ("version", Takes::Nothing),
];
const ACTIONS: [&str; 5] = ["create", "list", "alter", "describe", "delete"];
/// Which of all partitions are described, if not all are.
const FILTERS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    let [action] = options.given(&ACTIONS)[..] else {
        let why = "Command must include exactly one action: --list, --describe, --create, \
                   --alter or --delete";
        return Err(Failed::Err(why.to_owned()));
    };
    check(&options, action)?;
    let admin = options.admin()?;
    let done = match action {
        "create" => create(&options, &admin),
        "list" => list(&options, &admin),
        "alter" => alter(&options, &admin),
        "describe" => describe(&options, &admin),
        _ => delete(&options, &admin),
    };
    done.map_err(|failed| match failed {
        Failed::Err(why) => Failed::Out(format!("Error while executing topic command : {why}")),
        other => other,
    })
}

fn check(options: &Options, action: &str) -> Result<(), Failed> {
    if ["create", "alter", "delete"].contains(&action) {
        options.required("topic")?;
    }
    if action == "alter" {
        options.required("partitions")?;
    }
    if action == "alter" && options.has("config") {
        let why = "Option combination \"[[config], [bootstrap-server]]\" can't be used with \
                   option \"[alter]\" (To alter topic configurations, the kafka-configs tool can \
                   be used.)";
        return Err(Failed::Err(why.to_owned()));
    }
    let invalid: &[(&str, &[&str])] = &[
        ("config", &["create"]),
        ("delete-config", &[]),
        ("partitions", &["create", "alter"]),
        ("replication-factor", &["create"]),
        ("replica-assignment", &["create", "alter"]),
        ("under-replicated-partitions", &["describe"]),
        ("under-min-isr-partitions", &["describe"]),
        ("at-min-isr-partitions", &["describe"]),
        ("unavailable-partitions", &["describe"]),
        ("topics-with-overrides", &["describe"]),
        ("if-exists", &["alter", "delete", "describe"]),
        ("if-not-exists", &["create"]),
        ("exclude-internal", &["list", "describe"]),
    ];
    for (name, actions) in invalid {
        if options.has(name) && !actions.contains(&action) {
            let why = format!("Option \"[{name}]\" can't be used with option \"[{action}]\"");
            return Err(Failed::Err(why));
        }
    }
    if action == "create" {
        options.exclude("replica-assignment", &["partitions", "replication-factor"])?;
    }
    FILTERS.iter().try_for_each(|filter| options.exclude(filter, &["topics-with-overrides"]))
}

fn create(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let name = options.get("topic").unwrap_or_default();
    let partitions = options.number::<i32>("partitions").map_err(Failed::Err)?;
    let replicas = options.number::<i32>("replication-factor").map_err(Failed::Err)?;
    let mut topic = NewTopic::new(name);
    for config in options.all("config") {
        let parts = config.split_once('=').filter(|(_, value)| is_value(value));
        let (name, value) = parts.ok_or_else(|| {
            let why = "requirement failed: Invalid topic config: all configs to be added must be \
                       in the format \"key=val\".";
            Failed::Err(why.to_owned())
        })?;
        topic = topic.config(name.trim(), value.trim());
    }
    if name.contains(['.', '_']) {
        out("WARNING: Due to limitations in metric names, topics with a period ('.') or \
             underscore ('_') could collide. To avoid issues it is best to use either, but not \
             both.\n")?;
    }
    if let Some(count) = partitions {
        if count < 1 {
            return Err(Failed::Err("The partitions must be greater than 0".to_owned()));
        }
        topic = topic.partitions(count);
    }
    if let Some(count) = replicas {
        let count = i16::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            let max = i16::MAX;
            Failed::Err(format!("The replication factor must be between 1 and {max} inclusive"))
        })?;
        topic = topic.replication_factor(count);
    }
    if let Some(text) = options.get("replica-assignment") {
        topic = topic.assignments(assignments(text)?);
    }
    match only(admin.create_topics(&[topic])?) {
        Ok(_) => out(&format!("Created topic {name}.\n")),
        Err(error) if options.has("if-not-exists") && is(&error, "TOPIC_ALREADY_EXISTS") => Ok(()),
        Err(error) => Err(Failed::Err(java::message(&error))),
    }
}

/// Whether it may stand behind the sign: the tool splits at every one.
fn is_value(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains('=')
}

/// `1:2,2:1`: brokers of each partition.
fn assignments(text: &str) -> Result<Vec<Vec<i32>>, Failed> {
    let mut all: Vec<Vec<i32>> = Vec::new();
    for part in text.trim_end_matches(',').split(',') {
        let id = |id: &str| {
            let wrong = || Failed::Err(format!("For input string: \"{id}\""));
            id.trim().parse().map_err(|_| wrong())
        };
        let brokers = part.split(':').map(id).collect::<Result<Vec<i32>, _>>()?;
        let twice = (1..brokers.len()).find(|n| brokers[..*n].contains(&brokers[*n]));
        if let Some(twice) = twice {
            let id = brokers[twice];
            let why = format!("Partition replica lists may not contain duplicate entries: {id}");
            return Err(Failed::Err(why));
        }
        if all.first().is_some_and(|first| first.len() != brokers.len()) {
            let (number, brokers) = (all.len(), brokers);
            let why = format!("Partition {number} has different replication factor: {brokers:?}");
            return Err(Failed::Err(why));
        }
        all.push(brokers);
    }
    Ok(all)
}

/// The result of the only item that was asked for.
pub(super) fn only<K, T>(results: Results<K, T>) -> Result<T, ottla_client::Error> {
    let (_, result) = results.into_iter().next().expect("each item has its result");
    result
}

pub(super) fn is(error: &ottla_client::Error, name: &str) -> bool {
    error.code().and_then(|code| code.name()) == Some(name)
}

/// A list of patterns with commas between them, which match names as a whole.
pub(super) fn pattern(text: &str) -> Result<Regex, Failed> {
    let text = text.trim().replace(',', "|").replace(' ', "");
    let text = text.trim_matches(['"', '\'']);
    Regex::new(&format!("^(?:{text})$"))
        .map_err(|_| Failed::Err(format!("{text} is an invalid regex.")))
}

/// The names of the topics that are meant, sorted.
fn names(options: &Options, admin: &Admin) -> Result<Vec<String>, Failed> {
    let pattern = options.get("topic").map(pattern).transpose()?;
    let all = admin.list_topics(!options.has("exclude-internal"))?;
    let names = all.into_iter().map(|topic| topic.name);
    Ok(names.filter(|name| pattern.as_ref().is_none_or(|of| of.is_match(name))).collect())
}

/// The same; none is an error, unless that is allowed.
fn expected_names(options: &Options, admin: &Admin) -> Result<Vec<String>, Failed> {
    let names = names(options, admin)?;
    match options.get("topic") {
        Some(topic) if names.is_empty() && !options.has("if-exists") => {
            Err(Failed::Err(format!("Topic '{topic}' does not exist as expected")))
        }
        _ => Ok(names),
    }
}

fn list(options: &Options, admin: &Admin) -> Result<(), Failed> {
    out(&format!("{}\n", names(options, admin)?.join("\n")))
}

fn alter(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let count = options.number::<i32>("partitions").map_err(Failed::Err)?;
    let names = expected_names(options, admin)?;
    let assigned = options.get("replica-assignment").map(assignments).transpose()?;
    let mut changes = Vec::new();
    for name in &names {
        let mut change = NewPartitions::increase_to(name, count.unwrap_or(-1));
        if let Some(assigned) = &assigned {
            let there = only(admin.describe_topics(&[name])?)?.partitions.len();
            let new = assigned.get(there..).unwrap_or_default().to_vec();
            let more = count.map_or(0, |count| i64::from(count) - there as i64);
            // None at all would leave the choice to the broker.
            if more > 0 && new.is_empty() {
                return Err(Failed::Err(format!(
                    "Attempted to add {more} additional partition(s), but only 0 assignment(s) \
                     were specified."
                )));
            }
            change = change.assignments(new);
        }
        changes.push(change);
    }
    for (_, result) in admin.create_partitions(&changes)? {
        result.map_err(|error| Failed::Err(java::message(&error)))?;
    }
    Ok(())
}

fn delete(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let names = expected_names(options, admin)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (_, result) in admin.delete_topics(&names)? {
        result.map_err(|error| Failed::Err(java::message(&error)))?;
    }
    Ok(())
}

fn describe(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let names = match options.get("topic-id") {
        Some(id) => {
            let wanted: Uuid =
                id.parse().map_err(|_| Failed::Err(format!("{id} is no id of a topic")))?;
            let all = admin.list_topics(true)?;
            let found = all.into_iter().find(|topic| topic.id == wanted);
            let missing = || Failed::Err(format!("TopicId '{id}' does not exist as expected"));
            match found {
                Some(topic) => vec![topic.name],
                None if options.has("if-exists") => Vec::new(),
                None => return Err(missing()),
            }
        }
        None => expected_names(options, admin)?,
    };
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut topics = Vec::new();
    for (_, topic) in admin.describe_topics(&asked)? {
        topics.push(topic.map_err(|error| Failed::Err(java::message(&error)))?);
    }
    java::map_order(&mut topics, |topic| java::hash(&topic.name));
    let resources: Vec<_> = topics.iter().map(|topic| ConfigResource::topic(&topic.name)).collect();
    let configs = admin.describe_configs(&resources, ConfigDetails::default())?;
    let alive: Vec<i32> =
        admin.describe_cluster()?.brokers.iter().map(|broker| broker.id).collect();
    let moves = moves(admin, &topics)?;
    let moves_of = |topic: &TopicDescription, partition: &PartitionDescription| {
        moves.get(&TopicPartition::new(&topic.name, partition.index))
    };
    let filters = options.given(&FILTERS);
    let mut text = String::new();
    for (topic, (_, configs)) in topics.iter().zip(configs) {
        let configs = configs.map_err(|error| Failed::Err(java::message(&error)))?;
        let set = overridden(&configs);
        let only_overridden = options.has("topics-with-overrides");
        if filters.is_empty() && !(only_overridden && set.is_empty()) {
            let first = topic.partitions.first();
            let replicas = first.map_or(0, |of| replicas(&of.replicas, moves_of(topic, of)));
            text += &title(topic, replicas, &set);
        }
        if only_overridden {
            continue;
        }
        let min_isr = configs.iter().find(|entry| entry.name == "min.insync.replicas");
        let min_isr = min_isr.and_then(|entry| entry.value.as_ref()?.parse().ok()).unwrap_or(1);
        for partition in &topic.partitions {
            let moved = moves_of(topic, partition);
            let mut filters = filters.iter();
            if filters.len() == 0
                || filters.any(|filter| is_shown(filter, partition, moved, (min_isr, &alive)))
            {
                text += &row(topic, partition, moved);
            }
        }
    }
    out(&text)
}

/// Where a partition that is moving comes from and goes to.
#[derive(Clone, Debug, Default)]
struct Move {
    replicas: usize,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

/// What is moving of these topics. Not every cluster tells, nor everybody.
fn moves(
    admin: &Admin,
    topics: &[TopicDescription],
) -> Result<BTreeMap<TopicPartition, Move>, Failed> {
    let all = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|of| TopicPartition::new(&topic.name, of.index))
    });
    let all: Vec<TopicPartition> = all.collect();
    if all.is_empty() {
        return Ok(BTreeMap::new());
    }
    match admin.list_partition_reassignments(Some(&all)) {
        Err(error)
            if error.kind() == ErrorKind::UnsupportedVersion
                || is(&error, "CLUSTER_AUTHORIZATION_FAILED") =>
        {
            Ok(BTreeMap::new())
        }
        moving => Ok(moving?
            .into_iter()
            .map(|of| {
                let PartitionReassignment { partition, replicas, adding, removing, .. } = of;
                (partition, Move { replicas: replicas.len(), adding, removing })
            })
            .collect()),
    }
}

/// How many replicas a partition has: while it moves, as many as it is to have.
fn replicas(ids: &[i32], moved: Option<&Move>) -> usize {
    let is_moving =
        |of: &&Move| ids.iter().any(|id| of.adding.contains(id) || of.removing.contains(id));
    match moved.filter(is_moving) {
        Some(of) => of.replicas.saturating_sub(of.adding.len()),
        None => ids.len(),
    }
}

fn is_shown(
    filter: &str,
    partition: &PartitionDescription,
    moved: Option<&Move>,
    (min_isr, alive): (usize, &[i32]),
) -> bool {
    let isr = partition.isr.len();
    match filter {
        "under-replicated-partitions" => isr < replicas(&partition.replicas, moved),
        "under-min-isr-partitions" => partition.leader.is_none() || isr < min_isr,
        "at-min-isr-partitions" => isr == min_isr,
        _ => partition.leader.is_none_or(|leader| !alive.contains(&leader)),
    }
}

/// What is not left to its default, in the order of the map that the client makes of all.
fn overridden(configs: &[ConfigEntry]) -> Vec<String> {
    let mut all: Vec<&ConfigEntry> = configs.iter().collect();
    java::map_order(&mut all, |entry| java::hash(&entry.name));
    let set = all.into_iter().filter(|entry| entry.source != ConfigSource::Default);
    set.map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or("null")))
        .collect()
}

fn title(topic: &TopicDescription, replicas: usize, set: &[String]) -> String {
    format!(
        "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {replicas}\tConfigs: {}\n",
        topic.name,
        topic.id,
        topic.partitions.len(),
        set.join(",")
    )
}

fn commas(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn row(topic: &TopicDescription, partition: &PartitionDescription, moved: Option<&Move>) -> String {
    let known = |ids: &Option<Vec<i32>>| ids.as_deref().map_or("N/A".to_owned(), commas);
    let mut text = format!("\tTopic: {}\tPartition: {}", topic.name, partition.index);
    let leader = partition.leader.map_or("none".to_owned(), |leader| leader.to_string());
    _ = write!(text, "\tLeader: {leader}\tReplicas: {}", commas(&partition.replicas));
    _ = write!(text, "\tIsr: {}{}", commas(&partition.isr), moved.map(of_move).unwrap_or_default());
    _ = write!(text, "\tElr: {}", known(&partition.elr));
    _ = writeln!(text, "\tLastKnownElr: {}", known(&partition.last_known_elr));
    text
}

/// What of a row says that the partition is moving.
fn of_move(moved: &Move) -> String {
    let (adding, removing) = (commas(&moved.adding), commas(&moved.removing));
    format!("\tAdding Replicas: {adding}\tRemoving Replicas: {removing}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_moves_has_the_replicas_that_it_is_to_have() {
        let moved = Move { replicas: 4, adding: vec![3, 4], removing: vec![1] };
        assert_eq!(of_move(&moved), "\tAdding Replicas: 3,4\tRemoving Replicas: 1");
        assert_eq!(replicas(&[3, 4, 1, 2], Some(&moved)), 2);
        // It is over already: none of those who come or go are seen.
        assert_eq!(replicas(&[2], Some(&moved)), 1);
        assert_eq!(replicas(&[1, 2, 3], None), 3);
    }

    #[test]
    fn assignments_are_checked_as_the_tool_checks_them() {
        assert_eq!(assignments("1:2,2:1,").unwrap(), [[1, 2], [2, 1]]);
        for (text, why) in [
            ("x", "For input string: \\\"x\\\""),
            ("", "For input string"),
            ("1,,2", "For input string"),
            ("1:1", "duplicate entries: 1"),
            ("1,1:2", "Partition 1 has different replication factor: [1, 2]"),
        ] {
            let told = format!("{:?}", assignments(text).unwrap_err());
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn a_setting_has_one_sign() {
        assert!(is_value("compact,delete") && is_value(" 5"));
        assert!(!is_value("") && !is_value(" ") && !is_value("b=c"));
    }
}
