//! The time index, `.timeindex`: the largest timestamp up to an offset.
//!
//! | byte | type | field |
//! |---:|---|---|
//! | 0 | i64 | the largest timestamp in the segment up to and with that offset, ms |
//! | 8 | i32 | the last offset of the batch that has it, less the segment's base offset |
//!
//! Big-endian, no header, no count. Timestamps and offsets strictly increase: any record with a
//! larger timestamp lies behind the offset.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::mapped::{Ends, MappedIndex, View};
use super::search::{Bound, Shape, search};
use crate::disk::Disk;
use crate::error::StorageError;
use crate::segment::Place;

/// Bytes of an entry.
pub(crate) const TIME_ENTRY_BYTES: usize = 12;
const ENTRY_BYTES: u32 = TIME_ENTRY_BYTES as u32;

/// See the module.
#[derive(Debug)]
pub(crate) struct TimeIndex(MappedIndex);

/// One entry, made absolute. No timestamp is -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampOffset {
    /// The largest timestamp so far, ms.
    pub(crate) timestamp_ms: i64,
    /// The last offset of the batch that has it.
    pub(crate) offset: i64,
}

impl TimeIndex {
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

    /// Whether only the slot is left that is kept for the entry at the segment's end.
    pub(crate) fn is_full(&self) -> bool {
        self.0.entries() + 1 >= self.0.entries_max()
    }

    /// See [`MappedIndex::reserve`].
    pub(crate) fn reserve(&self, more: u32) -> io::Result<()> {
        self.0.reserve(more)
    }

    /// Adds an entry if its timestamp is larger than the last one's. Space for it must have been
    /// reserved. A full index takes none.
    pub(crate) fn maybe_append(&self, entry: TimestampOffset) -> io::Result<()> {
        let last = self.last()?;
        if entry.timestamp_ms <= last.timestamp_ms || self.0.entries() >= self.0.entries_max() {
            return Ok(());
        }
        self.0.push(&self.words(entry));
        Ok(())
    }

    /// Adds the last entry of a segment if its timestamp is larger than the last one's. A full
    /// index takes none.
    pub(crate) fn finish(&self, entry: TimestampOffset) -> io::Result<()> {
        if entry.timestamp_ms <= self.last()?.timestamp_ms
            || self.0.push_at_rest(&self.words(entry))?
        {
            return Ok(());
        }
        self.0.reserve(1)?;
        self.maybe_append(entry)
    }

    /// See [`MappedIndex::put`].
    pub(crate) fn put(&self, content: &[u8], bytes_max: u32) -> io::Result<()> {
        self.0.put(content, bytes_max)
    }

    /// The bytes of an entry of the index.
    pub(crate) fn encode(&self, entry: TimestampOffset) -> [u8; TIME_ENTRY_BYTES] {
        let mut bytes = [0; TIME_ENTRY_BYTES];
        let words = self.words(entry).map(u32::to_be_bytes);
        bytes.copy_from_slice(words.as_flattened());
        bytes
    }

    fn words(&self, entry: TimestampOffset) -> [u32; 3] {
        let relative = entry.offset - self.0.base_offset();
        assert!((0..=i64::from(i32::MAX)).contains(&relative), "offset {} too far", entry.offset);
        let timestamp = entry.timestamp_ms as u64;
        [(timestamp >> 32) as u32, timestamp as u32, relative as u32]
    }

    /// The largest entry whose timestamp is at most `timestamp_ms`; with none, -1 and the segment's
    /// base offset.
    pub(crate) fn lookup(&self, timestamp_ms: i64) -> io::Result<TimestampOffset> {
        let view = self.0.view()?;
        let slot = search(shape(&view), timestamp_ms, Bound::Lower, |slot| timestamp(&view, slot));
        Ok(self.entry_or_none(&view, slot))
    }

    /// The last entry; with none, -1 and the segment's base offset.
    pub(crate) fn last(&self) -> io::Result<TimestampOffset> {
        let view = self.0.view()?;
        let slot = view.entries.checked_sub(1);
        Ok(self.entry_or_none(&view, slot))
    }

    /// Drops the entries whose offset is `offset` or larger.
    pub(crate) fn truncate_to(&self, offset: i64) -> io::Result<()> {
        let view = self.0.view()?;
        let target = offset.saturating_sub(self.0.base_offset());
        let first = search(shape(&view), target, Bound::Upper, |slot| relative(&view, slot));
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

    /// See [`MappedIndex::rest`].
    pub(crate) fn rest(&self) {
        self.0.rest();
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

    /// Whether the file can be what was left by an orderly trim: whole entries, the last of which
    /// is not smaller than the first. A tail of zeros, as a crash leaves it, is not; a missing file
    /// is, for logs that are older than time indexes have none.
    pub(crate) fn is_sane(&self) -> io::Result<bool> {
        let Some(Ends { length, slots }) = self.0.read_ends()? else { return Ok(true) };
        let Some([first, last]) = slots else { return Ok(length == 0) };
        let time = |words: &[u32]| timestamp_of(words[0], words[1]);
        let relative = last[2].cast_signed();
        let is_lone = length == u64::from(ENTRY_BYTES);
        Ok(length % u64::from(ENTRY_BYTES) == 0
            && time(&last) >= time(&first)
            && relative >= 0
            // A lone entry of zeros is rather a page that was never written than a log of 1970.
            && (relative > 0 || is_lone && time(&last) != 0))
    }

    fn entry_or_none(&self, view: &View<'_>, slot: Option<u32>) -> TimestampOffset {
        let base_offset = self.0.base_offset();
        match slot {
            Some(slot) => TimestampOffset {
                timestamp_ms: timestamp(view, slot),
                offset: base_offset + relative(view, slot),
            },
            None => TimestampOffset { timestamp_ms: -1, offset: base_offset },
        }
    }
}

fn shape(view: &View<'_>) -> Shape {
    Shape { entries: view.entries, entry_bytes: ENTRY_BYTES }
}

fn timestamp(view: &View<'_>, slot: u32) -> i64 {
    timestamp_of(view.word(slot, 0), view.word(slot, 1))
}

fn timestamp_of(high: u32, low: u32) -> i64 {
    (u64::from(high) << 32 | u64::from(low)).cast_signed()
}

fn relative(view: &View<'_>, slot: u32) -> i64 {
    i64::from(view.word(slot, 2) as i32)
}
