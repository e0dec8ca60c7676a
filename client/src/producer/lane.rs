//! What was taken out of a partition's queue and is not acknowledged: in which order it is sent,
//! and sent again, so that the partition has each record once and in order.
//!
//! With idempotence a broker takes a batch only if its sequence follows the last one's, and knows
//! the last five again. So several may be on the way; but once one has failed, the first goes alone
//! until it is answered, and the others behind it, each in its place (KIP-98, KAFKA-5494).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::record::batch::{BatchHeader, HeaderFields, sequence_after};

use super::delivery::{Appended, BatchDelivery, Callback};
use super::memory::Room;
use crate::error::{Error, ErrorKind};

/// A producer's id and epoch, as a broker gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// Which of the batches of a lane; each is another one.
pub(super) type BatchId = u64;

/// A batch as it is sent.
pub(super) struct Sealed {
    pub(super) id: BatchId,
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) records: i32,
    pub(super) delivery: Arc<BatchDelivery>,
    pub(super) callbacks: Vec<(u32, i64, Callback)>,
    pub(super) created: Instant,
    /// Shared by the parts of a batch that was split.
    pub(super) room: Arc<Room>,
    base_sequence: i32,
    state: State,
    /// How often it was sent.
    tries: u32,
    last_error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent, not before this.
    Waiting(Option<Instant>),
    InFlight,
}

/// What is to be done about a batch after its answer.
pub(super) enum After {
    /// It is done with.
    Finished(Sealed, Result<Appended, Error>),
    /// It is sent again.
    Again,
    /// It has to be split, and what it becomes put in its place by [`Lane::replace`] at once.
    Split(Sealed, Place),
    /// It is not known any more.
    Unknown,
}

/// Where a batch was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

/// The batches of a partition that are not acknowledged, in their order.
#[derive(Default)]
pub(super) struct Lane {
    batches: VecDeque<Sealed>,
    identity: Option<Identity>,
    next_sequence: i32,
    /// The broker's sequence is not known any more: once nothing is in flight, all begins anew
    /// under another epoch.
    is_broken: bool,
    /// Another producer has written under its id, in a later epoch.
    is_fenced: bool,
}

impl Lane {
    /// Batches that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether a new batch may be put behind the others: none of them waits to be sent again.
    pub(super) fn takes_more(&self, current: Option<Identity>) -> bool {
        let is_in_flight = |batch: &Sealed| batch.state == State::InFlight;
        let is_current = self.identity == current || self.batches.is_empty();
        !self.is_broken && is_current && self.batches.iter().all(is_in_flight)
    }

    /// Gives a new batch the next sequence. `current`: who the producer is; `None` without
    /// idempotence. Answers identity, epoch and sequence that the batch is to have.
    pub(super) fn next(&mut self, current: Option<Identity>, records: i32) -> (i64, i16, i32) {
        let Some(identity) = current else { return (-1, -1, -1) };
        if self.identity != current {
            debug_assert!(self.batches.is_empty(), "others are under another identity");
            self.identity = current;
            self.next_sequence = 0;
        }
        let sequence = self.next_sequence;
        self.next_sequence = sequence_after(sequence, records);
        (identity.id, identity.epoch, sequence)
    }

    /// Puts a new batch behind the others.
    pub(super) fn push(&mut self, batch: Sealed) {
        self.batches.push_back(batch);
    }

    /// When a batch can be sent again; `None` when none waits for that, or another one is first.
    pub(super) fn retry_due(&self, is_idempotent: bool) -> Option<Instant> {
        if self.is_broken {
            return None;
        }
        let due = |batch: &Sealed| match batch.state {
            State::Waiting(not_before) => Some(not_before.unwrap_or(batch.created)),
            State::InFlight => None,
        };
        if is_idempotent {
            return due(self.batches.front()?);
        }
        self.batches.iter().filter_map(due).min()
    }

    /// The size of the first batch that is not in flight; `None` when all are.
    pub(super) fn retry_bytes(&self) -> Option<usize> {
        let mut batches = self.batches.iter();
        batches.find(|batch| batch.state != State::InFlight).map(|batch| batch.bytes.len())
    }

    /// The first batch that can be sent now; it is in flight then.
    pub(super) fn send(&mut self, is_idempotent: bool, now: Instant) -> Option<&Sealed> {
        if self.is_broken {
            return None;
        }
        let is_due = |batch: &Sealed| match batch.state {
            State::Waiting(not_before) => not_before.is_none_or(|time| time <= now),
            State::InFlight => false,
        };
        let place = if is_idempotent {
            // A new batch is the last one, and all before it are in flight.
            let place = self.batches.iter().position(|batch| batch.state != State::InFlight)?;
            let is_new = self.batches[place].tries == 0;
            (is_due(&self.batches[place]) && (place == 0 || is_new)).then_some(place)?
        } else {
            self.batches.iter().position(is_due)?
        };
        let batch = &mut self.batches[place];
        batch.state = State::InFlight;
        batch.tries = batch.tries.saturating_add(1);
        Some(&self.batches[place])
    }

