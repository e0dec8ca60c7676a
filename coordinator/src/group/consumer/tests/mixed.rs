//! Random histories of a consumer group in which some members speak the classic protocol, as while
//! an application is upgraded: no partition is with two members, and all come to rest.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, OwnedTopicPartition,
};
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group::SyncGroupRequest;
use ottla_protocol::wire::Message;
use proptest::prelude::*;

use super::super::ConsumerGroup;
use super::super::partitions::{TopicPartition, by_topic};
use super::world::*;
use crate::context::{Caller, ClusterView};
use crate::effects::{JoinAnswer, Ticket};
use crate::group::Group;
use crate::group::config::{GroupConfig, MigrationPolicy};

const CLASSIC: Caller<'static> =
    Caller { client_id: "classic", client_host: "/127.0.0.1", version: 9 };

#[derive(Clone, Debug)]
enum Step {
    /// A member comes, with the classic protocol or the new one.
    Come {
        classic: bool,
    },
    /// A member does what is next for it.
    Go {
        who: usize,
    },
    Leave {
        who: usize,
    },
    Die {
        who: usize,
    },
    Grow,
    Pass {
        ms: i64,
    },
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<bool>().prop_map(|classic| Step::Come { classic }),
        24 => (0..8_usize).prop_map(|who| Step::Go { who }),
        1 => (0..8_usize).prop_map(|who| Step::Leave { who }),
        1 => (0..8_usize).prop_map(|who| Step::Die { who }),
        1 => Just(Step::Grow),
        6 => (1..9_000_i64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Reload),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What a client with the classic protocol does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Join,
    Sync,
    Beat,
}

#[derive(Clone, Debug)]
struct Client {
    id: String,
    /// `None` for a client with the new protocol.
    classic: Option<Next>,
    /// Its epoch or generation.
    epoch: i32,
    owned: BTreeSet<TopicPartition>,
    told: BTreeSet<TopicPartition>,
}

