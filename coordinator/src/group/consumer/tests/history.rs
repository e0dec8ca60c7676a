//! Random histories of a group: whatever members do and whatever is lost, no partition is ever with
//! two of them, they come to rest after the last event, and the log tells the same story.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest as Request;
use ottla_protocol::uuid::Uuid;
use proptest::prelude::*;

use super::super::ConsumerHeartbeatAnswer;
use super::super::partitions::{TopicPartition, by_topic};
use super::world::*;
use crate::context::ClusterView;
use crate::effects::Effects;
use crate::group::config::GroupConfig;
use crate::group::{Group, GroupShard};

const TOPICS: [&str; 4] = ["t0", "t1", "t2", "other"];
const REGEXES: [&str; 3] = ["t.*", "t[01]", "none"];

#[derive(Clone, Debug)]
enum Step {
    /// A member comes, subscribed to these topics or to a regular expression.
    Come {
        names: u8,
        regex: Option<u8>,
        named: bool,
        assignor: u8,
    },
    /// A member sends a heartbeat; its answer may be lost, or its records.
    Beat {
        who: usize,
        lost: bool,
        failed: bool,
    },
    /// A member gives up what it was told to.
    Revoke {
        who: usize,
    },
    Subscribe {
        who: usize,
        names: u8,
        regex: Option<u8>,
    },
    Leave {
        who: usize,
    },
    /// A static member leaves for a while and comes back under another id, or does not.
    Restart {
        who: usize,
        back: bool,
    },
    /// A member is not heard of any more.
    Die {
        who: usize,
    },
    Topic {
        which: usize,
        partitions: i32,
    },
    Drop {
        which: usize,
    },
    Pass {
        ms: i64,
    },
    /// The broker starts anew from its log.
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let regex = || proptest::option::weighted(0.3, 0..3_u8);
    let step = prop_oneof![
        3 => (0..16_u8, regex(), any::<bool>(), 0..3_u8).prop_map(
            |(names, regex, named, assignor)| Step::Come { names, regex, named, assignor }
        ),
        20 => (0..8_usize, proptest::bool::weighted(0.1), proptest::bool::weighted(0.05))
            .prop_map(|(who, lost, failed)| Step::Beat { who, lost, failed }),
        8 => (0..8_usize).prop_map(|who| Step::Revoke { who }),
        2 => (0..8_usize, 0..16_u8, regex())
            .prop_map(|(who, names, regex)| Step::Subscribe { who, names, regex }),
        1 => (0..8_usize).prop_map(|who| Step::Leave { who }),
        1 => (0..8_usize, any::<bool>()).prop_map(|(who, back)| Step::Restart { who, back }),
        1 => (0..8_usize).prop_map(|who| Step::Die { who }),
        2 => (0..4_usize, 1..7_i32)
            .prop_map(|(which, partitions)| Step::Topic { which, partitions }),
        1 => (0..4_usize).prop_map(|which| Step::Drop { which }),
        6 => (1..12_000_i64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Reload),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A member's client, as Java's works.
#[derive(Clone, Debug)]
struct Client {
    id: String,
    instance: Option<String>,
    names: Vec<&'static str>,
    regex: Option<&'static str>,
    assignor: Option<&'static str>,
    epoch: i32,
    /// What it works on.
    owned: BTreeSet<TopicPartition>,
    /// What it was told that it shall have.
    told: BTreeSet<TopicPartition>,
    /// It sends everything the next time.
    full: bool,
    /// What it sent last of what it owns.
    sent: Option<BTreeSet<TopicPartition>>,
}

impl Client {
    /// Gives up what it shall not have; only then does it take what is new, and not while it waits
    /// for an answer that may take it away again: it has said that it does not own it, so that the
    /// group is free to give it to another. (The protocol cannot do better, nor can Kafka.)
    fn revoke(&mut self) {
        if self.owned.is_subset(&self.told) && !self.full {
            self.owned = self.told.clone();
        } else {
            self.owned = self.owned.intersection(&self.told).copied().collect();
        }
    }

    fn abandon(&mut self) {
        self.epoch = 0;
        self.owned.clear();
        self.told.clear();
        self.full = true;
    }
}

struct History {
    world: World,
    clients: Vec<Client>,
    next_id: usize,
    /// Instance ids that a member has left for a while.
    away: Vec<String>,
}

fn names(bits: u8) -> Vec<&'static str> {
    let named = TOPICS.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
    named.map(|(_, name)| *name).collect()
}

impl History {
    fn new() -> Self {
        let mut world = World::new(GroupConfig::default());
        world.topics.put("t0", 3);
        world.topics.put("t1", 2);
        Self { world, clients: Vec::new(), next_id: 0, away: Vec::new() }
    }

