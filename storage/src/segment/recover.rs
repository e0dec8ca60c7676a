//! Making a segment good again after an unclean stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_protocol::record::batch::BatchHeader;

use super::check::{BatchChecker, Behind, Checked};
use super::rebuild::NewIndexes;
use super::{BatchAt, Segment};
use crate::disk::{DiskFile, Open};
use crate::error::StorageError;

/// What a recovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Bytes cut off the end.
    pub(crate) truncated_bytes: u64,
    /// The offset behind the last good batch; the base offset without one.
    pub(crate) next_offset: i64,
    /// What stood behind the last good batch, if anything.
    pub(crate) problem: Option<String>,
    /// The offset behind the last batch, as headers tell, of what was cut off.
    pub(crate) lost_to: Option<i64>,
}

/// How far a segment is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    /// Where the last good batch that was looked at ends.
    pub(crate) position: u64,
    /// The offset behind it; the base offset without one.
    pub(crate) next_offset: i64,
    /// What is wrong there, if the check did not get as far as it was to.
    pub(crate) problem: Option<String>,
    /// The first good batch behind what is wrong: its base offset, and where it starts.
    pub(crate) next_good: Option<(i64, u64)>,
    /// Whether without a `next_good` there is none: a search has its bounds.
    pub(crate) is_searched: bool,
}

/// A good batch met by a recovery.
pub(crate) struct RecoveredBatch<'a> {
    pub(crate) batch: &'a BatchAt,
    /// Only good for magic 2.
    pub(crate) header: BatchHeader<'a>,
    /// All of a control batch.
    pub(crate) control: Option<&'a [u8]>,
}

/// How to recover a segment.
pub(crate) struct RecoverSegment<'a> {
    /// `segment.index.bytes`.
    pub(crate) index_bytes: u32,
    /// `index.interval.bytes`.
    pub(crate) index_interval_bytes: u32,
    /// Batches that end at this byte or before were summed already.
    pub(crate) summed_to: u64,
    /// Told how many bytes more were checked.
    pub(crate) on_bytes: &'a dyn Fn(u64),
}

impl Sound {
    /// Whether what ends here is more than an append that a crash has torn: records below
    /// `durable_to` were durable, or something stands behind, in this segment or, by
    /// `is_followed`, in a later one. Something may stand where the search has given up.
    pub(crate) fn is_more_than_torn(&self, durable_to: i64, is_followed: bool) -> bool {
        self.next_offset < durable_to
            || self.next_good.is_some()
            || !self.is_searched
            || is_followed
    }
}

/// Checks batches up to the one that holds `offset`; on a problem, looks for what is good behind.
pub(crate) fn sound_to(
    checker: &mut BatchChecker<'_>,
    offset: i64,
    on_bytes: &dyn Fn(u64),
) -> Result<Sound, StorageError> {
    let mut problem = None;
    while checker.next_offset() < offset {
        match checker.next()? {
            Checked::Good { .. } => on_bytes(checker.take_bytes_read()),
            Checked::End => break,
            Checked::Bad(why) => {
                problem = Some(why);
                break;
            }
        }
    }
    let (position, next_offset) = (checker.position(), checker.next_offset());
    let behind = match problem {
        Some(_) => checker.find_good()?,
        None => Behind::Nothing,
    };
    let (next_good, is_searched) = match behind {
        Behind::Good(batch) => (Some((batch.base_offset, batch.position)), true),
        Behind::Nothing => (None, true),
        Behind::GaveUp => (None, false),
    };
    Ok(Sound { position, next_offset, problem, next_good, is_searched })
}

impl Segment {
    /// Checks batches up to the one that holds `offset`, and changes nothing.
    pub(crate) fn check_up_to(
        &self,
        offset: i64,
        on_bytes: &dyn Fn(u64),
    ) -> Result<Sound, StorageError> {
        let path = self.path();
        let file = self.disk.open(&path, Open::Read).map_err(StorageError::io("open", &path))?;
        let mut checker = BatchChecker::new(&*file, &path, self.base_offset(), self.size());
        sound_to(&mut checker, offset, on_bytes)
    }

