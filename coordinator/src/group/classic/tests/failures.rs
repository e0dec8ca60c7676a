//! Appends that fail.

use super::*;

#[test]
fn the_errors_that_clients_are_told() {
    use crate::effects::append_error;
    for (error, told) in [
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::REQUEST_TIMED_OUT, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::NOT_COORDINATOR),
        (ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::NOT_COORDINATOR),
        (ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::UNKNOWN_SERVER_ERROR),
        (ErrorCode::RECORD_LIST_TOO_LARGE, ErrorCode::UNKNOWN_SERVER_ERROR),
        (ErrorCode::INVALID_FETCH_SIZE, ErrorCode::UNKNOWN_SERVER_ERROR),
        (ErrorCode::CORRUPT_MESSAGE, ErrorCode::CORRUPT_MESSAGE),
    ] {
        assert_eq!(append_error(error), told);
    }
}

#[test]
fn a_group_that_cannot_be_written_does_not_come_to_be() {
    for joining in [
        Joining::default(),
        Joining { version: 3, ..Joining::default() },
        Joining { instance: Some("i"), ..Joining::default() },
    ] {
        let mut world = World::new();
        world.broken = Some(ErrorCode::KAFKA_STORAGE_ERROR);
        let ticket = world.join(joining);
        assert_eq!(world.joined(ticket).error, ErrorCode::NOT_COORDINATOR);
        assert_eq!(world.shard.group_count(), 0);
        world.pass(1_000_000);
        assert!(world.shard.timers.is_empty());
        assert!(world.log.is_empty());
    }
}

#[test]
fn an_assignment_that_cannot_be_written_is_made_anew() {
    let mut world = World::new();
    let ids = world.stable(2);
    for id in &ids {
        world.join(Joining { id, ..Joining::default() });
    }
    world.broken = Some(ErrorCode::NOT_ENOUGH_REPLICAS);
    let follower = world.sync(&ids[1], None, 2, &[]);
    let leader = world.sync(&ids[0], None, 2, &[(&ids[0], b"a")]);
    for ticket in [follower, leader] {
        assert_eq!(world.synced(ticket).error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    }
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    assert!(world.group().members().iter().all(|(_, member)| member.assignment.is_empty()));
    world.broken = None;
    for id in &ids {
        world.join(Joining { id, ..Joining::default() });
    }
    let leader = world.sync(&ids[0], None, 3, &[(&ids[0], b"a")]);
    assert_eq!(&*world.synced(leader).assignment, b"a");
}

#[test]
fn a_static_member_that_cannot_be_written_stays_who_it_was() {
    let mut world = World::new();
    let joining = Joining { instance: Some("i"), ..Joining::default() };
    let first = world.join(joining);
    world.pass(3_000);
    let id = world.joined(first).member_id;
    world.sync(&id, Some("i"), 1, &[(&id, b"a")]);
    let before = world.group().members().get(&id).cloned();
    world.broken = Some(ErrorCode::MESSAGE_TOO_LARGE);
    let protocols: &[(&str, &[u8])] = &[("range", b"other")];
    let back = world.join(Joining { protocols, session_ms: 20_000, ..joining });
    let answer = world.joined(back);
    assert_eq!(answer.error, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!((&*answer.member_id, answer.generation, &answer.leader), ("", 1, &id));
    assert_eq!(world.heartbeat(&id, Some("i"), 1), ErrorCode::NONE);
    let after = world.group().members().get(&id).cloned();
    assert_eq!(
        after.map(|member| (member.protocols, member.session_timeout_ms)),
        before.map(|member| (member.protocols, member.session_timeout_ms))
    );
    assert_eq!(world.group().leader.as_ref(), Some(&id));
    world.pass(9_999);
    assert_eq!(world.state(), ClassicState::Stable);
    world.pass(1);
    assert_eq!(world.state(), ClassicState::Empty);
}

#[test]
fn a_group_whose_end_cannot_be_written_is_empty_even_so() {
    let mut world = World::new();
    let ids = world.stable(1);
    world.broken = Some(ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(world.leave(&[(&ids[0], None)]), [ErrorCode::NONE]);
    assert_eq!(world.state(), ClassicState::Empty);
    let effects = world.shard.delete_group("g", &context(world.now_ms, 0));
    world.follow(effects);
    assert_eq!(world.shard.group_count(), 1);
    // The log has the last generation, whose member is gone: it times out.
    let mut restarted = world.restarted(GroupConfig::default());
    assert_eq!(restarted.state(), ClassicState::Stable);
    restarted.pass(10_000);
    assert_eq!(restarted.state(), ClassicState::Empty);
}

#[test]
fn what_comes_between_a_write_and_its_end() {
    // The caller may let others in while it appends.
    let mut world = World::new();
    let ids = world.stable(2);
    for id in &ids {
        world.join(Joining { id, ..Joining::default() });
    }
    let ticket = world.ticket();
    let request = SyncGroupRequest {
        group_id: "g",
        generation_id: 2,
        member_id: &ids[0],
        ..SyncGroupRequest::default()
    };
    let effects = world.shard.sync(&request, &caller(4), ticket, &context(world.now_ms, 0));
    assert!(effects.response.is_none());
    // Another member joins: the assignment is of no use any more.
    let (_, late) = world.enter(Joining::default());
    assert_eq!(world.synced(ticket).error, ErrorCode::REBALANCE_IN_PROGRESS);
    world.follow(effects);
    assert_eq!(world.state(), ClassicState::PreparingRebalance);
    assert!(world.waits(late));

    // A group is joined while its end is being written.
    let mut world = World::new();
    let ids = world.stable(1);
    world.leave(&[(&ids[0], None)]);
    let effects = world.shard.delete_group("g", &context(world.now_ms, 0));
    let (_, joined) = world.enter(Joining::default());
    assert!(world.waits(joined));
    world.follow(effects);
    assert_eq!(world.joined(joined).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.shard.group_count(), 0);
}

#[test]
fn a_shard_that_is_given_up_answers_all() {
    let mut world = World::new();
    let ids = world.stable(3);
    let joined = world.join(Joining { id: &ids[0], ..Joining::default() });
    let (_, new) = world.enter(Joining::default());
    world.close();
    for ticket in [joined, new] {
        assert_eq!(world.joined(ticket).error, ErrorCode::NOT_COORDINATOR);
    }
    let mut world = World::new();
    let ids = world.stable(2);
    for id in &ids {
        world.join(Joining { id, ..Joining::default() });
    }
    let parked = world.sync(&ids[1], None, 2, &[]);
    world.close();
    assert_eq!(world.synced(parked).error, ErrorCode::NOT_COORDINATOR);
}
