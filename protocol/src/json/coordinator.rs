//! Keys and values of `__consumer_offsets`, `__transaction_state` and `__share_group_state`.

use std::fmt::Write;

use super::decode::{Fault, MemberSchemas, Schema};
use crate::internal::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use crate::internal::{
    classic_group, consumer_group, offset, share_group, share_state, streams_group, transaction,
};

/// What stands for a value that is null: the record deletes its key.
const TOMBSTONE: &str = "<DELETE>";
/// The kind of classic groups' records.
const GROUP_METADATA: i16 = 2;

/// Reads the records of one internal topic.
#[derive(Clone, Debug)]
pub struct Decoder {
    kinds: Vec<Kind>,
    /// Of classic groups, where the topic has them.
    member: Option<MemberSchemas>,
}

#[derive(Clone, Debug)]
struct Kind {
    number: i16,
    key: Schema,
    value: Schema,
}

/// A record's key and payload as text; `None` for what is not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The key as JSON, or what is wrong with the record.
    pub key: Option<String>,
    /// The value as JSON.
    pub payload: Option<String>,
}

/// A record without a key, which these topics do not have: Kafka's tool gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingKey;

macro_rules! kinds {
    ($($number:literal $module:ident::$key:ident $value:ident;)*) => {
        vec![$(Kind {
            number: $number,
            key: Schema::of::<$module::$key>(),
            value: Schema::of::<$module::$value>(),
        }),*]
    };
}

impl Decoder {
    /// Of `__consumer_offsets`: offsets, classic, consumer, share and streams groups.
    pub fn offsets() -> Self {
        let kinds = kinds! {
            0 offset::LegacyOffsetCommitKey LegacyOffsetCommitValue;
            1 offset::OffsetCommitKey OffsetCommitValue;
            2 classic_group::GroupMetadataKey GroupMetadataValue;
            3 consumer_group::ConsumerGroupMetadataKey ConsumerGroupMetadataValue;
            4 consumer_group::ConsumerGroupPartitionMetadataKey ConsumerGroupPartitionMetadataValue;
            5 consumer_group::ConsumerGroupMemberMetadataKey ConsumerGroupMemberMetadataValue;
            6 consumer_group::ConsumerGroupTargetAssignmentMetadataKey
                ConsumerGroupTargetAssignmentMetadataValue;
            7 consumer_group::ConsumerGroupTargetAssignmentMemberKey
                ConsumerGroupTargetAssignmentMemberValue;
            8 consumer_group::ConsumerGroupCurrentMemberAssignmentKey
                ConsumerGroupCurrentMemberAssignmentValue;
            10 share_group::ShareGroupMemberMetadataKey ShareGroupMemberMetadataValue;
            11 share_group::ShareGroupMetadataKey ShareGroupMetadataValue;
            12 share_group::ShareGroupTargetAssignmentMetadataKey
                ShareGroupTargetAssignmentMetadataValue;
            13 share_group::ShareGroupTargetAssignmentMemberKey
                ShareGroupTargetAssignmentMemberValue;
            14 share_group::ShareGroupCurrentMemberAssignmentKey
                ShareGroupCurrentMemberAssignmentValue;
            15 share_group::ShareGroupStatePartitionMetadataKey
                ShareGroupStatePartitionMetadataValue;
            16 consumer_group::ConsumerGroupRegularExpressionKey
                ConsumerGroupRegularExpressionValue;
            17 streams_group::StreamsGroupMetadataKey StreamsGroupMetadataValue;
            19 streams_group::StreamsGroupMemberMetadataKey StreamsGroupMemberMetadataValue;
            20 streams_group::StreamsGroupTargetAssignmentMetadataKey
                StreamsGroupTargetAssignmentMetadataValue;
            21 streams_group::StreamsGroupTargetAssignmentMemberKey
                StreamsGroupTargetAssignmentMemberValue;
            22 streams_group::StreamsGroupCurrentMemberAssignmentKey
                StreamsGroupCurrentMemberAssignmentValue;
            23 streams_group::StreamsGroupTopologyKey StreamsGroupTopologyValue;
        };
        let member = MemberSchemas {
            subscription: Schema::of::<ConsumerProtocolSubscription>(),
            assignment: Schema::of::<ConsumerProtocolAssignment>(),
        };
        Self { kinds, member: Some(member) }
    }

    /// Of `__transaction_state`.
    pub fn transactions() -> Self {
        let kinds = kinds! { 0 transaction::TransactionLogKey TransactionLogValue; };
        Self { kinds, member: None }
    }

    /// Of `__share_group_state`.
    pub fn share_state() -> Self {
        let kinds = kinds! {
            0 share_state::ShareSnapshotKey ShareSnapshotValue;
            1 share_state::ShareUpdateKey ShareUpdateValue;
        };
        Self { kinds, member: None }
    }

    /// The record at `offset` as text. One that cannot be read says so in place of its key.
    ///
    /// # Errors
    /// When there is no key.
    pub fn decode(
        &self,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Line, MissingKey> {
        let key = key.ok_or(MissingKey)?;
        Ok(match self.read(key, value) {
            Ok((key, payload)) => Line { key: Some(key), payload: Some(payload) },
            Err(problem) => {
                let key = match problem {
                    Problem::UnknownType(number) => {
                        format!("Unknown record type {number} at offset {offset}, skipping.")
                    }
                    Problem::Unreadable(text) => {
                        format!("Error at offset {offset}, skipping. {text}")
                    }
                };
                Line { key: Some(key), payload: None }
            }
        })
    }

    fn read(&self, key: &[u8], value: Option<&[u8]>) -> Result<(String, String), Problem> {
        let (number, body) = version(key, "key")?;
        let kind = self.kinds.iter().find(|kind| kind.number == number);
        let kind = kind.ok_or(Problem::UnknownType(number))?;
        let key = kind.key.json(body, 0).map_err(|fault| unreadable(&fault, 0, "key"))?.0;
        let key = format!("{{\"type\":\"{number}\",\"data\":{key}}}");
        let Some(value) = value else { return Ok((key, TOMBSTONE.to_owned())) };
        let (version, body) = version(value, "value")?;
        let schema = &kind.value;
        if version < schema.version_min || version > schema.version_max {
            return Err(Problem::Unreadable(format!(
                "Found an unknown record version {version} for {number} type"
            )));
        }
        let json = match &self.member {
            Some(member) if number == GROUP_METADATA => schema.json_of_group(body, version, member),
            _ => schema.json(body, version),
        };
        let json = json.map_err(|fault| unreadable(&fault, version, "value"))?.0;
        let mut payload = String::with_capacity(json.len() + 32);
        _ = write!(payload, "{{\"version\":\"{version}\",\"data\":{json}}}");
        Ok((key, payload))
    }
}

enum Problem {
    UnknownType(i16),
    Unreadable(String),
}

fn unreadable(fault: &Fault, version: i16, of: &str) -> Problem {
    let why = fault.text();
    Problem::Unreadable(format!(
        "Could not read record with version {version} from {of}'s buffer due to: {why}."
    ))
}

fn version<'a>(bytes: &'a [u8], of: &str) -> Result<(i16, &'a [u8]), Problem> {
    match bytes.split_first_chunk() {
        Some((version, body)) => Ok((i16::from_be_bytes(*version), body)),
        None => Err(Problem::Unreadable(format!("Could not read version from {of}'s buffer."))),
    }
}
