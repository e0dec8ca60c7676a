//! Bugs that a broker might have, done to its files by hand: the harness has to see each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ottla_check::violation::Rule;
use ottla_protocol::record::set::Batches;

use super::kill::{self, Extra, copy};
use super::random::Random;
use super::shared::Target;
use super::site::Site;
use super::{Common, raw};
use crate::gate::Outcome;

/// Cycles of a round with a planted bug.
const CYCLES: u32 = 8;
/// An earlier state of a folder is kept from this one.
const COPY_AT: u32 = 2;
/// The bug strikes after this one.
const STRIKE_AT: u32 = 5;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// A recovery cuts more than the torn tail.
    EatTail,
    /// Half of what was written is forgotten.
    OlderCopy,
    /// A byte changes on the disk.
    FlipByte,
    /// The last batch is appended again, as without idempotence.
    Repeat,
    /// The last two batches change places.
    Swap,
    /// Commits that were acknowledged are forgotten.
    LoseCommits,
    /// Changes of the cluster that were acknowledged are forgotten.
    LoseMetadata,
    /// A partition's folder is gone.
    LosePartition,
}

const PLANTS: [(Plant, &[Rule]); 8] = [
    (Plant::EatTail, &[Rule::LostWrite, Rule::InconsistentOffset]),
    (Plant::OlderCopy, &[Rule::LostWrite, Rule::InconsistentOffset]),
    (Plant::FlipByte, &[Rule::LostWrite, Rule::Phantom, Rule::InconsistentOffset]),
    (Plant::Repeat, &[Rule::Duplicate]),
    (Plant::Swap, &[Rule::Order, Rule::InconsistentOffset]),
    (Plant::LoseCommits, &[Rule::Register]),
    (Plant::LoseMetadata, &[Rule::TopicLost, Rule::TopicUndead, Rule::Register]),
    (Plant::LosePartition, &[Rule::LostWrite]),
];

/// Runs a round with each bug; each must be seen.
pub(crate) fn run(common: &Common) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut random = Random::new(common.seed);
    for (plant, rules) in PLANTS {
        let folder = common.target.join("self-test");
        let data = vec![folder.join("data")];
        let site = Site::fresh(&common.root, &folder, data, &common.broker, "")?;
        let seen = match kill::round(&site, &mut random, CYCLES, Extra::Plant(plant)) {
            Ok(verdict) => {
                let found: BTreeMap<&str, u32> =
                    verdict.violations.iter().fold(BTreeMap::new(), |mut counts, violation| {
                        *counts.entry(violation.rule.name()).or_default() += 1;
                        counts
                    });
                let named = verdict.violations.iter().any(|v| rules.contains(&v.rule));
                println!("self-test: {plant:?}: {found:?}");
                named
            }
            // A broker that will not start or serve any more is seen as well.
            Err(error) => {
                println!("self-test: {plant:?}: {error:#}");
                true
            }
        };
        if !seen {
            println!("self-test: {plant:?} was not seen");
        }
        outcome.add(Outcome::of(seen));
    }
    Ok(outcome)
}

/// Waits for its moment.
pub(crate) struct Saboteur {
    plant: Plant,
}

impl Saboteur {
    pub(crate) fn new(plant: Plant) -> Saboteur {
        Saboteur { plant }
    }

    /// Called after each kill, while no broker runs.
    pub(crate) fn between(&mut self, cycle: u32, site: &Site, targets: &[Target]) -> Result<()> {
        let target = targets.first().context("there is a first topic")?;
        let place = target.places().next().context("it has a partition")?;
        let folder = raw::folder_of(&site.data, target, place).context("it has a folder")?;
        let kept = site.folder.join("kept");
        if cycle == COPY_AT {
            copy(&folder, &kept)?;
        }
        if cycle != STRIKE_AT {
            return Ok(());
        }
        match self.plant {
            Plant::EatTail => halve(&last_segment(&folder)?),
            Plant::OlderCopy => {
                fs::remove_dir_all(&folder)?;
                copy(&kept, &folder)
            }
            Plant::FlipByte => flip(&last_segment(&folder)?),
            Plant::Repeat => rewrite(&last_segment(&folder)?, repeat),
            Plant::Swap => rewrite(&last_segment(&folder)?, swap),
            Plant::LoseCommits => {
                for partition in folders(site, "__consumer_offsets-")? {
                    halve(&last_segment(&partition)?)?;
                }
                Ok(())
            }
            Plant::LoseMetadata => {
                for partition in folders(site, "__cluster_metadata-")? {
                    let log = last_segment(&partition)?;
                    rewrite(&log, |_, batches| drop(batches.split_off(batches.len() / 2)))?;
                }
                Ok(())
            }
            Plant::LosePartition => Ok(fs::remove_dir_all(&folder)?),
        }
    }
}

fn folders(site: &Site, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for data in &site.data {
        for entry in fs::read_dir(data)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn last_segment(folder: &Path) -> Result<PathBuf> {
    // Right after a roll there is nothing in the last one.
    let segments = raw::segments(folder)?;
    let filled = segments.values().rfind(|path| path.metadata().is_ok_and(|m| m.len() > 0));
    filled.or(segments.values().next_back()).cloned().context("a partition has a segment")
}

fn halve(path: &Path) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    Ok(file.set_len(length / 2)?)
}

fn flip(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    Ok(fs::write(path, bytes)?)
}

/// Changes a file's batches; the first argument of the change is the next offset.
fn rewrite(path: &Path, change: impl FnOnce(i64, &mut Vec<Vec<u8>>)) -> Result<()> {
    let bytes = fs::read(path)?;
    let (mut batches, mut next) = (Vec::new(), 0);
    for batch in Batches::new(&bytes) {
        let Ok(batch) = batch else { break };
        batches.push(batch.bytes().to_vec());
        next = batch.header().last_offset() + 1;
    }
    ensure!(batches.len() >= 2, "{} has too few batches", path.display());
    change(next, &mut batches);
    Ok(fs::write(path, batches.concat())?)
}

/// The base offset is not under the checksum.
fn set_base(batch: &mut [u8], base: i64) {
    batch[..8].copy_from_slice(&base.to_be_bytes());
}

fn repeat(next: i64, batches: &mut Vec<Vec<u8>>) {
    // The one before the last one is surely whole and known to its producer.
    let mut copy = batches[batches.len() - 2].clone();
    set_base(&mut copy, next);
    batches.push(copy);
}

fn swap(next: i64, batches: &mut Vec<Vec<u8>>) {
    let (Some(mut last), Some(mut before)) = (batches.pop(), batches.pop()) else { return };
    let base = before.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let middle = last.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    set_base(&mut last, base);
    set_base(&mut before, base + (next - middle));
    batches.extend([last, before]);
}
