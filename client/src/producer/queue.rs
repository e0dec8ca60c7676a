//! The batches of a partition that are not sent yet: records go in at one end, on the threads of
//! those who send them, and batches come out at the other, on the client's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_protocol::record::batch::BATCH_HEADER_BYTES;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, BuildError, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};

use super::delivery::{BatchDelivery, Callback, Delivery};
use super::memory::Room;
use super::ratio::Ratio;
use crate::error::{Error, ErrorKind};

/// Length, attributes, deltas, lengths of key and value and the number of headers of a record, each
/// as long as it can be.
const RECORD_OVERHEAD_BYTES_MAX: usize = 36;

/// How batches are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSettings {
    /// `batch.size`.
    pub(super) bytes_max: usize,
    /// `linger.ms`.
    pub(super) linger: Duration,
    pub(super) compression: Compression,
}

/// A partition's batches.
pub(super) struct PartitionQueue {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// The topic's.
    ratio: Arc<Ratio>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Batches that take no more records.
    full: VecDeque<Batch>,
    open: Option<Batch>,
    /// Whether the sender has it on its list.
    is_listed: bool,
    is_closed: bool,
}

/// Records that are sent together.
pub(super) struct Batch {
    builder: BatchBuilder,
    pub(super) delivery: Arc<BatchDelivery>,
    pub(super) callbacks: Vec<(u32, i64, Callback)>,
    pub(super) created: Instant,
    /// Its part of `buffer.memory`.
    pub(super) room: Room,
    is_compressed: bool,
    /// Bytes of its records before they are compressed, at most.
    record_bytes: usize,
}

/// What became of a record.
pub(super) enum Put {
    Done {
        delivery: Delivery,
        /// The batch that it is in takes no more, or one before it was closed for it.
        is_batch_full: bool,
        /// The sender does not know yet that there is something.
        is_news: bool,
    },
    /// There is no batch with room, and memory for a new one is needed.
    NeedsBatch {
        /// A batch was closed for it.
        is_batch_full: bool,
    },
}

/// A record to be sent, to a partition that was chosen.
pub(super) struct ToPut<'a> {
    pub(super) record: NewRecord<'a>,
    pub(super) callback: Option<Callback>,
}

impl ToPut<'_> {
    /// Bytes that it takes in a batch at most.
    pub(super) fn bytes_max(&self) -> usize {
        let of = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.record.headers.iter();
        // A length of a key and of a value in a header takes five bytes at most.
        let headers: usize = headers.map(|header| 10 + header.key.len() + of(header.value)).sum();
        RECORD_OVERHEAD_BYTES_MAX + of(self.record.key) + of(self.record.value) + headers
    }
}

impl PartitionQueue {
    pub(super) fn new(topic: Arc<str>, partition: i32, ratio: Arc<Ratio>) -> Self {
        Self { topic, partition, ratio, state: Mutex::default() }
    }

    pub(super) fn ratio(&self) -> &Ratio {
        &self.ratio
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record into the open batch, or into a new one if there is memory for it
    /// (`room`, which is left to the caller when it was not needed).
    ///
    /// # Errors
    /// The producer is closed; the record cannot be encoded.
    pub(super) fn put(
        &self,
        to_put: &mut ToPut<'_>,
        settings: &BatchSettings,
        room: &mut Option<Room>,
    ) -> Result<Put, Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Error::closed("producer"));
        }
        let bytes = to_put.bytes_max();
        let mut is_batch_full = false;
        if let Some(open) = &state.open
            && !open.has_room(bytes, settings.bytes_max, &self.ratio)
        {
            let full = state.open.take();
            state.full.extend(full);
            is_batch_full = true;
        }
        if state.open.is_none() {
            let Some(room) = room.take() else {
                // What was closed can be sent while memory is waited for.
                return Ok(Put::NeedsBatch { is_batch_full });
            };
            let delivery = BatchDelivery::new(Arc::clone(&self.topic), self.partition);
            state.open = Some(Batch::new(delivery, settings.compression, room)?);
        }
        let open = state.open.as_mut().expect("it was just made");
        let delivery = open.put(to_put).map_err(|error| {
            let error = Error::new(ErrorKind::Usage, error.to_string());
            error.of_partition(&self.topic, self.partition)
        })?;
        is_batch_full |= !open.has_room(1, settings.bytes_max, &self.ratio);
        let is_news = !std::mem::replace(&mut state.is_listed, true);
        Ok(Put::Done { delivery, is_batch_full, is_news })
    }

    /// When the first batch is to be sent; `None` when there is none. `now` when one is full.
    pub(super) fn due(&self, linger: Duration, now: Instant) -> Option<Instant> {
        let state = self.state();
        if !state.full.is_empty() {
            return Some(now);
        }
        Some(state.open.as_ref()?.created + linger)
    }

    /// Takes the first batch, if it is full, or if it `is_due` whether it is full or not.
    pub(super) fn take(&self, is_due: bool) -> Option<Batch> {
        let mut state = self.state();
        match state.full.pop_front() {
            None if is_due => state.open.take(),
            full => full,
        }
    }

    /// The size of the first batch; an estimate if it is compressed, 0 when there is none.
    pub(super) fn next_bytes(&self) -> usize {
        let state = self.state();
        let first = state.full.front().or(state.open.as_ref());
        first.map_or(0, |batch| batch.size_bytes(&self.ratio))
    }

    /// Batches that wait.
    pub(super) fn len(&self) -> usize {
        let state = self.state();
        state.full.len() + usize::from(state.open.is_some())
    }

    /// Whether the sender can forget it: there is nothing, and who puts something says so.
    pub(super) fn unlist_if_empty(&self) -> bool {
        let mut state = self.state();
        let is_empty = state.full.is_empty() && state.open.is_none();
        state.is_listed &= !is_empty;
        is_empty
    }

    /// When the oldest batch was begun.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let state = self.state();
        state.full.front().or(state.open.as_ref()).map(|batch| batch.created)
    }

    /// Takes nothing more; answers what there was.
    pub(super) fn close(&self) -> Vec<Batch> {
        let mut state = self.state();
        state.is_closed = true;
        let open = state.open.take();
        state.full.drain(..).chain(open).collect()
    }
}

