//! Repairs of a log directory that no broker has open.
//!
//! [`plan`] makes a list of actions of what a verification has found; [`carry_out`] does one of
//! them. What can be made anew from the batches is: indexes, transaction indexes, producer
//! snapshots, leader epochs; checkpoints keep the lines that are right. Records are only given up
//! when [`RepairOptions`] ask for it, and even then no byte of them is removed:
//!
//! ```text
//! 00000000000000000000.log                                 cut before the first damaged batch
//! saved-1.00000000000000000000.log.from-8192.ottla         what was cut off
//! saved-1.00000000000000000512.log.ottla                   a later segment
//! ```
//!
//! The saved files stay in the partition's directory, under names that neither Ottla nor Kafka
//! takes for anything: they end with no extension that a broker looks for and begin with no
//! offset, since a broker that puts the output of a compaction in place removes all files whose
//! names begin with the offsets it covers. A directory of their own would keep Kafka from starting.
//!
//! A crash between any two steps leaves a directory that a second run repairs: each file is
//! replaced as a whole, segments are set aside from the last to the first, and the index of a
//! segment goes before the segment is cut, so that a broker would make it anew.

mod checkpoints;
mod rebuild;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::checkpoint::Offsets;
use crate::disk::{Disk, Open};
use crate::file_name::{FileKind, LEADER_EPOCH_CHECKPOINT, segment_file_name};
use crate::leader_epoch::{EpochEntry, LeaderEpochCache};
use crate::partition_dir::TopicPartition;
use crate::partition_metadata;
use crate::verify::{DirReport, Finding, Known, PartitionReport, Remedy, Severity};
use crate::whole_file;

/// Copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// What a repair may do.
#[derive(Clone, Copy)]
pub struct RepairOptions<'a> {
    /// Cut logs before their first damaged batch, but for the metadata log.
    pub truncate_damaged: bool,
    /// Cut the metadata log so, which gives up topics.
    pub truncate_metadata: bool,
    /// `index.interval.bytes` for indexes that are made anew.
    pub index_interval_bytes: u32,
    /// What the cluster's metadata says of a partition.
    pub known: &'a (dyn Fn(&TopicPartition, Option<ottla_protocol::uuid::Uuid>) -> Known + Sync),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The actions.
    pub actions: Vec<Action>,
    /// Findings worse than notes that no action mends.
    pub left: Vec<Finding>,
}

/// One step of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The file that it changes.
    pub path: PathBuf,
    /// How.
    pub change: Change,
}

/// How a file is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gets this content.
    Write {
        /// All of it.
        bytes: Vec<u8>,
        /// What is different about it.
        what: String,
    },
    /// Both indexes of the segment whose `.log` the path is are made anew.
    RebuildIndexes {
        /// The segment.
        base_offset: i64,
        /// An entry each time so many bytes were passed.
        index_interval_bytes: u32,
    },
    /// The transaction index is made anew, or removed if there is nothing to put into it.
    RebuildTxnIndex {
        /// The segment.
        base_offset: i64,
        /// The log is compacted, so that its snapshots know more than its batches.
        compacted: bool,
    },
    /// The producer snapshot is made anew.
    RebuildSnapshot {
        /// What it reflects the log up to, exclusive.
        offset: i64,
        /// The log is compacted, so that its snapshots know more than its batches.
        compacted: bool,
    },
    /// The bytes from a position on are copied into another file.
    SaveTail {
        /// The first byte.
        position: u64,
        /// The file.
        to: PathBuf,
    },
    /// Gets a name that no broker looks at.
    SetAside {
        /// The name, with its directory.
        to: PathBuf,
    },
    /// The segment's `.log` is cut, and its offset index, which no longer fits, removed.
    Cut {
        /// The first byte that goes.
        position: u64,
        /// The offset index.
        index: PathBuf,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.change {
            Change::Write { what, .. } => write!(f, "write {path}: {what}"),
            Change::RebuildIndexes { .. } => write!(f, "rebuild both indexes of {path}"),
            Change::RebuildTxnIndex { .. } | Change::RebuildSnapshot { .. } => {
                write!(f, "rebuild {path}")
            }
            Change::SaveTail { position, to } => {
                write!(f, "copy {path} from byte {position} to {}", to.display())
            }
            Change::SetAside { to } => write!(f, "rename {path} to {}", to.display()),
            Change::Cut { position, .. } => write!(f, "cut {path} at byte {position}"),
        }
    }
}

