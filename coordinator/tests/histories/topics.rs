//! The topics of a world.

use std::collections::BTreeMap;

use ottla_coordinator::context::{ClusterView, GroupOverrides, TopicFacts};
use ottla_protocol::uuid::Uuid;

#[derive(Default)]
pub(super) struct Topics {
    topics: BTreeMap<String, TopicFacts>,
    version: u64,
}

impl Topics {
    pub(super) fn create(&mut self, name: &str, partition_count: i32) {
        self.version += 1;
        let id = Uuid::from_u64s(0x7070, self.version);
        self.topics.insert(name.to_owned(), TopicFacts { id, partition_count });
    }

    pub(super) fn grow(&mut self, name: &str) {
        self.version += 1;
        self.topics.get_mut(name).unwrap().partition_count += 1;
    }

    pub(super) fn delete(&mut self, name: &str) -> Uuid {
        self.version += 1;
        self.topics.remove(name).unwrap().id
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }

    /// The partitions of these topics, of those that exist.
    pub(super) fn partitions<'a>(
        &self,
        of: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(String, i32)> {
        let mut all = Vec::new();
        for name in of {
            let count = self.topics.get(name).map_or(0, |facts| facts.partition_count);
            all.extend((0..count).map(|partition| (name.to_owned(), partition)));
        }
        all
    }
}

impl ClusterView for Topics {
    fn version(&self) -> u64 {
        self.version
    }

    fn topic(&self, name: &str) -> Option<TopicFacts> {
        self.topics.get(name).copied()
    }

    fn topic_name(&self, id: Uuid) -> Option<&str> {
        let found = self.topics.iter().find(|(_, facts)| facts.id == id);
        found.map(|(name, _)| name.as_str())
    }

    fn for_each_topic(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        self.topics.iter().for_each(|(name, facts)| visit(name, *facts));
    }

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}
