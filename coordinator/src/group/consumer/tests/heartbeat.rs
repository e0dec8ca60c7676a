//! Requests one by one: what is answered, and what is written.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest as Request;
use ottla_protocol::uuid::Uuid;

use super::super::member::MemberState;
use super::world::*;
use crate::context::Caller;
use crate::group::config::GroupConfig;
use crate::group::state::{CommitFence, GroupState};

fn world() -> World {
    World::new(GroupConfig::default())
}

#[test]
fn requests_that_make_no_sense_are_refused_in_kafkas_order() {
    let join = || join("m", &["t"]);
    let invalid = ErrorCode::INVALID_REQUEST;
    let cases: Vec<(&str, i16, Request<'_>, ErrorCode)> = vec![
        ("no id, v1", 1, Request { member_id: "", ..join() }, invalid),
        ("no id, v0", 0, Request { member_id: "", ..join() }, ErrorCode::NONE),
        ("blank id", 1, Request { member_id: " ", ..join() }, invalid),
        ("no id, beats", 0, beat("", 1), invalid),
        ("no id, leaves", 0, beat("", -1), invalid),
        ("no group", 1, Request { group_id: "", ..join() }, invalid),
        ("empty instance", 1, Request { instance_id: Some(""), ..join() }, invalid),
        ("empty rack", 1, Request { rack_id: Some(""), ..join() }, invalid),
        ("no timeout", 1, Request { rebalance_timeout_ms: -1, ..join() }, invalid),
        ("no owned", 1, Request { topic_partitions: None, ..join() }, invalid),
        (
            "owns",
            1,
            Request { topic_partitions: Some(topics(&[(Uuid::ONE, &[0])])), ..join() },
            invalid,
        ),
        ("no topics", 1, Request { subscribed_topic_names: None, ..join() }, invalid),
        ("leaves for a while without a name", 1, beat("m", -2), invalid),
        ("epoch -3", 1, beat("m", -3), invalid),
        (
            "assignor",
            1,
            Request { server_assignor: Some("best"), ..join() },
            ErrorCode::UNSUPPORTED_ASSIGNOR,
        ),
        (
            "assignor of a bad request",
            1,
            Request { server_assignor: Some("best"), rack_id: Some(""), ..join() },
            invalid,
        ),
        (
            "regex",
            1,
            Request { subscribed_topic_regex: Some("("), ..join() },
            ErrorCode::INVALID_REGULAR_EXPRESSION,
        ),
        ("unknown group", 1, beat("m", 5), ErrorCode::GROUP_ID_NOT_FOUND),
        ("leaves unknown group", 1, beat("m", -1), ErrorCode::GROUP_ID_NOT_FOUND),
    ];
    for (what, version, request, expected) in cases {
        let mut world = world();
        let caller = Caller { version, ..CALLER };
        let answer = world.event(|shard, cx| shard.consumer_heartbeat(&request, &caller, cx));
        assert_eq!(answer.error, expected, "{what}");
        assert_eq!(answer.message.is_none(), expected == ErrorCode::NONE, "{what}");
        if expected != ErrorCode::NONE {
            assert!(world.log.is_empty(), "{what}");
            assert_eq!(world.shard.group_count(), 0, "{what}");
        }
    }
}

#[test]
fn a_first_member_gets_everything_in_epoch_2() {
    let mut world = world();
    let topic = world.topics.put("t", 3);
    let answer = world.heartbeat(&join("m", &["t"]));
    assert_eq!((answer.error, answer.member_epoch), (ErrorCode::NONE, 2));
    assert_eq!(answer.member_id.as_deref(), Some("m"));
    assert_eq!(answer.heartbeat_interval_ms, 5_000);
    assert_eq!(answer.assignment, Some(topics(&[(topic, &[0, 1, 2])])));
    assert_eq!(world.kinds(0), [5, 3, 7, 6, 8]);
    assert_eq!(world.group("g").state_name(), "Stable");

    // Nothing has changed, so nothing is written or told.
    let answer = world.heartbeat(&owning("m", 2, &[(topic, &[0, 1, 2])]));
    assert_eq!((answer.member_epoch, answer.assignment), (2, None));
    assert_eq!(world.log.len(), 5);
    // Unless everything is asked for.
    let full = Request { member_epoch: 2, ..join("m", &["t"]) };
    assert!(world.heartbeat(&full).assignment.is_some());
    assert_eq!(world.log.len(), 5);
}

