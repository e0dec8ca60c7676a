//! What a world's offsets should be, kept apart from the shard.

use std::collections::BTreeMap;

use ottla_coordinator::record::Record;
use ottla_protocol::internal::GroupKey;
use ottla_protocol::uuid::Uuid;

/// Group, topic, partition.
pub(super) type Place = (String, String, i32);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub offset: i64,
    pub topic_id: Uuid,
    pub committed_ms: i64,
    /// Where its record is in the log.
    pub record_offset: i64,
}

#[derive(Default)]
pub(super) struct Ledger {
    pub committed: BTreeMap<Place, Entry>,
    pub pending: BTreeMap<(i64, Place), Entry>,
}

impl Ledger {
    pub(super) fn is_pending(&self, place: &Place) -> bool {
        self.pending.keys().any(|(_, pending)| pending == place)
    }

    pub(super) fn remove(&mut self, place: &Place) {
        self.committed.remove(place);
        self.pending.retain(|(_, pending), _| pending != place);
    }

    /// Takes note of the tombstones among records that were written; the places that they name.
    pub(super) fn bury<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Vec<Place> {
        let mut buried = Vec::new();
        for record in records {
            if let GroupKey::OffsetCommit(key) = GroupKey::read(&record.key).unwrap()
                && record.value.is_none()
            {
                buried.push((key.group.to_owned(), key.topic.to_owned(), key.partition));
            }
        }
        buried.iter().for_each(|place| self.remove(place));
        buried
    }

    pub(super) fn end_transaction(&mut self, producer_id: i64, is_commit: bool) {
        let pending = std::mem::take(&mut self.pending);
        for ((by, place), entry) in pending {
            if by != producer_id {
                self.pending.insert((by, place), entry);
            } else if is_commit
                && self
                    .committed
                    .get(&place)
                    .is_none_or(|before| before.record_offset < entry.record_offset)
            {
                self.committed.insert(place, entry);
            }
        }
    }

    /// A group's offsets.
    pub(super) fn of_group(&self, group: &str) -> Vec<(String, i32, i64)> {
        let of = self.committed.iter().filter(|((of, ..), _)| of == group);
        of.map(|((_, topic, partition), entry)| (topic.clone(), *partition, entry.offset)).collect()
    }
}
