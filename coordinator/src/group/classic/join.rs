//! JoinGroup: who may join, and what it means to the group.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::uuid::Uuid;

use super::append::{InFlight, Replacement};
use super::members::{Member, Protocol};
use super::rebalance::{NEW_MEMBER_JOIN_TIMEOUT_MS, Turn};
use super::{ClassicGroup, ClassicState, record};
use crate::context::{Caller, Context};
use crate::effects::{Effects, JoinAnswer, Ticket};
use crate::group::{Group, GroupShard};

/// From this version on a member that joins is told its id before anything else (KIP-394).
const MEMBER_ID_REQUIRED: i16 = 4;
/// From this version on a leader can be told to leave the assignment alone (KIP-814).
const SKIP_ASSIGNMENT: i16 = 9;

/// What is added to a name to make it a member's id: a dash and a UUID as text.
const MEMBER_ID_SUFFIX_BYTES: usize = 37;

/// A JoinGroup and all that belongs to it.
struct Join<'a> {
    request: &'a JoinGroupRequest<'a>,
    caller: &'a Caller<'a>,
    ticket: Ticket,
    fresh_id: Uuid,
}

/// `None` when the answer comes later.
type Answered = Option<JoinAnswer>;

impl GroupShard {
    /// A member joins, or joins again.
    pub(in crate::group) fn join_classic_group(
        &mut self,
        request: &JoinGroupRequest<'_>,
        caller: &Caller<'_>,
        ticket: Ticket,
        cx: &Context<'_>,
    ) -> Effects<Answered> {
        let known = matches!(self.groups.get(request.group_id), Some(Group::Classic(_)));
        if !known && !request.member_id.is_empty() {
            let error = ErrorCode::UNKNOWN_MEMBER_ID;
            return Effects::response(Some(JoinAnswer::refusal(error, request.member_id)));
        }
        if request.member_id.is_empty() && !has_room_for_id(request, caller) {
            let error = ErrorCode::UNKNOWN_SERVER_ERROR;
            return Effects::response(Some(JoinAnswer::refusal(error, "")));
        }
        // A consumer group without members gives way.
        let replaced = if known { None } else { self.make_classic(request.group_id, cx) };
        let join = Join { request, caller, ticket, fresh_id: cx.fresh_id };
        let mut turn = self.turn(request.group_id, cx).expect("the group is there by now");
        let answered = turn.join(&join);
        if known {
            return turn.effects(answered);
        }
        // A group that has come to be is in the log before anybody hears of it.
        let mut records = Vec::new();
        if let Some(old) = &replaced {
            old.state().push_tombstones(request.group_id, &mut records);
        }
        records.push(record::of_new(&turn.id, turn.group.state_since_ms.unwrap_or(-1)));
        let answer = answered.map(|answer| (ticket, answer));
        turn.write(records, InFlight::Creation { answer, replaced });
        turn.effects(None)
    }

    /// Puts a new classic group into the place of this id; gives back what was there.
    fn make_classic(&mut self, group_id: &str, cx: &Context<'_>) -> Option<Group> {
        let group = Group::Classic(Box::new(ClassicGroup::new(cx.now.wall_ms)));
        self.groups.insert(Arc::from(group_id), group)
    }
}

