//! `ottlactl quorum`: who keeps the metadata log, and how far each is.

use ottla_client::{QuorumInfo, QuorumReplica};

use crate::global::Global;
use crate::output::{Section, Table, number, text};
use crate::{Found, Outcome, time};

/// Who keeps the metadata log, and how far each is
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl quorum
  ottlactl quorum -o wide
  ottlactl quorum -o json")]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_: &Args, global: &Global) -> Outcome {
    let quorum = global.admin()?.describe_quorum()?;
    let facts = vec![
        ("leader", quorum.leader.into()),
        ("leaderEpoch", quorum.leader_epoch.into()),
        ("highWatermark", quorum.high_watermark.into()),
        ("voters", ids(&quorum.voters).into()),
        ("observers", ids(&quorum.observers).into()),
    ];
    let tables = vec![("replicas", replicas(&quorum))];
    global.output.sections(&[Section { facts, tables }])?;
    Ok(Found::Nothing)
}

fn ids(replicas: &[QuorumReplica]) -> Vec<i32> {
    replicas.iter().map(|replica| replica.id).collect()
}

fn replicas(quorum: &QuorumInfo) -> Table {
    let mut table = Table::new(&[
        number("node"),
        text("role"),
        number("endOffset"),
        number("lag"),
        text("lastCaughtUp"),
        text("lastFetch").wide(),
        text("directory").wide(),
        text("listeners").wide(),
    ]);
    let voters = quorum.voters.iter().map(|replica| (replica, "voter"));
    let observers = quorum.observers.iter().map(|replica| (replica, "observer"));
    let leader = quorum.voters.iter().find(|replica| Some(replica.id) == quorum.leader);
    for (replica, role) in voters.chain(observers) {
        let role = if Some(replica.id) == quorum.leader { "leader" } else { role };
        let lag = leader.map(|leader| (leader.log_end_offset - replica.log_end_offset).max(0));
        let node = quorum.nodes.iter().find(|node| node.id == replica.id);
        let listener =
            |(name, host, port): &(String, String, u16)| format!("{name}://{host}:{port}");
        let listeners = node.map(|node| node.listeners.iter().map(listener).collect::<Vec<_>>());
        table.push([
            replica.id.into(),
            role.into(),
            replica.log_end_offset.into(),
            lag.into(),
            replica.last_caught_up_timestamp.map(time::utc).into(),
            replica.last_fetch_timestamp.map(time::utc).into(),
            replica.directory_id.to_string().into(),
            listeners.into(),
        ]);
    }
    table
}
