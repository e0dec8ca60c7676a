//! Verification of a log directory as a whole.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use ottla_protocol::uuid::Uuid;

use super::checkpoints::Checkpoints;
use super::partition::{self, PartitionReport, unreadable};
use super::producers::{inner_text, is_content};
use super::{Code, Finding, Known, PartitionPlace, Remedy, Severity, VerifyOptions, kraft};
use crate::checkpoint::{
    CLEANER_OFFSET_CHECKPOINT, LOG_START_OFFSET_CHECKPOINT, RECOVERY_POINT_CHECKPOINT,
};
use crate::clean_shutdown::{self, CLEAN_SHUTDOWN_FILE};
use crate::disk::{Disk, Entry, Open};
use crate::file_name::{FileKind, FileName};
use crate::meta_properties::{self, META_PROPERTIES_FILE};
use crate::partition_dir::{DirState, PartitionDir, TopicPartition};
use crate::partition_metadata;

/// Of tiered storage: no partition, and not looked into.
const REMOTE_INDEX_CACHE: &str = "remote-log-index-cache";
/// The topic of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Topics that brokers compact whatever their settings say.
const COMPACTED_TOPICS: [&str; 3] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// What was found in a log directory.
#[derive(Clone, Debug, Default)]
pub struct DirReport {
    /// The directory.
    pub dir: PathBuf,
    /// Whether the broker that had it last was stopped in order.
    pub was_stopped_in_order: bool,
    /// What is wrong with the directory itself and its checkpoints.
    pub findings: Vec<Finding>,
    /// Its partitions, by name.
    pub partitions: Vec<PartitionReport>,
}

impl DirReport {
    /// All findings, those of the directory first.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.partitions.iter().flat_map(|report| &report.findings))
    }

    /// Whether anything is worse than a note.
    pub fn is_wrong(&self) -> bool {
        self.all_findings().any(|finding| finding.severity > Severity::Note)
    }
}

/// Whether `dir` is one partition's directory: by its name and what is in it.
pub(super) fn is_partition_dir(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    if disk.exists(&dir.join(META_PROPERTIES_FILE))? {
        return Ok(false);
    }
    let is_segment_file = |entry: &Entry| {
        !entry.is_dir && matches!(FileName::parse(&entry.name), Ok(FileName::Segment { .. }))
    };
    Ok(disk.list(dir)?.iter().any(is_segment_file))
}

/// Verifies one partition's directory, as if the broker had been stopped in order: nothing tells.
///
/// # Errors
/// When the directory cannot be listed.
pub fn verify_partition_dir(
    disk: &dyn Disk,
    dir: &Path,
    options: &VerifyOptions<'_>,
) -> io::Result<DirReport> {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let topic_partition = PartitionDir::parse(&name).ok().map(|parsed| parsed.topic_partition);
    let compacted = topic_partition.as_ref().is_some_and(is_always_compacted);
    let is_metadata = topic_partition.as_ref().is_some_and(is_metadata_log);
    let place = PartitionPlace {
        dir: dir.to_owned(),
        topic_partition,
        recovered_from: None,
        log_start_offset: 0,
        compacted,
    };
    options.progress.add_total(log_bytes(disk, dir)?);
    let report = partition::verify(disk, &place, options);
    let mut partitions = vec![report];
    if is_metadata {
        kraft::verify_metadata_log(disk, &mut partitions[0]);
    }
    Ok(DirReport {
        dir: dir.to_owned(),
        was_stopped_in_order: true,
        findings: Vec::new(),
        partitions,
    })
}

/// Verifies an entry of `log.dirs`; or one partition's directory, if `dir` is that.
///
/// # Errors
/// When the directory cannot be listed. What else cannot be read is a finding.
pub fn verify_log_dir(
    disk: &dyn Disk,
    dir: &Path,
    options: &VerifyOptions<'_>,
) -> io::Result<DirReport> {
    if is_partition_dir(disk, dir)? {
        return verify_partition_dir(disk, dir, options);
    }
    let mut findings = Vec::new();
    let was_stopped_in_order = is_marked(disk, dir, &mut findings);
    meta_findings(disk, dir, &mut findings);
    kraft::verify_bootstrap(disk, dir, &mut findings);
    let checkpoints = Checkpoints::read(disk, dir, &mut findings);
    let (places, bytes) = places(disk, dir, was_stopped_in_order, &checkpoints, &mut findings)?;
    let places: Vec<_> = places.into_iter().map(|place| ask(disk, place, options)).collect();
    options.progress.add_total(bytes.iter().sum());
    let mut partitions = verify_all(disk, &places, &bytes, options);
    for ((_, topic_findings, topic_id), report) in places.iter().zip(&mut partitions) {
        report.topic_id = *topic_id;
        report.findings.extend(topic_findings.iter().cloned());
        if report.topic_partition.as_ref().is_some_and(is_metadata_log) {
            kraft::verify_metadata_log(disk, report);
        }
    }
    topic_id_findings(&partitions, &mut findings);
    let in_order = was_stopped_in_order;
    findings.extend(checkpoints.findings(dir, &partitions, in_order));
    Ok(DirReport { dir: dir.to_owned(), was_stopped_in_order, findings, partitions })
}

