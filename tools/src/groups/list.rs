//! `ottlactl groups list`.

use ottla_client::{Admin, GroupFilter};

use crate::global::Global;
use crate::output::{Table, text};
use crate::{Found, Outcome};

const STATES: [&str; 8] = [
    "Empty",
    "Stable",
    "PreparingRebalance",
    "CompletingRebalance",
    "Assigning",
    "Reconciling",
    "NotReady",
    "Dead",
];
const TYPES: [&str; 4] = ["classic", "consumer", "share", "streams"];

/// All groups, by name
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ottlactl groups list
  ottlactl groups list --state Empty,Stable
  ottlactl groups list --type consumer -o name")]
pub(super) struct Args {
    /// Only those in one of these states: Empty, Stable, PreparingRebalance, CompletingRebalance,
    /// Assigning, Reconciling, NotReady, Dead
    #[arg(long, value_name = "STATE,...", value_delimiter = ',', ignore_case = true)]
    #[arg(value_parser = STATES, hide_possible_values = true)]
    state: Vec<String>,
    /// Only those of one of these types: classic, consumer, share, streams
    #[arg(long = "type", value_name = "TYPE,...", value_delimiter = ',', ignore_case = true)]
    #[arg(value_parser = TYPES, hide_possible_values = true)]
    kind: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, admin: &Admin, global: &Global) -> Outcome {
    let states: Vec<&str> = args.state.iter().map(String::as_str).collect();
    let kinds: Vec<&str> = args.kind.iter().map(String::as_str).collect();
    let filter = GroupFilter::new().states(&states).kinds(&kinds);
    let mut table = Table::new(&[text("group"), text("state"), text("type"), text("protocol")]);
    for group in admin.find_groups(&filter)? {
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
