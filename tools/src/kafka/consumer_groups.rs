//! `kafka-consumer-groups`.

use std::collections::{BTreeSet, HashSet};

use ottla_client::{Admin, GroupFilter, GroupListing, TopicPartition};
use regex::Regex;

use super::options::{Known, Options, Takes};
use super::{Failed, group_tables, java, out, reset};
use crate::complaint;

const KNOWN: &Known = &[
    ("all-groups", Takes::Nothing),
    ("all-topics", Takes::Nothing),
    ("bootstrap-server", Takes::Value),
    ("by-duration", Takes::Value),
    ("command-config", Takes::Value),
    ("delete", Takes::Nothing),
    ("delete-offsets", Takes::Nothing),
    ("describe", Takes::Nothing),
    ("dry-run", Takes::Nothing),
    ("execute", Takes::Nothing),
    ("export", Takes::Nothing),
    ("from-file", Takes::Value),
    ("group", Takes::Values),
    ("help", Takes::Nothing),
    ("list", Takes::Nothing),
    ("members", Takes::Nothing),
    ("offsets", Takes::Nothing),
    ("reset-offsets", Takes::Nothing),
    ("shift-by", Takes::Value),
    ("state", Takes::Perhaps),
    ("timeout", Takes::Value),
    ("to-current", Takes::Nothing),
    ("to-datetime", Takes::Value),
    ("to-earliest", Takes::Nothing),
    ("to-latest", Takes::Nothing),
    ("to-offset", Takes::Value),
    ("topic", Takes::Values),
    ("type", Takes::Perhaps),
    ("validate-regex", Takes::Value),
    ("verbose", Takes::Nothing),
    ("version", Takes::Nothing),
];
const ACTIONS: [&str; 6] =
    ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];
/// How long brokers may take when `--timeout` does not say it, ms.
const TIMEOUT_MS: u32 = 5000;

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let Some(options) = Options::parse(KNOWN, args)? else { return Ok(()) };
    let [action] = options.given(&ACTIONS)[..] else {
        let why = "Command must include exactly one action: --list, --describe, --delete, \
                   --reset-offsets, --delete-offsets, --validate-regex";
        return Err(Failed::Err(why.to_owned()));
    };
    check(&options, action)?;
    if let Some(regex) = options.get("validate-regex") {
        return validate(regex);
    }
    options.required("bootstrap-server")?;
    let done = admin(&options).and_then(|admin| match action {
        "list" => list(&options, &admin),
        "describe" => group_tables::describe(&options, &admin),
        "delete" => delete(&options, &admin),
        "reset-offsets" => reset::run(&options, &admin),
        _ => delete_offsets(&options, &admin),
    });
    // The tool tells what went wrong, and ends as if nothing had.
    match done {
        Err(Failed::Err(why)) => {
            let what = "Executing consumer group command failed due to";
            out(&format!("\nError: {what} {why}\n"))
        }
        other => other,
    }
}

/// As `--state` takes them.
const STATES: [&str; 7] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
];

/// As `--type` takes them.
const TYPES: [&str; 2] = ["Consumer", "Classic"];

/// What `--state` or `--type` lists must be among these.
fn check_list(options: &Options, name: &str, known: &[&str]) -> Result<(), Failed> {
    let mut asked = options.get(name).into_iter().flat_map(|list| list.split(','));
    let is_known = |asked: &str| known.iter().any(|known| known.eq_ignore_ascii_case(asked));
    let Some(bad) = asked.find(|asked| !is_known(asked.trim())) else { return Ok(()) };
    let known = known.join(", ");
    Err(Failed::Err(format!("Invalid {name}s list '{bad}'. Valid {name}s are: {known}")))
}

