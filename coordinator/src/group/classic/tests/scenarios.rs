//! Groups that live: members come, crash, are late; brokers restart.

use super::*;

#[test]
fn three_members_come_and_go() {
    let mut world = World::new();
    let entered: Vec<_> = (0..3).map(|_| world.enter(Joining::default())).collect();
    let ids: Vec<_> = entered.iter().map(|(id, _)| id.as_str()).collect();
    assert!(entered.iter().all(|(_, ticket)| world.waits(*ticket)));
    world.pass(6_000);
    let answers: Vec<_> = entered.iter().map(|(_, ticket)| world.joined(*ticket)).collect();
    for (answer, id) in answers.iter().zip(&ids) {
        assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 1));
        assert_eq!((&*answer.member_id, &*answer.leader), (*id, ids[0]));
        assert_eq!(answer.protocol.as_deref(), Some("range"));
        assert_eq!(answer.protocol_type.as_deref(), Some("consumer"));
    }
    let named: BTreeSet<_> = answers[0].members.iter().map(|member| &*member.member_id).collect();
    assert_eq!(named, ids.iter().copied().collect());
    assert!(answers[1].members.is_empty() && answers[2].members.is_empty());

    // Followers wait for the leader, and get what it gave them.
    let waiting = world.sync(ids[1], None, 1, &[]);
    assert!(world.waits(waiting));
    world.sync(ids[0], None, 1, &[(ids[0], b"0"), (ids[1], b"1"), ("stranger", b"x")]);
    assert_eq!(&*world.synced(waiting).assignment, b"1");
    let late = world.sync(ids[2], None, 1, &[]);
    assert_eq!(&*world.synced(late).assignment, b"");

    // One leaves: the others hear of it by their heartbeats and join again.
    assert_eq!(world.leave(&[(ids[2], None)]), [ErrorCode::NONE]);
    assert_eq!(world.heartbeat(ids[0], None, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let again = world.join(Joining { id: ids[0], ..Joining::default() });
    assert!(world.waits(again));
    world.join(Joining { id: ids[1], ..Joining::default() });
    assert_eq!(world.joined(again).generation, 2);
    assert_eq!(world.joined(again).members.len(), 2);
    world.sync(ids[0], None, 2, &[]);
    world.sync(ids[1], None, 2, &[]);

    // One crashes.
    world.pass(9_000);
    assert_eq!(world.heartbeat(ids[0], None, 2), ErrorCode::NONE);
    world.pass(1_000);
    assert_eq!(world.heartbeat(ids[0], None, 2), ErrorCode::REBALANCE_IN_PROGRESS);
    let alone = world.join(Joining { id: ids[0], ..Joining::default() });
    assert_eq!(world.joined(alone).generation, 3);
    world.close();
}

#[test]
fn a_leader_that_crashes_is_followed_by_another() {
    let mut world = World::new();
    let ids = world.stable(3);
    for _ in 0..2 {
        world.pass(6_000);
        for id in &ids[1..] {
            world.heartbeat(id, None, 1);
        }
    }
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    let tickets: Vec<_> =
        ids[1..].iter().map(|id| world.join(Joining { id, ..Joining::default() })).collect();
    let leader = world.joined(tickets[0]).leader;
    assert!(ids[1..].iter().any(|id| **id == *leader));
    assert_eq!(world.joined(tickets[0]).generation, 2);
}

#[test]
fn who_does_not_join_in_time_is_left_out() {
    let mut world = World::new();
    let ids = world.stable(3);
    // The leader is alive but does not join.
    let joined = world.join(Joining {
        id: &ids[1],
        protocols: &[("range", b"changed")],
        ..Joining::default()
    });
    for _ in 0..9 {
        world.pass(6_000);
        for id in [&ids[0], &ids[2]] {
            assert_eq!(world.heartbeat(id, None, 1), ErrorCode::REBALANCE_IN_PROGRESS);
        }
    }
    assert!(world.waits(joined));
    world.pass(6_000);
    let answer = world.joined(joined);
    assert_eq!((answer.generation, &*answer.leader), (2, &*ids[1]));
    assert_eq!(answer.members.len(), 1);
    assert_eq!(&*answer.members[0].metadata, b"changed");
    assert_eq!(world.heartbeat(&ids[0], None, 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_late_member_makes_the_group_rebalance_and_syncs_fail() {
    let mut world = World::new();
    let ids = world.stable(2);
    let again: Vec<_> = [&ids[0], &ids[1]]
        .map(|id| world.join(Joining { id, ..Joining::default() }))
        .into_iter()
        .collect();
    // The second is a follower whose subscription is the same: it is answered at once.
    assert!(!world.waits(again[0]) && !world.waits(again[1]));
    assert_eq!(world.group().generation(), 2);
    let parked = world.sync(&ids[1], None, 2, &[]);
    let (_, late) = world.enter(Joining::default());
    assert_eq!(world.synced(parked).error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(world.waits(late));
    for id in &ids {
        world.join(Joining { id, ..Joining::default() });
    }
    let answer = world.joined(late);
    assert_eq!((answer.generation, &*answer.leader), (3, &*ids[0]));
}

#[test]
fn a_member_that_has_lost_its_answer_gets_it_again() {
    let mut world = World::new();
    let ids = world.stable(2);
    // Stable: a follower as it is, a leader that wants a rebalance.
    let again = world.join(Joining { id: &ids[1], ..Joining::default() });
    assert_eq!((world.joined(again).generation, world.joined(again).members.len()), (1, 0));
    let leader = world.join(Joining { id: &ids[0], ..Joining::default() });
    assert!(world.waits(leader));
    world.join(Joining { id: &ids[1], ..Joining::default() });
    // Completing: both as they are, the leader with the members.
    for (id, members) in [(&ids[0], 2), (&ids[1], 0)] {
        let again = world.join(Joining { id, ..Joining::default() });
        let answer = world.joined(again);
        assert_eq!((answer.generation, answer.members.len()), (2, members));
    }
    // Completing: a changed one begins a new rebalance.
    let changed = Joining { id: &ids[1], protocols: &[("range", b"new")], ..Joining::default() };
    let changed = world.join(changed);
    assert!(world.waits(changed));
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
}

#[test]
fn an_older_request_of_the_same_member_is_not_left_waiting() {
    let mut world = World::new();
    let ids = world.stable(2);
    let older = world.join(Joining { id: &ids[0], ..Joining::default() });
    let newer = world.join(Joining { id: &ids[0], ..Joining::default() });
    assert_eq!(world.joined(older).error, ErrorCode::REBALANCE_IN_PROGRESS);
    world.join(Joining { id: &ids[1], ..Joining::default() });
    assert_eq!(world.joined(newer).generation, 2);
    let older = world.sync(&ids[1], None, 2, &[]);
    let newer = world.sync(&ids[1], None, 2, &[]);
    assert_eq!(world.synced(older).error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(world.waits(newer));
    // One whose member leaves does not wait either.
    world.leave(&[(&ids[1], None)]);
    assert_eq!(world.synced(newer).error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn the_first_rebalance_waits_for_more_but_not_for_ever() {
    let config = GroupConfig { initial_rebalance_delay_ms: 1_000, ..GroupConfig::default() };
    let joining = Joining { rebalance_ms: 3_500, version: 3, ..Joining::default() };
    // Alone: one delay.
    let mut world = World::with(config.clone());
    let first = world.join(joining);
    world.pass(999);
    assert!(world.waits(first));
    world.pass(1);
    assert_eq!(world.joined(first).generation, 1);
    // One more in each delay: as long as the members' rebalance timeout.
    let mut world = World::with(config);
    let first = world.join(joining);
    for _ in 0..3 {
        world.pass(500);
        world.join(joining);
        world.pass(500);
        assert!(world.waits(first));
    }
    world.pass(499);
    assert!(world.waits(first));
    world.pass(1);
    assert_eq!(world.joined(first).generation, 1);
    assert_eq!(world.group().members().len(), 4);
}

#[test]
fn members_that_do_not_sync_are_taken_out() {
    let mut world = World::new();
    let entered: Vec<_> = (0..3).map(|_| world.enter(Joining::default())).collect();
    world.pass(6_000);
    let ids: Vec<_> = entered.iter().map(|(id, _)| id.as_str()).collect();
    world.sync(ids[0], None, 1, &[]);
    let beat = |world: &mut World| {
        world.pass(6_000);
        ids.iter().map(|id| world.heartbeat(id, None, 1)).collect::<Vec<_>>()
    };
    for _ in 0..9 {
        assert_eq!(beat(&mut world), [ErrorCode::NONE; 3]);
    }
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(beat(&mut world), [ErrorCode::REBALANCE_IN_PROGRESS, unknown, unknown]);

    // With all of them there, nobody is.
    let mut world = World::new();
    world.stable(3);
    let key = crate::group::TimerKey::Classic(super::super::ClassicTimer::Sync(Arc::from("g")));
    assert!(!world.shard.timers.is_set(&key));
}

#[test]
fn ids_that_are_not_used_and_members_that_vanish_while_they_join() {
    let mut world = World::new();
    let pending = world.join(Joining::default());
    let pending = world.joined(pending).member_id;
    let (_, ticket) = world.enter(Joining::default());
    world.pass(9_999);
    // The pending one keeps the first generation from no one, but a rebalance waits for it.
    assert_eq!(world.joined(ticket).generation, 1);
    world.pass(1);
    let late = world.join(Joining { id: &pending, ..Joining::default() });
    assert_eq!(world.joined(late).error, ErrorCode::UNKNOWN_MEMBER_ID);

    // A new member's session does not run while it joins, for five minutes.
    let mut world = World::new();
    let joining = Joining { rebalance_ms: 1_000_000, version: 3, ..Joining::default() };
    let first = world.join(joining);
    world.pass(6_000);
    let id = world.joined(first).member_id;
    let new = world.join(joining);
    for _ in 0..49 {
        world.pass(6_000);
        assert_eq!(world.heartbeat(&id, None, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(world.waits(new));
    world.pass(6_000);
    let answer = world.joined(new);
    assert_eq!((answer.error, &*answer.member_id), (ErrorCode::UNKNOWN_MEMBER_ID, ""));
}

#[test]
fn a_rebalance_waits_for_ids_that_were_handed_out() {
    let mut world = World::new();
    let ids = world.stable(1);
    world.join(Joining::default());
    let again = world.join(Joining { id: &ids[0], ..Joining::default() });
    assert!(world.waits(again));
    world.pass(10_000);
    assert_eq!(world.joined(again).generation, 2);
}

#[test]
fn full_groups_take_nobody_else() {
    let config = GroupConfig { max_size: 2, ..GroupConfig::default() };
    let mut world = World::with(config.clone());
    let ids = world.stable(2);
    let full = |world: &mut World, joining| {
        let ticket = world.join(joining);
        let answer = world.joined(ticket);
        assert_eq!((answer.error, &*answer.member_id), (ErrorCode::GROUP_MAX_SIZE_REACHED, ""));
    };
    full(&mut world, Joining::default());
    full(&mut world, Joining { instance: Some("i"), ..Joining::default() });
    // While a rebalance is prepared, those who have joined count.
    let first = world.join(Joining { id: &ids[0], ..Joining::default() });
    let (_, third) = world.enter(Joining::default());
    full(&mut world, Joining { id: &ids[1], ..Joining::default() });
    assert_eq!(world.joined(first).generation, 2);
    assert_eq!(world.joined(third).generation, 2);

    // A group that is too large after a restart loses those that come last.
    let mut world = World::new();
    let ids = world.stable(4);
    let mut world = world.restarted(config);
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    let kept = world.join(Joining { id: &ids[3], ..Joining::default() });
    world.join(Joining { id: &ids[2], ..Joining::default() });
    full(&mut world, Joining { id: &ids[1], ..Joining::default() });
    full(&mut world, Joining { id: &ids[0], ..Joining::default() });
    assert_eq!(world.joined(kept).generation, 2);
    assert_eq!(world.group().members().len(), 2);
}

#[test]
fn a_restarted_broker_knows_the_group() {
    let mut world = World::new();
    let ids = world.stable(3);
    let mut world = world.restarted(GroupConfig::default());
    for id in &ids {
        assert_eq!(world.heartbeat(id, None, 1), ErrorCode::NONE);
        let ticket = world.sync(id, None, 1, &[]);
        assert_eq!(&*world.synced(ticket).assignment, id.as_bytes());
    }
    world.pass(9_000);
    world.heartbeat(&ids[0], None, 1);
    world.pass(1_000);
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    assert_eq!(world.group().members().len(), 1);
}

#[test]
fn each_protocol_type_has_its_own_protocols() {
    let mut world = World::new();
    let both: &[(&str, &[u8])] = &[("range", b"r"), ("sticky", b"s")];
    let sticky: &[(&str, &[u8])] = &[("sticky", b"S"), ("other", b"o")];
    let first = world.join(Joining { protocols: both, version: 3, ..Joining::default() });
    let second = world.join(Joining { protocols: sticky, version: 3, ..Joining::default() });
    world.pass(6_000);
    let answer = world.joined(first);
    assert_eq!(answer.protocol.as_deref(), Some("sticky"));
    let metadata: BTreeSet<_> = answer.members.iter().map(|member| &*member.metadata).collect();
    assert_eq!(metadata, BTreeSet::from([&b"s"[..], b"S"]));
    assert_eq!(world.joined(second).protocol.as_deref(), Some("sticky"));
    // A name that is there twice is one.
    let twice: &[(&str, &[u8])] = &[("sticky", b"1"), ("sticky", b"2")];
    let third = world.join(Joining { protocols: twice, version: 3, ..Joining::default() });
    world.pass(60_000);
    let answer = world.joined(third);
    assert_eq!(answer.protocol.as_deref(), Some("sticky"));
    assert_eq!(&*answer.members[0].metadata, b"1");
}
