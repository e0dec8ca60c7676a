//! Checkpoints that are repaired: the lines that are right stay.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Change, Plan, add};
use crate::checkpoint::{self, CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, Offsets};
use crate::disk::Disk;
use crate::partition_dir::TopicPartition;
use crate::verify::{CHECKPOINTS, DirReport, Remedy};
use crate::whole_file;

/// Plans what is to be done about the checkpoints, also of logs that are cut to end at `cuts`.
pub(super) fn plan(
    disk: &dyn Disk,
    report: &DirReport,
    cuts: &Offsets,
    plan: &mut Plan,
) -> io::Result<()> {
    let ends: BTreeMap<&TopicPartition, i64> = report
        .partitions
        .iter()
        .filter_map(|partition| {
            let topic_partition = partition.topic_partition.as_ref()?;
            let end = partition.facts.log_end_offset;
            Some((topic_partition, cuts.get(topic_partition).map_or(end, |&cut| cut.min(end))))
        })
        .collect();
    for name in CHECKPOINTS {
        let path = report.dir.join(name);
        let is_wrong = report
            .findings
            .iter()
            .any(|finding| finding.path == path && finding.remedy == Remedy::RewriteCheckpoint);
        if !is_wrong && cuts.is_empty() {
            continue;
        }
        let Some(bytes) = read(disk, &path)? else { continue };
        let before = checkpoint::decode_offsets(&bytes).ok();
        let mut kept = Offsets::new();
        for (topic_partition, offset) in before.clone().unwrap_or_else(|| salvage(&bytes)) {
            let end = ends.get(&topic_partition).copied();
            if let Some(offset) = end.and_then(|end| right(name, offset, end)) {
                kept.insert(topic_partition, offset);
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
        other => other,
    }
}

/// What an entry should be, for a log that ends at `end`; `None` when it had better not be there.
fn right(name: &str, offset: i64, end: i64) -> Option<i64> {
    match name {
        _ if offset < 0 => None,
        _ if offset <= end => Some(offset),
        // Without the entry a log begins with its first segment; with it, all would be removed.
        LOG_START_OFFSET_CHECKPOINT => None,
        // Without it the log is cleaned from its start.
        CLEANER_OFFSET_CHECKPOINT => None,
        _ => Some(end),
    }
}

/// The lines of a damaged checkpoint that are entries.
fn salvage(bytes: &[u8]) -> Offsets {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
            let is_whole = fields.next().is_none();
            let topic_partition = TopicPartition::new(topic, partition.parse().ok()?);
            is_whole.then_some((topic_partition, offset.parse().ok()?))
        })
        .collect()
}
