//! What a group of 5,000 members costs: counted, and timed with much room.

use std::sync::Arc;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;

use super::super::member::{ClassicMetadata, Member, MemberState};
use super::super::partitions::{Held, TopicPartition, by_topic};
use super::super::records;
use super::world::*;
use crate::group::config::GroupConfig;
use crate::record::Origin;

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

#[test]
fn a_member_that_waits_for_one_of_many_partitions_beats_fast() {
    const PARTITIONS: i32 = 60_000;
    let mut world = World::new(GroupConfig::default());
    let topic = world.topics.put("t", PARTITIONS);
    let held = |partitions: std::ops::Range<i32>| -> Vec<Held> {
        let at = |partition| TopicPartition { topic, partition };
        partitions.map(|partition| Held { at: at(partition), epoch: 1 }).collect()
    };
    let classic = Arc::new(ClassicMetadata { session_timeout_ms: 10_000, protocols: Vec::new() });
    let waiting = Member {
        epoch: 1,
        state: MemberState::UnreleasedPartitions,
        classic: Some(classic),
        assigned: held(0..PARTITIONS - 1),
        ..Member::default()
    };
    let other =
        Member { epoch: 1, assigned: held(PARTITIONS - 1..PARTITIONS), ..Member::default() };
    let target: Vec<_> = held(0..PARTITIONS).iter().map(|one| one.at).collect();
    let log = [
        records::member("g", "waits", &waiting),
        records::member("g", "other", &other),
        records::group("g", 1, 0),
        records::member_target("g", "waits", &target),
        records::target("g", 1, 1),
        records::current("g", "waits", &waiting),
        records::current("g", "other", &other),
    ];
    for record in &log {
        let origin = Origin { offset: 0, producer: None };
        world.shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
    }
    let request = HeartbeatRequest {
        group_id: "g",
        generation_id: 1,
        member_id: "waits",
        ..HeartbeatRequest::default()
    };
    let begun = Instant::now();
    let error = world.event(|shard, cx| shard.heartbeat(&request, cx));
    assert_eq!(error, ErrorCode::NONE);
    // Each with each it takes half a minute.
    assert!(begun.elapsed().as_millis() < 2_000, "{:?}", begun.elapsed());
}
