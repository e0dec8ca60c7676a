//! Bugs that a broker might have, done to its files by hand: the harness has to see each.

mod surgery;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use ottla_check::violation::Rule;

use super::kill::{self, Extra, SETTINGS, copy};
use super::random::Random;
use super::round::Verdict;
use super::shared::Target;
use super::site::Site;
use super::syscalls::tracer;
use super::{Common, power, raw};
use crate::gate::Outcome;
use surgery::{
    empty, exchange, flip, folders, forge, halve, last_segment, lose_segments, repeat, rewrite,
    shift, swap,
};

/// Cycles of a round with a planted bug.
const CYCLES: u32 = 10;
/// An earlier state of a folder is kept from this one.
const COPY_AT: u32 = 2;
/// The bug strikes after this one, or the next one after which it can.
const STRIKE_AT: u32 = 5;
/// Until then a cycle takes at least so long where each has to have a segment of its own.
const PAUSE: Duration = Duration::from_millis(520);
/// Ten of them are longer than a client may wait.
const LIFE: Duration = Duration::from_millis(1_100);

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
    /// The last batch is at the offset behind its own.
    OffByOne,
    /// A value was changed before its checksum was made.
    Forge,
    /// Two partitions have each other's records.
    Exchange,
    /// A partition begins again at offset 0.
    Empty,
    /// A segment in the middle is gone.
    LoseSegment,
    /// Retention has taken what had not expired.
    Expire,
    /// Retention by size has taken more than it may.
    ExpireMore,
    /// Commits are those of an earlier time.
    OlderCommits,
    /// A client gets no connection in any life of the broker.
    CutOff,
}

/// A bug that only a loss of power shows: syncs that do nothing, of these calls.
const UNSYNCED: [&str; 2] = ["fdatasync", "fsync"];

const PLANTS: [(Plant, &[Rule]); 17] = [
    (Plant::EatTail, &[Rule::LostWrite, Rule::InconsistentOffset]),
    (Plant::OlderCopy, &[Rule::LostWrite, Rule::InconsistentOffset]),
    (Plant::FlipByte, &[Rule::LostWrite, Rule::Phantom, Rule::InconsistentOffset]),
    (Plant::Repeat, &[Rule::Duplicate]),
    (Plant::Swap, &[Rule::Order, Rule::InconsistentOffset]),
    (Plant::LoseCommits, &[Rule::Register]),
    (Plant::LoseMetadata, &[Rule::TopicLost, Rule::TopicUndead, Rule::Register]),
    (Plant::LosePartition, &[Rule::LostWrite]),
    (Plant::OffByOne, &[Rule::InconsistentOffset, Rule::Duplicate, Rule::LostWrite]),
    (Plant::Forge, &[Rule::Phantom]),
    (Plant::Exchange, &[Rule::Phantom]),
    (Plant::Empty, &[Rule::LostWrite, Rule::OffsetReuse]),
    (Plant::LoseSegment, &[Rule::LostWrite]),
    (Plant::Expire, &[Rule::LostWrite]),
    (Plant::ExpireMore, &[Rule::ExpiredEarly]),
    (Plant::OlderCommits, &[Rule::Register]),
    (Plant::CutOff, &[Rule::Liveness]),
];

/// Takes the name of a bug.
pub(crate) fn known(name: &str) -> Result<String, String> {
    let plants = PLANTS.into_iter().map(|(plant, _)| format!("{plant:?}"));
    let unsynced = UNSYNCED.into_iter().map(|call| format!("no {call}"));
    super::one_of(plants.chain(unsynced), name)
}

/// Runs a round with each bug, or with one; each must be seen.
pub(crate) fn run(common: &Common, only: Option<&str>) -> Result<Outcome> {
    let is_wanted = |name: &str| only.is_none_or(|only| only == name);
    let mut outcome = Outcome::default();
    let mut random = Random::new(common.seed);
    for (plant, rules) in PLANTS {
        if !is_wanted(&format!("{plant:?}")) {
            continue;
        }
        let folder = common.target.join("self-test");
        let data = vec![folder.join("data")];
        let site = Site::fresh(&common.root, &folder, data, &common.broker, SETTINGS)?;
        let mut saboteur = Saboteur { plant, has_struck: false };
        let verdict = kill::round(&site, &mut random, CYCLES, Extra::Plant(&mut saboteur));
        // A broker that will not start or serve any more is seen as well, if it was touched.
        let may_break_off = saboteur.has_struck && !saboteur.cuts_off();
        let seen = is_seen(&format!("{plant:?}"), &verdict, rules, may_break_off);
        outcome.add(Outcome::of(seen && saboteur.has_struck));
    }
    for call in UNSYNCED.into_iter().filter(|call| is_wanted(&format!("no {call}"))) {
        if let Some(missing) = power::missing()?.or(tracer::missing().map(str::to_owned)) {
            println!("self-test: no {call}: CANNOT RUN: {missing}");
            outcome.not_run.push(format!("torture self-test, no {call}: {missing}"));
            continue;
        }
        let unsynced = power::unsynced(common, &mut random, call)?;
        let rules = [Rule::LostWrite, Rule::LostRead, Rule::TopicLost, Rule::Register];
        let name = format!("no {call}");
        // It cannot be seen before the power has gone once, but what is wrong here can.
        let seen = is_seen(&name, &unsynced.verdict, &rules, unsynced.broke_behind_cut);
        if unsynced.cuts == 0 {
            println!("self-test: {name}: the power never went");
        }
        outcome.add(Outcome::of(seen && unsynced.cuts > 0));
    }
    Ok(outcome)
}

