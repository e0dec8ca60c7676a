//! What only the metadata log has: snapshots, `bootstrap.checkpoint`, `quorum-state`.
//!
//! What the records in them say is not known here; whoever can replay them does.

use std::io;
use std::path::Path;

use ottla_protocol::record::control::ControlType;
use ottla_protocol::record::set::Batch;

use super::batches::{BatchReader, Step, bytes_of};
use super::partition::{PartitionReport, unreadable};
use super::{Code, Finding, Found, Severity};
use crate::disk::{Disk, DiskFile, Open};
use crate::whole_file;

const BOOTSTRAP_CHECKPOINT: &str = "bootstrap.checkpoint";
const QUORUM_STATE: &str = "quorum-state";
const SNAPSHOT_SUFFIX: &str = ".checkpoint";
/// Behind the name of a snapshot that is not finished.
const PART_SUFFIX: &str = ".part";

/// What a snapshot's name says.
struct SnapshotId {
    end_offset: i64,
    epoch: i32,
}

/// Where the metadata log begins: at the end of the oldest snapshot, which stands for what is below
/// it. No checkpoint says so.
pub(super) fn log_start_offset(disk: &dyn Disk, dir: &Path) -> io::Result<i64> {
    let entries = disk.list(dir)?;
    let ends = entries.iter().filter_map(|entry| Some(snapshot_id(&entry.name)?.end_offset));
    Ok(ends.min().unwrap_or(0))
}

/// Verifies the files beside the metadata log, and the log's report against them.
pub(super) fn verify_metadata_log(disk: &dyn Disk, report: &mut PartitionReport) {
    let is_told = |f: &Finding| f.code == Code::Unreadable && f.path == report.dir;
    if report.findings.iter().any(is_told) {
        return;
    }
    let entries = match disk.list(&report.dir) {
        Ok(entries) => entries,
        Err(error) => {
            report.findings.push(unreadable(&report.dir, &error));
            return;
        }
    };
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    let mut newest = None;
    for name in &names {
        let path = report.dir.join(name);
        if name.ends_with(PART_SUFFIX) {
            let problem = "a snapshot that was not finished".to_owned();
            report.findings.push(Finding::new(Severity::Note, path, Code::Leftover, problem));
            continue;
        }
        let Some(id) = snapshot_id(name) else { continue };
        let problem = match snapshot_problem(disk, &path, Some(id.epoch)) {
            Ok(problem) => problem.or_else(|| against_log(&id, report).map(|text| (None, text))),
            Err(error) => {
                report.findings.push(unreadable(&path, &error));
                continue;
            }
        };
        match problem {
            None => newest = Some(id.end_offset),
            Some((position, problem)) => report.findings.push(damaged(&path, position, problem)),
        }
    }
    let first = report.facts.segment_bases.first().copied().unwrap_or(0);
    if first > newest.unwrap_or(0) {
        let problem = match newest {
            Some(newest) => format!("begins at {first}, the newest snapshot ends at {newest}"),
            None => format!("begins at {first}, and no snapshot holds what is before"),
        };
        let finding = Finding::new(Severity::Damage, &report.dir, Code::MetadataSnapshot, problem);
        report.findings.push(finding);
    }
    quorum_state(disk, report);
}

/// Verifies the records that a new cluster begins with, if they are there.
pub(super) fn verify_bootstrap(disk: &dyn Disk, dir: &Path, findings: &mut Vec<Finding>) {
    let path = dir.join(BOOTSTRAP_CHECKPOINT);
    if disk.exists(&path).is_ok_and(|exists| !exists) {
        return;
    }
    match snapshot_problem(disk, &path, None) {
        Ok(None) => {}
        Ok(Some((position, problem))) => findings.push(damaged(&path, position, problem)),
        Err(error) => findings.push(unreadable(&path, &error)),
    }
}

fn damaged(path: &Path, position: Option<u64>, problem: String) -> Finding {
    let mut finding = Finding::new(Severity::Damage, path, Code::MetadataSnapshot, problem);
    finding.position = position;
    finding
}

