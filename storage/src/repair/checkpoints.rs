//! Checkpoints that are repaired: the lines that are right stay.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::{Change, Plan, add};
use crate::checkpoint::{
    self, CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, Offsets,
    RECOVERY_POINT_CHECKPOINT, RECOVERY_POINT_UNKNOWN,
};
use crate::disk::Disk;
use crate::partition_dir::TopicPartition;
use crate::verify::{CHECKPOINTS, DirReport, Finding, Remedy};
use crate::whole_file;

/// Where the logs end, and which offsets beyond must stay.
struct Ends<'a> {
    ends: BTreeMap<&'a TopicPartition, i64>,
    /// Logs that are damaged and not cut: a recovery point that came down to the damage would
    /// tell a broker that nothing which was flushed is missing, and to cut there. And logs whose
    /// end is not known, since a part of them cannot be read.
    damaged: BTreeSet<&'a TopicPartition>,
    cuts: &'a Offsets,
    /// Of every log.
    gives_up: bool,
}

impl<'a> Ends<'a> {
    fn of(report: &'a DirReport, cuts: &'a Offsets, gives_up: bool) -> Self {
        let (mut ends, mut damaged) = (BTreeMap::new(), BTreeSet::new());
        for partition in &report.partitions {
            let Some(topic_partition) = &partition.topic_partition else { continue };
            let end = partition.facts.log_end_offset;
            let cut = cuts.get(topic_partition);
            ends.insert(topic_partition, cut.map_or(end, |&cut| cut.min(end)));
            let is_damaged = |finding: &Finding| matches!(finding.remedy, Remedy::Cut { .. });
            let is_unread = !partition.facts.is_read;
            if is_unread || cut.is_none() && partition.findings.iter().any(is_damaged) {
                damaged.insert(topic_partition);
            }
        }
        Self { ends, damaged, cuts, gives_up }
    }

    /// Whether a recovery point may come down to the end of the log.
    fn gives_up(&self, topic_partition: &TopicPartition) -> bool {
        let is_asked = self.gives_up || self.cuts.contains_key(topic_partition);
        is_asked && !self.damaged.contains(topic_partition)
    }

    /// What an entry should be; `None` when it had better not be there.
    fn right(&self, name: &str, topic_partition: &TopicPartition, offset: i64) -> Option<i64> {
        let &end = self.ends.get(topic_partition)?;
        let stays = self.damaged.contains(topic_partition)
            || name == RECOVERY_POINT_CHECKPOINT && !self.gives_up(topic_partition);
        match name {
            // Of a log that is mended there is no need to know.
            RECOVERY_POINT_CHECKPOINT if offset == RECOVERY_POINT_UNKNOWN => {
                self.damaged.contains(topic_partition).then_some(offset)
            }
            _ if offset < 0 => None,
            _ if offset <= end || stays => Some(offset),
            // Without the entry a log begins with its first segment; with it, all would be removed.
            LOG_START_OFFSET_CHECKPOINT => None,
            // Without it the log is cleaned from its start.
            CLEANER_OFFSET_CHECKPOINT => None,
            _ => Some(end),
        }
    }
}

/// Plans what is to be done about the checkpoints, also of logs that are cut to end at `cuts`.
/// Entries only give up records that are missing with `gives_up`, or where the log is cut.
pub(super) fn plan(
    disk: &dyn Disk,
    report: &DirReport,
    cuts: &Offsets,
    gives_up: bool,
    plan: &mut Plan,
) -> io::Result<()> {
    let ends = Ends::of(report, cuts, gives_up);
    let is_left = |finding: &&Finding| match &finding.remedy {
        Remedy::LowerToEnd { log } => !ends.gives_up(log),
        _ => false,
    };
    plan.left.extend(report.findings.iter().filter(is_left).cloned());
    for name in CHECKPOINTS {
        let path = report.dir.join(name);
        let mended = |remedy: &Remedy| match remedy {
            Remedy::RewriteCheckpoint => true,
            Remedy::LowerToEnd { log } => ends.gives_up(log),
            _ => false,
        };
        let mut findings = report.findings.iter().filter(|finding| finding.path == path);
        let is_wrong = findings.any(|finding| mended(&finding.remedy));
        if !is_wrong && cuts.is_empty() {
            continue;
        }
        let Some(bytes) = read(disk, &path)? else { continue };
        let before = checkpoint::decode_offsets(&bytes).ok();
        let mut kept = Offsets::new();
        for (topic_partition, offset) in before.clone().unwrap_or_else(|| salvage(&bytes)) {
            if let Some(offset) = ends.right(name, &topic_partition, offset) {
                kept.insert(topic_partition, offset);
            }
        }
        if name == RECOVERY_POINT_CHECKPOINT && before.is_none() {
            // Of a log without a line nothing was flushed: the next start would cut it.
            for &topic_partition in &ends.damaged {
                kept.entry(topic_partition.clone()).or_insert(RECOVERY_POINT_UNKNOWN);
            }
        }
        if before.as_ref() == Some(&kept) {
            continue;
        }
        let (all, left) = (before.map(|before| before.len()), kept.len());
        let what = match all {
            Some(all) => format!("{left} of its {all} entries, none beyond the end of its log"),
            None => format!("{left} entries that can still be read"),
        };
        add(plan, path, Change::Write { bytes: checkpoint::encode_offsets(&kept), what });
    }
    Ok(())
}

/// The bytes of a checkpoint; none of one too long to be one.
fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match whole_file::read(disk, path) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Some(Vec::new())),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        Ok(bytes) => Ok(bytes),
    }
}

/// The lines of a damaged checkpoint that are entries. One without its end may have lost digits.
fn salvage(bytes: &[u8]) -> Offsets {
    let text = String::from_utf8_lossy(bytes);
    text.split_inclusive('\n')
        .filter_map(|line| {
            let mut fields = line.strip_suffix('\n')?.split_whitespace();
            let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
            let is_whole = fields.next().is_none();
            let topic_partition = TopicPartition::new(topic, partition.parse().ok()?);
            is_whole.then_some((topic_partition, offset.parse().ok()?))
        })
        .collect()
}
