//! Where bytes come from.

use std::io;

use crate::disk::DiskFile;

/// Bytes that can be read at any place: a slice, or an open file.
pub trait Source {
    /// How many there are.
    fn length(&self) -> io::Result<u64>;
    /// Fills `buf` from `position`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn fill_at(&self, buf: &mut [u8], position: u64) -> io::Result<()>;
}

impl Source for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn fill_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let bytes = self.get(start..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Source for dyn DiskFile + '_ {
    fn length(&self) -> io::Result<u64> {
        self.len()
    }

    fn fill_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.read_exact_at(buf, position)
    }
}
