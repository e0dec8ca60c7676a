//! Ends and starts of logs: they only rise, and new records go behind them.

use std::collections::HashMap;

use super::note;
use crate::event::{Outcome, Reader};
use crate::partition::Partition;
use crate::partition::World;
use crate::violation::{Rule, Violation};

/// At `ended_ns` the log reached at least to `offset`.
struct Floor {
    ended_ns: u64,
    era: usize,
    offset: i64,
}

/// What an answer said that must not be below any floor that was there when it began.
struct Claim {
    began_ns: u64,
    era: usize,
    offset: i64,
    rule: Rule,
    what: &'static str,
}

pub(crate) fn check(world: &World, partition: &Partition, found: &mut Vec<Violation>) {
    let (mut floors, mut claims) = (Vec::new(), Vec::new());
    appended(world, partition, &mut floors, &mut claims);
    let reads = partition.reads.iter().filter(|read| read.what.reader != Reader::Raw);
    for read in reads.clone() {
        floors.push(Floor { ended_ns: read.ended_ns, era: read.era, offset: read.what.next });
        if let Some(offset) = read.what.high_watermark {
            floors.push(Floor { ended_ns: read.ended_ns, era: read.era, offset });
            claims.push(claim(read.began_ns, read.era, offset, "high watermark"));
        }
    }
    for ends in &partition.ends {
        if let Some(offset) = ends.what.end {
            floors.push(Floor { ended_ns: ends.ended_ns, era: ends.era, offset });
            claims.push(claim(ends.began_ns, ends.era, offset, "end"));
        }
    }
    compare(partition, floors, claims, true, found);
    // A log start that was told may not have been written down when the broker died.
    let life = |began_ns: u64| world.crashes.partition_point(|ended_ns| *ended_ns <= began_ns);
    let (mut floors, mut claims) = (Vec::new(), Vec::new());
    let starts = reads.map(|read| (read.began_ns, read.ended_ns, read.what.log_start));
    let told = partition.ends.iter().map(|e| (e.began_ns, e.ended_ns, e.what.log_start));
    for (began_ns, ended_ns, offset) in starts.chain(told) {
        if let Some(offset) = offset {
            let era = life(began_ns);
            floors.push(Floor { ended_ns, era, offset });
            claims.push(claim(began_ns, era, offset, "log start"));
        }
    }
    compare(partition, floors, claims, false, found);
}

fn claim(began_ns: u64, era: usize, offset: i64, what: &'static str) -> Claim {
    Claim { began_ns, era, offset, rule: Rule::Regress, what }
}

/// Acknowledged appends: each is a floor, and each that cannot be a repetition is a claim.
fn appended(
    world: &World,
    partition: &Partition,
    floors: &mut Vec<Floor>,
    claims: &mut Vec<Claim>,
) {
    let mut first: HashMap<(u32, u64), u64> = HashMap::new();
    for send in &partition.sends {
        let key = (send.what.producer, send.what.first_sequence);
        let began_ns = first.entry(key).or_insert(send.began_ns);
        *began_ns = send.began_ns.min(*began_ns);
    }
    for send in &partition.sends {
        let (Some(base), Outcome::Acked) = (send.what.base_offset, send.what.outcome) else {
            continue;
        };
        let end = base + i64::from(send.what.count);
        floors.push(Floor { ended_ns: send.ended_ns, era: send.era, offset: end });
        // An earlier attempt may have put it where it is long since.
        let key = (send.what.producer, send.what.first_sequence);
        if first.get(&key) == Some(&send.began_ns) && world.batches.contains_key(&key.0) {
            let what = "base offset of a new batch";
            let (began_ns, era) = (send.began_ns, send.era);
            claims.push(Claim { began_ns, era, offset: base, rule: Rule::OffsetReuse, what });
        }
    }
}

/// Goes through both by time. For an end a new era is a loss of power, which lowers the floor to
/// where it cut; for a start it is a new life of the broker, which may begin anywhere.
fn compare(
    partition: &Partition,
    mut floors: Vec<Floor>,
    mut claims: Vec<Claim>,
    is_end: bool,
    found: &mut Vec<Violation>,
) {
    floors.sort_by_key(|floor| (floor.era, floor.ended_ns));
    claims.sort_by_key(|claim| (claim.era, claim.began_ns));
    let (mut next, mut era, mut floor) = (0, 0, 0);
    for claim in claims {
        let is_past = |f: &Floor| (f.era, f.ended_ns) < (claim.era, claim.began_ns);
        loop {
            let past = floors.get(next).filter(|f| is_past(f));
            let to = past.map_or(claim.era, |f| f.era);
            if to > era {
                floor = if is_end { partition.cut_between(era, to).min(floor) } else { 0 };
                era = to;
            }
            let Some(past) = past else { break };
            floor = past.offset.max(floor);
            next += 1;
        }
        if claim.offset < floor {
            let text = format!("{} {}, but it was {floor} before", claim.what, claim.offset);
            note(found, claim.rule, partition.place, text);
        }
    }
}
