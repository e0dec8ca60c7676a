//! What is not there in the end: acknowledged records, read ones, parts of batches, and holes of
//! idempotent sessions.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::contents::is_served;
use super::note;
use crate::event::{Outcome, Policy, Seen};
use crate::partition::{Newest, Partition, World};
use crate::value::ValueId;
use crate::violation::{Rule, Violation};

pub(crate) fn check(world: &World, partition: &Partition, found: &mut Vec<Violation>) {
    flushed(partition, found);
    if !world.is_over || partition.deleted {
        return;
    }
    // A partition that cannot be read at all has lost everything.
    let last = partition.last.as_deref().unwrap_or_default();
    let newest = partition.newest();
    acked(partition, last, &newest, found);
    read(partition, last, &newest, found);
    if !matches!(partition.policy, Policy::Compact { .. }) {
        torn(world, partition, last, found);
        gaps(world, partition, last, found);
    }
}

/// A loss of power takes nothing that the files called flushed.
fn flushed(partition: &Partition, found: &mut Vec<Violation>) {
    for flushed in &partition.flushed {
        let cut = partition.cut_after(flushed.era);
        if cut < flushed.what {
            let text = format!("flushed up to {}, but it ends at {cut} later", flushed.what);
            note(found, Rule::LostWrite, partition.place, text);
        }
    }
}

fn acked(partition: &Partition, last: &[Seen], newest: &Newest, found: &mut Vec<Violation>) {
    let mut ids: Option<HashSet<ValueId>> = None;
    for send in partition.sends.iter().filter(|send| send.what.outcome == Outcome::Acked) {
        let cut = partition.cut_after(send.era);
        for n in 0..send.what.count {
            let sequence = send.what.first_sequence + u64::from(n);
            let id = ValueId { producer: send.what.producer, sequence };
            let kept = match send.what.base_offset {
                Some(base) => {
                    let offset = base + i64::from(n);
                    offset >= cut || partition.is_kept(last, offset, id, newest)
                }
                // An answer that gives no offset; where it was it may be lost.
                None => {
                    let all = || last.iter().filter_map(|seen| seen.payload.id()).collect();
                    cut < i64::MAX
                        || partition.policy != Policy::Keep
                        || ids.get_or_insert_with(all).contains(&id)
                }
            };
            if !kept {
                let at = send.what.base_offset.map(|base| base + i64::from(n));
                let text = format!("{id:?} was acknowledged at {at:?} and is not there");
                note(found, Rule::LostWrite, partition.place, text);
            }
        }
    }
}

fn read(partition: &Partition, last: &[Seen], newest: &Newest, found: &mut Vec<Violation>) {
    let mut noted = HashSet::new();
    for read in partition.reads.iter().filter(|read| is_served(read.what.reader)) {
        let cut = partition.cut_after(read.era);
        for seen in read.what.records.iter().filter(|seen| seen.offset < cut) {
            let Some(id) = seen.payload.id() else { continue };
            // Another record at the offset is a violation of its own.
            let held = last.binary_search_by_key(&seen.offset, |seen| seen.offset).is_ok();
            let kept = held || partition.is_kept(last, seen.offset, id, newest);
            if !kept && noted.insert(seen.offset) {
                let text = format!("{id:?} was read at {} and is not there", seen.offset);
                note(found, Rule::LostRead, partition.place, text);
            }
        }
    }
}

/// Of a batch whose answer did not come, all is there or nothing, but for what is below the log
/// start. Of an acknowledged one each record is looked for anyway.
fn torn(world: &World, partition: &Partition, last: &[Seen], found: &mut Vec<Violation>) {
    let is_at = |offset: i64, id: ValueId| {
        let at = last.binary_search_by_key(&offset, |seen| seen.offset);
        at.is_ok_and(|at| last[at].payload.id() == Some(id))
    };
    for seen in last {
        let Some(id) = seen.payload.id() else { continue };
        let unknown = world.batch_of(id).filter(|batch| batch.outcome == Outcome::Unknown);
        let Some(batch) = unknown else { continue };
        let of = |sequence| ValueId { sequence, ..id };
        let is_first = id.sequence == batch.first || seen.offset <= partition.log_start;
        let is_led = is_first || is_at(seen.offset - 1, of(id.sequence - 1));
        let is_last = id.sequence + 1 == batch.first + u64::from(batch.count);
        if !is_led || !is_last && !is_at(seen.offset + 1, of(id.sequence + 1)) {
            let (offset, first, count) = (seen.offset, batch.first, batch.count);
            let text = format!("{id:?} is at {offset} without the rest of {count} from {first} on");
            note(found, Rule::TornBatch, partition.place, text);
        }
    }
}

/// Between two records of an idempotent session nothing may be missing that was sent between them.
fn gaps(world: &World, partition: &Partition, last: &[Seen], found: &mut Vec<Violation>) {
    let visible: HashMap<ValueId, i64> =
        last.iter().filter_map(|seen| Some((seen.payload.id()?, seen.offset))).collect();
    let mut sessions: BTreeMap<(u32, u32), Vec<u64>> = BTreeMap::new();
    // The offset from which on a batch may have been there when the power went, and gone with it.
    let mut cuts: HashMap<(u32, u64), i64> = HashMap::new();
    for send in &partition.sends {
        let cut = cuts.entry((send.what.producer, send.what.first_sequence)).or_insert(i64::MAX);
        *cut = partition.cut_after(send.era).min(*cut);
        if let Some(session) = send.what.session {
            let list = sessions.entry((send.what.producer, session)).or_default();
            list.push(send.what.first_sequence);
        }
    }
    for ((producer, _), mut firsts) in sessions {
        firsts.sort_unstable();
        firsts.dedup();
        let id_of = |first: u64| ValueId { producer, sequence: first };
        let is_seen = |first: &u64| visible.contains_key(&id_of(*first));
        // Without a log start that moved, the session's first one has to be there, too.
        let begin = match partition.log_start {
            0 => Some(0),
            _ => firsts.iter().position(is_seen),
        };
        let (Some(begin), Some(end)) = (begin, firsts.iter().rposition(is_seen)) else { continue };
        // It would be in front of the next one that is there.
        let mut before = i64::MAX;
        for first in firsts[begin..=end].iter().rev() {
            let id = id_of(*first);
            if let Some(offset) = visible.get(&id) {
                before = *offset;
                continue;
            }
            // An acknowledged one is a lost write, a refused one has left no gap.
            let outcome = world.batch_of(id).map(|batch| batch.outcome);
            let is_lost = cuts.get(&(producer, *first)).is_some_and(|cut| *cut <= before);
            if outcome == Some(Outcome::Unknown) && !is_lost {
                let text = format!("{id:?} is missing, a later one of its session is there");
                note(found, Rule::Gap, partition.place, text);
            }
        }
    }
}
