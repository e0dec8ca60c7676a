//! Directories that are not what they were: the mount point of a disk that is not mounted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_metadata::image::Image;
use ottla_protocol::uuid::Uuid;
use ottla_storage::disk::Disk;
use ottla_storage::meta_properties::{self, MetaProperties};

use super::reason::Reason;
use crate::config::{Acceptable, DataDirs};
use crate::format::is_new;

/// One for each of `log.dirs` without `meta.properties`, where the metadata log has partitions in a
/// directory that is not here. Were it made anew, the partitions would be offline, and what is
/// created meanwhile would lie below the mount point. Kafka does not start either, until the
/// directory is formatted, which says that its disk is lost for good.
///
/// That another directory is there which cannot be read, and may be the one that is sought, is no
/// excuse: nobody can tell.
pub(super) fn not_mounted(
    disk: &dyn Disk,
    dirs: &DataDirs,
    image: &Image,
    identities: &[(PathBuf, MetaProperties)],
) -> Vec<Reason> {
    let mut elsewhere = assigned(image, dirs.node_id);
    for (_, properties) in identities {
        properties.directory_id.and_then(|id| elsewhere.remove(&id));
    }
    if elsewhere.is_empty() {
        return Vec::new();
    }
    let is_empty = |dir: &Path| disk.list(dir).is_ok() && is_new(disk, dir).is_ok();
    let is_bare = |dir: &&PathBuf| {
        disk.exists(dir).is_ok_and(|exists| {
            !exists || is_empty(dir) && matches!(meta_properties::read(disk, dir), Ok(None))
        })
    };
    let partitions: usize = elsewhere.values().sum();
    let ids: Vec<String> = elsewhere.keys().map(ToString::to_string).collect();
    let reason = |dir: &PathBuf| Reason {
        what: format!(
            "the directory has no meta.properties, and the metadata log has {partitions} \
             partitions in directories that are not here, with the directory.id {}",
            ids.join(", ")
        ),
        place: dir.display().to_string(),
        next: "mount the disk that belongs there; if it is lost for good, take the directory out \
               of log.dirs, or start once with a blank one in its place, which is to be accepted"
            .to_owned(),
        accept: Some(Acceptable::LostDirectories),
    };
    dirs.log_dirs.iter().filter(is_bare).map(reason).collect()
}

/// How many partitions of the node lie in each directory.
fn assigned(image: &Image, node_id: i32) -> BTreeMap<Uuid, usize> {
    let mut assigned = BTreeMap::new();
    for topic in image.topics().iter() {
        for (_, partition) in topic.partitions.iter() {
            let at = partition.replicas.iter().position(|replica| *replica == node_id);
            let id = at.and_then(|at| partition.directories.get(at));
            if let Some(id) = id.filter(|id| !is_reserved(id)) {
                *assigned.entry(*id).or_default() += 1;
            }
        }
    }
    assigned
}

/// Ids that stand for no directory.
fn is_reserved(id: &Uuid) -> bool {
    [Uuid::UNASSIGNED_DIR, Uuid::LOST_DIR, Uuid::MIGRATING_DIR].contains(id)
}
