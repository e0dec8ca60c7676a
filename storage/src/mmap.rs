//! Shared maps of index files: the one file of this crate that holds `unsafe`.
//!
//! A map is a raw pointer that is only ever dereferenced as an [`AtomicU32`] at a checked, aligned
//! place inside it. No `&[u8]` or `&mut [u8]` over the mapped memory is made, so a thread may
//! append while others search without a data race in Rust's sense.
//!
//! What no wrapper can make safe: when the file is cut below the mapped length, or the file system
//! has no block for a page of a sparse file, touching that page raises SIGBUS. The index keeps both
//! away: it has one owner, cuts files only when no map is left, and allocates blocks ahead of the
//! entries ([`crate::disk::DiskFile::allocate`]). SIGBUS ends the process; it never reads wrong
//! memory.

#![expect(unsafe_code, reason = "mapped memory is reached through atomics on a raw pointer")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::disk::DiskMap;

/// Bytes of the words that a map is read and written in.
pub(crate) const WORD_BYTES: usize = size_of::<u32>();

/// EAGAIN is how `mmap` and `madvise` say that a limit of memory is reached: nothing that a disk
/// has done.
fn exhausted(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::OutOfMemory, error),
        _ => error,
    }
}

/// A shared, writable map of the first bytes of a file.
#[derive(Debug)]
pub(crate) struct FileMap {
    map: MmapRaw,
}

impl FileMap {
    /// Maps `[0, len)` of `file`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when `len` is 0 or past the end of the file;
    /// [`io::ErrorKind::OutOfMemory`] when the kernel has no more maps or memory, or none that may
    /// be locked; otherwise what `mmap` says.
    pub(crate) fn new(file: &File, len: usize) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        if len == 0 || file_len < len as u64 {
            let text = format!("cannot map {len} bytes of a file of {file_len}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let map = MmapOptions::new().len(len).map_raw(file).map_err(exhausted)?;
        // A search touches single pages. Read-ahead would make the kernel fill a sparse index with
        // zeros around each of them.
        map.advise(Advice::Random).map_err(exhausted)?;
        assert!(map.as_mut_ptr().addr().is_multiple_of(WORD_BYTES), "maps are page aligned");
        Ok(Self { map })
    }

    fn word(&self, position: usize) -> &AtomicU32 {
        check_word(position, self.map.len());
        // SAFETY: `check_word` has shown that the word lies inside the map, which stays mapped and
        // writable while `self` is borrowed. `map_raw` maps from a page boundary (asserted above)
        // and `position` is a multiple of four, so the pointer is aligned for a u32. Every access
        // of this process to the memory goes through an atomic of the same width made here; the
        // kernel's own reads and writes of the page cache are outside Rust's memory model.
        unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(position).cast()) }
    }
}

/// Panics unless a whole, aligned word lies at `position` of a map of `len` bytes.
pub(crate) fn check_word(position: usize, len: usize) {
    assert!(position.is_multiple_of(WORD_BYTES), "word at {position} is not aligned");
    let end = position.checked_add(WORD_BYTES);
    assert!(end.is_some_and(|end| end <= len), "word at {position} is outside a map of {len}");
}

impl DiskMap for FileMap {
    fn len(&self) -> usize {
        self.map.len()
    }

    fn load_u32(&self, position: usize) -> u32 {
        u32::from_be(self.word(position).load(Ordering::Acquire))
    }

    fn store_u32(&self, position: usize, value: u32) {
        self.word(position).store(value.to_be(), Ordering::Release);
    }

    fn flush(&self) -> io::Result<()> {
        self.map.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn mapped(len: usize) -> (File, FileMap) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len as u64).unwrap();
        let map = FileMap::new(&file, len).unwrap();
        (file, map)
    }

    #[test]
    fn words_are_big_endian_and_shared_with_the_file() {
        let (file, map) = mapped(16);
        map.store_u32(4, 0x0102_0304);
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, [0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.write_all_at(&[9, 8, 7, 6], 12).unwrap();
        assert_eq!(map.load_u32(12), 0x0908_0706);
        map.flush().unwrap();
        assert_eq!(map.len(), 16);
    }

    #[test]
    fn a_limit_of_memory_is_no_failure_of_a_disk() {
        use crate::error::{StorageError, StorageErrorKind};
        use std::path::Path;

        let kind = |code| {
            let error = exhausted(io::Error::from_raw_os_error(code));
            StorageError::io("map", Path::new("x"))(error).kind()
        };
        assert_eq!(kind(nix::libc::EAGAIN), StorageErrorKind::Exhausted);
        assert_eq!(kind(nix::libc::ENOMEM), StorageErrorKind::Exhausted);
        assert_eq!(kind(nix::libc::EIO), StorageErrorKind::Offline);
    }

    #[test]
    fn a_map_outlives_its_file() {
        let (file, map) = mapped(8);
        drop(file);
        map.store_u32(0, 7);
        assert_eq!(map.load_u32(0), 7);
    }

    #[test]
    fn only_whole_aligned_words_inside() {
        let (_file, map) = mapped(10);
        for position in [1, 2, 3, 8, 12, usize::MAX - 3, usize::MAX] {
            let outcome = catch_unwind(AssertUnwindSafe(|| map.load_u32(position)));
            assert!(outcome.is_err(), "position {position}");
        }
        assert_eq!(map.load_u32(4), 0);
    }

    #[test]
    fn nothing_and_too_much_cannot_be_mapped() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8).unwrap();
        for len in [0, 9] {
            let error = FileMap::new(&file, len).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "len {len}");
        }
    }
}
