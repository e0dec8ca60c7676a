//! A file's bytes, sparse and cheap to copy.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Bytes of a block.
pub(super) const BLOCK_BYTES: usize = 4096;

type Block = [u8; BLOCK_BYTES];

/// Bytes in blocks that are shared with copies until they are written. A block that is missing was
/// never allocated and reads as zeros.
#[derive(Clone, Default)]
pub(super) struct Image {
    len: u64,
    blocks: BTreeMap<u64, Arc<Block>>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes in {} blocks)", self.len, self.blocks.len())
    }
}

/// Block number and place within it.
fn split(position: u64) -> (u64, usize) {
    let block_bytes = BLOCK_BYTES as u64;
    (position / block_bytes, (position % block_bytes) as usize)
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn block_count(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(super) fn has_block(&self, position: u64) -> bool {
        self.blocks.contains_key(&split(position).0)
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Reads up to the end; returns how many bytes.
    pub(super) fn read(&self, buf: &mut [u8], position: u64) -> usize {
        let available = self.len.saturating_sub(position).min(buf.len() as u64) as usize;
        let mut done = 0;
        while done < available {
            let (number, start) = split(position + done as u64);
            let count = (BLOCK_BYTES - start).min(available - done);
            let target = &mut buf[done..done + count];
            match self.blocks.get(&number) {
                Some(block) => target.copy_from_slice(&block[start..start + count]),
                None => target.fill(0),
            }
            done += count;
        }
        available
    }

    /// Writes, lengthening when need be.
    pub(super) fn write(&mut self, position: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, start) = split(position + done as u64);
            let count = (BLOCK_BYTES - start).min(bytes.len() - done);
            let block = self.blocks.entry(number).or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
            Arc::make_mut(block)[start..start + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        self.len = self.len.max(position + bytes.len() as u64);
    }

    /// Cuts, or lengthens without blocks.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (number, start) = split(len);
            let first_free = if start == 0 { number } else { number + 1 };
            drop(self.blocks.split_off(&first_free));
            if start != 0
                && let Some(block) = self.blocks.get_mut(&number)
            {
                Arc::make_mut(block)[start..].fill(0);
            }
        }
        self.len = len;
    }

    /// Allocates blocks for a range, lengthening when need be.
    pub(super) fn allocate(&mut self, position: u64, len: u64) {
        let zeros = Arc::new([0; BLOCK_BYTES]);
        for number in block_numbers(position, len) {
            self.blocks.entry(number).or_insert_with(|| Arc::clone(&zeros));
        }
        self.len = self.len.max(position + len);
    }

    /// How many blocks a write of the range would allocate.
    pub(super) fn missing_blocks(&self, position: u64, len: u64) -> u64 {
        let missing = |number: &u64| !self.blocks.contains_key(number);
        block_numbers(position, len).filter(missing).count() as u64
    }
}

fn block_numbers(position: u64, len: u64) -> std::ops::Range<u64> {
    let end = position + len;
    let first = split(position).0;
    if len == 0 { first..first } else { first..end.div_ceil(BLOCK_BYTES as u64) }
}
