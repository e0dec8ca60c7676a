//! What the members of a classic group tell each other through the coordinator, which does not
//! look into it: subscriptions, assignments, and the sticky assignor's own data.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::internal::consumer_protocol::{
    AssignedTopicPartition, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    OwnedTopicPartition,
};
use ottla_protocol::internal::value_bytes;
use ottla_protocol::wire::{Message, ReadError, Reader, Ver, Wire, WriteError, Writer};

use crate::partition::TopicPartition;

/// The prefix of a subscription and of an assignment is its version; all their fields are classic.
const CLASSIC: Ver = Ver { version: 0, flexible: false };
/// The newest version of both. Members that know only older ones read those, since fields were
/// added at the end alone.
const NEWEST: i16 = 3;

/// What a member wants and has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The topics that it wants.
    pub(super) topics: Vec<Arc<str>>,
    /// The assignor's own data.
    pub(super) user_data: Option<Vec<u8>>,
    /// The partitions that it keeps over the rebalance.
    pub(super) owned: Vec<TopicPartition>,
    /// The generation in which it got them; `None` when it is not told, or in none.
    pub(super) generation: Option<i32>,
    /// Its rack.
    pub(super) rack: Option<String>,
}

impl Subscription {
    /// # Errors
    /// A name is too long for the format.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let mut topics: Vec<&str> = self.topics.iter().map(|topic| &**topic).collect();
        topics.sort_unstable();
        let by_topic = by_topic(&self.owned);
        let owned = by_topic.into_iter();
        let subscription = ConsumerProtocolSubscription {
            topics,
            user_data: self.user_data.as_deref(),
            owned_partitions: owned
                .map(|(topic, partitions)| OwnedTopicPartition { topic, partitions })
                .collect(),
            generation_id: self.generation.unwrap_or(-1),
            rack_id: self.rack.as_deref(),
        };
        value_bytes(&subscription, NEWEST)
    }

    /// # Errors
    /// It is none.
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let read = ConsumerProtocolSubscription::from_metadata(bytes)?;
        let owned = read.owned_partitions.iter();
        Ok(Self {
            topics: read.topics.iter().map(|topic| Arc::from(*topic)).collect(),
            user_data: read.user_data.map(<[u8]>::to_vec),
            owned: owned.flat_map(|of| partitions(of.topic, &of.partitions)).collect(),
            generation: Some(read.generation_id).filter(|generation| *generation >= 0),
            rack: read.rack_id.map(str::to_owned),
        })
    }
}

/// A member's assignment as bytes.
pub(super) fn assignment_bytes(assigned: &[TopicPartition]) -> Result<Vec<u8>, WriteError> {
    let by_topic = by_topic(assigned).into_iter();
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: by_topic
            .map(|(topic, partitions)| AssignedTopicPartition { topic, partitions })
            .collect(),
        user_data: None,
    };
    value_bytes(&assignment, NEWEST)
}

/// A member's assignment out of bytes. No bytes are none: a leader that has left a member out.
///
/// # Errors
/// It is none.
pub(super) fn assignment_of(bytes: &[u8]) -> Result<Vec<TopicPartition>, ReadError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let version = i16::read(&mut reader, CLASSIC)?;
    let read = ConsumerProtocolAssignment::decode(&mut reader, version.min(NEWEST))?;
    let assigned = read.assigned_partitions.iter();
    Ok(assigned.flat_map(|of| partitions(of.topic, &of.partitions)).collect())
}

/// What a member of a group with the sticky assignor has had, and in which generation: it tells
/// that apart from what it has, which is nothing by the time it joins. Version 1 of Java's format:
///
/// | field | type |
/// |---|---|
/// | previous assignment | array of topic (string) and partitions (array of int32) |
/// | generation | int32; version 0 had none |
pub(super) fn sticky_data(had: &[TopicPartition], generation: i32) -> Result<Vec<u8>, WriteError> {
    let by_topic = by_topic(had);
    let mut writer = Writer::new();
    writer.length(Some(by_topic.len()), false)?;
    for (topic, partitions) in by_topic {
        topic.write(&mut writer, CLASSIC)?;
        partitions.write(&mut writer, CLASSIC)?;
    }
    generation.write(&mut writer, CLASSIC)?;
    Ok(writer.finish().bytes)
}