/// The name is `{end offset, 20 digits}-{epoch, 10 digits}.checkpoint`.
fn snapshot_id(name: &str) -> Option<SnapshotId> {
    let (end_offset, epoch) = name.strip_suffix(SNAPSHOT_SUFFIX)?.split_once('-')?;
    let are_digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !are_digits(end_offset, 20) || !are_digits(epoch, 10) {
        return None;
    }
    Some(SnapshotId { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
}

/// What is wrong with a snapshot's file, and at which byte: batches one behind the other from
/// offset 0, all of one epoch, the first a header, the last a footer.
fn snapshot_problem(
    disk: &dyn Disk,
    path: &Path,
    epoch: Option<i32>,
) -> io::Result<Option<(Option<u64>, String)>> {
    let file = disk.open(path, Open::Read)?;
    let mut reader = BatchReader::new(&*file, file.len()?, None);
    let (mut next, mut last) = (0, None);
    loop {
        match reader.next()? {
            Step::End => break,
            Step::Bad(bad) => return Ok(Some((Some(bad.position), bad.problem))),
            Step::Batch(batch) => {
                let position = Some(batch.position);
                let problem = if batch.base_offset != next {
                    Some(format!("offset {}, {next} expected", batch.base_offset))
                } else if epoch.is_some_and(|epoch| epoch != batch.leader_epoch) {
                    Some(format!("epoch {}, that of the name expected", batch.leader_epoch))
                } else if last.is_none() && first_control(&*file, &batch)? != SNAPSHOT_HEADER {
                    Some("does not begin with a header".to_owned())
                } else {
                    None
                };
                if let Some(problem) = problem {
                    return Ok(Some((position, problem)));
                }
                next = batch.last_offset.saturating_add(1);
                last = Some(last_control(&*file, &batch)?);
            }
        }
    }
    Ok(match last {
        None => Some((None, "is empty".to_owned())),
        Some(SNAPSHOT_FOOTER) => None,
        Some(_) => Some((None, "does not end with a footer".to_owned())),
    })
}

const SNAPSHOT_HEADER: Option<ControlType> = Some(ControlType::SnapshotHeader);
const SNAPSHOT_FOOTER: Option<ControlType> = Some(ControlType::SnapshotFooter);

/// The type of the first record of a control batch.
fn first_control(file: &dyn DiskFile, batch: &Found<'_>) -> io::Result<Option<ControlType>> {
    control(file, batch, |types| types.first().copied())
}

fn last_control(file: &dyn DiskFile, batch: &Found<'_>) -> io::Result<Option<ControlType>> {
    control(file, batch, |types| types.last().copied())
}

fn control(
    file: &dyn DiskFile,
    batch: &Found<'_>,
    pick: impl FnOnce(&[ControlType]) -> Option<ControlType>,
) -> io::Result<Option<ControlType>> {
    if batch.magic < 2 || !batch.view().attributes().is_control() {
        return Ok(None);
    }
    let bytes = bytes_of(file, batch)?;
    let Some(records) = Batch::new(&bytes).and_then(|batch| batch.records().ok()) else {
        return Ok(None);
    };
    let types: Vec<ControlType> =
        records.filter_map(|record| ControlType::from_key(record.ok()?.key).ok()).collect();
    Ok(pick(&types))
}

/// Whether a whole snapshot fits the log beside it.
fn against_log(id: &SnapshotId, report: &PartitionReport) -> Option<String> {
    if !report.facts.is_read {
        return None;
    }
    let end = report.facts.log_end_offset;
    if id.end_offset > end {
        return Some(format!("ends at {}, the log already at {end}", id.end_offset));
    }
    let epochs = report.facts.stored_epochs.as_deref().unwrap_or_default();
    let last = id.end_offset - 1;
    let entry = epochs.iter().rev().find(|entry| entry.start_offset <= last)?;
    (entry.epoch != id.epoch)
        .then(|| format!("epoch {}, by the log {} at offset {last}", id.epoch, entry.epoch))
}

fn quorum_state(disk: &dyn Disk, report: &mut PartitionReport) {
    let path = report.dir.join(QUORUM_STATE);
    let found = |severity, problem| Finding::new(severity, &path, Code::QuorumState, problem);
    let bytes = match whole_file::read(disk, &path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) if report.facts.log_end_offset == 0 => return,
        Ok(None) => {
            report.findings.push(found(Severity::Note, "is missing".to_owned()));
            return;
        }
        Err(error) => {
            report.findings.push(unreadable(&path, &error));
            return;
        }
    };
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let field = |name: &str| json.as_ref().and_then(|json| json.get(name)?.as_i64());
    let newest = report.facts.derived_epochs.iter().flatten().next_back().map(|entry| entry.epoch);
    match (field("leaderEpoch"), field("data_version")) {
        (Some(epoch), Some(0 | 1)) => {
            let newest = newest.map_or(-1, i64::from);
            if epoch < newest {
                let problem = format!("epoch {epoch}, the log is at {newest}");
                report.findings.push(found(Severity::Warning, problem));
            }
        }
        (Some(_), version) => {
            let problem = format!("data_version is {version:?}, 0 or 1 expected");
            report.findings.push(found(Severity::Damage, problem));
        }
        (None, _) => {
            let problem = "is no JSON object with a leaderEpoch".to_owned();
            report.findings.push(found(Severity::Damage, problem));
        }
    }
}
