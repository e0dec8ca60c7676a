//! Committed offsets.

use ottla_protocol::internal::offset::{LegacyOffsetCommitKey, OffsetCommitKey};

use super::GroupShard;
use crate::record::{Origin, Record, ReplayError};

/// The committed offsets of a shard.
#[derive(Default)]
pub(super) struct Offsets {}

impl Offsets {
    /// Adds the records that delete all offsets of the group.
    pub(super) fn push_tombstones(&self, _group_id: &str, _records: &mut Vec<Record>) {}
}

impl GroupShard {
    /// Takes a committed offset into account.
    pub(super) fn replay_offset_commit(
        &mut self,
        _key: &OffsetCommitKey<'_>,
        _value: Option<&[u8]>,
        _origin: &Origin,
    ) -> Result<(), ReplayError> {
        Ok(())
    }

    /// Takes an offset from before Kafka 0.9 into account.
    pub(super) fn replay_legacy_offset_commit(
        &mut self,
        _key: &LegacyOffsetCommitKey<'_>,
        _value: Option<&[u8]>,
        _origin: &Origin,
    ) -> Result<(), ReplayError> {
        Ok(())
    }

    /// Takes the end of a producer's transaction into account.
    pub(super) fn replay_offset_marker(&mut self, _producer_id: i64, _committed: bool) {}
}
