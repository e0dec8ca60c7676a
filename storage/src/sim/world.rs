//! The state of a simulated disk and what each operation does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Component, Path};

use super::SimDisk;
use super::crash::{CrashStyle, crash};
use super::fault::{Control, OpKind, Turn};
use super::image::{BLOCK_BYTES, Image};
use super::names::{Directory, InodeId, NameOp, Place, take_synced};
use super::random::Random;

/// What a failed sync does to the pages that it did not write. Real file systems do all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsyncFailure {
    /// They are called clean: readers see the data, the next sync succeeds, and the medium never
    /// gets them (ext4, xfs).
    #[default]
    CleanAndForget,
    /// They stay dirty; a later sync writes them.
    StayDirty,
    /// The file goes back to what the medium has (btrfs). A directory stays dirty.
    Revert,
}

/// A change of a file that is not durable yet.
#[derive(Clone, Debug)]
pub(super) enum DataOp {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
    Allocate { position: u64, len: u64 },
}

impl DataOp {
    pub(super) fn apply(&self, image: &mut Image) {
        match self {
            Self::Write { position, bytes } => image.write(*position, bytes),
            Self::SetLen(len) => image.set_len(*len),
            Self::Allocate { position, len } => image.allocate(*position, *len),
        }
    }
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    /// As readers see it.
    pub(super) cache: Image,
    /// As the medium has it.
    pub(super) durable: Image,
    pub(super) pending: Vec<DataOp>,
    pub(super) modified_ms: i64,
    /// Without a name it takes no space: open descriptors would hold it, but not for long.
    pub(super) has_name: bool,
}

impl FileNode {
    pub(super) fn change(&mut self, op: DataOp) {
        op.apply(&mut self.cache);
        self.pending.push(op);
    }

    pub(super) fn sync(&mut self) {
        for op in self.pending.drain(..) {
            op.apply(&mut self.durable);
        }
    }

    /// Readers see what is durable or still to be written, and no more.
    pub(super) fn forget_cached(&mut self) {
        self.cache = self.durable.clone();
        for op in &self.pending {
            op.apply(&mut self.cache);
        }
    }

    pub(super) fn fail_sync(&mut self, failure: FsyncFailure) {
        match failure {
            FsyncFailure::CleanAndForget => self.pending.clear(),
            FsyncFailure::StayDirty => {}
            FsyncFailure::Revert => {
                self.pending.clear();
                self.cache = self.durable.clone();
            }
        }
    }
}

/// A file or a directory.
#[derive(Clone, Debug)]
pub(super) enum Inode {
    File(FileNode),
    Dir(Directory),
}

/// The root directory.
pub(super) const ROOT: InodeId = 0;

/// All of a simulated disk.
#[derive(Debug)]
pub(super) struct World {
    pub(super) inodes: BTreeMap<InodeId, Inode>,
    pub(super) names_pending: Vec<NameOp>,
    pub(super) locked: BTreeSet<InodeId>,
    pub(super) control: Control,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) fsync_failure: FsyncFailure,
    pub(super) short_reads: Option<Random>,
    pub(super) now_ms: i64,
    pub(super) next_inode: InodeId,
    /// Images kept before operations, if they are to be kept.
    pub(super) kept: Option<Vec<KeptImage>>,
}

/// A disk as it was while a run went on.
#[derive(Debug)]
pub struct KeptImage {
    /// The number of the operation that came next, or was under way.
    pub op: u64,
    /// Half of the operation, a write, had been done.
    pub is_amid: bool,
    /// A process that is killed then leaves this. [`SimDisk::crash`] of it gives what a loss of
    /// power leaves.
    pub disk: SimDisk,
}

impl Default for World {
    fn default() -> Self {
        Self {
            inodes: BTreeMap::from([(ROOT, Inode::Dir(Directory::default()))]),
            names_pending: Vec::new(),
            locked: BTreeSet::new(),
            control: Control::default(),
            capacity_bytes: None,
            fsync_failure: FsyncFailure::default(),
            short_reads: None,
            now_ms: 0,
            next_inode: ROOT + 1,
            kept: None,
        }
    }
}

/// The names in a path. Whether it begins at the root or not makes no difference.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(names)
}

impl World {
    /// Announces a call; see [`Control::turn`].
    pub(super) fn turn(
        &mut self,
        kind: OpKind,
        path: &str,
        details: fmt::Arguments<'_>,
    ) -> io::Result<Turn> {
        if self.kept.is_some() && kind.is_change() && !self.control.is_stopped() {
            self.keep(false);
        }
        self.control.turn(kind, path, details)
    }

    fn image(&self) -> Self {
        crash(self, 0, CrashStyle::ProcessKill)
    }

    /// Keeps an image as things are now.
    pub(super) fn keep(&mut self, is_amid: bool) {
        let image = self.image();
        self.keep_image(is_amid, image);
    }

    fn keep_image(&mut self, is_amid: bool, image: Self) {
        let op = self.control.ops() - u64::from(is_amid);
        if let Some(kept) = &mut self.kept {
            kept.push(KeptImage { op, is_amid, disk: SimDisk::with(image) });
        }
    }

    /// Keeps an image with half of a write.
    pub(super) fn keep_amid(&mut self, inode: InodeId, position: u64, bytes: &[u8]) {
        if self.kept.is_none() || bytes.len() < 2 {
            return;
        }
        let mut image = self.image();
        let bytes = bytes[..bytes.len() / 2].to_vec();
        image.file(inode).change(DataOp::Write { position, bytes });
        self.keep_image(true, image);
    }

