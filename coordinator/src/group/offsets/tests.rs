//! Tests of committed offsets.

use std::collections::BTreeMap;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::classic_group::{GroupMetadataKey, GroupMetadataValue};
use ottla_protocol::internal::consumer_protocol::ConsumerProtocolSubscription;
use ottla_protocol::internal::{GroupKey, read_value, value_bytes};
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::offset_commit::*;
use ottla_protocol::messages::offset_delete::*;
use ottla_protocol::messages::offset_fetch::*;

use super::*;
use crate::context::{Caller, ClusterView, Context, GroupOverrides, Now, TopicFacts};
use crate::effects::{Effects, Ticket};
use crate::group::GroupShard;
use crate::group::config::GroupConfig;
use crate::record::Record;

const NOW_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 24 * 60 * 60_000;

#[derive(Default)]
struct Topics(BTreeMap<String, TopicFacts>);

impl ClusterView for Topics {
    fn version(&self) -> u64 {
        0
    }

    fn topic(&self, name: &str) -> Option<TopicFacts> {
        self.0.get(name).copied()
    }

    fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.0.iter().find(|(_, facts)| facts.id == id).map(|(name, _)| name.as_str())
    }

    fn for_each_topic(&self, visit: &mut dyn FnMut(&str, TopicFacts)) {
        self.0.iter().for_each(|(name, facts)| visit(name, *facts));
    }

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}

fn id(number: u64) -> Uuid {
    Uuid::from_u64s(7, number)
}

/// A shard, its log and its surroundings: topics `a` (id 1) and `b` (id 2) of 3 partitions.
struct World {
    shard: GroupShard,
    log: Vec<Record>,
    topics: Topics,
    now_ms: i64,
}

impl World {
    fn new() -> Self {
        let topics = [("a", 1), ("b", 2)]
            .map(|(name, number)| (name.to_owned(), facts(number)))
            .into_iter()
            .collect();
        Self {
            shard: GroupShard::new(Arc::new(GroupConfig::default())),
            log: Vec::new(),
            topics: Topics(topics),
            now_ms: NOW_MS,
        }
    }

    fn on<R>(&mut self, event: impl FnOnce(&mut GroupShard, &Context<'_>) -> R) -> R {
        let now = Now { wall_ms: self.now_ms, mono_ms: self.now_ms - NOW_MS };
        let cx = Context { now, cluster: &self.topics, fresh_id: Uuid::ONE };
        event(&mut self.shard, &cx)
    }

    /// Writes what an event led to; its answer.
    fn carry_out<R>(&mut self, effects: Effects<R>) -> R {
        assert!(effects.answers.is_empty());
        if let Some(write) = effects.write {
            assert!(!write.records.is_empty());
            let offset = self.log.len() as i64;
            self.log.extend(write.records.iter().cloned());
            let after = self.on(|shard, cx| shard.complete(write, Ok(offset), cx));
            assert!(after.write.is_none());
        }
        effects.response
    }

    fn commit_as(
        &mut self,
        version: i16,
        request: OffsetCommitRequest<'static>,
    ) -> Vec<(i32, ErrorCode)> {
        let caller = Caller { client_id: "c", client_host: "/127.0.0.1", version };
        let effects = self.on(|shard, cx| shard.commit_offsets(&request, &caller, cx));
        let response = self.carry_out(effects);
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|it| (it.partition_index, it.error_code)).collect()
    }

    fn commit(&mut self, group: &'static str, topic: &'static str, partition: i32, offset: i64) {
        let codes = self.commit_as(9, commit(group, topic, partition, offset));
        assert_eq!(codes, [(partition, ErrorCode::NONE)]);
    }

