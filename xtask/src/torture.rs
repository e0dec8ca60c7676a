//! The release broker under real faults, judged by `ottla-check`.
//!
//! Reading order: [`wire`] and [`shared`] (a client's socket, what clients share), [`load`] (the
//! clients), [`site`] (a directory and its broker), [`round`] (topics, last readers, the verdict),
//! then the lanes: [`kill`] (signals), [`power`] (a file system that is cut off), [`syscalls`]
//! (calls that fail), and [`sabotage`], which proves that the harness sees bugs.
//! `interop/README.md` tells what each lane proves and needs.

mod kill;
pub(crate) mod load;
mod power;
mod random;
mod raw;
mod round;
mod sabotage;
pub(crate) mod shared;
pub(crate) mod site;
mod syscalls;
pub(crate) mod wire;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::gate::{Outcome, target_dir};
use crate::interop;

pub(crate) use random::Random;

/// Cycles of kills in the gate.
const GATE_CYCLES: u32 = 50;

/// Which faults.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The faults.
    #[command(subcommand)]
    lane: Lane,
    /// The random numbers; by default the clock's.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Use this broker instead of building one.
    #[arg(long, global = true)]
    broker: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Lane {
    /// SIGKILL at random moments, and other signals, under acknowledged load.
    Kill {
        /// How often.
        #[arg(long, default_value_t = GATE_CYCLES)]
        cycles: u32,
    },
    /// Losses of power on a loop-mounted ext4; needs root.
    Power {
        /// How often.
        #[arg(long, default_value_t = 100)]
        losses: u32,
    },
    /// Every storage system call fails in turn; needs strace and the right to trace.
    Syscalls {
        /// Only this call.
        #[arg(long, value_parser = syscalls::known)]
        call: Option<String>,
    },
    /// Bugs planted in the files: each must be seen.
    SelfTest {
        /// Only this one, as the lane prints it.
        #[arg(long, value_parser = sabotage::known)]
        bug: Option<String>,
    },
}

/// What all lanes need.
pub(crate) struct Common {
    root: PathBuf,
    /// Where lanes keep their files.
    target: PathBuf,
    broker: PathBuf,
    seed: u64,
}

/// Runs a lane.
pub(crate) fn run(root: &Path, args: &Args) -> Result<Outcome> {
    let common = Common::new(root, args.seed, args.broker.as_deref())?;
    match &args.lane {
        Lane::Kill { cycles } => kill::run(&common, *cycles),
        Lane::Power { losses } => power::run(&common, *losses),
        Lane::Syscalls { call } => syscalls::run(&common, call.as_deref()),
        Lane::SelfTest { bug } => sabotage::run(&common, bug.as_deref()),
    }
}

/// Of these names it is this one, or the error that lists them.
fn one_of(names: impl Iterator<Item = String>, name: &str) -> Result<String, String> {
    let names: Vec<String> = names.collect();
    if names.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    Err(format!("known are: {}", names.join(", ")))
}

/// The lane of the gate.
pub(crate) fn run_in_gate(root: &Path) -> Result<Outcome> {
    kill::run(&Common::new(root, None, None)?, GATE_CYCLES)
}

impl Common {
    fn new(root: &Path, seed: Option<u64>, broker: Option<&Path>) -> Result<Common> {
        let seed = seed.unwrap_or(u64::from_ne_bytes(load::ask::wall_ms().to_ne_bytes()));
        println!("torture: --seed {seed}");
        let target = root.join("target/torture");
        std::fs::create_dir_all(&target)?;
        let broker = match broker {
            Some(path) => path.to_owned(),
            None => {
                interop::build(root)?;
                target_dir(root).join("release/ottla")
            }
        };
        Ok(Common { root: root.to_owned(), target, broker, seed })
    }
}
