//! Groups whose coordinator assigns.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::ApiVersion;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::uuid::Uuid;

use super::super::settings::Protocol;
use super::super::{Interest, Step};
use super::world::*;
use crate::chance::Chance;
use crate::error::ErrorKind;
use crate::net::tests::fake::Sent;

type Partitions = BTreeSet<(Uuid, i32)>;

/// A coordinator as Kafka's is, with one group. Members that fall silent it forgets at once: tests
/// say who has.
#[derive(Default)]
struct NextGen {
    epoch: i32,
    members: BTreeMap<String, Known>,
    /// The topics, as they were when the epoch began.
    seen: BTreeMap<String, i32>,
    injected: Vec<ErrorCode>,
    heartbeats: u32,
    joins: u32,
    /// The epochs with which members have left.
    left: Vec<i32>,
}

#[derive(Default)]
struct Known {
    at: usize,
    epoch: i32,
    previous_epoch: i32,
    topics: BTreeSet<String>,
    regex: Option<String>,
    /// What it was given, and what it says that it has.
    assigned: Partitions,
    owned: Partitions,
    /// All that it was given since it has joined.
    given: Partitions,
    /// What it was told last.
    told: Option<Partitions>,
}

fn partitions(of: &[TopicPartitions]) -> Partitions {
    let each = of.iter().map(|of| of.partitions.iter().map(|number| (of.topic_id, *number)));
    each.flatten().collect()
}

impl NextGen {
    fn cut(&mut self, at: usize, world: &mut World) {
        world.clients[at].cut([]);
    }

    /// What each member shall have: all that it wants, dealt out to where least is.
    fn targets(&self) -> BTreeMap<String, Partitions> {
        let mut targets: BTreeMap<String, Partitions> =
            self.members.keys().map(|id| (id.clone(), Partitions::new())).collect();
        for (topic, count) in &self.seen {
            for number in 0..*count {
                let partition = (topic_id(topic), number);
                let wants = |known: &&String| {
                    let known = &self.members[*known];
                    let prefix = known.regex.as_ref().and_then(|regex| regex.strip_suffix(".*"));
                    known.topics.contains(topic)
                        || prefix.is_some_and(|prefix| topic.starts_with(prefix))
                };
                let by = self.members.keys().filter(wants);
                let least = by.min_by_key(|id| {
                    (targets[*id].len(), !self.members[*id].assigned.contains(&partition))
                });
                if let Some(id) = least.cloned() {
                    targets.get_mut(&id).unwrap().insert(partition);
                }
            }
        }
        targets
    }

    fn remove(&mut self, id: &str) {
        if self.members.remove(id).is_some() {
            self.epoch += 1;
        }
    }