    /// Checks every batch, cuts the file before the first bad one, and builds both indexes anew.
    /// Good batches are shown to `on_batch` in order. The segment is sealed afterwards.
    pub(crate) fn recover(
        self: &Arc<Self>,
        how: &RecoverSegment<'_>,
        on_batch: &mut dyn FnMut(RecoveredBatch<'_>) -> Result<(), StorageError>,
    ) -> Result<Recovered, StorageError> {
        let path = self.path();
        let opened = self.disk.open(&path, Open::ReadWrite);
        let file = opened.map_err(StorageError::io("open", &path))?;
        let length = file.len().map_err(StorageError::io("stat", &path))?;
        self.size.store(0, Ordering::Release);

        let mut indexes = NewIndexes::new(self, how.index_bytes, how.index_interval_bytes);
        let mut checker = BatchChecker::new(&*file, &path, self.base_offset(), length);
        checker.trust(how.summed_to);
        let problem = loop {
            let (batch, header, control) = match checker.next()? {
                Checked::Good { batch, header, control } => (batch, header, control),
                Checked::End => break None,
                Checked::Bad(problem) => break Some(problem),
            };
            on_batch(RecoveredBatch { batch: &batch, header, control })?;
            indexes.add(&batch);
            let bytes = checker.take_bytes_read();
            if bytes > 0 && batch.position >= how.summed_to {
                (how.on_bytes)(bytes);
            }
        };
        let (size, next_offset) = (checker.position(), checker.next_offset());
        let lost_to = if problem.is_some() { headers_end(&*file, size, length) } else { None };
        self.size.store(size, Ordering::Release);
        if size < length {
            file.set_len(size).map_err(StorageError::io("truncate", &path))?;
        } else {
            file.free_ahead();
        }
        indexes.finish()?;
        self.sealed.store(true, Ordering::Release);
        Ok(Recovered { truncated_bytes: length - size, next_offset, problem, lost_to })
    }
}

/// The offset behind the last batch from `position` to `end`, by headers alone, which a batch has
/// that was cut short or whose records are damaged.
fn headers_end(file: &dyn DiskFile, position: u64, end: u64) -> Option<i64> {
    use ottla_protocol::record::batch::{BATCH_HEADER_BYTES, LOG_OVERHEAD_BYTES};
    let mut position = position;
    let mut last = None;
    while position + BATCH_HEADER_BYTES as u64 <= end {
        let mut header = [0; BATCH_HEADER_BYTES];
        file.read_exact_at(&mut header, position).ok()?;
        let view = BatchHeader::new(&header)?;
        let length = usize::try_from(view.batch_length()).unwrap_or(0);
        let fits = view.magic() == 2
            && length >= BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES
            && view.base_offset() >= 0
            && view.last_offset_delta() >= 0
            && last.is_none_or(|last| view.base_offset() >= last);
        if !fits {
            break;
        }
        last = Some(view.last_offset().saturating_add(1));
        position += length as u64 + LOG_OVERHEAD_BYTES as u64;
    }
    last
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::*;
    use crate::disk::Disk;
    use crate::sim::SimDisk;

    fn header(base_offset: i64, length: i32) -> [u8; 61] {
        let mut header = [0; 61];
        header[..8].copy_from_slice(&base_offset.to_be_bytes());
        header[8..12].copy_from_slice(&length.to_be_bytes());
        header[16] = 2;
        header
    }

    #[test]
    fn headers_are_followed_to_the_first_that_is_none() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("f"), Open::Create).unwrap();
        let end_of = |second: [u8; 61]| {
            let bytes = [header(7, 49), second, header(9, 49)].concat();
            file.write_all_at(&[IoSlice::new(&bytes)], 0).unwrap();
            headers_end(&*file, 0, bytes.len() as u64)
        };
        assert_eq!(end_of(header(8, 49)), Some(10));
        // One that is cut short, and one as long as any can be.
        assert_eq!(end_of(header(8, 1000)), Some(9));
        assert_eq!(end_of(header(8, i32::MAX)), Some(9));
        for length in [0, 48, -1, -12, -73, -1000, i32::MIN] {
            assert_eq!(end_of(header(8, length)), Some(8), "{length}");
            assert_eq!(end_of(header(i64::MAX, length)), Some(8), "{length}");
        }
    }
}
