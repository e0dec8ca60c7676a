//! What is refused, and with which code.

use super::*;

/// The code that this JoinGroup is answered with at once, and the member id in it.
fn refusal(world: &mut World, joining: Joining<'_>) -> (ErrorCode, String) {
    let ticket = world.join(joining);
    let answer = world.joined(ticket);
    assert_ne!(answer.error, ErrorCode::NONE);
    assert_eq!((answer.generation, &*answer.leader, answer.protocol), (-1, "", None));
    (answer.error, answer.member_id.to_string())
}

#[test]
fn join_group_in_kafkas_order() {
    let usual = Joining::default();
    let mut world = World::new();
    let unknown = Joining { group: "other", id: "x", ..usual };
    let cases = [
        (Joining { group: "", session_ms: 1, ..usual }, ErrorCode::INVALID_GROUP_ID, ""),
        (Joining { session_ms: 5_999, ..unknown }, ErrorCode::INVALID_SESSION_TIMEOUT, "x"),
        (Joining { session_ms: 1_800_001, ..usual }, ErrorCode::INVALID_SESSION_TIMEOUT, ""),
        (unknown, ErrorCode::UNKNOWN_MEMBER_ID, "x"),
        (
            Joining { group: "empty", protocol_type: "", ..usual },
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
            "",
        ),
        (
            Joining { group: "empty", protocols: &[], ..usual },
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
            "",
        ),
        (Joining { group: "empty", id: "x", ..usual }, ErrorCode::UNKNOWN_MEMBER_ID, "x"),
    ];
    for (joining, error, id) in cases {
        assert_eq!(refusal(&mut world, joining), (error, id.to_owned()));
    }
    // The group that was made for the one that was refused stays.
    assert_eq!(world.shard.group_count(), 1);

    let ids = world.stable(2);
    let fixed = world.join(Joining { instance: Some("i"), ..usual });
    assert!(world.waits(fixed));
    world.join(Joining { id: &ids[0], ..usual });
    world.join(Joining { id: &ids[1], ..usual });
    let fixed = world.joined(fixed).member_id;
    let cases = [
        (Joining { protocol_type: "connect", ..usual }, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, ""),
        (
            Joining { id: &ids[0], protocols: &[("sticky", b"")], ..usual },
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
            &ids[0],
        ),
        (Joining { id: "x", instance: Some("i"), ..usual }, ErrorCode::FENCED_INSTANCE_ID, "x"),
        (
            Joining { id: &fixed, instance: Some("j"), ..usual },
            ErrorCode::UNKNOWN_MEMBER_ID,
            &*fixed,
        ),
        (Joining { id: "x", ..usual }, ErrorCode::UNKNOWN_MEMBER_ID, "x"),
    ];
    for (joining, error, id) in cases {
        assert_eq!(refusal(&mut world, joining), (error, id.to_owned()));
    }
    assert_eq!(world.state(), ClassicState::CompletingRebalance);
}

#[test]
fn an_id_that_was_handed_out_is_not_for_static_members() {
    let mut world = World::new();
    let ticket = world.join(Joining::default());
    let id = world.joined(ticket).member_id;
    let joining = Joining { id: &id, instance: Some("i"), ..Joining::default() };
    assert_eq!(refusal(&mut world, joining), (ErrorCode::UNKNOWN_SERVER_ERROR, String::new()));
    let ticket = world.join(Joining { id: &id, ..Joining::default() });
    assert!(world.waits(ticket));
}

#[test]
fn names_that_leave_no_room_for_an_id() {
    let longest = "i".repeat(32_767 - 37);
    for (instance, fits) in [(longest.clone(), true), (longest + "i", false)] {
        let mut world = World::new();
        let joining = Joining { instance: Some(&instance), ..Joining::default() };
        if fits {
            let ticket = world.join(joining);
            world.pass(3_000);
            let id = world.joined(ticket).member_id;
            world.sync(&id, Some(&instance), 1, &[]);
            assert_eq!(world.state(), ClassicState::Stable);
            world.restarted(GroupConfig::default());
        } else {
            let refused = (ErrorCode::UNKNOWN_SERVER_ERROR, String::new());
            assert_eq!(refusal(&mut world, joining), refused);
            assert_eq!(world.shard.group_count(), 0);
        }
    }
}

