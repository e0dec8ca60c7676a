//! Racks: members read from brokers in their own where that leaves an assignment as even as it is
//! (KIP-881).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Layout, Member, TopicPartition};

/// The racks of the brokers that have a partition.
pub(in super::super) type Racks = BTreeSet<Arc<str>>;

/// The rack that a member has told.
pub(super) fn rack_of(member: &Member) -> Option<&str> {
    member.subscription.rack.as_deref().filter(|rack| !rack.is_empty())
}

/// Whether it matters who gets what: a member has a rack that partitions are in, and not all of
/// them are in the same racks.
pub(super) fn matter<'a>(
    members: impl IntoIterator<Item = &'a Member>,
    partitions: impl IntoIterator<Item = &'a Racks>,
) -> bool {
    let mut partitions = partitions.into_iter();
    let Some(first) = partitions.next() else { return false };
    let mut all: BTreeSet<&str> = first.iter().map(|rack| &**rack).collect();
    let mut is_same = true;
    for racks in partitions {
        is_same &= racks == first;
        all.extend(racks.iter().map(|rack| &**rack));
    }
    !is_same && members.into_iter().filter_map(rack_of).any(|rack| all.contains(rack))
}

/// Who is near what.
pub(super) struct Near<'a> {
    /// By members.
    racks: Vec<Option<&'a str>>,
    layout: &'a Layout,
}

impl<'a> Near<'a> {
    /// `None` when racks do not matter. `members` want all these topics.
    pub(super) fn new(
        members: &[&'a Member],
        topics: &BTreeSet<&Arc<str>>,
        layout: &'a Layout,
    ) -> Option<Self> {
        let partitions = topics.iter().filter_map(|topic| layout.get(*topic)).flatten();
        let is_so = matter(members.iter().copied(), partitions);
        is_so.then(|| Self { racks: members.iter().map(|one| rack_of(one)).collect(), layout })
    }

    /// The rack of a member.
    pub(super) fn rack(&self, member: usize) -> Option<&'a str> {
        self.racks[member]
    }

    /// The racks of a partition.
    pub(super) fn racks(&self, partition: &TopicPartition) -> impl Iterator<Item = &'a str> {
        let number = usize::try_from(partition.partition).ok();
        let topic = self.layout.get(&partition.topic);
        let racks = topic.zip(number).and_then(|(topic, number)| topic.get(number));
        racks.into_iter().flatten().map(|rack| &**rack)
    }

    /// Whether a partition is in a member's rack.
    pub(super) fn is_near(&self, member: usize, partition: &TopicPartition) -> bool {
        self.rack(member).is_some_and(|rack| self.racks(partition).any(|of| of == rack))
    }

    /// Whether it is in other racks than a member that has one.
    pub(super) fn is_far(&self, member: usize, partition: &TopicPartition) -> bool {
        self.rack(member).is_some() && !self.is_near(member, partition)
    }
}
