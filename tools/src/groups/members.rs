//! `ottlactl groups remove-members`.

use ottla_client::{Admin, GroupMember};

use crate::confirm::Yes;
use crate::global::Global;
use crate::{CannotRun, Outcome, advice};

/// Takes members out of a group, as if they had left
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups remove-members billing --all
  ottlactl groups remove-members billing rdkafka-2c0e1d28-4c8b-4a6e-9d0f-0e0e1d28f5aa
  ottlactl groups remove-members billing --instance billing-1 --yes

A member that still runs joins again.")]
pub(super) struct Args {
    /// Its name
    group: String,
    /// Members by their ids
    #[arg(value_name = "MEMBER", required_unless_present_any = ["instances", "all"])]
    members: Vec<String>,
    /// A static member by its group.instance.id; may be repeated
    #[arg(long = "instance", value_name = "ID")]
    instances: Vec<String>,
    /// All members
    #[arg(long, conflicts_with_all = ["members", "instances"])]
    all: bool,
    /// Why, for the broker's log
    #[arg(long, default_value = "removed by an operator")]
    reason: String,
    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(super) fn run(args: &Args, admin: &Admin, global: &Global) -> Outcome {
    let failed = |error| advice::on_group(admin, &args.group, &error);
    let members = if args.all {
        let mut described = admin.describe_groups(&[&args.group])?;
        let described = described.pop().map(|(_, described)| described.map_err(failed));
        let members = described.transpose()?.map(|group| group.members).unwrap_or_default();
        // A static member comes back under another id, but not under another instance's.
        members
            .into_iter()
            .map(|member| match member.instance_id {
                Some(instance) => GroupMember::InstanceId(instance),
                None => GroupMember::Id(member.id),
            })
            .collect()
    } else {
        let ids = args.members.iter().cloned().map(GroupMember::Id);
        let instances = args.instances.iter().cloned().map(GroupMember::InstanceId);
        ids.chain(instances).collect::<Vec<_>>()
    };
    if members.is_empty() {
        return Err(CannotRun(format!("the group {} has no members", args.group)));
    }
    args.yes.confirm(&format!("take {} members out of {}", members.len(), args.group))?;
    let fates = admin
        .remove_members_from_group(&args.group, &members, &args.reason)
        .map_err(failed)?
        .into_iter()
        .map(|(member, removed)| {
            let fate = removed.map_err(|error| advice::on_group(admin, &args.group, &error));
            let (GroupMember::Id(name) | GroupMember::InstanceId(name)) = member;
            (name, fate.map(|()| Vec::new()))
        })
        .collect();
    global.output.changes("member", "removed", fates)
}