    /// Takes what a member says.
    fn hear(
        &mut self,
        from: usize,
        request: &ConsumerGroupHeartbeatRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let id = request.member_id;
        assert!(!id.is_empty());
        if request.member_epoch == 0 {
            self.joins += 1;
            // All has to be said.
            assert!(request.rebalance_timeout_ms > 0 && request.subscribed_topic_names.is_some());
            assert_eq!(request.topic_partitions, Some(vec![]));
            if self.members.remove(id).is_some() {
                self.epoch += 1;
            }
            let known = Known { at: from, ..Known::default() };
            self.members.insert(id.to_owned(), known);
            self.epoch += 1;
        }
        let known = self.members.get_mut(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let is_known = [0, known.epoch, known.previous_epoch].contains(&request.member_epoch);
        if !is_known {
            return Err(ErrorCode::FENCED_MEMBER_EPOCH);
        }
        if let Some(topics) = &request.subscribed_topic_names {
            let topics: BTreeSet<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
            if topics != known.topics {
                known.topics = topics;
                self.epoch += 1;
            }
        }
        if let Some(regex) = request.subscribed_topic_regex {
            let regex = Some(regex.to_owned()).filter(|regex| !regex.is_empty());
            if regex != known.regex {
                known.regex = regex;
                self.epoch += 1;
            }
        }
        if let Some(owned) = &request.topic_partitions {
            known.owned = partitions(owned);
            assert!(known.owned.is_subset(&known.given), "it has what it was not given");
        }
        Ok(())
    }

    /// Goes on with a member towards its target, and answers.
    fn reconcile(&mut self, id: &str, is_full: bool) -> (i32, Option<Partitions>) {
        let target = self.targets().remove(id).unwrap();
        let others = self.members.iter().filter(|(other, _)| *other != id);
        let taken: Partitions = others
            .flat_map(|(_, other)| other.assigned.union(&other.owned).copied().collect::<Vec<_>>())
            .collect();
        let known = self.members.get_mut(id).unwrap();
        let keeps: Partitions = known.assigned.intersection(&target).copied().collect();
        let must_give_up = known.assigned.union(&known.owned).any(|of| !target.contains(of));
        if must_give_up && known.owned.iter().any(|of| !target.contains(of)) {
            known.assigned = keeps;
        } else {
            known.assigned = target.difference(&taken).copied().chain(keeps).collect();
            if known.epoch != self.epoch {
                known.previous_epoch = known.epoch;
                known.epoch = self.epoch;
            }
        }
        let is_news = is_full || known.told.as_ref() != Some(&known.assigned);
        known.given.extend(&known.assigned);
        known.told = Some(known.assigned.clone());
        (known.epoch, is_news.then(|| known.assigned.clone()))
    }
}

impl Coordinator for NextGen {
    fn request(&mut self, from: usize, sent: Sent, world: &mut World) {
        assert_eq!(sent.request.api, ApiKey::ConsumerGroupHeartbeat);
        self.heartbeats += 1;
        let request: ConsumerGroupHeartbeatRequest<'_> = sent.read();
        let net = &mut world.clients[from].net;
        if let Some(error_code) = self.injected.pop() {
            let answer = ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
            return net.answer(&sent, &answer);
        }
        let id = request.member_id;
        if request.member_epoch < 0 {
            self.left.push(request.member_epoch);
            self.remove(id);
            let member_epoch = request.member_epoch;
            let answer = ConsumerGroupHeartbeatResponse { member_epoch, ..Default::default() };
            return net.answer(&sent, &answer);
        }
        if let Err(error_code) = self.hear(from, &request) {
            let answer = ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
            return net.answer(&sent, &answer);
        }
        let (member_epoch, assigned) = self.reconcile(id, request.topic_partitions.is_some());
        let assignment = assigned.map(|assigned| {
            let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
            for (topic, number) in assigned {
                topics.entry(topic).or_default().push(number);
            }
            let topics = topics.into_iter();
            let of = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
            Assignment { topic_partitions: topics.map(of).collect() }
        });
        let answer = ConsumerGroupHeartbeatResponse {
            member_id: Some(id),
            member_epoch,
            heartbeat_interval_ms: 500,
            assignment,
            ..Default::default()
        };
        net.answer(&sent, &answer);
    }

    fn turn(&mut self, world: &mut World) {
        if self.seen != world.topics {
            self.seen = world.topics.clone();
            self.epoch += 1;
        }
        let dead = self.members.iter().filter(|(_, known)| !world.clients[known.at].is_alive);
        for id in dead.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remove(&id);
        }
    }
}

fn protocol() -> Protocol {
    Protocol::Consumer { assignor: None }
}

fn group(count: usize, topics: &[(&str, i32)]) -> (World, NextGen) {
    let mut world = World::new(topics);
    let wants: Vec<&str> = topics.iter().map(|(name, _)| *name).collect();
    for _ in 0..count {
        world.add(settings(protocol(), None), interest(&wants));
    }
    (world, NextGen::default())
}

fn all(topics: &[&str]) -> BTreeSet<String> {
    topics.iter().map(|topic| (*topic).to_owned()).collect()
}

fn sizes(world: &World) -> Vec<usize> {
    world.alive().map(|client| client.owned.len()).collect()
}

#[test]
fn members_share_and_then_say_little() {
    let (mut world, mut coordinator) = group(3, &[("s", 4), ("t", 5)]);
    world.run(&mut coordinator, 3 * SECOND);
    world.check_whole(&all(&["s", "t"]), "three");
    assert_eq!(sizes(&world), [3, 3, 3]);
    // All was acknowledged.
    for known in coordinator.members.values() {
        assert_eq!((&known.owned, known.epoch), (&known.assigned, coordinator.epoch));
    }
    let (heartbeats, epoch) = (coordinator.heartbeats, coordinator.epoch);
    world.run(&mut coordinator, 5 * SECOND);
    let heartbeats = coordinator.heartbeats - heartbeats;
    assert!((27..=33).contains(&heartbeats), "{heartbeats}");
    assert_eq!((coordinator.epoch, coordinator.joins), (epoch, 3));
    let identity = world.clients[0].membership.identity().unwrap();
    assert_eq!((identity.member_id.len(), identity.generation_or_epoch), (22, epoch));
}

