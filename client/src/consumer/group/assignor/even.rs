//! Assignments that do not look at what members have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Assignment, Counts, Member, TopicPartition};

/// The members that want each topic, in their order. `members` are in theirs.
fn wanted<'a>(members: &[&'a Member]) -> BTreeMap<&'a Arc<str>, Vec<&'a Member>> {
    let mut wanted: BTreeMap<&Arc<str>, Vec<&Member>> = BTreeMap::new();
    for member in members {
        for topic in &member.subscription.topics {
            let by = wanted.entry(topic).or_default();
            // A topic may be named twice.
            if by.last().is_none_or(|last| last.id != member.id) {
                by.push(member);
            }
        }
    }
    wanted
}

fn nothing(members: &[&Member]) -> Assignment {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}

fn partition(topic: &Arc<str>, number: i32) -> TopicPartition {
    TopicPartition { topic: Arc::clone(topic), partition: number }
}

/// Members with the same subscriptions get the same partitions of topics with the same number of
/// them: the runs depend on nothing else.
pub(super) fn range(members: &[&Member], counts: &Counts) -> Assignment {
    let mut assigned = nothing(members);
    for (topic, by) in wanted(members) {
        let count = counts.get(topic).copied().unwrap_or(0).max(0);
        let (each, longer) = (count as usize / by.len(), count as usize % by.len());
        let mut partitions = 0..count;
        for (place, member) in by.iter().enumerate() {
            let length = each + usize::from(place < longer);
            let run = partitions.by_ref().take(length).map(|number| partition(topic, number));
            assigned.entry(member.id.clone()).or_default().extend(run);
        }
    }
    assigned
}

/// The deal goes on with the next topic where it ended with the last one; who does not want a
/// partition is passed over.
pub(super) fn round_robin(members: &[&Member], counts: &Counts) -> Assignment {
    let mut assigned = nothing(members);
    let mut turn = 0;
    for (topic, by) in wanted(members) {
        for number in 0..counts.get(topic).copied().unwrap_or(0) {
            while !by.iter().any(|member| member.id == members[turn].id) {
                turn = (turn + 1) % members.len();
            }
            let gets = assigned.entry(members[turn].id.clone()).or_default();
            gets.push(partition(topic, number));
            turn = (turn + 1) % members.len();
        }
    }
    assigned
}