#[test]
fn partitions_go_to_a_second_member_when_the_first_has_given_them_up() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    world.heartbeat(&join("a", &["t"]));
    world.pass(1_000);
    let answer = world.heartbeat(&join("b", &["t"]));
    assert_eq!((answer.member_epoch, answer.assignment), (3, Some(Vec::new())));
    assert_eq!(world.member("g", "b").state, MemberState::UnreleasedPartitions);
    assert_eq!(world.group("g").state_name(), "Reconciling");

    let answer = world.heartbeat(&owning("a", 2, &[(topic, &[0, 1])]));
    assert_eq!((answer.member_epoch, answer.assignment), (2, Some(topics(&[(topic, &[0])]))));
    // It says nothing of what it owns, so it may still own both.
    let answer = world.heartbeat(&beat("a", 2));
    assert_eq!((answer.member_epoch, answer.assignment), (2, None));
    assert_eq!(world.heartbeat(&beat("b", 3)).assignment, None);

    let answer = world.heartbeat(&owning("a", 2, &[(topic, &[0])]));
    assert_eq!((answer.member_epoch, answer.assignment), (3, None));
    let answer = world.heartbeat(&owning("b", 3, &[]));
    assert_eq!((answer.member_epoch, answer.assignment), (3, Some(topics(&[(topic, &[1])]))));
    assert_eq!(world.group("g").state_name(), "Stable");
}

