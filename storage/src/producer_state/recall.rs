//! What a snapshot does not tell of a producer: the batches before its last, told by the log.
//!
//! Kafka's snapshot has room for one batch of each producer, and a client may have five on the way
//! when the broker stops. It sends all of them again; those before the last one would be taken for
//! a gap, and the client would give its records new sequences and write them twice. So after a
//! snapshot is read, the headers of the batches below it are gone through from the newest on.
//! [`Recall`] picks those out that belong to a producer's unbroken sequence.
//!
//! It is a pure machine: [`ProducerState::recall`] says what is lacking, [`Recall::offer`] takes
//! batches, newest first, [`ProducerState::recalled`] puts in what was found.

use std::collections::HashMap;

use super::batch::{BatchKind, ProducerBatch};
use super::entry::{BATCHES_KEPT, BatchMetadata, ProducerEntry};
use super::{ProducerState, sequence};

/// The producers of which less than [`BATCHES_KEPT`] batches are known.
#[derive(Clone, Debug)]
pub struct Recall {
    lacking: HashMap<i64, Lacking>,
    /// How many are waited for.
    waiting: usize,
}

/// One producer.
#[derive(Clone, Debug)]
struct Lacking {
    producer_epoch: i16,
    /// The oldest batch that is known by now.
    oldest: BatchMetadata,
    /// How many more are wanted; none when there cannot be an older one.
    room: usize,
    /// Newest first.
    found: Vec<BatchMetadata>,
}

impl Recall {
    /// Whether no older batch can change anything.
    pub fn is_done(&self) -> bool {
        self.waiting == 0
    }

    /// Whether batches of this producer are to be offered.
    pub fn wants(&self, producer_id: i64) -> bool {
        self.lacking.get(&producer_id).is_some_and(|lacking| 0 < lacking.room)
    }

    /// Does without the producers whose oldest known batch lies below `offset`.
    pub fn give_up_below(&mut self, offset: i64) {
        for lacking in self.lacking.values_mut() {
            if lacking.oldest.last_offset < offset {
                lacking.room = 0;
            }
        }
        self.waiting = self.lacking.values().filter(|lacking| lacking.is_waiting()).count();
    }

    /// Takes the next older batch; it may be one that is known. Those of other producers may be
    /// left out. Of a control batch, the kind does not matter.
    pub fn offer(&mut self, batch: &ProducerBatch) {
        let Some(lacking) = self.lacking.get_mut(&batch.producer_id) else { return };
        let others = self.waiting - usize::from(lacking.is_waiting());
        lacking.offer(batch);
        self.waiting = others + usize::from(lacking.is_waiting());
    }
}

impl Lacking {
    fn of(entry: &ProducerEntry) -> Option<Self> {
        let batches = entry.batches();
        let room = BATCHES_KEPT - batches.len();
        let oldest = batches.first().filter(|oldest| 0 <= oldest.first_sequence())?;
        let producer_epoch = entry.producer_epoch;
        (0 < room).then(|| Self { producer_epoch, oldest: *oldest, room, found: Vec::new() })
    }

    /// Whether it is worth looking for more. Sequences begin at 0, so what comes before 0 has gone
    /// round the ring, and a log of fewer offsets has no such batch.
    fn is_waiting(&self) -> bool {
        let may_have_wrapped = i64::from(i32::MAX) < self.oldest.first_offset();
        0 < self.room && (self.oldest.first_sequence() != 0 || may_have_wrapped)
    }

    fn offer(&mut self, batch: &ProducerBatch) {
        if self.room == 0 {
            return;
        }
        // Another epoch has sequences of its own.
        if batch.producer_epoch != self.producer_epoch {
            self.room = 0;
            return;
        }
        if matches!(batch.kind, BatchKind::EndTxn(_) | BatchKind::EmptyControl) {
            return;
        }
        let oldest = &self.oldest;
        if oldest.first_offset() <= batch.base_offset {
            return; // known already
        }
        let (last_offset, last_sequence) = (batch.last_offset(), batch.last_sequence());
        let joins_on = last_offset < oldest.first_offset()
            && 0 <= last_sequence
            && sequence::follows(last_sequence, oldest.first_sequence());
        if !joins_on {
            // The cleaner may have taken out what was between, or the snapshot is another log's.
            self.room = 0;
            return;
        }
        self.oldest = BatchMetadata {
            last_sequence,
            offset_delta: batch.last_offset_delta,
            last_offset,
            timestamp: batch.max_timestamp,
        };
        self.found.push(self.oldest);
        self.room -= 1;
    }
}

impl ProducerState {
    /// What is lacking of its producers. A producer without a batch lacks none: its epoch has begun
    /// with a marker.
    pub fn recall(&self) -> Recall {
        let lacking = |(id, entry)| Lacking::of(entry).map(|lacking| (id, lacking));
        let lacking: HashMap<i64, Lacking> = self.producers().filter_map(lacking).collect();
        let waiting = lacking.values().filter(|lacking| lacking.is_waiting()).count();
        Recall { lacking, waiting }
    }

    /// Puts in what was found; the state must not have changed since [`ProducerState::recall`].
    pub fn recalled(&mut self, recall: Recall) {
        for (producer_id, lacking) in recall.lacking {
            if let Some(entry) = self.producers.get_mut(&producer_id) {
                entry.prepend(&lacking.found);
            }
        }
    }
}
