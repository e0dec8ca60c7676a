//! What the metadata log of a directory says of partitions.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ottla_metadata::image::Image;
use ottla_metadata::replay::{LogError, Replay};
use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::RealDisk;
use ottla_storage::meta_properties;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::verify::{Code, Finding, Known, Severity};
use ottla_storage::whole_file;

const METADATA_DIR: &str = "__cluster_metadata-0";
/// Read at a time; more where a batch is larger.
const CHUNK_BYTES: usize = 1 << 20;

/// See the module.
pub(crate) struct Metadata {
    /// `None` where there is no metadata log, or a part of it cannot be read.
    image: Option<Image>,
    node_id: Option<i32>,
    findings: Vec<Finding>,
}

/// Why a metadata log cannot be replayed.
enum Failure {
    Io,
    Log(PathBuf, LogError),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

impl Metadata {
    /// Whether there is a metadata log in the log directory `dir`.
    pub(super) fn is_in(dir: &Path) -> bool {
        dir.join(METADATA_DIR).is_dir()
    }

    /// Replays the metadata log in the log directory `metadata_dir`, for the log directory `dir`.
    pub(crate) fn read(metadata_dir: &Path, dir: &Path) -> Self {
        let log = metadata_dir.join(METADATA_DIR);
        let meta = meta_properties::read(&RealDisk, dir).ok().flatten();
        let mut metadata =
            Self { image: None, node_id: meta.map(|meta| meta.node_id), findings: Vec::new() };
        if !log.is_dir() {
            return metadata;
        }
        match replay(&log) {
            Ok(image) => metadata.image = Some(image),
            // Files and batches that are damaged are found by who verifies the log.
            Err(Failure::Io | Failure::Log(_, LogError::Decode(_))) => {}
            Err(Failure::Log(path, error)) => metadata.findings.push(Finding::new(
                Severity::Damage,
                path,
                Code::MetadataRecord,
                error.to_string(),
            )),
        }
        metadata
    }

    /// What is wrong with its records.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What it says of a partition in whose directory `topic_id` stands.
    pub(crate) fn known(&self, topic_partition: &TopicPartition, topic_id: Option<Uuid>) -> Known {
        let (Some(image), Some(node_id)) = (&self.image, self.node_id) else {
            return Known::NotAsked;
        };
        let topic = &*topic_partition.topic;
        let stray = |why: &str, topic_id| Known::Stray { why: why.to_owned(), topic_id };
        let Some(found) = image.topics().by_name(topic) else {
            return stray("the metadata log knows no topic of this name", None);
        };
        let Some(partition) = image.topics().partition(topic, topic_partition.partition) else {
            return stray("the metadata log knows no such partition of the topic", None);
        };
        if !partition.replicas.contains(&node_id) {
            return stray("by the metadata log the partition is not on this node", None);
        }
        if topic_id != Some(found.id) {
            let why = format!("by the metadata log the topic's id is {}", found.id);
            return Known::Stray { why, topic_id: Some(found.id) };
        }
        let policy = image.configs().topic(topic).and_then(|entries| entries.get("cleanup.policy"));
        Known::Here { compacted: policy.is_some_and(|policy| policy.contains("compact")) }
    }
}

/// The image at the end of the log: the newest snapshot that can be read, and what follows it.
fn replay(dir: &Path) -> Result<Image, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let snapshots = names.iter().rev().filter_map(|name| {
        let id = SnapshotId::from_file_name(name)?;
        let bytes = whole_file::read(&RealDisk, &dir.join(name)).ok()??;
        snapshot::read(&bytes, id).ok()
    });
    let mut replay = snapshots.into_iter().next().unwrap_or_else(|| Replay::new(Image::empty()));
    for name in names.iter().filter(|name| name.ends_with(".log")) {
        let path = dir.join(name);
        apply(&path, &mut replay)?;
    }
    Ok(replay.into_image())
}

/// Applies the batches of a segment, in pieces.
fn apply(path: &Path, replay: &mut Replay) -> Result<(), Failure> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    loop {
        let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes);
        let at_end = read? == 0;
        let used =
            replay.apply_batches(&bytes).map_err(|error| Failure::Log(path.to_owned(), error))?;
        bytes.drain(..used);
        if at_end {
            return Ok(());
        }
    }
}
