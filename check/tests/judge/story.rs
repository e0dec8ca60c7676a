//! A broker that keeps its promises, in memory, and what its clients write down of it.

use std::collections::BTreeMap;

use ottla_check::event::{
    Crash, Event, Outcome, Place, Policy, Read, Reader, Register, Seen, Send, Topic, TopicId, What,
};
use ottla_check::value::{Payload, ValueId, encode};

const RUN: u64 = 9;
const SECOND_NS: u64 = 1_000_000_000;

/// A log: each record's timestamp and name; offsets count from 0. `None` was compacted away.
#[derive(Default, Clone)]
pub(crate) struct Log {
    pub(crate) records: Vec<Option<(i64, ValueId)>>,
    pub(crate) start: i64,
}

#[derive(Clone, Default)]
pub(crate) struct Story {
    pub(crate) now_ns: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) logs: BTreeMap<Place, Log>,
    pub(crate) sequences: BTreeMap<u32, u64>,
    /// Where each consumer goes on.
    pub(crate) positions: BTreeMap<(u32, Place), i64>,
    pub(crate) committed: BTreeMap<String, i64>,
    timestamp_ms: i64,
}

pub(crate) fn payload(id: ValueId) -> Payload {
    Payload::read(&encode(RUN, id, 8), RUN)
}

pub(crate) fn register(name: &str) -> Register {
    Register { name: name.to_owned(), synced: true }
}

impl Story {
    pub(crate) fn note(&mut self, client: u32, what: What) -> &mut Event {
        self.now_ns += 20;
        let (began_ns, ended_ns) = (self.now_ns, self.now_ns + 10);
        self.events.push(Event { began_ns, ended_ns, client, what });
        self.events.last_mut().unwrap()
    }

    pub(crate) fn create(&mut self, number: u8, policy: Policy, synced: bool) -> Place {
        let id = TopicId([number; 16]);
        let topic = Topic { id, partitions: 1, policy, synced };
        self.topics.push(topic);
        self.note(0, What::Created { topic, outcome: Outcome::Acked });
        let place = Place { topic: id, partition: 0 };
        self.logs.insert(place, Log::default());
        place
    }

    pub(crate) fn delete(&mut self, place: Place) {
        self.topics.retain(|topic| topic.id != place.topic);
        self.logs.remove(&place);
        self.note(0, What::Deleted { topic: place.topic, outcome: Outcome::Acked });
    }

    /// Makes the batch that a producer sends next.
    pub(crate) fn batch(&mut self, place: Place, producer: u32, count: u32) -> Send {
        let next = self.sequences.entry(producer).or_default();
        let first_sequence = *next;
        *next += u64::from(count);
        let outcome = Outcome::Unknown;
        let session = Some(0);
        Send { place, producer, session, first_sequence, count, base_offset: None, outcome }
    }

    /// Appends it, unless it is there.
    pub(crate) fn append(&mut self, send: &Send) -> i64 {
        let log = self.logs.get_mut(&send.place).unwrap();
        let first = ValueId { producer: send.producer, sequence: send.first_sequence };
        let there = log.records.iter().position(|r| r.is_some_and(|(_, id)| id == first));
        if let Some(at) = there {
            return i64::try_from(at).unwrap();
        }
        let base = i64::try_from(log.records.len()).unwrap();
        for n in 0..u64::from(send.count) {
            // Some go back, as clocks of producers do.
            self.timestamp_ms += if n % 3 == 2 { -1 } else { 2 };
            let id = ValueId { producer: send.producer, sequence: send.first_sequence + n };
            log.records.push(Some((self.timestamp_ms, id)));
        }
        base
    }

    pub(crate) fn send(&mut self, place: Place, producer: u32, count: u32) -> Send {
        let mut send = self.batch(place, producer, count);
        send.base_offset = Some(self.append(&send));
        send.outcome = Outcome::Acked;
        self.note(producer, What::Send(send));
        send
    }

    fn seen(&self, place: Place, from: i64, end: i64) -> Vec<Seen> {
        let log = &self.logs[&place];
        let span = usize::try_from(from).unwrap()..usize::try_from(end).unwrap();
        let records = span.clone().zip(&log.records[span]);
        records
            .filter_map(|(at, record)| {
                let (timestamp_ms, id) = (*record)?;
                let offset = i64::try_from(at).unwrap();
                Some(Seen { offset, timestamp_ms, payload: payload(id) })
            })
            .collect()
    }

