//! Where the partitions of a consumer are: the state of each, and what changes it. No I/O, no
//! locks.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::chunk::At;
use super::inquiry::{Told, What};
use super::settings::Reset;
use crate::error::{Error, ErrorKind};
use crate::partition::TopicPartition;

/// The earliest offset, as ListOffsets asks for it.
pub(super) const EARLIEST: i64 = -2;
/// The offset behind the last record.
pub(super) const LATEST: i64 = -1;

/// All assigned partitions.
#[derive(Debug, Default)]
pub(super) struct Positions {
    places: BTreeMap<TopicPartition, Place>,
    last_generation: u64,
}

/// A partition.
#[derive(Debug)]
pub(super) struct Place {
    /// Another one whenever the position was changed from outside: what was asked for before does
    /// not count any more.
    pub(super) generation: u64,
    pub(super) state: State,
    pub(super) is_paused: bool,
    /// Not asked for anything before this time.
    pub(super) not_before: Option<Instant>,
    /// The answer of metadata that was found wrong: it waits for another one.
    pub(super) wrong_metadata: Option<u64>,
    /// Tries in a row that failed.
    pub(super) failed: u32,
    pub(super) marks: Option<Marks>,
    /// The replica to read from in place of the leader, and until when.
    pub(super) preferred: Option<(i32, Instant)>,
}

/// How far a partition is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The group's offset is to be asked for.
    Unknown { is_asked: bool },
    /// The offset of a time is to be asked for; [`EARLIEST`] and [`LATEST`] are times as well.
    Reset { timestamp: i64, is_asked: bool },
    /// There is a position.
    Known(Known),
    /// It cannot go on before it is sought.
    Failed { error: Error, at: Option<At> },
}

/// A position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The next record to be returned.
    pub(super) consumed: At,
    /// The next one to be asked for.
    pub(super) fetched: At,
    /// The leader's epoch under which the position was found to be in the log, or is being looked
    /// for.
    pub(super) checked_epoch: i32,
    pub(super) is_checking: bool,
}

/// What a broker says of a log beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
}

impl Positions {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Place)> {
        self.places.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&TopicPartition, &mut Place)> {
        self.places.iter_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn get(&self, partition: &TopicPartition) -> Option<&Place> {
        self.places.get(partition)
    }

    pub(super) fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut Place> {
        self.places.get_mut(partition)
    }

    /// The place if it has not changed from outside since.
    pub(super) fn current(
        &mut self,
        partition: &TopicPartition,
        generation: u64,
    ) -> Option<&mut Place> {
        self.places.get_mut(partition).filter(|place| place.generation == generation)
    }

    /// Has exactly these partitions. Those that were there already stay where they are.
    pub(super) fn assign(&mut self, partitions: &[TopicPartition]) {
        let mut before = std::mem::take(&mut self.places);
        for partition in partitions {
            let place = before.remove(partition).unwrap_or_else(|| self.new_place());
            self.places.insert(partition.clone(), place);
        }
    }

    /// Has these beside those that are there.
    pub(super) fn add(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            let place = self.new_place();
            self.places.entry(partition.clone()).or_insert(place);
        }
    }

    /// Has these no more.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|partition| drop(self.places.remove(partition)));
    }

    fn new_place(&mut self) -> Place {
        Place {
            generation: self.next_generation(),
            state: State::Unknown { is_asked: false },
            is_paused: false,
            not_before: None,
            wrong_metadata: None,
            failed: 0,
            marks: None,
            preferred: None,
        }
    }

    fn next_generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// What was asked for and fetched of a partition counts no more.
    pub(super) fn renew(&mut self, partition: &TopicPartition) {
        let generation = self.next_generation();
        if let Some(place) = self.places.get_mut(partition) {
            place.generation = generation;
        }
    }

    /// Puts a partition to another state from outside; false when it is not assigned.
    pub(super) fn set(&mut self, partition: &TopicPartition, state: State) -> bool {
        let generation = self.next_generation();
        let Some(place) = self.places.get_mut(partition) else { return false };
        place.generation = generation;
        place.state = state;
        place.failed = 0;
        place.not_before = None;
        true
    }
}

impl Place {
    /// The next record to be returned, if it is known.
    pub(super) fn consumed(&self) -> Option<At> {
        match &self.state {
            State::Known(known) => Some(known.consumed),
            State::Failed { at, .. } => *at,
            State::Unknown { .. } | State::Reset { .. } => None,
        }
    }

    pub(super) fn error(&self) -> Option<&Error> {
        match &self.state {
            State::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Records were returned, up to here.
    pub(super) fn consume(&mut self, to: At) {
        match &mut self.state {
            State::Known(known) => known.consumed = to,
            State::Failed { at, .. } => *at = Some(to),
            State::Unknown { .. } | State::Reset { .. } => {}
        }
    }

    /// It cannot go on: polls say why.
    pub(super) fn fail(&mut self, error: Error) {
        self.state = State::Failed { error, at: self.consumed() };
    }

    /// Whether nothing is to be asked before another time.
    pub(super) fn waits(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|time| *time > now)
    }
}

impl State {
    pub(super) fn at(at: At) -> Self {
        Self::Known(Known { consumed: at, fetched: at, checked_epoch: -1, is_checking: false })
    }

