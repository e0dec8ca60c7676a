//! Records and markers of the log, handed to what they belong to.

use ottla_protocol::internal::GroupKey;

use super::GroupShard;
use crate::record::{Origin, ReplayError};

impl GroupShard {
    /// Takes a record of the partition into account. `value` is `None` for a tombstone. Records of
    /// a kind that is not served here are left alone, but for the ids of their groups.
    ///
    /// # Errors
    /// When the record is malformed; nothing has changed then.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        origin: &Origin,
    ) -> Result<(), ReplayError> {
        let bytes = key;
        match GroupKey::read(key).map_err(ReplayError::Key)? {
            GroupKey::LegacyOffsetCommit(key) => {
                self.replay_legacy_offset_commit(&key, value, origin)
            }
            GroupKey::OffsetCommit(key) => self.replay_offset_commit(&key, value, origin),
            GroupKey::GroupMetadata(key) => self.replay_classic(key.group, value),
            GroupKey::Unknown(kind) => {
                self.foreign.note(kind, bytes, value.is_some());
                Ok(())
            }
            key => self.replay_consumer(&key, value),
        }
    }

    /// Takes the end of a producer's transaction into account.
    pub fn replay_marker(&mut self, producer_id: i64, committed: bool) {
        self.replay_offset_marker(producer_id, committed);
    }
}
