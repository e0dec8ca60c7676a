//! Directories that are new: who they are, and what a new cluster begins with.
//!
//! A directory is made as `kafka-storage format` makes it, so that Apache Kafka starts on it too.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_metadata::bootstrap;
use ottla_metadata::controller::Records;
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::Disk;
use ottla_storage::log_dir::LogDir;
use ottla_storage::meta_properties::{self, MetaProperties};
use ottla_storage::whole_file;

use crate::clock::{Clock, Entropy};
use crate::directories::Directory;
use crate::metadata_log;

/// Who the log directories say they are.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The cluster's id.
    pub(crate) cluster_id: String,
    /// The online directories, in the order of the configuration.
    pub(crate) directories: Vec<Directory>,
}

/// Why directories cannot be used by this node.
#[derive(Debug)]
pub(crate) struct FormatError(pub(crate) String);

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FormatError {}

/// Reads who the directories are, and makes those that are new part of the cluster of the others,
/// or of a new cluster if all are.
///
/// # Errors
/// When a directory belongs to another node or cluster, has data but no identity, or its
/// `meta.properties` cannot be read or written.
pub(crate) fn identify(
    disk: &dyn Disk,
    dirs: &[Arc<LogDir>],
    node: Newcomer,
) -> Result<Identity, FormatError> {
    let mut known: Vec<(PathBuf, MetaProperties)> = Vec::new();
    for dir in dirs {
        let path = dir.path();
        let read = meta_properties::read(disk, path).map_err(|error| {
            FormatError(format!("{error}; correct the file, or choose another directory"))
        })?;
        match read {
            Some(properties) => known.push((path.to_owned(), properties)),
            None => is_new(disk, path)?,
        }
    }
    meta_properties::verify(&known, node.node_id).map_err(|conflict| {
        FormatError(format!("{conflict}; correct node.id or log.dirs in the configuration"))
    })?;
    let cluster_id = match known.first() {
        Some((_, properties)) => properties.cluster_id.clone(),
        None => fresh_id(node.entropy).to_string(),
    };
    let mut directories = Vec::new();
    for dir in dirs {
        let path = dir.path();
        let properties = known.iter().find(|(known, _)| known == path);
        let directory_id = properties.and_then(|(_, properties)| properties.directory_id);
        let id = match directory_id {
            Some(directory_id) => directory_id,
            None => identify_new(disk, path, &cluster_id, node)?,
        };
        directories.push(Directory { path: path.to_owned(), id });
    }
    Ok(Identity { cluster_id, directories })
}

/// What a new directory is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    /// `node.id`.
    pub(crate) node_id: i32,
    /// The time, ms.
    pub(crate) now_ms: i64,
    /// Where ids come from.
    pub(crate) entropy: Entropy,
}

fn identify_new(
    disk: &dyn Disk,
    path: &Path,
    cluster_id: &str,
    node: Newcomer,
) -> Result<Uuid, FormatError> {
    let directory_id = fresh_id(node.entropy);
    let properties = MetaProperties {
        cluster_id: cluster_id.to_owned(),
        node_id: node.node_id,
        directory_id: Some(directory_id),
    };
    meta_properties::write(disk, path, &properties, node.now_ms)
        .map_err(|error| FormatError(format!("{}: {error}", path.display())))?;
    Ok(directory_id)
}

/// Refuses a directory in which others lie: partitions, whose broker nobody knows any more, or what
/// a file system puts into its root.
///
/// # Errors
/// There are some, or the directory cannot be read.
pub(crate) fn is_new(disk: &dyn Disk, dir: &Path) -> Result<(), FormatError> {
    let entries =
        disk.list(dir).map_err(|error| FormatError(format!("{}: {error}", dir.display())))?;
    match entries.iter().find(|entry| entry.is_dir) {
        None => Ok(()),
        Some(entry) => Err(FormatError(format!(
            "{} holds the directory {:?} but no {}: it is not formatted, or the file was lost; \
             restore the file, or choose an empty directory",
            dir.display(),
            entry.name,
            meta_properties::META_PROPERTIES_FILE,
        ))),
    }
}

/// A random id. One in 64 is unusable, and then another is drawn.
pub(crate) fn fresh_id(entropy: Entropy) -> Uuid {
    loop {
        if let Some(id) = Uuid::random_v4(entropy.bytes()) {
            return id;
        }
    }
}

/// The records that a new cluster begins with: those of `bootstrap.checkpoint`, which is written
/// when it is missing and there is no metadata log yet either.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn bootstrap_records(
    disk: &dyn Disk,
    dir: &Path,
    clock: Clock,
) -> Result<Records, FormatError> {
    let path = dir.join(bootstrap::FILE_NAME);
    let failed = |error: &dyn fmt::Display| FormatError(format!("{}: {error}", path.display()));
    if let Some(bytes) = whole_file::read(disk, &path).map_err(|error| failed(&error))? {
        return bootstrap::read_checkpoint(&bytes).map_err(|error| failed(&error));
    }
    let records = bootstrap::records();
    let has_log = disk.exists(&dir.join(metadata_log::DIR_NAME)).map_err(|error| failed(&error))?;
    if !has_log {
        let bytes = bootstrap::checkpoint(&records, clock.now_ms());
        whole_file::replace(disk, &path, &bytes).map_err(|error| failed(&error))?;
    }
    Ok(records)
}
