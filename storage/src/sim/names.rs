//! Directories: names as seen, names that are durable, and what lies between.

use std::collections::BTreeMap;

/// Names a file or directory for ever.
pub(super) type InodeId = u64;

/// The names of one directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    /// As everybody sees them.
    pub(super) seen: BTreeMap<String, InodeId>,
    /// As the medium has them.
    pub(super) durable: BTreeMap<String, InodeId>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dir: InodeId,
    pub(super) name: String,
}

/// A change of names that is not durable yet.
#[derive(Clone, Debug)]
pub(super) struct NameOp {
    /// The file or directory.
    pub(super) inode: InodeId,
    /// Where its name goes away.
    pub(super) from: Option<Place>,
    /// Where it appears, over whatever was there.
    pub(super) to: Option<Place>,
}

impl NameOp {
    pub(super) fn touches(&self, dir: InodeId) -> bool {
        [&self.from, &self.to].into_iter().flatten().any(|place| place.dir == dir)
    }
}

/// Splits `pending` into what a sync of `dir` makes durable, in order, and the rest. Older changes
/// of the same files go with it: they are in the same journal.
pub(super) fn take_synced(pending: &mut Vec<NameOp>, dir: InodeId) -> Vec<NameOp> {
    let mut inodes = Vec::new();
    let mut synced = Vec::new();
    let mut rest = Vec::new();
    for op in pending.drain(..).rev() {
        if op.touches(dir) || inodes.contains(&op.inode) {
            inodes.push(op.inode);
            synced.push(op);
        } else {
            rest.push(op);
        }
    }
    rest.reverse();
    *pending = rest;
    synced.reverse();
    synced
}
