//! What was seen at an offset: always the same, once, in order, and sent by somebody.

use std::collections::{HashMap, HashSet};

use super::note;
use crate::event::{Outcome, Reader};
use crate::partition::{Partition, World};
use crate::value::{Payload, ValueId};
use crate::violation::{Rule, Violation};

/// A record at an offset, as somebody saw it.
#[derive(Clone, Copy)]
struct Sight {
    offset: i64,
    era: usize,
    payload: Payload,
    /// An acknowledgment tells which record it is, not its bytes.
    is_ack: bool,
}

impl Sight {
    fn agrees(&self, other: &Sight) -> bool {
        match (self.is_ack || other.is_ack, self.payload.id(), other.payload.id()) {
            (true, one, another) => one == another,
            _ => self.payload == other.payload,
        }
    }
}

pub(crate) fn check(world: &World, partition: &Partition, found: &mut Vec<Violation>) {
    let mut sights = sights(partition);
    sights.sort_by_key(|sight| (sight.offset, sight.era));
    inconsistent(partition, &sights, found);
    phantoms(world, partition, found);
    // Those that no loss of power has taken since.
    sights.retain(|sight| sight.offset < partition.cut_after(sight.era));
    let twice = duplicates(partition, &sights, found);
    order(partition, &sights, &twice, found);
}

fn sights(partition: &Partition) -> Vec<Sight> {
    let mut sights = Vec::new();
    for send in &partition.sends {
        let (Some(base), Outcome::Acked) = (send.what.base_offset, send.what.outcome) else {
            continue;
        };
        for n in 0..send.what.count {
            let sequence = send.what.first_sequence + u64::from(n);
            let id = ValueId { producer: send.what.producer, sequence };
            let payload = Payload::Value { id, crc: 0 };
            let offset = base + i64::from(n);
            sights.push(Sight { offset, era: send.era, payload, is_ack: true });
        }
    }
    for read in &partition.reads {
        sights.extend(read.what.records.iter().map(|seen| Sight {
            offset: seen.offset,
            era: read.era,
            payload: seen.payload,
            is_ack: false,
        }));
    }
    sights
}

fn inconsistent(partition: &Partition, sights: &[Sight], found: &mut Vec<Violation>) {
    // The latest sight of the offset that shows bytes, and the latest of all.
    let mut known: Option<Sight> = None;
    for sight in sights {
        let before = known.filter(|before| before.offset == sight.offset);
        if let Some(before) = before
            && !before.agrees(sight)
            && partition.cut_between(before.era, sight.era) > sight.offset
        {
            let (one, other) = (before.payload, sight.payload);
            let text = format!("offset {} held {one:?}, then {other:?}", sight.offset);
            note(found, Rule::InconsistentOffset, partition.place, text);
        }
        let keep = before.is_some_and(|before| sight.is_ack && before.agrees(sight));
        if !keep {
            known = Some(*sight);
        }
    }
}

fn phantoms(world: &World, partition: &Partition, found: &mut Vec<Violation>) {
    for read in &partition.reads {
        for seen in &read.what.records {
            let Some(id) = seen.payload.id() else {
                let text = format!("offset {}: nobody sent {:?}", seen.offset, seen.payload);
                note(found, Rule::Phantom, partition.place, text);
                continue;
            };
            let Some(batch) = world.batch_of(id) else {
                let text = format!("offset {}: nobody sent {id:?}", seen.offset);
                note(found, Rule::Phantom, partition.place, text);
                continue;
            };
            if batch.place != partition.place {
                let text = format!("offset {}: {id:?} was sent elsewhere", seen.offset);
                note(found, Rule::Phantom, partition.place, text);
            } else if batch.began_ns > read.ended_ns {
                let text = format!("offset {}: {id:?} was read before it was sent", seen.offset);
                note(found, Rule::Phantom, partition.place, text);
            } else if batch.outcome == Outcome::Failed {
                let text = format!("offset {}: {id:?} was refused", seen.offset);
                note(found, Rule::FailedVisible, partition.place, text);
            }
        }
    }
}

fn duplicates(
    partition: &Partition,
    sights: &[Sight],
    found: &mut Vec<Violation>,
) -> HashSet<ValueId> {
    let mut places: Vec<(ValueId, i64)> =
        sights.iter().filter_map(|s| Some((s.payload.id()?, s.offset))).collect();
    places.sort_unstable();
    places.dedup();
    let mut twice = HashSet::new();
    for pair in places.windows(2) {
        if pair[0].0 == pair[1].0 {
            twice.insert(pair[0].0);
            let text = format!("{:?} is at {} and at {}", pair[0].0, pair[0].1, pair[1].1);
            note(found, Rule::Duplicate, partition.place, text);
        }
    }
    twice
}

fn order(
    partition: &Partition,
    sights: &[Sight],
    twice: &HashSet<ValueId>,
    found: &mut Vec<Violation>,
) {
    let mut last: HashMap<u32, (u64, i64)> = HashMap::new();
    let ids = sights.iter().filter_map(|sight| Some((sight.payload.id()?, sight.offset)));
    for (id, offset) in ids.filter(|(id, _)| !twice.contains(id)) {
        let before = last.insert(id.producer, (id.sequence, offset));
        if let Some((sequence, at)) = before
            && sequence > id.sequence
        {
            let text = format!("{id:?} is at {offset}, behind number {sequence} at {at}");
            note(found, Rule::Order, partition.place, text);
        }
    }
}

/// Whether a reader may miss what the files still hold.
pub(crate) fn is_served(reader: Reader) -> bool {
    reader != Reader::Raw
}
