//! Members of both protocols in one group, and groups that change their kind.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, OwnedTopicPartition,
};
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest as Request;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::wire::Message;

use super::super::leave::ConsumerTimer;
use super::world::*;
use crate::context::Caller;
use crate::effects::{Answer, Effects, JoinAnswer, SyncAnswer, Ticket};
use crate::group::config::{GroupConfig, MigrationPolicy};
use crate::group::{Group, TimerKey};

const CLASSIC: Caller<'static> =
    Caller { client_id: "classic", client_host: "/127.0.0.1", version: 9 };

fn subscription(topic: &str, owned: &[i32], generation_id: i32) -> Vec<u8> {
    let owned_partitions = if owned.is_empty() {
        Vec::new()
    } else {
        vec![OwnedTopicPartition { topic, partitions: owned.to_vec() }]
    };
    let subscription = ConsumerProtocolSubscription {
        topics: vec![topic],
        owned_partitions,
        generation_id,
        ..ConsumerProtocolSubscription::default()
    };
    [&[0, 3][..], &subscription.to_bytes(3).unwrap()].concat()
}

fn partitions(assignment: &[u8]) -> Vec<i32> {
    let Some(bytes) = assignment.get(2..) else { return Vec::new() };
    let assignment = ConsumerProtocolAssignment::from_bytes(bytes, 3).unwrap();
    assignment.assigned_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect()
}

/// The protocols and the metadata of a JoinGroup.
fn protocols<'a>(names: &[&'a str], metadata: &'a [u8]) -> Vec<JoinGroupRequestProtocol<'a>> {
    names.iter().map(|name| JoinGroupRequestProtocol { name, metadata }).collect()
}

fn join_group<'a>(member_id: &'a str, metadata: &'a [u8]) -> JoinGroupRequest<'a> {
    JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        member_id,
        group_instance_id: None,
        protocol_type: "consumer",
        protocols: protocols(&["range"], metadata),
        reason: None,
    }
}

impl World {
    fn join(&mut self, request: &JoinGroupRequest<'_>) -> JoinAnswer {
        let ticket = Ticket(1);
        self.answers.clear();
        let answer = self.event(|shard, cx| shard.join(request, &CLASSIC, ticket, cx));
        self.tick();
        answer.unwrap_or_else(|| self.joined(ticket))
    }

    fn joined(&mut self, ticket: Ticket) -> JoinAnswer {
        let found = self.answers.iter().find(|(one, _)| *one == ticket);
        match found {
            Some((_, Answer::Join(answer))) => answer.clone(),
            _ => panic!("{:?}", self.answers),
        }
    }

    fn sync(
        &mut self,
        member_id: &str,
        generation_id: i32,
        given: &[(&str, Vec<u8>)],
    ) -> SyncAnswer {
        let assignments = given
            .iter()
            .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id,
            member_id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: assignments.collect(),
            ..SyncGroupRequest::default()
        };
        self.answers.clear();
        let ticket = Ticket(2);
        let answer = self.event(|shard, cx| shard.sync(&request, &CLASSIC, ticket, cx));
        answer.unwrap_or_else(|| match self.answers.iter().find(|(one, _)| *one == ticket) {
            Some((_, Answer::Sync(answer))) => answer.clone(),
            _ => panic!("{:?}", self.answers),
        })
    }

    fn classic_beat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let request =
            HeartbeatRequest { group_id: "g", generation_id, member_id, ..Default::default() };
        self.event(|shard, cx| shard.heartbeat(&request, cx))
    }

    fn leave(&mut self, member_id: &str) -> ErrorCode {
        let members = vec![MemberIdentity { member_id, ..MemberIdentity::default() }];
        let request = LeaveGroupRequest { group_id: "g", members, ..Default::default() };
        let answer = self.event(|shard, cx| shard.leave(&request, &CLASSIC, cx));
        answer.members[0].error_code
    }

    /// A classic group `g` of one member that has both partitions of topic `t`.
    fn classic_group() -> (Self, String) {
        let config = GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() };
        let mut world = Self::new(config);
        world.topics.put("t", 2);
        let metadata = subscription("t", &[], -1);
        let answer = world.join(&join_group("", &metadata));
        assert_eq!(answer.error, ErrorCode::MEMBER_ID_REQUIRED);
        let id = answer.member_id.to_string();
        let answer = world.join(&join_group(&id, &metadata));
        assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 1));
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![
                ottla_protocol::internal::consumer_protocol::AssignedTopicPartition {
                    topic: "t",
                    partitions: vec![0, 1],
                },
            ],
            user_data: None,
        };
        let assignment = [&[0, 3][..], &assignment.to_bytes(3).unwrap()].concat();
        let answer = world.sync(&id, 1, &[(&id, assignment)]);
        assert_eq!(answer.error, ErrorCode::NONE);
        (world, id)
    }

    fn kind(&self) -> &'static str {
        match self.shard.groups.get("g") {
            Some(Group::Classic(group)) => group.state_name(),
            Some(Group::Consumer(_)) => "consumer",
            None => "none",
        }
    }
}

