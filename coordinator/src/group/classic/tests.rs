//! Classic groups, seen from outside: requests, time and failing appends go in; answers, records
//! and what a replay makes of them come out.

mod checks;
mod failures;
mod golden;
mod histories;
mod scenarios;
mod statics;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::uuid::Uuid;

use super::{ClassicGroup, ClassicState};
use crate::context::{Caller, ClusterView, Context, GroupOverrides, Now, TopicFacts};
use crate::effects::{Answer, Effects, JoinAnswer, SyncAnswer, Ticket};
use crate::group::config::GroupConfig;
use crate::group::{Group, GroupShard};
use crate::record::{Origin, Record};

/// No topics: classic groups never look.
struct NoTopics;

impl ClusterView for NoTopics {
    fn version(&self) -> u64 {
        0
    }

    fn topic(&self, _: &str) -> Option<TopicFacts> {
        None
    }

    fn topic_name(&self, _: Uuid) -> Option<&str> {
        None
    }

    fn for_each_topic(&self, _: &mut dyn FnMut(&str, TopicFacts)) {}

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}

/// The time at which worlds begin: the wall clock shows this when the other one shows 0.
const START_MS: i64 = 1_700_000_000_000;

/// A shard with its log, its clock, and the clients' ends of all requests.
struct World {
    shard: GroupShard,
    log: Vec<Record>,
    now_ms: i64,
    requests: u64,
    /// Appends fail with this.
    broken: Option<ErrorCode>,
    waiting: BTreeSet<Ticket>,
    answers: BTreeMap<Ticket, Answer>,
}

/// Who joins, and how. The rest is usual.
#[derive(Clone, Copy)]
struct Joining<'a> {
    group: &'a str,
    id: &'a str,
    instance: Option<&'a str>,
    protocol_type: &'a str,
    protocols: &'a [(&'a str, &'a [u8])],
    session_ms: i32,
    rebalance_ms: i32,
    version: i16,
}

impl Default for Joining<'_> {
    fn default() -> Self {
        Self {
            group: "g",
            id: "",
            instance: None,
            protocol_type: "consumer",
            protocols: &[("range", b"m")],
            session_ms: 10_000,
            rebalance_ms: 60_000,
            version: 9,
        }
    }
}

impl World {
    fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    fn with(config: GroupConfig) -> Self {
        Self {
            shard: GroupShard::new(Arc::new(config)),
            log: Vec::new(),
            now_ms: 0,
            requests: 0,
            broken: None,
            waiting: BTreeSet::new(),
            answers: BTreeMap::new(),
        }
    }

    /// What another broker makes of the log; it knows of no request that waits.
    fn restarted(&self, config: GroupConfig) -> Self {
        let mut world = Self { now_ms: self.now_ms, ..Self::with(config) };
        world.requests = self.requests;
        for (offset, record) in (0..).zip(&self.log) {
            let origin = Origin { offset, producer: None };
            world.shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
        }
        world.log.clone_from(&self.log);
        for effects in world.shard.loaded(&context(world.now_ms, 0)) {
            world.follow(effects);
        }
        world
    }

    fn ticket(&mut self) -> Ticket {
        self.requests += 1;
        self.waiting.insert(Ticket(self.requests));
        Ticket(self.requests)
    }

    /// Does what an event has led to, as the caller of a shard does.
    fn follow<R>(&mut self, effects: Effects<R>) -> R {
        let Effects { write, response, answers } = effects;
        self.take(answers);
        if let Some(write) = write {
            assert!(!write.records.is_empty());
            let result = match self.broken {
                Some(error) => Err(error),
                None => {
                    self.log.extend(write.records.iter().cloned());
                    Ok((self.log.len() - write.records.len()) as i64)
                }
            };
            let after = self.shard.complete(write, result, &context(self.now_ms, self.requests));
            self.follow(after);
        }
        response
    }

    fn take(&mut self, answers: Vec<(Ticket, Answer)>) {
        for (ticket, answer) in answers {
            assert!(self.waiting.remove(&ticket), "{ticket:?} is answered, but does not wait");
            self.answers.insert(ticket, answer);
        }
    }

    /// Sends JoinGroup; the ticket leads to the answer.
    fn join(&mut self, joining: Joining<'_>) -> Ticket {
        let ticket = self.ticket();
        let effects = self.join_effects(joining, ticket);
        if let Some(answer) = self.follow(effects) {
            self.take(vec![(ticket, Answer::Join(answer))]);
        }
        ticket
    }

    fn join_effects(
        &mut self,
        joining: Joining<'_>,
        ticket: Ticket,
    ) -> Effects<Option<JoinAnswer>> {
        let protocols = joining.protocols.iter();
        let request = JoinGroupRequest {
            group_id: joining.group,
            session_timeout_ms: joining.session_ms,
            rebalance_timeout_ms: joining.rebalance_ms,
            member_id: joining.id,
            group_instance_id: joining.instance,
            protocol_type: joining.protocol_type,
            protocols: protocols
                .map(|&(name, metadata)| JoinGroupRequestProtocol { name, metadata })
                .collect(),
            reason: Some("test"),
        };
        let caller = caller(joining.version);
        self.shard.join(&request, &caller, ticket, &context(self.now_ms, self.requests))
    }