impl Turn<'_> {
    fn join(&mut self, join: &Join<'_>) -> Answered {
        let request = join.request;
        if !self.has_room_for(request.member_id) {
            // It may be one of those that must go.
            self.turn_away(request.member_id);
            return Some(JoinAnswer::refusal(ErrorCode::GROUP_MAX_SIZE_REACHED, ""));
        }
        if !self.group.can_use(request.protocol_type, &request.protocols) {
            let error = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
            return Some(JoinAnswer::refusal(error, request.member_id));
        }
        if request.member_id.is_empty() { self.join_new(join) } else { self.join_known(join) }
    }

    fn has_room_for(&self, member_id: &str) -> bool {
        let members = &self.group.members;
        let member = members.get(member_id);
        match self.group.state {
            ClassicState::Empty => true,
            // Only those that have joined count: so a group that was over its size, since the
            // setting has changed, loses those that come last.
            ClassicState::PreparingRebalance => {
                member.is_some_and(|member| member.join.is_some())
                    || members.joins() < self.config.max_size
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                member.is_some() || members.len() < self.config.max_size
            }
        }
    }

    /// Takes out a member, or a pending id, for which there is no room.
    fn turn_away(&mut self, member_id: &str) {
        if let Some((id, _)) = self.group.members.get_with_id(member_id) {
            let id = Arc::clone(id);
            self.end_session(&id);
        }
        if let Some(member) = self.remove_member(member_id) {
            self.refuse(&member, ErrorCode::GROUP_MAX_SIZE_REACHED, "");
        }
        self.complete_join_if_all_joined();
    }

    /// Somebody joins without an id.
    fn join_new(&mut self, join: &Join<'_>) -> Answered {
        let request = join.request;
        let Some(instance_id) = request.group_instance_id else {
            let id = member_id(join.caller.client_id, join.fresh_id);
            if join.caller.version < MEMBER_ID_REQUIRED {
                return self.add_member(id, join);
            }
            self.group.members.add_pending(Arc::clone(&id));
            self.set_session(&id, request.session_timeout_ms);
            return Some(JoinAnswer {
                member_id: id,
                ..JoinAnswer::refusal(ErrorCode::MEMBER_ID_REQUIRED, "")
            });
        };
        let id = member_id(instance_id, join.fresh_id);
        match self.group.members.static_id(instance_id).cloned() {
            None => self.add_member(id, join),
            Some(old_id) => self.replace_member(&old_id, id, join),
        }
    }

    /// Somebody joins with an id.
    fn join_known(&mut self, join: &Join<'_>) -> Answered {
        let request = join.request;
        let member_id = request.member_id;
        let refuse = |error| Some(JoinAnswer::refusal(error, member_id));
        if self.group.members.is_pending(member_id) {
            // Ids are only handed out in advance to members that are not static.
            return match request.group_instance_id {
                Some(_) => Some(JoinAnswer::refusal(ErrorCode::UNKNOWN_SERVER_ERROR, "")),
                None => self.add_member(Arc::from(member_id), join),
            };
        }
        let checked = self.group.check_member(member_id, request.group_instance_id);
        let member = self.group.members.get_with_id(member_id);
        let (Ok(()), Some((id, member))) = (checked, member) else {
            return refuse(checked.err().unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID));
        };
        let id = Arc::clone(id);
        let same = member.uses(&request.protocols);
        let is_leader = self.group.is_leader(&id);
        match self.group.state {
            ClassicState::Empty => refuse(ErrorCode::UNKNOWN_MEMBER_ID),
            // It has not got the answer to its first JoinGroup.
            ClassicState::CompletingRebalance if same => Some(self.group.joined(&id)),
            // A leader joins again when something has changed that it alone sees.
            ClassicState::Stable if same && !is_leader => Some(self.group.joined_as_follower(&id)),
            _ => self.update_member(&id, join),
        }
    }

    fn add_member(&mut self, id: Arc<str>, join: &Join<'_>) -> Answered {
        let request = join.request;
        if let Some(delay) = &mut self.group.initial_delay {
            delay.more_came = true;
        }
        if self.group.members.is_empty() {
            self.group.protocol_type = Some(Arc::from(request.protocol_type));
        }
        if self.group.leader.is_none() {
            self.group.leader = Some(Arc::clone(&id));
        }
        let member = Member {
            instance_id: request.group_instance_id.map(Arc::from),
            client_id: Arc::from(join.caller.client_id),
            client_host: Arc::from(join.caller.client_host),
            rebalance_timeout_ms: join.rebalance_timeout_ms(),
            session_timeout_ms: request.session_timeout_ms,
            protocols: protocols(&request.protocols),
            assignment: Arc::from([].as_slice()),
            is_new: true,
            join: Some(join.ticket),
            sync: None,
            owes_sync: false,
        };
        self.group.members.remove(&id);
        self.set_session(&id, NEW_MEMBER_JOIN_TIMEOUT_MS);
        log::debug!("member {id} joins group {}: {}", self.id, join.reason());
        self.group.members.insert(id, member);
        self.rebalance(join.reason());
        None
    }

    fn update_member(&mut self, id: &Arc<str>, join: &Join<'_>) -> Answered {
        self.park(id, join);
        self.rebalance(join.reason());
        None
    }

    /// Takes over what the member says of itself, and keeps its request until it is answered.
    fn park(&mut self, id: &Arc<str>, join: &Join<'_>) {
        let request = join.request;
        self.group.members.set_protocols(id, protocols(&request.protocols));
        let older = self.group.members.change(id, |member| {
            member.rebalance_timeout_ms = join.rebalance_timeout_ms();
            member.session_timeout_ms = request.session_timeout_ms;
            member.join.replace(join.ticket)
        });
        // The client has given that one up, or two clients use one id: then neither may wait for
        // ever.
        if let Some(Some(older)) = older {
            let error = ErrorCode::REBALANCE_IN_PROGRESS;
            self.answer_join(older, JoinAnswer::refusal(error, id));
        }
    }

    /// A static member is back under another id (KIP-345).
    fn replace_member(&mut self, old_id: &Arc<str>, id: Arc<str>, join: &Join<'_>) -> Answered {
        let old_leader = self.group.leader.clone();
        let old = self.group.members.remove(old_id)?;
        log::debug!("member {id} takes the place of {old_id} in group {}", self.id);
        self.refuse(&old, ErrorCode::FENCED_INSTANCE_ID, old_id);
        self.end_session(old_id);
        let old = Member { join: None, sync: None, is_new: false, ..old };
        self.group.members.insert(Arc::clone(&id), old.clone());
        if self.group.is_leader(old_id) {
            self.group.leader = Some(Arc::clone(&id));
        }
        self.set_session(&id, old.session_timeout_ms);
        self.park(&id, join);
        match self.group.state {
            ClassicState::Stable if self.group.members.vote() == self.group.protocol => {
                let record = record::of(&self.id, self.group, |_, member| &member.assignment);
                let replacement = Replacement {
                    id,
                    old_id: Arc::clone(old_id),
                    old,
                    old_leader,
                    ticket: join.ticket,
                    generation: self.group.generation,
                    may_skip_assignment: join.caller.version >= SKIP_ASSIGNMENT,
                };
                self.write(vec![record], InFlight::Replacement(Box::new(replacement)));
            }
            ClassicState::PreparingRebalance => self.complete_join_if_all_joined(),
            // The leader may know the old id only: its assignment would miss the new one.
            _ => self.prepare_rebalance(join.reason()),
        }
        None
    }
}

