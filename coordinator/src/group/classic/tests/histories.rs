//! Random histories: whatever members, clients and disks do, each request is answered once, the
//! group comes to rest, and the log tells what the group knows.

use proptest::prelude::*;

use super::*;
use crate::group::state::GroupState as _;

#[derive(Clone, Debug)]
enum Step {
    /// A client joins: as a new member, with what it knows, or with changed protocols.
    Join {
        client: usize,
        fresh: bool,
        protocols: usize,
        version: i16,
    },
    Sync {
        client: usize,
        generation: i32,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Pass {
        ms: i64,
    },
    Break {
        broken: bool,
    },
    Restart,
    Delete,
}

const PROTOCOLS: [&[(&str, &[u8])]; 4] = [
    &[("range", b"m")],
    &[("range", b"n"), ("sticky", b"s")],
    &[("sticky", b"s"), ("range", b"m")],
    &[("sticky", b"s")],
];
const CLIENTS: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (client.clone(), prop::bool::weighted(0.2), 0..4_usize, 2..10_i16).prop_map(
            |(client, fresh, protocols, version)| Step::Join { client, fresh, protocols, version }
        ),
        8 => (client.clone(), prop_oneof![9 => Just(0), 1 => -1..2_i32])
            .prop_map(|(client, generation)| Step::Sync { client, generation }),
        3 => client.clone().prop_map(|client| Step::Heartbeat { client }),
        1 => client.prop_map(|client| Step::Leave { client }),
        3 => prop_oneof![3 => 0..4_000_i64, 1 => 0..70_000_i64].prop_map(|ms| Step::Pass { ms }),
        1 => prop::bool::weighted(0.3).prop_map(|broken| Step::Break { broken }),
        1 => Just(Step::Restart),
        1 => Just(Step::Delete),
    ]
}

/// A client: its last two are static members.
#[derive(Clone, Default)]
struct Client {
    id: String,
    generation: i32,
    leads: bool,
    join: Option<Ticket>,
}

struct History {
    world: World,
    clients: Vec<Client>,
    /// The greatest generation that was told to anybody since the group came to be.
    generation: i32,
}

fn instance(client: usize) -> Option<&'static str> {
    [None, None, None, Some("i"), Some("j")][client]
}

