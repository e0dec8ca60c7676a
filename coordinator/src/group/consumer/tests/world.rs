//! A shard with a log, a clock and topics around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use ottla_protocol::uuid::Uuid;
use proptest::prelude::ProptestConfig;

use super::super::{ConsumerGroup, ConsumerHeartbeatAnswer, Member};
use crate::context::{Caller, ClusterView, Context, GroupOverrides, Now, TopicFacts};
use crate::effects::{Answer, Effects, Ticket};
use crate::group::config::GroupConfig;
use crate::group::{Group, GroupShard};
use crate::record::{Origin, Record};

/// Topics that tests make and drop.
#[derive(Default)]
pub(super) struct Topics {
    topics: BTreeMap<Arc<str>, TopicFacts>,
    version: u64,
}

impl Topics {
    /// Makes a topic, or gives it so many partitions.
    pub(super) fn put(&mut self, name: &str, partition_count: i32) -> Uuid {
        self.version += 1;
        let fresh = TopicFacts { id: Uuid::from_u64s(7, self.version), partition_count };
        let facts = self.topics.entry(Arc::from(name)).or_insert(fresh);
        facts.partition_count = partition_count;
        facts.id
    }

    /// Makes a topic with this id.
    pub(super) fn put_with_id(&mut self, name: &str, id: Uuid, partition_count: i32) {
        self.version += 1;
        let facts = TopicFacts { id, partition_count };
        self.topics.insert(Arc::from(name), facts);
    }

    /// Goes on as if at this version.
    pub(super) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// Drops a topic.
    pub(super) fn drop(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
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
        self.topics.iter().find(|(_, facts)| facts.id == id).map(|(name, _)| &**name)
    }

    fn for_each_topic(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        self.topics.iter().for_each(|(name, facts)| visit(name, *facts));
    }

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}

/// As many histories as `PROPTEST_CASES` says; few without it.
pub(super) fn cases() -> ProptestConfig {
    let few = ProptestConfig { cases: 100, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => few,
    }
}

pub(super) struct World {
    pub(super) shard: GroupShard,
    pub(super) config: GroupConfig,
    pub(super) topics: Topics,
    pub(super) log: Vec<Record>,
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) now_ms: i64,
    ids: u64,
}

/// When tests begin, in ms since 1970.
pub(super) const EPOCH_MS: i64 = 1_000_000;

impl World {
    pub(super) fn new(config: GroupConfig) -> Self {
        Self {
            shard: GroupShard::new(Arc::new(config.clone())),
            config,
            topics: Topics::default(),
            log: Vec::new(),
            answers: Vec::new(),
            now_ms: 0,
            ids: 0,
        }
    }

    /// Runs an event, appends what it writes, and gives its answer.
    pub(super) fn event<R>(
        &mut self,
        event: impl FnOnce(&mut GroupShard, &Context<'_>) -> Effects<R>,
    ) -> R {
        self.ids += 1;
        let fresh_id = Uuid::from_u64s(9, self.ids);
        let cx = context(&self.topics, self.now_ms, fresh_id);
        let effects = event(&mut self.shard, &cx);
        self.answers.extend(effects.answers);
        let mut write = effects.write;
        while let Some(next) = write.take() {
            let offset = i64::try_from(self.log.len()).unwrap();
            self.log.extend(next.records.iter().cloned());
            let effects = self.shard.complete(next, Ok(offset), &cx);
            self.answers.extend(effects.answers);
            write = effects.write;
        }
        effects.response
    }

    /// Runs an event whose records cannot be written.
    pub(super) fn failed_event<R>(
        &mut self,
        event: impl FnOnce(&mut GroupShard, &Context<'_>) -> Effects<R>,
    ) -> R {
        let cx = context(&self.topics, self.now_ms, Uuid::from_u64s(9, 0));
        let effects = event(&mut self.shard, &cx);
        if let Some(write) = effects.write {
            let failed = self.shard.complete(write, Err(ErrorCode::NOT_ENOUGH_REPLICAS), &cx);
            assert!(failed.write.is_none());
        }
        effects.response
    }

    /// Does all that is due by now.
    pub(super) fn tick(&mut self) {
        loop {
            let mut more = false;
            self.event(|shard, cx| match shard.tick(cx) {
                Some(effects) => {
                    more = true;
                    effects
                }
                None => Effects::response(()),
            });
            if !more {
                return;
            }
        }
    }

    /// Lets time pass, and does what becomes due.
    pub(super) fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.tick();
    }

    pub(super) fn heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest<'_>,
    ) -> ConsumerHeartbeatAnswer {
        self.event(|shard, cx| shard.consumer_heartbeat(request, &CALLER, cx))
    }

