//! Verification of one partition's directory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ottla_protocol::record::batch::MAGIC_V2;
use ottla_protocol::uuid::Uuid;

use super::dir::is_metadata_log;
use super::epochs::{EpochCheck, Mismatch};
use super::producers::{ProducerCheck, Suspicion, inner_text, is_content};
use super::{
    Code, Finding, Found, LogFacts, Offsets, PartitionPlace, Remedy, Severity, VerifyOptions, kraft,
};
use crate::disk::Disk;
use crate::file_name::{FileKind, FileName, LEADER_EPOCH_CHECKPOINT, segment_file_name};
use crate::leader_epoch;
use crate::partition_dir::TopicPartition;

mod segment;

/// What was found in one partition's directory.
#[derive(Clone, Debug, Default)]
pub struct PartitionReport {
    /// The directory.
    pub dir: PathBuf,
    /// By its name; `None` when the name is no partition's.
    pub topic_partition: Option<TopicPartition>,
    /// What `partition.metadata` says, if it can be read.
    pub topic_id: Option<Uuid>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What was learned of the log.
    pub facts: LogFacts,
}

/// A partition half verified.
pub(super) struct Walk<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) place: &'a PartitionPlace,
    pub(super) options: &'a VerifyOptions<'a>,
    pub(super) findings: Vec<Finding>,
    /// The first readable offset, 0 where nothing tells.
    log_start_offset: i64,
    /// Gaps between offsets, which are no findings if the log turns out to be compacted.
    gaps: Vec<Finding>,
    suspicions: Vec<Suspicion>,
    epochs: EpochCheck,
    producers: ProducerCheck<'a>,
    /// The offset that the next batch should have; `None` before the first segment.
    next_offset: Option<i64>,
    /// The segment that holds the recovery point, if a start would recover.
    recovery_base: Option<i64>,
    is_compacted: bool,
    /// No segment was passed over for want of its bytes.
    is_read: bool,
    /// How the first damage can be cut off, which cuts off all others too.
    cut: Option<Remedy>,
    previous: Option<Previous>,
    /// A mismatch of epochs that a start repairs was told.
    told_newer_epoch: bool,
}

/// The batch before, in the same segment.
#[derive(Clone, Copy)]
struct Previous {
    position: u64,
    base_offset: i64,
    /// The offset that it should have had.
    expected: i64,
}

/// The files of a directory that belong to segments: kinds by base offset.
type SegmentFiles = BTreeMap<i64, Vec<FileKind>>;

/// Verifies the log in `place.dir`: all files but `partition.metadata`.
pub(super) fn verify(
    disk: &dyn Disk,
    place: &PartitionPlace,
    options: &VerifyOptions<'_>,
) -> PartitionReport {
    let mut report = PartitionReport {
        dir: place.dir.clone(),
        topic_partition: place.topic_partition.clone(),
        ..PartitionReport::default()
    };
    let listed = segment_files(disk, place, &mut report.findings);
    let (files, log_start_offset) = match listed.and_then(|f| Ok((f, log_start(disk, place)?))) {
        Ok(listed) => listed,
        Err(error) => {
            report.findings.push(unreadable(&place.dir, &error));
            return report;
        }
    };
    let with = |kind| files.iter().filter(move |(_, k)| k.contains(&kind)).map(|(&base, _)| base);
    let bases: Vec<i64> = with(FileKind::Log).collect();
    let snapshots: Vec<i64> = with(FileKind::ProducerSnapshot).collect();
    let first_base = bases.first().copied().unwrap_or(0);
    let mut walk = Walk {
        disk,
        place,
        options,
        epochs: EpochCheck::new(
            read_epochs(disk, &place.dir, &mut report.findings),
            place.recovered_from.map_or(log_start_offset, |_| i64::MAX),
        ),
        log_start_offset,
        findings: std::mem::take(&mut report.findings),
        gaps: Vec::new(),
        suspicions: Vec::new(),
        producers: ProducerCheck::new(disk, &place.dir, &snapshots, first_base),
        next_offset: None,
        recovery_base: place
            .recovered_from
            .map(|point| bases.iter().rev().copied().find(|&base| base <= point).unwrap_or(0)),
        is_compacted: place.compacted,
        is_read: true,
        cut: None,
        previous: None,
        told_newer_epoch: false,
    };
    for (&base_offset, kinds) in &files {
        if kinds.contains(&FileKind::Log) {
            let next_base = bases.iter().copied().find(|&base| base > base_offset);
            if let Err(error) = walk.segment(base_offset, kinds, next_base) {
                let path = place.dir.join(segment_file_name(base_offset, FileKind::Log));
                walk.pass_over(unreadable(&path, &error));
            }
        } else {
            walk.orphans(base_offset, kinds);
        }
    }
    walk.finish(bases, snapshots, report)
}