    fn come(&mut self, client: Client) {
        self.next_id += 1;
        let id = format!("m{}", self.next_id);
        self.clients.push(Client { id, ..client });
        self.beat(self.clients.len() - 1, false, false);
    }

    fn step(&mut self, step: Step) {
        let place = |who: usize| (!self.clients.is_empty()).then(|| who % self.clients.len());
        match step {
            Step::Come { names: bits, regex, named, assignor } if self.clients.len() < 8 => {
                let instance = named.then(|| format!("i{}", self.next_id));
                self.come(Client {
                    id: String::new(),
                    instance,
                    names: names(bits),
                    regex: regex.map(|one| REGEXES[usize::from(one)]),
                    assignor: [None, Some("uniform"), Some("range")][usize::from(assignor)],
                    epoch: 0,
                    owned: BTreeSet::new(),
                    told: BTreeSet::new(),
                    full: true,
                    sent: None,
                });
            }
            Step::Beat { who, lost, failed } => {
                if let Some(who) = place(who) {
                    self.beat(who, lost, failed);
                }
            }
            Step::Revoke { who } => {
                if let Some(who) = place(who) {
                    self.clients[who].revoke();
                }
            }
            Step::Subscribe { who, names: bits, regex } => {
                if let Some(who) = place(who) {
                    let client = &mut self.clients[who];
                    client.names = names(bits);
                    client.regex = regex.map(|one| REGEXES[usize::from(one)]);
                    client.full = true;
                }
            }
            Step::Leave { who } => {
                if let Some(who) = place(who) {
                    let client = self.clients.remove(who);
                    let instance_id = client.instance.as_deref();
                    self.world.heartbeat(&Request { instance_id, ..beat(&client.id, -1) });
                }
            }
            Step::Restart { who, back } => {
                if let Some(who) = place(who) {
                    self.restart(who, back);
                }
            }
            Step::Die { who } => {
                if let Some(who) = place(who) {
                    self.clients.remove(who);
                }
            }
            Step::Topic { which, partitions } => {
                let name = TOPICS[which];
                let count = self.world.topics.topic(name).map_or(0, |one| one.partition_count);
                self.world.topics.put(name, partitions.max(count));
            }
            Step::Drop { which } => self.world.topics.drop(TOPICS[which]),
            Step::Pass { ms } => self.world.pass(ms),
            Step::Reload => self.reload(),
            Step::Come { .. } => {}
        }
        self.world.tick();
        self.check();
    }

    fn restart(&mut self, who: usize, back: bool) {
        if self.clients[who].instance.is_none() {
            return;
        }
        let mut client = self.clients.remove(who);
        let instance_id = client.instance.as_deref();
        self.world.heartbeat(&Request { instance_id, ..beat(&client.id, -2) });
        if back {
            client.abandon();
            self.come(client);
        } else {
            self.away.extend(client.instance);
        }
    }

    fn reload(&mut self) {
        self.world.shard = self.world.reloaded(&self.world.log);
        self.world.event(|shard, cx| {
            assert!(shard.loaded(cx).is_empty());
            Effects::response(())
        });
    }

    /// A heartbeat of a client.
    fn beat(&mut self, who: usize, lost: bool, failed: bool) {
        let client = &mut self.clients[who];
        let joins = client.epoch == 0;
        let owned = if joins { BTreeSet::new() } else { client.owned.clone() };
        let says = client.full || client.sent.as_ref() != Some(&owned);
        let listed: Vec<(Uuid, Vec<i32>)> = by_topic(owned.iter().copied());
        let listed: Vec<(Uuid, &[i32])> =
            listed.iter().map(|(topic, numbers)| (*topic, &numbers[..])).collect();
        let id = client.id.clone();
        let instance = client.instance.clone();
        let request = Request {
            group_id: "g",
            member_id: &id,
            member_epoch: client.epoch,
            instance_id: instance.as_deref(),
            rack_id: None,
            rebalance_timeout_ms: if client.full { 60_000 } else { -1 },
            subscribed_topic_names: client.full.then(|| client.names.clone()),
            subscribed_topic_regex: client.full.then_some(client.regex.unwrap_or("")),
            server_assignor: client.assignor.filter(|_| client.full),
            topic_partitions: says.then(|| topics(&listed)),
        };
        client.sent = Some(owned);
        client.full = false;
        let answer = if failed {
            let request = &request;
            self.world.failed_event(|shard, cx| shard.consumer_heartbeat(request, &CALLER, cx))
        } else {
            self.world.heartbeat(&request)
        };
        let client = &mut self.clients[who];
        if lost || failed {
            // It has heard nothing, so it says everything again.
            client.full = true;
            return;
        }
        Self::told(client, answer);
    }