#[test]
fn a_group_is_upgraded_and_downgraded_while_it_works() {
    let (mut world, classic) = World::classic_group();
    let before = world.log.len();
    let answer = world.heartbeat(&join("new", &["t"]));
    assert_eq!((answer.error, answer.member_epoch), (ErrorCode::NONE, 2));
    assert_eq!(answer.assignment, Some(Vec::new()));
    assert_eq!(world.kinds(before), [-2, 5, 3, 7, 6, 8, 5, 3, 7, 7, 6, 8]);
    assert_eq!(world.kind(), "consumer");
    assert_same(&world.shard, &world.reloaded(&world.log));

    // The classic member learns of it, joins again and gives partition 1 up the time after.
    assert_eq!(world.classic_beat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let metadata = subscription("t", &[0, 1], 1);
    let answer = world.join(&join_group(&classic, &metadata));
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 1));
    assert_eq!((answer.protocol.as_deref(), &*answer.leader), (Some("range"), ""));
    let kept = partitions(&world.sync(&classic, 1, &[]).assignment);
    assert_eq!(kept.len(), 1);
    assert_eq!(world.classic_beat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let metadata = subscription("t", &kept, 1);
    let answer = world.join(&join_group(&classic, &metadata));
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 2));
    assert_eq!(partitions(&world.sync(&classic, 2, &[]).assignment), kept);
    assert_eq!(world.classic_beat(&classic, 2), ErrorCode::NONE);
    let answer = world.heartbeat(&owning("new", 2, &[]));
    assert_eq!(answer.assignment.map(|topics| topics[0].partitions.len()), Some(1));
    assert_eq!(world.group("g").state_name(), "Stable");

    // The new one leaves: the group is classic again, and has to assign anew.
    world.heartbeat(&beat("new", -1));
    assert_eq!(world.kind(), "PreparingRebalance");
    assert_eq!(world.classic_beat(&classic, 2), ErrorCode::REBALANCE_IN_PROGRESS);
    let answer = world.join(&join_group(&classic, &metadata));
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 3));
    assert_eq!(&*answer.leader, classic);
}