#[test]
fn an_answer_that_was_lost_is_no_reason_to_be_fenced() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    world.heartbeat(&join("a", &["t"]));
    world.pass(1_000);
    world.heartbeat(&join("b", &["t"]));
    world.heartbeat(&owning("a", 2, &[(topic, &[0])]));
    let epoch = world.member("g", "a").epoch;
    assert_eq!(epoch, 3);
    // It has not heard of epoch 3, and asks again with 2.
    assert_eq!(world.heartbeat(&owning("a", 2, &[(topic, &[0])])).member_epoch, 3);
    for (fenced, what) in [
        (owning("a", 2, &[(topic, &[0, 1])]), "owns what it was not assigned"),
        (beat("a", 2), "does not say what it owns"),
        (owning("a", 1, &[]), "an older epoch"),
        (owning("a", 4, &[]), "an epoch to come"),
    ] {
        let answer = world.heartbeat(&fenced);
        assert_eq!(answer.error, ErrorCode::FENCED_MEMBER_EPOCH, "{what}");
    }
    let unknown = world.heartbeat(&beat("c", 3));
    assert_eq!(unknown.error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_leaves_or_is_not_heard_of() {
    let mut world = world();
    world.topics.put("t", 2);
    world.heartbeat(&join("a", &["t"]));
    world.heartbeat(&join("b", &["t"]));
    let before = world.log.len();
    let answer = world.heartbeat(&beat("b", -1));
    assert_eq!((answer.error, answer.member_epoch), (ErrorCode::NONE, -1));
    assert_eq!((answer.heartbeat_interval_ms, answer.assignment), (0, None));
    assert_eq!(world.kinds(before), [-8, -7, -5, 3]);
    world.pass(44_999);
    assert_eq!(world.group("g").members.len(), 1);
    world.pass(1);
    assert_eq!(world.group("g").state_name(), "Empty");
    // What is left is for DeleteGroups.
    let before = world.log.len();
    world.event(|shard, cx| shard.delete_group("g", cx));
    assert_eq!(world.kinds(before), [-6, -4, -3]);
    assert_eq!(world.shard.group_count(), 0);
}

#[test]
fn a_member_that_gives_nothing_up_is_taken_out_in_time() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    let hasty = |name| Request { rebalance_timeout_ms: 10_000, ..join(name, &["t"]) };
    world.heartbeat(&hasty("a"));
    world.pass(1_000);
    world.heartbeat(&hasty("b"));
    world.heartbeat(&owning("a", 2, &[(topic, &[0, 1])]));
    world.pass(9_999);
    world.heartbeat(&owning("a", 2, &[(topic, &[0, 1])]));
    assert_eq!(world.group("g").members.len(), 2);
    world.pass(1);
    assert!(!world.group("g").members.contains_key("a"));
    let answer = world.heartbeat(&beat("a", 2));
    assert_eq!(answer.error, ErrorCode::UNKNOWN_MEMBER_ID);
    world.heartbeat(&owning("b", 3, &[]));
    assert_eq!(world.member("g", "b").assigned.len(), 2);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    let named =
        |id, epoch| Request { instance_id: Some("i"), member_epoch: epoch, ..join(id, &["t"]) };
    world.heartbeat(&named("a", 0));
    let answer = world.heartbeat(&named("b", 0));
    assert_eq!(answer.error, ErrorCode::UNRELEASED_INSTANCE_ID);
    let answer = world.heartbeat(&Request { instance_id: Some("i"), ..beat("b", 2) });
    assert_eq!(answer.error, ErrorCode::FENCED_INSTANCE_ID);
    let answer = world.heartbeat(&Request { instance_id: Some("j"), ..beat("b", 2) });
    assert_eq!(answer.error, ErrorCode::UNKNOWN_MEMBER_ID);

    let before = world.log.len();
    let answer = world.heartbeat(&Request { instance_id: Some("i"), ..beat("a", -2) });
    assert_eq!((answer.error, answer.member_epoch), (ErrorCode::NONE, -2));
    assert_eq!(world.kinds(before), [8]);
    let before = world.log.len();
    let answer = world.heartbeat(&named("b", 0));
    assert_eq!((answer.error, answer.member_epoch), (ErrorCode::NONE, 2));
    assert_eq!(answer.assignment, Some(topics(&[(topic, &[0, 1])])));
    assert_eq!(world.kinds(before), [-8, -7, -5, 5, 7, 8, 8]);
    assert_eq!(world.group("g").epoch, 2);
    assert_same(&world.shard, &world.reloaded(&world.log));
}

