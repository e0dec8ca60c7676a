//! Entries of the offset index and the time index, with what Kafka checks of them at a start.

use std::fmt;
use std::io;

use super::Source;

/// Bytes of an entry of the offset index: relative offset, position.
const OFFSET_ENTRY_BYTES: u64 = 8;
/// Bytes of an entry of the time index: timestamp, relative offset.
const TIME_ENTRY_BYTES: u64 = 12;
/// The end of an index that is searched first, bytes.
const WARM_BYTES: u64 = 8192;

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The last offset of the batch that the entry points at.
    pub offset: i64,
    /// Where in the `.log` that batch begins, bytes. Negative only in a damaged file.
    pub position: i32,
}

/// An entry of a time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    /// The largest timestamp up to the offset, ms.
    pub timestamp: i64,
    /// The last offset of the batch with that timestamp.
    pub offset: i64,
}

/// What makes Kafka build an index anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexDamage {
    /// The last offset is below the segment's base offset.
    LastOffset {
        /// The last entry's offset.
        last: i64,
        /// The segment's base offset.
        base: i64,
    },
    /// The last timestamp is below the first.
    LastTimestamp {
        /// The last entry's timestamp, ms.
        last: i64,
        /// The first entry's timestamp, ms.
        first: i64,
    },
    /// The file's length is no multiple of an entry's.
    Length {
        /// The file's length.
        bytes: u64,
        /// An entry's length.
        entry_bytes: u64,
    },
}

impl fmt::Display for IndexDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastOffset { last, base } => write!(f, "last offset {last}, base offset {base}"),
            Self::LastTimestamp { last, first } => {
                write!(f, "last timestamp {last}, first timestamp {first}")
            }
            Self::Length { bytes, entry_bytes } => {
                write!(f, "{bytes} bytes, no multiple of {entry_bytes}")
            }
        }
    }
}

impl std::error::Error for IndexDamage {}

/// An offset index. Zeros behind its entries, which a crash leaves, count as entries.
pub struct OffsetEntries<'a, S: Source + ?Sized> {
    source: &'a S,
    base_offset: i64,
    bytes: u64,
}

impl<'a, S: Source + ?Sized> OffsetEntries<'a, S> {
    /// The index of the segment that begins at `base_offset`.
    ///
    /// # Errors
    /// What the source says.
    pub fn new(source: &'a S, base_offset: i64) -> io::Result<Self> {
        Ok(Self { source, base_offset, bytes: source.length()? })
    }

    /// How many entries the file has room for.
    pub fn count(&self) -> u64 {
        self.bytes / OFFSET_ENTRY_BYTES
    }

    /// The entry of that number, below [`OffsetEntries::count`].
    ///
    /// # Errors
    /// What the source says.
    pub fn entry(&self, n: u64) -> io::Result<OffsetEntry> {
        let mut bytes = [0; OFFSET_ENTRY_BYTES as usize];
        self.source.fill_at(&mut bytes, n * OFFSET_ENTRY_BYTES)?;
        let [relative, position] = [0, 4]
            .map(|at| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        let offset = self.base_offset.wrapping_add(i64::from(relative));
        Ok(OffsetEntry { offset, position })
    }

    /// The last entry at or below `offset`; the segment's beginning when there is none. Searched
    /// as Kafka does, which matters only where entries are out of order.
    ///
    /// # Errors
    /// What the source says.
    pub fn lookup(&self, offset: i64) -> io::Result<OffsetEntry> {
        let begin = OffsetEntry { offset: self.base_offset, position: 0 };
        let Some(last) = self.count().checked_sub(1) else { return Ok(begin) };
        let warm = last.saturating_sub(WARM_BYTES / OFFSET_ENTRY_BYTES);
        let (mut lo, mut hi) = if self.entry(warm)?.offset < offset {
            (warm, last)
        } else if self.entry(0)?.offset > offset {
            return Ok(begin);
        } else {
            (0, warm)
        };
        while lo < hi {
            let middle = (lo + hi).div_ceil(2);
            let entry = self.entry(middle)?;
            match entry.offset.cmp(&offset) {
                std::cmp::Ordering::Greater => hi = middle - 1,
                std::cmp::Ordering::Less => lo = middle,
                std::cmp::Ordering::Equal => return Ok(entry),
            }
        }
        self.entry(lo)
    }

    /// What Kafka checks before it trusts the index.
    ///
    /// # Errors
    /// What the source says.
    pub fn sanity(&self) -> io::Result<Result<(), IndexDamage>> {
        let base = self.base_offset;
        if let Some(n) = self.count().checked_sub(1) {
            let last = self.entry(n)?.offset;
            if last < base {
                return Ok(Err(IndexDamage::LastOffset { last, base }));
            }
        }
        Ok(whole(self.bytes, OFFSET_ENTRY_BYTES))
    }
}

/// A time index. Zeros behind its entries, which a crash leaves, count as entries.
pub struct TimeEntries<'a, S: Source + ?Sized> {
    source: &'a S,
    base_offset: i64,
    bytes: u64,
}

impl<'a, S: Source + ?Sized> TimeEntries<'a, S> {
    /// The index of the segment that begins at `base_offset`.
    ///
    /// # Errors
    /// What the source says.
    pub fn new(source: &'a S, base_offset: i64) -> io::Result<Self> {
        Ok(Self { source, base_offset, bytes: source.length()? })
    }

    /// How many entries the file has room for.
    pub fn count(&self) -> u64 {
        self.bytes / TIME_ENTRY_BYTES
    }

    /// The entry of that number, below [`TimeEntries::count`].
    ///
    /// # Errors
    /// What the source says.
    pub fn entry(&self, n: u64) -> io::Result<TimeEntry> {
        let mut bytes = [0; TIME_ENTRY_BYTES as usize];
        self.source.fill_at(&mut bytes, n * TIME_ENTRY_BYTES)?;
        let [timestamp @ .., a, b, c, d] = bytes;
        let relative = i32::from_be_bytes([a, b, c, d]);
        let offset = self.base_offset.wrapping_add(i64::from(relative));
        Ok(TimeEntry { timestamp: i64::from_be_bytes(timestamp), offset })
    }

    /// What Kafka checks before it trusts the index.
    ///
    /// # Errors
    /// What the source says.
    pub fn sanity(&self) -> io::Result<Result<(), IndexDamage>> {
        let base = self.base_offset;
        if let Some(n) = self.count().checked_sub(1) {
            let (first, last) = (self.entry(0)?, self.entry(n)?);
            if last.timestamp < first.timestamp {
                let (last, first) = (last.timestamp, first.timestamp);
                return Ok(Err(IndexDamage::LastTimestamp { last, first }));
            }
            if last.offset < base {
                return Ok(Err(IndexDamage::LastOffset { last: last.offset, base }));
            }
        }
        Ok(whole(self.bytes, TIME_ENTRY_BYTES))
    }
}

fn whole(bytes: u64, entry_bytes: u64) -> Result<(), IndexDamage> {
    match bytes % entry_bytes {
        0 => Ok(()),
        _ => Err(IndexDamage::Length { bytes, entry_bytes }),
    }
}