    /// A heartbeat of another client, at this time in ms since 1970.
    pub(super) fn heartbeat_at(
        &mut self,
        wall_ms: i64,
        client_id: &str,
        request: &ConsumerGroupHeartbeatRequest<'_>,
    ) -> ConsumerHeartbeatAnswer {
        self.now_ms = wall_ms - EPOCH_MS;
        let caller = Caller { client_id, ..CALLER };
        self.event(|shard, cx| shard.consumer_heartbeat(request, &caller, cx))
    }

    /// The group, which must be a consumer group.
    pub(super) fn group(&self, group_id: &str) -> &ConsumerGroup {
        match self.shard.groups.get(group_id) {
            Some(Group::Consumer(group)) => group,
            Some(Group::Classic(_)) => panic!("{group_id} is a classic group"),
            None => panic!("there is no group {group_id}"),
        }
    }

    pub(super) fn member(&self, group_id: &str, member_id: &str) -> &Member {
        self.group(group_id).members.get(member_id).unwrap()
    }

    /// A shard that has read the log, all of it or what compaction leaves.
    pub(super) fn reloaded(&self, log: &[Record]) -> GroupShard {
        let mut shard = GroupShard::new(Arc::new(self.config.clone()));
        for (offset, record) in (0..).zip(log) {
            let origin = Origin { offset, producer: None };
            shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
        }
        shard
    }

    /// The kinds of the keys of the records from `first` on; tombstones are negative.
    pub(super) fn kinds(&self, first: usize) -> Vec<i16> {
        let kind = |record: &Record| {
            let kind = i16::from_be_bytes([record.key[0], record.key[1]]);
            if record.value.is_some() { kind } else { -kind }
        };
        self.log[first..].iter().map(kind).collect()
    }
}

pub(super) fn context(topics: &Topics, now_ms: i64, fresh_id: Uuid) -> Context<'_> {
    let now = Now { wall_ms: EPOCH_MS + now_ms, mono_ms: now_ms };
    Context { now, cluster: topics, fresh_id }
}

pub(super) const CALLER: Caller<'static> =
    Caller { client_id: "client", client_host: "/127.0.0.1", version: 1 };

/// A request to join group `g` as `member_id`, subscribed to `names`.
pub(super) fn join<'a>(member_id: &'a str, names: &[&'a str]) -> ConsumerGroupHeartbeatRequest<'a> {
    ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id,
        member_epoch: 0,
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(names.to_vec()),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// A heartbeat that says that nothing has changed.
pub(super) fn beat(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest<'_> {
    ConsumerGroupHeartbeatRequest {
        group_id: "g",
        member_id,
        member_epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// The same of a member that says what it owns.
pub(super) fn owning<'a>(
    member_id: &'a str,
    member_epoch: i32,
    owned: &[(Uuid, &[i32])],
) -> ConsumerGroupHeartbeatRequest<'a> {
    ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(topics(owned)),
        ..beat(member_id, member_epoch)
    }
}

pub(super) fn topics(list: &[(Uuid, &[i32])]) -> Vec<TopicPartitions> {
    list.iter()
        .map(|(topic_id, partitions)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.to_vec(),
        })
        .collect()
}

/// What compaction may leave of a log: the last record of each key, with or without tombstones.
pub(super) fn compacted(log: &[Record], clean: usize, keep_tombstones: bool) -> Vec<Record> {
    let last: BTreeMap<&[u8], usize> =
        log[..clean].iter().enumerate().map(|(index, record)| (&*record.key, index)).collect();
    let mut kept = Vec::new();
    for (index, record) in log[..clean].iter().enumerate() {
        if last[&*record.key] == index && (keep_tombstones || record.value.is_some()) {
            kept.push(record.clone());
        }
    }
    kept.extend(log[clean..].iter().cloned());
    kept
}

/// Asserts that two shards hold the same consumer groups.
pub(super) fn assert_same(one: &GroupShard, other: &GroupShard) {
    let ids = |shard: &GroupShard| {
        let mut ids: Vec<_> = shard.groups.keys().cloned().collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(one), ids(other));
    for (group_id, group) in &one.groups {
        let (Group::Consumer(group), Some(Group::Consumer(other))) =
            (group, other.groups.get(group_id))
        else {
            continue;
        };
        assert_eq!(group.epoch, other.epoch);
        assert_eq!(group.metadata_hash, other.metadata_hash);
        assert_eq!(group.assignment_epoch, other.assignment_epoch);
        assert_eq!(group.assigned_ms, other.assigned_ms);
        assert_eq!(group.members, other.members);
        assert_eq!(group.targets, other.targets);
        assert_eq!(group.resolved, other.resolved);
        assert_eq!(group.owners, other.owners);
        assert_eq!(group.static_members, other.static_members);
        assert_eq!(group.names, other.names);
        assert_eq!(group.regexes, other.regexes);
        assert_eq!(group.assignors, other.assignors);
        assert_eq!(group.classic_count, other.classic_count);
        assert_eq!(group.classic_protocols, other.classic_protocols);
    }
}