    fn fetch(&mut self, group: &str, stable: bool) -> Vec<(String, i32, i64, ErrorCode)> {
        let request = OffsetFetchRequestGroup {
            group_id: group,
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let now = Now { wall_ms: self.now_ms, mono_ms: 0 };
        let cx = Context { now, cluster: &self.topics, fresh_id: Uuid::ONE };
        let response = self.shard.fetch_offsets(&request, stable, 9, &cx);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let topics = response.topics.iter();
        topics
            .flat_map(|topic| topic.partitions.iter().map(|it| (topic.name, it)))
            .map(|(name, it)| {
                (name.to_owned(), it.partition_index, it.committed_offset, it.error_code)
            })
            .collect()
    }

    fn offsets(&mut self, group: &str) -> Vec<(String, i32, i64)> {
        self.fetch(group, false).into_iter().map(|(topic, at, it, _)| (topic, at, it)).collect()
    }

    fn replay(&mut self, record: &Record, producer: Option<i64>) {
        let origin = Origin {
            offset: self.log.len() as i64,
            producer: producer.map(|producer_id| (producer_id, 0)),
        };
        self.shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
        self.log.push(record.clone());
    }

    fn expire(&mut self) -> usize {
        let all = self.on(|shard, cx| shard.expire_offsets(cx));
        let before = self.log.len();
        all.into_iter().for_each(|effects| self.carry_out(effects));
        self.log.len() - before
    }

    /// The same shard from the log alone.
    fn reloaded(&self) -> Self {
        let mut world = Self::new();
        for record in &self.log {
            world.replay(record, None);
        }
        world
    }
}

fn facts(number: u64) -> TopicFacts {
    TopicFacts { id: id(number), partition_count: 3 }
}

fn commit(
    group: &'static str,
    topic: &'static str,
    partition_index: i32,
    committed_offset: i64,
) -> OffsetCommitRequest<'static> {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_leader_epoch: 4,
        committed_metadata: Some("note"),
    };
    OffsetCommitRequest {
        group_id: group,
        topics: vec![OffsetCommitRequestTopic {
            name: topic,
            topic_id: Uuid::ZERO,
            partitions: vec![partition],
        }],
        ..OffsetCommitRequest::default()
    }
}

fn record(topic: &str, partition: i32, offset: i64) -> Record {
    let key = OffsetCommitKey { group: "g", topic, partition };
    let value = OffsetCommitValue { offset, ..OffsetCommitValue::default() };
    records::commit(key, &value).unwrap()
}

/// The record of a classic group, with members that subscribe to `a` if it is stable.
fn classic(members: usize, protocol_type: &str, since_ms: i64) -> Record {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a"],
        ..ConsumerProtocolSubscription::default()
    };
    let subscription = value_bytes(&subscription, 0).unwrap();
    let member = ottla_protocol::internal::classic_group::MemberMetadata {
        member_id: "m",
        client_id: "c",
        client_host: "/127.0.0.1",
        session_timeout: 10_000,
        subscription: &subscription,
        ..Default::default()
    };
    let value = GroupMetadataValue {
        protocol_type,
        generation: 5,
        protocol: (members > 0).then_some("range"),
        leader: (members > 0).then_some("m"),
        current_state_timestamp: since_ms,
        members: vec![member; members],
    };
    let key = GroupKey::GroupMetadata(GroupMetadataKey { group: "g" });
    Record { key: key.to_bytes().unwrap(), value: Some(value_bytes(&value, 3).unwrap()) }
}

fn entry(topic: &str, partition: i32, offset: i64) -> (String, i32, i64) {
    (topic.to_owned(), partition, offset)
}

#[test]
fn a_commit_without_a_group_makes_a_simple_one() {
    let mut world = World::new();
    world.commit("g", "a", 0, 42);
    assert_eq!(world.offsets("g"), [entry("a", 0, 42)]);
    let listed: Vec<_> = world.shard.list().map(|it| (it.group_id, it.group_state)).collect();
    assert_eq!(listed, [("g", "Empty")]);
    assert_eq!(world.reloaded().offsets("g"), [entry("a", 0, 42)]);
}

#[test]
fn groups_of_kinds_that_are_not_served_are_listed_as_what_they_are() {
    let mut world = World::new();
    let key = |kind: i16, id: &str| {
        [&kind.to_be_bytes()[..], &(id.len() as i16).to_be_bytes(), id.as_bytes()].concat()
    };
    let origin = Origin { offset: 0, producer: None };
    world.commit("app", "a", 0, 42);
    world.shard.replay(&key(17, "app"), Some(b"value"), &origin).unwrap();
    world.shard.replay(&key(11, "sg"), Some(b"value"), &origin).unwrap();
    let mut listed: Vec<_> = world
        .shard
        .list()
        .map(|it| (it.group_id, it.protocol_type, it.group_state, it.group_type))
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, [("app", "streams", "Empty", "streams"), ("sg", "share", "Empty", "share")]);
    assert_eq!(world.offsets("app"), [entry("a", 0, 42)]);
    let described = world.shard.describe_classic("app", 6);
    assert_eq!(described.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(world.shard.why_not_classic("app"), "Group app is not a classic group.");
}

