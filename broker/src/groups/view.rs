//! The topics, as the coordinator is shown them.

use std::sync::Arc;

use ottla_coordinator::context::{ClusterView, GroupOverrides, TopicFacts};
use ottla_metadata::image::{ConfigResourceType, Image, Topic};
use ottla_protocol::uuid::Uuid;

/// An image of the cluster.
pub(super) struct View(pub(super) Arc<Image>);

fn facts(topic: &Topic) -> TopicFacts {
    let partition_count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    TopicFacts { id: topic.id, partition_count }
}

impl ClusterView for View {
    fn version(&self) -> u64 {
        self.0.offset().cast_unsigned()
    }

    fn topic(&self, name: &str) -> Option<TopicFacts> {
        self.0.topics().by_name(name).map(|topic| facts(topic))
    }

    fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.0.topics().by_id(id).map(|topic| &*topic.name)
    }

    fn for_each_topic(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        self.0.topics().iter().for_each(|topic| visit(&topic.name, facts(topic)));
    }

    fn partition_racks(&self, topic: Uuid, partition: i32) -> Vec<String> {
        let topic = self.0.topics().by_id(topic);
        let partition = topic.and_then(|topic| topic.partitions.get(&partition));
        let replicas = partition.map_or(&[][..], |partition| &partition.replicas);
        let brokers = replicas.iter().filter_map(|replica| self.0.brokers().get(replica));
        brokers.filter_map(|broker| broker.rack.as_deref().map(str::to_owned)).collect()
    }

    fn group_overrides(&self, group_id: &str) -> GroupOverrides {
        let Some(set) = self.0.configs().get(ConfigResourceType::Group, group_id) else {
            return GroupOverrides::default();
        };
        // Values that are no numbers were refused when they were set.
        let number = |key: &str| set.get(key).and_then(|value| value.trim().parse().ok());
        GroupOverrides {
            consumer_session_timeout_ms: number("consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: number("consumer.heartbeat.interval.ms"),
            consumer_assignment_interval_ms: number("consumer.assignment.interval.ms"),
        }
    }
}
