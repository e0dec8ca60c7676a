//! Members of a consumer group that speak the classic protocol: their JoinGroup, SyncGroup,
//! Heartbeat and LeaveGroup.
//!
//! To them the group looks like a classic one without a leader: the member epoch is the generation,
//! the assignment comes with SyncGroup, and a heartbeat that is answered with REBALANCE_IN_PROGRESS
//! has them join again, which is when they give partitions up.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::internal::consumer_protocol::ConsumerProtocolSubscription;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::leave_group::{MemberIdentity, MemberResponse};
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::ConsumerGroup;
use super::heartbeat::push_member;
use super::leave::ConsumerTimer;
use super::member::{ClassicMetadata, Member, MemberState, Owned, reuse};
use super::migrate::{assignment_bytes, metadata_version};
use super::partitions::{TopicPartition, find};
use super::regexes::RegexChange;
use super::target::{Change, Draft};
use crate::context::{Caller, ClusterView, Context};
use crate::effects::{Effects, JoinAnswer, SyncAnswer, Then, Ticket, Write};
use crate::group::config::MigrationPolicy;
use crate::group::requests::left;
use crate::group::{Group, GroupShard, TimerKey};

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";
/// The first version of JoinGroup whose members must know their id (KIP-394).
const JOIN_NEEDS_ID: i16 = 4;

impl GroupShard {
    /// A classic member joins a consumer group that has members.
    pub(in crate::group) fn join_consumer_group(
        &mut self,
        request: &JoinGroupRequest<'_>,
        caller: &Caller<'_>,
        _: Ticket,
        cx: &Context<'_>,
    ) -> Effects<Option<JoinAnswer>> {
        match self.join_as_classic(request, caller, cx) {
            Ok(effects) => effects.map(Some),
            Err(error) => Effects::response(Some(JoinAnswer::refusal(error, ""))),
        }
    }

