//! What a consumer gets, poll after poll: everything, each once.

use std::collections::HashMap;

use super::note;
use crate::event::{Policy, Read, Reader};
use crate::partition::{Partition, World};
use crate::violation::{Rule, Violation};

pub(crate) fn check(_world: &World, partition: &Partition, found: &mut Vec<Violation>) {
    // By consumer, where it is and in which era it came there.
    let mut at: HashMap<(u32, bool), (i64, usize)> = HashMap::new();
    for read in partition.reads.iter().filter(|read| read.what.reader != Reader::Raw) {
        let key = (read.client, read.what.reader == Reader::Final);
        if let Some((next, era)) = at.insert(key, (read.what.next, read.era)) {
            let from = read.what.from;
            let cut = partition.cut_between(era, read.era);
            // Retention may have overtaken it, or a loss of power have taken where it was.
            let reset =
                matches!(partition.policy, Policy::Expire { .. }) && from > next || next > cut;
            if from != next && !reset {
                let text = format!("after {next} the consumer went on from {from}");
                note(found, Rule::PollSkip, partition.place, text);
            }
        }
        if let Some(text) = broken(partition, read.what) {
            note(found, Rule::PollSkip, partition.place, text);
        }
    }
}

/// What is wrong with one answer.
fn broken(partition: &Partition, read: &Read) -> Option<String> {
    let mut expected = read.from;
    for seen in &read.records {
        let dense = !matches!(partition.policy, Policy::Compact { .. });
        if seen.offset < expected || dense && seen.offset > expected {
            return Some(format!("offset {} came where {expected} was due", seen.offset));
        }
        expected = seen.offset + 1;
    }
    let skips = !matches!(partition.policy, Policy::Compact { .. }) && read.next != expected;
    (read.next < expected || skips)
        .then(|| format!("records end at {expected}, but the answer at {}", read.next))
}
