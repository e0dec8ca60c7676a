//! The offsets that groups have committed.
//!
//! ```text
//!   Offsets ─┬─ groups ── GroupOffsets ─┬─ committed: (topic, partition) ── Committed
//!            │                          └─ pending:   (topic, partition) ── of open transactions
//!            ├─ topics, topic_ids: each name and id once, with a number
//!            └─ transactions: what each producer has pending
//! ```
//!
//! There may be hundreds of thousands of offsets, so an entry has numbers in place of names. It
//! changes by replay alone: see `replay` and `replay_marker`.

mod commit;
mod delete;
mod expire;
mod fetch;
mod intern;
mod records;
#[cfg(test)]
mod tests;

pub use delete::DeletedTopic;

use std::collections::HashMap;
use std::sync::Arc;

use ottla_protocol::internal::offset::{OffsetCommitKey, OffsetCommitValue};
use ottla_protocol::uuid::Uuid;

use crate::record::Origin;
use expire::Batches;
use intern::Interner;

/// The committed offsets of a shard's groups.
#[derive(Default)]
pub(super) struct Offsets {
    groups: HashMap<Arc<str>, GroupOffsets>,
    topics: Interner<Arc<str>>,
    topic_ids: Interner<Uuid>,
    /// Where each producer with an open transaction has something pending. A place may be in it
    /// twice, or without anything left there.
    transactions: HashMap<i64, Vec<(Arc<str>, Place)>>,
}

/// What a group has committed, and what it would have if the open transactions were committed.
#[derive(Default)]
struct GroupOffsets {
    committed: HashMap<Place, Committed>,
    /// By partition, each producer's last. No entry is empty.
    pending: HashMap<Place, Vec<(i64, Committed)>>,
}

/// A partition; the topic is a number in [`Offsets::topics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    topic: u32,
    partition: i32,
}

/// A committed offset.
#[derive(Debug)]
struct Committed {
    offset: i64,
    commit_timestamp_ms: i64,
    /// The offset of its record in the log.
    record_offset: i64,
    /// What most offsets do not have.
    note: Option<Box<Note>>,
    leader_epoch: i32,
    /// A number in [`Offsets::topic_ids`].
    topic_id: u32,
}

/// The rarer parts of a committed offset.
#[derive(Debug)]
struct Note {
    metadata: Box<str>,
    /// When the client wants it to expire; -1 for the broker's setting.
    expire_timestamp_ms: i64,
}

// A table entry is this and a `Place` of 8 bytes.
const _: () = assert!(size_of::<Committed>() == 40);

impl Committed {
    fn metadata(&self) -> &str {
        self.note.as_ref().map_or("", |note| &note.metadata)
    }

    fn expire_timestamp_ms(&self) -> Option<i64> {
        self.note.as_ref().map(|note| note.expire_timestamp_ms).filter(|at| *at != -1)
    }
}

impl Offsets {
    /// How many offsets are committed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.values().map(|group| group.committed.len()).sum()
    }

    /// Takes in a record: of a transaction when there is a producer, which then waits for the
    /// transaction's end. No value deletes the offset and what transactions would make of it.
    pub(super) fn replay(
        &mut self,
        key: &OffsetCommitKey<'_>,
        value: Option<&OffsetCommitValue<'_>>,
        origin: &Origin,
    ) {
        let Some(value) = value else { return self.remove(key) };
        let place = Place {
            topic: self.topics.acquire(key.topic, |name| Arc::from(name)),
            partition: key.partition,
        };
        let committed = self.committed(value, origin.offset);
        let group = match self.groups.get_mut(key.group) {
            Some(group) => group,
            None => self.groups.entry(Arc::from(key.group)).or_default(),
        };
        let replaced = match origin.producer {
            None => group.committed.insert(place, committed),
            Some((producer_id, _)) => {
                let pending = group.pending.entry(place).or_default();
                let before = pending.iter().position(|(id, _)| *id == producer_id);
                if before.is_none() {
                    let places = self.transactions.entry(producer_id).or_default();
                    places.push((Arc::from(key.group), place));
                }
                let replaced = before.map(|index| pending.swap_remove(index).1);
                pending.push((producer_id, committed));
                replaced
            }
        };
        if let Some(replaced) = replaced {
            self.release(place, &replaced);
        }
    }

    /// Ends a producer's transaction: what it has pending is committed, except where something
    /// later in the log is, or dropped.
    pub(super) fn replay_marker(&mut self, producer_id: i64, is_commit: bool) {
        for (group_id, place) in self.transactions.remove(&producer_id).unwrap_or_default() {
            let Some(group) = self.groups.get_mut(&group_id) else { continue };
            let Some(pending) = group.take_pending(place, producer_id) else { continue };
            let is_later = group
                .committed
                .get(&place)
                .is_none_or(|committed| committed.record_offset < pending.record_offset);
            let dropped = if is_commit && is_later {
                group.committed.insert(place, pending)
            } else {
                Some(pending)
            };
            let is_empty = group.is_empty();
            if let Some(dropped) = dropped {
                self.release(place, &dropped);
            }
            if is_empty {
                self.groups.remove(&group_id);
            }
        }
    }

    fn remove(&mut self, key: &OffsetCommitKey<'_>) {
        let Some(place) = self.place(key.topic, key.partition) else { return };
        let Some(group) = self.groups.get_mut(key.group) else { return };
        let committed = group.committed.remove(&place);
        let pending = group.pending.remove(&place).unwrap_or_default();
        if group.is_empty() {
            self.groups.remove(key.group);
        }
        for removed in committed.iter().chain(pending.iter().map(|(_, committed)| committed)) {
            self.release(place, removed);
        }
    }

    /// Where an offset of this partition would be, if any group has one of its topic.
    fn place(&self, topic: &str, partition: i32) -> Option<Place> {
        self.topics.find(topic).map(|topic| Place { topic, partition })
    }

    /// The entry for a value, with a use of the topic's id.
    fn committed(&mut self, value: &OffsetCommitValue<'_>, record_offset: i64) -> Committed {
        let has_note = !value.metadata.is_empty() || value.expire_timestamp != -1;
        Committed {
            offset: value.offset,
            commit_timestamp_ms: value.commit_timestamp,
            record_offset,
            note: has_note.then(|| {
                Box::new(Note {
                    metadata: Box::from(value.metadata),
                    expire_timestamp_ms: value.expire_timestamp,
                })
            }),
            leader_epoch: value.leader_epoch,
            topic_id: self.topic_ids.acquire(&value.topic_id, |id| *id),
        }
    }

    /// Gives back what a dropped entry used.
    fn release(&mut self, place: Place, dropped: &Committed) {
        self.topics.release(place.topic);
        self.topic_ids.release(dropped.topic_id);
    }
}

impl GroupOffsets {
    fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    fn take_pending(&mut self, place: Place, producer_id: i64) -> Option<Committed> {
        let pending = self.pending.get_mut(&place)?;
        let index = pending.iter().position(|(id, _)| *id == producer_id)?;
        let (_, taken) = pending.swap_remove(index);
        if pending.is_empty() {
            self.pending.remove(&place);
        }
        Some(taken)
    }
}
