//! The offset index, `.index`: where in the segment the batch that ends with an offset starts.
//!
//! | byte | type | field |
//! |---:|---|---|
//! | 0 | i32 | the batch's last offset less the segment's base offset |
//! | 4 | i32 | the byte in `.log` where that batch starts |
//!
//! Big-endian, no header, no count. Offsets strictly increase.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::mapped::{Ends, MappedIndex, View};
use super::search::{Bound, Shape, search};
use crate::disk::Disk;
use crate::error::StorageError;
use crate::segment::Place;

/// Bytes of an entry.
pub(crate) const OFFSET_ENTRY_BYTES: usize = 8;
const ENTRY_BYTES: u32 = OFFSET_ENTRY_BYTES as u32;

/// See the module.
#[derive(Debug)]
pub(crate) struct OffsetIndex(MappedIndex);

/// One entry, made absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetPosition {
    /// The last offset of a batch.
    pub(crate) offset: i64,
    /// Where in the segment that batch starts, bytes.
    pub(crate) position: u32,
}

impl OffsetIndex {
    /// The index at `place`, not opened yet.
    pub(crate) fn new(disk: Arc<dyn Disk>, place: Place) -> Self {
        Self(MappedIndex::new(disk, place, ENTRY_BYTES))
    }

    /// Its file.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// See [`MappedIndex::make_active`].
    pub(crate) fn make_active(&self, bytes_max: u32, emptied: bool) -> io::Result<()> {
        self.0.make_active(bytes_max, emptied)
    }

    /// Whether no entry fits any more.
    pub(crate) fn is_full(&self) -> bool {
        self.0.entries() >= self.0.entries_max()
    }

    /// See [`MappedIndex::reserve`].
    pub(crate) fn reserve(&self, more: u32) -> io::Result<()> {
        self.0.reserve(more)
    }

    /// See [`MappedIndex::put`].
    pub(crate) fn put(&self, content: &[u8], bytes_max: u32) -> io::Result<()> {
        self.0.put(content, bytes_max)
    }

    /// The bytes of an entry of the index, under the conditions of [`OffsetIndex::append`].
    pub(crate) fn encode(&self, entry: OffsetPosition) -> [u8; OFFSET_ENTRY_BYTES] {
        let mut bytes = [0; OFFSET_ENTRY_BYTES];
        let words = self.words(entry).map(u32::to_be_bytes);
        bytes.copy_from_slice(words.as_flattened());
        bytes
    }

    fn words(&self, entry: OffsetPosition) -> [u32; 2] {
        let relative = entry.offset - self.0.base_offset();
        assert!((0..=i64::from(i32::MAX)).contains(&relative), "offset {} too far", entry.offset);
        [relative as u32, entry.position]
    }

    /// Adds an entry for which space was reserved. The caller has checked that the index is not
    /// full, that `entry.offset` is larger than the last entry's and within the segment's reach.
    pub(crate) fn append(&self, entry: OffsetPosition) {
        self.0.push(&self.words(entry));
    }

    /// The largest entry whose offset is at most `target`: the scan for `target` starts there. With
    /// none, the start of the segment.
    pub(crate) fn lookup(&self, target: i64) -> io::Result<OffsetPosition> {
        self.neighbors(target).map(|(entry, _)| entry)
    }

    /// The entry that [`OffsetIndex::lookup`] finds, and the next one, if there is one.
    pub(crate) fn neighbors(
        &self,
        target: i64,
    ) -> io::Result<(OffsetPosition, Option<OffsetPosition>)> {
        let view = self.0.view()?;
        let relative = target.saturating_sub(self.0.base_offset());
        let slot = search(shape(&view), relative, Bound::Lower, |slot| key(&view, slot, 0));
        let start = OffsetPosition { offset: self.0.base_offset(), position: 0 };
        let next = slot.map_or(0, |slot| slot + 1);
        Ok((
            slot.map_or(start, |slot| self.entry(&view, slot)),
            (next < view.entries).then(|| self.entry(&view, next)),
        ))
    }

    /// The offset of the first entry at or behind byte `position`.
    pub(crate) fn first_at_or_after(&self, position: u64) -> io::Result<Option<i64>> {
        let view = self.0.view()?;
        let target = i64::try_from(position).unwrap_or(i64::MAX);
        let slot = search(shape(&view), target, Bound::Upper, |slot| key(&view, slot, 1));
        Ok(slot.map(|slot| self.entry(&view, slot).offset))
    }

    /// The last entry that points to byte `position` or before it.
    pub(crate) fn at_or_before(&self, position: u64) -> io::Result<Option<OffsetPosition>> {
        let view = self.0.view()?;
        let target = i64::try_from(position).unwrap_or(i64::MAX);
        let slot = search(shape(&view), target, Bound::Lower, |slot| key(&view, slot, 1));
        Ok(slot.map(|slot| self.entry(&view, slot)))
    }

    /// The last entry.
    pub(crate) fn last(&self) -> io::Result<Option<OffsetPosition>> {
        let view = self.0.view()?;
        Ok(view.entries.checked_sub(1).map(|slot| self.entry(&view, slot)))
    }

    /// Drops the entries whose offset is `offset` or larger.
    pub(crate) fn truncate_to(&self, offset: i64) -> io::Result<()> {
        let view = self.0.view()?;
        let relative = offset.saturating_sub(self.0.base_offset());
        let first = search(shape(&view), relative, Bound::Upper, |slot| key(&view, slot, 0));
        let kept = first.unwrap_or(view.entries);
        drop(view);
        self.0.truncate_entries(kept)
    }

    /// See [`MappedIndex::trim`].
    pub(crate) fn trim(&self) -> io::Result<()> {
        self.0.trim()
    }

    /// See [`MappedIndex::flush`].
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.0.flush()
    }

    /// See [`MappedIndex::release`].
    pub(crate) fn release(&self) {
        self.0.release();
    }

    /// See [`MappedIndex::retire`].
    pub(crate) fn retire(&self) {
        self.0.retire();
    }

    /// See [`MappedIndex::file_bytes`].
    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        self.0.file_bytes()
    }

    /// Whether a map is held.
    pub(crate) fn is_mapped(&self) -> bool {
        self.0.is_mapped()
    }

    /// Whether the file can be what was left by an orderly trim beside a `.log` of `log_bytes`:
    /// whole entries, the last of which lies within. A tail of zeros, as a crash leaves it, is not.
    pub(crate) fn is_sane(&self, log_bytes: u64) -> io::Result<bool> {
        let Some(Ends { length, slots }) = self.0.read_ends()? else { return Ok(false) };
        let Some([_, last]) = slots else { return Ok(length == 0) };
        let (relative, position) = (last[0].cast_signed(), last[1]);
        Ok(length % u64::from(ENTRY_BYTES) == 0
            && relative >= 0
            && position > 0
            && u64::from(position) < log_bytes)
    }

    fn entry(&self, view: &View<'_>, slot: u32) -> OffsetPosition {
        let offset = self.0.base_offset() + key(view, slot, 0);
        OffsetPosition { offset, position: view.word(slot, 1) }
    }
}

fn shape(view: &View<'_>) -> Shape {
    Shape { entries: view.entries, entry_bytes: ENTRY_BYTES }
}

/// Both fields are signed on disk; a damaged, negative one must not look huge.
fn key(view: &View<'_>, slot: u32, word: usize) -> i64 {
    i64::from(view.word(slot, word) as i32)
}
