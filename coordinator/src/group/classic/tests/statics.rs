//! Static members (KIP-345), which keep their place while they restart.

use super::*;

const FIRST: Joining<'_> = Joining {
    group: "g",
    id: "",
    instance: Some("i"),
    protocol_type: "consumer",
    protocols: &[("range", b"m")],
    session_ms: 10_000,
    rebalance_ms: 60_000,
    version: 9,
};

/// A stable group of two static members, `i` who leads and `j`; gives back their ids.
fn pair(world: &mut World) -> [Arc<str>; 2] {
    let tickets = [world.join(FIRST), world.join(Joining { instance: Some("j"), ..FIRST })];
    world.pass(6_000);
    let ids = tickets.map(|ticket| world.joined(ticket).member_id);
    assert_eq!(world.joined(tickets[0]).leader, ids[0]);
    world.sync(&ids[1], Some("j"), 1, &[]);
    world.sync(&ids[0], Some("i"), 1, &[(&ids[0], b"I"), (&ids[1], b"J")]);
    assert_eq!(world.state(), ClassicState::Stable);
    ids
}

#[test]
fn a_restart_without_a_rebalance() {
    for version in [5, 9] {
        let mut world = World::new();
        let ids = pair(&mut world);
        let written = world.log.len();
        let back = world.join(Joining { version, ..FIRST });
        let answer = world.joined(back);
        assert_eq!((answer.error, answer.generation), (ErrorCode::NONE, 1));
        assert_ne!(answer.member_id, ids[0]);
        // Older clients would assign anew if they were told that they lead.
        assert_eq!(answer.skip_assignment, version == 9);
        assert_eq!(answer.leader == answer.member_id, version == 9);
        assert_eq!(answer.members.len(), if version == 9 { 2 } else { 0 });
        assert_eq!(world.log.len(), written + 1);
        assert_eq!(world.state(), ClassicState::Stable);
        let ticket = world.sync(&answer.member_id, Some("i"), 1, &[]);
        assert_eq!(&*world.synced(ticket).assignment, b"I");
        // The old self is fenced.
        assert_eq!(world.heartbeat(&ids[0], Some("i"), 1), ErrorCode::FENCED_INSTANCE_ID);
        assert_eq!(world.heartbeat(&ids[0], None, 1), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(world.heartbeat(&answer.member_id, Some("i"), 1), ErrorCode::NONE);
        // A follower is never told to skip an assignment.
        let follower = world.join(Joining { instance: Some("j"), ..FIRST });
        let follower = world.joined(follower);
        assert!(!follower.skip_assignment && follower.members.is_empty());
        assert_eq!(follower.leader, answer.member_id);
        let restarted = world.restarted(GroupConfig::default());
        assert_eq!(restarted.group().leader.as_ref(), world.group().leader.as_ref());
    }
}

#[test]
fn a_restart_with_another_protocol_rebalances() {
    let mut world = World::new();
    let both: &[(&str, &[u8])] = &[("range", b"r"), ("sticky", b"s")];
    let first = world.join(Joining { protocols: both, ..FIRST });
    world.pass(3_000);
    let id = world.joined(first).member_id;
    world.sync(&id, Some("i"), 1, &[]);
    let sticky: &[(&str, &[u8])] = &[("sticky", b"s"), ("range", b"r")];
    let back = world.join(Joining { protocols: sticky, ..FIRST });
    // It is alone, so all have joined at once.
    let answer = world.joined(back);
    assert_eq!((answer.generation, answer.protocol.as_deref()), (2, Some("sticky")));
}

#[test]
fn a_restart_while_the_group_completes_a_rebalance() {
    let mut world = World::new();
    let tickets = [world.join(FIRST), world.join(Joining { instance: Some("j"), ..FIRST })];
    world.pass(6_000);
    let ids = tickets.map(|ticket| world.joined(ticket).member_id);
    let parked = world.sync(&ids[1], Some("j"), 1, &[]);
    let back = world.join(Joining { instance: Some("j"), ..FIRST });
    assert_eq!(world.synced(parked).error, ErrorCode::FENCED_INSTANCE_ID);
    assert!(world.waits(back));
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    world.join(Joining { id: &ids[0], ..FIRST });
    assert_eq!(world.joined(back).generation, 2);
}

#[test]
fn a_restart_while_the_group_prepares_one() {
    let mut world = World::new();
    let ids = pair(&mut world);
    let leader = world.join(Joining { id: &ids[0], ..FIRST });
    assert!(world.waits(leader));
    // Twice the same instance: the later one counts.
    let back = world.join(FIRST);
    let fenced = world.joined(leader);
    assert_eq!((fenced.error, &fenced.member_id), (ErrorCode::FENCED_INSTANCE_ID, &ids[0]));
    world.join(Joining { id: &ids[1], instance: Some("j"), ..FIRST });
    let answer = world.joined(back);
    assert_eq!((answer.generation, &answer.leader), (2, &answer.member_id));
}

#[test]
fn one_that_does_not_join_again_stays_until_its_session_ends() {
    let mut world = World::new();
    let ids = pair(&mut world);
    let session_ms = 300_000;
    world.join(Joining { id: &ids[1], instance: Some("j"), session_ms, ..FIRST });
    let leader = world.join(Joining { id: &ids[0], session_ms, ..FIRST });
    assert!(world.waits(leader));
    world.join(Joining { id: &ids[1], instance: Some("j"), session_ms, ..FIRST });
    world.sync(&ids[0], Some("i"), 2, &[]);
    world.sync(&ids[1], Some("j"), 2, &[]);
    // Now `j` is away, and `i` wants a rebalance.
    let leader = world.join(Joining { id: &ids[0], session_ms, ..FIRST });
    world.pass(60_000);
    let answer = world.joined(leader);
    assert_eq!((answer.generation, answer.members.len()), (3, 2));
    // It has not sent SyncGroup either: then it has to go.
    world.sync(&ids[0], Some("i"), 3, &[]);
    world.pass(60_000);
    assert_eq!(world.group().members().len(), 1);
}

#[test]
fn nobody_joins_in_time() {
    let mut world = World::new();
    let ids = pair(&mut world);
    world.join(Joining { protocols: &[("range", b"x")], ..FIRST });
    let (_, ticket) = world.enter(Joining { session_ms: 6_000, ..Joining::default() });
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    world.leave(&[("client-00000000-0000-4000-0000-000000000006", None)]);
    assert!(!world.waits(ticket));
    // The static members are away, with longer sessions than the rebalance would wait for.
    for _ in 0..20 {
        world.pass(6_000);
        let i = world.group().members().static_id("i").cloned().unwrap();
        assert_eq!(world.heartbeat(&i, Some("i"), 1), ErrorCode::REBALANCE_IN_PROGRESS);
        let j = world.heartbeat(&ids[1], Some("j"), 1);
        assert_eq!(j, ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert_eq!((world.state(), world.group().generation()), (ClassicState::PreparingRebalance, 1));
    world.pass(60_000);
    assert_eq!((world.state(), world.group().generation()), (ClassicState::Empty, 2));
}

#[test]
fn a_group_without_time_to_join_is_not_asked_over_and_over() {
    let mut world = World::new();
    let ids = pair(&mut world);
    let hurry = Joining { rebalance_ms: 0, ..FIRST };
    world.join(Joining { id: &ids[0], ..hurry });
    world.join(Joining { id: &ids[1], instance: Some("j"), ..hurry });
    world.sync(&ids[1], Some("j"), 2, &[]);
    world.sync(&ids[0], Some("i"), 2, &[]);
    assert_eq!(world.state(), ClassicState::Stable);
    world.leave(&[("", Some("j"))]);
    // The static member is kept though it does not join, and the time is up at once, each time.
    world.pass(5_000);
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    world.pass(10_000);
    assert_eq!(world.state(), ClassicState::Empty);
}
