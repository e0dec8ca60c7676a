//! Looking up in the log what a producer snapshot does not tell, see [`Recall`].
//!
//! A start may have thousands of logs to open, so it reads little: nothing where no producer lacks
//! a batch that can be there, else headers, from the newest window on, until all are found or a
//! bound is met. It may not fail for it either: what cannot be read is left out.

use std::sync::Arc;

use ottla_protocol::record::batch::BatchHeader;

use super::producers::producer_batch;
use crate::error::StorageError;
use crate::producer_state::{ProducerBatch, ProducerState, Recall};
use crate::segment::{BatchScanner, Segment};

/// The first window, bytes; each is twice as large as the one before. Five batches of the clients'
/// usual 16 KiB take three windows and a read for each.
const WINDOW_BYTES: u64 = 16 << 10;
/// How far back producers are looked up, bytes of log. What was on its way at a stop are at most
/// five requests of a client's `max.request.size`, 1 MiB, for each producer that was busy then.
const LOG_BYTES_MAX: u64 = 32 << 20;
/// How much is read for it, bytes. A batch of more than [`BatchScanner`]'s 4 KiB counts as that, so
/// it is the other bound that is met with all but small batches.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Completes the producers of a state that was made from a snapshot and what lies behind it.
pub(super) fn recall(state: &mut ProducerState, segments: &[Arc<Segment>]) {
    let (mut recall, offset) = (state.recall(), state.map_end_offset());
    if recall.is_done() {
        return;
    }
    let below = segments.partition_point(|segment| segment.base_offset() < offset);
    let mut walk = Walk { recall: &mut recall, offset, read_bytes_left: READ_BYTES_MAX };
    if let Err(error) = walk.run(&segments[..below], segments.get(below)) {
        log::warn!("{error}; a repeated batch may not be recognized");
    }
    state.recalled(recall);
}

/// See the module.
struct Walk<'a> {
    recall: &'a mut Recall,
    /// The end, exclusive, of what is not walked yet.
    offset: i64,
    read_bytes_left: u64,
}

impl Walk<'_> {
    /// Walks `segments` from the last one back; `next` comes behind it.
    fn run(
        &mut self,
        segments: &[Arc<Segment>],
        next: Option<&Arc<Segment>>,
    ) -> Result<(), StorageError> {
        let Some(last) = segments.last() else { return Ok(()) };
        let end = if next.is_some_and(|next| next.base_offset() == self.offset) {
            last.size()
        } else {
            let behind = last.find_batch(self.offset, last.size())?;
            behind.map_or(last.size(), |batch| batch.position)
        };
        self.give_up_far_ones(segments, end)?;
        for segment in segments.iter().rev() {
            if self.recall.is_done() {
                break;
            }
            let was_open = segment.is_open();
            let end = if Arc::ptr_eq(segment, last) { end } else { segment.size() };
            let goes_on = self.walk_segment(segment, end);
            if !was_open {
                segment.release();
            }
            if !goes_on? {
                break;
            }
        }
        Ok(())
    }

    /// Producers that were silent for longer than a client can have something on its way would have
    /// the walk go to its bounds for nothing.
    fn give_up_far_ones(
        &mut self,
        segments: &[Arc<Segment>],
        end: u64,
    ) -> Result<(), StorageError> {
        let mut left = LOG_BYTES_MAX;
        for (n, segment) in segments.iter().enumerate().rev() {
            let size = if n + 1 == segments.len() { end } else { segment.size() };
            if left < size {
                let batch = segment.indexed_at_or_before(size - left)?;
                self.recall.give_up_below(batch.map_or(segment.base_offset(), |at| at.offset));
                break;
            }
            left -= size;
        }
        Ok(())
    }

    /// Walks a segment from `end` back. Returns whether the walk may go on below it.
    fn walk_segment(&mut self, segment: &Arc<Segment>, end: u64) -> Result<bool, StorageError> {
        let (mut end, mut window_bytes) = (end, WINDOW_BYTES);
        while 0 < end && !self.recall.is_done() {
            let wanted = end.saturating_sub(window_bytes);
            let start =
                segment.indexed_at_or_before(wanted)?.map_or(0, |at| u64::from(at.position));
            let Some(window) = self.read_window(segment, start, end)? else { return Ok(false) };
            for batch in window.iter().rev() {
                self.recall.offer(batch);
            }
            (end, window_bytes) = (start, window_bytes * 2);
        }
        Ok(true)
    }

    /// The batches of wanted producers between two bytes, in order. `None` when they are not what a
    /// log has there, which an index that points elsewhere would also show, or too many.
    fn read_window(
        &mut self,
        segment: &Arc<Segment>,
        start: u64,
        end: u64,
    ) -> Result<Option<Vec<ProducerBatch>>, StorageError> {
        let (file, path) = (segment.file()?, segment.path());
        let mut scanner = BatchScanner::new(&*file, &path, start, end);
        let mut batches = Vec::new();
        let mut next_offset = segment.base_offset();
        let mut first_offset = None;
        while let Some(batch) = scanner.next()? {
            let read_bytes = scanner.take_bytes_read();
            let in_order = next_offset <= batch.base_offset
                && batch.base_offset <= batch.last_offset
                && batch.last_offset < self.offset;
            if !in_order || self.read_bytes_left < read_bytes {
                return Ok(None);
            }
            self.read_bytes_left -= read_bytes;
            next_offset = batch.last_offset + 1;
            first_offset = first_offset.or(Some(batch.base_offset));
            if batch.magic == 2 {
                batches.extend(self.wanted(scanner.header()));
            }
        }
        if scanner.position() != end {
            return Ok(None);
        }
        self.offset = first_offset.unwrap_or(self.offset);
        Ok(Some(batches))
    }

    fn wanted(&self, header: BatchHeader<'_>) -> Option<ProducerBatch> {
        // Of a control batch nothing but its epoch counts.
        producer_batch(header, || None).filter(|batch| self.recall.wants(batch.producer_id))
    }
}