fn check(options: &Options, action: &str) -> Result<(), Failed> {
    let err = |why: &str| Err(Failed::Err(why.to_owned()));
    for (name, actions) in [
        ("members", &["describe"][..]),
        ("offsets", &["describe"]),
        ("verbose", &["describe"]),
        ("state", &["describe", "list"]),
        ("type", &["list"]),
    ] {
        if options.has(name) && !actions.contains(&action) {
            return Err(Failed::Err(format!(
                "Option(s) [{name}] are unavailable given other options on the command line"
            )));
        }
    }
    let has_group = options.has("group") || options.has("all-groups");
    if ["describe", "delete", "reset-offsets"].contains(&action) && !has_group {
        let why = format!("Option [{action}] takes one of these options: [all-groups], [group]");
        return err(&why);
    }
    match action {
        "list" => {
            check_list(options, "state", &STATES)?;
            check_list(options, "type", &TYPES)?;
        }
        "describe" if options.given(&["members", "offsets", "state"]).len() > 1 => {
            return err("Option [describe] takes at most one of these options: [members], \
                        [offsets], [state]");
        }
        "describe" if options.get("state").is_some() => {
            return err("Option [describe] does not take a value for [state]");
        }
        "delete" if options.has("topic") => {
            return err("The consumer does not support topic-specific offset deletion from a \
                        consumer group.");
        }
        "reset-offsets" => {
            if options.has("dry-run") && options.has("execute") {
                return err("Option [reset-offsets] only accepts one of [execute] or [dry-run]");
            }
            for scenario in reset::SCENARIOS {
                let others: Vec<_> =
                    reset::SCENARIOS.into_iter().filter(|other| *other != scenario).collect();
                options.exclude(scenario, &others)?;
            }
        }
        "delete-offsets" if !(options.has("group") && options.has("topic")) => {
            return err("Option [delete-offsets] takes the following options: [topic], [group]");
        }
        _ => {}
    }
    options.exclude("group", &["all-groups", "list"])?;
    options.exclude("topic", &["list", "describe"])
}

fn admin(options: &Options) -> Result<Admin, Failed> {
    let timeout: Option<u32> = options.number("timeout").map_err(Failed::Err)?;
    let mut properties = options.admin_properties()?;
    properties.set("default.api.timeout.ms", &timeout.unwrap_or(TIMEOUT_MS).to_string());
    Ok(Admin::new(&properties)?)
}

/// Says whether a consumer could subscribe to it.
fn validate(pattern: &str) -> Result<(), Failed> {
    out(&match Regex::new(pattern) {
        Ok(_) => format!("The regular expression `{pattern}` is valid.\n"),
        Err(error) => {
            // Its first lines show the place.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default();
            let why = why.strip_prefix("error: ").unwrap_or(why);
            format!("The regular expression `{pattern}` is invalid: {why}.\n")
        }
    })
}

/// The groups of consumers, in the order of the map that the client makes of them.
pub(super) fn consumer_groups(admin: &Admin) -> Result<Vec<GroupListing>, Failed> {
    let mut groups = admin.find_groups(&GroupFilter::new())?;
    groups.retain(|group| {
        let is_ours = ["consumer", ""].contains(&group.protocol_type.as_str());
        is_ours && !["share", "streams"].contains(&group.kind.to_ascii_lowercase().as_str())
    });
    java::map_order(&mut groups, |group| java::hash(&group.id));
    Ok(groups)
}

/// The groups that are named, or all.
pub(super) fn named(options: &Options, admin: &Admin) -> Result<Vec<String>, Failed> {
    if options.has("all-groups") {
        return Ok(consumer_groups(admin)?.into_iter().map(|group| group.id).collect());
    }
    let named: BTreeSet<&str> = options.all("group").collect();
    let mut named: Vec<String> = named.into_iter().map(str::to_owned).collect();
    java::map_order(&mut named, |group| java::hash(group));
    Ok(named)
}

fn list(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let is_asked = |option: &str, value: &str| match options.get(option) {
        Some(list) => list.split(',').any(|of| of.trim().eq_ignore_ascii_case(value)),
        None => true,
    };
    let mut groups = consumer_groups(admin)?;
    groups.retain(|group| is_asked("state", &group.state) && is_asked("type", &group.kind));
    let (has_state, has_type) = (options.has("state"), options.has("type"));
    if !has_state && !has_type {
        let names: String = groups.iter().map(|group| format!("{}\n", group.id)).collect();
        return out(&names);
    }
    let mut rows = vec![("GROUP".to_owned(), "TYPE".to_owned(), "STATE".to_owned())];
    for group in groups {
        let mut kind = group.kind;
        kind.get_mut(..1).into_iter().for_each(str::make_ascii_uppercase);
        rows.push((group.id, kind, group.state));
    }
    let width = rows.iter().map(|(group, ..)| group.len()).max().unwrap_or(0).max(25);
    let mut text = String::new();
    for (group, kind, state) in rows {
        text += &format!("{group:<width$}");
        if has_type {
            text += &format!(" {kind:<20}");
        }
        if has_state {
            text += &format!(" {state:<20}");
        }
        text.push('\n');
    }
    out(&text)
}

