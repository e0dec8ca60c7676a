//! Classic groups.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::super::{Interest, Step};
use super::world::*;
use crate::chance::Chance;
use crate::error::ErrorKind;
use crate::net::tests::fake::Sent;

/// A coordinator as Kafka's is, with one group.
struct Classic {
    generation: i32,
    members: BTreeMap<String, Known>,
    /// Ids that were given out and have not joined.
    promised: BTreeSet<String>,
    phase: Phase,
    leader: String,
    protocol: String,
    ids: u32,
    /// Answers to come before all others.
    injected: Vec<ErrorCode>,
    joins: u32,
    leaves: u32,
    heartbeats: u32,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    Stable,
    Preparing(std::time::Instant),
    Completing,
}

struct Known {
    at: usize,
    instance: Option<String>,
    protocols: Vec<(String, Vec<u8>)>,
    heard: std::time::Instant,
    join: Option<Sent>,
    sync: Option<Sent>,
    assignment: Vec<u8>,
}

impl Classic {
    fn new() -> Self {
        Self {
            generation: 0,
            members: BTreeMap::new(),
            promised: BTreeSet::new(),
            phase: Phase::Stable,
            leader: String::new(),
            protocol: String::new(),
            ids: 0,
            injected: Vec::new(),
            joins: 0,
            leaves: 0,
            heartbeats: 0,
        }
    }

    /// A client's connections break.
    fn cut(&mut self, at: usize, world: &mut World) {
        let theirs = self.members.values_mut().filter(|known| known.at == at);
        let parked: Vec<Sent> =
            theirs.flat_map(|known| [known.join.take(), known.sync.take()]).flatten().collect();
        world.clients[at].cut(parked);
    }

    fn prepare(&mut self, now: std::time::Instant) {
        if !matches!(self.phase, Phase::Preparing(_)) {
            self.phase = Phase::Preparing(now);
        }
    }

    fn check(&self, member: &str, generation: i32) -> ErrorCode {
        match self.members.get(member) {
            None => ErrorCode::UNKNOWN_MEMBER_ID,
            Some(_) if generation != self.generation => ErrorCode::ILLEGAL_GENERATION,
            Some(_) => ErrorCode::NONE,
        }
    }

    fn join(&mut self, from: usize, sent: Sent, world: &mut World) {
        self.joins += 1;
        let request: JoinGroupRequest<'_> = sent.read();
        let net = &mut world.clients[from].net;
        let id = request.member_id.to_owned();
        if id.is_empty() {
            self.ids += 1;
            let id = format!("m{}", self.ids);
            let answer = JoinGroupResponse {
                error_code: ErrorCode::MEMBER_ID_REQUIRED,
                member_id: &id,
                ..Default::default()
            };
            net.answer(&sent, &answer);
            self.promised.insert(id);
            return;
        }
        if !self.promised.remove(&id) && !self.members.contains_key(&id) {
            let error_code = ErrorCode::UNKNOWN_MEMBER_ID;
            net.answer(&sent, &JoinGroupResponse { error_code, ..Default::default() });
            return;
        }
        let protocols = request.protocols.iter();
        let protocols = protocols.map(|of| (of.name.to_owned(), of.metadata.to_vec())).collect();
        let instance = request.group_instance_id.map(str::to_owned);
        let known = Known {
            at: from,
            instance,
            protocols,
            heard: world.now,
            join: Some(sent),
            sync: None,
            assignment: Vec::new(),
        };
        self.members.insert(id, known);
        self.prepare(world.now);
    }

