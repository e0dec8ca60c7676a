//! `ottlactl cluster`: its id, its controller, its brokers.

use serde_json::Value;

use crate::global::Global;
use crate::output::{Section, Table, number, text};
use crate::{Found, Outcome};

const EXAMPLES: &str = "\
Examples:
  ottlactl -b localhost:9092 cluster
  ottlactl cluster -o json | jq -r '.[0].id'";

/// The cluster: its id, its controller, its brokers
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_: &Args, global: &Global) -> Outcome {
    let admin = global.admin()?;
    let cluster = admin.describe_cluster()?;
    let mut brokers = Table::new(&[number("broker"), text("host"), number("port"), text("rack")]);
    for broker in cluster.brokers {
        let rack = Value::from(broker.rack);
        brokers.push([broker.id.into(), broker.host.into(), broker.port.into(), rack]);
    }
    let facts = vec![("id", cluster.id.into()), ("controller", cluster.controller.into())];
    global.output.sections(&[Section { facts, tables: vec![("brokers", brokers)] }])?;
    Ok(Found::Nothing)
}
