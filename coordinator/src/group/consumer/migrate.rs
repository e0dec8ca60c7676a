//! Groups change their kind while they have members: a classic group becomes a consumer group when
//! a member joins it with the new protocol, and a consumer group becomes a classic one when the
//! last member that speaks the new protocol goes. `group.consumer.migration.policy` says which of
//! them may happen.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::consumer_protocol::{
    AssignedTopicPartition, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use ottla_protocol::wire::Message;

use super::heartbeat::Refusal;
use super::leave::ConsumerTimer;
use super::member::{ClassicMetadata, Member, MemberState};
use super::partitions::{Held, TopicPartition, by_topic};
use super::target::Draft;
use super::{ConsumerGroup, records};
use crate::context::{ClusterView, Context};
use crate::effects::{Answer, Effects, Then, Ticket, Write};
use crate::group::classic::{ClassicGroup, ConvertedMember, Member as ClassicMember};
use crate::group::config::{GroupConfig, MigrationPolicy};
use crate::group::state::GroupState;
use crate::group::{Group, GroupShard};
use crate::record::Record;

/// The newest layout of assignments in the classic protocol.
const ASSIGNMENT_VERSION_MAX: i16 = 3;

fn not_found(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
}

impl GroupShard {
    /// The records of a downgrade have been written: the classic group takes over.
    pub(in crate::group) fn complete_downgrade(
        &mut self,
        group_id: &str,
        rebalance: bool,
        records: &[Record],
        first_offset: i64,
        cx: &Context<'_>,
    ) -> Effects {
        let (becoming, members) = match self.groups.get_mut(group_id) {
            Some(Group::Consumer(group)) => {
                (group.becoming.take(), group.members.keys().cloned().collect())
            }
            _ => (None, Vec::new()),
        };
        // Should the group come back, they must not be held to what they owed before.
        self.stop_timers(group_id, &members);
        let mut effects = self.replay_written(records, first_offset);
        // What was replayed is that group too, but for the protocols that no record has.
        if let Some(classic) = becoming {
            let begun = self.begin_classic(group_id, classic, rebalance, cx);
            effects.write = begun.write;
            effects.answers.extend(begun.answers);
        }
        effects
    }
}

