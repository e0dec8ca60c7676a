//! Records that are carried from snapshot to snapshot without being acted on.
//!
//! Ottla does not yet authorize or issue tokens, but a directory taken over from Kafka may hold
//! records for both, and must hold them still when it is handed back. Each is kept as
//! the bytes of its value under the key that a later record replaces or removes it by: the very
//! bytes that were read, with tagged fields that are not known here.

use super::{ReplayError, SharedMap};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::uuid::Uuid;
use std::collections::BTreeSet;
use std::sync::Arc;

/// By what a kept record is replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKey {
    /// An access control entry, by its id.
    AccessControlEntry(Uuid),
    /// A delegation token, by its id.
    DelegationToken(String),
    /// The state of a migration from ZooKeeper, which Kafka 3.x wrote.
    ZkMigrationState,
    /// A record of an unknown kind: the first that came has number 0.
    Unknown(u32),
}

/// The kept records, by key; see the module's page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    values: SharedMap<KeptKey, Arc<[u8]>>,
    unknown_count: u32,
}

impl Kept {
    /// The kept values, frame included, in the order in which Kafka writes snapshots.
    pub fn iter(&self) -> impl Iterator<Item = (&KeptKey, &[u8])> {
        self.values.iter().map(|(key, value)| (key, &**value))
    }

    /// The kinds, by number, of the kept records whose kind is not known.
    pub fn unknown_kinds(&self) -> BTreeSet<i16> {
        let unknown = self.iter().filter(|(key, _)| matches!(key, KeptKey::Unknown(_)));
        let kinds = unknown.filter_map(|(_, value)| MetadataRecord::read(value).ok());
        kinds.map(|(record, _)| record.api_key()).collect()
    }

    /// How many kept records have such a key.
    pub fn count(&self, wanted: impl Fn(&KeptKey) -> bool) -> usize {
        self.iter().filter(|(key, _)| wanted(key)).count()
    }

    /// Applies a record of a kind that is kept. `value` is the record as it was read; without it,
    /// it is written anew.
    pub(super) fn replay(
        &mut self,
        record: &MetadataRecord<'_>,
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        let (key, removes) = match record {
            MetadataRecord::AccessControlEntry(acl) => (KeptKey::AccessControlEntry(acl.id), false),
            MetadataRecord::RemoveAccessControlEntry(acl) => {
                (KeptKey::AccessControlEntry(acl.id), true)
            }
            MetadataRecord::DelegationToken(token) => {
                (KeptKey::DelegationToken(token.token_id.to_owned()), false)
            }
            MetadataRecord::RemoveDelegationToken(token) => {
                (KeptKey::DelegationToken(token.token_id.to_owned()), true)
            }
            MetadataRecord::ZkMigrationState(state) => {
                (KeptKey::ZkMigrationState, state.zk_migration_state == 0)
            }
            // Unknown ones: in the order of the log, since nothing is known of what replaces what.
            _ => {
                let key = KeptKey::Unknown(self.unknown_count);
                self.unknown_count += 1;
                (key, false)
            }
        };
        if removes {
            self.values.remove(&key);
        } else {
            // All of these kinds have version 0 alone; an unknown one keeps its own.
            let value: Arc<[u8]> = match value {
                Some(value) => value.into(),
                None => {
                    let api_key = record.api_key();
                    let written = record.to_bytes(0);
                    written.map_err(|_| ReplayError::NotEncodable { api_key })?.into()
                }
            };
            self.values.insert(key, value);
        }
        Ok(())
    }
}