impl Walk<'_> {
    /// Whether the next start checks the segment and makes its indexes anew.
    pub(super) fn is_recovered(&self, base_offset: i64) -> bool {
        self.recovery_base.is_some_and(|base| base_offset >= base)
    }

    /// A segment that stays unread, for this reason.
    fn pass_over(&mut self, why: Finding) {
        self.findings.push(why);
        self.producers.give_up();
        self.is_read = false;
    }

    fn orphans(&mut self, base_offset: i64, kinds: &[FileKind]) {
        for &kind in kinds.iter().filter(|&&kind| kind != FileKind::ProducerSnapshot) {
            let path = self.place.dir.join(segment_file_name(base_offset, kind));
            let problem = "there is no .log beside it".to_owned();
            // A crash may leave it behind; an orderly stop does not.
            let (severity, remedy) = match self.place.recovered_from {
                Some(_) => (Severity::Note, Remedy::AtStart),
                None => (Severity::Warning, Remedy::SetAside),
            };
            let finding = Finding::new(severity, path, Code::NoLog, problem);
            self.findings.push(finding.mended_by(remedy));
        }
    }

    /// A batch that its sum vouches for: what its epoch says.
    fn see_epoch(&mut self, batch: &Found<'_>, log: &Path, recovered: bool) {
        let Some(Mismatch { batch_epoch, stored_epoch, is_newest }) = self.epochs.see(batch) else {
            return;
        };
        let stored = stored_epoch.map_or("none".to_owned(), |epoch| epoch.to_string());
        let problem = format!(
            "the batch has leader epoch {batch_epoch}, by {LEADER_EPOCH_CHECKPOINT} {stored}"
        );
        let at_start = recovered && is_newest;
        if at_start && std::mem::replace(&mut self.told_newer_epoch, true) {
            return;
        }
        let severity = if at_start { Severity::Note } else { Severity::Warning };
        let offsets = Offsets { first: batch.base_offset, last: batch.last_offset };
        let finding = Finding::new(severity, log, Code::LeaderEpoch, problem);
        self.findings.push(finding.at(batch.position).of(offsets));
    }

    /// Whether only compaction can have made the batch what it is.
    fn note_compaction(&mut self, batch: &Found<'_>) {
        if batch.magic == MAGIC_V2 {
            let view = batch.view();
            self.is_compacted |= i64::from(view.records_count())
                < i64::from(view.last_offset_delta()) + 1
                || view.attributes().has_delete_horizon();
        }
    }

    fn finish(
        mut self,
        bases: Vec<i64>,
        snapshots: Vec<i64>,
        mut report: PartitionReport,
    ) -> PartitionReport {
        let log_end_offset = self.next_offset.unwrap_or(self.log_start_offset);
        self.producers.finish(log_end_offset, self.place.recovered_from.is_none());
        self.suspicions.append(&mut self.producers.suspicions);
        if !self.is_compacted {
            self.findings.append(&mut self.gaps);
        }
        let told = self.suspicions.into_iter();
        let compacted = self.is_compacted;
        self.findings.extend(
            told.filter(|suspicion| !(suspicion.unless_compacted && compacted))
                .map(|suspicion| suspicion.finding),
        );
        let epochs_path = self.place.dir.join(LEADER_EPOCH_CHECKPOINT);
        let learned_from = self.recovery_base;
        let mut epochs = epoch_findings(&self.epochs, &epochs_path, log_end_offset, compacted);
        let first = self.epochs.derived().and_then(|epochs| epochs.first().copied());
        let is_learned_again = self.epochs.is_lost()
            && first.zip(learned_from).is_some_and(|(first, from)| first.start_offset >= from);
        if is_learned_again || !self.is_read {
            epochs.clear();
        }
        self.findings.extend(epochs);
        report.facts = LogFacts {
            segment_bases: bases,
            is_read: self.is_read,
            log_end_offset,
            derived_epochs: self.epochs.derived().filter(|_| self.is_read),
            stored_epochs: self.epochs.stored(),
            snapshots,
            is_compacted: compacted,
        };
        report.findings = self.findings;
        report
    }
}

/// Where the log begins, as far as is told beside it.
fn log_start(disk: &dyn Disk, place: &PartitionPlace) -> io::Result<i64> {
    match &place.topic_partition {
        Some(topic_partition) if is_metadata_log(topic_partition) => {
            kraft::log_start_offset(disk, &place.dir)
        }
        _ => Ok(place.log_start_offset),
    }
}

