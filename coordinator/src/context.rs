//! What the coordinator is told of the world around it.

use ottla_protocol::uuid::Uuid;

/// The time, on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Ms since 1970, which goes into records. It may jump.
    pub wall_ms: i64,
    /// Ms since some moment, for deadlines. It never goes back.
    pub mono_ms: i64,
}

/// What surrounds an event.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// When it happens.
    pub now: Now,
    /// The topics, as of now.
    pub cluster: &'a dyn ClusterView,
    /// A random id that nobody else was given, should the event need one. All ids that one event
    /// makes are this one.
    pub fresh_id: Uuid,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The client id of the request's header; empty when it has none.
    pub client_id: &'a str,
    /// The peer's address as Kafka shows it: `/127.0.0.1`.
    pub client_host: &'a str,
    /// The request's version.
    pub version: i16,
}

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has, numbered from 0.
    pub partition_count: i32,
}

/// Settings of one group, where it has any of its own (resource type GROUP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: Option<i32>,
}

/// The topics and the groups' settings.
pub trait ClusterView {
    /// A number that differs whenever topics or partitions have changed.
    fn version(&self) -> u64;
    /// The topic of this name.
    fn topic(&self, name: &str) -> Option<TopicFacts>;
    /// The name of the topic with this id.
    fn topic_name(&self, id: Uuid) -> Option<&str>;
    /// Calls `visit` with each topic, internal ones too, in the order of their names.
    fn for_each_topic(&self, visit: &mut dyn FnMut(&str, TopicFacts));
    /// The racks of the brokers that have the partition, where they are in one.
    fn partition_racks(&self, _topic: Uuid, _partition: i32) -> Vec<String> {
        Vec::new()
    }
    /// What is set for this group.
    fn group_overrides(&self, group_id: &str) -> GroupOverrides;
}
