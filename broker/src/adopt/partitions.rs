//! The partitions that lie in the log directories, and what a start would do with each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use ottla_metadata::image::Image;
use ottla_protocol::uuid::Uuid;
use ottla_storage::checkpoint::{
    self, LOG_START_OFFSET_CHECKPOINT, RECOVERY_POINT_CHECKPOINT, REPLICATION_OFFSET_CHECKPOINT,
};
use ottla_storage::disk::{Disk, Open};
use ottla_storage::file_name::{FileKind, FileName, FileNameError};
use ottla_storage::partition_dir::{DirState, PartitionDir, TopicPartition};
use ottla_storage::partition_metadata;
use ottla_storage::whole_file::WholeFileError;

use super::reason::{NAMES_MAX, Reason};
use crate::config::{Acceptable, DataDirs};
use crate::metadata_log;

/// Bytes at the beginning of a log that are looked at for a record.
const ZEROS_BYTES: usize = 64 << 10;

/// A partition's directory in use: neither deleted, nor set aside, nor a copy in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LivePartition {
    /// By its name.
    pub(super) topic_partition: TopicPartition,
    /// The log directory that it lies in.
    pub(super) log_dir: PathBuf,
    /// Its directory there.
    pub(super) path: PathBuf,
}

/// What a start does with a partition that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It opens its log.
    Opened,
    /// It renames it to `-stray`.
    SetAside,
    /// It takes it offline, for nobody can tell which topic's it is.
    Offline,
    /// It takes its whole log directory offline.
    DirOffline,
}

impl LivePartition {
    /// What a start of node `node_id` with this image does with it.
    pub(super) fn fate(&self, disk: &dyn Disk, image: &Image, node_id: i32) -> Fate {
        match partition_metadata::read(disk, &self.path) {
            Ok(topic_id) if is_known(image, node_id, &self.topic_partition, topic_id) => {
                Fate::Opened
            }
            Ok(_) => Fate::SetAside,
            Err(WholeFileError::Content { .. }) => Fate::Offline,
            Err(_) => Fate::DirOffline,
        }
    }
}

/// Those of all log directories that a start can use, in the order of the configuration.
pub(super) fn live(disk: &dyn Disk, dirs: &DataDirs) -> Vec<LivePartition> {
    let mut live = Vec::new();
    for log_dir in dirs.log_dirs.iter().filter(|dir| is_usable(disk, dir)) {
        let mut entries = disk.list(log_dir).unwrap_or_default();
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for entry in entries {
            let is_metadata = entry.name == metadata_log::DIR_NAME;
            let parsed = PartitionDir::parse(&entry.name);
            if let (true, false, Ok(PartitionDir { topic_partition, state: DirState::Live })) =
                (entry.is_dir, is_metadata, parsed)
            {
                let path = log_dir.join(&entry.name);
                live.push(LivePartition { topic_partition, log_dir: log_dir.clone(), path });
            }
        }
    }
    live
}

/// Whether a start does not take the directory offline before it opens a log.
fn is_usable(disk: &dyn Disk, dir: &Path) -> bool {
    checkpoint::read_offsets(disk, &dir.join(REPLICATION_OFFSET_CHECKPOINT)).is_ok()
}

/// Whether the cluster knows a partition that was found as one of this node's. One that it does not
/// know so is set aside as stray, as by Kafka.
pub(crate) fn is_known(
    image: &Image,
    node_id: i32,
    topic_partition: &TopicPartition,
    topic_id: Option<Uuid>,
) -> bool {
    let Some(topic) = image.topics().by_name(&topic_partition.topic) else { return false };
    let partition = topic.partitions.get(&topic_partition.partition);
    // A topic of the same name may have been deleted and made again meanwhile.
    topic_id == Some(topic.id) && partition.is_some_and(|it| it.replicas.contains(&node_id))
}

/// Partitions beside a metadata log that is not there: the disk that it is on may not be mounted,
/// or it is a Kafka's that kept its metadata in ZooKeeper. Kafka does not start either, since the
/// directory of the metadata log is not formatted, and sets them aside once it is.
pub(super) fn without_metadata(
    disk: &dyn Disk,
    dirs: &DataDirs,
    image: Option<&Image>,
) -> Option<Reason> {
    let mut live = live(disk, dirs);
    let is_told = |topic: &str| image.is_some_and(|image| image.topics().by_name(topic).is_some());
    live.retain(|found| !is_told(&found.topic_partition.topic));
    if live.is_empty() {
        return None;
    }
    let mut places: Vec<String> = live.iter().map(|at| at.log_dir.display().to_string()).collect();
    places.dedup();
    let names = live.iter().take(NAMES_MAX).map(|at| at.topic_partition.to_string());
    let names: Vec<String> = names.collect();
    let more = if NAMES_MAX < live.len() { ", ..." } else { "" };
    Some(Reason {
        what: format!(
            "the metadata log is missing or empty, and {} partitions lie in {}: {}{more}; a start \
             would begin a cluster without topics, and rename each of them to *-stray",
            live.len(),
            places.join(", "),
            names.join(", ")
        ),
        place: dirs.metadata_log_dir.join(metadata_log::DIR_NAME).display().to_string(),
        next: "mount the disk that the metadata log is on, or correct metadata.log.dir or \
               log.dirs; what a Kafka with ZooKeeper wrote is migrated to KRaft by Kafka 3.9 first"
            .to_owned(),
        accept: Some(Acceptable::Strays),
    })
}

