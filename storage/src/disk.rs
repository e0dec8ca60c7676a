//! The one seam between the log and the machine: every file operation of this crate goes through
//! [`Disk`], so that a test can put a simulated disk under the whole log.
//!
//! All methods take `&self`: an implementation is shared by every thread. Errors are plain
//! [`io::Error`]s; [`io::ErrorKind::StorageFull`] is how a full disk is told.

mod real;
mod spare;
mod unsynced;

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
pub use unsynced::UnsyncedDisk;

/// A file system as the log needs it.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens the file at `path`.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Whether a file or directory stands at `path`.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The entries of a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes a directory and the missing ones above it. Not durable before [`Disk::sync_dir`].
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory over `to`, atomically; durable after `sync_dir` of the parent.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name; open descriptors and maps of it stay good.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// The same for a file that nobody needs any more and that may be large: its cached pages are
    /// let go a few at a time, and others may have the processor between.
    fn unlink_in_steps(&self, path: &Path) -> io::Result<()> {
        self.unlink(path)
    }
    /// Makes the directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on `path`, made when missing, that also excludes a JVM's
    /// `FileChannel.tryLock`. `Ok(None)` when another process or another holder has it.
    ///
    /// Who takes the file away for good unlinks it first and drops the lock then; the other way
    /// round it could be the next holder's file that goes.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
    /// The size and the free space of the file system that holds `dir`.
    fn space(&self, dir: &Path) -> io::Result<Space>;
    /// Whether the same work must make the same calls in the same order each time: the log manager
    /// then does everything in the calling thread, and logs in the order of their names.
    fn is_repeatable(&self) -> bool {
        false
    }
}

/// How [`Disk::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to be read only.
    Read,
    /// An existing file, to be read and written.
    ReadWrite,
    /// To be read and written; made empty when missing, kept as it is otherwise.
    Create,
    /// To be read and written; made empty when missing, cut to no bytes otherwise.
    Truncate,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name within its directory. Names that are not UTF-8 are given lossily.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The whole file system, bytes.
    pub total_bytes: u64,
    /// What this process may still write, bytes.
    pub usable_bytes: u64,
}

/// Held until dropped.
pub trait DiskLock: Debug + Send + Sync {}

/// An open file. Reads and writes name their position; there is no cursor.
pub trait DiskFile: Debug + Send + Sync {
    /// The length, bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `buf.len()` bytes at `position`; 0 at the end.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Fills `buf` from `position`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, mut buf: &mut [u8], mut position: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, position)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    buf = &mut buf[n..];
                    position += n as u64;
                }
            }
        }
        Ok(())
    }
    /// Writes all slices, one behind the other, from `position`, in one system call when the kernel
    /// takes them whole. On an error any part of them may have been written.
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts the file, or lengthens it with zeros that no block is allocated for.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Really allocates blocks for `[position, position + len)`, lengthening the file if need be,
    /// so that writing there cannot fail for lack of space.
    fn allocate(&self, position: u64, len: u64) -> io::Result<()>;
    /// A hint that what is appended next goes to `[position, position + len)`, behind the end.
    /// Where it makes appends cheaper, blocks are allocated there; the length stays as it is. That
    /// it cannot be done, as on a full disk, is no error, and then nothing is taken.
    fn allocate_ahead(&self, position: u64, len: u64) {
        _ = (position, len);
    }
    /// Frees what [`DiskFile::allocate_ahead`] has left behind the end, whoever called it and in
    /// whichever process. Length and time of modification stay as they are. [`DiskFile::set_len`]
    /// frees it too.
    fn free_ahead(&self) {}
    /// Makes the bytes and the length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes bytes, length and times durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    /// Lets go of what is cached of the file and called clean, as far as the system does, so that
    /// who opens it next reads what the medium has. For after a failed sync: pages that it could
    /// not write may be called clean, and would be taken for durable by the next process.
    fn forget_cached(&self) {}
    /// When it was last modified, milliseconds since the epoch.
    fn modified_ms(&self) -> io::Result<i64>;
    /// Sets the time of last modification.
    fn set_modified_ms(&self, ms: i64) -> io::Result<()>;
    /// Maps the first `len` bytes, `0 < len <= self.len()`, shared and writable. The map stays good
    /// when the file handle is dropped. Nobody may shrink the file below `len` while it is mapped.
    fn map(&self, len: usize) -> io::Result<Arc<dyn DiskMap>>;
    /// Tells the operating system that the file is about to be read from one end to the other. A
    /// hint only.
    fn advise_sequential(&self) {}
    /// The operating system's file, for `sendfile`; `None` for a simulated one.
    fn os_file(&self) -> Option<&Arc<File>>;
}

/// A shared, writable map of a file's first bytes, read and written in aligned words so that one
/// thread may append while others search.
///
/// Positions must be multiples of four inside the map, or the call panics. Loads are acquire,
/// stores release.
pub trait DiskMap: Debug + Send + Sync {
    /// The mapped length, bytes.
    fn len(&self) -> usize;
    /// Whether it maps nothing; never so for a map from [`DiskFile::map`].
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The big-endian word at `position`.
    fn load_u32(&self, position: usize) -> u32;
    /// Sets the big-endian word at `position`.
    fn store_u32(&self, position: usize, value: u32);
    /// Makes the stores so far durable (`msync`).
    fn flush(&self) -> io::Result<()>;
}