impl ConsumerGroup {
    /// The consumer group that a classic group becomes; adds the records for it. Requests that
    /// wait in the classic group are answered: their members find out what has changed when they
    /// ask again.
    pub(super) fn upgraded(
        classic: &mut ClassicGroup,
        draft: &mut Draft<'_>,
        answers: &mut Vec<(Ticket, Answer)>,
    ) -> Result<Self, Refusal> {
        let policy = draft.config.consumer_migration_policy;
        if !matches!(policy, MigrationPolicy::Bidirectional | MigrationPolicy::Upgrade) {
            return Err(not_found("classic groups may not be upgraded"));
        }
        if !classic.is_for_consumers() {
            return Err(not_found("the classic group is not one of consumers"));
        }
        if classic.members().len() > draft.config.consumer_max_size {
            return Err(not_found("the classic group has too many members to be upgraded"));
        }
        answers.extend(classic.take_waiting(ErrorCode::REBALANCE_IN_PROGRESS));
        classic.push_tombstones(draft.group_id, &mut draft.records);
        let Some(protocol) = classic.protocol().map(Arc::<str>::from) else {
            let message = "the classic group has not chosen a protocol yet";
            return Err(Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, message));
        };
        let generation = classic.generation();
        let mut group = Self { epoch: generation, assignment_epoch: generation, ..Self::default() };
        for (member_id, member) in classic.members().iter() {
            group.add_upgraded(member_id, member, &protocol, draft.cx.cluster)?;
        }
        let names = group.names.clone();
        group.metadata_hash = group.hash_topics(names.topics(), draft.cx.cluster);
        group.push_records(draft);
        for (member_id, member) in &group.members {
            let session_ms = member.classic.as_ref().map_or(0, |one| one.session_timeout_ms);
            let (group_id, member_id) = (Arc::clone(draft.group_id), Arc::clone(member_id));
            draft.set_timer(ConsumerTimer::Session(group_id, member_id), session_ms);
        }
        log::info!("classic group {} becomes a consumer group", draft.group_id);
        Ok(group)
    }

    fn add_upgraded(
        &mut self,
        member_id: &Arc<str>,
        classic: &ClassicMember,
        protocol: &str,
        cluster: &dyn ClusterView,
    ) -> Result<(), Refusal> {
        let malformed = |_| not_found("a classic member's subscription is malformed");
        let metadata = classic.metadata(protocol).map_or(&[][..], |metadata| metadata);
        let subscription =
            ConsumerProtocolSubscription::from_metadata(metadata).map_err(malformed)?;
        let mut target = assigned(&classic.assignment, cluster)?;
        // A custom assignor may have given a partition to two; only one can keep it.
        target.retain(|at| !self.is_held(*at));
        let epoch = self.epoch;
        let member = Member {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            instance_id: classic.instance_id.clone(),
            rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()).map(Arc::from),
            client_id: Arc::clone(&classic.client_id),
            client_host: Arc::clone(&classic.client_host),
            names: self.intern(&subscription.topics),
            rebalance_timeout_ms: classic.rebalance_timeout_ms,
            classic: Some(Arc::new(ClassicMetadata {
                session_timeout_ms: classic.session_timeout_ms,
                protocols: classic
                    .protocols
                    .iter()
                    .map(|one| (Arc::clone(&one.name), Arc::clone(&one.metadata)))
                    .collect(),
            })),
            assigned: target.iter().map(|&at| Held { at, epoch }).collect(),
            ..Member::default()
        };
        self.targets.insert(Arc::clone(member_id), target);
        self.put_member(Arc::clone(member_id), member);
        Ok(())
    }

    /// Adds the records of the whole group.
    fn push_records(&self, draft: &mut Draft<'_>) {
        let (id, out) = (draft.group_id, &mut draft.records);
        out.extend(self.members.iter().map(|(one, member)| records::member(id, one, member)));
        out.push(records::group(id, self.epoch, self.metadata_hash));
        let members = self.members.keys();
        out.extend(members.map(|one| records::member_target(id, one, self.target(one))));
        out.push(records::target(id, self.assignment_epoch, self.assigned_ms));
        out.extend(self.members.iter().map(|(one, member)| records::current(id, one, member)));
    }

    /// Whether the group becomes a classic one when these members go.
    pub(super) fn may_downgrade_without(
        &self,
        leaving: &BTreeSet<Arc<str>>,
        config: &GroupConfig,
    ) -> bool {
        let leaving_members = leaving.iter().filter_map(|id| self.members.get(id));
        let (mut leaving_count, mut leaving_classic) = (0, 0);
        for member in leaving_members {
            leaving_count += 1;
            leaving_classic += usize::from(member.is_classic());
        }
        let left = self.members.len() - leaving_count;
        left > 0 && self.classic_count - leaving_classic == left && may_downgrade(left, config)
    }

    /// Whether the group becomes a classic one when this member is replaced by a classic one.
    pub(super) fn may_downgrade_by(&self, replaced: &Member, config: &GroupConfig) -> bool {
        let members = self.members.len();
        !replaced.is_classic()
            && self.classic_count == members - 1
            && may_downgrade(members, config)
    }

    /// Turns the group into a classic one without these members, which rebalances at once.
    pub(super) fn downgrade_without(
        &mut self,
        group_id: &str,
        leaving: &BTreeSet<Arc<str>>,
        cx: &Context<'_>,
    ) -> Effects {
        let mut records = Vec::new();
        self.push_tombstones(group_id, &mut records);
        let staying = self.members.iter().filter(|(id, _)| !leaving.contains(*id));
        let members = staying.map(|(id, member)| (id, member, self.target(id)));
        let classic = self.downgraded(members.collect(), cx);
        let write = self.downgrade(group_id, records, classic, true);
        Effects { write: Some(write), response: (), answers: Vec::new() }
    }

    /// Turns the group into a classic one with a classic member in the place of one that leaves;
    /// `records` are those of that member.
    pub(super) fn downgrade_by(
        &mut self,
        draft: &mut Draft<'_>,
        joining: (&Arc<str>, &Member),
        replaced: &Arc<str>,
        rebalance: bool,
    ) -> Write {
        let group_id = draft.group_id;
        let mut records = std::mem::take(&mut draft.records);
        let ids: Vec<&str> = self
            .members
            .keys()
            .map(|id| if id == replaced { &**joining.0 } else { &**id })
            .collect();
        self.push_tombstones_of(group_id, &ids, &mut records);
        let others = self.members.iter().filter(|(id, _)| *id != replaced);
        let mut members: Vec<_> =
            others.map(|(id, member)| (id, member, self.target(id))).collect();
        members.push((joining.0, joining.1, self.target(replaced)));
        let classic = self.downgraded(members, draft.cx);
        self.downgrade(group_id, records, classic, rebalance)
    }

    fn downgrade(
        &mut self,
        group_id: &str,
        mut records: Vec<Record>,
        classic: ClassicGroup,
        rebalance: bool,
    ) -> Write {
        records.push(classic.record(group_id, rebalance));
        self.becoming = Some(Box::new(classic));
        log::info!("consumer group {group_id} becomes a classic group");
        Write { records, then: Then::Downgrade { group: Arc::from(group_id), rebalance } }
    }

    /// The classic group of these members, with what they were to have here.
    fn downgraded(
        &self,
        members: Vec<(&Arc<str>, &Member, &[TopicPartition])>,
        cx: &Context<'_>,
    ) -> ClassicGroup {
        let converted = members.iter().map(|(id, member, _)| {
            let classic = member.classic.as_deref();
            let protocols = classic.map_or(&[][..], |classic| &classic.protocols);
            let member = ConvertedMember {
                instance_id: member.instance_id.clone(),
                client_id: Arc::clone(&member.client_id),
                client_host: Arc::clone(&member.client_host),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: classic.map_or(0, |classic| classic.session_timeout_ms),
                protocols: protocols.to_vec(),
            };
            (Arc::clone(id), member)
        });
        let mut classic = ClassicGroup::converted(self.epoch, converted.collect(), cx.now.wall_ms);
        for (id, _, target) in &members {
            classic.assign_converted(id, |metadata| {
                assignment_bytes(target, metadata_version(metadata), cx.cluster)
            });
        }
        classic
    }
}