    pub(super) fn reset(timestamp: i64) -> Self {
        Self::Reset { timestamp, is_asked: false }
    }
}

/// What a partition needs before it can be fetched.
pub(super) enum Need {
    Nothing,
    /// The group's offset.
    Committed,
    /// Something that its leader knows.
    Of(What),
    /// It cannot begin.
    Fail(Error),
}

impl Place {
    /// What is to be asked for now; it counts as asked for then. `epoch`: the leader's, -1 when it
    /// is not known.
    pub(super) fn need(&mut self, of: &TopicPartition, epoch: i32, begin: Begin) -> Need {
        if matches!(self.state, State::Unknown { is_asked: false }) && !begin.has_group {
            match begin.reset.state() {
                Some(state) => self.state = state,
                None => return Need::Fail(no_offset(of)),
            }
        }
        match &mut self.state {
            State::Unknown { is_asked: is_asked @ false } => {
                *is_asked = true;
                Need::Committed
            }
            State::Reset { timestamp, is_asked: is_asked @ false } => {
                *is_asked = true;
                Need::Of(What::OffsetOf(*timestamp))
            }
            State::Known(known) if epoch > known.checked_epoch && !known.is_checking => {
                known.checked_epoch = epoch;
                // What the leader itself has written, or what is of no epoch, is not to be doubted.
                if known.fetched.epoch < 0 || known.fetched.epoch >= epoch {
                    return Need::Nothing;
                }
                known.is_checking = true;
                Need::Of(What::EndOf(known.fetched.epoch))
            }
            _ => Need::Nothing,
        }
    }

    /// Takes the group's offset; `None` when there is none.
    pub(super) fn committed(&mut self, of: &TopicPartition, at: Option<At>, reset: Reset) {
        self.state = match at {
            Some(at) => State::at(at),
            None => match reset.state() {
                Some(state) => state,
                None => return self.fail(no_offset(of)),
            },
        };
    }

    /// The group's offset is to be asked for again.
    pub(super) fn forget(&mut self) {
        self.state = State::Unknown { is_asked: false };
    }

    /// Takes the offset of a time.
    pub(super) fn found(&mut self, of: &TopicPartition, timestamp: i64, told: Told) {
        self.state = match told.offset {
            0.. => State::at(At { offset: told.offset, epoch: told.leader_epoch }),
            // All records are older.
            _ if timestamp >= 0 => State::reset(LATEST),
            _ => {
                let error = Error::new(ErrorKind::Malformed, "ListOffsets: no offset");
                return self.fail(error.of_partition(&of.topic, of.partition));
            }
        };
    }

    /// Takes where the epoch of the last record ends with the new leader. Whether the log goes on
    /// from here; else what was fetched counts no more (KIP-320).
    pub(super) fn checked(&mut self, of: &TopicPartition, end: Told, reset: Reset) -> bool {
        let State::Known(known) = &mut self.state else { return true };
        known.is_checking = false;
        let is_known = end.offset >= 0 && end.leader_epoch >= 0;
        if is_known && end.offset >= known.fetched.offset {
            return true;
        }
        let consumed = known.consumed;
        if is_known && end.offset >= consumed.offset {
            // What was returned is there still.
            self.state = State::at(consumed);
            return false;
        }
        let offset = consumed.offset;
        let (state, to) = match (is_known, reset.state()) {
            (_, None) => (None, String::new()),
            (true, Some(_)) => {
                let at = At { offset: end.offset, epoch: end.leader_epoch };
                (Some(State::at(at)), format!("offset {}", end.offset))
            }
            (false, state) => (state, "auto.offset.reset".to_owned()),
        };
        let Some(state) = state else {
            let from = match is_known {
                true => format!("from offset {}", end.offset),
                false => "from an unknown offset".to_owned(),
            };
            let detail =
                format!("the records {from} to {offset} were read and are not in the log any more");
            let error = Error::new(ErrorKind::Truncated, detail);
            self.fail(error.of_partition(&of.topic, of.partition));
            return false;
        };
        log::warn!("{of}: the log was truncated below offset {offset}; going on at {to}");
        self.state = state;
        false
    }

    /// Takes that nobody can tell where epochs end.
    pub(super) fn not_checked(&mut self) {
        if let State::Known(known) = &mut self.state {
            known.is_checking = false;
        }
    }

    /// Takes that the offset that was asked for is not in the log. What was fetched before counts
    /// no more.
    pub(super) fn out_of_range(&mut self, of: &TopicPartition, error: Error, reset: Reset) {
        let State::Known(known) = &self.state else { return };
        if known.consumed != known.fetched {
            // That of what was fetched may be: what was returned is what counts.
            self.state = State::at(known.consumed);
            return;
        }
        let offset = known.consumed.offset;
        match reset.state() {
            Some(state) => {
                log::info!("{of}: offset {offset} is not in the log; resetting");
                self.state = state;
            }
            None => {
                let detail = format!(
                    "offset {offset} is not in the log, and auto.offset.reset is none: {error}"
                );
                let error = Error::new(ErrorKind::NoOffset, detail);
                self.fail(error.of_partition(&of.topic, of.partition));
            }
        }
    }
}

/// How partitions begin that have no position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) has_group: bool,
    pub(super) reset: Reset,
}

fn no_offset(of: &TopicPartition) -> Error {
    let detail = "there is no committed offset, and auto.offset.reset is none";
    Error::new(ErrorKind::NoOffset, detail).of_partition(&of.topic, of.partition)
}

impl Reset {
    /// The state that leads there; `None` for an error.
    fn state(self) -> Option<State> {
        match self {
            Self::Earliest => Some(State::reset(EARLIEST)),
            Self::Latest => Some(State::reset(LATEST)),
            Self::None => None,
            Self::Since(ago) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let time = now.saturating_sub(ago).as_millis();
                Some(State::reset(i64::try_from(time).unwrap_or(i64::MAX)))
            }
        }
    }
}