#[test]
fn the_empty_id_is_a_group_too() {
    let mut world = World::new();
    world.commit("", "a", 0, 1);
    assert_eq!(world.offsets(""), [entry("a", 0, 1)]);
}

#[test]
fn records_are_those_of_kafka() {
    let mut world = World::new();
    world.commit("g", "a", 2, 42);
    let Record { key, value } = &world.log[0];
    assert_eq!(key, b"\x00\x01\x00\x01g\x00\x01a\x00\x00\x00\x02");
    let mut expected = b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x2a\x00\x00\x00\x04\x05note".to_vec();
    expected.extend(NOW_MS.to_be_bytes());
    expected.extend(b"\x01\x00\x10");
    expected.extend(id(1).as_bytes());
    assert_eq!(value.as_ref().unwrap(), &expected);

    let kept = OffsetCommitRequest { retention_time_ms: 5_000, ..commit("g", "a", 2, 43) };
    world.commit_as(2, kept);
    let mut expected = b"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x2b\x00\x04note".to_vec();
    expected.extend(NOW_MS.to_be_bytes());
    expected.extend((NOW_MS + 5_000).to_be_bytes());
    assert_eq!(world.log[1].value.as_ref().unwrap(), &expected);
}

#[test]
fn what_does_not_exist_is_told_apart() {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let mut world = World::new();
    assert_eq!(world.commit_as(9, commit("g", "a", 3, 0)), [(3, unknown)]);
    assert_eq!(world.commit_as(9, commit("g", "a", -1, 0)), [(-1, unknown)]);
    assert_eq!(world.commit_as(9, commit("g", "c", 0, 0)), [(0, unknown)]);
    assert_eq!(world.commit_as(10, commit("g", "a", 0, 0)), [(0, ErrorCode::UNKNOWN_TOPIC_ID)]);
    assert_eq!(world.shard.group_count(), 0);

    // A generation of no group.
    let of_generation =
        OffsetCommitRequest { generation_id_or_member_epoch: 1, ..commit("g", "a", 0, 0) };
    assert_eq!(world.commit_as(9, of_generation.clone()), [(0, ErrorCode::GROUP_ID_NOT_FOUND)]);
    assert_eq!(world.commit_as(8, of_generation.clone()), [(0, ErrorCode::ILLEGAL_GENERATION)]);
    // Where no partition exists, nobody looks at the group.
    let mut nowhere = of_generation;
    nowhere.topics[0].partitions[0].partition_index = 9;
    assert_eq!(world.commit_as(9, nowhere), [(9, unknown)]);
    assert!(world.log.is_empty());
}

