//! What becomes of offsets that nobody has needed for long, and of their groups.

use std::collections::HashMap;

use super::{Committed, GroupOffsets, records};
use crate::context::Context;
use crate::effects::{Effects, Then, Write};
use crate::group::GroupShard;
use crate::group::state::{GroupState, OffsetExpiry};
use crate::record::Record;

/// Bytes of keys and values after which a batch is full. Far below `message.max.bytes`.
const BATCH_BYTES: usize = 128 << 10;

impl GroupShard {
    /// Deletes offsets that have expired, and groups that have neither members nor offsets left.
    ///
    /// The writes are to be made in their order, up to the first that fails: a group is deleted
    /// after its offsets.
    pub fn expire_offsets(&mut self, cx: &Context<'_>) -> Vec<Effects> {
        let mut batches = Batches::default();
        let own = |group_id: &str| !self.foreign.contains(group_id);
        for (group_id, group) in self.groups.iter().filter(|(group_id, _)| own(group_id)) {
            let group = group.state();
            let offsets = self.offsets.groups.get(group_id);
            let all_gone = offsets.is_none_or(|offsets| {
                self.expire_group(group_id, group, offsets, cx, &mut batches)
            });
            if all_gone && group.is_empty() {
                let mut tombstones = Vec::new();
                group.push_tombstones(group_id, &mut tombstones);
                batches.push_together(tombstones);
            }
        }
        batches.into_effects()
    }

    /// Adds the tombstones of a group's expired offsets; whether none are left then.
    fn expire_group(
        &self,
        group_id: &str,
        group: &dyn GroupState,
        offsets: &GroupOffsets,
        cx: &Context<'_>,
        batches: &mut Batches,
    ) -> bool {
        let expiry = group.offset_expiry();
        if expiry == OffsetExpiry::Never {
            return offsets.is_empty();
        }
        let mut all_gone = offsets.pending.is_empty();
        let mut subscribed = HashMap::new();
        let mut places: Vec<_> = offsets.committed.iter().collect();
        places.sort_unstable_by_key(|(place, _)| **place);
        for (place, committed) in places {
            let topic = self.offsets.topics.value(place.topic);
            let is_subscribed =
                *subscribed.entry(place.topic).or_insert_with(|| group.is_subscribed_to(topic));
            if !is_subscribed
                && !offsets.pending.contains_key(place)
                && self.is_expired(committed, expiry, cx.now.wall_ms)
            {
                batches.push(records::tombstone(group_id, topic, place.partition));
            } else {
                all_gone = false;
            }
        }
        all_gone
    }

    fn is_expired(&self, committed: &Committed, expiry: OffsetExpiry, now_ms: i64) -> bool {
        if let Some(expire_timestamp_ms) = committed.expire_timestamp_ms() {
            return expire_timestamp_ms <= now_ms;
        }
        let since_ms = match expiry {
            OffsetExpiry::AllSince(since_ms) => since_ms,
            _ => committed.commit_timestamp_ms,
        };
        self.config.offsets_retention_ms <= now_ms.saturating_sub(since_ms)
    }
}

/// Records in batches of some size.
#[derive(Default)]
pub(super) struct Batches {
    full: Vec<Vec<Record>>,
    open: Vec<Record>,
    open_bytes: usize,
}

impl Batches {
    pub(super) fn push(&mut self, record: Record) {
        self.push_together([record]);
    }

    /// Adds records that shall be in one batch: all or none.
    pub(super) fn push_together(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.open_bytes += record.size_bytes();
            self.open.push(record);
        }
        if self.open_bytes >= BATCH_BYTES {
            self.full.push(std::mem::take(&mut self.open));
            self.open_bytes = 0;
        }
    }

    pub(super) fn into_effects(mut self) -> Vec<Effects> {
        if !self.open.is_empty() {
            self.full.push(self.open);
        }
        self.full
            .into_iter()
            .map(|records| Effects {
                write: Some(Write { records, then: Then::Replay }),
                response: (),
                answers: Vec::new(),
            })
            .collect()
    }
}