pub(super) fn is_metadata_log(topic_partition: &TopicPartition) -> bool {
    &*topic_partition.topic == METADATA_TOPIC
}

fn is_always_compacted(topic_partition: &TopicPartition) -> bool {
    COMPACTED_TOPICS.contains(&&*topic_partition.topic)
}

/// Whether the directory was left in order. A marker counts whatever is in it, so that one which
/// cannot be read does too.
fn is_marked(disk: &dyn Disk, dir: &Path, findings: &mut Vec<Finding>) -> bool {
    match clean_shutdown::read(disk, dir) {
        Ok(marker) => marker.is_some(),
        Err(error) => {
            findings.push(unreadable(&dir.join(CLEAN_SHUTDOWN_FILE), &error));
            true
        }
    }
}

fn meta_findings(disk: &dyn Disk, dir: &Path, findings: &mut Vec<Finding>) {
    let path = meta_properties::path(dir);
    let found = |severity, problem| Finding::new(severity, &path, Code::MetaProperties, problem);
    match meta_properties::read(disk, dir) {
        Ok(Some(meta)) if meta.directory_id.is_none() => {
            findings.push(found(Severity::Note, "has no directory.id yet".to_owned()));
        }
        Ok(Some(_)) => {}
        Ok(None) => {
            let problem = "is missing: no broker takes the directory for its own".to_owned();
            findings.push(found(Severity::Damage, problem));
        }
        Err(error) => findings.push(found(Severity::Damage, inner_text(&error))),
    }
}

/// The partitions to verify, with the bytes of their logs.
fn places(
    disk: &dyn Disk,
    dir: &Path,
    was_stopped_in_order: bool,
    checkpoints: &Checkpoints,
    findings: &mut Vec<Finding>,
) -> io::Result<(Vec<PartitionPlace>, Vec<u64>)> {
    let mut entries = disk.list(dir)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut places, mut bytes) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = dir.join(&entry.name);
        if !entry.is_dir {
            if entry.name.ends_with(".tmp") {
                let problem = "a write that did not end".to_owned();
                findings.push(Finding::new(Severity::Note, path, Code::Leftover, problem));
            }
            continue;
        }
        if entry.name == REMOTE_INDEX_CACHE {
            continue;
        }
        let Some(parsed) = partition_dir(&path, &entry.name, findings) else { continue };
        let topic_partition = parsed.topic_partition;
        let is_live = parsed.state == DirState::Live;
        let offset = |name| checkpoints.offset(name, &topic_partition).unwrap_or(0);
        let recovery_point = offset(RECOVERY_POINT_CHECKPOINT).max(0);
        let log_start_offset = if is_live { offset(LOG_START_OFFSET_CHECKPOINT) } else { 0 };
        let compacted = is_always_compacted(&topic_partition)
            || checkpoints.offset(CLEANER_OFFSET_CHECKPOINT, &topic_partition).is_some();
        // One that cannot be listed is told of when it is verified.
        bytes.push(log_bytes(disk, &path).unwrap_or(0));
        places.push(PartitionPlace {
            dir: path,
            topic_partition: is_live.then_some(topic_partition),
            recovered_from: (!was_stopped_in_order).then_some(recovery_point),
            log_start_offset,
            compacted,
        });
    }
    Ok((places, bytes))
}

