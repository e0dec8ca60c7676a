//! ConsumerGroupHeartbeat: members join, say what they want and own, and are told what they get.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

use super::ConsumerGroup;
use super::assignor::Assignor;
use super::leave::ConsumerTimer;
use super::member::{JOIN_EPOCH, LEAVE_EPOCH, Member, Owned, STATIC_LEAVE_EPOCH, reuse};
use super::partitions::by_topic;
use super::records;
use super::regexes::RegexChange;
use super::target::{Change, Draft};
use crate::context::{Caller, Context};
use crate::effects::{Answer, Effects, Then, Ticket, Write};
use crate::group::config::GroupConfig;
use crate::group::{Group, GroupShard};

/// The first version in which members make their own ids (KIP-1082).
const MEMBERS_MAKE_IDS: i16 = 1;

/// The answer to ConsumerGroupHeartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerHeartbeatAnswer {
    /// What went wrong, or NONE.
    pub error: ErrorCode,
    /// The same for people.
    pub message: Option<&'static str>,
    /// The member's id.
    pub member_id: Option<Arc<str>>,
    /// The member's epoch from now on.
    pub member_epoch: i32,
    /// How often to send heartbeats, in ms.
    pub heartbeat_interval_ms: i32,
    /// The member's partitions; `None` when they have not changed.
    pub assignment: Option<Vec<TopicPartitions>>,
}

impl ConsumerHeartbeatAnswer {
    /// A refusal.
    pub fn refusal(error: ErrorCode, message: Option<&'static str>) -> Self {
        Self {
            error,
            message,
            member_id: None,
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
        }
    }

    /// As a message.
    pub fn to_response(&self) -> ConsumerGroupHeartbeatResponse<'_> {
        let assignment = self.assignment.clone();
        ConsumerGroupHeartbeatResponse {
            throttle_time_ms: 0,
            error_code: self.error,
            error_message: self.message,
            member_id: self.member_id.as_deref(),
            member_epoch: self.member_epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            assignment: assignment.map(|topic_partitions| Assignment { topic_partitions }),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ErrorCode,
    pub(super) message: &'static str,
}

impl Refusal {
    pub(super) fn new(error: ErrorCode, message: &'static str) -> Self {
        Self { error, message }
    }
}

impl GroupShard {
    /// Answers ConsumerGroupHeartbeat.
    pub fn consumer_heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        caller: &Caller<'_>,
        cx: &Context<'_>,
    ) -> Effects<ConsumerHeartbeatAnswer> {
        if !self.config.consumer_groups {
            let refusal = ConsumerHeartbeatAnswer::refusal(ErrorCode::UNSUPPORTED_VERSION, None);
            return Effects::response(refusal);
        }
        // Requests that wait in a classic group are answered even when this one is refused.
        let mut answers = Vec::new();
        let effects = check_request(request, caller.version, &self.config).and_then(|()| {
            match request.member_epoch {
                LEAVE_EPOCH | STATIC_LEAVE_EPOCH => self.leave_by_heartbeat(request, cx),
                _ => self.stay(request, caller, cx, &mut answers),
            }
        });
        let mut effects = effects.unwrap_or_else(|Refusal { error, message }| {
            Effects::response(ConsumerHeartbeatAnswer::refusal(error, Some(message)))
        });
        effects.answers.append(&mut answers);
        effects
    }

    /// A member joins or goes on.
    fn stay(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        caller: &Caller<'_>,
        cx: &Context<'_>,
        answers: &mut Vec<(Ticket, Answer)>,
    ) -> Result<Effects<ConsumerHeartbeatAnswer>, Refusal> {
        if self.foreign.contains(request.group_id) {
            let message = "the group is a share or streams group, which are not served";
            return Err(Refusal::new(GROUP_ID_NOT_FOUND, message));
        }
        let group_id = match self.groups.get_key_value(request.group_id) {
            Some((kept, _)) => Arc::clone(kept),
            None => Arc::from(request.group_id),
        };
        let joins = request.member_epoch == JOIN_EPOCH;
        let config = Arc::clone(&self.config);
        let mut draft = Draft::new(&group_id, &config, cx);
        let mut fresh;
        let group = match self.groups.get_mut(&group_id) {
            Some(Group::Consumer(group)) => &mut **group,
            group if joins => {
                fresh = instead_of(group, &mut draft, answers)?;
                &mut fresh
            }
            Some(Group::Classic(_)) => {
                return Err(Refusal::new(GROUP_ID_NOT_FOUND, "the group is a classic one"));
            }
            None => return Err(Refusal::new(GROUP_ID_NOT_FOUND, "there is no such group")),
        };
        let full = group.members.len() >= config.consumer_max_size;
        if full && !group.members.contains_key(request.member_id) {
            let message = "the group has as many members as it may have";
            return Err(Refusal::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message));
        }
        let member_id = match request.member_id {
            "" => cx.fresh_id.to_string().into(),
            id => group.member_id(id),
        };
        let member = group.subscribe(&mut draft, &member_id, request)?;
        let updated = group.updated(&member, request, caller);
        let change = Change { member_id: &member_id, member: &member, updated: &updated };
        let updated = group.apply(&mut draft, &change, request)?;