/// What a start refuses when it opens the logs, told before it has written: names of files that
/// nobody should have given, and partitions with records in two log directories. Kafka does not
/// start on either.
pub(super) fn not_loadable(disk: &dyn Disk, dirs: &DataDirs, image: &Image) -> Vec<Reason> {
    let live = live(disk, dirs);
    let mut copies: BTreeMap<&TopicPartition, Vec<&LivePartition>> = BTreeMap::new();
    let mut misnamed = Vec::new();
    for found in &live {
        copies.entry(&found.topic_partition).or_default().push(found);
        // What cannot be listed takes its log directory offline.
        let entries = disk.list(&found.path).unwrap_or_default();
        let files = entries.iter().filter(|entry| !entry.is_dir);
        let wrong: Vec<_> = files.filter_map(|file| FileName::parse(&file.name).err()).collect();
        if !wrong.is_empty() {
            misnamed.push((found, wrong));
        }
    }
    copies.retain(|_, copies| 1 < copies.len());
    // Most often there is nothing, and no file of thousands of partitions was opened.
    if misnamed.is_empty() && copies.is_empty() {
        return Vec::new();
    }
    let mut offline = BTreeSet::new();
    for found in &live {
        if found.fate(disk, image, dirs.node_id) == Fate::DirOffline {
            offline.insert(&found.log_dir);
        }
    }
    let fate_of = |found: &LivePartition| match offline.contains(&found.log_dir) {
        true => Fate::DirOffline,
        false => found.fate(disk, image, dirs.node_id),
    };
    let misnamed = misnamed.into_iter().filter(|(found, _)| fate_of(found) == Fate::Opened);
    let mut reasons: Vec<Reason> =
        misnamed.map(|(found, wrong)| not_a_segment(found, &wrong)).collect();
    for (topic_partition, mut copies) in copies {
        copies.retain(|copy| match fate_of(copy) {
            Fate::Opened => !is_unused(disk, copy),
            Fate::Offline => true,
            Fate::SetAside | Fate::DirOffline => false,
        });
        if 1 < copies.len() {
            reasons.push(in_several(topic_partition, &copies));
        }
    }
    reasons
}

fn not_a_segment(found: &LivePartition, wrong: &[FileNameError]) -> Reason {
    let more = match wrong.len() - 1 {
        0 => String::new(),
        more => format!(", nor do {more} more"),
    };
    Reason {
        what: format!("{}{more}", wrong[0]),
        place: found.path.display().to_string(),
        next: "move it elsewhere; Kafka does not start beside it either".to_owned(),
        accept: None,
    }
}

fn in_several(topic_partition: &TopicPartition, copies: &[&LivePartition]) -> Reason {
    let places: Vec<String> = copies.iter().map(|copy| copy.path.display().to_string()).collect();
    Reason {
        what: format!("partition {topic_partition} is in {} log directories", copies.len()),
        place: places.join(", "),
        next: "move all but the right one elsewhere; Kafka does not start on several either"
            .to_owned(),
        accept: None,
    }
}

/// Whether a log never had a record, by which a start sets it aside when there is another of the
/// same partition. What looks otherwise before it is recovered is taken for one that had some.
fn is_unused(disk: &dyn Disk, found: &LivePartition) -> bool {
    let has_begun = |checkpoint: &str| {
        let offsets = checkpoint::read_offsets(disk, &found.log_dir.join(checkpoint));
        offsets.is_ok_and(|offsets| offsets.get(&found.topic_partition).is_some_and(|at| 0 < *at))
    };
    if has_begun(LOG_START_OFFSET_CHECKPOINT) || has_begun(RECOVERY_POINT_CHECKPOINT) {
        return false;
    }
    let entries = disk.list(&found.path).unwrap_or_default();
    entries.iter().filter(|entry| !entry.is_dir).all(|entry| match FileName::parse(&entry.name) {
        Ok(FileName::Segment { base_offset: 0, kind: FileKind::Log }) => {
            begins_with_zeros(disk, &found.path.join(&entry.name)).unwrap_or(false)
        }
        Ok(FileName::Segment { kind: FileKind::Log, .. }) => false,
        Ok(FileName::Swap { kind, .. }) => kind != Some(FileKind::Log),
        _ => true,
    })
}

/// Whether a file is empty, or begins with the zeros of one that was given its room beforehand.
fn begins_with_zeros(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    let file = disk.open(path, Open::Read)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(ZEROS_BYTES);
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}
