//! Directories that are no partitions of the broker's any more, and that are left to the operator.

use std::path::Path;

use crate::disk::Disk;
use crate::error::StorageError;
use crate::partition_dir::{DirState, TopicPartition, dir_name};
use crate::whole_file::parent;

/// Renames a partition's directory to a stray, and says why.
pub(super) fn set_aside(
    disk: &dyn Disk,
    topic_partition: &TopicPartition,
    from: &Path,
    why: &str,
) -> Result<(), StorageError> {
    // Unlike that of a deletion, the name need not be unique in time: only one stray of a partition
    // can be made by one load of a log directory, and an older one has taken its number.
    let root = parent(from);
    let mut unique = 0;
    let to = loop {
        let to = root.join(dir_name(topic_partition, DirState::Stray, unique));
        if !disk.exists(&to).map_err(StorageError::io("look for", &to))? {
            break to;
        }
        unique += 1;
    };
    log::warn!("{}: {why}; set aside as {}", from.display(), to.display());
    disk.rename(from, &to).map_err(StorageError::io("rename", from))?;
    disk.sync_dir(root).map_err(StorageError::sync(root))
}
