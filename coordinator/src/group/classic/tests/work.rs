//! How much is looked at: the work of a group must not grow with the square of its members.

use super::*;

const MEMBERS: usize = 5_000;

fn visits(world: &World) -> usize {
    world.group().members().visits.get()
}

#[test]
fn large_groups_look_at_each_member_a_few_times_a_rebalance() {
    let mut world = World::new();
    let joining = Joining { rebalance_ms: 300_000, session_ms: 60_000, ..Joining::default() };
    let entered: Vec<_> = (0..MEMBERS).map(|_| world.enter(joining)).collect();
    assert!(visits(&world) <= 2, "{} members looked at by joins", visits(&world));
    world.pass(6_000);
    assert!(visits(&world) <= 10 * MEMBERS, "{} by the generation", visits(&world));
    assert!(!world.waits(entered[0].1));

    let before = visits(&world);
    for (id, _) in entered.iter().rev() {
        assert_eq!(world.heartbeat(id, None, 1), ErrorCode::NONE);
        world.sync(id, None, 1, &[]);
    }
    let by_syncs = visits(&world) - before;
    assert!(by_syncs <= 10 * MEMBERS, "{by_syncs} by syncs");
    assert_eq!(world.state(), ClassicState::Stable);

    // All join again, one by one.
    let before = visits(&world);
    for (id, _) in &entered {
        world.join(Joining { id, ..joining });
    }
    assert_eq!(world.group().generation(), 2);
    let by_rebalance = visits(&world) - before;
    assert!(by_rebalance <= 12 * MEMBERS, "{by_rebalance} by the second generation");

    // All leave, one by one, leaders too.
    let before = visits(&world);
    for (id, _) in &entered {
        assert_eq!(world.leave(&[(id, None)]), [ErrorCode::NONE]);
    }
    assert_eq!(world.state(), ClassicState::Empty);
    let by_leaving = visits(&world) - before;
    assert!(by_leaving <= 4 * MEMBERS, "{by_leaving} by leaving");
    assert!(world.shard.timers.is_empty());
}