#[test]
fn only_newer_clients_are_given_an_id_first() {
    for version in 0..=9 {
        let mut world = World::new();
        let ticket = world.join(Joining { version, ..Joining::default() });
        if version < 4 {
            world.pass(3_000);
            assert_eq!(world.joined(ticket).generation, 1);
        } else {
            assert_eq!(world.joined(ticket).error, ErrorCode::MEMBER_ID_REQUIRED);
        }
    }
}

#[test]
fn sync_group_and_heartbeat() {
    let mut world = World::new();
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    let code = |world: &mut World, id: &str, instance, generation| {
        let ticket = world.sync(id, instance, generation, &[]);
        let heartbeat = world.heartbeat(id, instance, generation);
        (world.synced(ticket).error, heartbeat)
    };
    assert_eq!(code(&mut world, "x", None, 1), (unknown, unknown));
    let first = world.join(Joining { instance: Some("i"), ..Joining::default() });
    world.pass(3_000);
    let id = world.joined(first).member_id;
    world.sync(&id, Some("i"), 1, &[(&id, b"a")]);
    for (member, instance, generation, error) in [
        ("x", None, 1, unknown),
        ("x", Some("j"), 1, unknown),
        ("x", Some("i"), 1, ErrorCode::FENCED_INSTANCE_ID),
        (&*id, Some("i"), 2, ErrorCode::ILLEGAL_GENERATION),
        (&*id, None, 0, ErrorCode::ILLEGAL_GENERATION),
        (&*id, Some("i"), 1, ErrorCode::NONE),
        (&*id, None, 1, ErrorCode::NONE),
    ] {
        assert_eq!(code(&mut world, member, instance, generation), (error, error));
    }
    world.join(Joining { version: 0, ..Joining::default() });
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(code(&mut world, &id, Some("i"), 1), (rebalance, rebalance));
    world.leave(&[(&id, None)]);
    world.pass(400_000);
    assert_eq!(world.state(), ClassicState::Empty);
    assert_eq!(code(&mut world, &id, None, 2), (unknown, unknown));
}

#[test]
fn sync_group_names_the_protocol() {
    let mut world = World::new();
    let ids = world.stable(1);
    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    for (version, group, protocol_type, protocol_name, error) in [
        (5, "g", Some("consumer"), Some("range"), ErrorCode::NONE),
        (5, "g", Some("consumer"), Some("sticky"), inconsistent),
        (5, "g", Some("connect"), Some("range"), inconsistent),
        (5, "g", None, Some("range"), inconsistent),
        (5, "", Some("consumer"), None, inconsistent),
        (5, "", Some("consumer"), Some("range"), ErrorCode::INVALID_GROUP_ID),
        (4, "g", None, None, ErrorCode::NONE),
    ] {
        let request = SyncGroupRequest {
            group_id: group,
            generation_id: 1,
            member_id: &ids[0],
            protocol_type,
            protocol_name,
            ..SyncGroupRequest::default()
        };
        let cx = context(world.now_ms, 0);
        let effects = world.shard.sync(&request, &caller(version), Ticket(0), &cx);
        let answer = world.follow(effects).unwrap();
        assert_eq!(answer.error, error, "{request:?}");
        if error == ErrorCode::NONE {
            assert_eq!(answer.protocol.as_deref(), Some("range"));
            assert_eq!(&*answer.assignment, ids[0].as_bytes());
        }
    }
}

