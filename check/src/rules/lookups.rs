//! A search by timestamp against a look at every record.

use super::contents::is_served;
use super::note;
use crate::event::{Outcome, Policy};
use crate::partition::Partition;
use crate::violation::{Rule, Violation};

pub(crate) fn check(partition: &Partition, found: &mut Vec<Violation>) {
    let Some(last) = &partition.last else { return };
    if partition.lookups.is_empty() || matches!(partition.policy, Policy::Compact { .. }) {
        return;
    }
    // The highest timestamp up to each record: the first that reaches a timestamp is found by
    // halving.
    let mut highest = Vec::with_capacity(last.len());
    let mut most = i64::MIN;
    for seen in last {
        most = seen.timestamp_ms.max(most);
        highest.push(most);
    }
    // By the time of the answer, where records ended that were acknowledged or read; those of an
    // earlier era may be gone.
    let acked = partition.sends.iter().filter(|send| send.what.outcome == Outcome::Acked);
    let acked = acked
        .filter_map(|s| Some((s.era, s.ended_ns, s.what.base_offset? + i64::from(s.what.count))));
    let read = partition.reads.iter().filter(|read| is_served(read.what.reader));
    let read = read.map(|read| (read.era, read.ended_ns, read.what.next));
    let mut acks: Vec<(usize, u64, i64)> = acked.chain(read).collect();
    acks.sort_unstable();
    let mut end = (0, 0);
    for ack in &mut acks {
        end = if ack.0 == end.0 { (ack.0, ack.2.max(end.1)) } else { (ack.0, ack.2) };
        ack.2 = end.1;
    }
    for lookup in &partition.lookups {
        let cut = partition.cut_after(lookup.era);
        let wanted = lookup.what.timestamp_ms;
        let first = last.get(highest.partition_point(|most| *most < wanted));
        let first = first.map(|seen| (seen.offset, seen.timestamp_ms));
        let count = acks.partition_point(|ack| (ack.0, ack.1) < (lookup.era, lookup.began_ns));
        let before = count.checked_sub(1).map(|n| acks[n]).filter(|ack| ack.0 == lookup.era);
        let acked = before.map_or(0, |ack| ack.2);
        let is_right = match lookup.what.found {
            Some((offset, _)) if offset >= cut || offset < partition.log_start => true,
            Some(answer) => first == Some(answer),
            None => first.is_none_or(|(offset, _)| offset >= acked.min(cut)),
        };
        if !is_right {
            let answer = lookup.what.found;
            let text = format!("timestamp {wanted}: told {answer:?}, but it is {first:?}");
            note(found, Rule::TimestampLookup, partition.place, text);
        }
    }
}
