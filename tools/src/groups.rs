//! `ottlactl groups`: which there are, how far they have come, what is done about them.

use ottla_client::Admin;

use crate::confirm::Yes;
use crate::global::Global;
use crate::output::{Section, Table, number, text};
use crate::{CannotRun, Found, Outcome, advice, complaint};

const EXAMPLES: &str = "\
Examples:
  ottlactl groups list
  ottlactl groups describe billing
  ottlactl groups delete billing --yes";

/// Groups: which there are, how far they have come, what is done about them
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    List(List),
    Describe(Describe),
    Delete(Delete),
}

/// All groups, by name
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  ottlactl groups list\n  ottlactl groups list -o name")]
struct List {}

/// How far groups have come
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups describe billing
  ottlactl groups describe billing -o json")]
struct Describe {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
}

/// Deletes groups that have no members, and their offsets
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups delete billing
  ottlactl groups delete billing audit --yes")]
struct Delete {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let admin = global.admin()?;
    match &args.command {
        Command::List(_) => list(&admin, global),
        Command::Describe(args) => describe(args, &admin, global),
        Command::Delete(args) => delete(args, &admin, global),
    }
}

fn list(admin: &Admin, global: &Global) -> Outcome {
    let mut table = Table::new(&[text("group"), text("state"), text("type"), text("protocol")]);
    for group in admin.list_groups()? {
        table.push([
            group.id.into(),
            group.state.into(),
            group.kind.into(),
            group.protocol_type.into(),
        ]);
    }
    global.output.table(&table)?;
    Ok(Found::Nothing)
}

fn describe(args: &Describe, admin: &Admin, global: &Global) -> Outcome {
    let listed = admin.list_groups()?;
    let (mut sections, mut found) = (Vec::new(), Found::Nothing);
    for group in &args.groups {
        let Some(listing) = listed.iter().find(|listing| listing.id == *group) else {
            let CannotRun(why) = advice::no_group(admin, group);
            complaint::print(why);
            found = Found::Damage;
            continue;
        };
        let mut offsets = Table::new(&[
            text("topic"),
            number("partition"),
            number("offset"),
            text("metadata").in_data(),
        ])
        .named_by(2);
        for at in admin.committed_offsets(group)? {
            let (partition, offset) = (at.partition.into(), at.offset.into());
            offsets.push([at.topic.into(), partition, offset, at.metadata.into()]);
        }
        let facts = vec![
            ("group", group.as_str().into()),
            ("state", listing.state.as_str().into()),
            ("type", listing.kind.as_str().into()),
        ];
        sections.push(Section { facts, tables: vec![("offsets", offsets)] });
    }
    global.output.sections(&sections)?;
    Ok(found)
}

fn delete(args: &Delete, admin: &Admin, global: &Global) -> Outcome {
    args.yes.confirm(&format!("delete {} and their offsets", args.groups.join(", ")))?;
    let names: Vec<&str> = args.groups.iter().map(String::as_str).collect();
    let fates = admin
        .delete_groups(&names)
        .into_iter()
        .map(|(group, deleted)| {
            let fate = deleted.map_err(|error| advice::on_group(admin, &group, &error));
            (group, fate.map(|()| Vec::new()))
        })
        .collect();
    global.output.changes("group", "deleted", fates)
}