#[test]
fn a_group_that_has_not_chosen_a_protocol_knows_no_other() {
    let mut world = World::new();
    let (id, _) = world.enter(Joining::default());
    let request = SyncGroupRequest {
        group_id: "g",
        generation_id: 0,
        member_id: &id,
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        ..SyncGroupRequest::default()
    };
    let cx = context(world.now_ms, 0);
    let effects = world.shard.sync(&request, &caller(5), Ticket(0), &cx);
    let answer = world.follow(effects).unwrap();
    assert_eq!(answer.error, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn leave_group_answers_each_member() {
    let mut world = World::new();
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(world.leave(&[("x", None), ("", Some("i"))]), [unknown, unknown]);
    let ids = world.stable(2);
    let fixed = world.join(Joining { instance: Some("i"), ..Joining::default() });
    let other = world.join(Joining { instance: Some("j"), ..Joining::default() });
    world.join(Joining { id: &ids[0], ..Joining::default() });
    world.join(Joining { id: &ids[1], ..Joining::default() });
    let fixed = world.joined(fixed).member_id;
    let other = world.joined(other).member_id;
    let pending = world.join(Joining::default());
    let pending = world.joined(pending).member_id;
    let answers = world.leave(&[
        ("x", None),
        ("", None),
        ("", Some("k")),
        (&fixed, Some("j")),
        (&fixed, Some("i")),
        (&fixed, Some("i")),
        ("", Some("j")),
        (&other, None),
        (&pending, None),
        (&ids[0], None),
    ]);
    let none = ErrorCode::NONE;
    let fenced = ErrorCode::FENCED_INSTANCE_ID;
    let expected = [unknown, unknown, unknown, fenced, none, unknown, none, unknown, none, none];
    assert_eq!(answers, expected);
    assert_eq!(world.group().members().len(), 1);
    assert_eq!(world.state(), ClassicState::PreparingRebalance);

    // Older versions have one member, whose code is the request's.
    for (version, group, id, error) in [
        (2, "", "x", ErrorCode::INVALID_GROUP_ID),
        (2, "none", "x", unknown),
        (0, "g", "x", unknown),
        (0, "g", &ids[1], none),
    ] {
        let request =
            LeaveGroupRequest { group_id: group, member_id: id, ..LeaveGroupRequest::default() };
        let cx = context(world.now_ms, 0);
        let effects = world.shard.leave(&request, &caller(version), &cx);
        let response = world.follow(effects);
        assert_eq!((response.error_code, response.members.len()), (error, 0));
    }
    assert_eq!(world.state(), ClassicState::Empty);
}

#[test]
fn describe_list_and_delete() {
    let mut world = World::new();
    let ids = world.stable(2);
    let described = world.shard.describe_classic("g", 6);
    assert_eq!((described.group_state, described.protocol_type), ("Stable", "consumer"));
    assert_eq!(described.protocol_data, "range");
    let member = &described.members[0];
    assert_eq!((member.client_id, member.client_host), ("client", "/127.0.0.1"));
    assert_eq!(member.member_metadata, b"m");
    assert_eq!(member.member_assignment, member.member_id.as_bytes());
    let listed: Vec<_> = world.shard.list().collect();
    assert_eq!((listed[0].group_id, listed[0].group_type), ("g", "classic"));
    for (states, types, is) in [
        (&[][..], &[][..], true),
        (&["stable", "x"], &["CLASSIC"], true),
        (&["Empty"], &[], false),
        (&[], &["consumer"], false),
    ] {
        assert_eq!(crate::group::requests::is_listed(&listed[0], states, types), is);
    }
    let delete = |world: &mut World, id: &str| {
        let effects = world.shard.delete_group(id, &context(world.now_ms, 0));
        world.follow(effects)
    };
    assert_eq!(delete(&mut world, "g"), ErrorCode::NON_EMPTY_GROUP);
    assert_eq!(delete(&mut world, ""), ErrorCode::GROUP_ID_NOT_FOUND);

    world.leave(&[(&ids[0], None)]);
    let described = world.shard.describe_classic("g", 6);
    assert_eq!((described.group_state, described.protocol_data), ("PreparingRebalance", ""));
    assert_eq!(described.members[0].member_metadata, b"");
    assert_eq!(described.members[0].member_assignment, ids[1].as_bytes());
    world.leave(&[(&ids[1], None)]);
    assert_eq!(delete(&mut world, "g"), ErrorCode::NONE);
    assert_eq!(world.shard.group_count(), 0);
    for (version, error) in [(5, ErrorCode::NONE), (6, ErrorCode::GROUP_ID_NOT_FOUND)] {
        let described = world.shard.describe_classic("g", version);
        assert_eq!((described.error_code, described.group_state), (error, "Dead"));
    }
}

#[test]
fn commits_are_checked_by_generation_and_state() {
    use crate::group::state::{CommitFence, GroupState as _};
    let mut world = World::new();
    let ids = world.stable(1);
    let check = |world: &World, member_id: &str, instance_id, generation_or_epoch| {
        let fence = CommitFence { member_id, instance_id, generation_or_epoch, version: 8 };
        world.group().check_commit(&fence).err().unwrap_or(ErrorCode::NONE)
    };
    for (id, instance, generation, error) in [
        (&*ids[0], None, 1, ErrorCode::NONE),
        (&*ids[0], None, 2, ErrorCode::ILLEGAL_GENERATION),
        (&*ids[0], None, -1, ErrorCode::ILLEGAL_GENERATION),
        (&*ids[0], Some("i"), 1, ErrorCode::UNKNOWN_MEMBER_ID),
        ("", None, -1, ErrorCode::UNKNOWN_MEMBER_ID),
        ("", None, 1, ErrorCode::UNKNOWN_MEMBER_ID),
    ] {
        assert_eq!(check(&world, id, instance, generation), error);
    }
    world.join(Joining { id: &ids[0], ..Joining::default() });
    assert_eq!(check(&world, &ids[0], None, 2), ErrorCode::REBALANCE_IN_PROGRESS);
    world.enter(Joining::default());
    assert_eq!(check(&world, &ids[0], None, 2), ErrorCode::NONE);
    assert_eq!(world.group().check_delete_offsets(), Ok(()));
    world.pass(1_000_000);
    assert_eq!(world.state(), ClassicState::Empty);
    assert_eq!(check(&world, "", None, -1), ErrorCode::NONE);
    assert_eq!(check(&world, "x", None, -1), ErrorCode::NONE);
    assert_eq!(check(&world, "x", None, 3), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn what_members_subscribe_to_is_known_if_they_speak_as_consumers() {
    use crate::group::state::{GroupState as _, OffsetExpiry};
    let good = b"\0\x09\0\0\0\x02\0\x01a\0\x01b\0\0\0\0 and more".as_slice();
    for (protocol_type, metadata, known) in [
        ("consumer", good, true),
        ("consumer", b"\0\0\0\0\0\x01\0\x09a".as_slice(), false),
        ("consumer", b"".as_slice(), false),
        ("connect", good, false),
    ] {
        let mut world = World::new();
        let protocols: &[(&str, &[u8])] = &[("range", metadata)];
        let (id, _) = world.enter(Joining { protocol_type, protocols, ..Joining::default() });
        world.pass(3_000);
        world.sync(&id, None, 1, &[]);
        let group = world.group();
        let consumer = protocol_type == "consumer";
        assert_eq!(group.is_subscribed_to("a"), known || consumer);
        assert_eq!(group.is_subscribed_to("c"), !known && consumer);
        assert_eq!(group.check_delete_offsets().is_ok(), consumer);
        let expiry = if known { OffsetExpiry::Unsubscribed } else { OffsetExpiry::Never };
        assert_eq!(group.offset_expiry(), expiry);
        world.pass(20_000);
        let group = world.group();
        assert!(!group.is_subscribed_to("a"));
        let since_ms = group.state_since_ms.unwrap();
        assert_eq!(group.offset_expiry(), OffsetExpiry::AllSince(since_ms));
    }
    assert_eq!(ClassicGroup::simple().offset_expiry(), OffsetExpiry::All);
}