impl Batch {
    pub(super) fn new(
        delivery: Arc<BatchDelivery>,
        compression: Compression,
        room: Room,
    ) -> Result<Self, Error> {
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let builder = BatchBuilder::with_buffer(options, Vec::with_capacity(room.bytes));
        let builder = builder.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))?;
        Ok(Self {
            builder,
            delivery,
            callbacks: Vec::new(),
            created: Instant::now(),
            room,
            is_compressed: compression.codec() != Codec::None,
            record_bytes: 0,
        })
    }

    /// A first record always has room: it is the memory that it was made with.
    fn has_room(&self, bytes: usize, bytes_max: usize, ratio: &Ratio) -> bool {
        self.builder.records_count() == 0 || self.size_bytes(ratio) + bytes <= bytes_max
    }

    /// Its size, or an estimate while a compressor holds records back.
    fn size_bytes(&self, ratio: &Ratio) -> usize {
        if !self.is_compressed {
            return self.builder.size_bytes();
        }
        // A little more than is seen, as the Java client has it.
        let records = self.record_bytes as f32 * ratio.estimate() * 1.05;
        BATCH_HEADER_BYTES + records as usize
    }

    fn put(&mut self, to_put: &mut ToPut<'_>) -> Result<Delivery, BuildError> {
        let index = self.builder.records_count().unsigned_abs();
        self.builder.append(&to_put.record)?;
        self.record_bytes += to_put.bytes_max();
        let timestamp = to_put.record.timestamp;
        if let Some(callback) = to_put.callback.take() {
            self.callbacks.push((index, timestamp, callback));
        }
        Ok(Delivery::new(Arc::clone(&self.delivery), index, timestamp))
    }

    pub(super) fn records_count(&self) -> i32 {
        self.builder.records_count()
    }

    /// The finished batch: its bytes as this producer's, from this sequence on.
    ///
    /// # Errors
    /// The compressor failed, for want of memory.
    pub(super) fn build(
        mut self,
        ratio: &Ratio,
        (id, epoch, base_sequence): (i64, i16, i32),
    ) -> (Result<Vec<u8>, Error>, Rest) {
        self.builder.set_producer(id, epoch, base_sequence);
        let records = self.builder.records_count();
        let built = self.builder.build();
        if let Ok(bytes) = &built
            && self.is_compressed
        {
            ratio.note(self.record_bytes, bytes.len() - BATCH_HEADER_BYTES);
        }
        let rest = Rest {
            records,
            delivery: self.delivery,
            callbacks: self.callbacks,
            created: self.created,
            room: self.room,
        };
        (built.map_err(|error| Error::new(ErrorKind::Usage, error.to_string())), rest)
    }
}

/// What there is of a batch beside its bytes.
pub(super) struct Rest {
    pub(super) records: i32,
    pub(super) delivery: Arc<BatchDelivery>,
    pub(super) callbacks: Vec<(u32, i64, Callback)>,
    pub(super) created: Instant,
    pub(super) room: Room,
}
