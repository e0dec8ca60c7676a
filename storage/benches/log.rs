//! What the log's choices cost: `cargo bench -p ottla-storage --bench log`. What the log itself
//! costs is in `partition_log.rs`.
//!
//! - Appending by `pwrite` against storing into a map. The map is written in 32-bit words, all that
//!   the seam under the log offers; `map_touched` writes pages that are in the map already and so
//!   shows what the words cost, and the rest of `map_fresh` is page faults.
//! - Sending by `sendfile` against reading into a buffer and writing that.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::io::{IoSlice, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use ottla_storage::disk::{Disk, DiskFile, Open, RealDisk};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Appended to one file before it is begun anew.
const FILE_BYTES: usize = 64 << 20;
/// Batches do not end at page borders.
const SIZES: [usize; 3] = [(4 << 10) + 52, (16 << 10) + 52, (64 << 10) + 52];

fn main() {
    divan::main();
}

/// A file that is cut and begun anew when it is full, outside of what is measured.
struct Fresh {
    _root: TempDir,
    file: Arc<dyn DiskFile>,
    position: usize,
}

impl Fresh {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&root.path().join("f"), Open::Create).unwrap();
        Self { _root: root, file, position: 0 }
    }

    fn next(&mut self, bytes: usize) -> usize {
        if self.position + bytes > FILE_BYTES {
            self.file.set_len(0).unwrap();
            self.position = 0;
        }
        self.position += bytes;
        self.position - bytes
    }
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_pwrite(bencher: Bencher<'_, '_>, size: usize) {
    let mut fresh = Fresh::new();
    let bytes = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let position = fresh.next(size);
        let slices = [IoSlice::new(&bytes[..61]), IoSlice::new(&bytes[61..])];
        fresh.file.write_all_at(&slices, position as u64).unwrap();
    });
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_map_fresh(bencher: Bencher<'_, '_>, size: usize) {
    let mut fresh = Fresh::new();
    fresh.file.set_len(FILE_BYTES as u64).unwrap();
    let mut map = fresh.file.map(FILE_BYTES).unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        if fresh.position + size > FILE_BYTES {
            fresh.position = FILE_BYTES;
            fresh.next(size);
            fresh.file.set_len(FILE_BYTES as u64).unwrap();
            map = fresh.file.map(FILE_BYTES).unwrap();
        }
        let position = fresh.next(size);
        for word in (position..position + size).step_by(4) {
            map.store_u32(word, 7);
        }
    });
}

#[divan::bench(args = SIZES, max_time = 1)]
fn append_map_touched(bencher: Bencher<'_, '_>, size: usize) {
    let fresh = Fresh::new();
    fresh.file.set_len(size as u64).unwrap();
    let map = fresh.file.map(size).unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        for word in (0..size).step_by(4) {
            map.store_u32(word, 7);
        }
    });
}

/// A socket whose other end is read by a thread, and a file in the page cache.
fn sending(size: usize) -> (TempDir, File, UnixStream) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("f");
    std::fs::write(&path, vec![7; size]).unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        while far.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    (root, File::open(path).unwrap(), near)
}

const SENT: [usize; 5] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

#[divan::bench(args = SENT, max_time = 1)]
fn fetch_sendfile(bencher: Bencher<'_, '_>, size: usize) {
    let (_root, file, socket) = sending(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut offset = 0;
        while (offset as usize) < size {
            let left = size - offset as usize;
            nix::sys::sendfile::sendfile(&socket, &file, Some(&mut offset), left).unwrap();
        }
    });
}

#[divan::bench(args = SENT, max_time = 1)]
fn fetch_read_write(bencher: Bencher<'_, '_>, size: usize) {
    use std::os::unix::fs::FileExt;
    let (_root, file, mut socket) = sending(size);
    let mut buffer = vec![0; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        file.read_exact_at(&mut buffer, 0).unwrap();
        socket.write_all(&buffer).unwrap();
    });
}