    /// Takes an answer. `again` says how long to wait before the next attempt, after so many; or
    /// that there is none.
    pub(super) fn answered(
        &mut self,
        id: BatchId,
        result: Result<Appended, Error>,
        again: impl FnOnce(u32) -> Option<Duration>,
        now: Instant,
    ) -> After {
        let Some(place) = self.batches.iter().position(|batch| batch.id == id) else {
            return After::Unknown;
        };
        let error = match result {
            Ok(appended) => return self.finished(place, Ok(appended)),
            Err(error) => error,
        };
        let is_idempotent = self.identity.is_some();
        let code = error.code();
        if code == Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER) {
            // It is there, and so long ago that the broker knows its offset no more.
            let appended = Appended { base_offset: -1, log_append_time: -1 };
            return self.finished(place, Ok(appended));
        }
        if code == Some(ErrorCode::MESSAGE_TOO_LARGE) && self.batches[place].records > 1 {
            let batch = self.batches.remove(place).expect("it is there");
            return After::Split(batch, Place(place));
        }
        let is_out_of_order = is_idempotent
            && matches!(
                code,
                Some(
                    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                        | ErrorCode::UNKNOWN_PRODUCER_ID
                        | ErrorCode::INVALID_PRODUCER_EPOCH
                )
            );
        // One behind a batch that failed is out of order because of that one.
        self.is_broken |= is_out_of_order && place == 0;
        self.is_fenced |= is_idempotent && code == Some(ErrorCode::INVALID_PRODUCER_EPOCH);
        let tries = self.batches[place].tries;
        let wait = if is_out_of_order || error.is_retriable() { again(tries) } else { None };
        let Some(wait) = wait else {
            // Those behind it were numbered as if it were there.
            self.is_broken |= is_idempotent;
            return self.finished(place, Err(error));
        };
        let batch = &mut self.batches[place];
        batch.state = State::Waiting(Some(now + wait));
        batch.last_error = Some(error);
        After::Again
    }

    fn finished(&mut self, place: usize, result: Result<Appended, Error>) -> After {
        let batch = self.batches.remove(place).expect("callers name a place that is there");
        After::Finished(batch, result)
    }

    /// Batches that are too old and not in flight. Whether they were appended is not known.
    pub(super) fn expire(&mut self, timeout: Duration, now: Instant) -> Vec<(Sealed, Error)> {
        let mut late = Vec::new();
        let mut kept = VecDeque::with_capacity(self.batches.len());
        for batch in self.batches.drain(..) {
            let is_late = batch.created + timeout <= now && batch.state != State::InFlight;
            if !is_late {
                kept.push_back(batch);
                continue;
            }
            // Those behind it were numbered as if it were there, and it may be.
            self.is_broken |= self.identity.is_some();
            let detail = batch.last_error.as_ref().map_or_else(String::new, Error::to_string);
            let error = Error::new(ErrorKind::Timeout(timeout), detail);
            late.push((batch, error));
        }
        self.batches = kept;
        late
    }

    /// When the oldest batch is too old. What is in flight is answered first.
    pub(super) fn expires(&self, timeout: Duration) -> Option<Instant> {
        let waits = self.batches.iter().filter(|batch| batch.state != State::InFlight);
        waits.map(|batch| batch.created + timeout).min()
    }

    /// A batch that was given a sequence is not sent: those behind it were numbered as if it were.
    pub(super) fn left_out(&mut self) {
        self.is_broken |= self.identity.is_some();
    }

    /// Puts batches where one was taken out for being too large; their records are as many.
    pub(super) fn replace(&mut self, Place(place): Place, parts: Vec<Sealed>) {
        for (behind, part) in parts.into_iter().enumerate() {
            self.batches.insert(place + behind, part);
        }
    }

    /// Whether all must begin anew under another epoch, and can: nothing is in flight.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken && self.batches.iter().all(|batch| batch.state != State::InFlight)
    }

    /// Whether another producer was found to write under this one's id. It is said once.
    pub(super) fn take_fenced(&mut self) -> bool {
        std::mem::take(&mut self.is_fenced)
    }

    /// Begins anew: numbers what is left from zero, under this identity.
    pub(super) fn restart(&mut self, identity: Identity) {
        (self.identity, self.next_sequence, self.is_broken) = (Some(identity), 0, false);
        for batch in &mut self.batches {
            batch.base_sequence = self.next_sequence;
            self.next_sequence = sequence_after(self.next_sequence, batch.records);
            batch.renumber(identity);
        }
    }

    /// All batches, when none is to be sent any more.
    pub(super) fn take_all(&mut self) -> VecDeque<Sealed> {
        std::mem::take(&mut self.batches)
    }
}

impl Sealed {
    /// A batch that was not sent yet.
    pub(super) fn new(
        (id, bytes): (BatchId, Vec<u8>),
        records: i32,
        delivery: Arc<BatchDelivery>,
        callbacks: Vec<(u32, i64, Callback)>,
        (created, room): (Instant, Arc<Room>),
    ) -> Self {
        let base_sequence = BatchHeader::new(&bytes).map_or(-1, BatchHeader::base_sequence);
        Self {
            id,
            bytes: Arc::new(bytes),
            records,
            delivery,
            callbacks,
            created,
            room,
            base_sequence,
            state: State::Waiting(None),
            tries: 0,
            last_error: None,
        }
    }

    fn renumber(&mut self, identity: Identity) {
        // A request that was given up may still have the bytes.
        let bytes = Arc::make_mut(&mut self.bytes);
        let Some(header) = BatchHeader::new(bytes) else { return };
        let fields = HeaderFields {
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            base_sequence: self.base_sequence,
            ..HeaderFields::from(header)
        };
        fields.seal(bytes).expect("it was a batch before");
    }
}

#[cfg(test)]
mod tests;