impl Client {
    fn new(id: String, classic: bool) -> Self {
        Self {
            id,
            classic: classic.then_some(Next::Join),
            epoch: 0,
            owned: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    fn abandon(&mut self) {
        self.epoch = 0;
        self.owned.clear();
        self.told.clear();
        if let Some(next) = &mut self.classic {
            *next = Next::Join;
        }
    }

    /// Gives up what it shall not have; only then does it take what is new. Whether it has to
    /// tell the group.
    fn take(&mut self) -> bool {
        let gives_up = !self.owned.is_subset(&self.told);
        self.owned = if gives_up {
            self.owned.intersection(&self.told).copied().collect()
        } else {
            self.told.clone()
        };
        gives_up
    }
}

struct History {
    world: World,
    clients: Vec<Client>,
    next_id: usize,
}

impl History {
    fn new() -> Self {
        // Else the group would become a classic one, whose members have more to do.
        let config = GroupConfig {
            consumer_migration_policy: MigrationPolicy::Upgrade,
            ..GroupConfig::default()
        };
        let mut world = World::new(config);
        world.topics.put("t", 3);
        Self { world, clients: Vec::new(), next_id: 0 }
    }

    fn group(&self) -> Option<&ConsumerGroup> {
        match self.world.shard.groups.get("g") {
            Some(Group::Consumer(group)) => Some(group),
            _ => None,
        }
    }

    fn step(&mut self, step: &Step) {
        let place = |who: usize| (!self.clients.is_empty()).then(|| who % self.clients.len());
        match *step {
            Step::Come { classic } if self.clients.len() < 7 => {
                self.next_id += 1;
                let id = if classic { String::new() } else { format!("n{}", self.next_id) };
                self.clients.push(Client::new(id, classic));
            }
            Step::Go { who } => {
                if let Some(who) = place(who) {
                    self.go(who);
                }
            }
            Step::Leave { who } => {
                if let Some(who) = place(who) {
                    let client = self.clients.remove(who);
                    self.leave(&client);
                }
            }
            Step::Die { who } => {
                if let Some(who) = place(who) {
                    self.clients.remove(who);
                }
            }
            Step::Grow => {
                let count = self.world.topics.topic("t").map_or(0, |facts| facts.partition_count);
                self.world.topics.put("t", (count + 1).min(9));
            }
            Step::Pass { ms } => self.world.pass(ms),
            Step::Reload => {
                self.world.shard = self.world.reloaded(&self.world.log);
                self.world.event(|shard, cx| {
                    assert!(shard.loaded(cx).is_empty());
                    crate::effects::Effects::response(())
                });
            }
            Step::Come { .. } => {}
        }
        self.world.tick();
        self.check();
    }

    fn go(&mut self, who: usize) {
        let exists = self.group().is_some_and(|group| !group.members.is_empty());
        let mut client = self.clients[who].clone();
        match client.classic {
            None => self.beat(&mut client),
            // Into nothing, or an empty group, it would make a classic group.
            Some(_) if !exists => client.abandon(),
            Some(Next::Join) => self.join(&mut client),
            Some(Next::Sync) => self.sync(&mut client),
            Some(Next::Beat) => self.classic_beat(&mut client),
        }
        self.clients[who] = client;
    }

    fn beat(&mut self, client: &mut Client) {
        let owned = if client.epoch == 0 { BTreeSet::new() } else { client.owned.clone() };
        let listed: Vec<(_, Vec<i32>)> = by_topic(owned);
        let listed: Vec<_> = listed.iter().map(|(topic, list)| (*topic, &list[..])).collect();
        let id = client.id.clone();
        let request = match client.epoch {
            0 => join(&id, &["t"]),
            epoch => owning(&id, epoch, &listed),
        };
        let answer = self.world.heartbeat(&request);
        if answer.error != ErrorCode::NONE {
            client.abandon();
            return;
        }
        client.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            client.told = assignment
                .iter()
                .flat_map(|topic| {
                    let at = |&partition| TopicPartition { topic: topic.topic_id, partition };
                    topic.partitions.iter().map(at).collect::<Vec<_>>()
                })
                .collect();
        }
        client.take();
    }

    fn join(&mut self, client: &mut Client) {
        let owned: Vec<i32> = client.owned.iter().map(|at| at.partition).collect();
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["t"],
            owned_partitions: vec![OwnedTopicPartition { topic: "t", partitions: owned }],
            generation_id: client.epoch,
            ..ConsumerProtocolSubscription::default()
        };
        let metadata = [&[0, 3][..], &subscription.to_bytes(3).unwrap()].concat();
        let id = client.id.clone();
        let request = JoinGroupRequest {
            group_id: "g",
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            member_id: &id,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: &metadata }],
            ..JoinGroupRequest::default()
        };
        let answer: Option<JoinAnswer> =
            self.world.event(|shard, cx| shard.join(&request, &CLASSIC, Ticket(1), cx));
        let answer = answer.expect("nothing waits in a consumer group");
        match answer.error {
            ErrorCode::MEMBER_ID_REQUIRED => client.id = answer.member_id.to_string(),
            ErrorCode::NONE => {
                client.epoch = answer.generation;
                client.classic = Some(Next::Sync);
            }
            _ => client.abandon(),
        }
    }

    fn sync(&mut self, client: &mut Client) {
        let id = client.id.clone();
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id: client.epoch,
            member_id: &id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            ..SyncGroupRequest::default()
        };
        let answer = self.world.event(|shard, cx| shard.sync(&request, &CLASSIC, Ticket(2), cx));
        let answer = answer.expect("nothing waits in a consumer group");
        match answer.error {
            ErrorCode::NONE => {
                let topic = self.world.topics.topic("t").unwrap().id;
                let assignment =
                    ConsumerProtocolAssignment::from_bytes(&answer.assignment[2..], 3).unwrap();
                let given = assignment.assigned_partitions.iter();
                client.told = given
                    .flat_map(|one| one.partitions.iter())
                    .map(|&partition| TopicPartition { topic, partition })
                    .collect();
                // A cooperative consumer joins again after it has given something up.
                client.classic = Some(if client.take() { Next::Join } else { Next::Beat });
            }
            ErrorCode::REBALANCE_IN_PROGRESS => client.classic = Some(Next::Join),
            _ => client.abandon(),
        }
    }

    fn classic_beat(&mut self, client: &mut Client) {
        let request = HeartbeatRequest {
            group_id: "g",
            generation_id: client.epoch,
            member_id: &client.id,
            ..HeartbeatRequest::default()
        };
        match self.world.event(|shard, cx| shard.heartbeat(&request, cx)) {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS => client.classic = Some(Next::Join),
            _ => client.abandon(),
        }
    }

    fn leave(&mut self, client: &Client) {
        if client.classic.is_none() {
            self.world.heartbeat(&beat(&client.id, -1));
            return;
        }
        let members = vec![MemberIdentity { member_id: &client.id, ..MemberIdentity::default() }];
        let request = LeaveGroupRequest { group_id: "g", members, ..LeaveGroupRequest::default() };
        self.world.event(|shard, cx| shard.leave(&request, &CLASSIC, cx).map(drop));
    }

    fn check(&self) {
        let Some(group) = self.group() else { return };
        let mut owners: BTreeMap<TopicPartition, &str> = BTreeMap::new();
        for client in self.clients.iter().filter(|one| group.members.contains_key(&*one.id)) {
            for at in &client.owned {
                let other = owners.insert(*at, &client.id);
                assert!(other.is_none(), "{at:?} is with {other:?} and {}", client.id);
            }
        }
        let classic = group.members.values().filter(|member| member.is_classic()).count();
        assert_eq!(classic, group.classic_count);
    }

    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..60 {
            let written = self.world.log.len();
            self.world.pass(5_000);
            for who in 0..self.clients.len() {
                for _ in 0..3 {
                    self.go(who);
                    self.world.tick();
                    self.check();
                }
            }
            quiet = if self.world.log.len() == written { quiet + 1 } else { 0 };
            if quiet > 13 {
                return;
            }
        }
        panic!("there is no end to it");
    }

    fn check_settled(&self) {
        let Some(group) = self.group() else { return };
        assert_same(&self.world.shard, &self.world.reloaded(&self.world.log));
        if group.members.is_empty() {
            return;
        }
        assert_eq!(group.state_name(), "Stable");
        assert_eq!(group.members.len(), self.clients.len());
        let given: usize = self.clients.iter().map(|client| client.owned.len()).sum();
        let count = self.world.topics.topic("t").unwrap().partition_count;
        assert_eq!(i32::try_from(given).unwrap(), count, "{:?}", self.clients);
        let sizes = self.clients.iter().map(|client| client.owned.len());
        assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn members_of_both_protocols_share_a_group(steps in steps()) {
        let mut history = History::new();
        for step in &steps {
            history.step(step);
        }
        history.settle();
        history.check_settled();
    }
}