/// Reads [`sticky_data`] of version 0 or 1.
///
/// # Errors
/// It is neither.
pub(super) fn sticky_data_of(
    bytes: &[u8],
) -> Result<(Vec<TopicPartition>, Option<i32>), ReadError> {
    let mut reader = Reader::new(bytes);
    let count = i32::read(&mut reader, CLASSIC)?;
    let mut had = Vec::new();
    // Each takes bytes, so that a count that lies ends with them.
    for _ in 0..count {
        let topic = <&str>::read(&mut reader, CLASSIC)?;
        let numbers = Vec::<i32>::read(&mut reader, CLASSIC)?;
        had.extend(partitions(topic, &numbers));
    }
    let has_generation = !reader.remaining().is_empty();
    let generation = has_generation.then(|| i32::read(&mut reader, CLASSIC)).transpose()?;
    Ok((had, generation))
}

/// The cooperative assignor's own data: the generation, for members that do not know it from the
/// subscription.
pub(super) fn cooperative_data(generation: i32) -> Vec<u8> {
    generation.to_be_bytes().to_vec()
}

/// Reads [`cooperative_data`].
pub(super) fn cooperative_data_of(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|generation| i32::from_be_bytes(*generation))
}

fn partitions(topic: &str, numbers: &[i32]) -> impl Iterator<Item = TopicPartition> {
    let topic: Arc<str> = topic.into();
    numbers
        .iter()
        .map(move |number| TopicPartition { topic: Arc::clone(&topic), partition: *number })
}

fn by_topic(all: &[TopicPartition]) -> BTreeMap<&str, Vec<i32>> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for of in all {
        by_topic.entry(&of.topic).or_default().push(of.partition);
    }
    by_topic.values_mut().for_each(|partitions| partitions.sort_unstable());
    by_topic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<TopicPartition> {
        [("a", 0), ("a", 7), ("b", 1)].map(|(topic, of)| TopicPartition::new(topic, of)).to_vec()
    }

    #[test]
    fn subscriptions_come_back() {
        let full = Subscription {
            topics: vec!["a".into(), "b".into()],
            user_data: Some(vec![1, 2]),
            owned: some(),
            generation: Some(3),
            rack: Some("r".to_owned()),
        };
        for one in [full, Subscription::default()] {
            let bytes = one.to_bytes().unwrap();
            assert_eq!(Subscription::of_bytes(&bytes).unwrap(), one);
            for end in 0..bytes.len() {
                assert!(Subscription::of_bytes(&bytes[..end]).is_err());
            }
        }
    }

    #[test]
    fn a_subscription_of_an_older_member_has_no_owned_partitions() {
        let bytes = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
        let read = Subscription::of_bytes(&bytes).unwrap();
        assert_eq!(read, Subscription { topics: vec!["t".into()], ..Default::default() });
    }

    #[test]
    fn assignments_come_back() {
        let bytes = assignment_bytes(&some()).unwrap();
        assert_eq!(assignment_of(&bytes).unwrap(), some());
        assert!(assignment_of(&[]).unwrap().is_empty());
        for end in 1..bytes.len() {
            assert!(assignment_of(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn the_sticky_assignors_data_come_back() {
        let bytes = sticky_data(&some(), 9).unwrap();
        assert_eq!(sticky_data_of(&bytes).unwrap(), (some(), Some(9)));
        let old = &bytes[..bytes.len() - 4];
        assert_eq!(sticky_data_of(old).unwrap(), (some(), None));
        assert!(sticky_data_of(&[0x7f, 0xff, 0xff, 0xff, 0, 1]).is_err());
        assert_eq!(cooperative_data_of(&cooperative_data(5)), Some(5));
        assert_eq!(cooperative_data_of(&[0, 1]), None);
    }
}
