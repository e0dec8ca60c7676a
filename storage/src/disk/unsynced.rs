//! [`UnsyncedDisk`]: the machine's file systems, without waiting for their media.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile, DiskLock, DiskMap, Entry, Open, RealDisk, Space};

/// [`RealDisk`] on which every sync succeeds at once and does nothing: for data that is thrown
/// away. What was written outlives the process, killed or not, but not the machine's power.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnsyncedDisk;

impl Disk for UnsyncedDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UnsyncedFile(RealDisk.open(path, how)?)))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealDisk.exists(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        RealDisk.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealDisk.unlink(path)
    }

    fn unlink_in_steps(&self, path: &Path) -> io::Result<()> {
        RealDisk.unlink_in_steps(path)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        RealDisk.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        RealDisk.space(dir)
    }
}

#[derive(Debug)]
struct UnsyncedFile(Arc<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buf, position)
    }

    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, position)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.0.write_all_at(slices, position)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, position: u64, len: u64) -> io::Result<()> {
        self.0.allocate(position, len)
    }

    fn allocate_ahead(&self, position: u64, len: u64) {
        self.0.allocate_ahead(position, len);
    }

    fn free_ahead(&self) {
        self.0.free_ahead();
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    // `forget_cached` is left out: what was not synced must not be let go.

    fn modified_ms(&self) -> io::Result<i64> {
        self.0.modified_ms()
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.0.set_modified_ms(ms)
    }

    fn map(&self, len: usize) -> io::Result<Arc<dyn DiskMap>> {
        Ok(Arc::new(UnsyncedMap(self.0.map(len)?)))
    }

    fn advise_sequential(&self) {
        self.0.advise_sequential();
    }

    fn os_file(&self) -> Option<&Arc<File>> {
        self.0.os_file()
    }
}

#[derive(Debug)]
struct UnsyncedMap(Arc<dyn DiskMap>);

impl DiskMap for UnsyncedMap {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn load_u32(&self, position: usize) -> u32 {
        self.0.load_u32(position)
    }

    fn store_u32(&self, position: usize, value: u32) {
        self.0.store_u32(position, value);
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = UnsyncedDisk.open(&path, Open::Create).unwrap();
        file.write_all_at(&[IoSlice::new(b"abcd"), IoSlice::new(b"efgh")], 0).unwrap();
        let map = file.map(8).unwrap();
        map.store_u32(4, 0x7778_797a);
        assert_eq!((map.len(), map.load_u32(0)), (8, 0x6162_6364));
        map.flush().unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        UnsyncedDisk.sync_dir(dir.path()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdwxyz");
        let mut read = [0; 3];
        file.read_exact_at(&mut read, 2).unwrap();
        assert_eq!((&read, file.len().unwrap()), (b"cdw", 8));
        assert!(file.os_file().is_some());
    }
}