    fn complete_join(&mut self, world: &mut World) {
        self.generation += 1;
        self.phase = Phase::Completing;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().unwrap().clone();
        }
        let can = |name: &String| {
            self.members.values().all(|known| known.protocols.iter().any(|(of, _)| of == name))
        };
        let leader = &self.members[&self.leader];
        self.protocol =
            leader.protocols.iter().map(|(name, _)| name).find(|name| can(name)).unwrap().clone();
        let mut joins = Vec::new();
        for (id, known) in &mut self.members {
            joins.push((id.clone(), known.at, known.join.take().unwrap()));
            known.heard = world.now;
        }
        for (id, at, sent) in joins {
            let of = |known: &'_ Known| {
                let mut protocols = known.protocols.iter();
                protocols.find(|(name, _)| *name == self.protocol).unwrap().1.clone()
            };
            let metadata: Vec<(&String, &Known, Vec<u8>)> =
                self.members.iter().map(|(id, known)| (id, known, of(known))).collect();
            let members = metadata.iter().map(|(id, known, metadata)| JoinGroupResponseMember {
                member_id: id,
                group_instance_id: known.instance.as_deref(),
                metadata,
            });
            let answer = JoinGroupResponse {
                generation_id: self.generation,
                protocol_type: Some("consumer"),
                protocol_name: Some(&self.protocol),
                leader: &self.leader,
                member_id: &id,
                members: if id == self.leader { members.collect() } else { Vec::new() },
                ..Default::default()
            };
            world.clients[at].net.answer(&sent, &answer);
        }
    }

    fn sync(&mut self, from: usize, sent: Sent, world: &mut World) {
        let request: SyncGroupRequest<'_> = sent.read();
        let mut error_code = self.check(request.member_id, request.generation_id);
        if error_code.is_none() && matches!(self.phase, Phase::Preparing(_)) {
            error_code = ErrorCode::REBALANCE_IN_PROGRESS;
        }
        if !error_code.is_none() {
            let answer = SyncGroupResponse { error_code, ..Default::default() };
            world.clients[from].net.answer(&sent, &answer);
            return;
        }
        if self.phase == Phase::Completing && request.member_id == self.leader {
            for of in &request.assignments {
                self.members.get_mut(of.member_id).unwrap().assignment = of.assignment.to_vec();
            }
            self.phase = Phase::Stable;
        }
        let id = request.member_id.to_owned();
        self.members.get_mut(&id).unwrap().sync = Some(sent);
    }

    fn answer_syncs(&mut self, world: &mut World) {
        let error_code = match self.phase {
            Phase::Stable => ErrorCode::NONE,
            Phase::Preparing(_) => ErrorCode::REBALANCE_IN_PROGRESS,
            Phase::Completing => return,
        };
        for known in self.members.values_mut() {
            if let Some(sent) = known.sync.take() {
                known.heard = world.now;
                let assignment = &known.assignment[..];
                let answer = SyncGroupResponse {
                    error_code,
                    protocol_type: Some("consumer"),
                    protocol_name: Some(&self.protocol),
                    assignment,
                    ..Default::default()
                };
                world.clients[known.at].net.answer(&sent, &answer);
            }
        }
    }
}

impl Coordinator for Classic {
    fn request(&mut self, from: usize, sent: Sent, world: &mut World) {
        let now = world.now;
        match sent.request.api {
            ApiKey::JoinGroup => self.join(from, sent, world),
            ApiKey::SyncGroup => self.sync(from, sent, world),
            ApiKey::Heartbeat => {
                self.heartbeats += 1;
                let request: HeartbeatRequest<'_> = sent.read();
                let mut error_code = self.check(request.member_id, request.generation_id);
                if error_code.is_none() && matches!(self.phase, Phase::Preparing(_)) {
                    error_code = ErrorCode::REBALANCE_IN_PROGRESS;
                }
                if let Some(code) = self.injected.pop() {
                    error_code = code;
                } else if let Some(known) = self.members.get_mut(request.member_id) {
                    known.heard = now;
                }
                let answer = HeartbeatResponse { error_code, ..Default::default() };
                world.clients[from].net.answer(&sent, &answer);
            }
            ApiKey::LeaveGroup => {
                self.leaves += 1;
                let request: LeaveGroupRequest<'_> = sent.read();
                assert_eq!(request.members.len(), 1);
                if self.members.remove(request.members[0].member_id).is_some() {
                    self.prepare(now);
                }
                world.clients[from].net.answer(&sent, &LeaveGroupResponse::default());
            }
            other => panic!("{other:?} is nothing for a coordinator"),
        }
    }