#[test]
fn what_goes_is_given_up_before_others_have_it() {
    let (mut world, mut coordinator) = group(1, &[("t", 4)]);
    world.run(&mut coordinator, SECOND);
    world.clients[0].steps.clear();
    // The first one is busy: the second one waits.
    world.clients[0].busy = Some(world.now + 3 * SECOND);
    world.add(settings(protocol(), None), interest(&["t"]));
    world.run(&mut coordinator, 2 * SECOND);
    assert_eq!(sizes(&world), [4, 0]);
    world.run(&mut coordinator, 3 * SECOND);
    assert_eq!(sizes(&world), [2, 2]);
    let steps = &world.clients[0].steps;
    assert!(matches!(&steps[..], [Step::Revoke(gone), Step::Assign(new)]
        if gone.len() == 2 && new.is_empty()));
}

#[test]
fn who_leaves_says_for_how_long() {
    for (instance, epoch) in [(None, -1), (Some("a"), -2)] {
        let mut world = World::new(&[("t", 2)]);
        let mut coordinator = NextGen::default();
        world.add(settings(protocol(), instance), interest(&["t"]));
        world.run(&mut coordinator, SECOND);
        world.clients[0].membership.subscribe(Interest::None).unwrap();
        world.run(&mut coordinator, SECOND);
        assert_eq!(coordinator.left, [epoch]);
        assert!(matches!(world.clients[0].steps.last(), Some(Step::Revoke(_))));
        world.clients[0].membership.subscribe(interest(&["t"])).unwrap();
        world.run(&mut coordinator, SECOND);
        assert_eq!(sizes(&world), [2]);
        world.clients[0].membership.leave();
        world.run(&mut coordinator, SECOND);
        assert!(world.clients[0].membership.has_left());
        assert_eq!(coordinator.left, [epoch, epoch]);
    }
}

#[test]
fn who_does_not_poll_leaves_and_has_lost_all() {
    let (mut world, mut coordinator) = group(2, &[("t", 4)]);
    world.run(&mut coordinator, 2 * SECOND);
    world.clients[0].busy = Some(world.now + 8 * SECOND);
    world.run(&mut coordinator, 4 * SECOND);
    assert!(coordinator.left.is_empty());
    world.clients[0].steps.clear();
    world.run(&mut coordinator, 3 * SECOND);
    assert_eq!(coordinator.left, [-1]);
    assert_eq!(world.clients[1].owned.len(), 4);
    world.run(&mut coordinator, 5 * SECOND);
    assert!(matches!(world.clients[0].steps.first(), Some(Step::Lost(gone)) if gone.len() == 2));
    assert_eq!(sizes(&world), [2, 2]);
}

#[test]
fn who_is_fenced_has_lost_all_and_joins_anew_by_the_same_id() {
    for code in [ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        let (mut world, mut coordinator) = group(1, &[("t", 2)]);
        world.run(&mut coordinator, SECOND);
        let before = world.clients[0].membership.identity().unwrap();
        world.clients[0].steps.clear();
        coordinator.injected.push(code);
        world.run(&mut coordinator, 3 * SECOND);
        let steps = &world.clients[0].steps;
        assert!(matches!(&steps[..], [Step::Lost(_), Step::Assign(_)]), "{steps:?}");
        let after = world.clients[0].membership.identity().unwrap();
        assert_eq!(before.member_id, after.member_id);
        assert_eq!(coordinator.joins, 2);
    }
}

#[test]
fn what_a_coordinator_refuses_for_good_is_told() {
    for code in [
        ErrorCode::UNRELEASED_INSTANCE_ID,
        ErrorCode::UNSUPPORTED_ASSIGNOR,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
    ] {
        let (mut world, mut coordinator) = group(1, &[("t", 2)]);
        coordinator.injected.push(code);
        world.run(&mut coordinator, 5 * SECOND);
        for _ in 0..2 {
            let error = world.clients[0].membership.error().unwrap();
            assert_eq!(error.code(), Some(code));
        }
        assert_eq!(coordinator.heartbeats, 1);
    }
}