impl Join<'_> {
    fn rebalance_timeout_ms(&self) -> i32 {
        match self.request.rebalance_timeout_ms {
            -1 => self.request.session_timeout_ms,
            timeout_ms => timeout_ms,
        }
    }

    fn reason(&self) -> &str {
        match self.request.reason {
            Some(reason) if !reason.is_empty() => reason,
            _ => "not provided",
        }
    }
}

impl ClassicGroup {
    /// Whether a member with these protocols could be one of the group.
    fn can_use(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol<'_>]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.members.all_support(protocol.name))
    }
}

impl Member {
    /// Whether these are its protocols, with the same subscriptions.
    fn uses(&self, protocols: &[JoinGroupRequestProtocol<'_>]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|(mine, its)| &*mine.name == its.name && &*mine.metadata == its.metadata)
    }
}

/// The protocols to keep. A name that is there twice would count as two members.
fn protocols(protocols: &[JoinGroupRequestProtocol<'_>]) -> Vec<Protocol> {
    let mut names = HashSet::new();
    protocols
        .iter()
        .filter(|protocol| names.insert(protocol.name))
        .map(|protocol| Protocol {
            name: Arc::from(protocol.name),
            metadata: Arc::from(protocol.metadata),
        })
        .collect()
}

/// Whether the id of a new member fits into a string. Kafka fails in the same way when it does not.
fn has_room_for_id(request: &JoinGroupRequest<'_>, caller: &Caller<'_>) -> bool {
    let prefix = request.group_instance_id.unwrap_or(caller.client_id);
    prefix.len() <= i16::MAX as usize - MEMBER_ID_SUFFIX_BYTES
}

/// A member's id: what its client calls itself, and a random part in the usual form of UUIDs.
fn member_id(prefix: &str, id: Uuid) -> Arc<str> {
    let id = u128::from_be_bytes(*id.as_bytes());
    Arc::from(format!(
        "{prefix}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        id >> 96,
        (id >> 80) & 0xffff,
        (id >> 64) & 0xffff,
        (id >> 48) & 0xffff,
        id & 0xffff_ffff_ffff
    ))
}