    pub(crate) fn end(&self, place: Place) -> i64 {
        i64::try_from(self.logs[&place].records.len()).unwrap()
    }

    /// A consumer reads at most so many offsets.
    pub(crate) fn read(&mut self, client: u32, place: Place, most: i64) {
        let start = self.logs[&place].start;
        let at = self.positions.get(&(client, place)).copied().unwrap_or(start).max(start);
        let end = self.end(place);
        let next = (at + most).min(end);
        self.positions.insert((client, place), next);
        let read = Read {
            place,
            reader: Reader::Live,
            from: at,
            next,
            high_watermark: Some(end),
            log_start: Some(start),
            records: self.seen(place, at, next),
        };
        self.note(client, What::Read(read));
    }

    pub(crate) fn read_as(&mut self, reader: Reader) {
        for place in self.logs.keys().copied().collect::<Vec<_>>() {
            let (from, next) = (self.logs[&place].start, self.end(place));
            let records = self.seen(place, from, next);
            let (high_watermark, log_start) = (Some(next), Some(from));
            let read = Read { place, reader, from, next, high_watermark, log_start, records };
            self.note(99, What::Read(read));
        }
    }

    pub(crate) fn ends(&mut self, place: Place) {
        let (log_start, end) = (Some(self.logs[&place].start), Some(self.end(place)));
        self.note(50, What::Ends { place, log_start, end });
    }

    pub(crate) fn look_up(&mut self, place: Place, timestamp_ms: i64) {
        let log = &self.logs[&place];
        let records = self.seen(place, log.start, self.end(place));
        let found = records.iter().find(|seen| seen.timestamp_ms >= timestamp_ms);
        let found = found.map(|seen| (seen.offset, seen.timestamp_ms));
        self.note(50, What::Lookup { place, timestamp_ms, found });
    }

    pub(crate) fn set(&mut self, name: &str, value: i64, outcome: Outcome) {
        if outcome == Outcome::Acked {
            self.committed.insert(name.to_owned(), value);
        }
        self.note(60, What::Set { register: register(name), value, outcome });
    }

    pub(crate) fn get(&mut self, name: &str) {
        let value = self.committed.get(name).copied();
        self.note(61, What::Got { register: register(name), value });
    }

    pub(crate) fn list(&mut self) {
        let list = self.topics.iter().map(|topic| (topic.id, topic.partitions)).collect();
        self.note(50, What::Listed(list));
    }

    pub(crate) fn crash(&mut self, crash: Crash) {
        self.note(100, What::Crash(crash));
    }

    pub(crate) fn restart(&mut self) {
        self.note(100, What::Restarted);
    }

    /// Whether a batch begins at this offset, or none is there.
    fn is_batch_start(&self, place: Place, offset: i64) -> bool {
        let record = self.logs[&place].records.get(usize::try_from(offset).unwrap());
        let Some(Some((_, id))) = record else { return true };
        self.events.iter().any(|event| match &event.what {
            What::Send(send) => {
                let first = (send.place, send.producer, send.first_sequence);
                first == (place, id.producer, id.sequence)
            }
            _ => false,
        })
    }

    /// The power goes and takes all batches that end behind `end`, where the topic is not synced.
    pub(crate) fn lose_power(&mut self, place: Place, end: i64) {
        let end = (0..=end).rev().find(|end| self.is_batch_start(place, *end)).unwrap();
        self.crash(Crash::Power);
        self.restart();
        let synced = self.topics.iter().any(|t| t.id == place.topic && t.synced);
        if !synced {
            self.logs.get_mut(&place).unwrap().records.truncate(usize::try_from(end).unwrap());
        }
        for position in self.positions.iter_mut().filter(|(key, _)| key.1 == place) {
            *position.1 = end.min(*position.1);
        }
        let end = self.end(place);
        self.note(100, What::Recovered { place, end });
    }

    pub(crate) fn pass_seconds(&mut self, seconds: u64) {
        self.now_ns += seconds * SECOND_NS;
    }
}