    fn join_as_classic(
        &mut self,
        request: &JoinGroupRequest<'_>,
        caller: &Caller<'_>,
        cx: &Context<'_>,
    ) -> Result<Effects<JoinAnswer>, ErrorCode> {
        let config = Arc::clone(&self.config);
        if config.consumer_migration_policy == MigrationPolicy::Disabled {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let group_id = self.group_id(request.group_id);
        let Some(Group::Consumer(group)) = self.groups.get_mut(&group_id) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let member_id: Arc<str> = match request.member_id {
            "" => cx.fresh_id.to_string().into(),
            id => group.member_id(id),
        };
        let full = group.members.len() >= config.consumer_max_size;
        if full && !group.members.contains_key(&member_id) {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        if !group.supports(request) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let is_dynamic = request.group_instance_id.is_none();
        if is_dynamic && request.member_id.is_empty() && caller.version >= JOIN_NEEDS_ID {
            let answer = JoinAnswer::refusal(ErrorCode::MEMBER_ID_REQUIRED, &member_id);
            return Ok(Effects::response(answer));
        }
        let mut draft = Draft::new(&group_id, &config, cx);
        let joined = group.join_classic(&mut draft, &member_id, request, caller)?;
        let Joined { member, write } = joined;
        let ids = || (Arc::clone(&group_id), Arc::clone(&member_id));
        let timer = |make: fn(Arc<str>, Arc<str>) -> ConsumerTimer| {
            let (group_id, member_id) = ids();
            make(group_id, member_id)
        };
        draft.cancel_timer(timer(ConsumerTimer::Join));
        if write.is_none() {
            draft.set_timer(timer(ConsumerTimer::Session), request.session_timeout_ms);
            draft.set_timer(timer(ConsumerTimer::Sync), rebalance_timeout_ms(request, caller));
        }
        let records = draft.finish(&mut self.timers);
        let write = write
            .or_else(|| (!records.is_empty()).then_some(Write { records, then: Then::Replay }));
        let response = JoinAnswer {
            error: ErrorCode::NONE,
            generation: member.epoch,
            protocol_type: Some(Arc::from(CONSUMER)),
            protocol: member.classic.as_ref().and_then(|one| Some(Arc::clone(&one.first()?.0))),
            ..JoinAnswer::refusal(ErrorCode::NONE, &member_id)
        };
        Ok(Effects { write, response, answers: Vec::new() })
    }

    /// A classic member of a consumer group asks for its assignment.
    pub(in crate::group) fn sync_consumer_group(
        &mut self,
        request: &SyncGroupRequest<'_>,
        _: Ticket,
        cx: &Context<'_>,
    ) -> Effects<Option<SyncAnswer>> {
        let group_id = self.group_id(request.group_id);
        let Some(Group::Consumer(group)) = self.groups.get(&group_id) else {
            return Effects::response(Some(SyncAnswer::refusal(ErrorCode::UNKNOWN_MEMBER_ID)));
        };
        let (member_id, member, classic) = match group.sync_classic(request) {
            Ok(found) => found,
            Err(error) => {
                let who = group.members.get_key_value(request.member_id);
                if error == ErrorCode::REBALANCE_IN_PROGRESS
                    && let Some((member_id, member)) = who
                {
                    let timeout_ms = member.rebalance_timeout_ms;
                    let timer = ConsumerTimer::Join(group_id, Arc::clone(member_id));
                    self.expect_join(timer, timeout_ms, cx);
                }
                return Effects::response(Some(SyncAnswer::refusal(error)));
            }
        };
        let partitions: Vec<TopicPartition> = member.assigned.iter().map(|held| held.at).collect();
        let version = metadata_version(classic.first().map_or(&[][..], |(_, metadata)| metadata));
        let answer = SyncAnswer {
            error: ErrorCode::NONE,
            protocol_type: request.protocol_type.map(Arc::from),
            protocol: request.protocol_name.map(Arc::from),
            assignment: assignment_bytes(&partitions, version, cx.cluster),
        };
        let session_ms = classic.session_timeout_ms;
        let sync = ConsumerTimer::Sync(Arc::clone(&group_id), Arc::clone(member_id));
        let session = ConsumerTimer::Session(group_id, Arc::clone(member_id));
        self.timers.cancel(&TimerKey::Consumer(sync));
        let due_ms = cx.now.mono_ms + i64::from(session_ms);
        self.timers.set(TimerKey::Consumer(session), due_ms);
        Effects::response(Some(answer))
    }

    /// A classic member of a consumer group shows itself.
    pub(in crate::group) fn heartbeat_consumer_group(
        &mut self,
        request: &HeartbeatRequest<'_>,
        cx: &Context<'_>,
    ) -> Effects<ErrorCode> {
        let group_id = self.group_id(request.group_id);
        let Some(Group::Consumer(group)) = self.groups.get_mut(&group_id) else {
            return Effects::response(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let is_waiting = group.waits_for_a_join(cx.cluster);
        let found = group.classic_member(
            request.member_id,
            request.group_instance_id,
            request.generation_id,
        );
        let (member_id, member, classic) = match found {
            Ok(found) => found,
            Err(error) => return Effects::response(error),
        };
        let must_join = is_waiting || group.must_join_again(member_id, member);
        let (session_ms, rebalance_ms) = (classic.session_timeout_ms, member.rebalance_timeout_ms);
        let join = ConsumerTimer::Join(Arc::clone(&group_id), Arc::clone(member_id));
        let session = ConsumerTimer::Session(group_id, Arc::clone(member_id));
        let due_ms = cx.now.mono_ms + i64::from(session_ms);
        self.timers.set(TimerKey::Consumer(session), due_ms);
        if must_join {
            self.expect_join(join, rebalance_ms, cx);
            return Effects::response(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Effects::response(ErrorCode::NONE)
    }

    /// Members leave a consumer group by LeaveGroup; one answer each, in their order.
    pub(in crate::group) fn leave_consumer_group<'r>(
        &mut self,
        group_id: &str,
        members: &[MemberIdentity<'r>],
        cx: &Context<'_>,
    ) -> Effects<Vec<MemberResponse<'r>>> {
        let mut leaving = BTreeSet::new();
        let mut answers = Vec::with_capacity(members.len());
        if let Some(Group::Consumer(group)) = self.groups.get(group_id) {
            for identity in members {
                let found = match (identity.member_id, identity.group_instance_id) {
                    ("", Some(instance_id)) => {
                        group.static_member(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
                    }
                    (member_id, instance_id) => group.identified(member_id, instance_id),
                };
                let error = found.map(|(id, _)| leaving.insert(Arc::clone(id))).err();
                answers.push(left(identity, error.unwrap_or(ErrorCode::NONE)));
            }
        }
        self.fence(group_id, &leaving, cx).map(|()| answers)
    }

    /// The member must have joined again by then, counted from when it was first told so.
    fn expect_join(&mut self, timer: ConsumerTimer, timeout_ms: i32, cx: &Context<'_>) {
        let timer = TimerKey::Consumer(timer);
        if !self.timers.is_set(&timer) {
            self.timers.set(timer, cx.now.mono_ms + i64::from(timeout_ms));
        }
    }

    /// The group's id as it is kept, or a copy.
    pub(super) fn group_id(&self, group_id: &str) -> Arc<str> {
        let kept = self.groups.get_key_value(group_id).map(|(kept, _)| kept);
        kept.map_or_else(|| Arc::from(group_id), Arc::clone)
    }
}

/// How long a rebalance waits for the member; before version 1 it had no timeout of its own.
fn rebalance_timeout_ms(request: &JoinGroupRequest<'_>, caller: &Caller<'_>) -> i32 {
    if caller.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms }
}

/// What came of a classic member's JoinGroup.
struct Joined {
    member: Member,
    /// Given when the group becomes a classic one.
    write: Option<Write>,
}

impl ClassicMetadata {
    /// Its preferred protocol: the one that it is told to use.
    fn first(&self) -> Option<&(Arc<str>, Arc<[u8]>)> {
        self.protocols.first()
    }
}

impl ConsumerGroup {
    /// Whether all classic members know one of the protocols.
    fn supports(&self, request: &JoinGroupRequest<'_>) -> bool {
        request.protocol_type == CONSUMER
            && request.protocols.iter().any(|protocol| {
                let users = self.classic_protocols.get(protocol.name).copied().unwrap_or(0);
                users == self.classic_count
            })
    }

    fn join_classic(
        &mut self,
        draft: &mut Draft<'_>,
        member_id: &Arc<str>,
        request: &JoinGroupRequest<'_>,
        caller: &Caller<'_>,
    ) -> Result<Joined, ErrorCode> {
        let cx = draft.cx;
        let replaced = request
            .group_instance_id
            .and_then(|instance_id| self.static_member(instance_id))
            .map(|(id, member)| (Arc::clone(id), self.may_downgrade_by(member, draft.config)));
        let member = self.subscribe_classic(draft, member_id, request)?;
        let metadata = request.protocols.first().map_or(&[][..], |protocol| protocol.metadata);
        let subscription = ConsumerProtocolSubscription::from_metadata(metadata)
            .map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let updated = self.updated_classic(&member, &subscription, request, caller);
        let owned = owned(&subscription, cx.cluster);
        let owned = Some(Owned::Flat(&owned));
        let change = Change { member_id, member: &member, updated: &updated };

        let names_changed = push_member(draft, &change);
        let regex = self.update_regex(draft.group_id, &member, &updated, &mut draft.records)?;
        let changed = names_changed || regex != RegexChange::None;
        let epoch = self.update_epoch(draft, &change, changed);
        if let Some((replaced, true)) = replaced {
            // With an assignment that is out of date the classic group must make its own.
            let rebalance = self.assignment_epoch < epoch.epoch;
            let member = if rebalance {
                updated
            } else {
                let target = (self.assignment_epoch, &self.target(&replaced).to_vec()[..]);
                self.reconcile(draft, &change, target, changed, owned)?
            };
            let joining = (member_id, &member);
            let write = self.downgrade_by(draft, joining, &replaced, rebalance);
            return Ok(Joined { member, write: Some(write) });
        }
        let (target_epoch, target) = self.update_target(draft, &change, epoch);
        let member = self.reconcile(draft, &change, (target_epoch, &target), changed, owned)?;
        Ok(Joined { member, write: None })
    }

    /// The member that joins, as it was before, or a new one.
    fn subscribe_classic(
        &self,
        draft: &mut Draft<'_>,
        member_id: &Arc<str>,
        request: &JoinGroupRequest<'_>,
    ) -> Result<Member, ErrorCode> {
        let known = || self.members.get(member_id).cloned().unwrap_or_default();
        let Some(instance_id) = request.group_instance_id else { return Ok(known()) };
        if !request.member_id.is_empty() {
            let found = self.identified(request.member_id, Some(instance_id));
            return found.map(|(_, member)| member.clone());
        }
        Ok(match self.static_member(instance_id) {
            Some((id, existing)) => self.replace(draft, id, existing, member_id),
            None => known(),
        })
    }

    fn updated_classic(
        &self,
        member: &Member,
        subscription: &ConsumerProtocolSubscription<'_>,
        request: &JoinGroupRequest<'_>,
        caller: &Caller<'_>,
    ) -> Member {
        let mut updated = member.clone();
        if request.group_instance_id.is_some() {
            updated.instance_id = request.group_instance_id.map(Arc::from);
        }
        if let Some(rack) = subscription.rack_id.filter(|rack| !rack.is_empty()) {
            updated.rack_id = Some(Arc::from(rack));
        }
        match rebalance_timeout_ms(request, caller) {
            -1 => {}
            timeout_ms => updated.rebalance_timeout_ms = timeout_ms,
        }
        updated.names = self.intern(&subscription.topics);
        updated.regex = Some(Arc::from(""));
        reuse(&mut updated.client_id, caller.client_id);
        reuse(&mut updated.client_host, caller.client_host);
        // A name that is there twice would count as two members, as in a classic group.
        let mut names = HashSet::new();
        let protocols = request.protocols.iter().filter(|protocol| names.insert(protocol.name));
        updated.classic = Some(Arc::new(ClassicMetadata {
            session_timeout_ms: request.session_timeout_ms,
            protocols: protocols
                .map(|protocol| (Arc::from(protocol.name), Arc::from(protocol.metadata)))
                .collect(),
        }));
        updated
    }

    /// The classic member that a request names, if it is of this generation.
    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(&Arc<str>, &Member, &ClassicMetadata), ErrorCode> {
        let (member_id, member) = self.identified(member_id, instance_id)?;
        let classic = member.classic.as_deref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch == generation {
            Ok((member_id, member, classic))
        } else {
            Err(ErrorCode::ILLEGAL_GENERATION)
        }
    }

    /// The member that asks for its assignment, if it may have it.
    fn sync_classic(
        &self,
        request: &SyncGroupRequest<'_>,
    ) -> Result<(&Arc<str>, &Member, &ClassicMetadata), ErrorCode> {
        let found = self.classic_member(
            request.member_id,
            request.group_instance_id,
            request.generation_id,
        )?;
        let (_, member, classic) = found;
        let is_type = request.protocol_type.is_none_or(|one| one == CONSUMER);
        let is_protocol = request
            .protocol_name
            .is_none_or(|one| classic.first().is_some_and(|(name, _)| **name == *one));
        if !is_type || !is_protocol {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let is_behind = self.assignment_epoch > member.epoch;
        if is_behind && member.state != MemberState::UnrevokedPartitions {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(found)
    }

    /// Whether a member has to join so that there is another assignment. Else heartbeats of members
    /// with the new protocol see to it; but those may all be gone, and the group not be allowed to
    /// become a classic one. (Kafka leaves partitions without a consumer then.)
    fn waits_for_a_join(&mut self, cluster: &dyn ClusterView) -> bool {
        self.classic_count == self.members.len()
            && (self.assignment_epoch < self.epoch || self.must_hash(cluster))
    }

    /// Whether there is something for the member to give up, or something new to be had.
    fn must_join_again(&self, member_id: &str, member: &Member) -> bool {
        member.epoch < self.assignment_epoch
            || match member.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => {
                    let missing = self
                        .target(member_id)
                        .iter()
                        .filter(|at| find(&member.assigned, **at).is_none());
                    !missing.into_iter().any(|at| self.is_held(*at))
                }
                _ => false,
            }
    }
}

/// The partitions that a classic member says it owns; topics that do not exist are left out.
fn owned(
    subscription: &ConsumerProtocolSubscription<'_>,
    cluster: &dyn ClusterView,
) -> Vec<TopicPartition> {
    let topics = subscription.owned_partitions.iter();
    topics
        .filter_map(|owned| Some((cluster.topic(owned.topic)?.id, &owned.partitions)))
        .flat_map(|(topic, partitions)| {
            partitions.iter().map(move |&partition| TopicPartition { topic, partition })
        })
        .collect()
}