#[test]
fn topics_may_have_ids_in_place_of_names() {
    let mut world = World::new();
    let mut by_id = commit("g", "", 1, 8);
    by_id.topics[0].topic_id = id(2);
    assert_eq!(world.commit_as(10, by_id), [(1, ErrorCode::NONE)]);
    assert_eq!(world.offsets("g"), [entry("b", 1, 8)]);

    let fetch = |world: &mut World, topic_id| {
        let topic = OffsetFetchRequestTopics { topic_id, name: "", partition_indexes: vec![1] };
        let request = OffsetFetchRequestGroup {
            group_id: "g",
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        world.on(|shard, cx| {
            let response = shard.fetch_offsets(&request, false, 10, cx);
            let partition = &response.topics[0].partitions[0];
            (response.topics[0].topic_id, partition.committed_offset, partition.error_code)
        })
    };
    assert_eq!(fetch(&mut world, id(2)), (id(2), 8, ErrorCode::NONE));
    assert_eq!(fetch(&mut world, id(3)), (id(3), -1, ErrorCode::UNKNOWN_TOPIC_ID));
    // Another topic of that name.
    world.topics.0.insert("b".to_owned(), facts(3));
    assert_eq!(fetch(&mut world, id(3)), (id(3), -1, ErrorCode::NONE));
    assert_eq!(world.offsets("g"), [entry("b", 1, 8)]);
}

#[test]
fn all_offsets_come_with_the_ids_of_topics_that_exist() {
    let mut world = World::new();
    world.commit("g", "b", 0, 1);
    world.commit("g", "a", 0, 2);
    world.topics.0.remove("b");
    let request = OffsetFetchRequestGroup {
        group_id: "g",
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    let topics: Vec<_> = world.on(|shard, cx| {
        let response = shard.fetch_offsets(&request, false, 10, cx);
        response.topics.iter().map(|topic| topic.topic_id).collect()
    });
    assert_eq!(topics, [id(1)]);
    assert_eq!(world.offsets("g"), [entry("a", 0, 2), entry("b", 0, 1)]);
}

#[test]
fn metadata_is_measured_as_java_does() {
    let mut world = World::new();
    let long: &'static str = "x".repeat(4_097).leak();
    let fits: &'static str = "x".repeat(4_096).leak();
    // Three bytes each, but one char to Java.
    let wide: &'static str = "€".repeat(4_096).leak();
    let mut request = commit("g", "a", 0, 1);
    let partitions = [(0, Some(long)), (1, Some(fits)), (2, Some(wide))];
    request.topics[0].partitions = partitions
        .map(|(partition_index, committed_metadata)| OffsetCommitRequestPartition {
            partition_index,
            committed_metadata,
            ..OffsetCommitRequestPartition::default()
        })
        .to_vec();
    let codes = world.commit_as(9, request);
    let too_long = ErrorCode::OFFSET_METADATA_TOO_LARGE;
    assert_eq!(codes, [(0, too_long), (1, ErrorCode::NONE), (2, ErrorCode::NONE)]);
    assert_eq!(world.log.len(), 2);
}

#[test]
fn a_group_id_that_no_record_can_hold_is_refused() {
    let mut world = World::new();
    let group: &'static str = "g".repeat(40_000).leak();
    let codes = world.commit_as(9, commit(group, "a", 0, 1));
    assert_eq!(codes, [(0, ErrorCode::UNKNOWN_SERVER_ERROR)]);
    assert!(world.log.is_empty());
}

#[test]
fn records_many_times_as_long_as_their_request_are_not_put_together() {
    let mut world = World::new();
    let group: &'static str = "g".repeat(32_000).leak();
    let mut request = commit(group, "a", 0, 1);
    request.topics[0].partitions = vec![request.topics[0].partitions[0].clone(); 3_000];
    let caller = Caller { client_id: "c", client_host: "/127.0.0.1", version: 9 };
    let effects = world.on(|shard, cx| shard.commit_offsets(&request, &caller, cx));
    assert!(effects.write.is_none());
    let partitions = &effects.response.topics[0].partitions;
    assert!(partitions.iter().all(|it| it.error_code == ErrorCode::UNKNOWN_SERVER_ERROR));

    world.commit(group, "a", 0, 1);
    let before = world.log.len();
    let none = ErrorCode::NONE;
    assert_eq!(delete(&mut world, group, &[("a", 0); 3_000]), (none, vec![none; 3_000]));
    assert_eq!(world.log.len(), before + 1);
}

#[test]
fn open_transactions_make_offsets_unstable() {
    let mut world = World::new();
    world.replay(&record("a", 0, 10), None);
    world.replay(&record("a", 0, 20), Some(900));
    world.replay(&record("a", 0, 21), Some(901));
    assert_eq!(world.offsets("g"), [entry("a", 0, 10)]);
    let unstable = ("a".to_owned(), 0, -1, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    assert_eq!(world.fetch("g", true), std::slice::from_ref(&unstable));

    world.shard.replay_marker(901, false);
    assert_eq!(world.fetch("g", true), [unstable]);
    world.shard.replay_marker(900, true);
    assert_eq!(world.fetch("g", true), [("a".to_owned(), 0, 20, ErrorCode::NONE)]);
    // Ending it again changes nothing.
    world.shard.replay_marker(900, true);
    assert_eq!(world.offsets("g"), [entry("a", 0, 20)]);
}

#[test]
fn the_later_of_two_commits_wins_whenever_the_marker_comes() {
    let mut world = World::new();
    world.replay(&record("a", 0, 20), Some(900));
    world.replay(&record("a", 0, 10), None);
    world.replay(&record("b", 0, 11), None);
    world.replay(&record("b", 0, 21), Some(900));
    world.shard.replay_marker(900, true);
    assert_eq!(world.offsets("g"), [entry("a", 0, 10), entry("b", 0, 21)]);
}

#[test]
fn a_tombstone_takes_pending_offsets_along() {
    let mut world = World::new();
    world.replay(&record("a", 0, 20), Some(900));
    world.replay(&records::tombstone("g", "a", 0), None);
    world.shard.replay_marker(900, true);
    assert_eq!(world.offsets("g"), []);
    assert_eq!(world.shard.offsets.topics.len(), 0);
    assert_eq!(world.shard.offsets.topic_ids.len(), 0);
}

#[test]
fn names_are_kept_once_and_given_back() {
    let mut world = World::new();
    for round in 0..3 {
        for partition in 0..3 {
            world.commit("g", "a", partition, round);
            world.commit("h", "a", partition, round);
        }
    }
    assert_eq!(world.shard.offsets.len(), 6);
    assert_eq!(world.shard.offsets.topics.len(), 1);
    assert_eq!(world.shard.offsets.topic_ids.len(), 1);
    for group in ["g", "h"] {
        let effects = world.on(|shard, cx| shard.delete_group(group, cx));
        assert_eq!(world.carry_out(effects), ErrorCode::NONE);
    }
    assert_eq!(world.shard.offsets.len(), 0);
    assert_eq!(world.shard.group_count(), 0);
    assert_eq!(world.shard.offsets.topics.len(), 0);
    assert_eq!(world.shard.offsets.topic_ids.len(), 0);
}

#[test]
fn offsets_are_deleted_before_their_group() {
    let mut world = World::new();
    world.commit("g", "b", 0, 1);
    world.commit("g", "a", 1, 1);
    world.replay(&record("a", 0, 20), Some(900));
    let written = world.log.len();
    let effects = world.on(|shard, cx| shard.delete_group("g", cx));
    world.carry_out(effects);
    let kinds: Vec<_> = world.log[written..].iter().map(|it| (it.key[1], &it.value)).collect();
    assert_eq!(kinds, [(1, &None), (1, &None), (1, &None), (2, &None)]);
    let effects = world.on(|shard, cx| shard.delete_group("g", cx));
    assert_eq!(world.carry_out(effects), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(world.reloaded().shard.group_count(), 0);
}

fn delete(
    world: &mut World,
    group_id: &'static str,
    partitions: &[(&'static str, i32)],
) -> (ErrorCode, Vec<ErrorCode>) {
    let topics = partitions.iter().map(|(name, partition_index)| OffsetDeleteRequestTopic {
        name,
        partitions: vec![OffsetDeleteRequestPartition { partition_index: *partition_index }],
    });
    let request = OffsetDeleteRequest { group_id, topics: topics.collect() };
    let effects = world.on(|shard, cx| shard.delete_offsets(&request, cx));
    let response = world.carry_out(effects);
    let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
    (response.error_code, codes.map(|partition| partition.error_code).collect())
}

#[test]
fn offsets_of_subscribed_topics_are_not_deleted() {
    let none = ErrorCode::NONE;
    let mut world = World::new();
    assert_eq!(delete(&mut world, "", &[]).0, ErrorCode::INVALID_GROUP_ID);
    assert_eq!(delete(&mut world, "g", &[]).0, ErrorCode::GROUP_ID_NOT_FOUND);
    world.replay(&classic(1, "consumer", NOW_MS), None);
    world.replay(&record("a", 0, 1), None);
    world.replay(&record("b", 0, 1), None);
    let asked = [("a", 0), ("b", 0), ("b", 1), ("b", 9), ("c", 0)];
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let subscribed = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
    let codes = vec![subscribed, none, none, unknown, unknown];
    assert_eq!(delete(&mut world, "g", &asked), (none, codes));
    assert_eq!(world.offsets("g"), [entry("a", 0, 1)]);
    assert_eq!(world.log.len(), 4);

    world.replay(&classic(1, "connect", NOW_MS), None);
    assert_eq!(delete(&mut world, "g", &asked), (ErrorCode::NON_EMPTY_GROUP, vec![]));
}

#[test]
fn deleted_topics_are_forgotten_by_their_ids() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.commit("h", "a", 1, 1);
    world.commit("h", "b", 0, 2);
    world.replay(&record("a", 2, 20), Some(900));
    world.topics.0.insert("a".to_owned(), facts(3));
    world.commit("g", "a", 1, 5);
    let gone = [DeletedTopic { name: "a", id: id(1) }, DeletedTopic { name: "z", id: id(9) }];
    for effects in world.on(|shard, cx| shard.forget_topics(&gone, cx)) {
        world.carry_out(effects);
    }
    assert_eq!(world.offsets("g"), [entry("a", 1, 5)]);
    assert_eq!(world.offsets("h"), [entry("b", 0, 2)]);
    world.shard.replay_marker(900, true);
    assert_eq!(world.offsets("g"), [entry("a", 1, 5)]);
}

#[test]
fn many_topics_are_forgotten_at_once() {
    let mut world = World::new();
    let names: Vec<String> = (0..40_000).map(|n| format!("t{n}")).collect();
    names.iter().for_each(|name| world.replay(&record(name, 0, 1), None));
    let gone: Vec<_> = names.iter().map(|name| DeletedTopic { name, id: id(1) }).collect();
    let begun = std::time::Instant::now();
    for effects in world.on(|shard, cx| shard.forget_topics(&gone, cx)) {
        world.carry_out(effects);
    }
    assert_eq!(world.offsets("g"), []);
    // Each offset compared with each topic takes longer in a debug build.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn simple_groups_expire_by_their_commits() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.now_ms += DAY_MS;
    world.commit("g", "a", 1, 2);
    world.now_ms += 6 * DAY_MS - 1;
    assert_eq!(world.expire(), 0);
    world.now_ms += 1;
    assert_eq!(world.expire(), 1);
    assert_eq!(world.offsets("g"), [entry("a", 1, 2)]);
    world.now_ms += DAY_MS;
    assert_eq!(world.expire(), 2, "the last offset and the group");
    assert_eq!(world.shard.group_count(), 0);
    assert_eq!(world.expire(), 0);
}

#[test]
fn pending_offsets_keep_an_offset_and_its_group() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.commit("g", "b", 0, 1);
    world.replay(&record("a", 0, 20), Some(900));
    world.now_ms += 30 * DAY_MS;
    assert_eq!(world.expire(), 1);
    assert_eq!(world.offsets("g"), [entry("a", 0, 1)]);
    world.shard.replay_marker(900, false);
    assert_eq!(world.expire(), 2);
}

#[test]
fn an_empty_group_expires_from_when_it_became_so() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.now_ms += 6 * DAY_MS;
    world.replay(&classic(0, "consumer", world.now_ms), None);
    world.now_ms += 6 * DAY_MS;
    assert_eq!(world.expire(), 0);
    world.now_ms += DAY_MS;
    assert_eq!(world.expire(), 2);
    assert_eq!(world.shard.group_count(), 0);
}

#[test]
fn a_group_with_members_keeps_what_they_subscribe_to() {
    let mut world = World::new();
    world.commit("g", "a", 0, 1);
    world.commit("g", "b", 0, 1);
    world.replay(&classic(1, "consumer", NOW_MS), None);
    world.now_ms += 30 * DAY_MS;
    assert_eq!(world.expire(), 1);
    assert_eq!(world.offsets("g"), [entry("a", 0, 1)]);

    world.replay(&record("b", 0, 1), None);
    world.replay(&classic(1, "connect", NOW_MS), None);
    assert_eq!(world.expire(), 0, "nobody knows what it needs");
}

#[test]
fn an_expiry_that_the_client_gave_goes_first() {
    let mut world = World::new();
    let kept = OffsetCommitRequest { retention_time_ms: 60 * DAY_MS, ..commit("g", "a", 0, 1) };
    world.commit_as(4, kept);
    let brief = OffsetCommitRequest { retention_time_ms: 1_000, ..commit("g", "b", 0, 1) };
    world.commit_as(2, brief);
    world.now_ms += 1_000;
    assert_eq!(world.expire(), 1);
    world.now_ms += 59 * DAY_MS;
    assert_eq!(world.expire(), 0);
    world.now_ms += DAY_MS;
    assert_eq!(world.expire(), 2);
}

#[test]
fn old_records_are_read_and_bad_ones_refused() {
    let mut world = World::new();
    let value = OffsetCommitValue {
        offset: 7,
        metadata: "m",
        commit_timestamp: 3,
        ..OffsetCommitValue::default()
    };
    for version in 0..=4 {
        for kind in [0, 1] {
            let mut old = records::commit(
                OffsetCommitKey { group: "g", topic: "old", partition: i32::from(version) },
                &value,
            )
            .unwrap();
            old.key[1] = kind;
            let bytes = value_bytes(&value, version).unwrap();
            assert_eq!(read_value::<OffsetCommitValue<'_>>(&bytes).unwrap(), value);
            old.value = Some(bytes);
            world.replay(&old, None);
        }
    }
    assert_eq!(world.offsets("g").len(), 5);
    let mut bad = record("a", 0, 1);
    bad.value.as_mut().unwrap()[1] = 5;
    let origin = Origin { offset: 0, producer: None };
    assert!(world.shard.replay(&bad.key, bad.value.as_deref(), &origin).is_err());
    assert!(world.shard.replay(&bad.key[..3], None, &origin).is_err());
    assert_eq!(world.offsets("g").len(), 5);
}

#[test]
fn expiry_comes_in_batches_of_a_bounded_size() {
    let mut world = World::new();
    for partition in 0..20_000 {
        world.replay(&record("a", partition, 1), None);
    }
    world.now_ms += 30 * DAY_MS;
    let effects = world.on(|shard, cx| shard.expire_offsets(cx));
    assert!(effects.len() > 1);
    let writes = effects.iter().filter_map(|it| it.write.as_ref());
    let sizes = writes.map(|it| it.records.iter().map(|it| it.key.len()).sum::<usize>());
    assert!(sizes.max().unwrap() < 200 << 10);
    effects.into_iter().for_each(|it| world.carry_out(it));
    assert_eq!(world.shard.group_count(), 0);
    assert_eq!(world.shard.offsets.len(), 0);
}

#[test]
fn the_ids_of_share_and_streams_groups_are_left_alone() {
    let mut world = World::new();
    // Offsets of a streams group, as it commits them, and then the group itself.
    world.commit("app", "a", 0, 5);
    let exists = |kind: i16| Record {
        key: [&kind.to_be_bytes()[..], b"\0\x03app"].concat(),
        value: Some(vec![0, 0, 0, 0, 0, 1, 0]),
    };
    world.replay(&exists(17), None);
    let codes = world.commit_as(9, commit("app", "a", 0, 6));
    assert_eq!(codes, [(0, ErrorCode::GROUP_ID_NOT_FOUND)]);
    let caller = Caller { client_id: "c", client_host: "/127.0.0.1", version: 9 };
    let join = JoinGroupRequest {
        group_id: "app",
        session_timeout_ms: 10_000,
        protocol_type: "consumer",
        ..JoinGroupRequest::default()
    };
    let joined = world.on(|shard, cx| shard.join(&join, &caller, Ticket(1), cx)).response;
    assert_eq!(joined.unwrap().error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let deleted = world.on(|shard, cx| shard.delete_group("app", cx));
    assert!(deleted.write.is_none());
    assert_eq!(deleted.response, ErrorCode::GROUP_ID_NOT_FOUND);
    // Nothing of it expires, however long it rests.
    world.now_ms += 1 << 40;
    assert!(world.on(|shard, cx| shard.expire_offsets(cx)).is_empty());
    assert_eq!(world.offsets("app"), [("a".to_owned(), 0, 5)]);

    world.replay(&Record { value: None, ..exists(17) }, None);
    world.commit("app", "a", 0, 7);
}
