//! `ottlactl groups describe`: state, members, offsets and lag.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{
    Admin, CommittedOffset, GroupDescription, IsolationLevel, OffsetSpec, TopicPartition,
};

use crate::global::Global;
use crate::output::{Section, Table, number, text};
use crate::{CannotRun, Found, Outcome, advice, complaint, offsets};

/// How far groups have come, and who reads
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups describe billing
  ottlactl groups describe billing audit -o json")]
pub(super) struct Args {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, admin: &Admin, global: &Global) -> Outcome {
    let names: Vec<&str> = args.groups.iter().map(String::as_str).collect();
    let (mut sections, mut found) = (Vec::new(), Found::Nothing);
    for (name, described) in admin.describe_groups(&names)? {
        match described {
            Ok(group) => sections.push(section(admin, group)?),
            Err(error) => {
                let CannotRun(why) = advice::on_group(admin, &name, &error);
                complaint::print(why);
                found = Found::Damage;
            }
        }
    }
    global.output.sections(&sections)?;
    Ok(found)
}

fn section(admin: &Admin, group: GroupDescription) -> Result<Section, CannotRun> {
    let (offsets, members) = (lag(admin, &group)?, members(&group));
    let facts = vec![
        ("group", group.id.into()),
        ("state", group.state.into()),
        ("type", group.kind.to_string().into()),
        ("assignor", group.assignor.into()),
        ("coordinator", group.coordinator.into()),
        ("epoch", group.epoch.into()),
        ("memberCount", group.members.len().into()),
    ];
    Ok(Section { facts, tables: vec![("offsets", offsets), ("members", members)] })
}

fn members(group: &GroupDescription) -> Table {
    let mut table = Table::new(&[
        text("member"),
        text("clientId"),
        text("host"),
        number("partitions"),
        text("instance").wide(),
        number("epoch").wide(),
        text("subscribed").wide(),
        text("assigned").wide(),
    ]);
    for member in &group.members {
        let assigned = member.assignment.as_ref();
        let assigned: Option<Vec<String>> =
            assigned.map(|all| all.iter().map(ToString::to_string).collect());
        let subscribed: Vec<&str> = member
            .topic_regex
            .iter()
            .filter(|regex| !regex.is_empty())
            .chain(&member.topics)
            .map(String::as_str)
            .collect();
        table.push([
            member.id.as_str().into(),
            member.client_id.as_str().into(),
            member.host.as_str().into(),
            assigned.as_ref().map(Vec::len).into(),
            member.instance_id.as_deref().into(),
            member.epoch.into(),
            subscribed.into(),
            assigned.into(),
        ]);
    }
    table
}

/// Where the group is in what it has committed an offset of, or what is assigned to a member.
fn lag(admin: &Admin, group: &GroupDescription) -> Result<Table, CannotRun> {
    let committed = admin
        .committed_offsets(&group.id)
        .map_err(|error| advice::on_group(admin, &group.id, &error))?;
    let committed: BTreeMap<TopicPartition, CommittedOffset> = committed
        .into_iter()
        .map(|of| (TopicPartition::new(&of.topic, of.partition), of))
        .collect();
    let mut readers: BTreeMap<TopicPartition, &str> = BTreeMap::new();
    for member in &group.members {
        let assigned = member.assignment.iter().flatten();
        readers.extend(assigned.map(|at| (at.clone(), member.id.as_str())));
    }
    let at: BTreeSet<TopicPartition> = committed.keys().chain(readers.keys()).cloned().collect();
    let at: Vec<TopicPartition> = at.into_iter().collect();
    let ends = offsets::of_all(admin, &at, OffsetSpec::Latest, IsolationLevel::ReadUncommitted)?;
    let mut table = Table::new(&[
        text("topic"),
        number("partition"),
        number("offset"),
        number("end"),
        number("lag"),
        text("member"),
        text("metadata").in_data(),
    ])
    .named_by(2);
    for (at, end) in at.iter().zip(ends) {
        // Where there is no leader there is no end, and the lag is not known.
        let end = end.ok().and_then(|listed| listed.offset);
        let of = committed.get(at);
        let offset = of.map(|of| of.offset);
        let lag = end.zip(offset).map(|(end, offset)| (end - offset).max(0));
        table.push([
            (*at.topic).into(),
            at.partition.into(),
            offset.into(),
            end.into(),
            lag.into(),
            readers.get(at).copied().into(),
            of.map(|of| of.metadata.as_str()).into(),
        ]);
    }
    Ok(table)
}