    fn sync(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        assignments: &[(&str, &[u8])],
    ) -> Ticket {
        let ticket = self.ticket();
        let assignments = assignments.iter();
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id: generation,
            member_id: id,
            group_instance_id: instance,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments
                .map(|&(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id,
                    assignment,
                })
                .collect(),
        };
        let cx = context(self.now_ms, self.requests);
        let effects = self.shard.sync(&request, &caller(4), ticket, &cx);
        if let Some(answer) = self.follow(effects) {
            self.take(vec![(ticket, Answer::Sync(answer))]);
        }
        ticket
    }

    fn heartbeat(&mut self, id: &str, instance: Option<&str>, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g",
            generation_id: generation,
            member_id: id,
            group_instance_id: instance,
        };
        let effects = self.shard.heartbeat(&request, &context(self.now_ms, self.requests));
        self.follow(effects)
    }

    /// Sends LeaveGroup for members, each by id and instance id; gives back their codes.
    fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let members = members.iter().map(|&(member_id, group_instance_id)| MemberIdentity {
            member_id,
            group_instance_id,
            reason: None,
        });
        let request = LeaveGroupRequest {
            group_id: "g",
            members: members.collect(),
            ..LeaveGroupRequest::default()
        };
        let cx = context(self.now_ms, self.requests);
        let effects = self.shard.leave(&request, &caller(5), &cx);
        let response = self.follow(effects);
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.members.iter().map(|member| member.error_code).collect()
    }

    /// Lets time pass, in steps that end where a deadline is.
    fn pass(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        loop {
            let next = self.shard.next_deadline_ms().filter(|due_ms| *due_ms <= end_ms);
            self.now_ms = next.unwrap_or(end_ms).max(self.now_ms);
            while let Some(effects) = self.shard.tick(&context(self.now_ms, self.requests)) {
                self.follow(effects);
            }
            if next.is_none() {
                return;
            }
        }
    }

    fn joined(&self, ticket: Ticket) -> JoinAnswer {
        match self.answers.get(&ticket) {
            Some(Answer::Join(answer)) => answer.clone(),
            other => panic!("{ticket:?}: {other:?}"),
        }
    }

    fn synced(&self, ticket: Ticket) -> SyncAnswer {
        match self.answers.get(&ticket) {
            Some(Answer::Sync(answer)) => answer.clone(),
            other => panic!("{ticket:?}: {other:?}"),
        }
    }

    fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.contains(&ticket)
    }

    fn group(&self) -> &ClassicGroup {
        match self.shard.groups.get("g") {
            Some(Group::Classic(group)) => group,
            _ => panic!("there is no classic group"),
        }
    }

    fn state(&self) -> ClassicState {
        self.group().state
    }

    /// Joins a member that is not static; gives back its id and the ticket of its second JoinGroup.
    fn enter(&mut self, joining: Joining<'_>) -> (String, Ticket) {
        let ticket = self.join(joining);
        let answer = self.joined(ticket);
        assert_eq!(answer.error, ErrorCode::MEMBER_ID_REQUIRED);
        let id = answer.member_id.to_string();
        let ticket = self.join(Joining { id: &id, ..joining });
        (id, ticket)
    }

    /// A stable group of so many members that are not static; gives back their ids, the leader's
    /// first.
    fn stable(&mut self, count: usize) -> Vec<String> {
        let entered: Vec<_> = (0..count).map(|_| self.enter(Joining::default())).collect();
        // The first rebalance waits for two delays: in the first one there were more to come.
        self.pass(6_000);
        let ids: Vec<_> = entered.into_iter().map(|(id, _)| id).collect();
        let generation = self.group().generation();
        let assignments: Vec<_> = ids.iter().map(|id| (id.as_str(), id.as_bytes())).collect();
        for id in ids.iter().rev() {
            let assignments = if *id == ids[0] { &assignments[..] } else { &[] };
            self.sync(id, None, generation, assignments);
        }
        assert_eq!(self.state(), ClassicState::Stable);
        ids
    }

    /// Everybody who waits is told to go.
    fn close(&mut self) {
        let answers = self.shard.close(ErrorCode::NOT_COORDINATOR);
        self.take(answers);
        assert!(self.waiting.is_empty(), "{:?} wait for ever", self.waiting);
    }
}

fn context(now_ms: i64, fresh: u64) -> Context<'static> {
    Context {
        now: Now { wall_ms: START_MS + now_ms, mono_ms: now_ms },
        cluster: &NoTopics,
        fresh_id: Uuid::from_u64s(0x4000, fresh),
    }
}

fn caller(version: i16) -> Caller<'static> {
    Caller { client_id: "client", client_host: "/127.0.0.1", version }
}
