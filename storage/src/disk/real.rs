//! [`RealDisk`]: the seam over the operating system.
//!
//! Linux only: `pwritev`, `fallocate` and open file description locks are used by name. Interrupted
//! and short system calls are continued here, so that nobody above meets them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{
    FallocateFlags, FcntlArg, OFlag, PosixFadviseAdvice, fallocate, fcntl, posix_fadvise,
    posix_fallocate,
};
use nix::libc;
use nix::sys::statfs::{EXT4_SUPER_MAGIC, fstatfs};
use nix::sys::statvfs::statvfs;
use nix::sys::uio::pwritev;

use super::spare::SPARE;
use super::{Disk, DiskFile, DiskLock, DiskMap, Entry, Open, Space};
use crate::mmap::FileMap;

/// Most slices that one `pwritev` takes (Linux's `IOV_MAX`).
const SLICES_MAX: usize = 1024;
/// What a file's count of blocks counts.
const STAT_BLOCK_BYTES: u64 = 512;
/// Cached bytes of a file that is about to go are dropped so many at a time: that takes some 20 us,
/// where unlinking 1 MiB with its pages takes 200 us.
const FORGET_STEP_BYTES: u64 = 256 * 1024;
/// Of what is free, one part in so many may be allocated ahead: the rest of a disk that is nearly
/// full is for what is written.
const AHEAD_SHARE_OF_FREE: u64 = 256;
/// How often a lock file that vanishes between opening and locking is opened anew. Each turn means
/// that another process stopped in between, so a second one is already rare.
const LOCK_ATTEMPTS_MAX: u32 = 16;

