//! Offset and time index of a segment, held against its batches as they go by.
//!
//! Indexes need not be byte for byte what a rebuild would give: how far entries lie apart depends
//! on settings and on restarts. What must hold is that each entry is right, and that a segment's
//! last time index entry is its largest timestamp.
//!
//! Three forms of an offset index entry are right, since each finds the same batches: the last
//! offset of the batch at the position; that of a later batch before the next entry's, as brokers
//! wrote for appends of several batches; and the first offset, as Kafka before 1.1 wrote.

use std::io;

use super::Found;
use crate::disk::DiskFile;

/// Entries are read so many bytes at a time, a multiple of both entry sizes.
const CHUNK_BYTES: usize = 12 * 4096;
const OFFSET_ENTRY_BYTES: usize = 8;
const TIME_ENTRY_BYTES: usize = 12;
/// A stretch of the log without an entry is long when it is so many intervals.
const SPARSE_INTERVALS: u64 = 16;

/// What is wrong with an index, the first thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// From here on it holds zeros, as one that is preallocated and not yet cut.
    Zeros {
        position: u64,
    },
    Wrong {
        position: u64,
        problem: String,
    },
    /// Right, but for this stretch of the log has no entry, bytes.
    Sparse {
        stretch_bytes: u64,
    },
}

/// Reads entries of `N` bytes one after the other.
#[derive(Debug)]
struct Entries<'a, const N: usize> {
    file: &'a dyn DiskFile,
    len: u64,
    position: u64,
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl<'a, const N: usize> Entries<'a, N> {
    fn new(file: &'a dyn DiskFile) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, len, position: 0, chunk: Vec::new(), chunk_start: 0 })
    }

    /// The entry at the position, without going on. `None` behind the last whole one.
    fn peek(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.position + N as u64 > self.len {
            return Ok(None);
        }
        let mut within = (self.position - self.chunk_start) as usize;
        if within + N > self.chunk.len() {
            let wanted = CHUNK_BYTES.min((self.len - self.position) as usize);
            self.chunk.resize(wanted, 0);
            self.file.read_exact_at(&mut self.chunk, self.position)?;
            self.chunk_start = self.position;
            within = 0;
        }
        Ok(self.chunk[within..within + N].try_into().ok())
    }

    fn pass(&mut self) {
        self.position += N as u64;
    }

    fn has_part(&self) -> bool {
        !self.len.is_multiple_of(N as u64)
    }
}

fn int(bytes: &[u8]) -> i64 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[..4]);
    i64::from(i32::from_be_bytes(field))
}

/// See the module.
#[derive(Debug)]
pub(super) struct OffsetIndexCheck<'a> {
    entries: Entries<'a, OFFSET_ENTRY_BYTES>,
    base_offset: i64,
    verdict: Option<Verdict>,
    /// The entry before: offset and position.
    previous: (i64, i64),
    /// An entry whose offset must be the last one of a batch still to come.
    awaited: Option<(u64, i64)>,
    first_style: Option<u64>,
    last_style: bool,
    stretch_bytes: u64,
    largest_batch: u64,
}

