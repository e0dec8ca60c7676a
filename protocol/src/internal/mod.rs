//! Records that brokers keep for themselves: `__consumer_offsets`, `__transaction_state`,
//! `__share_group_state`, and the producer snapshots beside the logs.
//!
//! In the three topics a key is an int16 that says its kind and then the key's fields, all classic.
//! A value is an int16 version and then the value's fields; no value (a tombstone) deletes the key.

pub mod classic_group;
pub mod consumer_group;
pub mod consumer_protocol;
pub mod offset;
pub mod producer_snapshot;
pub mod share_group;
pub mod share_state;
pub mod streams_group;
pub mod transaction;

use classic_group::*;
use consumer_group::*;
use offset::*;
use transaction::*;

use crate::wire::{Message, ReadError, Reader, Ver, Wire, WriteError, Writer};

/// The prefix of keys and values: classic, as all keys are.
const PREFIX: Ver = Ver { version: 0, flexible: false };
/// The only version that keys have: a new layout gets a new kind.
const KEY_VERSION: i16 = 0;

macro_rules! keys {
    ($(#[$enum_meta:meta])* $enum:ident; $(
        $(#[$meta:meta])*
        $kind:literal $name:ident($record:ident);
    )*) => {
        $(#[$enum_meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $enum<'a> {
            $( $(#[$meta])* $name($record<'a>), )*
            /// A key of this kind, which is not known here: such records are to be left alone.
            Unknown(i16),
        }

        impl<'a> $enum<'a> {
            /// The kinds and the names that Kafka's schemas have for their keys.
            #[cfg(any(test, feature = "schema"))]
            pub const KINDS: &'static [(&'static str, i16)] = &[$((stringify!($record), $kind)),*];

            /// Reads a record's key.
            ///
            /// # Errors
            /// When the bytes are not a key of the kind that they state.
            pub fn read(key: &'a [u8]) -> Result<Self, ReadError> {
                let mut reader = Reader::new(key);
                Ok(match i16::read(&mut reader, PREFIX)? {
                    $( $kind => Self::$name($record::decode(&mut reader, KEY_VERSION)?), )*
                    unknown => Self::Unknown(unknown),
                })
            }

            /// The key's bytes. Of an unknown one, nothing but the kind is left.
            ///
            /// # Errors
            /// When a string is too long.
            pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
                let mut writer = Writer::new();
                match self {
                    $(
                        Self::$name(record) => {
                            let kind: i16 = $kind;
                            kind.write(&mut writer, PREFIX)?;
                            record.encode(&mut writer, KEY_VERSION)?;
                        }
                    )*
                    Self::Unknown(kind) => kind.write(&mut writer, PREFIX)?,
                }
                Ok(writer.finish().bytes)
            }
        }
    };
}

keys! {
    /// A key in `__consumer_offsets`. Those of share and streams groups are unknown ones.
    GroupKey;
    /// A committed offset from before Kafka 0.9; the fields are those of [`OffsetCommitKey`].
    0 LegacyOffsetCommit(LegacyOffsetCommitKey);
    /// A committed offset; the value is an [`OffsetCommitValue`].
    1 OffsetCommit(OffsetCommitKey);
    /// A classic group; the value is a [`GroupMetadataValue`].
    2 GroupMetadata(GroupMetadataKey);
    /// A consumer group; the value is a [`ConsumerGroupMetadataValue`].
    3 ConsumerGroupMetadata(ConsumerGroupMetadataKey);
    /// What a group knows of its topics; no longer written by 4.3.
    4 ConsumerGroupPartitionMetadata(ConsumerGroupPartitionMetadataKey);
    /// A member; the value is a [`ConsumerGroupMemberMetadataValue`].
    5 ConsumerGroupMemberMetadata(ConsumerGroupMemberMetadataKey);
    /// A target assignment; the value is a [`ConsumerGroupTargetAssignmentMetadataValue`].
    6 ConsumerGroupTargetAssignmentMetadata(ConsumerGroupTargetAssignmentMetadataKey);
    /// A member's part of it; the value is a [`ConsumerGroupTargetAssignmentMemberValue`].
    7 ConsumerGroupTargetAssignmentMember(ConsumerGroupTargetAssignmentMemberKey);
    /// What a member has; the value is a [`ConsumerGroupCurrentMemberAssignmentValue`].
    8 ConsumerGroupCurrentMemberAssignment(ConsumerGroupCurrentMemberAssignmentKey);
    /// A regular expression; the value is a [`ConsumerGroupRegularExpressionValue`].
    16 ConsumerGroupRegularExpression(ConsumerGroupRegularExpressionKey);
}

keys! {
    /// A key in `__transaction_state`.
    TransactionKey;
    /// A transactional id; the value is a [`TransactionLogValue`].
    0 TransactionLog(TransactionLogKey);
}

