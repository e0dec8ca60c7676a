//! Requests and records with bytes that are wrong somewhere: none of them brings a shard down.

use std::sync::Arc;

use ottla_coordinator::context::Caller;
use ottla_coordinator::effects::{Effects, Ticket};
use ottla_coordinator::group::GroupShard;
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::record::Origin;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Reader, Writer};

use super::chance::Chance;
use super::log::Entry;
use super::story::{self, Plot};
use super::world::{GROUPS, World};

/// A history that ends in nonsense.
pub(super) fn tell(seed: u64) {
    let mut world = story::begin(seed, &Plot::BOTH);
    world.nobody_listens();
    for _ in 0..60 {
        match world.chance.below(10) {
            0 => {
                let ms = world.chance.between(0, 20_000);
                world.pass(ms);
            }
            1 if world.chance.one_in(4) => world.restart(),
            _ => nonsense(&mut world),
        }
    }
    world.restart();
    records(&mut world);
}

/// What requests are made of: some of it is right.
struct Words {
    group: String,
    member: String,
    instance: Option<String>,
    generation: i32,
    topic: String,
    bytes: Vec<u8>,
}

impl Words {
    fn of(world: &mut World) -> Self {
        let client = world.chance.below(world.classic.len());
        let it = &world.classic[client];
        let (own, member) = (it.group.clone(), it.member_id.clone());
        let (instance, generation) = (it.instance.clone(), it.generation);
        let bytes = it.subscription();
        // As many consumers as classic clients.
        let other = &world.consumers[client];
        let (member, instance, generation) = match world.chance.one_in(2) {
            true => (member, instance, generation),
            false => (other.member_id.clone(), other.instance.clone(), other.epoch),
        };
        let chance = &mut world.chance;
        let group = match chance.below(12) {
            0 => String::new(),
            // More than a record's key has room for.
            1 => "g".repeat(40_000),
            2..6 => (*chance.pick(&GROUPS)).to_owned(),
            _ => own,
        };
        let member = match chance.below(6) {
            0 => String::new(),
            1 => "m".repeat(33_000),
            _ => member,
        };
        let instance = match chance.below(8) {
            0 => None,
            1 => Some(String::new()),
            2 => Some("i".repeat(33_000)),
            _ => instance,
        };
        let generation = match chance.below(6) {
            0 => *chance.pick(&[-2, -1, 0, i32::MIN, i32::MAX]),
            _ => generation,
        };
        let topic = (*chance.pick(&["a", "b", "", "no such topic"])).to_owned();
        let mut bytes = bytes;
        if chance.one_in(3) {
            flip(chance, &mut bytes);
        }
        Self { group, member, instance, generation, topic, bytes }
    }
}

/// Changes a few bytes, or cuts some off.
fn flip(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..chance.below(4) {
        if !bytes.is_empty() {
            let at = chance.below(bytes.len());
            bytes[at] = *chance.pick(&[0, 1, 2, 0x7f, 0x80, 0xff, b'a']);
        }
    }
    if chance.one_in(8) {
        bytes.truncate(chance.below(bytes.len() + 1));
    }
}

/// Writes the request at some version, does harm to it and reads it: `None` when it is refused.
fn garble<'a, 'r, Q: Message<'r>, T: Message<'a>>(
    chance: &mut Chance,
    request: &Q,
    bytes: &'a mut Vec<u8>,
) -> Option<(T, i16)> {
    let (first, last) = (*Q::VERSIONS.start(), *Q::VERSIONS.end());
    let version = chance.between(i64::from(first), i64::from(last)) as i16;
    let mut writer = Writer::new();
    request.encode(&mut writer, version).ok()?;
    *bytes = writer.finish().bytes;
    if !chance.one_in(3) {
        flip(chance, bytes);
    }
    T::decode(&mut Reader::new(bytes), version).ok().map(|request| (request, version))
}

fn nonsense(world: &mut World) {
    let words = Words::of(world);
    let mut bytes = Vec::new();
    match world.chance.below(10) {
        8 | 9 => consumer_heartbeat(world, &words, &mut bytes),
        0 | 1 => join(world, &words, &mut bytes),
        2 => sync(world, &words, &mut bytes),
        3 => leave(world, &words, &mut bytes),
        4 => fetch(world, &words, &mut bytes),
        5 => delete(world, &words, &mut bytes),
        6 => commit(world, &words, &mut bytes),
        _ => {
            let request = HeartbeatRequest {
                group_id: &words.group,
                generation_id: words.generation,
                member_id: &words.member,
                group_instance_id: words.instance.as_deref(),
            };
            if let Some((request, _)) =
                garble::<_, HeartbeatRequest<'_>>(&mut world.chance, &request, &mut bytes)
            {
                let effects = world.on(|shard, cx| shard.heartbeat(&request, cx));
                let _ = world.carry_out(effects);
            }
        }
    }
}