    fn told(client: &mut Client, answer: ConsumerHeartbeatAnswer) {
        match answer.error {
            ErrorCode::NONE => {
                client.epoch = answer.member_epoch;
                if let Some(assignment) = answer.assignment {
                    client.told = assignment
                        .iter()
                        .flat_map(|topic| {
                            let topic_id = topic.topic_id;
                            topic.partitions.iter().map(move |&partition| TopicPartition {
                                topic: topic_id,
                                partition,
                            })
                        })
                        .collect();
                }
            }
            ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::GROUP_ID_NOT_FOUND => client.abandon(),
            ErrorCode::UNRELEASED_INSTANCE_ID => client.abandon(),
            error => panic!("{error:?}"),
        }
    }

    /// Nobody has what another has, as far as the members know that the group knows.
    fn check(&self) {
        let Some(Group::Consumer(group)) = self.world.shard.groups.get("g") else { return };
        let mut owners: BTreeMap<TopicPartition, &str> = BTreeMap::new();
        for client in &self.clients {
            let Some(member) = group.members.get(&*client.id) else { continue };
            if member.epoch < client.epoch {
                continue;
            }
            for at in &client.owned {
                let other = owners.insert(*at, &client.id);
                assert!(other.is_none(), "{at:?} is with {other:?} and {}", client.id);
            }
        }
        let held: usize = group.members.values().map(|member| member.held().count()).sum();
        assert_eq!(held, group.owners.len(), "two members hold the same");
    }

    /// Lets all who are there go on until nothing has changed for a while: longer than a lost
    /// member's session and the pause between two looks at regular expressions take.
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..100 {
            let written = self.world.log.len();
            self.world.pass(5_000);
            for who in 0..self.clients.len() {
                self.beat(who, false, false);
                self.clients[who].revoke();
                self.world.tick();
                self.check();
            }
            quiet = if self.world.log.len() == written { quiet + 1 } else { 0 };
            if quiet > 13 {
                return;
            }
        }
        panic!("there is no end to it");
    }

    fn check_settled(&self) {
        let Some(Group::Consumer(group)) = self.world.shard.groups.get("g") else { return };
        let expected = if self.clients.is_empty() { "Empty" } else { "Stable" };
        assert_eq!(group.state_name(), expected);
        assert_eq!(group.members.len(), self.clients.len());
        let cluster = &self.world.topics;
        let mut given = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for client in &self.clients {
            let target: BTreeSet<_> = group.target(&client.id).iter().copied().collect();
            assert_eq!(client.owned, target, "{client:?}");
            given.extend(target);
            let subscribed = TOPICS.iter().filter(|topic| {
                client.names.contains(topic)
                    || match client.regex {
                        Some("t.*") => topic.starts_with('t'),
                        Some("t[01]") => ["t0", "t1"].contains(topic),
                        _ => false,
                    }
            });
            for facts in subscribed.filter_map(|topic| cluster.topic(topic)) {
                let at = |partition| TopicPartition { topic: facts.id, partition };
                wanted.extend((0..facts.partition_count).map(at));
            }
        }
        assert_eq!(given, wanted);
    }

    fn check_log(&self) {
        let log = &self.world.log;
        assert_same(&self.world.shard, &self.world.reloaded(log));
        for clean in [log.len(), log.len() / 2] {
            for keep_tombstones in [true, false] {
                let compacted = compacted(log, clean, keep_tombstones);
                let shard: GroupShard = self.world.reloaded(&compacted);
                assert_same(&self.world.shard, &shard);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_partition_is_ever_with_two_members(steps in steps()) {
        let mut history = History::new();
        for step in steps {
            history.step(step);
        }
        history.check_log();
        history.settle();
        history.check_settled();
        history.check_log();
    }
}