/// Reads a value behind its version. Bytes after it are ignored, as Kafka does.
///
/// # Errors
/// When the version is not known or the bytes are not such a value.
pub fn read_value<'a, T: Message<'a>>(value: &'a [u8]) -> Result<T, ReadError> {
    let mut reader = Reader::new(value);
    let version = i16::read(&mut reader, PREFIX)?;
    T::decode(&mut reader, version)
}

/// A value's bytes, with its version in front.
///
/// # Errors
/// When the version does not exist, or a field has no form in it.
pub fn value_bytes<'a, T: Message<'a>>(value: &T, version: i16) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer::new();
    version.write(&mut writer, PREFIX)?;
    value.encode(&mut writer, version)?;
    Ok(writer.finish().bytes)
}

/// Kinds of keys that only tools read, by the names that Kafka's schemas have for them: share and
/// streams groups, and the state of share groups.
#[cfg(any(test, feature = "schema"))]
pub const OTHER_KINDS: &[(&str, i16)] = &[
    ("ShareGroupMemberMetadataKey", 10),
    ("ShareGroupMetadataKey", 11),
    ("ShareGroupTargetAssignmentMetadataKey", 12),
    ("ShareGroupTargetAssignmentMemberKey", 13),
    ("ShareGroupCurrentMemberAssignmentKey", 14),
    ("ShareGroupStatePartitionMetadataKey", 15),
    ("StreamsGroupMetadataKey", 17),
    ("StreamsGroupMemberMetadataKey", 19),
    ("StreamsGroupTargetAssignmentMetadataKey", 20),
    ("StreamsGroupTargetAssignmentMemberKey", 21),
    ("StreamsGroupCurrentMemberAssignmentKey", 22),
    ("StreamsGroupTopologyKey", 23),
    ("ShareSnapshotKey", 0),
    ("ShareUpdateKey", 1),
];

/// All keys and values.
#[cfg(any(test, feature = "schema"))]
pub fn registry() -> Vec<crate::wire::reflect::MessageSchema> {
    crate::wire::reflect::registry![
        OffsetCommitKey,
        OffsetCommitValue,
        GroupMetadataKey,
        GroupMetadataValue,
        ConsumerGroupMetadataKey,
        ConsumerGroupMetadataValue,
        ConsumerGroupPartitionMetadataKey,
        ConsumerGroupPartitionMetadataValue,
        ConsumerGroupMemberMetadataKey,
        ConsumerGroupMemberMetadataValue,
        ConsumerGroupTargetAssignmentMetadataKey,
        ConsumerGroupTargetAssignmentMetadataValue,
        ConsumerGroupTargetAssignmentMemberKey,
        ConsumerGroupTargetAssignmentMemberValue,
        ConsumerGroupCurrentMemberAssignmentKey,
        ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupRegularExpressionKey,
        ConsumerGroupRegularExpressionValue,
        TransactionLogKey,
        TransactionLogValue,
        LegacyOffsetCommitKey,
        LegacyOffsetCommitValue,
        share_group::ShareGroupMemberMetadataKey,
        share_group::ShareGroupMemberMetadataValue,
        share_group::ShareGroupMetadataKey,
        share_group::ShareGroupMetadataValue,
        share_group::ShareGroupTargetAssignmentMetadataKey,
        share_group::ShareGroupTargetAssignmentMetadataValue,
        share_group::ShareGroupTargetAssignmentMemberKey,
        share_group::ShareGroupTargetAssignmentMemberValue,
        share_group::ShareGroupCurrentMemberAssignmentKey,
        share_group::ShareGroupCurrentMemberAssignmentValue,
        share_group::ShareGroupStatePartitionMetadataKey,
        share_group::ShareGroupStatePartitionMetadataValue,
        streams_group::StreamsGroupMetadataKey,
        streams_group::StreamsGroupMetadataValue,
        streams_group::StreamsGroupMemberMetadataKey,
        streams_group::StreamsGroupMemberMetadataValue,
        streams_group::StreamsGroupTargetAssignmentMetadataKey,
        streams_group::StreamsGroupTargetAssignmentMetadataValue,
        streams_group::StreamsGroupTargetAssignmentMemberKey,
        streams_group::StreamsGroupTargetAssignmentMemberValue,
        streams_group::StreamsGroupCurrentMemberAssignmentKey,
        streams_group::StreamsGroupCurrentMemberAssignmentValue,
        streams_group::StreamsGroupTopologyKey,
        streams_group::StreamsGroupTopologyValue,
        share_state::ShareSnapshotKey,
        share_state::ShareSnapshotValue,
        share_state::ShareUpdateKey,
        share_state::ShareUpdateValue,
        producer_snapshot::ProducerSnapshot,
        consumer_protocol::ConsumerProtocolSubscription,
        consumer_protocol::ConsumerProtocolAssignment,
    ]
}

#[cfg(test)]
mod tests;
