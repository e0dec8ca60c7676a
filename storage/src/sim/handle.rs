//! The seam's traits over a simulated disk.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::SimDisk;
use super::fault::{Extent, OpKind, Turn};
use super::image::BLOCK_BYTES;
use super::names::{InodeId, NameOp};
use super::world::{DataOp, FileNode, Inode, World};
use crate::disk::{Disk, DiskFile, DiskLock, DiskMap, Entry, Open, Space};
use crate::mmap::{WORD_BYTES, check_word};

/// What a disk without a limit says that it holds.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// Runs the work of a call that is done whole or not at all.
fn run<T>(
    world: &mut World,
    kind: OpKind,
    path: &Path,
    work: impl FnOnce(&mut World) -> io::Result<T>,
) -> io::Result<T> {
    let turn = world.turn(kind, &path.to_string_lossy(), format_args!(""))?;
    finish(work(world), turn)
}

fn finish<T>(outcome: io::Result<T>, turn: Turn) -> io::Result<T> {
    match turn.error {
        Some(error) => Err(error),
        None => outcome,
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        let found = world.find(path);
        let is_new = matches!(found, Ok(None)) && matches!(how, Open::Create | Open::Truncate);
        let changes = is_new || how == Open::Truncate;
        let kind = if changes { OpKind::CreateFile } else { OpKind::Open };
        let inode = run(&mut world, kind, path, |world| match found? {
            Some(inode) if world.is_dir(inode) => Err(io::ErrorKind::IsADirectory.into()),
            Some(inode) => {
                let now_ms = world.now_ms;
                let file = world.file(inode);
                if how == Open::Truncate && 0 < file.cache.len() {
                    file.change(DataOp::SetLen(0));
                    file.modified_ms = now_ms;
                }
                Ok(inode)
            }
            None if is_new => {
                let place = world.place(path)?;
                let file = FileNode { modified_ms: world.now_ms, ..FileNode::default() };
                Ok(world.create(place, Inode::File(file)))
            }
            None => Err(io::ErrorKind::NotFound.into()),
        })?;
        drop(world);
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.to_string_lossy().into_owned(),
            is_writable: how != Open::Read,
        }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        run(&mut self.world(), OpKind::Look, path, |world| Ok(world.find(path)?.is_some()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        run(&mut self.world(), OpKind::Look, dir, |world| {
            let inode = world.find_dir(dir)?;
            let names = world.dir(inode).seen.clone();
            let entry = |(name, inode)| Entry { name, is_dir: world.is_dir(inode) };
            Ok(names.into_iter().map(entry).collect())
        })
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        run(&mut self.world(), OpKind::CreateDir, dir, |world| {
            let mut above: Vec<&Path> = dir.ancestors().collect();
            above.reverse();
            for dir in above {
                match world.find(dir)? {
                    Some(inode) if world.is_dir(inode) => {}
                    Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                    None => {
                        let place = world.place(dir)?;
                        world.create(place, Inode::Dir(Default::default()));
                    }
                }
            }
            Ok(())
        })
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        run(&mut self.world(), OpKind::RemoveDir, dir, |world| {
            let inode = world.find_dir(dir)?;
            if !world.dir(inode).seen.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            let from = Some(world.place(dir)?);
            world.change_name(NameOp { inode, from, to: None });
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let (from_name, to_name) = (from.to_string_lossy(), to.to_string_lossy());
        let turn = world.turn(OpKind::Rename, &from_name, format_args!(" to {to_name}"))?;
        finish(rename(&mut world, from, to), turn)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let turn = world.turn(OpKind::Unlink, &path.to_string_lossy(), format_args!(""))?;
        if turn.extent == Extent::Nothing {
            return Ok(());
        }
        let unlink = |world: &mut World| {
            let inode = world.find(path)?.ok_or(io::ErrorKind::NotFound)?;
            if world.is_dir(inode) {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let from = Some(world.place(path)?);
            world.change_name(NameOp { inode, from, to: None });
            Ok(())
        };
        finish(unlink(&mut world), turn)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        let name = dir.to_string_lossy();
        let turn = world.turn(OpKind::SyncDir, &name, format_args!(""))?;
        let inode = world.find_dir(dir)?;
        match turn.extent {
            Extent::Whole => world.sync_dir(inode),
            Extent::Nothing => {}
            _ => world.fail_sync_dir(inode),
        }
        finish(Ok(()), turn)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let inode = run(&mut self.world(), OpKind::Lock, path, |world| {
            let inode = match world.find(path)? {
                Some(inode) if world.is_dir(inode) => {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                Some(inode) => inode,
                None => {
                    let place = world.place(path)?;
                    world.create(place, Inode::File(FileNode::default()))
                }
            };
            Ok(world.locked.insert(inode).then_some(inode))
        })?;
        Ok(inode.map(|inode| Box::new(SimLock { disk: self.clone(), inode }) as _))
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        run(&mut self.world(), OpKind::Look, dir, |world| {
            let total_bytes = world.capacity_bytes.unwrap_or(UNLIMITED_BYTES);
            let free_bytes = world.free_blocks().saturating_mul(BLOCK_BYTES as u64);
            Ok(Space { total_bytes, usable_bytes: free_bytes.min(total_bytes) })
        })
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}

fn rename(world: &mut World, from: &Path, to: &Path) -> io::Result<()> {
    let inode = world.find(from)?.ok_or(io::ErrorKind::NotFound)?;
    let place = world.place(to)?;
    match world.find(to)? {
        Some(same) if same == inode => return Ok(()),
        Some(old) if world.is_dir(old) != world.is_dir(inode) => {
            let is_dir = world.is_dir(old);
            let kind =
                if is_dir { io::ErrorKind::IsADirectory } else { io::ErrorKind::NotADirectory };
            return Err(kind.into());
        }
        Some(old) if world.is_dir(old) && !world.dir(old).seen.is_empty() => {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        _ => {}
    }
    let from = Some(world.place(from)?);
    world.change_name(NameOp { inode, from, to: Some(place) });
    Ok(())
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    inode: InodeId,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.world().locked.remove(&self.inode);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: InodeId,
    path: String,
    is_writable: bool,
}

impl SimFile {
    fn look<T>(&self, kind: OpKind, look: impl FnOnce(&mut World) -> T) -> io::Result<T> {
        run(&mut self.disk.world(), kind, Path::new(&self.path), |world| Ok(look(world)))
    }

    /// Announces a change of the file.
    fn turn(
        &self,
        world: &mut World,
        kind: OpKind,
        details: std::fmt::Arguments<'_>,
    ) -> io::Result<Turn> {
        if !self.is_writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        world.turn(kind, &self.path, details)
    }

    fn sync(&self, kind: OpKind) -> io::Result<()> {
        let mut world = self.disk.world();
        let turn = world.turn(kind, &self.path, format_args!(""))?;
        let failure = world.fsync_failure;
        let file = world.file(self.inode);
        match turn.extent {
            Extent::Whole => file.sync(),
            Extent::Nothing => {}
            _ => file.fail_sync(failure),
        }
        finish(Ok(()), turn)
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.look(OpKind::Look, |world| world.file(self.inode).cache.len())
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.look(OpKind::Read, |world| {
            let short = match &mut world.short_reads {
                Some(random) if !buf.is_empty() => 1 + random.below(buf.len()),
                _ => buf.len(),
            };
            world.file(self.inode).cache.read(&mut buf[..short], position)
        })
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut bytes = slices.iter().flat_map(|slice| slice.iter()).copied().collect::<Vec<u8>>();
        let mut world = self.disk.world();
        let end = position + bytes.len() as u64;
        let turn = self.turn(&mut world, OpKind::Write, format_args!(" [{position}, {end})"))?;
        let wanted = match turn.extent {
            Extent::Whole => bytes.len(),
            Extent::Half => bytes.len() / 2,
            Extent::Bytes(count) => count.min(bytes.len()),
            Extent::Fails | Extent::Nothing => 0,
        };
        world.keep_amid(self.inode, position, &bytes);
        let done = world.room(self.inode, position, wanted);
        bytes.truncate(done);
        let now_ms = world.now_ms;
        let file = world.file(self.inode);
        if !bytes.is_empty() {
            file.change(DataOp::Write { position, bytes });
            file.modified_ms = now_ms;
        }
        let outcome = if done == wanted { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) };
        finish(outcome, turn)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        let turn = self.turn(&mut world, OpKind::SetLen, format_args!(" {len}"))?;
        let now_ms = world.now_ms;
        let file = world.file(self.inode);
        file.change(DataOp::SetLen(len));
        file.modified_ms = now_ms;
        finish(Ok(()), turn)
    }

    fn allocate(&self, position: u64, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        let end = position + len;
        let turn = self.turn(&mut world, OpKind::Allocate, format_args!(" [{position}, {end})"))?;
        let free = world.free_blocks();
        let file = world.file(self.inode);
        if file.has_name && free < file.cache.missing_blocks(position, len) {
            return finish(Err(io::ErrorKind::StorageFull.into()), turn);
        }
        file.change(DataOp::Allocate { position, len });
        finish(Ok(()), turn)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(OpKind::Sync)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(OpKind::Sync)
    }

    fn forget_cached(&self) {
        let mut world = self.disk.world();
        if !world.control.is_stopped() {
            world.file(self.inode).forget_cached();
        }
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.look(OpKind::Look, |world| world.file(self.inode).modified_ms)
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        let mut world = self.disk.world();
        let turn = self.turn(&mut world, OpKind::SetModified, format_args!(" {ms}"))?;
        world.file(self.inode).modified_ms = ms;
        finish(Ok(()), turn)
    }

    fn map(&self, len: usize) -> io::Result<Arc<dyn DiskMap>> {
        if !self.is_writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let file_len = self.look(OpKind::Map, |world| world.file(self.inode).cache.len())?;
        if len == 0 || file_len < len as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = Self { path: self.path.clone(), disk: self.disk.clone(), ..*self };
        Ok(Arc::new(SimMap { file, len }))
    }

    fn os_file(&self) -> Option<&Arc<File>> {
        None
    }
}

/// A map reads and writes the same image as the file's other readers, as a shared map does.
#[derive(Debug)]
struct SimMap {
    file: SimFile,
    len: usize,
}

impl DiskMap for SimMap {
    fn len(&self) -> usize {
        self.len
    }

    fn load_u32(&self, position: usize) -> u32 {
        check_word(position, self.len);
        let mut world = self.file.disk.world();
        let mut word = [0; WORD_BYTES];
        let read = world.file(self.file.inode).cache.read(&mut word, position as u64);
        assert!(read == WORD_BYTES, "SIGBUS: {} was cut below {position}", self.file.path);
        u32::from_be_bytes(word)
    }

    fn store_u32(&self, position: usize, value: u32) {
        check_word(position, self.len);
        let mut world = self.file.disk.world();
        if world.control.is_stopped() {
            return;
        }
        let free = world.free_blocks();
        let now_ms = world.now_ms;
        let file = world.file(self.file.inode);
        let position = position as u64;
        let path = &self.file.path;
        let end = position + WORD_BYTES as u64;
        assert!(end <= file.cache.len(), "SIGBUS: {path} was cut below {position}");
        let has_block = file.cache.has_block(position);
        assert!(has_block || 0 < free, "SIGBUS: {path} has no block at {position}, disk is full");
        file.change(DataOp::Write { position, bytes: value.to_be_bytes().to_vec() });
        file.modified_ms = now_ms;
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync(OpKind::Flush)
    }
}
