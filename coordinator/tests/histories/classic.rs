//! Clients of classic groups: what they send next, and what they make of the answers.

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::effects::{Answer, JoinAnswer, JoinedMember, SyncAnswer, Ticket};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::consumer_protocol::{
    AssignedTopicPartition, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use ottla_protocol::internal::{read_value, value_bytes};
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::world::{World, caller, tell};

type Partition = (String, i32);

/// A client of a classic group.
pub(super) struct ClassicClient {
    pub name: String,
    pub group: String,
    pub instance: Option<String>,
    /// Version of its JoinGroup; the other requests are of about the same age.
    pub version: i16,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub wants: Vec<String>,
    /// What it wanted when it last joined.
    pub joined_for: Vec<String>,
    pub protocols: Vec<&'static str>,
    pub is_alive: bool,
    /// Counts its lives: answers to requests of an earlier one do not reach it.
    pub life: u32,
    pub member_id: String,
    pub generation: i32,
    pub protocol: Option<String>,
    /// Whether it was told that it leads.
    pub leads: bool,
    pub phase: Phase,
    /// The topics as it saw them when it last joined.
    pub topics_version: u64,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// It is to join.
    Out,
    Joining,
    /// It is to sync; the leader with an assignment for these.
    Joined(Option<Vec<JoinedMember>>),
    Syncing,
    /// It has an assignment.
    In {
        assignment: Vec<Partition>,
    },
}

/// What is known of a group in one generation.
#[derive(Default)]
pub(super) struct Round {
    protocol: Option<String>,
    /// Assignments that a leader has sent.
    sent: BTreeSet<Vec<u8>>,
    /// Who was told that a partition is its own: an instance or a member.
    owners: BTreeMap<Partition, String>,
}

impl ClassicClient {
    pub(super) fn is_in(&self) -> bool {
        matches!(self.phase, Phase::In { .. })
    }

    pub(super) fn assignment(&self) -> &[Partition] {
        match &self.phase {
            Phase::In { assignment } => assignment,
            _ => &[],
        }
    }

    fn identity(&self) -> String {
        self.instance.clone().unwrap_or_else(|| self.member_id.clone())
    }

    /// A static member that takes over from a leader is told so from version 9 on. Before, it has
    /// to change what it says for a rebalance.
    fn may_lead_unknowingly(&self) -> bool {
        self.instance.is_some() && self.version < 9
    }

    /// What its JoinGroup says of its topics.
    pub(super) fn subscription(&self) -> Vec<u8> {
        let seen = self.topics_version.to_be_bytes();
        let subscription = ConsumerProtocolSubscription {
            topics: self.wants.iter().map(String::as_str).collect(),
            user_data: self.may_lead_unknowingly().then_some(&seen),
            ..ConsumerProtocolSubscription::default()
        };
        value_bytes(&subscription, self.version.min(3)).unwrap()
    }
}

impl World {
    /// The client does what is next for it.
    pub(super) fn act(&mut self, client: usize) {
        if !self.classic[client].is_alive {
            return;
        }
        match &self.classic[client].phase {
            Phase::Out => self.join(client),
            Phase::Joining | Phase::Syncing => {}
            Phase::Joined(_) => self.sync(client),
            Phase::In { .. } => {
                let it = &self.classic[client];
                let is_stale = it.topics_version != self.topics_version();
                let wants_others = it.joined_for != it.wants;
                if wants_others || is_stale && (it.leads || it.may_lead_unknowingly()) {
                    self.join(client);
                } else {
                    self.heartbeat(client);
                }
            }
        }
    }

    pub(super) fn topics_version(&self) -> u64 {
        use ottla_coordinator::context::ClusterView as _;
        self.topics.version()
    }

    /// The client sends JoinGroup, again if it has done so already.
    pub(super) fn join(&mut self, client: usize) {
        let ticket = Ticket(self.number());
        let topics_version = self.topics_version();
        let it = &mut self.classic[client];
        // A static member that comes back gets what it had, and does not know of when that is.
        let comes_back = it.instance.is_some() && it.member_id.is_empty();
        it.joined_for = it.wants.clone();
        it.topics_version = if comes_back { 0 } else { topics_version };
        it.phase = Phase::Joining;
        let it = &self.classic[client];
        let (metadata, version) = (it.subscription(), it.version);
        let (name, group) = (it.name.clone(), it.group.clone());
        let (member_id, instance) = (it.member_id.clone(), it.instance.clone());
        tell!(self, "{name} joins {group} as {member_id:?} {instance:?}");
        let protocols = it.protocols.iter();
        let request = JoinGroupRequest {
            group_id: &group,
            session_timeout_ms: it.session_timeout_ms,
            rebalance_timeout_ms: if version > 0 { it.rebalance_timeout_ms } else { -1 },
            member_id: &member_id,
            group_instance_id: instance.as_deref(),
            protocol_type: "consumer",
            protocols: protocols
                .map(|name| JoinGroupRequestProtocol { name, metadata: &metadata })
                .collect(),
            reason: None,
        };
        let effects =
            self.on(|shard, cx| shard.join(&request, &caller(&name, version), ticket, cx));
        if effects.response.is_none() {
            self.park(ticket, client);
        }
        let (answer, failed) = self.carry_out(effects);
        if let Some(answer) = answer {
            self.answer(client, Answer::Join(answer), failed);
        }
    }

    fn sync(&mut self, client: usize) {
        let ticket = Ticket(self.number());
        let phase = std::mem::replace(&mut self.classic[client].phase, Phase::Syncing);
        let Phase::Joined(members) = phase else { unreachable!("it has joined") };
        let assignments = members.map_or(Vec::new(), |members| self.assign(&members));
        let it = &self.classic[client];
        let (name, group) = (it.name.clone(), it.group.clone());
        let (member_id, instance) = (it.member_id.clone(), it.instance.clone());
        let (generation, protocol) = (it.generation, it.protocol.clone());
        let version = if it.version >= 7 { 5 } else { 3 };
        tell!(self, "{name} syncs {group} at {generation} as {member_id}: {assignments:?}");
        // The group may have been deleted, and be in another round.
        if let Some(round) = self.rounds.get_mut(&(group.clone(), generation)) {
            round.sent.extend(assignments.iter().map(|(_, assignment)| assignment.clone()));
        }
        let request = SyncGroupRequest {
            group_id: &group,
            generation_id: generation,
            member_id: &member_id,
            group_instance_id: instance.as_deref(),
            protocol_type: (version >= 5).then_some("consumer"),
            protocol_name: protocol.as_deref().filter(|_| version >= 5),
            assignments: assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
                .collect(),
        };
        let effects =
            self.on(|shard, cx| shard.sync(&request, &caller(&name, version), ticket, cx));
        if effects.response.is_none() {
            self.park(ticket, client);
        }
        let (answer, failed) = self.carry_out(effects);
        if let Some(answer) = answer {
            self.answer(client, Answer::Sync(answer), failed);
        }
    }

    /// What a leader makes of its members: each topic's partitions in turn to those who want it.
    fn assign(&mut self, members: &[JoinedMember]) -> Vec<(String, Vec<u8>)> {
        let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            let subscription =
                ConsumerProtocolSubscription::from_metadata(&member.metadata).unwrap();
            for topic in subscription.topics {
                wanted.entry(topic.to_owned()).or_default().push(index);
            }
        }
        let mut assigned: Vec<BTreeMap<String, Vec<i32>>> = vec![BTreeMap::new(); members.len()];
        for (topic, by) in wanted {
            for (turn, (topic, partition)) in
                self.topics.partitions([topic.as_str()]).into_iter().enumerate()
            {
                assigned[by[turn % by.len()]].entry(topic).or_default().push(partition);
            }
        }
        let encode = |topics: &BTreeMap<String, Vec<i32>>| {
            let assigned_partitions = topics.iter().map(|(topic, partitions)| {
                AssignedTopicPartition { topic, partitions: partitions.clone() }
            });
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: assigned_partitions.collect(),
                user_data: None,
            };
            value_bytes(&assignment, 0).unwrap()
        };
        let members = members.iter().zip(&assigned);
        members.map(|(member, topics)| (member.member_id.to_string(), encode(topics))).collect()
    }

    /// An answer that came at once; its write may have failed.
    fn answer(&mut self, client: usize, answer: Answer, failed: Option<ErrorCode>) {
        if failed.is_some() {
            self.classic[client].phase = Phase::Out;
            return;
        }
        tell!(self, "  {} gets {answer:?}", self.classic[client].name);
        self.note_round(client, &answer);
        match answer {
            Answer::Join(answer) => self.joined(client, answer),
            Answer::Sync(answer) => self.synced(client, &answer),
        }
    }

    /// What must be the same for all members of a generation is so.
    pub(super) fn note_round(&mut self, client: usize, answer: &Answer) {
        let it = &self.classic[client];
        match answer {
            Answer::Join(answer) if answer.error == ErrorCode::NONE && !self.is_mixed => {
                assert!(answer.generation > 0);
                let round = self.rounds.entry((it.group.clone(), answer.generation)).or_default();
                let protocol = answer.protocol.as_deref().unwrap().to_owned();
                let known = round.protocol.get_or_insert_with(|| protocol.clone());
                assert_eq!(*known, protocol, "two protocols in generation {}", answer.generation);
            }
            _ => {}
        }
    }

    pub(super) fn joined(&mut self, client: usize, answer: JoinAnswer) {
        let it = &mut self.classic[client];
        match answer.error {
            ErrorCode::NONE => {
                it.member_id = answer.member_id.to_string();
                it.generation = answer.generation;
                it.protocol = answer.protocol.as_deref().map(str::to_owned);
                it.leads = answer.leader == answer.member_id;
                let assigns = it.leads && !answer.skip_assignment;
                it.phase = Phase::Joined(assigns.then_some(answer.members));
            }
            error => {
                if error == ErrorCode::MEMBER_ID_REQUIRED {
                    it.member_id = answer.member_id.to_string();
                }
                self.refused(client, error);
            }
        }
    }

    pub(super) fn synced(&mut self, client: usize, answer: &SyncAnswer) {
        if answer.error != ErrorCode::NONE {
            return self.refused(client, answer.error);
        }
        let it = &self.classic[client];
        let bytes = answer.assignment.to_vec();
        let assignment: Vec<_> = if bytes.is_empty() {
            Vec::new()
        } else {
            let assignment: ConsumerProtocolAssignment<'_> = read_value(&bytes).unwrap();
            let topics = assignment.assigned_partitions.into_iter();
            topics
                .flat_map(|it| it.partitions.into_iter().map(move |at| (it.topic.to_owned(), at)))
                .collect()
        };
        let (identity, generation) = (it.identity(), it.generation);
        if self.is_mixed {
            self.classic[client].phase = Phase::In { assignment };
            return;
        }
        let round = self.rounds.entry((it.group.clone(), generation)).or_default();
        assert!(bytes.is_empty() || round.sent.contains(&bytes), "nobody made this assignment");
        for partition in &assignment {
            let owner = round.owners.entry(partition.clone()).or_insert_with(|| identity.clone());
            assert_eq!(*owner, identity, "two own {partition:?} in generation {generation}");
        }
        self.classic[client].phase = Phase::In { assignment };
    }

    fn heartbeat(&mut self, client: usize) {
        let it = &self.classic[client];
        let (group, member_id) = (it.group.clone(), it.member_id.clone());
        let instance = it.instance.clone();
        let request = HeartbeatRequest {
            group_id: &group,
            generation_id: it.generation,
            member_id: &member_id,
            group_instance_id: instance.as_deref(),
        };
        let effects = self.on(|shard, cx| shard.heartbeat(&request, cx));
        let (error, _) = self.carry_out(effects);
        if error != ErrorCode::NONE {
            tell!(self, "{member_id} of {group} gets {error:?} for its heartbeat");
            self.refused(client, error);
        }
    }

    /// The client has to join again; if it was taken for another one's former self, it stops.
    pub(super) fn refused(&mut self, client: usize, error: ErrorCode) {
        let it = &mut self.classic[client];
        it.phase = Phase::Out;
        match error {
            ErrorCode::UNKNOWN_MEMBER_ID => it.member_id.clear(),
            ErrorCode::FENCED_INSTANCE_ID => self.crash(client),
            ErrorCode::MEMBER_ID_REQUIRED
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::UNKNOWN_SERVER_ERROR
            | ErrorCode::KAFKA_STORAGE_ERROR => {}
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL if self.is_mixed => {}
            error => panic!("a client that does nothing wrong gets {error:?}"),
        }
    }

    pub(super) fn leave(&mut self, client: usize) {
        let it = &self.classic[client];
        let (name, group, member_id) = (it.name.clone(), it.group.clone(), it.member_id.clone());
        let (instance, version) = (it.instance.clone(), if it.version >= 5 { 4 } else { 1 });
        tell!(self, "{name} leaves {group} as {member_id:?} {instance:?}");
        let member = MemberIdentity {
            member_id: &member_id,
            group_instance_id: instance.as_deref(),
            reason: None,
        };
        let request =
            LeaveGroupRequest { group_id: &group, member_id: &member_id, members: vec![member] };
        let effects = self.on(|shard, cx| shard.leave(&request, &caller(&name, version), cx));
        let _ = self.carry_out(effects);
        self.crash(client);
    }

    /// The client is gone without a word; it may come back.
    pub(super) fn crash(&mut self, client: usize) {
        let it = &mut self.classic[client];
        tell!(self, "{} is gone", it.name);
        it.life += 1;
        it.is_alive = false;
        it.phase = Phase::Out;
        it.member_id.clear();
    }
}
