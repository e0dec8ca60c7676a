//! The format of subscriptions and assignments in classic consumer groups.
//!
//! Brokers carry them as bytes, but look into the subscriptions of groups of protocol type
//! `consumer`: offsets of a topic that is still subscribed to are neither deleted nor expired.

use crate::wire::{Message, ReadError, Reader, Ver, Wire, messages};

messages! {
    /// What a member of a classic consumer group wants.
    struct ConsumerProtocolSubscription<'a> [0..=3] {
        /// The topics that the member wants.
        topics: Vec<&'a str> [0..];
        /// The assignor's own data.
        user_data: Option<&'a [u8]> [0..];
        /// The partitions that the member has, to be left to it where possible.
        owned_partitions: Vec<OwnedTopicPartition<'a>> [1.., ignorable];
        /// The generation in which it got them; -1 for none.
        generation_id: i32 [2.., ignorable] = -1;
        /// The member's rack; null when it has none.
        rack_id: Option<&'a str> [3.., ignorable];
    }

    /// Partitions that the member has.
    struct OwnedTopicPartition<'a> {
        /// The topic's name.
        topic: &'a str [1..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [1..];
    }

    /// What a member of a classic consumer group gets.
    struct ConsumerProtocolAssignment<'a> [0..=3] {
        /// The partitions, by topic.
        assigned_partitions: Vec<AssignedTopicPartition<'a>> [0..];
        /// The assignor's own data.
        user_data: Option<&'a [u8]> [0..];
    }

    /// Partitions that the member gets.
    struct AssignedTopicPartition<'a> {
        /// The topic's name.
        topic: &'a str [0..];
        /// The partitions' numbers within their topic.
        partitions: Vec<i32> [0..];
    }
}

impl<'a> ConsumerProtocolSubscription<'a> {
    /// Reads a subscription behind its int16 version. A version from the future is read as the
    /// newest one known: they only add fields at the end.
    ///
    /// # Errors
    /// When the version is negative or the bytes are not a subscription.
    pub fn from_metadata(metadata: &'a [u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(metadata);
        let version = i16::read(&mut reader, Ver { version: 0, flexible: false })?;
        Self::decode(&mut reader, version.min(*Self::VERSIONS.end()))
    }
}
