//! `kafka-consumer-groups --describe`: offsets, members, state.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{
    Admin, CommittedOffset, Error, GroupDescription, IsolationLevel, MemberDescription, OffsetSpec,
    TopicPartition,
};

use super::consumer_groups::{named, note};
use super::options::Options;
use super::{Failed, java, out};

const MISSING: &str = "-";
/// What a column of names is wide at least.
const WIDTH: usize = 15;

/// Describes groups.
pub(super) fn describe(options: &Options, admin: &Admin) -> Result<(), Failed> {
    let names = named(options, admin)?;
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut groups = Vec::new();
    for (_, described) in admin.describe_groups(&asked)? {
        groups.push(described.map_err(|error| Failed::Err(java::exception(&error)))?);
    }
    let is_verbose = options.has("verbose");
    for group in &groups {
        let text = if options.has("state") {
            state(admin, group, is_verbose)?
        } else if options.has("members") {
            members(group, is_verbose)
        } else {
            offsets(admin, group, is_verbose)?
        };
        if group.members.is_empty() {
            note(&format!("Consumer group '{}' has no active members.", group.id));
        }
        out(&text)?;
    }
    Ok(())
}

/// Rows of text, each column as wide as its widest, and at least as wide as it is said. The last
/// one is not filled up, unless it has a width.
fn table(rows: &[Vec<String>], widths: &[usize]) -> String {
    let width = |n: usize| match widths[n] {
        // So wide and no wider: what does not fit moves the rest.
        fixed if fixed >= FIXED => fixed - FIXED,
        0 => 0,
        least => rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0).max(least),
    };
    let all: Vec<usize> = (0..widths.len()).map(width).collect();
    let mut text = String::from("\n");
    for row in rows {
        let cells = row.iter().zip(&all).map(|(cell, width)| format!("{cell:<width$}"));
        text += &cells.collect::<Vec<_>>().join(" ");
        text.push('\n');
    }
    text
}