        let overrides = cx.cluster.group_overrides(&group_id);
        let timer = ConsumerTimer::Session(Arc::clone(&group_id), Arc::clone(&member_id));
        let session_ms = overrides.consumer_session_timeout_ms;
        draft.set_timer(timer, session_ms.unwrap_or(config.consumer_session_timeout_ms));
        let told = joins || is_full(request) || member.assigned != updated.assigned;
        let assignment = told.then(|| {
            let assigned = by_topic(updated.assigned.iter().map(|held| held.at)).into_iter();
            assigned
                .map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions })
                .collect()
        });
        let response = ConsumerHeartbeatAnswer {
            error: ErrorCode::NONE,
            message: None,
            member_id: Some(Arc::clone(&member_id)),
            member_epoch: updated.epoch,
            heartbeat_interval_ms: overrides
                .consumer_heartbeat_interval_ms
                .unwrap_or(config.consumer_heartbeat_interval_ms),
            assignment,
        };
        let records = draft.finish(&mut self.timers);
        self.schedule_resolution(&group_id, &member, &updated, cx);
        let write = (!records.is_empty()).then_some(Write { records, then: Then::Replay });
        Ok(Effects { write, response, answers: Vec::new() })
    }
}

const GROUP_ID_NOT_FOUND: ErrorCode = ErrorCode::GROUP_ID_NOT_FOUND;

/// The group that takes the place of none, or of a classic one.
fn instead_of(
    group: Option<&mut Group>,
    draft: &mut Draft<'_>,
    answers: &mut Vec<(Ticket, Answer)>,
) -> Result<ConsumerGroup, Refusal> {
    match group {
        Some(group) if group.state().is_empty() => {
            group.state().push_tombstones(draft.group_id, &mut draft.records);
            Ok(ConsumerGroup::default())
        }
        Some(Group::Classic(group)) => ConsumerGroup::upgraded(group, draft, answers),
        _ => Ok(ConsumerGroup::default()),
    }
}

impl ConsumerGroup {
    /// The member that the request comes from; a new one if it joins.
    fn subscribe(
        &self,
        draft: &mut Draft<'_>,
        member_id: &Arc<str>,
        request: &ConsumerGroupHeartbeatRequest<'_>,
    ) -> Result<Member, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let Some(instance_id) = request.instance_id else {
            return match self.members.get(member_id) {
                Some(member) => check_epoch(member, request).map(|()| member.clone()),
                None if joins => Ok(Member::default()),
                None => Err(Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, NO_MEMBER)),
            };
        };
        let Some((existing_id, existing)) = self.static_member(instance_id) else {
            if joins {
                return Ok(self.members.get(member_id).cloned().unwrap_or_default());
            }
            let message = "no member of the group has this instance id";
            return Err(Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, message));
        };
        if joins {
            if !existing.is_classic() && existing.epoch != STATIC_LEAVE_EPOCH {
                let message = "another member that has not left has this instance id";
                return Err(Refusal::new(ErrorCode::UNRELEASED_INSTANCE_ID, message));
            }
            return Ok(self.replace(draft, existing_id, existing, member_id));
        }
        if existing_id != member_id {
            let message = "another member has taken the instance id over";
            return Err(Refusal::new(ErrorCode::FENCED_INSTANCE_ID, message));
        }
        check_epoch(existing, request).map(|()| existing.clone())
    }

    /// A static member comes back, maybe under another id: it gets what is kept for it.
    pub(super) fn replace(
        &self,
        draft: &mut Draft<'_>,
        existing_id: &str,
        existing: &Member,
        member_id: &str,
    ) -> Member {
        let member = Member { epoch: JOIN_EPOCH, previous_epoch: JOIN_EPOCH, ..existing.clone() };
        let (group_id, records) = (draft.group_id, &mut draft.records);
        records::push_no_member(records, group_id, existing_id);
        records.push(records::member(group_id, member_id, &member));
        records.push(records::member_target(group_id, member_id, self.target(existing_id)));
        records.push(records::current(group_id, member_id, &member));
        member
    }

    /// The member with what the request says of it.
    fn updated(
        &self,
        member: &Member,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        caller: &Caller<'_>,
    ) -> Member {
        let mut updated = member.clone();
        set(&mut updated.instance_id, request.instance_id);
        set(&mut updated.rack_id, request.rack_id);
        set(&mut updated.assignor, request.server_assignor);
        set(&mut updated.regex, request.subscribed_topic_regex);
        if request.rebalance_timeout_ms != -1 {
            updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.subscribed_topic_names {
            let names = self.intern(names);
            if names != updated.names {
                updated.names = names;
            }
        }
        reuse(&mut updated.client_id, caller.client_id);
        reuse(&mut updated.client_host, caller.client_host);
        updated.classic = None;
        updated
    }

    /// Does all that the changed member asks of the group, and gives the member as it is then.
    fn apply(
        &mut self,
        draft: &mut Draft<'_>,
        change: &Change<'_>,
        request: &ConsumerGroupHeartbeatRequest<'_>,
    ) -> Result<Member, Refusal> {
        let names_changed = push_member(draft, change);
        let regex = self
            .update_regex(draft.group_id, change.member, change.updated, &mut draft.records)
            .map_err(|error| Refusal::new(error, "the regular expression is not valid"))?;
        let bump = names_changed || regex == RegexChange::UpdatedAndResolved;
        let epoch = self.update_epoch(draft, change, bump);
        let (target_epoch, target) = self.update_target(draft, change, epoch);
        let owned = request.topic_partitions.as_deref().map(Owned::Listed);
        let subscription_changed = names_changed || regex != RegexChange::None;
        self.reconcile(draft, change, (target_epoch, &target), subscription_changed, owned)
            .map_err(|error| Refusal::new(error, "the member must join anew"))
    }
}

