//! `range`: each topic by itself, its subscribers in a fixed order, each a run of partitions.
//!
//! Topics with as many partitions are cut at the same places, so that a member gets the same
//! numbers of each: what joins of topics need.

use super::{Assignment, GroupSpec};
use crate::group::consumer::partitions::TopicPartition;

/// Assigns all partitions; costs as much as there are subscriptions and partitions.
pub(super) fn assign(group: &GroupSpec<'_>) -> Assignment {
    let order = order(group);
    let mut assignment = vec![Vec::new(); group.members.len()];
    if group.homogeneous {
        for &topic in group.members[0].topics.iter() {
            cut(group, topic, &order, &mut assignment);
        }
        return assignment;
    }
    let mut places = vec![0; order.len()];
    for (place, &member) in order.iter().enumerate() {
        places[member] = place;
    }
    for (topic, mut subscribers) in group.subscribers() {
        subscribers.sort_unstable_by_key(|&member| places[member]);
        cut(group, topic, &subscribers, &mut assignment);
    }
    assignment
}

/// Static members by their lasting names, then the others by their ids: the same members get the
/// same partitions whatever ids they are given when they come back.
fn order(group: &GroupSpec<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..group.members.len()).collect();
    order.sort_by_key(|&index| {
        let member = &group.members[index];
        (member.instance_id.is_none(), member.instance_id, member.member_id)
    });
    order
}

/// Cuts a topic into runs; the first ones are longer by one when it does not divide evenly.
fn cut(
    group: &GroupSpec<'_>,
    topic: ottla_protocol::uuid::Uuid,
    subscribers: &[usize],
    assignment: &mut Assignment,
) {
    let count = usize::try_from(group.partition_count(topic)).unwrap_or(0);
    let (each, extra) = (count / subscribers.len(), count % subscribers.len());
    let mut next = 0;
    for (place, &member) in subscribers.iter().enumerate() {
        let run = each + usize::from(place < extra);
        if run == 0 {
            break;
        }
        assignment[member].extend((next..next + run).map(|partition| TopicPartition {
            topic,
            // It is below the count, which was an i32.
            partition: i32::try_from(partition).unwrap_or(i32::MAX),
        }));
        next += run;
    }
}