/// Where a log is cut.
#[derive(Clone, Copy, Debug)]
struct CutAt {
    base_offset: i64,
    position: u64,
    end_offset: i64,
    is_metadata: bool,
}

impl CutAt {
    /// Where the log of `report` would be cut.
    fn of(report: &PartitionReport) -> Option<Self> {
        report.findings.iter().find_map(|finding| match finding.remedy {
            Remedy::Cut { base_offset, position, end_offset, is_metadata } => {
                Some(Self { base_offset, position, end_offset, is_metadata })
            }
            _ => None,
        })
    }

    /// Whether it is. Behind what cannot be read nothing is known that a cut has to leave.
    fn is_made(&self, report: &PartitionReport, options: &RepairOptions<'_>) -> bool {
        let is_asked =
            if self.is_metadata { options.truncate_metadata } else { options.truncate_damaged };
        is_asked && report.facts.is_read
    }
}

/// Makes the list of what is to be done about `report`'s findings. Nothing is changed.
///
/// # Errors
/// What the disk says.
pub fn plan(disk: &dyn Disk, report: &DirReport, options: &RepairOptions<'_>) -> io::Result<Plan> {
    let mut plan = Plan::default();
    let mut cuts: Offsets = Offsets::new();
    for partition in &report.partitions {
        let cut = CutAt::of(partition);
        if let Some(cut) = cut.filter(|cut| cut.is_made(partition, options)) {
            plan_cut(disk, partition, cut, options, &mut plan)?;
            if let Some(topic_partition) = &partition.topic_partition {
                cuts.insert(topic_partition.clone(), cut.end_offset);
            }
        }
        plan_partition(partition, cut, options, &mut plan);
        plan_aside(disk, partition, &mut plan)?;
    }
    checkpoints::plan(disk, report, &cuts, options.truncate_damaged, &mut plan)?;
    let is_left = |finding: &&Finding| match finding.remedy {
        Remedy::ByHand => finding.severity > Severity::Note,
        _ => false,
    };
    plan.left.extend(report.findings.iter().filter(is_left).cloned());
    Ok(plan)
}

fn add(plan: &mut Plan, path: PathBuf, change: Change) {
    plan.actions.push(Action { path, change });
}

/// All but the cut.
fn plan_partition(
    report: &PartitionReport,
    cut: Option<CutAt>,
    options: &RepairOptions<'_>,
    plan: &mut Plan,
) {
    let dir = &report.dir;
    let is_cut = cut.is_some_and(|cut| cut.is_made(report, options));
    // What a cut takes away or makes anew itself.
    let is_beyond =
        |base_offset: i64| is_cut && cut.is_some_and(|cut| base_offset >= cut.base_offset);
    let mut done = BTreeSet::new();
    for finding in &report.findings {
        let (path, change) = match &finding.remedy {
            &Remedy::RebuildIndexes { base_offset } if !is_beyond(base_offset) => (
                dir.join(segment_file_name(base_offset, FileKind::Log)),
                Change::RebuildIndexes {
                    base_offset,
                    index_interval_bytes: options.index_interval_bytes,
                },
            ),
            // Behind damage the state of producers is not known.
            Remedy::RebuildTxnIndex { .. } | Remedy::RebuildSnapshot { .. }
                if !report.facts.is_read || cut.is_some() && !is_cut =>
            {
                plan.left.push(finding.clone());
                continue;
            }
            &Remedy::RebuildTxnIndex { base_offset } if !is_beyond(base_offset) => (
                dir.join(segment_file_name(base_offset, FileKind::TxnIndex)),
                Change::RebuildTxnIndex { base_offset, compacted: report.facts.is_compacted },
            ),
            &Remedy::RebuildSnapshot { offset }
                if !(is_cut && cut.is_some_and(|cut| offset >= cut.end_offset)) =>
            {
                let name = segment_file_name(offset, FileKind::ProducerSnapshot);
                let compacted = report.facts.is_compacted;
                (dir.join(name), Change::RebuildSnapshot { offset, compacted })
            }
            Remedy::RebuildEpochs if !is_cut => match &report.facts.derived_epochs {
                Some(derived) => epochs_action(report, derived),
                None => {
                    plan.left.push(finding.clone());
                    continue;
                }
            },
            Remedy::WriteTopicId => match topic_id_action(report, options) {
                Some(action) => action,
                None => {
                    plan.left.push(finding.clone());
                    continue;
                }
            },
            Remedy::Cut { .. } if !is_cut => {
                plan.left.push(finding.clone());
                continue;
            }
            Remedy::ByHand if finding.severity > Severity::Note => {
                plan.left.push(finding.clone());
                continue;
            }
            _ => continue,
        };
        if done.insert(path.clone()) {
            add(plan, path, change);
        }
    }
}

