//! A world's partition of `__consumer_offsets`: written, compacted, replayed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::record::{Origin, Record};

#[derive(Clone)]
pub(super) enum Entry {
    /// A record, and the producer whose transaction it belongs to.
    Record(Record, Option<i64>),
    /// The end of a producer's transaction.
    Marker { producer_id: i64, is_commit: bool },
}

#[derive(Clone, Default)]
pub(super) struct Log {
    pub entries: Vec<(i64, Entry)>,
    pub next_offset: i64,
}

impl Log {
    pub(super) fn append(&mut self, entry: Entry) -> i64 {
        let offset = self.next_offset;
        self.entries.push((offset, entry));
        self.next_offset += 1;
        offset
    }

    /// A shard from the log alone. It is not told yet that it is loaded.
    pub(super) fn replayed(&self, config: &Arc<GroupConfig>) -> GroupShard {
        let mut shard = GroupShard::new(config.clone());
        for (offset, entry) in &self.entries {
            match entry {
                Entry::Record(record, producer_id) => {
                    let producer = producer_id.map(|id| (id, 0));
                    let origin = Origin { offset: *offset, producer };
                    shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
                }
                Entry::Marker { producer_id, is_commit } => {
                    shard.replay_marker(*producer_id, *is_commit);
                }
            }
        }
        shard
    }

    /// The log as a cleaner may leave it: before the first open transaction, of each key the last
    /// record alone, and that too is gone if it is a tombstone whose time has come.
    pub(super) fn compacted(&self, keep_tombstones: bool) -> Self {
        let (aborted, first_open) = self.transactions();
        let mut last = HashMap::new();
        for (offset, entry) in &self.entries {
            match entry {
                Entry::Record(record, _) if *offset < first_open && !aborted.contains(offset) => {
                    last.insert(record.key.clone(), *offset);
                }
                _ => {}
            }
        }
        let stays = |(offset, entry): &(i64, Entry)| match entry {
            Entry::Record(record, _) if *offset < first_open => {
                last.get(&record.key) == Some(offset)
                    && !aborted.contains(offset)
                    && (keep_tombstones || record.value.is_some())
            }
            _ => true,
        };
        let entries = self.entries.iter().filter(|entry| stays(entry)).cloned().collect();
        Self { entries, next_offset: self.next_offset }
    }

    /// The offsets of records of aborted transactions, and the first of an open one.
    fn transactions(&self) -> (HashSet<i64>, i64) {
        let mut open: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut aborted = HashSet::new();
        for (offset, entry) in &self.entries {
            match entry {
                Entry::Record(_, Some(producer_id)) => {
                    open.entry(*producer_id).or_default().push(*offset);
                }
                Entry::Record(_, None) => {}
                Entry::Marker { producer_id, is_commit } => {
                    let ended = open.remove(producer_id).unwrap_or_default();
                    if !is_commit {
                        aborted.extend(ended);
                    }
                }
            }
        }
        let first_open = open.into_values().flatten().min().unwrap_or(self.next_offset);
        (aborted, first_open)
    }
}
