//! What those who send records learn of topics: how many partitions there are, and how much waits
//! for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Partition, Sender};
use crate::error::Error;

/// How old what partitioners know of partitions' loads may be.
const LOADS_INTERVAL: Duration = Duration::from_millis(20);

/// How often topics that are sent to are wanted again: far more often than any
/// `metadata.max.idle.ms`.
const WANTED_INTERVAL: Duration = Duration::from_secs(1);

impl Sender {
    /// Has topics looked for that somebody waits for, and tells those that were found.
    pub(super) fn learn(&mut self, now: Instant) {
        let wanted = self.shared.wanted();
        for name in &wanted {
            self.session.metadata.want(name, now);
        }
        if self.session.metadata.updates() == self.metadata_seen && wanted.is_empty() {
            return;
        }
        self.metadata_seen = self.session.metadata.updates();
        let cluster = Arc::clone(self.session.metadata.cluster());
        for name in &wanted {
            match cluster.topic(name) {
                Some(topic) if !topic.partitions.is_empty() && topic.error.is_none() => {
                    self.shared.set_partitions(name, topic.partitions.len());
                }
                Some(topic) => {
                    if let Err(error) = Error::of_code(topic.error, None) {
                        self.shared.set_topic_error(name, error);
                    }
                }
                None => {
                    if let Some(error) = self.session.metadata.last_error() {
                        self.shared.set_topic_error(name, error.clone());
                    }
                }
            }
        }
        for topic in self.shared.topics() {
            let known = cluster.topic(&topic.name);
            if let Some(count) = known.map(|known| known.partitions.len())
                && count > topic.count()
            {
                self.shared.set_partitions(&topic.name, count);
            }
        }
    }

    /// Has the metadata of topics kept that are sent to without a pause.
    pub(super) fn want_active(&mut self, now: Instant) {
        if self.topics_wanted.is_some_and(|wanted| now < wanted + WANTED_INTERVAL) {
            return;
        }
        self.topics_wanted = Some(now);
        for &place in &self.active {
            self.session.metadata.want(&self.partitions[place].queue.topic, now);
        }
    }

    /// Tells partitioners how much waits for each partition of the topics that are sent to.
    pub(super) fn tell_loads(&mut self, now: Instant) {
        let is_recent = self.loads_told.is_some_and(|told| now < told + LOADS_INTERVAL);
        if !self.shared.settings.is_adaptive || is_recent || self.active.is_empty() {
            return;
        }
        self.loads_told = Some(now);
        let active = self.active.iter().map(|&place| &self.partitions[place].queue.topic);
        let names: BTreeSet<Arc<str>> = active.cloned().collect();
        let cluster = self.session.metadata.cluster();
        let timeout = self.shared.settings.availability_timeout;
        for topic in names.iter().filter_map(|name| self.shared.topic(name)) {
            let waiting = |partition: usize| -> Option<(usize, u32)> {
                let index = i32::try_from(partition).ok()?;
                let leader = cluster.partition(&topic.name, index)?.leader?;
                if self.blocked.is_unavailable(leader, timeout, now) {
                    return None;
                }
                let place = self.places.get(&(Arc::clone(&topic.name), index));
                let batches = place.map_or(0, |&place| {
                    let Partition { queue, lane, .. } = &self.partitions[place];
                    queue.len() + lane.len()
                });
                Some((partition, u32::try_from(batches).unwrap_or(u32::MAX)))
            };
            topic.set_loads(&(0..topic.count()).filter_map(waiting).collect::<Vec<_>>());
        }
    }
}
