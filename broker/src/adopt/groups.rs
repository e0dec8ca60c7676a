//! The groups in `__consumer_offsets`, counted without a broker.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::good_batches_from;

use crate::groups::{OFFSETS_TOPIC, replay_bytes};

use super::survey::SurveyedDir;

/// The groups of some directories.
#[derive(Debug, Default)]
pub(super) struct FoundGroups {
    /// How many there are, by Kafka's name of the type.
    pub(super) counts: BTreeMap<String, usize>,
    /// The ids of share and streams groups, each with its type.
    pub(super) unserved: Vec<(String, String)>,
    /// Partitions whose groups cannot be read, and why.
    pub(super) unreadable: Vec<String>,
}

/// Replays the groups of all partitions of `__consumer_offsets` in `dirs`.
pub(super) fn find(disk: &dyn Disk, dirs: &[SurveyedDir]) -> FoundGroups {
    let mut found = FoundGroups::default();
    for dir in dirs {
        let of_groups = dir.partitions.iter().filter(|found| *found.topic == *OFFSETS_TOPIC);
        for topic_partition in of_groups {
            let path = dir.path.join(topic_partition.to_string());
            if let Err(error) = found.add(disk, &path) {
                found.unreadable.push(format!("{topic_partition}: {error}"));
            }
        }
    }
    found.unserved.sort_unstable();
    found
}

impl FoundGroups {
    fn add(&mut self, disk: &dyn Disk, partition: &Path) -> Result<(), String> {
        let mut shard = GroupShard::new(Arc::new(GroupConfig::default()));
        let mut result = Ok(());
        let read = good_batches_from(disk, partition, 0, 0, &mut |bytes| {
            if result.is_ok() {
                result = replay_bytes(bytes, &mut shard);
            }
        });
        for group in shard.list() {
            *self.counts.entry(group.group_type.to_owned()).or_default() += 1;
            if ["share", "streams"].contains(&group.group_type) {
                self.unserved.push((group.group_id.to_owned(), group.group_type.to_owned()));
            }
        }
        read.map_err(|error| error.to_string()).and(result)
    }
}