/// Whether a group may become a classic one of so many members.
fn may_downgrade(member_count: usize, config: &GroupConfig) -> bool {
    let policy = config.consumer_migration_policy;
    matches!(policy, MigrationPolicy::Bidirectional | MigrationPolicy::Downgrade)
        && member_count <= config.max_size
}

/// Reads an assignment of the classic protocol; topics that do not exist are left out.
fn assigned(bytes: &[u8], cluster: &dyn ClusterView) -> Result<Vec<TopicPartition>, Refusal> {
    let Some((version, rest)) = bytes.split_first_chunk::<2>() else { return Ok(Vec::new()) };
    let version = i16::from_be_bytes(*version).min(ASSIGNMENT_VERSION_MAX);
    let assignment = ConsumerProtocolAssignment::from_bytes(rest, version)
        .map_err(|_| not_found("a classic member's assignment is malformed"))?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        return Err(not_found("the classic group's assignor keeps data that would be lost"));
    }
    let mut partitions = Vec::new();
    for topic in &assignment.assigned_partitions {
        if let Some(facts) = cluster.topic(topic.topic) {
            let at = |&partition| TopicPartition { topic: facts.id, partition };
            partitions.extend(topic.partitions.iter().map(at));
        }
    }
    partitions.sort_unstable();
    partitions.dedup();
    Ok(partitions)
}

/// The version in which a member gave its subscription, and wants its assignment.
pub(super) fn metadata_version(metadata: &[u8]) -> i16 {
    let version = metadata.first_chunk::<2>().map_or(0, |bytes| i16::from_be_bytes(*bytes));
    version.clamp(0, ASSIGNMENT_VERSION_MAX)
}

/// An assignment in the classic protocol.
pub(super) fn assignment_bytes(
    partitions: &[TopicPartition],
    version: i16,
    cluster: &dyn ClusterView,
) -> Arc<[u8]> {
    let topics = by_topic(partitions.iter().copied()).into_iter().filter_map(|(id, partitions)| {
        let topic = cluster.topic_name(id)?;
        Some(AssignedTopicPartition { topic, partitions })
    });
    let assignment =
        ConsumerProtocolAssignment { assigned_partitions: topics.collect(), user_data: None };
    let body = assignment.to_bytes(version).expect("topic names fit into their length");
    [&version.to_be_bytes()[..], &body].concat().into()
}