#[test]
fn who_may_not_read_a_topic_is_told_and_stays() {
    let (mut world, mut coordinator) = group(1, &[("t", 2)]);
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    // Before it is a member, and when it is one.
    for _ in 0..2 {
        coordinator.injected.push(code);
        world.run(&mut coordinator, 3 * SECOND);
        let member = &mut world.clients[0].membership;
        assert_eq!(member.error().and_then(|error| error.code()), Some(code));
        assert!(member.error().is_none());
        world.check_whole(&all(&["t"]), "in spite of it");
        assert_eq!(coordinator.joins, 1);
    }
    assert!(world.clients[0].steps.iter().all(|step| matches!(step, Step::Assign(_))));
}

#[test]
fn what_passes_is_tried_again_with_all_that_there_is_to_say() {
    let (mut world, mut coordinator) = group(2, &[("t", 4)]);
    for code in [ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::NOT_COORDINATOR] {
        coordinator.injected.push(code);
        world.run(&mut coordinator, 3 * SECOND);
        world.check_whole(&all(&["t"]), code.name().unwrap());
    }
    assert_eq!(coordinator.joins, 2);
}

#[test]
fn a_broker_without_the_request_is_told_with_what_to_do() {
    let (mut world, mut coordinator) = group(1, &[("t", 2)]);
    let version = |api: ApiKey| ApiVersion {
        api_key: api.as_i16(),
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    world.clients[0].net.served = [ApiKey::Metadata, ApiKey::FindCoordinator].map(version).to_vec();
    world.run(&mut coordinator, SECOND);
    let error = world.clients[0].membership.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.to_string().contains("set group.protocol=classic"), "{error}");
}

#[test]
fn a_pattern_is_matched_by_the_coordinator() {
    let (mut world, mut coordinator) = group(0, &[("orders-1", 1), ("orders-2", 1), ("else", 1)]);
    world.add(settings(protocol(), None), Interest::Pattern("orders-.*".to_owned()));
    world.run(&mut coordinator, 2 * SECOND);
    // Names come by ids, since nothing of this is in its metadata.
    world.check_whole(&all(&["orders-1", "orders-2"]), "by a pattern");
    world.clients[0].membership.subscribe(interest(&["else"])).unwrap();
    world.run(&mut coordinator, 2 * SECOND);
    world.check_whole(&all(&["else"]), "by its name");
    assert!(coordinator.members.values().all(|known| known.regex.is_none()));
    // Older brokers know no patterns.
    let (mut world, mut coordinator) = group(0, &[]);
    world.add(settings(protocol(), None), Interest::Pattern("a".to_owned()));
    let version = |api: ApiKey| ApiVersion {
        api_key: api.as_i16(),
        min_version: 0,
        max_version: if api == ApiKey::ConsumerGroupHeartbeat { 0 } else { *api.versions().end() },
    };
    world.clients[0].net.served = ApiKey::ALL.iter().copied().map(version).collect();
    world.run(&mut coordinator, SECOND);
    let error = world.clients[0].membership.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
}

/// What happens to a group, by chance.
fn happen(world: &mut World, coordinator: &mut NextGen, chance: &mut Chance) -> String {
    let at = chance.below(world.clients.len());
    match chance.below(9) {
        drawn @ 0..7 => world.happen((drawn, at), settings(protocol(), None), chance),
        7 => {
            coordinator.injected.push(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            "the coordinator loads".to_owned()
        }
        _ => {
            coordinator.cut(at, world);
            format!("{at} loses its connections")
        }
    }
}

#[test]
fn random_histories_end_with_one_owner_for_each_partition() {
    for seed in 0..100 {
        let mut chance = Chance::seeded(seed * 7919 + 1);
        let (mut world, mut coordinator) = group(2, &[("s", 3), ("t", 4)]);
        let mut history = vec![format!("seed {seed}")];
        for _ in 0..12 {
            history.push(happen(&mut world, &mut coordinator, &mut chance));
            for _ in 0..1 + chance.below(30) {
                world.run(&mut coordinator, 50 * MS);
                world.check_exclusive(&history.join(", "));
            }
        }
        let history = history.join(", ");
        world.add(settings(protocol(), None), interest(&["s", "t"]));
        world.run(&mut coordinator, 15 * SECOND);
        world.check_whole(&all(&["s", "t"]), &history);
        let epoch = coordinator.epoch;
        world.run(&mut coordinator, 3 * SECOND);
        assert_eq!(coordinator.epoch, epoch, "{history}");
    }
}