/// The machine's file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(how != Open::Read);
        match how {
            Open::Read | Open::ReadWrite => {}
            Open::Create => _ = options.create(true).truncate(false),
            Open::Truncate => _ = options.create(true).truncate(true),
        }
        let file = options.open(path)?;
        // A directory opens for reading and fails only later, with less to say.
        if how == Open::Read && file.metadata()?.is_dir() {
            return Err(Errno::EISDIR.into());
        }
        Ok(Arc::new(RealFile { file: Arc::new(file) }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            // A link to a directory counts as one; one that dangles is a plain name.
            let is_dir = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
            entries.push(Entry { name, is_dir });
        }
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn unlink_in_steps(&self, path: &Path) -> io::Result<()> {
        // A pipe would wait for a writer.
        let flags = OFlag::O_NONBLOCK.bits();
        if let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) {
            forget_in_steps(&file);
        }
        self.unlink(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        SPARE.sync_dir(|| File::open(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        for _ in 0..LOCK_ATTEMPTS_MAX {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            if !lock_whole_file(&file)? {
                return Ok(None);
            }
            // The last holder may have unlinked the file after we opened it: then the lock is on a
            // name that nobody else will find, and worth nothing.
            let held = file.metadata()?;
            match fs::metadata(path) {
                Ok(named) if named.dev() == held.dev() && named.ino() == held.ino() => {
                    return Ok(Some(Box::new(RealLock { _file: file })));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let stat = retrying(|| statvfs(dir))?;
        let fragment_bytes = stat.fragment_size();
        Ok(Space {
            total_bytes: stat.blocks().saturating_mul(fragment_bytes),
            usable_bytes: stat.blocks_available().saturating_mul(fragment_bytes),
        })
    }
}

/// Drops the cached pages of a file that is about to go. The system would do so in the call that
/// unlinks it, and while that runs nobody else gets the processor.
fn forget_in_steps(file: &File) {
    let len = file.metadata().map_or(0, |found| found.len());
    for start in forget_steps(len) {
        let (Ok(start), Ok(step)) = (file_offset(start), file_offset(FORGET_STEP_BYTES)) else {
            return;
        };
        // What it does not drop, as what was not written back yet, the unlinking does.
        _ = posix_fadvise(file, start, step, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        thread::yield_now();
    }
}

/// Where the steps of a file of this length begin; none for one that a single step would do.
fn forget_steps(len: u64) -> impl Iterator<Item = u64> {
    let len = if len > FORGET_STEP_BYTES { len } else { 0 };
    (0..len).step_by(FORGET_STEP_BYTES as usize)
}

/// Holds the lock as long as its descriptor is open: an open file description lock belongs to the
/// description, so that other descriptors of the same file may come and go (a classic `fcntl` lock
/// would be lost when any of them closes).
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl DiskLock for RealLock {}

/// Tries for a write lock from byte 0 to the end, whatever that will be; `false` when it is held.
fn lock_whole_file(file: &File) -> io::Result<bool> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        // Must be 0 for this kind of lock.
        l_pid: 0,
    };
    match retrying(|| fcntl(file, FcntlArg::F_OFD_SETLK(&whole))) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Repeats a system call that a signal interrupted before it did anything.
fn retrying<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
    }
}

/// A position or length as the kernel's signed type.
fn file_offset(bytes: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(bytes).map_err(|_| Errno::EFBIG.into())
}

#[derive(Debug)]
struct RealFile {
    file: Arc<File>,
}

impl RealFile {
    fn write_few_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        if let [only] = slices {
            return self.file.write_all_at(only, position);
        }
        let offset = file_offset(position)?;
        let written = retrying(|| pwritev(&*self.file, slices, offset))?;
        // A short write is rare (a signal, a nearly full disk): finish slice by slice rather than
        // build a new list of slices.
        for (start, bytes) in unwritten(slices, written) {
            self.file.write_all_at(bytes, position + start as u64)?;
        }
        Ok(())
    }
}

/// What is left of `slices` when their first `written` bytes are done, each part with its place
/// behind the first byte of all.
fn unwritten<'a>(
    slices: &'a [IoSlice<'_>],
    written: usize,
) -> impl Iterator<Item = (usize, &'a [u8])> {
    let mut start = 0;
    slices.iter().filter_map(move |slice| {
        let skipped = written.saturating_sub(start).min(slice.len());
        let part = (start + skipped, &slice[skipped..]);
        start += slice.len();
        (!part.1.is_empty()).then_some(part)
    })
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buf, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut position = position;
        for few in slices.chunks(SLICES_MAX) {
            self.write_few_at(few, position)?;
            position += few.iter().map(|slice| slice.len() as u64).sum::<u64>();
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, position: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let (position, len) = (file_offset(position)?, file_offset(len)?);
        let flags = FallocateFlags::empty();
        match retrying(|| fallocate(&*self.file, flags, position, len)) {
            // The C library writes into each block instead, which allocates it just as well.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                retrying(|| posix_fallocate(&*self.file, position, len))
            }
            outcome => outcome,
        }
    }

    fn allocate_ahead(&self, position: u64, len: u64) {
        let Ok(found) = fstatfs(&*self.file) else { return };
        let free_bytes = found.blocks_available().saturating_mul(found.block_size() as u64);
        // Ext4 reserves space page by page for what has no blocks yet. Others have nothing to gain
        // from this, or to lose: XFS allocates ahead by itself, btrfs does not compress what goes
        // into blocks that were allocated before.
        if found.filesystem_type() != EXT4_SUPER_MAGIC || free_bytes / AHEAD_SHARE_OF_FREE < len {
            return;
        }
        let (Ok(position), Ok(len)) = (file_offset(position), file_offset(len)) else { return };
        let flags = FallocateFlags::FALLOC_FL_KEEP_SIZE;
        if fallocate(&*self.file, flags, position, len).is_err() {
            // Of a full disk the write itself is to tell, and it may need what this has got.
            self.free_ahead();
        }
    }

    fn free_ahead(&self) {
        let Ok(found) = self.file.metadata() else { return };
        let len = found.len();
        // Blocks that list a file's blocks are counted too: there may be nothing to free.
        if found.blocks() * STAT_BLOCK_BYTES <= len.next_multiple_of(found.blksize().max(1)) {
            return;
        }
        // Cutting a file to the length that it has frees what is behind, and marks it modified.
        if self.file.set_len(len).is_ok()
            && let Ok(modified) = found.modified()
        {
            _ = self.file.set_modified(modified);
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget_cached(&self) {
        // The sync has failed already: there is nothing to do about a second failure.
        _ = posix_fadvise(&*self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let modified = self.file.metadata()?.modified()?;
        let ms = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()),
            Err(before) => i64::try_from(before.duration().as_millis()).map(|ms| -ms),
        };
        ms.map_err(|_| io::Error::other("file time is out of range"))
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        let distance = Duration::from_millis(ms.unsigned_abs());
        let time = if ms < 0 {
            SystemTime::checked_sub(&UNIX_EPOCH, distance)
        } else {
            SystemTime::checked_add(&UNIX_EPOCH, distance)
        };
        let time = time.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.file.set_modified(time)
    }

    fn map(&self, len: usize) -> io::Result<Arc<dyn DiskMap>> {
        Ok(Arc::new(FileMap::new(&self.file, len)?))
    }

    fn advise_sequential(&self) {
        use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
        // Twice the readahead, where there is any; what does not help does no harm.
        let advice = PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL;
        let _no_matter = posix_fadvise(&*self.file, 0, 0, advice);
    }

    fn os_file(&self) -> Option<&Arc<File>> {
        Some(&self.file)
    }
}

#[cfg(test)]
mod tests;
