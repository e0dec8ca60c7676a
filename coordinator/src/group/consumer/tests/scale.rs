//! What a group of 5,000 members costs: counted, and timed with much room.

use std::time::Instant;

use super::super::partitions::by_topic;
use super::world::*;
use crate::group::config::GroupConfig;

const MEMBERS: usize = 5_000;

#[test]
fn five_thousand_members_join_and_come_to_rest() {
    let mut world = World::new(GroupConfig::default());
    world.topics.put("t", 5_000);
    world.topics.put("u", 2_500);
    let ids: Vec<String> = (0..MEMBERS).map(|number| format!("m{number:04}")).collect();
    let started = Instant::now();
    for id in &ids {
        world.heartbeat(&join(id, &["t", "u"]));
    }
    // They come within a second, so that there is one assignment for the first and one for all.
    let mut rounds = 0;
    while world.group("g").state_name() != "Stable" {
        world.pass(1_000);
        for id in &ids {
            let member = world.member("g", id);
            let owned = by_topic(member.assigned.iter().map(|held| held.at));
            let owned: Vec<_> = owned.iter().map(|(topic, list)| (*topic, &list[..])).collect();
            let epoch = member.epoch;
            world.heartbeat(&owning(id, epoch, &owned));
        }
        rounds += 1;
        assert!(rounds < 5, "{}", world.group("g").state_name());
    }
    let sizes = world.group("g").members.values().map(|member| member.assigned.len());
    assert_eq!(sizes.clone().min(), Some(1));
    assert_eq!(sizes.max(), Some(2));
    // A join is three records and an assignment one for each member; then each takes a few steps.
    assert!(world.log.len() < 8 * MEMBERS, "{} records", world.log.len());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());

    let written = world.log.len();
    for id in &ids {
        let epoch = world.member("g", id).epoch;
        world.heartbeat(&beat(id, epoch));
    }
    assert_eq!(world.log.len(), written);
}