/// Files that belong to nothing.
fn plan_aside(disk: &dyn Disk, report: &PartitionReport, plan: &mut Plan) -> io::Result<()> {
    let mut to_nothing = report.findings.iter().filter(|f| f.remedy == Remedy::SetAside).peekable();
    if to_nothing.peek().is_none() {
        return Ok(());
    }
    let aside = namer(disk, &report.dir)?;
    for finding in to_nothing {
        let Some(name) = finding.path.file_name() else { continue };
        let to = aside(&name.to_string_lossy());
        add(plan, finding.path.clone(), Change::SetAside { to });
    }
    Ok(())
}

fn topic_id_action(
    report: &PartitionReport,
    options: &RepairOptions<'_>,
) -> Option<(PathBuf, Change)> {
    let topic_partition = report.topic_partition.as_ref()?;
    let Known::Stray { topic_id: Some(id), .. } = (options.known)(topic_partition, None) else {
        return None;
    };
    let bytes = partition_metadata::encode(id).into_bytes();
    let what = format!("topic id {id}, as the metadata log has it");
    Some((partition_metadata::path(&report.dir), Change::Write { bytes, what }))
}

/// The epochs of the batches, and those that have begun behind them.
fn epochs_action(report: &PartitionReport, derived: &[EpochEntry]) -> (PathBuf, Change) {
    let newest = derived.last().map_or(-1, |entry| entry.epoch);
    let end = report.facts.log_end_offset;
    let stored = report.facts.stored_epochs.as_deref().unwrap_or_default();
    let later = stored.iter().filter(|e| e.epoch > newest && e.start_offset == end);
    let entries: Vec<EpochEntry> = derived.iter().chain(later).copied().collect();
    (report.dir.join(LEADER_EPOCH_CHECKPOINT), epochs_change(&entries))
}

fn epochs_change(entries: &[EpochEntry]) -> Change {
    let mut cache = LeaderEpochCache::default();
    for &entry in entries {
        // Epochs and offsets of good batches are not negative, which is all that could be wrong.
        let _changed = cache.assign(entry);
    }
    let what = format!("{} epochs, as the batches have them", cache.entries().len());
    Change::Write { bytes: cache.encode(), what }
}

/// The cut itself, and what no longer fits after it.
fn plan_cut(
    disk: &dyn Disk,
    report: &PartitionReport,
    cut: CutAt,
    options: &RepairOptions<'_>,
    plan: &mut Plan,
) -> io::Result<()> {
    let dir = &report.dir;
    let CutAt { base_offset, position, end_offset, .. } = cut;
    let aside = namer(disk, dir)?;
    let facts = &report.facts;
    // First, since it is all that needs room.
    let name = segment_file_name(base_offset, FileKind::Log);
    let log = dir.join(&name);
    let to = aside(&format!("{name}.from-{position}"));
    add(plan, log.clone(), Change::SaveTail { position, to });
    let later = facts.segment_bases.iter().rev().copied().filter(|&base| base > base_offset);
    for base in later {
        // The log goes last: while it is there, its indexes can be made anew.
        for kind in FileKind::ALL.into_iter().rev() {
            if kind == FileKind::ProducerSnapshot {
                continue;
            }
            let name = segment_file_name(base, kind);
            if disk.exists(&dir.join(&name))? {
                add(plan, dir.join(&name), Change::SetAside { to: aside(&name) });
            }
        }
    }
    for &offset in facts.snapshots.iter().rev().filter(|&&offset| offset > end_offset) {
        let name = segment_file_name(offset, FileKind::ProducerSnapshot);
        add(plan, dir.join(&name), Change::SetAside { to: aside(&name) });
    }
    let index = dir.join(segment_file_name(base_offset, FileKind::OffsetIndex));
    add(plan, log.clone(), Change::Cut { position, index });
    let index_interval_bytes = options.index_interval_bytes;
    add(plan, log, Change::RebuildIndexes { base_offset, index_interval_bytes });
    let compacted = facts.is_compacted;
    let txns = dir.join(segment_file_name(base_offset, FileKind::TxnIndex));
    if disk.exists(&txns)? {
        add(plan, txns, Change::RebuildTxnIndex { base_offset, compacted });
    }
    if end_offset > facts.segment_bases.first().copied().unwrap_or(0) {
        let name = segment_file_name(end_offset, FileKind::ProducerSnapshot);
        let change = Change::RebuildSnapshot { offset: end_offset, compacted };
        add(plan, dir.join(name), change);
    }
    if let Some(known) = facts.stored_epochs.as_deref().or(facts.derived_epochs.as_deref()) {
        let kept: Vec<EpochEntry> =
            known.iter().filter(|entry| entry.start_offset < end_offset).copied().collect();
        if Some(kept.as_slice()) != facts.stored_epochs.as_deref() {
            add(plan, dir.join(LEADER_EPOCH_CHECKPOINT), epochs_change(&kept));
        }
    }
    Ok(())
}

