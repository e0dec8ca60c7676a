//! The records of committed offsets: made from requests, and taken back in.

use std::sync::Arc;

use ottla_protocol::internal::offset::{LegacyOffsetCommitKey, OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::internal::{GroupKey, read_value, value_bytes};
use ottla_protocol::wire::WriteError;

use super::Offsets;
use crate::group::classic::ClassicGroup;
use crate::group::{Group, GroupShard};
use crate::record::{Origin, Record, ReplayError};

/// The version that has topic ids, which is written.
const VALUE_VERSION: i16 = 4;
/// The only version that has a moment of expiry, written for commits that give one. It has neither
/// leader epoch nor topic id.
const VALUE_VERSION_WITH_EXPIRY: i16 = 1;

/// The record of a committed offset.
///
/// # Errors
/// When a name is longer than 32,767 bytes, which records have no room for.
pub(super) fn commit(
    key: OffsetCommitKey<'_>,
    value: &OffsetCommitValue<'_>,
) -> Result<Record, WriteError> {
    let version = match value.expire_timestamp {
        -1 => VALUE_VERSION,
        _ => VALUE_VERSION_WITH_EXPIRY,
    };
    let value = value_bytes(value, version)?;
    Ok(Record { key: GroupKey::OffsetCommit(key).to_bytes()?, value: Some(value) })
}

/// The record that deletes a committed offset that was replayed before.
pub(super) fn tombstone(group_id: &str, topic: &str, partition: i32) -> Record {
    let key = OffsetCommitKey { group: group_id, topic, partition };
    let key = GroupKey::OffsetCommit(key).to_bytes().expect("a key that was read can be written");
    Record { key, value: None }
}

impl GroupShard {
    /// Takes a committed offset into account. A group that is not there becomes a simple one:
    /// without members and without a protocol.
    pub(in crate::group) fn replay_offset_commit(
        &mut self,
        key: &OffsetCommitKey<'_>,
        value: Option<&[u8]>,
        origin: &Origin,
    ) -> Result<(), ReplayError> {
        let value = value.map(read_value).transpose().map_err(ReplayError::Value)?;
        if value.is_some() && !self.groups.contains_key(key.group) {
            let simple = Group::Classic(Box::new(ClassicGroup::simple()));
            self.groups.insert(Arc::from(key.group), simple);
        }
        self.offsets.replay(key, value.as_ref(), origin);
        Ok(())
    }

    /// Takes an offset from before Kafka 0.9 into account: the keys have the same fields, and
    /// Kafka, too, takes either kind of value with either kind of key.
    pub(in crate::group) fn replay_legacy_offset_commit(
        &mut self,
        key: &LegacyOffsetCommitKey<'_>,
        value: Option<&[u8]>,
        origin: &Origin,
    ) -> Result<(), ReplayError> {
        let key = OffsetCommitKey { group: key.group, topic: key.topic, partition: key.partition };
        self.replay_offset_commit(&key, value, origin)
    }

    /// Takes the end of a producer's transaction into account.
    pub(in crate::group) fn replay_offset_marker(&mut self, producer_id: i64, committed: bool) {
        self.offsets.replay_marker(producer_id, committed);
    }
}

impl Offsets {
    /// Adds the records that delete all offsets of the group, pending ones too.
    pub(in crate::group) fn push_tombstones(&self, group_id: &str, records: &mut Vec<Record>) {
        let Some(group) = self.groups.get(group_id) else { return };
        let only_pending =
            group.pending.keys().filter(|place| !group.committed.contains_key(place));
        let mut places: Vec<_> = group.committed.keys().chain(only_pending).collect();
        places.sort_unstable();
        records.extend(
            places
                .into_iter()
                .map(|place| tombstone(group_id, self.topics.value(place.topic), place.partition)),
        );
    }
}