/// What is wrong with the checkpoint of epochs as a whole.
fn epoch_findings(
    epochs: &EpochCheck,
    path: &Path,
    log_end_offset: i64,
    compacted: bool,
) -> Vec<Finding> {
    let found = |severity, problem| Finding::new(severity, path, Code::EpochCheckpoint, problem);
    let derived = epochs.derived();
    let rebuilt = |finding: Finding| match &derived {
        Some(_) => finding.mended_by(Remedy::RebuildEpochs),
        None => finding,
    };
    let mut findings = Vec::new();
    if epochs.is_lost() {
        let problem = "has no epochs, the batches have".to_owned();
        findings.push(rebuilt(found(Severity::Warning, problem)));
        return findings;
    }
    if let Some(entry) = epochs.beyond(log_end_offset) {
        let problem = format!(
            "epoch {} begins at {}, the log ends at {log_end_offset}",
            entry.epoch, entry.start_offset
        );
        findings.push(found(Severity::Note, problem));
    }
    let (Some(stored), Some(derived)) = (epochs.stored(), &derived) else { return findings };
    for entry in stored.iter().skip(1).filter(|_| !compacted) {
        let first = derived.iter().skip(1).find(|batch| batch.epoch == entry.epoch);
        if let Some(first) = first
            && first.start_offset != entry.start_offset
        {
            let problem = format!(
                "epoch {} begins at {}, its first batch is at {}",
                entry.epoch, entry.start_offset, first.start_offset
            );
            findings.push(rebuilt(found(Severity::Warning, problem)));
            break;
        }
    }
    findings
}

/// The epochs of the checkpoint: `None` when it is damaged, and none when it is missing.
fn read_epochs(
    disk: &dyn Disk,
    dir: &Path,
    findings: &mut Vec<Finding>,
) -> Option<leader_epoch::LeaderEpochCache> {
    let path = dir.join(LEADER_EPOCH_CHECKPOINT);
    match leader_epoch::read(disk, &path) {
        Ok(cache) => Some(cache),
        Err(error) => {
            let (code, remedy) = match is_content(&error) {
                true => (Code::EpochCheckpoint, Remedy::RebuildEpochs),
                false => (Code::Unreadable, Remedy::ByHand),
            };
            let finding = Finding::new(Severity::Damage, path, code, inner_text(&error));
            findings.push(finding.mended_by(remedy));
            None
        }
    }
}

/// Lists the directory and tells of what does not belong there.
fn segment_files(
    disk: &dyn Disk,
    place: &PartitionPlace,
    findings: &mut Vec<Finding>,
) -> io::Result<SegmentFiles> {
    let mut files = SegmentFiles::new();
    let mut entries = disk.list(&place.dir)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let path = place.dir.join(&entry.name);
        let leftover =
            |what: &str| Finding::new(Severity::Note, &path, Code::Leftover, what.to_owned());
        if entry.is_dir {
            let problem = "a directory inside a partition's".to_owned();
            findings.push(Finding::new(Severity::Warning, path, Code::UnknownDirectory, problem));
            continue;
        }
        match FileName::parse(&entry.name) {
            Err(error) => {
                let problem = format!("{error}: no broker opens the log");
                findings.push(Finding::new(Severity::Damage, path, Code::FileName, problem));
            }
            Ok(FileName::Segment { base_offset, kind }) => {
                if segment_file_name(base_offset, kind) == entry.name {
                    files.entry(base_offset).or_default().push(kind);
                } else {
                    let problem = format!(
                        "an offset in 20 digits is expected, as in {}",
                        segment_file_name(base_offset, kind)
                    );
                    findings.push(Finding::new(Severity::Damage, path, Code::FileName, problem));
                }
            }
            Ok(FileName::Deleted) => findings.push(leftover("was to be removed")),
            Ok(FileName::Cleaned { .. }) => {
                findings.push(leftover("unfinished output of a compaction"));
            }
            Ok(FileName::Swap { .. }) => {
                findings.push(leftover("output of a compaction, about to be put in place"));
            }
            Ok(FileName::Other) if entry.name.ends_with(".tmp") => {
                findings.push(leftover("a write that did not end"));
            }
            Ok(FileName::Other | FileName::LeaderEpochCheckpoint | FileName::PartitionMetadata) => {
            }
        }
    }
    Ok(files)
}

/// A file or directory that the disk does not give.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Finding {
    Finding::new(Severity::Damage, path, Code::Unreadable, error.to_string())
}
