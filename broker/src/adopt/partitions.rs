//! The partitions that lie in the log directories, and what a start would do with each of them.

use std::path::{Path, PathBuf};

use ottla_metadata::image::Image;
use ottla_protocol::uuid::Uuid;
use ottla_storage::checkpoint::{self, REPLICATION_OFFSET_CHECKPOINT};
use ottla_storage::disk::Disk;
use ottla_storage::partition_dir::{DirState, PartitionDir, TopicPartition};
use ottla_storage::partition_metadata;
use ottla_storage::whole_file::WholeFileError;

use super::reason::{NAMES_MAX, Reason};
use crate::config::{Acceptable, DataDirs};
use crate::metadata_log;

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
        for entry in disk.list(log_dir).unwrap_or_default() {
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
