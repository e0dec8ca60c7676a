//! What a fetch brought of one partition.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_protocol::messages::fetch::AbortedTransaction;
use ottla_protocol::record::set::{BATCH_LENGTH_MIN, Entries, Entry};

use crate::partition::TopicPartition;

/// An answer's bytes, which all records in it borrow from.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl Frame {
    /// Counts its memory in `held` as long as it is there.
    pub(super) fn new(bytes: Vec<u8>, held: &Arc<AtomicUsize>) -> Self {
        held.fetch_add(bytes.capacity(), Ordering::Relaxed);
        Self { bytes, held: Arc::clone(held) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
    }
}

/// A place in a partition: the next offset, and the leader epoch of the record before; -1 when that
/// is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) offset: i64,
    pub(super) epoch: i32,
}

/// Batches of one partition, none of which was looked into.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) partition: TopicPartition,
    /// That of the partition's position when they were asked for.
    pub(super) generation: u64,
    /// The broker that they are from.
    pub(super) node: i32,
    pub(super) frame: Arc<Frame>,
    /// Where in the frame they are.
    pub(super) range: Range<usize>,
    /// Where they were asked for.
    pub(super) start: At,
    /// The transactions in them that were aborted, by their first offsets.
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Chunk {
    /// The same in memory of its own, so that it does not keep all of an answer.
    pub(super) fn detach(&mut self, held: &Arc<AtomicUsize>) {
        if self.range.len() < self.frame.bytes.len() / 2 {
            let bytes = self.frame.bytes[self.range.clone()].to_vec();
            self.range = 0..bytes.len();
            self.frame = Arc::new(Frame::new(bytes, held));
        }
    }
}

/// Finds where a set of batches ends, by their headers alone. They must go upwards from the offset
/// that was asked for: a broker whose batches do not would be asked for the same ones for ever.
///
/// # Errors
/// What is wrong with them.
pub(super) fn end_of(set: &[u8], start: At) -> Result<At, String> {
    let mut end = start;
    for entry in Entries::new(set) {
        let (base, last, epoch) = match entry.map_err(|error| error.to_string())? {
            Entry::Batch(batch) => {
                let header = batch.header();
                let last = header.base_offset().checked_add(i64::from(header.last_offset_delta()));
                (header.base_offset(), last, header.partition_leader_epoch())
            }
            // A wrapper's offset is that of its last message, so the first is not known here.
            Entry::Legacy { bytes, .. } => {
                let offset = bytes.first_chunk().map(|offset| i64::from_be_bytes(*offset));
                (end.offset, offset, -1)
            }
        };
        let Some(next) = last.filter(|last| *last >= base).and_then(|last| last.checked_add(1))
        else {
            return Err(format!("the batch at offset {base} ends before it begins"));
        };
        // Only the first batch may begin before what was asked for.
        let is_first = end == start;
        if next <= end.offset || (!is_first && base < end.offset) {
            let expected = end.offset;
            return Err(format!("the batch at offset {base} comes where {expected} is due"));
        }
        end = At { offset: next, epoch };
    }
    if end == start && set.len() >= BATCH_LENGTH_MIN as usize {
        return Err("there is no whole batch in the answer".to_owned());
    }
    Ok(end)
}