/// Whether one of the rules was broken, or the round broke off where it may; told on a line.
fn is_seen(name: &str, verdict: &Verdict, rules: &[Rule], may_break_off: bool) -> bool {
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    for violation in &verdict.violations {
        *found.entry(violation.rule.name()).or_default() += 1;
    }
    println!("self-test: {name}: {found:?}");
    if let Some(text) = &verdict.broken_off {
        println!("self-test: {name}: {}", &text[..text.floor_char_boundary(300)]);
    }
    let seen = verdict.violations.iter().any(|violation| rules.contains(&violation.rule))
        || (may_break_off && verdict.broken_off.is_some());
    if !seen {
        println!("self-test: {name} was not seen");
    }
    seen
}

/// Waits for its moment.
pub(crate) struct Saboteur {
    plant: Plant,
    /// Whether the files were changed; what goes wrong before does not count.
    has_struck: bool,
}

impl Saboteur {
    /// Called after each kill, while no broker runs.
    pub(crate) fn between(&mut self, cycle: u32, site: &Site, targets: &[Target]) -> Result<()> {
        let nth = usize::from(self.plant == Plant::ExpireMore);
        let target = targets.get(nth).context("there is such a topic")?;
        let place = target.places().next().context("it has a partition")?;
        let folder = raw::folder_of(&site.data, target, place).context("it has a folder")?;
        let kept = site.folder.join("kept");
        if cycle == COPY_AT {
            copy(&folder, &kept)?;
            for partition in folders(site, "__consumer_offsets-")? {
                copy(&partition, &site.folder.join(partition.file_name().context("a name")?))?;
            }
        }
        if cycle < STRIKE_AT && self.wants_segments() {
            thread::sleep(PAUSE);
        }
        if cycle >= STRIKE_AT && !self.has_struck {
            // There may be too little to be changed, right after a roll.
            match self.strike(site, &folder, &kept) {
                Err(_) if cycle + 1 < CYCLES => return Ok(()),
                result => result?,
            }
            self.has_struck = true;
        }
        Ok(())
    }

    fn wants_segments(&self) -> bool {
        matches!(self.plant, Plant::LoseSegment | Plant::Expire)
    }

    /// Whether a client is to find no broker.
    pub(crate) fn cuts_off(&self) -> bool {
        self.plant == Plant::CutOff
    }

    /// How long the broker serves before a kill, beside the usual: a client's time has to add up
    /// over lives that are each far from the limit, and a log has to fill.
    pub(crate) fn life(&self) -> Duration {
        if self.cuts_off() || self.plant == Plant::ExpireMore { LIFE } else { Duration::ZERO }
    }

    fn strike(&self, site: &Site, folder: &Path, kept: &Path) -> Result<()> {
        match self.plant {
            Plant::EatTail => halve(&last_segment(folder)?),
            Plant::OlderCopy => {
                fs::remove_dir_all(folder)?;
                copy(kept, folder)
            }
            Plant::FlipByte => flip(&last_segment(folder)?),
            Plant::Repeat => rewrite(&last_segment(folder)?, repeat),
            Plant::Swap => rewrite(&last_segment(folder)?, swap),
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
            Plant::LosePartition => Ok(fs::remove_dir_all(folder)?),
            Plant::OffByOne => rewrite(&last_segment(folder)?, |_, batches| shift(batches)),
            Plant::Forge => rewrite(&last_segment(folder)?, |_, batches| forge(batches)),
            Plant::Exchange => {
                let name = folder.to_string_lossy();
                let topic = name.strip_suffix('0').context("it is the first partition")?;
                exchange(folder, Path::new(&format!("{topic}1")))
            }
            Plant::Empty => empty(folder),
            Plant::LoseSegment => lose_segments(folder, false),
            Plant::Expire | Plant::ExpireMore => lose_segments(folder, true),
            // The client is there from the beginning.
            Plant::CutOff => Ok(()),
            Plant::OlderCommits => {
                for partition in folders(site, "__consumer_offsets-")? {
                    let older = site.folder.join(partition.file_name().context("a name")?);
                    fs::remove_dir_all(&partition)?;
                    copy(&older, &partition)?;
                }
                Ok(())
            }
        }
    }
}
