//! `uniform`: members keep what they can, and all have about as many partitions.
//!
//! When all subscribe to the same topics, shares are exact: `total / members`, and one more for
//! `total % members` of them. A first pass lets each member keep up to its share, favoring those
//! who have enough for the longer one; what is left over fills up the others. That costs as much as
//! there are members and partitions.
//!
//! Else, with different subscriptions:
//!
//! 1. Members keep all that they still subscribe to.
//! 2. Free partitions go to the subscriber with the least, topics with the fewest subscribers for
//!    their partitions first, since those have the least choice.
//! 3. For one topic after the other, partitions of it move from the subscriber with the most to the
//!    one with the least while they differ by more than one; rounds go on until one changes
//!    nothing, or [`ROUNDS_MAX`].

mod mixed;

use std::collections::HashSet;

use super::{Assignment, GroupSpec};
use crate::group::consumer::partitions::TopicPartition;

/// Rounds of evening out; each gets nearer to even. Kafka has as many.
const ROUNDS_MAX: usize = 16;

/// Assigns all partitions.
pub(super) fn assign(group: &GroupSpec<'_>) -> Assignment {
    if group.homogeneous { even(group) } else { mixed::assign(group) }
}

/// All members subscribe to the same topics.
fn even(group: &GroupSpec<'_>) -> Assignment {
    let topics = &group.members[0].topics;
    let total: usize = topics
        .iter()
        .map(|topic| usize::try_from(group.partition_count(*topic)).unwrap_or(0))
        .sum();
    let member_count = group.members.len();
    let mut extra_left = total % member_count;
    let mut taken = HashSet::with_capacity(total);
    let mut wanting = Vec::new();
    let mut assignment = Vec::with_capacity(member_count);
    for (index, member) in group.members.iter().enumerate() {
        let short = total / member_count;
        let long = short + usize::from(extra_left > 0);
        let mut kept = Vec::with_capacity(long);
        for &at in member.current {
            let exists = topics.binary_search(&at.topic).is_ok()
                && at.partition < group.partition_count(at.topic);
            if kept.len() < long && exists && taken.insert(at) {
                kept.push(at);
            }
        }
        // A member that cannot fill the longer share leaves it to a later one, while there are
        // later ones enough to take all that are left.
        let share =
            if kept.len() < long && member_count - index > extra_left { short } else { long };
        extra_left -= usize::from(share > short);
        if kept.len() < share {
            wanting.push((index, share - kept.len()));
        }
        assignment.push(kept);
    }
    let mut free = topics
        .iter()
        .flat_map(|&topic| {
            (0..group.partition_count(topic))
                .map(move |partition| TopicPartition { topic, partition })
        })
        .filter(|at| !taken.contains(at));
    for (index, count) in wanting {
        assignment[index].extend(free.by_ref().take(count));
    }
    assignment
}