/// Added to the width of a column that does not grow.
const FIXED: usize = 1000;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn state(admin: &Admin, group: &GroupDescription, is_verbose: bool) -> Result<String, Failed> {
    let brokers = admin.describe_cluster()?.brokers;
    let coordinator = brokers.iter().find(|broker| broker.id == group.coordinator);
    let coordinator = coordinator.map_or_else(
        || MISSING.to_owned(),
        |broker| format!("{}:{}  ({})", broker.host, broker.port, broker.id),
    );
    let assignor = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    let mut title = words(&["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]);
    let mut row = words(&[&group.id, &coordinator, assignor, &group.state]);
    let mut widths = vec![WIDTH, 25, FIXED + 20, FIXED + 20];
    if is_verbose {
        let epoch = |of: Option<i32>| of.map_or_else(|| MISSING.to_owned(), |of| of.to_string());
        title.extend(words(&["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]));
        row.extend([group.epoch, group.assignment_epoch].map(epoch));
        widths.extend([FIXED + 15, FIXED + 25]);
    }
    title.push("#MEMBERS".to_owned());
    row.push(group.members.len().to_string());
    widths.push(0);
    Ok(table(&[title, row], &widths))
}

fn members(group: &GroupDescription, is_verbose: bool) -> String {
    let has_instances = group.members.iter().any(|member| member.instance_id.is_some());
    let mut title = vec!["GROUP", "CONSUMER-ID"];
    if has_instances {
        title.push("GROUP-INSTANCE-ID");
    }
    title.extend(["HOST", "CLIENT-ID", "#PARTITIONS"]);
    let mut widths = vec![WIDTH; title.len()];
    if is_verbose {
        title.extend(["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"]);
        widths.extend([15, 20, 15, 20]);
    }
    let mut rows = vec![words(&title)];
    for member in &group.members {
        let assigned = member.assignment.as_deref().unwrap_or_default();
        let mut row = words(&[&group.id, &member.id]);
        if has_instances {
            row.push(member.instance_id.clone().unwrap_or_default());
        }
        row.extend([member.host.clone(), member.client_id.clone(), assigned.len().to_string()]);
        if is_verbose {
            row.extend(verbose(group, member));
        }
        rows.push(row);
    }
    if !is_verbose {
        // The last cell has a space behind it, too.
        rows.iter_mut().for_each(|row| row.push(String::new()));
        widths.push(0);
    }
    table(&rows, &widths)
}

fn verbose(group: &GroupDescription, member: &MemberDescription) -> [String; 4] {
    let number =
        |epoch: Option<i32>| epoch.map_or_else(|| MISSING.to_owned(), |epoch| epoch.to_string());
    let list = |assigned: &Option<Vec<TopicPartition>>| {
        let assigned = assigned.as_deref().unwrap_or_default();
        if assigned.is_empty() { MISSING.to_owned() } else { assignment(assigned) }
    };
    let target = member.target_assignment.as_ref().and(group.assignment_epoch);
    [
        number(member.epoch),
        list(&member.assignment),
        number(target),
        list(&member.target_assignment),
    ]
}

/// `orders:0,1;others:2`.
fn assignment(assigned: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for at in assigned {
        topics.entry(&at.topic).or_default().push(at.partition);
    }
    let topic = |(topic, mut partitions): (&str, Vec<i32>)| {
        partitions.sort_unstable();
        let partitions: Vec<String> = partitions.iter().map(i32::to_string).collect();
        format!("{topic}:{}", partitions.join(","))
    };
    topics.into_iter().map(topic).collect::<Vec<_>>().join(";")
}

/// A partition, and the member that reads it.
type Read<'a> = (TopicPartition, Option<&'a MemberDescription>);

fn offsets(admin: &Admin, group: &GroupDescription, is_verbose: bool) -> Result<String, Failed> {
    let committed =
        admin.committed_offsets(&group.id).map_err(|error| Failed::Err(java::exception(&error)))?;
    let committed: BTreeMap<TopicPartition, CommittedOffset> = committed
        .into_iter()
        .map(|of| (TopicPartition::new(&of.topic, of.partition), of))
        .collect();
    let read = read(group, &committed);
    let asked: Vec<_> = read.iter().map(|(at, _)| (at.clone(), OffsetSpec::Latest)).collect();
    let ends: BTreeMap<TopicPartition, Result<_, Error>> =
        admin.list_offsets(&asked, IsolationLevel::ReadUncommitted)?.into_iter().collect();
    let mut title = vec!["GROUP", "TOPIC", "PARTITION"];
    let mut widths = vec![WIDTH, WIDTH, FIXED + 10];
    if is_verbose {
        title.push("LEADER-EPOCH");
        widths.push(FIXED + 15);
    }
    title.extend(["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"]);
    widths.extend([FIXED + 15, FIXED + 15, FIXED + 15, WIDTH, WIDTH, 0]);
    let mut rows = vec![words(&title)];
    let number = |number: Option<i64>| {
        number.map_or_else(|| MISSING.to_owned(), |number| number.to_string())
    };
    for (at, member) in read {
        let of = committed.get(&at);
        let (offset, epoch) = (of.map(|of| of.offset), of.and_then(|of| of.leader_epoch));
        let end = ends.get(&at).and_then(|end| end.as_ref().ok()?.offset);
        let lag = end.zip(offset).map(|(end, offset)| end - offset);
        let mut row = words(&[&group.id, &at.topic, &at.partition.to_string()]);
        if is_verbose {
            row.push(number(epoch.map(i64::from)));
        }
        row.extend([offset, end, lag].map(number));
        let of_member = |field: fn(&MemberDescription) -> &String| {
            member.map_or_else(|| MISSING.to_owned(), |member| field(member).clone())
        };
        row.extend([
            of_member(|member| &member.id),
            of_member(|member| &member.host),
            of_member(|member| &member.client_id),
        ]);
        rows.push(row);
    }
    // A group that is nowhere and has no members has no table.
    Ok(if rows.len() == 1 { String::new() } else { table(&rows, &widths) })
}

/// What is read: by members, who has most first, and what nobody has now.
fn read<'a>(
    group: &'a GroupDescription,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Vec<Read<'a>> {
    let assigned = |member: &MemberDescription| member.assignment.as_ref().map_or(0, Vec::len);
    let mut members: Vec<_> = group.members.iter().filter(|of| assigned(of) > 0).collect();
    members.sort_by_key(|member| std::cmp::Reverse(assigned(member)));
    let mut read: Vec<Read<'a>> = Vec::new();
    for member in members {
        let mut partitions = member.assignment.clone().unwrap_or_default();
        partitions.sort();
        read.extend(partitions.into_iter().map(|at| (at, Some(member))));
    }
    let taken: BTreeSet<TopicPartition> = read.iter().map(|(at, _)| at.clone()).collect();
    read.extend(committed.keys().filter(|at| !taken.contains(at)).map(|at| (at.clone(), None)));
    read
}