#[test]
fn no_more_members_than_the_group_may_have() {
    let mut world = World::new(GroupConfig { consumer_max_size: 1, ..GroupConfig::default() });
    world.heartbeat(&join("a", &["t"]));
    let answer = world.heartbeat(&join("b", &["t"]));
    assert_eq!(answer.error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(world.heartbeat(&join("a", &["t"])).error, ErrorCode::NONE);
}

#[test]
fn assignments_are_not_made_more_often_than_allowed() {
    let mut world = world();
    let topic = world.topics.put("t", 4);
    world.heartbeat(&join("a", &["t"]));
    world.pass(999);
    let answer = world.heartbeat(&join("b", &["t"]));
    // The group is at 3, but the target is the one of 2, in which b has nothing.
    assert_eq!((answer.member_epoch, answer.assignment), (2, Some(Vec::new())));
    assert_eq!(world.group("g").state_name(), "Assigning");
    world.pass(1);
    let answer = world.heartbeat(&owning("a", 2, &[(topic, &[0, 1, 2, 3])]));
    assert_eq!(answer.assignment, Some(topics(&[(topic, &[0, 1])])));
    assert_eq!(world.group("g").assignment_epoch, 3);
}

#[test]
fn topics_that_come_and_grow_lead_to_another_epoch() {
    let mut world = world();
    let answer = world.heartbeat(&join("a", &["t"]));
    assert_eq!((answer.member_epoch, answer.assignment), (2, Some(Vec::new())));
    let hash = world.group("g").metadata_hash;
    assert_eq!(hash, 0);
    world.topics.put("other", 1);
    world.pass(1_000);
    assert_eq!(world.heartbeat(&beat("a", 2)).member_epoch, 2);
    let topic = world.topics.put("t", 1);
    let answer = world.heartbeat(&beat("a", 2));
    assert_eq!((answer.member_epoch, answer.assignment), (3, Some(topics(&[(topic, &[0])]))));
    world.pass(1_000);
    world.topics.put("t", 2);
    let answer = world.heartbeat(&beat("a", 3));
    assert_eq!((answer.member_epoch, answer.assignment), (4, Some(topics(&[(topic, &[0, 1])]))));
    world.pass(1_000);
    world.topics.drop("t");
    world.heartbeat(&beat("a", 4));
    let answer = world.heartbeat(&owning("a", 4, &[]));
    assert_eq!(answer.member_epoch, 5);
    assert_eq!(world.group("g").metadata_hash, 0);
    assert!(world.member("g", "a").assigned.is_empty());
}

#[test]
fn what_could_not_be_written_has_not_happened() {
    let mut world = world();
    let topic = world.topics.put("t", 1);
    let request = join("a", &["t"]);
    world.failed_event(|shard, cx| shard.consumer_heartbeat(&request, &CALLER, cx));
    assert_eq!(world.shard.group_count(), 0);
    world.heartbeat(&request);
    world.topics.put("t", 2);
    world.pass(1_000);
    let request = beat("a", 2);
    world.failed_event(|shard, cx| shard.consumer_heartbeat(&request, &CALLER, cx));
    assert_eq!(world.group("g").epoch, 2);
    let answer = world.heartbeat(&request);
    assert_eq!((answer.member_epoch, answer.assignment), (3, Some(topics(&[(topic, &[0, 1])]))));
}

#[test]
fn regular_expressions_are_matched_after_the_request() {
    let mut world = world();
    let topic = world.topics.put("foo", 1);
    world.topics.put("bar", 1);
    let regex = |pattern| Request {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(pattern),
        ..join("a", &[])
    };
    let answer = world.heartbeat(&regex("foo.*"));
    assert_eq!((answer.member_epoch, answer.assignment), (1, Some(Vec::new())));
    assert_eq!(world.kinds(0), [5, 8]);
    world.tick();
    assert_eq!(world.kinds(2), [16, 3]);
    let answer = world.heartbeat(&beat("a", 1));
    assert_eq!((answer.member_epoch, answer.assignment), (2, Some(topics(&[(topic, &[0])]))));
    assert!(world.group("g").is_subscribed_to("foo"));
    assert!(!world.group("g").is_subscribed_to("bar"));

    // A topic comes that matches; not before ten seconds have passed it is looked for.
    let second = world.topics.put("foo2", 1);
    world.heartbeat(&beat("a", 2));
    world.tick();
    assert_eq!(world.heartbeat(&beat("a", 2)).member_epoch, 2);
    world.pass(10_001);
    world.heartbeat(&beat("a", 2));
    world.tick();
    let answer = world.heartbeat(&owning("a", 2, &[(topic, &[0])]));
    assert_eq!(answer.assignment, Some(topics(&[(topic, &[0]), (second, &[0])])));

    // Another expression: the old one is forgotten at once.
    world.pass(11_000);
    let before = world.log.len();
    world.heartbeat(&Request { member_epoch: 3, topic_partitions: None, ..regex("b.r") });
    assert_eq!(world.kinds(before)[..2], [5, -16]);
    world.tick();
    assert_eq!(world.group("g").resolved.len(), 1);
    assert!(world.group("g").is_subscribed_to("bar"));
    assert!(!world.group("g").is_subscribed_to("foo"));
    assert_same(&world.shard, &world.reloaded(&world.log));

    world.heartbeat(&beat("a", -1));
    assert!(world.group("g").resolved.is_empty());
    assert!(!world.group("g").is_subscribed_to("bar"));
}

#[test]
fn patterns_are_compiled_one_after_the_other() {
    let mut world = world();
    world.topics.put("foo", 1);
    let (ids, patterns) = (["a", "b", "c"], ["fo.", "f.o", ".oo"]);
    for (id, pattern) in ids.iter().zip(patterns) {
        world.heartbeat(&Request {
            subscribed_topic_names: None,
            subscribed_topic_regex: Some(pattern),
            ..join(id, &[])
        });
    }
    // Whoever waits for the shard comes in between.
    for _ in &patterns[1..] {
        let cx = context(&world.topics, world.now_ms, Uuid::ZERO);
        assert!(world.shard.tick(&cx).is_some_and(|effects| effects.write.is_none()));
    }
    // One is gone meanwhile.
    world.heartbeat(&beat("c", -1));
    world.tick();
    assert_eq!(world.group("g").resolved.len(), 2);
    assert!(world.group("g").resolved.values().all(|one| one.topics.len() == 1));
    assert_eq!(super::super::pattern::LIVE.get(), (0, 1));
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_matching() {
    let mut world = world();
    world.topics.put("foo", 1);
    let regex = |member, pattern| Request {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(pattern),
        ..join(member, &[])
    };
    let day_ms = 24 * 60 * 60_000;
    world.heartbeat_at(EPOCH_MS + day_ms, "client", &regex("a", "nothing"));
    world.tick();
    world.heartbeat_at(EPOCH_MS, "client", &regex("b", "foo"));
    world.tick();
    assert!(world.group("g").is_subscribed_to("foo"));
    // Nor does it go on without end.
    let before = world.log.len();
    world.heartbeat(&beat("a", 1));
    world.tick();
    assert!(!world.kinds(before).contains(&16));
}

#[test]
fn commits_are_fenced_by_epoch_and_partition() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    world.heartbeat(&join("a", &["t"]));
    world.pass(1_000);
    world.heartbeat(&join("b", &["t"]));
    world.heartbeat(&owning("a", 2, &[(topic, &[0, 1])]));
    world.heartbeat(&owning("a", 2, &[(topic, &[0])]));
    world.heartbeat(&owning("b", 3, &[]));
    let group = world.group("g");
    let fence = |member_id, epoch| CommitFence {
        member_id,
        instance_id: None,
        generation_or_epoch: epoch,
        version: 9,
    };
    let check = |fence: &CommitFence<'_>, partition| {
        group
            .check_commit(fence)
            .and_then(|()| group.check_commit_partition(fence, topic, partition))
            .err()
            .unwrap_or(ErrorCode::NONE)
    };
    for (fence, partition, expected) in [
        (fence("a", 3), 0, ErrorCode::NONE),
        // With its own epoch a member may commit what it likes.
        (fence("a", 3), 1, ErrorCode::NONE),
        (fence("a", 2), 0, ErrorCode::NONE),
        (fence("a", 1), 0, ErrorCode::STALE_MEMBER_EPOCH),
        (fence("a", 2), 1, ErrorCode::STALE_MEMBER_EPOCH),
        (fence("a", 4), 0, ErrorCode::STALE_MEMBER_EPOCH),
        (fence("b", 3), 1, ErrorCode::NONE),
        (fence("b", 2), 1, ErrorCode::STALE_MEMBER_EPOCH),
        (fence("c", 3), 0, ErrorCode::UNKNOWN_MEMBER_ID),
        (fence("", -1), 0, ErrorCode::UNKNOWN_MEMBER_ID),
        (CommitFence { version: 8, ..fence("a", 3) }, 0, ErrorCode::UNSUPPORTED_VERSION),
    ] {
        assert_eq!(check(&fence, partition), expected, "{fence:?}");
    }
    assert_eq!(group.check_fetch(None, -1), Ok(()));
    assert_eq!(group.check_fetch(Some("a"), 3), Ok(()));
    assert_eq!(group.check_fetch(Some("a"), 2), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(group.check_fetch(Some("c"), 2), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_loaded_group_gives_its_members_time() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    world.heartbeat(&join("a", &["t"]));
    world.pass(1_000);
    world.heartbeat(&Request { rebalance_timeout_ms: 7_000, ..join("b", &["t"]) });
    world
        .heartbeat(&Request { rebalance_timeout_ms: 7_000, ..owning("a", 2, &[(topic, &[0, 1])]) });
    world.shard = world.reloaded(&world.log);
    world.event(|shard, cx| {
        assert!(shard.loaded(cx).is_empty());
        crate::effects::Effects::response(())
    });
    world.pass(6_999);
    assert_eq!(world.group("g").members.len(), 2);
    world.pass(1);
    assert!(!world.group("g").members.contains_key("a"));
    world.pass(38_000);
    assert_eq!(world.group("g").state_name(), "Empty");
}

#[test]
fn a_group_is_described() {
    let mut world = world();
    let topic = world.topics.put("t", 2);
    let gone = world.topics.put("gone", 1);
    world.heartbeat(&Request {
        instance_id: Some("i"),
        rack_id: Some("r"),
        server_assignor: Some("range"),
        ..join("a", &["t", "gone"])
    });
    world.pass(1_000);
    world.heartbeat(&join("b", &["t"]));
    world.heartbeat(&owning("a", 2, &[(topic, &[0, 1]), (gone, &[0])]));
    world.topics.drop("gone");
    let cx = context(&world.topics, world.now_ms, Uuid::ZERO);
    let group = world.shard.describe_consumer("g", &cx);
    assert_eq!((group.error_code, group.group_id), (ErrorCode::NONE, "g"));
    assert_eq!((group.group_epoch, group.assignment_epoch), (3, 3));
    assert_eq!((group.group_state, group.assignor_name), ("Reconciling", "range"));
    let [a, b] = &group.members[..] else { panic!("{:?}", group.members) };
    assert_eq!((a.member_id, a.instance_id, a.rack_id), ("a", Some("i"), Some("r")));
    assert_eq!((a.client_id, a.client_host), ("client", "/127.0.0.1"));
    assert_eq!((a.member_epoch, b.member_epoch, a.member_type), (2, 3, 1));
    assert_eq!(a.subscribed_topic_names, ["gone", "t"]);
    assert_eq!(a.subscribed_topic_regex, Some(""));
    // It has what it must give up until it has done so; of a topic that is gone nothing is said.
    let assigned = &a.assignment.topic_partitions;
    assert_eq!((assigned.len(), assigned[0].topic_name), (1, "t"));
    assert_eq!(assigned[0].partitions, [0, 1]);
    assert_eq!(a.target_assignment.topic_partitions[0].partitions, [0]);
    assert_eq!(b.target_assignment.topic_partitions[0].partitions, [1]);
    assert!(b.assignment.topic_partitions.is_empty());

    for (id, error) in [("x", ErrorCode::GROUP_ID_NOT_FOUND), ("", ErrorCode::INVALID_GROUP_ID)] {
        assert_eq!(world.shard.describe_consumer(id, &cx).error_code, error);
    }
}

#[test]
fn a_broker_without_the_protocol_knows_no_such_request() {
    let mut world = World::new(GroupConfig { consumer_groups: false, ..GroupConfig::default() });
    let answer = world.heartbeat(&join("a", &["t"]));
    assert_eq!(answer.error, ErrorCode::UNSUPPORTED_VERSION);
    let cx = context(&world.topics, world.now_ms, Uuid::ZERO);
    let group = world.shard.describe_consumer("g", &cx);
    assert_eq!(group.error_code, ErrorCode::UNSUPPORTED_VERSION);
}
