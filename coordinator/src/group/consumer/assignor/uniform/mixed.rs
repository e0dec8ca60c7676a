//! `uniform` among members with different subscriptions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::uuid::Uuid;

use super::super::{Assignment, GroupSpec};
use super::ROUNDS_MAX;
use crate::group::consumer::partitions::TopicPartition;

/// A topic in the making.
struct Topic {
    id: Uuid,
    subscribers: Vec<usize>,
    /// The member that has each partition.
    owners: Vec<Option<usize>>,
}

/// Assigns all partitions.
pub(super) fn assign(group: &GroupSpec<'_>) -> Assignment {
    let mut topics: Vec<Topic> = group
        .subscribers()
        .into_iter()
        .map(|(id, subscribers)| {
            let count = usize::try_from(group.partition_count(id)).unwrap_or(0);
            Topic { id, subscribers, owners: vec![None; count] }
        })
        .collect();
    let mut loads = vec![0_usize; group.members.len()];
    keep(group, &mut topics, &mut loads);
    topics.sort_by(by_choice);
    for topic in &mut topics {
        topic.fill(&mut loads);
    }
    even_out(&mut topics, &mut loads);

    let mut assignment = vec![Vec::new(); group.members.len()];
    for topic in &topics {
        for (partition, owner) in (0..).zip(&topic.owners) {
            if let Some(owner) = owner {
                assignment[*owner].push(TopicPartition { topic: topic.id, partition });
            }
        }
    }
    assignment
}

/// Members keep what they still subscribe to. `topics` is sorted by id.
fn keep(group: &GroupSpec<'_>, topics: &mut [Topic], loads: &mut [usize]) {
    for (index, member) in group.members.iter().enumerate() {
        for at in member.current {
            if member.topics.binary_search(&at.topic).is_err() {
                continue;
            }
            let Ok(place) = topics.binary_search_by_key(&at.topic, |topic| topic.id) else {
                continue;
            };
            let owner = usize::try_from(at.partition)
                .ok()
                .and_then(|partition| topics[place].owners.get_mut(partition));
            if let Some(owner @ None) = owner {
                *owner = Some(index);
                loads[index] += 1;
            }
        }
    }
}

/// The topic with the most partitions a subscriber first, then the one with fewer subscribers.
fn by_choice(one: &Topic, other: &Topic) -> std::cmp::Ordering {
    // Fractions are compared by multiplying crosswise; counts are far below 2^32.
    let one_weight = one.owners.len() as u64 * other.subscribers.len() as u64;
    let other_weight = other.owners.len() as u64 * one.subscribers.len() as u64;
    other_weight
        .cmp(&one_weight)
        .then(one.subscribers.len().cmp(&other.subscribers.len()))
        .then(one.id.cmp(&other.id))
}

/// Evens out topic by topic: one topic's moves change what another can do.
fn even_out(topics: &mut [Topic], loads: &mut [usize]) {
    for _ in 0..ROUNDS_MAX {
        let moved: usize = topics.iter_mut().map(|topic| topic.even_out(loads)).sum();
        if moved == 0 {
            break;
        }
    }
}

impl Topic {
    /// Gives free partitions to the subscribers with the least.
    fn fill(&mut self, loads: &mut [usize]) {
        if self.owners.iter().all(Option::is_some) {
            return;
        }
        let mut least: BTreeSet<(usize, usize)> =
            self.subscribers.iter().map(|&member| (loads[member], member)).collect();
        for owner in self.owners.iter_mut().filter(|owner| owner.is_none()) {
            let Some((load, member)) = least.pop_first() else { return };
            *owner = Some(member);
            loads[member] = load + 1;
            least.insert((load + 1, member));
        }
    }

    /// Moves partitions from those with the most to those with the least, while that evens out.
    /// Returns how many were moved.
    fn even_out(&mut self, loads: &mut [usize]) -> usize {
        let least = self.subscribers.iter().map(|&member| loads[member]).min().unwrap_or(0);
        let most = self.subscribers.iter().map(|&member| loads[member]).max().unwrap_or(0);
        if most - least <= 1 {
            return 0;
        }
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in self.owners.iter().enumerate() {
            if let Some(owner) = owner {
                owned.entry(*owner).or_default().push(partition);
            }
        }
        let mut by_load: BTreeSet<(usize, usize)> =
            self.subscribers.iter().map(|&member| (loads[member], member)).collect();
        // Only those who have some of this topic can give; each giver is looked at by its load.
        let mut givers: BTreeSet<(usize, Reverse<usize>)> =
            owned.keys().map(|&member| (loads[member], Reverse(member))).collect();
        let mut moved = 0;
        while let (Some(&(most, Reverse(giver))), Some(&(least, taker))) =
            (givers.last(), by_load.first())
        {
            if most <= least + 1 {
                break;
            }
            let Some(partition) = owned.get_mut(&giver).and_then(Vec::pop) else {
                givers.pop_last();
                continue;
            };
            self.owners[partition] = Some(taker);
            loads[giver] -= 1;
            loads[taker] += 1;
            givers.pop_last();
            by_load.remove(&(most, giver));
            by_load.insert((most - 1, giver));
            by_load.remove(&(least, taker));
            by_load.insert((least + 1, taker));
            givers.insert((most - 1, Reverse(giver)));
            if givers.remove(&(least, Reverse(taker))) {
                givers.insert((least + 1, Reverse(taker)));
            }
            moved += 1;
        }
        moved
    }
}
