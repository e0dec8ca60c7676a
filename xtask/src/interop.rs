//! Real clients and the real Apache Kafka against a running broker.

use std::path::Path;

use anyhow::Result;

use crate::gate::Outcome;

/// What to run; by default everything that fits into the gate's time.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only these clients.
    #[arg(long)]
    client: Vec<String>,
}

/// Runs the lanes.
pub(crate) fn run(_root: &Path, _args: &Args) -> Result<Outcome> {
    Ok(Outcome::default())
}