/// Takes a directory's name apart and tells what is remarkable. `None`: it is not to be verified.
fn partition_dir(path: &Path, name: &str, findings: &mut Vec<Finding>) -> Option<PartitionDir> {
    let mut find = |severity, code, problem: String| {
        findings.push(Finding::new(severity, path, code, problem));
    };
    let parsed = match PartitionDir::parse(name) {
        Ok(parsed) => parsed,
        Err(error) => {
            find(
                Severity::Damage,
                Code::UnknownDirectory,
                format!("{error}: no broker starts on the log directory"),
            );
            return None;
        }
    };
    let (severity, what) = match parsed.state {
        DirState::Live if parsed.topic_partition.to_string() != name => {
            let problem = format!("is partition {} too", parsed.topic_partition);
            find(Severity::Damage, Code::DuplicatePartition, problem);
            return Some(parsed);
        }
        DirState::Live => return Some(parsed),
        DirState::Deleted => (Severity::Note, "a deleted partition, to be removed"),
        DirState::Stray => (Severity::Note, "a partition that the cluster does not know here"),
        DirState::Future => (Severity::Note, "a partition on its way from another directory"),
    };
    find(severity, Code::MarkedPartition, what.to_owned());
    (parsed.state != DirState::Deleted).then_some(parsed)
}

/// Bytes of all `.log` files in a partition's directory, but for those that cannot be opened, of
/// which is told when they are verified.
fn log_bytes(disk: &dyn Disk, dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in disk.list(dir)? {
        let is_log = matches!(
            FileName::parse(&entry.name),
            Ok(FileName::Segment { kind: FileKind::Log, .. })
        );
        if is_log && !entry.is_dir {
            let file = disk.open(&dir.join(&entry.name), Open::Read);
            bytes += file.and_then(|file| file.len()).unwrap_or(0);
        }
    }
    Ok(bytes)
}

/// A place with what is wrong about its topic id, and the id.
type Asked = (PartitionPlace, Vec<Finding>, Option<Uuid>);

/// Reads a partition's topic id and asks what the metadata says of it.
fn ask(disk: &dyn Disk, mut place: PartitionPlace, options: &VerifyOptions<'_>) -> Asked {
    let mut findings = Vec::new();
    let Some(topic_partition) = &place.topic_partition else { return (place, findings, None) };
    let path = partition_metadata::path(&place.dir);
    let (topic_id, wrong) = match partition_metadata::read(disk, &place.dir) {
        Ok(Some(id)) => (Some(id), None),
        Ok(None) => {
            let problem = "is missing: a broker would take the partition for a stray".to_owned();
            (None, Some(Finding::new(Severity::Warning, &path, Code::TopicId, problem)))
        }
        Err(error) => {
            let code = if is_content(&error) { Code::TopicId } else { Code::Unreadable };
            (None, Some(Finding::new(Severity::Damage, &path, code, inner_text(&error))))
        }
    };
    let known = if is_metadata_log(topic_partition) {
        Known::NotAsked
    } else {
        (options.known)(topic_partition, topic_id)
    };
    if let Known::Here { compacted } = known {
        place.compacted |= compacted;
    }
    match (known, wrong) {
        (Known::Stray { topic_id: Some(_), .. }, Some(wrong)) if wrong.code == Code::TopicId => {
            findings.push(wrong.mended_by(Remedy::WriteTopicId));
        }
        (Known::Stray { why, .. }, None) => {
            findings.push(Finding::new(Severity::Warning, &place.dir, Code::Stray, why));
        }
        (_, wrong) => findings.extend(wrong),
    }
    (place, findings, topic_id)
}

/// Verifies partitions with several threads, the largest first. The reports are in the order of
/// the places.
fn verify_all(
    disk: &dyn Disk,
    places: &[Asked],
    bytes: &[u64],
    options: &VerifyOptions<'_>,
) -> Vec<PartitionReport> {
    let mut queue: Vec<usize> = (0..places.len()).collect();
    queue.sort_by_key(|&n| bytes[n]);
    let queue = Mutex::new(queue);
    let reports = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(n) = next else { return };
            let report = partition::verify(disk, &places[n].0, options);
            reports.lock().unwrap_or_else(PoisonError::into_inner).insert(n, report);
        }
    };
    thread::scope(|scope| {
        for _ in 1..options.threads.min(places.len()) {
            scope.spawn(work);
        }
        work();
    });
    reports.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// All partitions of a topic have the topic's id.
fn topic_id_findings(partitions: &[PartitionReport], findings: &mut Vec<Finding>) {
    let mut ids: BTreeMap<&str, (Uuid, &TopicPartition)> = BTreeMap::new();
    for report in partitions {
        let (Some(topic_partition), Some(id)) = (&report.topic_partition, report.topic_id) else {
            continue;
        };
        let (first, other) = *ids.entry(&topic_partition.topic).or_insert((id, topic_partition));
        if first != id {
            let path = partition_metadata::path(&report.dir);
            let problem = format!("topic id {id}, that of {other} is {first}");
            findings.push(Finding::new(Severity::Damage, path, Code::TopicId, problem));
        }
    }
}