fn caller(version: i16) -> Caller<'static> {
    Caller { client_id: "c", client_host: "/127.0.0.1", version }
}

fn carry_out_parked<R>(world: &mut World, effects: Effects<Option<R>>, ticket: Ticket) {
    if effects.response.is_none() {
        world.park_for_nobody(ticket);
    }
    let _ = world.carry_out(effects);
}

fn join(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    let ticket = Ticket(world.number());
    let chance = &mut world.chance;
    let protocol = JoinGroupRequestProtocol {
        name: chance.pick::<&str>(&["range", "", "roundrobin", "other"]),
        metadata: &words.bytes,
    };
    let request = JoinGroupRequest {
        group_id: &words.group,
        session_timeout_ms: *chance.pick(&[-1, 0, 6_000, 10_000, i32::MAX]),
        rebalance_timeout_ms: *chance.pick(&[-1, 0, 6_000, i32::MIN, i32::MAX]),
        member_id: &words.member,
        group_instance_id: words.instance.as_deref(),
        protocol_type: chance.pick::<&str>(&["consumer", "consumer", "connect", ""]),
        protocols: vec![protocol; chance.below(3)],
        reason: None,
    };
    if let Some((request, version)) =
        garble::<_, JoinGroupRequest<'_>>(&mut world.chance, &request, bytes)
    {
        let effects = world.on(|shard, cx| shard.join(&request, &caller(version), ticket, cx));
        carry_out_parked(world, effects, ticket);
    }
}

fn consumer_heartbeat(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    let chance = &mut world.chance;
    let names = vec![words.topic.as_str(), "a", ""];
    let regex = ["", "a.*", "(", "[a-b]{100}", ".*"];
    let partitions = TopicPartitions {
        topic_id: Uuid::from_u64s(0x7070, 1),
        partitions: vec![0, 1, 1, -1, i32::MAX],
    };
    let request = ConsumerGroupHeartbeatRequest {
        group_id: &words.group,
        member_id: &words.member,
        member_epoch: *chance.pick(&[words.generation, words.generation, 0, -1, -2, -3]),
        instance_id: words.instance.as_deref(),
        rack_id: *chance.pick(&[None, Some(""), Some("rack")]),
        rebalance_timeout_ms: *chance.pick(&[-1, 0, 5_000, i32::MIN, i32::MAX]),
        subscribed_topic_names: (!chance.one_in(3)).then_some(names),
        subscribed_topic_regex: chance.one_in(3).then_some(*chance.pick(&regex)),
        server_assignor: *chance.pick(&[None, None, Some("range"), Some("none")]),
        topic_partitions: match chance.below(3) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(vec![partitions]),
        },
    };
    if let Some((request, version)) =
        garble::<_, ConsumerGroupHeartbeatRequest<'_>>(&mut world.chance, &request, bytes)
    {
        let effects =
            world.on(|shard, cx| shard.consumer_heartbeat(&request, &caller(version), cx));
        let _ = world.carry_out(effects);
    }
}

fn sync(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    let ticket = Ticket(world.number());
    let assignment =
        SyncGroupRequestAssignment { member_id: &words.member, assignment: &words.bytes };
    let request = SyncGroupRequest {
        group_id: &words.group,
        generation_id: words.generation,
        member_id: &words.member,
        group_instance_id: words.instance.as_deref(),
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        assignments: vec![assignment; world.chance.below(3)],
    };
    if let Some((request, version)) =
        garble::<_, SyncGroupRequest<'_>>(&mut world.chance, &request, bytes)
    {
        let effects = world.on(|shard, cx| shard.sync(&request, &caller(version), ticket, cx));
        carry_out_parked(world, effects, ticket);
    }
}

fn leave(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    let member = MemberIdentity {
        member_id: &words.member,
        group_instance_id: words.instance.as_deref(),
        reason: None,
    };
    let request = LeaveGroupRequest {
        group_id: &words.group,
        member_id: &words.member,
        members: vec![member; world.chance.below(3)],
    };
    if let Some((request, version)) =
        garble::<_, LeaveGroupRequest<'_>>(&mut world.chance, &request, bytes)
    {
        let effects = world.on(|shard, cx| shard.leave(&request, &caller(version), cx));
        let _ = world.carry_out(effects);
    }
}

