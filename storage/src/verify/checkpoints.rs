//! The four checkpoints of a log directory, held against the logs.

use std::collections::BTreeMap;
use std::path::Path;

use super::partition::PartitionReport;
use super::producers::{inner_text, is_content};
use super::{Code, Finding, Offsets, Remedy, Severity};
use crate::checkpoint::{
    self, CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, RECOVERY_POINT_CHECKPOINT,
    RECOVERY_POINT_UNKNOWN, REPLICATION_OFFSET_CHECKPOINT,
};
use crate::disk::Disk;
use crate::partition_dir::TopicPartition;

/// All of them.
pub(crate) const ALL: [&str; 4] = [
    RECOVERY_POINT_CHECKPOINT,
    LOG_START_OFFSET_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT,
    CLEANER_OFFSET_CHECKPOINT,
];

/// What the files say.
pub(super) struct Checkpoints {
    /// By name. One that is missing or damaged has no entries.
    offsets: BTreeMap<&'static str, checkpoint::Offsets>,
    missing: Vec<&'static str>,
}

impl Checkpoints {
    /// Reads them all; those that are damaged are told.
    pub(super) fn read(disk: &dyn Disk, dir: &Path, findings: &mut Vec<Finding>) -> Self {
        let mut offsets = BTreeMap::new();
        let mut missing = Vec::new();
        for name in ALL {
            let path = dir.join(name);
            let read = match checkpoint::read_offsets(disk, &path) {
                Ok(read) => read,
                Err(error) => {
                    let (code, remedy) = match is_content(&error) {
                        true => (Code::Checkpoint, Remedy::RewriteCheckpoint),
                        false => (Code::Unreadable, Remedy::ByHand),
                    };
                    // What a broker takes the directory offline for.
                    let is_fatal =
                        code == Code::Unreadable || name == REPLICATION_OFFSET_CHECKPOINT;
                    let severity = if is_fatal { Severity::Damage } else { Severity::Warning };
                    let finding = Finding::new(severity, &path, code, inner_text(&error));
                    findings.push(finding.mended_by(remedy));
                    checkpoint::Offsets::new()
                }
            };
            // The cleaner makes its own when it first needs it.
            if name != CLEANER_OFFSET_CHECKPOINT && disk.exists(&path).is_ok_and(|there| !there) {
                missing.push(name);
            }
            offsets.insert(name, read);
        }
        Self { offsets, missing }
    }

    /// The offset of a partition in the checkpoint called `name`.
    pub(super) fn offset(&self, name: &str, topic_partition: &TopicPartition) -> Option<i64> {
        self.offsets.get(name)?.get(topic_partition).copied()
    }

    /// What is wrong with the entries, now that the logs are known.
    pub(super) fn findings(
        &self,
        dir: &Path,
        partitions: &[PartitionReport],
        was_stopped_in_order: bool,
    ) -> Vec<Finding> {
        let logs: BTreeMap<&TopicPartition, &PartitionReport> = partitions
            .iter()
            .filter_map(|report| Some((report.topic_partition.as_ref()?, report)))
            .collect();
        let mut findings = Vec::new();
        for (&name, offsets) in &self.offsets {
            let path = dir.join(name);
            for (topic_partition, &offset) in offsets {
                let found = match logs.get(topic_partition) {
                    None => {
                        let problem = format!("{topic_partition} is not in this directory");
                        Some((Severity::Note, Code::UnknownPartition, problem, None))
                    }
                    Some(report) => self.entry(name, report, offset, was_stopped_in_order),
                };
                if let Some((severity, code, problem, range)) = found {
                    let mut finding = Finding::new(severity, &path, code, problem);
                    if severity > Severity::Note {
                        let gives_up = name == RECOVERY_POINT_CHECKPOINT && range.is_some();
                        finding = finding.mended_by(if gives_up {
                            Remedy::LowerToEnd { log: topic_partition.clone() }
                        } else {
                            Remedy::RewriteCheckpoint
                        });
                    }
                    findings.push(Finding { offsets: range, ..finding });
                }
            }
        }
        if was_stopped_in_order && !logs.is_empty() {
            for name in &self.missing {
                let problem = "is missing".to_owned();
                findings.push(Finding::new(
                    Severity::Note,
                    dir.join(name),
                    Code::Checkpoint,
                    problem,
                ));
            }
        }
        findings
    }

    fn entry(
        &self,
        name: &str,
        report: &PartitionReport,
        offset: i64,
        was_stopped_in_order: bool,
    ) -> Option<(Severity, Code, String, Option<Offsets>)> {
        let topic_partition = report.topic_partition.as_ref()?;
        if !report.facts.is_read && offset >= 0 {
            return None;
        }
        let end = report.facts.log_end_offset;
        let start = log_start(report, self.offset(LOG_START_OFFSET_CHECKPOINT, topic_partition));
        if offset == RECOVERY_POINT_UNKNOWN && name == RECOVERY_POINT_CHECKPOINT {
            let problem = format!("{topic_partition}: up to where it was flushed is not known");
            return Some((Severity::Note, Code::OffsetBelowStart, problem, None));
        }
        if offset < 0 {
            let problem = format!("{topic_partition} has offset {offset}");
            return Some((Severity::Warning, Code::OffsetBelowStart, problem, None));
        }
        if offset > end {
            let problem = format!("{topic_partition} has offset {offset}, its log ends at {end}");
            let (severity, problem) = match name {
                RECOVERY_POINT_CHECKPOINT => {
                    (Severity::Damage, format!("{problem}: what was flushed is missing"))
                }
                LOG_START_OFFSET_CHECKPOINT => {
                    let what = "a start would remove all of it";
                    (Severity::Damage, format!("{problem}: {what}"))
                }
                _ if was_stopped_in_order => (Severity::Warning, problem),
                _ => (Severity::Note, problem),
            };
            let range = Offsets { first: end, last: offset - 1 };
            return Some((severity, Code::OffsetBeyondEnd, problem, Some(range)));
        }
        let is_below = match name {
            REPLICATION_OFFSET_CHECKPOINT => offset < start,
            RECOVERY_POINT_CHECKPOINT => was_stopped_in_order && offset < start && end > 0,
            _ => false,
        };
        is_below.then(|| {
            let problem =
                format!("{topic_partition} has offset {offset}, its log begins at {start}");
            (Severity::Note, Code::OffsetBelowStart, problem, None)
        })
    }
}

/// The first offset that may be read.
fn log_start(report: &PartitionReport, checkpoint: Option<i64>) -> i64 {
    let first = report.facts.segment_bases.first().copied().unwrap_or(0);
    checkpoint.unwrap_or(0).max(first)
}