fn delete(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let groups = named(options, admin)?;
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let (mut gone, mut failed) = (Vec::new(), Vec::new());
    for (group, deleted) in admin.delete_groups(&names)? {
        match deleted {
            Ok(()) => gone.push(group),
            Err(error) => failed.push((group, java::exception(&error))),
        }
    }
    java::map_order(&mut gone, |group| java::hash(group));
    let gone: Vec<String> = gone.iter().map(|group| format!("'{group}'")).collect();
    if failed.is_empty() {
        let gone = gone.join(", ");
        return out(&format!("Deletion of requested consumer groups ({gone}) was successful.\n"));
    }
    let mut text = "\nError: Deletion of some consumer groups failed:\n".to_owned();
    for (group, why) in failed {
        text += &format!("* Group '{group}' could not be deleted due to: {why}\n");
    }
    if !gone.is_empty() {
        let gone = gone.join(", ");
        text += &format!("\nThese consumer groups were deleted successfully: {gone}\n");
    }
    out(&text)
}

/// The partitions of `--topic`: `TOPIC` or `TOPIC:0,1`. The second part are topics that are not
/// there.
pub(super) fn of_topics(
    options: &Options,
    admin: &Admin,
) -> Result<(Vec<TopicPartition>, Vec<String>), Failed> {
    let (mut partitions, mut missing) = (Vec::new(), Vec::new());
    let mut whole: BTreeSet<&str> = BTreeSet::new();
    for text in options.all("topic") {
        let Some((topic, list)) = text.split_once(':') else {
            whole.insert(text);
            continue;
        };
        for part in list.split(',') {
            let Ok(index) = part.parse() else {
                let why = format!("Invalid partition '{part}' specified in topic arg '{text}'");
                complaint::plain(&why);
                return Err(Failed::Told);
            };
            partitions.push(TopicPartition::new(topic, index));
        }
    }
    let mut whole: Vec<&str> = whole.into_iter().collect();
    java::map_order(&mut whole, |topic| java::hash(topic));
    for (topic, described) in admin.describe_topics(&whole)? {
        match described {
            Ok(described) => {
                let indexes = described.partitions.iter().map(|of| of.index);
                partitions.extend(indexes.map(|index| TopicPartition::new(&topic, index)));
            }
            Err(_) => missing.push(topic),
        }
    }
    let mut known: HashSet<TopicPartition> = HashSet::new();
    partitions.retain(|at| known.insert(at.clone()));
    Ok((partitions, missing))
}

fn delete_offsets(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let mut groups = options.all("group");
    let group = groups.next().unwrap_or_default();
    if groups.next().is_some() {
        let why = "Found multiple arguments for option group, but you asked for only one";
        return Err(Failed::Err(why.to_owned()));
    }
    let (mut partitions, missing) = of_topics(options, admin)?;
    partitions.sort();
    let mut rows: Vec<(String, String, String)> = Vec::new();
    let head = match admin.delete_consumer_group_offsets(group, &partitions) {
        Ok(results) => {
            for (at, result) in results {
                let status = match result {
                    Ok(()) => "Successful".to_owned(),
                    Err(error) => format!("Error: {}", java::exception(&error)),
                };
                rows.push((at.topic.to_string(), at.partition.to_string(), status));
            }
            if rows.iter().all(|(_, _, status)| status == "Successful") {
                format!("Request succeeded for deleting offsets from group {group}.")
            } else {
                "\nError: Encountered some partition-level error, see the follow-up details."
                    .to_owned()
            }
        }
        Err(error) => {
            for at in &partitions {
                let status = format!("Error: {}", java::exception(&error));
                rows.push((at.topic.to_string(), at.partition.to_string(), status));
            }
            format!("\nError: {}", java::message(&error))
        }
    };
    for topic in missing {
        let status = "Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: \
                      This server does not host this topic-partition.";
        rows.push((topic, "-".to_owned(), status.to_owned()));
    }
    let mut text = format!("{head}\n\n{:<15} {:<10} {:<15}\n", "TOPIC", "PARTITION", "STATUS");
    for (topic, partition, status) in rows {
        text += &format!("{topic:<15} {partition:<10} {status:<15}\n");
    }
    out(&text)
}

/// What is not told on standard output.
pub(super) fn note(text: &str) {
    complaint::plain(&format!("\n{text}"));
}