    fn turn(&mut self, world: &mut World) {
        let now = world.now;
        let before = self.members.len();
        let preparing = match self.phase {
            Phase::Preparing(since) => Some(since),
            _ => None,
        };
        self.members.retain(|_, known| {
            let is_parked = known.join.is_some() || known.sync.is_some();
            let is_late = preparing.is_some_and(|since| since + 5 * SECOND < now);
            is_parked || (known.heard + 3 * SECOND > now && !is_late)
        });
        // A parked request of who is gone is not answered, and its connection is closed.
        self.members.retain(|_, known| world.clients[known.at].is_alive || known.join.is_none());
        if self.members.len() < before {
            self.prepare(now);
        }
        let all_joined = self.members.values().all(|known| known.join.is_some());
        if matches!(self.phase, Phase::Preparing(_)) {
            self.answer_syncs(world);
            if self.members.is_empty() {
                self.phase = Phase::Stable;
            } else if all_joined {
                self.complete_join(world);
            }
        }
        self.answer_syncs(world);
    }
}

fn group(names: &[&str], count: usize, topics: &[(&str, i32)]) -> (World, Classic) {
    let mut world = World::new(topics);
    let wants: Vec<&str> = topics.iter().map(|(name, _)| *name).collect();
    for _ in 0..count {
        world.add(settings(classic(names), None), interest(&wants));
    }
    (world, Classic::new())
}

fn all(topics: &[&str]) -> BTreeSet<String> {
    topics.iter().map(|topic| (*topic).to_owned()).collect()
}

fn sizes(world: &World) -> Vec<usize> {
    world.alive().map(|client| client.owned.len()).collect()
}

#[test]
fn one_member_joins_takes_all_and_stays() {
    let (mut world, mut coordinator) = group(&["range"], 1, &[("t", 3)]);
    world.run(&mut coordinator, SECOND);
    world.check_whole(&all(&["t"]), "one");
    let identity = world.clients[0].membership.identity().unwrap();
    assert_eq!((identity.member_id.as_str(), identity.generation_or_epoch), ("m1", 1));
    world.run(&mut coordinator, 10 * SECOND);
    assert_eq!((coordinator.joins, coordinator.generation), (2, 1));
    assert!((15..=22).contains(&coordinator.heartbeats), "{}", coordinator.heartbeats);
    assert_eq!(world.clients[0].steps.len(), 1);
}

#[test]
fn members_share_in_every_way() {
    for names in [
        &["range"][..],
        &["roundrobin"],
        &["sticky"],
        &["cooperative-sticky"],
        &["range", "cooperative-sticky"],
    ] {
        let (mut world, mut coordinator) = group(names, 3, &[("s", 4), ("t", 5)]);
        world.run(&mut coordinator, 3 * SECOND);
        world.check_whole(&all(&["s", "t"]), names[0]);
        assert_eq!(sizes(&world).iter().sum::<usize>(), 9);
        assert!(sizes(&world).iter().all(|size| *size >= 2), "{names:?} {:?}", sizes(&world));
        let generation = coordinator.generation;
        world.run(&mut coordinator, 5 * SECOND);
        assert_eq!(coordinator.generation, generation, "{names:?}");
    }
}

#[test]
fn eager_members_give_up_all_and_cooperative_ones_what_goes() {
    for (name, gives_up) in [("sticky", 4), ("cooperative-sticky", 2)] {
        let (mut world, mut coordinator) = group(&[name], 1, &[("t", 4)]);
        world.run(&mut coordinator, SECOND);
        world.clients[0].steps.clear();
        world.add(settings(classic(&[name]), None), interest(&["t"]));
        world.run(&mut coordinator, 3 * SECOND);
        let steps = &world.clients[0].steps;
        let revoked = steps.iter().find_map(|step| match step {
            Step::Revoke(gone) => Some(gone.len()),
            _ => None,
        });
        assert_eq!(revoked, Some(gives_up), "{steps:?}");
        world.check_whole(&all(&["t"]), name);
        assert_eq!(sizes(&world), [2, 2]);
    }
}

#[test]
fn who_unsubscribes_gives_up_and_leaves() {
    let (mut world, mut coordinator) = group(&["range"], 2, &[("t", 4)]);
    world.run(&mut coordinator, 2 * SECOND);
    world.clients[0].membership.subscribe(Interest::None).unwrap();
    world.run(&mut coordinator, 2 * SECOND);
    assert_eq!(sizes(&world), [0, 4]);
    assert!(matches!(world.clients[0].steps.last(), Some(Step::Revoke(gone)) if gone.len() == 2));
    assert_eq!((coordinator.leaves, coordinator.members.len()), (1, 1));
    assert!(world.clients[0].membership.identity().is_none());
    world.clients[0].membership.subscribe(interest(&["t"])).unwrap();
    world.run(&mut coordinator, 2 * SECOND);
    assert_eq!(sizes(&world), [2, 2]);
}