impl<'a> OffsetIndexCheck<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, base_offset: i64) -> io::Result<Self> {
        Ok(Self {
            entries: Entries::new(file)?,
            base_offset,
            verdict: None,
            previous: (-1, -1),
            awaited: None,
            first_style: None,
            last_style: false,
            stretch_bytes: 0,
            largest_batch: 0,
        })
    }

    fn wrong(&mut self, position: u64, problem: String) {
        self.verdict.get_or_insert(Verdict::Wrong { position, problem });
    }

    /// The next batch of the segment.
    pub(super) fn see(&mut self, batch: &Found<'_>) -> io::Result<()> {
        self.largest_batch = self.largest_batch.max(batch.size);
        self.settle_awaited(batch.last_offset);
        while self.verdict.is_none() {
            let Some(entry) = self.entries.peek()? else { break };
            let (relative, position) = (int(&entry), int(&entry[4..]));
            if u64::try_from(position).is_ok_and(|position| position > batch.position)
                && relative > self.previous.0
            {
                break;
            }
            self.check(relative, position, batch);
            self.entries.pass();
        }
        let since = batch.end().saturating_sub(self.previous.1.max(0) as u64);
        self.stretch_bytes = self.stretch_bytes.max(since);
        Ok(())
    }

    fn settle_awaited(&mut self, last_offset: i64) {
        if let Some((at, offset)) = self.awaited
            && offset <= last_offset
        {
            self.awaited = None;
            if offset != last_offset {
                self.wrong(at, format!("offset {offset} is no batch's last"));
            }
        }
    }

    fn check(&mut self, relative: i64, position: i64, batch: &Found<'_>) {
        let at = self.entries.position;
        let offset = self.base_offset.wrapping_add(relative);
        if relative == 0 && position == 0 {
            self.verdict = Some(Verdict::Zeros { position: at });
        } else if relative <= self.previous.0 || position <= self.previous.1 {
            let (last, last_position) =
                (self.base_offset.wrapping_add(self.previous.0), self.previous.1);
            self.wrong(
                at,
                format!("offset {offset} at {position} does not follow {last} at {last_position}"),
            );
        } else if position as u64 != batch.position {
            self.wrong(at, format!("offset {offset} at {position}, where no batch begins"));
        } else if let Some((at, offset)) = self.awaited.take() {
            self.wrong(at, format!("offset {offset} is no batch's last"));
        } else if offset == batch.last_offset {
            self.last_style |= batch.last_offset != batch.base_offset;
        } else if offset == batch.base_offset {
            self.first_style.get_or_insert(at);
        } else if offset > batch.last_offset {
            self.awaited = Some((at, offset));
        } else {
            let last = batch.last_offset;
            self.wrong(
                at,
                format!("offset {offset} at {position}, where the batch ends with {last}"),
            );
        }
        self.previous = (relative, position);
    }

    /// After the last batch.
    pub(super) fn finish(mut self, index_interval_bytes: u32) -> io::Result<Verdict> {
        if let Some((at, offset)) = self.awaited.take() {
            self.wrong(at, format!("offset {offset} is no batch's last"));
        }
        if let (Some(at), true) = (self.first_style, self.last_style) {
            self.wrong(at, "the first offset of its batch, others have the last".to_owned());
        }
        if self.verdict.is_none()
            && let Some(entry) = self.entries.peek()?
        {
            let at = self.entries.position;
            let (relative, position) = (int(&entry), int(&entry[4..]));
            self.verdict = Some(if relative == 0 && position == 0 {
                Verdict::Zeros { position: at }
            } else {
                let offset = self.base_offset.wrapping_add(relative);
                let problem = format!("offset {offset} at {position}, behind the last batch");
                Verdict::Wrong { position: at, problem }
            });
        }
        if self.entries.has_part() {
            let (at, len) = (self.entries.position, self.entries.len);
            self.wrong(at, format!("{len} bytes are no whole number of entries"));
        }
        let long = SPARSE_INTERVALS * (u64::from(index_interval_bytes) + self.largest_batch);
        Ok(match self.verdict {
            Some(verdict) => verdict,
            None if self.stretch_bytes > long => {
                Verdict::Sparse { stretch_bytes: self.stretch_bytes }
            }
            None => Verdict::Fine,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct TimeIndexCheck<'a> {
    entries: Entries<'a, TIME_ENTRY_BYTES>,
    base_offset: i64,
    verdict: Option<Verdict>,
    previous: Option<(i64, i64)>,
    /// The last offset of the batch before.
    seen_to: i64,
    /// The largest timestamp so far.
    max_ms: i64,
}

impl<'a> TimeIndexCheck<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, base_offset: i64) -> io::Result<Self> {
        let entries = Entries::new(file)?;
        let (seen_to, max_ms) = (base_offset - 1, -1);
        Ok(Self { entries, base_offset, verdict: None, previous: None, seen_to, max_ms })
    }

    /// The next batch of the segment.
    pub(super) fn see(&mut self, batch: &Found<'_>) -> io::Result<()> {
        while self.verdict.is_none() {
            let Some(entry) = self.entries.peek()? else { break };
            let (timestamp, offset) = self.decode(&entry);
            if offset > batch.last_offset {
                break;
            }
            self.check(timestamp, offset, batch);
            self.entries.pass();
        }
        self.seen_to = batch.last_offset;
        self.max_ms = self.max_ms.max(batch.max_timestamp_ms);
        Ok(())
    }

    fn decode(&self, entry: &[u8; TIME_ENTRY_BYTES]) -> (i64, i64) {
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&entry[..8]);
        (i64::from_be_bytes(timestamp), self.base_offset.wrapping_add(int(&entry[8..])))
    }

    fn check(&mut self, timestamp: i64, offset: i64, batch: &Found<'_>) {
        let at = self.entries.position;
        let fits = offset > self.seen_to
            && timestamp == batch.max_timestamp_ms
            && timestamp > self.max_ms
            && self.previous.is_none_or(|previous| previous < (timestamp, offset));
        if !fits {
            let zeros = timestamp == 0 && offset == self.base_offset;
            self.verdict = Some(if zeros {
                Verdict::Zeros { position: at }
            } else {
                let (max, first) =
                    (self.max_ms.max(batch.max_timestamp_ms), self.seen_to.saturating_add(1));
                let last = batch.last_offset;
                let problem = format!(
                    "timestamp {timestamp} at offset {offset}; the largest up to the batch at \
                     {first} to {last} is {max}"
                );
                Verdict::Wrong { position: at, problem }
            });
        }
        self.previous = Some((timestamp, offset));
    }

    /// After the last batch. An index that was closed in order ends with the largest timestamp.
    pub(super) fn finish(mut self, closed: bool) -> io::Result<Verdict> {
        if let Some(verdict) = self.verdict {
            return Ok(verdict);
        }
        let position = self.entries.position;
        if let Some(entry) = self.entries.peek()? {
            let (timestamp, offset) = self.decode(&entry);
            if timestamp == 0 && offset == self.base_offset {
                return Ok(Verdict::Zeros { position });
            }
            let problem =
                format!("timestamp {timestamp} at offset {offset}, behind the last batch");
            return Ok(Verdict::Wrong { position, problem });
        }
        if self.entries.has_part() {
            let problem = format!("{} bytes are no whole number of entries", self.entries.len);
            return Ok(Verdict::Wrong { position, problem });
        }
        let last = self.previous.map_or(-1, |(timestamp, _)| timestamp);
        if closed && last < self.max_ms {
            let problem = format!("ends with timestamp {last}, the segment's is {}", self.max_ms);
            return Ok(Verdict::Wrong { position, problem });
        }
        Ok(Verdict::Fine)
    }
}
