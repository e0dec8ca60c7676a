//! `kafka-consumer-groups`.

use ottla_client::{Admin, GroupFilter, GroupListing, TopicPartition};

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
    ("group", Takes::Value),
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
    ("topic", Takes::Value),
    ("type", Takes::Perhaps),
    ("validate-regex", Takes::Value),
    ("verbose", Takes::Nothing),
    ("version", Takes::Nothing),
];
const ACTIONS: [&str; 5] = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];

/// Runs the tool.
pub(super) fn run(args: &[String]) -> Result<(), Failed> {
    let options = Options::parse(KNOWN, args)?;
    if options.has("version") {
        return out("4.3.1\n");
    }
    let actions = options.given(&ACTIONS);
    check(&options, &actions)?;
    let [action] = actions[..] else {
        let why = "Command must include exactly one action: --list, --describe, --delete, \
                   --reset-offsets, --delete-offsets, --validate-regex";
        return Err(Failed::Err(why.to_owned()));
    };
    let admin = options.admin()?;
    let done = match action {
        "list" => list(&options, &admin),
        "describe" => group_tables::describe(&options, &admin),
        "delete" => delete(&options, &admin),
        "reset-offsets" => reset::run(&options, &admin),
        _ => delete_offsets(&options, &admin),
    };
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

fn check_states(options: &Options) -> Result<(), Failed> {
    let mut asked = options.get("state").into_iter().flat_map(|list| list.split(','));
    let is_known = |asked: &str| STATES.iter().any(|known| known.eq_ignore_ascii_case(asked));
    let Some(bad) = asked.find(|asked| !is_known(asked.trim())) else { return Ok(()) };
    let known = STATES.join(", ");
    Err(Failed::Err(format!("Invalid state list '{bad}'. Valid states are: {known}")))
}

fn check(options: &Options, actions: &[&str]) -> Result<(), Failed> {
    if actions.contains(&"list") {
        check_states(options)?;
    }
    let has_group = options.has("group") || options.has("all-groups");
    let takes = |action: &str, of: &str| {
        let why = format!("Option [{action}] takes one of these options: {of}");
        Err(Failed::Err(why))
    };
    if actions.contains(&"describe") && !has_group {
        return takes("describe", "[all-groups], [group]");
    }
    if actions.contains(&"delete") && !has_group {
        return takes("delete", "[all-groups], [group]");
    }
    if actions.contains(&"reset-offsets") {
        if !has_group {
            return takes("reset-offsets", "[all-groups], [group]");
        }
        if options.has("dry-run") && options.has("execute") {
            let why = "Option [reset-offsets] only accepts one of [execute] or [dry-run]";
            return Err(Failed::Err(why.to_owned()));
        }
    }
    if actions.contains(&"delete-offsets") && !(options.has("group") && options.has("topic")) {
        let why = "Option [delete-offsets] takes the following options: [topic], [group]";
        return Err(Failed::Err(why.to_owned()));
    }
    Ok(())
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
    Ok(options.all("group").map(str::to_owned).collect())
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
    for text in options.all("topic") {
        if let Some((topic, list)) = text.split_once(':') {
            for part in list.split(',') {
                let wrong = || Failed::Err(format!("Invalid partition '{part}' of '{text}'"));
                let index = part.trim().parse().map_err(|_| wrong())?;
                partitions.push(TopicPartition::new(topic, index));
            }
            continue;
        }
        for (topic, described) in admin.describe_topics(&[text])? {
            match described {
                Ok(described) => {
                    let indexes = described.partitions.iter().map(|of| of.index);
                    partitions.extend(indexes.map(|index| TopicPartition::new(&topic, index)));
                }
                Err(_) => missing.push(topic),
            }
        }
    }
    Ok((partitions, missing))
}

fn delete_offsets(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let group = options.get("group").unwrap_or_default();
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