#[test]
fn who_closes_leaves_unless_it_is_static() {
    let mut world = World::new(&[("t", 4)]);
    let mut coordinator = Classic::new();
    world.add(settings(classic(&["range"]), Some("a")), interest(&["t"]));
    world.add(settings(classic(&["range"]), None), interest(&["t"]));
    world.run(&mut coordinator, 2 * SECOND);
    for client in &mut world.clients {
        assert!(!client.membership.has_left());
        client.membership.leave();
        client.owned.clear();
    }
    world.run(&mut coordinator, SECOND);
    assert!(world.clients.iter().all(|client| client.membership.has_left()));
    assert_eq!((coordinator.leaves, coordinator.members.len()), (1, 1));
}

#[test]
fn who_does_not_poll_leaves_and_has_lost_all() {
    let (mut world, mut coordinator) = group(&["cooperative-sticky"], 2, &[("t", 4)]);
    world.run(&mut coordinator, 2 * SECOND);
    world.clients[0].busy = Some(world.now + 12 * SECOND);
    world.run(&mut coordinator, 4 * SECOND);
    // Heartbeats go on while the user is busy.
    assert_eq!((coordinator.leaves, coordinator.members.len()), (0, 2));
    world.run(&mut coordinator, 4 * SECOND);
    assert_eq!((coordinator.leaves, coordinator.members.len()), (1, 1));
    assert_eq!(world.clients[1].owned.len(), 4);
    world.clients[0].steps.clear();
    world.run(&mut coordinator, 8 * SECOND);
    assert!(matches!(world.clients[0].steps.first(), Some(Step::Lost(gone)) if gone.len() == 2));
    world.check_whole(&all(&["t"]), "after");
    assert_eq!(sizes(&world), [2, 2]);
}

#[test]
fn the_killed_ones_partitions_go_to_the_others() {
    let (mut world, mut coordinator) = group(&["sticky"], 3, &[("t", 6)]);
    world.run(&mut coordinator, 2 * SECOND);
    world.clients[0].is_alive = false;
    world.run(&mut coordinator, 6 * SECOND);
    world.check_whole(&all(&["t"]), "after");
    assert_eq!(sizes(&world), [3, 3]);
}

#[test]
fn who_is_unknown_has_lost_all_and_joins_anew() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let (mut world, mut coordinator) = group(&["cooperative-sticky"], 1, &[("t", 2)]);
        world.run(&mut coordinator, SECOND);
        world.clients[0].steps.clear();
        coordinator.injected.push(code);
        world.run(&mut coordinator, 6 * SECOND);
        let steps = &world.clients[0].steps;
        assert!(matches!(&steps[..], [Step::Lost(_), Step::Assign(_)]), "{steps:?}");
        let is_same = world.clients[0].membership.identity().unwrap().member_id == "m1";
        assert_eq!(is_same, code == ErrorCode::ILLEGAL_GENERATION);
        world.check_whole(&all(&["t"]), "again");
    }
}

#[test]
fn who_is_fenced_is_told_so_for_good() {
    let mut world = World::new(&[("t", 2)]);
    let mut coordinator = Classic::new();
    world.add(settings(classic(&["range"]), Some("a")), interest(&["t"]));
    world.run(&mut coordinator, SECOND);
    coordinator.injected.push(ErrorCode::FENCED_INSTANCE_ID);
    let joins = coordinator.joins;
    world.run(&mut coordinator, 5 * SECOND);
    for _ in 0..2 {
        let error = world.clients[0].membership.error().unwrap();
        assert_eq!(error.code(), Some(ErrorCode::FENCED_INSTANCE_ID));
    }
    assert!(world.clients[0].owned.is_empty());
    assert_eq!(coordinator.joins, joins);
}

#[test]
fn a_coordinator_that_moves_is_found_again() {
    let (mut world, mut coordinator) = group(&["range"], 1, &[("t", 2)]);
    world.run(&mut coordinator, SECOND);
    coordinator.injected.push(ErrorCode::NOT_COORDINATOR);
    coordinator.cut(0, &mut world);
    world.run(&mut coordinator, 5 * SECOND);
    assert_eq!((coordinator.generation, world.clients[0].steps.len()), (1, 1));
    assert!(coordinator.injected.is_empty());
}