fn commit(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    let chance = &mut world.chance;
    let partition = OffsetCommitRequestPartition {
        partition_index: *chance.pick(&[0, 1, -1, i32::MIN, i32::MAX]),
        committed_offset: *chance.pick(&[0, -1, i64::MAX]),
        committed_leader_epoch: -5,
        committed_metadata: *chance.pick(&[None, Some(""), Some("note")]),
    };
    let topic = OffsetCommitRequestTopic {
        name: &words.topic,
        topic_id: Uuid::from_u64s(0x7070, 1),
        partitions: vec![partition; chance.below(3)],
    };
    let request = OffsetCommitRequest {
        group_id: &words.group,
        generation_id_or_member_epoch: words.generation,
        member_id: &words.member,
        group_instance_id: words.instance.as_deref(),
        retention_time_ms: *chance.pick(&[-1, 0, i64::MAX, i64::MIN]),
        topics: vec![topic; chance.below(3)],
    };
    if let Some((request, version)) =
        garble::<_, OffsetCommitRequest<'_>>(&mut world.chance, &request, bytes)
    {
        let effects = world.on(|shard, cx| shard.commit_offsets(&request, &caller(version), cx));
        let _ = world.carry_out(effects);
    }
}

fn fetch(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    let topics = OffsetFetchRequestTopics {
        name: &words.topic,
        topic_id: Uuid::from_u64s(0x7070, 1),
        partition_indexes: vec![0, -1, i32::MAX],
    };
    let group = OffsetFetchRequestGroup {
        group_id: &words.group,
        member_id: Some(&words.member),
        member_epoch: words.generation,
        topics: (!world.chance.one_in(2)).then_some(vec![topics]),
    };
    let request = OffsetFetchRequest {
        groups: vec![group],
        require_stable: true,
        ..OffsetFetchRequest::default()
    };
    if let Some((request, version)) =
        garble::<_, OffsetFetchRequest<'_>>(&mut world.chance, &request, bytes)
    {
        for group in &request.groups {
            world.on(|shard, cx| {
                let answer = shard.fetch_offsets(group, request.require_stable, version, cx);
                assert_eq!(answer.group_id, group.group_id);
            });
        }
    }
}

fn delete(world: &mut World, words: &Words, bytes: &mut Vec<u8>) {
    if world.chance.one_in(3) {
        let effects = world.on(|shard, cx| shard.delete_group(&words.group, cx));
        let _ = world.carry_out(effects);
        return;
    }
    let partition_index = *world.chance.pick(&[0, 1, -1, i32::MAX]);
    let request = OffsetDeleteRequest {
        group_id: &words.group,
        topics: vec![OffsetDeleteRequestTopic {
            name: &words.topic,
            partitions: vec![OffsetDeleteRequestPartition { partition_index }],
        }],
    };
    if let Some((request, _)) =
        garble::<_, OffsetDeleteRequest<'_>>(&mut world.chance, &request, bytes)
    {
        let effects = world.on(|shard, cx| shard.delete_offsets(&request, cx));
        let _ = world.carry_out(effects);
    }
}

/// Replays the world's records with bytes changed; those that can be read give some state.
fn records(world: &mut World) {
    let mut shard = GroupShard::new(Arc::new(GroupConfig::default()));
    for (offset, entry) in &world.log.entries {
        let Entry::Record(record, producer) = entry else { continue };
        let mut record = record.clone();
        flip(&mut world.chance, &mut record.key);
        if let Some(value) = &mut record.value {
            flip(&mut world.chance, value);
        }
        let origin = Origin { offset: *offset, producer: producer.map(|id| (id, 0)) };
        let _ = shard.replay(&record.key, record.value.as_deref(), &origin);
    }
    world.shard = shard;
    world.waiting.clear();
    let after_load = world.on(|shard, cx| shard.loaded(cx));
    for effects in after_load {
        let _ = world.carry_out(effects);
    }
    let cx = world.context();
    for listed in world.shard.list() {
        let _ = world.shard.describe_classic(listed.group_id, 6);
        let _ = world.shard.describe_consumer(listed.group_id, &cx);
        let all = OffsetFetchRequestGroup {
            group_id: listed.group_id,
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let _ = world.shard.fetch_offsets(&all, true, 10, &cx);
    }
    world.pass(1_000_000);
    world.now.wall_ms += 100_000_000_000;
    let expired = world.on(|shard, cx| shard.expire_offsets(cx));
    for effects in expired {
        let _ = world.carry_out(effects);
    }
    assert_eq!(world.shard.close(ErrorCode::NOT_COORDINATOR), []);
}