#[test]
fn requests_that_wait_in_a_classic_group_are_answered_when_it_is_upgraded() {
    let (mut world, first) = World::classic_group();
    let metadata = subscription("t", &[], -1);
    let second = world.join(&join_group("", &metadata)).member_id.to_string();
    let request = join_group(&second, &metadata);
    world.answers.clear();
    let waits = world.event(|shard, cx| shard.join(&request, &CLASSIC, Ticket(7), cx));
    assert_eq!(waits, None);
    // A member whose request is refused has them answered too, as with Kafka.
    let bad = Request { subscribed_topic_regex: Some("("), ..join("new", &["t"]) };
    assert_eq!(world.heartbeat(&bad).error, ErrorCode::INVALID_REGULAR_EXPRESSION);
    assert_eq!(world.joined(Ticket(7)).error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_ne!(world.kind(), "consumer");
    world.heartbeat(&join("new", &["t"]));
    assert_eq!(world.group("g").members.len(), 3);
    assert_eq!(world.group("g").classic_count, 2);
    assert!(world.group("g").members.contains_key(&*first));
}

#[test]
fn upgrades_are_refused_as_kafka_refuses_them() {
    for (policy, error) in [
        (MigrationPolicy::Disabled, ErrorCode::GROUP_ID_NOT_FOUND),
        (MigrationPolicy::Downgrade, ErrorCode::GROUP_ID_NOT_FOUND),
        (MigrationPolicy::Upgrade, ErrorCode::NONE),
    ] {
        let (mut world, _) = World::classic_group();
        let config = GroupConfig { consumer_migration_policy: policy, ..world.config.clone() };
        world.shard.set_config(Arc::new(config));
        assert_eq!(world.heartbeat(&join("new", &["t"])).error, error, "{policy:?}");
        if error == ErrorCode::NONE {
            world.heartbeat(&beat("new", -1));
            assert_eq!(world.kind(), "consumer", "it may not go back");
        }
    }
    let (mut world, classic) = World::classic_group();
    assert_eq!(world.heartbeat(&beat("new", 3)).error, ErrorCode::GROUP_ID_NOT_FOUND);
    let config = GroupConfig { consumer_max_size: 0, ..world.config.clone() };
    world.shard.set_config(Arc::new(config));
    let answer = world.heartbeat(&join("new", &["t"]));
    assert_eq!(answer.error, ErrorCode::GROUP_ID_NOT_FOUND);
    // An empty classic group is replaced whatever the policy says.
    world.leave(&classic);
    assert_eq!(world.kind(), "Empty");
    let policy = MigrationPolicy::Disabled;
    let config = GroupConfig { consumer_migration_policy: policy, ..world.config.clone() };
    world.shard.set_config(Arc::new(config));
    let before = world.log.len();
    assert_eq!(world.heartbeat(&join("new", &["t"])).error, ErrorCode::NONE);
    assert_eq!(world.kinds(before), [-2, 5, 3, 7, 6, 8]);
    let answer = world.join(&join_group("", &subscription("t", &[], -1)));
    assert_eq!(answer.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn a_classic_member_in_a_consumer_group_is_checked() {
    let mut world = World::new(GroupConfig::default());
    world.topics.put("t", 2);
    world.heartbeat(&join("new", &["t"]));
    let metadata = subscription("t", &[], -1);
    let answer = world.join(&join_group("", &metadata));
    assert_eq!(answer.error, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(answer.member_id.len(), 22);
    let id = answer.member_id.to_string();
    let other = JoinGroupRequest { protocol_type: "connect", ..join_group(&id, &metadata) };
    assert_eq!(world.join(&other).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    world.pass(1_000);
    let answer = world.join(&join_group(&id, &metadata));
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 3));
    let only_sticky = JoinGroupRequest {
        protocols: protocols(&["sticky"], &metadata),
        ..join_group("x", &metadata)
    };
    assert_eq!(world.join(&only_sticky).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let malformed = join_group("x", &[0xff]);
    assert_eq!(world.join(&malformed).error, ErrorCode::UNKNOWN_SERVER_ERROR);

    assert_eq!(world.sync(&id, 2, &[]).error, ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(world.sync("x", 3, &[]).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.sync("new", 2, &[]).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.sync(&id, 3, &[]).error, ErrorCode::NONE);
    assert_eq!(world.classic_beat(&id, 2), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(world.classic_beat("new", 2), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.classic_beat(&id, 3), ErrorCode::NONE);
    assert_eq!(world.leave("x"), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.leave(&id), ErrorCode::NONE);
    assert_eq!(world.group("g").members.len(), 1);
}

#[test]
fn a_classic_member_that_does_not_go_on_is_taken_out() {
    let mut world = World::new(GroupConfig::default());
    world.topics.put("t", 2);
    world.heartbeat(&join("new", &["t"]));
    let metadata = subscription("t", &[], -1);
    let id = world.join(&join_group("", &metadata)).member_id.to_string();
    let hasty = JoinGroupRequest { rebalance_timeout_ms: 10_000, ..join_group(&id, &metadata) };
    world.pass(1_000);
    world.join(&hasty);
    // It does not ask for its assignment.
    world.pass(9_999);
    assert_eq!(world.group("g").members.len(), 2);
    world.pass(1);
    assert_eq!(world.group("g").members.len(), 1);
    // It asks, but then does not join again when it is told to.
    let answer = world.join(&hasty);
    assert_eq!(world.sync(&id, answer.generation, &[]).error, ErrorCode::NONE);
    world.topics.put("t", 3);
    world.pass(1_000);
    world.heartbeat(&beat("new", 2));
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(world.classic_beat(&id, answer.generation), rebalance);
    world.pass(9_000);
    assert_eq!(world.classic_beat(&id, answer.generation), rebalance);
    world.pass(1_000);
    assert_eq!(world.group("g").members.len(), 1);
}

#[test]
fn a_protocol_that_is_named_twice_counts_once() {
    let mut world = World::new(GroupConfig::default());
    world.topics.put("t", 2);
    world.heartbeat(&join("new", &["t"]));
    let metadata = subscription("t", &[], -1);
    for names in [&["range", "range"][..], &["range"]] {
        let id = world.join(&join_group("", &metadata)).member_id.to_string();
        let request = join_group(&id, &metadata);
        let request = JoinGroupRequest { protocols: protocols(names, &metadata), ..request };
        assert_eq!(world.join(&request).error, ErrorCode::NONE, "{names:?}");
    }
    // The group that it becomes has a protocol too.
    world.heartbeat(&beat("new", -1));
    let Some(Group::Classic(group)) = world.shard.groups.get("g") else { panic!("no downgrade") };
    assert_eq!(group.protocol(), Some("range"));
}

#[test]
fn a_static_classic_member_replaces_the_last_new_one() {
    let (mut world, classic) = World::classic_group();
    let named = |request| Request { instance_id: Some("i"), ..request };
    world.heartbeat(&named(join("new", &["t"])));
    let metadata = subscription("t", &[], -1);
    let request = JoinGroupRequest { group_instance_id: Some("i"), ..join_group("", &metadata) };
    let before = world.log.len();
    let answer = world.join(&request);
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 2));
    assert_eq!(
        world.kinds(before),
        [-8, -7, -5, 5, 7, 8, 5, 8, -8, -8, -7, -7, -6, -5, -5, -4, -3, 2]
    );
    assert_eq!(world.kind(), "Stable");
    // The assignment was up to date, so the classic group goes on with it.
    assert_eq!(world.classic_beat(&classic, 2), ErrorCode::NONE);
    let reloaded = world.reloaded(&world.log);
    assert!(matches!(reloaded.groups.get("g"), Some(Group::Classic(_))));
    assert_eq!(world.classic_beat(&answer.member_id, 2), ErrorCode::NONE);
}

#[test]
fn a_classic_member_joins_an_empty_consumer_group() {
    let config = GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() };
    let mut world = World::new(config);
    world.heartbeat(&join("new", &["t"]));
    world.heartbeat(&beat("new", -1));
    let metadata = subscription("t", &[], -1);
    let before = world.log.len();
    let answer = world.join(&join_group("", &metadata));
    assert_eq!(answer.error, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(world.kinds(before), [-6, -4, -3, 2]);
    assert_eq!(world.kind(), "Empty");
    let answer = world.join(&join_group(&answer.member_id, &metadata));
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 1));
}

#[test]
fn a_downgrade_that_could_not_be_written_has_not_happened() {
    let (mut world, classic) = World::classic_group();
    world.heartbeat(&join("new", &["t"]));
    let leave = beat("new", -1);
    world.failed_event(|shard, cx| shard.consumer_heartbeat(&leave, &CALLER, cx));
    assert_eq!(world.kind(), "consumer");
    assert_eq!(world.group("g").members.len(), 2);
    assert_eq!(world.classic_beat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_restart_before_the_members_join_again_does_not_end_the_rebalance() {
    let (mut world, classic) = World::classic_group();
    world.heartbeat(&join("new", &["t"]));
    world.heartbeat(&beat("new", -1));
    assert_eq!(world.kind(), "PreparingRebalance");

    world.shard = world.reloaded(&world.log);
    world.event(|shard, cx| {
        let effects = shard.loaded(cx);
        assert!(effects.iter().all(|one| one.write.is_none() && one.answers.is_empty()));
        Effects::response(())
    });
    assert_eq!(world.kind(), "PreparingRebalance");
    let generation = 2;
    assert_eq!(world.classic_beat(&classic, generation), ErrorCode::REBALANCE_IN_PROGRESS);
    let answer = world.join(&join_group(&classic, &subscription("t", &[0], 1)));
    assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 3));
}

#[test]
fn a_classic_group_is_not_held_to_what_its_members_owed_before() {
    let (mut world, classic) = World::classic_group();
    world.heartbeat(&join("new", &["t"]));
    assert_eq!(world.classic_beat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let owes = |make: fn(Arc<str>, Arc<str>) -> ConsumerTimer| {
        TimerKey::Consumer(make(Arc::from("g"), Arc::from(&*classic)))
    };
    let timers = [owes(ConsumerTimer::Session), owes(ConsumerTimer::Join)];
    assert!(timers.iter().all(|timer| world.shard.timers.is_set(timer)));
    world.heartbeat(&beat("new", -1));
    assert_eq!(world.kind(), "PreparingRebalance");
    assert!(!timers.iter().any(|timer| world.shard.timers.is_set(timer)));
}