#[test]
fn the_leader_sees_partitions_that_are_added() {
    let (mut world, mut coordinator) = group(&["roundrobin"], 2, &[("t", 2)]);
    world.run(&mut coordinator, 2 * SECOND);
    world.topics.insert("t".to_owned(), 6);
    world.run(&mut coordinator, 4 * SECOND);
    world.check_whole(&all(&["t"]), "grown");
    assert_eq!(sizes(&world), [3, 3]);
    // Also of a topic that it does not want itself.
    world.topics.insert("other".to_owned(), 2);
    world.clients[1].membership.subscribe(interest(&["other"])).unwrap();
    world.run(&mut coordinator, 4 * SECOND);
    world.check_whole(&all(&["t", "other"]), "another");
    world.topics.insert("other".to_owned(), 3);
    world.run(&mut coordinator, 4 * SECOND);
    world.check_whole(&all(&["t", "other"]), "another, grown");
}

#[test]
fn metadata_of_topics_that_nobody_wants_is_not_asked_for() {
    let (mut world, mut coordinator) = group(&["range"], 1, &[("s", 1), ("t", 1)]);
    world.run(&mut coordinator, 2 * SECOND);
    assert_eq!(world.clients[0].asked, ["s", "t"]);
    world.clients[0].membership.subscribe(interest(&["t"])).unwrap();
    world.run(&mut coordinator, 3 * SECOND);
    assert_eq!(world.clients[0].asked, ["t"]);
}

#[test]
fn a_pattern_takes_topics_as_they_come() {
    let mut world = World::new(&[("orders-1", 1), ("orders-10", 1), ("__orders-2", 1)]);
    let mut coordinator = Classic::new();
    let pattern = |text: &str| Interest::Pattern(text.to_owned());
    world.add(settings(classic(&["range"]), None), pattern("orders-\\d|new"));
    world.run(&mut coordinator, 2 * SECOND);
    world.check_whole(&all(&["orders-1"]), "the whole name");
    world.topics.insert("new".to_owned(), 2);
    world.run(&mut coordinator, 4 * SECOND);
    world.check_whole(&all(&["orders-1", "new"]), "one more");
    world.topics.remove("new");
    world.run(&mut coordinator, 4 * SECOND);
    world.check_whole(&all(&["orders-1"]), "one less");
    for wrong in ["(", "a)(b", "a{2"] {
        let error = world.clients[0].membership.subscribe(pattern(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{wrong}");
    }
}

/// What happens to a group, by chance.
fn happen(
    world: &mut World,
    coordinator: &mut Classic,
    chance: &mut Chance,
    names: &[&str],
) -> String {
    let at = chance.below(world.clients.len());
    match chance.below(8) {
        drawn @ 0..7 => world.happen((drawn, at), settings(classic(names), None), chance),
        _ => {
            coordinator.cut(at, world);
            format!("{at} loses its connections")
        }
    }
}

#[test]
fn random_histories_end_with_one_owner_for_each_partition() {
    for names in [&["range"][..], &["roundrobin"], &["sticky"], &["cooperative-sticky"]] {
        for seed in 0..25 {
            let mut chance = Chance::seeded(seed * 7919 + 1);
            let (mut world, mut coordinator) = group(names, 2, &[("s", 3), ("t", 4)]);
            let mut history = vec![format!("{names:?}, seed {seed}")];
            for _ in 0..12 {
                history.push(happen(&mut world, &mut coordinator, &mut chance, names));
                for _ in 0..1 + chance.below(30) {
                    world.run(&mut coordinator, 50 * MS);
                    world.check_exclusive(&history.join(", "));
                }
            }
            let history = history.join(", ");
            let last = world.add(settings(classic(names), None), interest(&["s", "t"]));
            world.run(&mut coordinator, 15 * SECOND);
            world.check_whole(&all(&["s", "t"]), &history);
            let generation = coordinator.generation;
            world.run(&mut coordinator, 3 * SECOND);
            assert_eq!(coordinator.generation, generation, "{history}");
            assert!(world.clients[last].membership.identity().is_some());
        }
    }
}