/// Gives names to files that are set aside together.
fn namer<'a>(disk: &dyn Disk, dir: &'a Path) -> io::Result<impl Fn(&str) -> PathBuf + use<'a>> {
    let number = free_number(disk, dir)?;
    Ok(move |name: &str| dir.join(format!("saved-{number}.{name}.ottla")))
}

/// The smallest number that no saved file has.
fn free_number(disk: &dyn Disk, dir: &Path) -> io::Result<u32> {
    let taken: BTreeSet<u32> = disk
        .list(dir)?
        .iter()
        .filter_map(|entry| entry.name.strip_prefix("saved-")?.split_once('.')?.0.parse().ok())
        .collect();
    Ok((1..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX))
}

/// Does what `action` says, durably. Doing it again changes nothing more.
///
/// # Errors
/// What the disk says. The file then is as it was, or as it shall be.
pub fn carry_out(disk: &dyn Disk, action: &Action) -> io::Result<()> {
    let path = &action.path;
    let dir = whole_file::parent(path);
    match &action.change {
        Change::Write { bytes, .. } => whole_file::replace(disk, path, bytes),
        &Change::RebuildIndexes { base_offset, index_interval_bytes } => {
            rebuild::indexes(disk, dir, base_offset, index_interval_bytes)
        }
        &Change::RebuildTxnIndex { base_offset, compacted } => {
            rebuild::txn_index(disk, dir, base_offset, compacted)
        }
        &Change::RebuildSnapshot { offset, compacted } => {
            rebuild::snapshot(disk, dir, offset, compacted)
        }
        Change::SaveTail { position, to } => save_tail(disk, path, *position, to),
        Change::SetAside { to } => {
            if disk.exists(path)? {
                disk.rename(path, to)?;
            }
            disk.sync_dir(dir)
        }
        Change::Cut { position, index } => {
            rebuild::unlink(disk, index)?;
            disk.sync_dir(dir)?;
            let file = disk.open(path, Open::ReadWrite)?;
            if file.len()? > *position {
                file.set_len(*position)?;
            }
            file.sync_all()
        }
    }
}

/// Copies the end of a file. A copy that does not come about leaves no part of it behind, least of
/// all on a disk that is full.
fn save_tail(disk: &dyn Disk, from: &Path, position: u64, to: &Path) -> io::Result<()> {
    if disk.exists(to)? {
        return Ok(());
    }
    let temporary = whole_file::temporary_path(to);
    if let Err(error) = copy_tail(disk, from, position, &temporary) {
        // What is said is why there is no copy.
        let _removed = disk.unlink(&temporary);
        return Err(error);
    }
    disk.rename(&temporary, to)?;
    disk.sync_dir(whole_file::parent(to))
}

fn copy_tail(disk: &dyn Disk, from: &Path, position: u64, to: &Path) -> io::Result<()> {
    let source = disk.open(from, Open::Read)?;
    let len = source.len()?;
    let target = disk.open(to, Open::Truncate)?;
    let mut piece = vec![0; COPY_BYTES];
    let mut at = position;
    while at < len {
        let n = piece.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
        source.read_exact_at(&mut piece[..n], at)?;
        target.write_all_at(&[IoSlice::new(&piece[..n])], at - position)?;
        at += n as u64;
    }
    target.sync_all()
}