impl History {
    fn new() -> Self {
        let world = World::new();
        Self { world, clients: vec![Client::default(); CLIENTS], generation: 0 }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Join { client, fresh, protocols, version } => {
                let id = if fresh { String::new() } else { self.clients[client].id.clone() };
                let joining = Joining {
                    id: &id,
                    instance: instance(client),
                    protocols: PROTOCOLS[protocols],
                    version,
                    ..Joining::default()
                };
                let ticket = self.world.join(joining);
                self.clients[client].join = Some(ticket);
            }
            Step::Sync { client, generation } => {
                let Client { id, generation: own, leads, .. } = &self.clients[client];
                let everybody: Vec<_> = self.clients.iter().map(|client| &client.id).collect();
                let given: Vec<_> =
                    everybody.iter().map(|id| (id.as_str(), id.as_bytes())).collect();
                let given = if *leads { &given[..] } else { &[] };
                self.world.sync(id, instance(client), own + generation, given);
            }
            Step::Heartbeat { client } => {
                let Client { id, generation, .. } = &self.clients[client];
                self.world.heartbeat(id, instance(client), *generation);
            }
            Step::Leave { client } => {
                let id = self.clients[client].id.clone();
                self.world.leave(&[(&id, instance(client))]);
            }
            Step::Pass { ms } => self.world.pass(ms),
            Step::Break { broken } => {
                self.world.broken = broken.then_some(ErrorCode::NOT_ENOUGH_REPLICAS);
            }
            Step::Restart => {
                self.world.close();
                let answers = std::mem::take(&mut self.world.answers);
                self.world = self.world.restarted(GroupConfig::default());
                self.world.answers = answers;
                // A generation of which nothing was written is given again.
                self.generation = 0;
            }
            Step::Delete => {
                let cx = context(self.world.now_ms, 0);
                let effects = self.world.shard.delete_group("g", &cx);
                self.world.follow(effects);
                if self.world.shard.group_count() == 0 {
                    self.generation = 0;
                }
            }
        }
        self.hear();
    }

    /// The clients read their answers.
    fn hear(&mut self) {
        for client in &mut self.clients {
            let Some(ticket) = client.join else { continue };
            let Some(Answer::Join(answer)) = self.world.answers.get(&ticket) else { continue };
            client.join = None;
            match answer.error {
                ErrorCode::NONE => {
                    assert!(answer.generation >= self.generation, "generations never go back");
                    self.generation = answer.generation;
                    client.id = answer.member_id.to_string();
                    client.generation = answer.generation;
                    client.leads = answer.leader == answer.member_id;
                    assert_eq!(client.leads, !answer.members.is_empty());
                    assert!(answer.protocol.is_some());
                }
                ErrorCode::MEMBER_ID_REQUIRED => client.id = answer.member_id.to_string(),
                ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => {
                    *client = Client::default();
                }
                _ => {}
            }
        }
    }

    /// What must hold at any time.
    fn check(&self) {
        let Some(Group::Classic(group)) = self.world.shard.groups.get("g") else {
            assert!(self.world.waiting.is_empty(), "nobody waits for a group that is not there");
            return;
        };
        let members = group.members();
        let joins: BTreeSet<_> = members.iter().filter_map(|(_, member)| member.join).collect();
        let syncs: BTreeSet<_> = members.iter().filter_map(|(_, member)| member.sync).collect();
        let parked: BTreeSet<_> = joins.union(&syncs).copied().collect();
        assert_eq!(parked, self.world.waiting, "what waits is known to the group");
        assert_eq!(joins.len(), members.joins());
        let owed = members.iter().filter(|(_, member)| member.owes_sync).count();
        assert_eq!(owed, members.syncs_owed());
        assert!(group.in_flight.is_empty());
        assert_eq!(group.is_empty(), group.state == ClassicState::Empty);
        match group.state {
            ClassicState::Empty => assert!(members.is_empty() && group.leader.as_ref().is_none()),
            ClassicState::PreparingRebalance => assert!(syncs.is_empty()),
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                assert!(joins.is_empty());
                assert!(members.get(group.leader.as_ref().unwrap()).is_some());
                let protocol = group.protocol().unwrap();
                assert!(members.iter().all(|(_, member)| member.metadata(protocol).is_some()));
                assert!(syncs.is_empty() || group.state == ClassicState::CompletingRebalance);
            }
        }
    }

    /// A stable group, and one without members, is as the log says.
    fn check_replay(&self) {
        let restarted = self.world.restarted(GroupConfig::default());
        let there = |world: &World| world.shard.groups.contains_key("g");
        assert_eq!(there(&restarted), there(&self.world));
        if !there(&restarted) {
            return;
        }
        let (one, other) = (self.world.group(), restarted.group());
        if matches!(one.state, ClassicState::PreparingRebalance | ClassicState::CompletingRebalance)
        {
            return;
        }
        assert_eq!(one.state, other.state);
        assert_eq!(one.generation(), other.generation());
        assert_eq!(one.protocol(), other.protocol());
        assert_eq!(one.leader.as_ref(), other.leader.as_ref());
        assert_eq!(one.members().len(), other.members().len());
        for (id, member) in one.members().iter() {
            let its = other.members().get(id).unwrap();
            let protocol = one.protocol().unwrap();
            assert_eq!(its.metadata(protocol), member.metadata(protocol));
            assert_eq!(
                (&its.assignment, &its.instance_id),
                (&member.assignment, &member.instance_id)
            );
            assert_eq!(its.session_timeout_ms, member.session_timeout_ms);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut history = History::new();
        let mut unbroken = true;
        for step in &steps {
            unbroken &= !matches!(step, Step::Break { broken: true });
            history.take(step);
            history.check();
            if unbroken {
                history.check_replay();
            }
        }
        // Nobody does anything any more: all is answered, and nobody is left.
        history.world.broken = None;
        history.world.pass(2_000_000);
        history.hear();
        history.check();
        prop_assert!(history.world.waiting.is_empty());
        prop_assert!(history.world.shard.timers.is_empty());
        if let Some(Group::Classic(group)) = history.world.shard.groups.get("g") {
            prop_assert_eq!(group.state, ClassicState::Empty);
        }
    }
}
