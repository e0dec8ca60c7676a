//! Assignments that do not look at what members have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Assignment, Layout, Member, TopicPartition};

/// By topic, the members that want it, in their order.
type Wanted<'a> = BTreeMap<&'a Arc<str>, Vec<usize>>;

/// Who wants what. `members` are in their order.
pub(super) fn wanted<'a>(members: &[&'a Member]) -> Wanted<'a> {
    let mut wanted = Wanted::new();
    for (place, member) in members.iter().enumerate() {
        for topic in &member.subscription.topics {
            let by = wanted.entry(topic).or_default();
            // A topic may be named twice.
            if by.last() != Some(&place) {
                by.push(place);
            }
        }
    }
    wanted
}

/// What each member gets, by their ids.
pub(super) fn by_id(members: &[&Member], gets: Vec<Vec<TopicPartition>>) -> Assignment {
    members.iter().map(|member| member.id.clone()).zip(gets).collect()
}

/// The deal goes on with the next topic where it ended with the last one; who does not want a
/// partition is passed over.
pub(super) fn round_robin(members: &[&Member], layout: &Layout) -> Assignment {
    let mut all = vec![Vec::new(); members.len()];
    let mut turn = 0;
    for (topic, by) in wanted(members) {
        for number in 0..layout.get(topic).map_or(0, Vec::len) {
            // The next one that wants it, from the turn on.
            let next = by.partition_point(|member| *member < turn);
            let member = by.get(next).unwrap_or(&by[0]);
            let partition = TopicPartition { topic: Arc::clone(topic), partition: number as i32 };
            all[*member].push(partition);
            turn = (member + 1) % members.len();
        }
    }
    by_id(members, all)
}