/// Adds the member's record if anything of it has changed; whether the topics have.
pub(super) fn push_member(draft: &mut Draft<'_>, change: &Change<'_>) -> bool {
    if change.updated == change.member {
        return false;
    }
    draft.records.push(records::member(draft.group_id, change.member_id, change.updated));
    change.updated.names != change.member.names
}

fn set(text: &mut Option<Arc<str>>, by: Option<&str>) {
    if by.is_some() && text.as_deref() != by {
        *text = by.map(Arc::from);
    }
}

/// Whether the request has everything in it, so that its answer has too.
fn is_full(request: &ConsumerGroupHeartbeatRequest<'_>) -> bool {
    request.rebalance_timeout_ms != -1
        && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
        && request.topic_partitions.is_some()
}

const NO_MEMBER: &str = "the group has no such member";

/// The epoch must be the member's own. One before it is fine if the last answer may not have come
/// through: the member then owns nothing but what it was assigned.
fn check_epoch(
    member: &Member,
    request: &ConsumerGroupHeartbeatRequest<'_>,
) -> Result<(), Refusal> {
    let received = request.member_epoch;
    let owned = request.topic_partitions.as_deref().map(Owned::Listed);
    let message = if received == JOIN_EPOCH || received == member.epoch {
        return Ok(());
    } else if received > member.epoch {
        "the member's epoch is above the one known: it must give up all partitions and join anew"
    } else if received == member.previous_epoch && member.is_assigned_all(owned) {
        return Ok(());
    } else {
        "the member's epoch is below the one known: it must give up all partitions and join anew"
    };
    Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, message))
}

/// Whether the request makes sense by itself.
fn check_request(
    request: &ConsumerGroupHeartbeatRequest<'_>,
    version: i16,
    config: &GroupConfig,
) -> Result<(), Refusal> {
    let is_blank = |text: Option<&str>| text.is_some_and(|text| text.trim().is_empty());
    let epoch = request.member_epoch;
    let has_id = version >= MEMBERS_MAKE_IDS || epoch > JOIN_EPOCH || epoch == LEAVE_EPOCH;
    let owns_nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    let subscribes =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let joins = epoch == JOIN_EPOCH;
    for (is_wrong, message) in [
        (has_id && is_blank(Some(request.member_id)), "the member id is empty"),
        (is_blank(Some(request.group_id)), "the group id is empty"),
        (is_blank(request.instance_id), "the instance id is empty"),
        (is_blank(request.rack_id), "the rack id is empty"),
        (joins && request.rebalance_timeout_ms == -1, "a join must have a rebalance timeout"),
        (joins && !owns_nothing, "a member that joins must own no partitions"),
        (joins && !subscribes, "a join must have a subscription"),
        (
            epoch == STATIC_LEAVE_EPOCH && request.instance_id.is_none(),
            "only members with an instance id leave for a while",
        ),
        (epoch < STATIC_LEAVE_EPOCH, "there is no such member epoch"),
    ] {
        if is_wrong {
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
    }
    let offered = |wanted: &str| {
        config
            .consumer_assignors
            .iter()
            .any(|one| Assignor::named(one).is_some_and(|assignor| assignor.name() == wanted))
    };
    match request.server_assignor {
        Some(wanted) if !offered(wanted) => {
            let message = "the broker does not offer this assignor";
            Err(Refusal::new(ErrorCode::UNSUPPORTED_ASSIGNOR, message))
        }
        _ => Ok(()),
    }
}
