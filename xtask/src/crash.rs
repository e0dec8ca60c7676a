//! Crash points: the log manager on a simulated disk, crashed at every operation.
//!
//! The program is `storage/tests/crash/`. It is built together with the broker, so that both use
//! the same build of all below them. It prints its seed, and how to run one episode again.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::gate::{Outcome, cargo_command, count_results, target_dir};

/// Crash points of the gate.
const GATE_POINTS: u64 = 100_000;
/// The gate's seed: a gate must say the same of the same tree each time.
const GATE_SEED: u64 = 1;

/// What `cargo xtask crash` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Crash points to look at, at least.
    #[arg(long, default_value_t = GATE_POINTS)]
    points: u64,
    /// The first episode's seed; the next one's is one more.
    #[arg(long, default_value_t = GATE_SEED)]
    seed: u64,
    /// Episodes at a time; as many as there are processors by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Runs one episode again, leaves out the steps that it does not need to fail, and shows how
    /// it goes.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// Looks for planted defects too: whatever the storage might forget must be noticed.
    #[arg(long)]
    planted: bool,
    /// Goes on after a failure, to see more of them.
    #[arg(long)]
    go_on: bool,
}

impl Args {
    /// As the gate runs it.
    pub(crate) fn gate() -> Self {
        let (points, seed) = (GATE_POINTS, GATE_SEED);
        Self { points, seed, threads: None, replay: None, planted: true, go_on: false }
    }
}

/// Builds the program and runs it; every crash point is a check.
pub(crate) fn run(root: &Path, args: &Args) -> Result<Outcome> {
    // Named with the storage, the broker decides about features: else much would be built anew.
    let build = ["build", "--quiet", "--release", "-p", "ottla", "-p", "ottla-storage"];
    let mut cargo = cargo_command(root, &build);
    let built = cargo.args(["--bin", "ottla-crash"]).status()?;
    ensure!(built.success(), "the program cannot be built");
    let mut command = Command::new(target_dir(root).join("release/ottla-crash"));
    command.args(["--points", &args.points.to_string(), "--seed", &args.seed.to_string()]);
    if let Some(threads) = args.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    if let Some(seed) = args.replay {
        command.args(["--replay", &seed.to_string()]);
    }
    if args.planted {
        command.arg("--planted");
    }
    if args.go_on {
        command.arg("--go-on");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().context("start the crash program")?;
    let mut outcome = count_results(&mut child)?;
    // A panic ends it without a count.
    if !child.wait()?.success() && outcome.failed == 0 {
        outcome.failed = 1;
    }
    Ok(outcome)
}
