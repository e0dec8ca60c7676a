//! Sets of partitions as sorted lists: small, and compared by merging.

use std::cmp::Ordering;

use ottla_protocol::internal::consumer_group::{TopicPartition as TopicTarget, TopicPartitions};
use ottla_protocol::uuid::Uuid;

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's id.
    pub topic: Uuid,
    /// The partition's number, from 0.
    pub partition: i32,
}

/// A partition that a member has, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::group) struct Held {
    pub(in crate::group) at: TopicPartition,
    /// The member epoch at which it was assigned: commits from before are fenced.
    pub(in crate::group) epoch: i32,
}

/// Where `at` is in a sorted list.
pub(super) fn find(held: &[Held], at: TopicPartition) -> Option<Held> {
    held.binary_search_by(|one| one.at.cmp(&at)).ok().map(|index| held[index])
}

/// Splits `held` into what is also in `target` and what is not. Both are sorted.
pub(super) fn split(
    held: &[Held],
    keep: impl Fn(TopicPartition) -> bool,
) -> (Vec<Held>, Vec<Held>) {
    held.iter().partition(|one| keep(one.at))
}

/// Joins two sorted lists that have nothing in common.
pub(super) fn merge(left: &[Held], right: &[Held]) -> Vec<Held> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let next = match one.at.cmp(&other.at) {
            Ordering::Less => left.next(),
            Ordering::Greater => right.next(),
            Ordering::Equal => {
                left.next();
                right.next()
            }
        };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

/// Groups a sorted list by topic.
pub(super) fn by_topic(
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> Vec<(Uuid, Vec<i32>)> {
    let mut topics: Vec<(Uuid, Vec<i32>)> = Vec::new();
    for at in partitions {
        match topics.last_mut() {
            Some((topic, numbers)) if *topic == at.topic => numbers.push(at.partition),
            _ => topics.push((at.topic, vec![at.partition])),
        }
    }
    topics
}

/// The form of a target assignment's record.
pub(super) fn target_to_record(target: &[TopicPartition]) -> Vec<TopicTarget> {
    by_topic(target.iter().copied())
        .into_iter()
        .map(|(topic_id, partitions)| TopicTarget { topic_id, partitions })
        .collect()
}

/// Reads the form of a target assignment's record.
pub(super) fn target_from_record(topics: &[TopicTarget]) -> Vec<TopicPartition> {
    let mut target: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| {
            let at = |&partition| TopicPartition { topic: topic.topic_id, partition };
            topic.partitions.iter().map(at)
        })
        .collect();
    target.sort_unstable();
    target.dedup();
    target
}

/// The form of a current assignment's record.
pub(super) fn held_to_record(held: &[Held]) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for one in held {
        if topics.last().is_none_or(|topic| topic.topic_id != one.at.topic) {
            topics.push(TopicPartitions {
                topic_id: one.at.topic,
                partitions: Vec::new(),
                assignment_epochs: Some(Vec::new()),
            });
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(one.at.partition);
            topic.assignment_epochs.get_or_insert_default().push(one.epoch);
        }
    }
    topics
}

/// Reads the form of a current assignment's record. Where it does not say since when (Kafka before
/// 4.3), that is `member_epoch`.
pub(super) fn held_from_record(topics: &[TopicPartitions], member_epoch: i32) -> Vec<Held> {
    let mut held = Vec::new();
    for topic in topics {
        let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
        let known = epochs.len() == topic.partitions.len();
        for (index, &partition) in topic.partitions.iter().enumerate() {
            let epoch = if known { epochs[index] } else { member_epoch.max(0) };
            let at = TopicPartition { topic: topic.topic_id, partition };
            held.push(Held { at, epoch });
        }
    }
    held.sort_unstable_by_key(|one| one.at);
    held.dedup_by_key(|one| one.at);
    held
}