    pub(super) fn file(&mut self, inode: InodeId) -> &mut FileNode {
        match self.inodes.get_mut(&inode) {
            Some(Inode::File(file)) => file,
            other => unreachable!("handles hold files, inode {inode} is {other:?}"),
        }
    }

    pub(super) fn dir(&mut self, inode: InodeId) -> &mut Directory {
        match self.inodes.get_mut(&inode) {
            Some(Inode::Dir(dir)) => dir,
            other => unreachable!("places hold directories, inode {inode} is {other:?}"),
        }
    }

    pub(super) fn is_dir(&self, inode: InodeId) -> bool {
        matches!(self.inodes.get(&inode), Some(Inode::Dir(_)))
    }

    /// What stands at `path`.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<InodeId>> {
        let mut at = ROOT;
        for name in names(path)? {
            let Some(Inode::Dir(dir)) = self.inodes.get(&at) else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            match dir.seen.get(&name) {
                Some(&inode) => at = inode,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    pub(super) fn find_dir(&self, path: &Path) -> io::Result<InodeId> {
        let inode = self.find(path)?.ok_or(io::ErrorKind::NotFound)?;
        if self.is_dir(inode) { Ok(inode) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The place that `path` names, in a directory that exists.
    pub(super) fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.find_dir(&names.iter().collect::<std::path::PathBuf>())?;
        Ok(Place { dir, name })
    }

    pub(super) fn file_at(&self, path: &Path) -> Option<&FileNode> {
        match self.inodes.get(&self.find(path).ok()??) {
            Some(Inode::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn file_at_mut(&mut self, path: &Path) -> Option<&mut FileNode> {
        let inode = self.find(path).ok()??;
        match self.inodes.get_mut(&inode) {
            Some(Inode::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn file_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut dirs = vec![(String::new(), ROOT)];
        while let Some((prefix, inode)) = dirs.pop() {
            let Some(Inode::Dir(dir)) = self.inodes.get(&inode) else { continue };
            for (name, &inode) in &dir.seen {
                let path = format!("{prefix}{name}");
                if self.is_dir(inode) {
                    dirs.push((path + "/", inode));
                } else {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        paths
    }

    /// Adds a node and its name.
    pub(super) fn create(&mut self, to: Place, node: Inode) -> InodeId {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, node);
        self.change_name(NameOp { inode, from: None, to: Some(to) });
        inode
    }

    /// Changes names as everybody sees them, and remembers that it is not durable.
    pub(super) fn change_name(&mut self, op: NameOp) {
        if let Some(from) = &op.from {
            self.dir(from.dir).seen.remove(&from.name);
            self.set_has_name(op.inode, false);
        }
        if let Some(to) = op.to.clone() {
            let replaced = self.dir(to.dir).seen.insert(to.name, op.inode);
            if let Some(replaced) = replaced {
                self.set_has_name(replaced, false);
            }
            self.set_has_name(op.inode, true);
        }
        self.names_pending.push(op);
    }

    fn set_has_name(&mut self, inode: InodeId, has_name: bool) {
        if let Some(Inode::File(file)) = self.inodes.get_mut(&inode) {
            file.has_name = has_name;
        }
    }

    pub(super) fn sync_dir(&mut self, dir: InodeId) {
        let synced = take_synced(&mut self.names_pending, dir);
        for op in &synced {
            self.apply_durably(op);
        }
    }

    pub(super) fn fail_sync_dir(&mut self, dir: InodeId) {
        if self.fsync_failure == FsyncFailure::CleanAndForget {
            take_synced(&mut self.names_pending, dir);
        }
    }

    /// Makes a change of names on the medium.
    pub(super) fn apply_durably(&mut self, op: &NameOp) {
        if let Some(from) = &op.from {
            let durable = &mut self.dir(from.dir).durable;
            if durable.get(&from.name) == Some(&op.inode) {
                durable.remove(&from.name);
            }
        }
        if let Some(to) = &op.to {
            self.dir(to.dir).durable.insert(to.name.clone(), op.inode);
        }
    }

    pub(super) fn free_blocks(&self) -> u64 {
        let Some(capacity_bytes) = self.capacity_bytes else { return u64::MAX };
        let used: u64 = self.inodes.values().map(used_blocks).sum();
        (capacity_bytes / BLOCK_BYTES as u64).saturating_sub(used)
    }

    /// How many of `len` bytes at `position` there is room for.
    pub(super) fn room(&mut self, inode: InodeId, position: u64, len: usize) -> usize {
        let free = self.free_blocks();
        let file = self.file(inode);
        if !file.has_name || file.cache.missing_blocks(position, len as u64) <= free {
            return len;
        }
        // Bytes up to the block that is one too many.
        let fits = |bytes: &u64| file.cache.missing_blocks(position, *bytes) <= free;
        let block_bytes = BLOCK_BYTES as u64;
        let first_end = block_bytes - position % block_bytes;
        let ends = (0..).map(|n| first_end + n * block_bytes).take_while(|end| *end < len as u64);
        ends.take_while(fits).last().unwrap_or(0) as usize
    }
}

fn used_blocks(inode: &Inode) -> u64 {
    match inode {
        Inode::File(file) if file.has_name => file.cache.block_count(),
        _ => 0,
    }
}
