//! `ottlactl cluster`: its id, its controller, its brokers and features.

use ottla_client::{Admin, ErrorKind};
use serde_json::Value;

use crate::global::Global;
use crate::output::{Section, Table, number, text};
use crate::{CannotRun, Found, Outcome};

const EXAMPLES: &str = "\
Examples:
  ottlactl -b localhost:9092 cluster
  ottlactl cluster -o json | jq -r '.[0].id'";

/// The cluster: its id, its controller, its brokers and features
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_: &Args, global: &Global) -> Outcome {
    let admin = global.admin()?;
    let cluster = admin.describe_cluster()?;
    let mut brokers =
        Table::new(&[number("broker"), text("host"), number("port"), text("rack"), text("fenced")]);
    let fenced = cluster.fenced.into_iter().map(|broker| (broker, true));
    for (broker, is_fenced) in cluster.brokers.into_iter().map(|of| (of, false)).chain(fenced) {
        let rack = Value::from(broker.rack);
        let (host, port) = (broker.host.into(), broker.port.into());
        brokers.push([broker.id.into(), host, port, rack, is_fenced.into()]);
    }
    let facts = vec![("id", cluster.id.into()), ("controller", cluster.controller.into())];
    let tables = vec![("brokers", brokers), ("features", features(&admin)?)];
    global.output.sections(&[Section { facts, tables }])?;
    Ok(Found::Nothing)
}

fn features(admin: &Admin) -> Result<Table, CannotRun> {
    let mut table = Table::new(&[text("feature"), number("level"), number("min"), number("max")]);
    let described = match admin.describe_features(None) {
        // There are clusters without any.
        Err(error) if error.kind() == ErrorKind::UnsupportedVersion => return Ok(table),
        described => described?,
    };
    for feature in described.features {
        let (min, max) = feature.supported.unzip();
        table.push([feature.name.into(), feature.finalized.into(), min.into(), max.into()]);
    }
    Ok(table)
}
