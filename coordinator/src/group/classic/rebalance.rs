//! How a classic group comes from one generation to the next.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

use super::append::InFlight;
use super::members::Member;
use super::{ClassicGroup, ClassicState, ClassicTimer, record};
use crate::context::{Context, Now};
use crate::effects::{Answer, Effects, JoinAnswer, JoinedMember, SyncAnswer, Then, Ticket, Write};
use crate::group::config::GroupConfig;
use crate::group::{Group, GroupShard, TimerKey};
use crate::record::Record;
use crate::timers::Timers;

/// A member that does not know its id yet cannot be heard of; its JoinGroup waits no longer than
/// this, since its client may be gone.
pub(super) const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1_000;

/// A group whose members give themselves no time to join, and then do not, waits this long at
/// least: it would begin to wait again and again within one tick.
const SHORTEST_WAIT_MS: i32 = 1_000;

/// How long the first rebalance of an empty group waits for more members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    /// What is being waited.
    delay_ms: i32,
    /// What may still be waited after that.
    remaining_ms: i32,
    /// Somebody has joined meanwhile, so that waiting again may pay.
    pub(super) more_came: bool,
}

/// One event at one group: all that it may touch, and what it has led to so far.
pub(super) struct Turn<'a> {
    pub(super) id: Arc<str>,
    pub(super) group: &'a mut ClassicGroup,
    pub(super) timers: &'a mut Timers<TimerKey>,
    pub(super) config: &'a GroupConfig,
    pub(super) now: Now,
    answers: Vec<(Ticket, Answer)>,
    records: Vec<Record>,
}

impl GroupShard {
    /// An event at this group, if there is such a classic one.
    pub(super) fn turn(&mut self, group_id: &str, cx: &Context<'_>) -> Option<Turn<'_>> {
        let id = Arc::clone(self.groups.get_key_value(group_id)?.0);
        let Some(Group::Classic(group)) = self.groups.get_mut(group_id) else { return None };
        Some(Turn {
            id,
            group,
            timers: &mut self.timers,
            config: &self.config,
            now: cx.now,
            answers: Vec::new(),
            records: Vec::new(),
        })
    }
}

impl Turn<'_> {
    /// What the event has led to.
    pub(super) fn effects<R>(self, response: R) -> Effects<R> {
        let Self { id, answers, records, .. } = self;
        let write = (!records.is_empty()).then_some(Write { records, then: Then::Classic(id) });
        Effects { write, response, answers }
    }

    /// Answers a JoinGroup that waits.
    pub(super) fn answer_join(&mut self, ticket: Ticket, answer: JoinAnswer) {
        self.answers.push((ticket, Answer::Join(answer)));
    }

    /// Answers a SyncGroup that waits.
    pub(super) fn answer_sync(&mut self, ticket: Ticket, answer: SyncAnswer) {
        self.answers.push((ticket, Answer::Sync(answer)));
    }

    /// Answers a request that waits.
    pub(super) fn push_answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    /// Refuses whatever of a member that was taken out still waits.
    pub(super) fn refuse(&mut self, member: &Member, error: ErrorCode, member_id: &str) {
        if let Some(ticket) = member.join {
            self.answer_join(ticket, JoinAnswer::refusal(error, member_id));
        }
        if let Some(ticket) = member.sync {
            self.answer_sync(ticket, SyncAnswer::refusal(error));
        }
    }

    /// Has records written; `in_flight` says what to do afterwards.
    pub(super) fn write(&mut self, records: Vec<Record>, in_flight: InFlight) {
        debug_assert!(self.records.is_empty(), "an event makes one write at most");
        self.records = records;
        self.group.in_flight.push_back(in_flight);
    }

    pub(super) fn move_to(&mut self, state: ClassicState) {
        self.group.state = state;
        self.group.state_since_ms = Some(self.now.wall_ms);
    }

    fn after(&self, delay_ms: i32) -> i64 {
        self.now.mono_ms.saturating_add(i64::from(delay_ms))
    }

    /// The member is given `timeout_ms` from now on to be heard of.
    pub(super) fn set_session(&mut self, member_id: &Arc<str>, timeout_ms: i32) {
        let due_ms = self.after(timeout_ms);
        self.timers.set(self.session(member_id), due_ms);
    }

    pub(super) fn end_session(&mut self, member_id: &Arc<str>) {
        let key = self.session(member_id);
        self.timers.cancel(&key);
    }

    fn session(&self, member_id: &Arc<str>) -> TimerKey {
        let timer = ClassicTimer::Session(Arc::clone(&self.id), Arc::clone(member_id));
        TimerKey::Classic(timer)
    }

    fn join_timer(&self) -> TimerKey {
        TimerKey::Classic(ClassicTimer::Join(Arc::clone(&self.id)))
    }

    fn sync_timer(&self) -> TimerKey {
        TimerKey::Classic(ClassicTimer::Sync(Arc::clone(&self.id)))
    }

    /// The group waits for nothing any more.
    pub(super) fn stop_timers(&mut self) {
        self.timers.cancel(&self.join_timer());
        self.timers.cancel(&self.sync_timer());
        let sessions: Vec<_> = self.sessions().collect();
        for (id, _) in sessions {
            self.end_session(&id);
        }
    }

    /// Takes a member out for good. Another one becomes the leader if need be.
    pub(super) fn remove_member(&mut self, member_id: &str) -> Option<Member> {
        let member = self.group.members.remove(member_id);
        if self.group.leader.as_deref() == Some(member_id) {
            self.group.leader = self.group.members.first_id().cloned();
        }
        member
    }

    /// After members have come, changed or gone: begins a rebalance, or ends its first part if
    /// nobody is missing any more.
    pub(super) fn rebalance(&mut self, reason: &str) {
        match self.group.state {
            ClassicState::PreparingRebalance => self.complete_join_if_all_joined(),
            _ => self.prepare_rebalance(reason),
        }
    }

    /// After members have gone: as [`Turn::rebalance`], but of an empty group nothing comes.
    pub(super) fn rebalance_without(&mut self, reason: &str) {
        if self.group.state != ClassicState::Empty {
            self.rebalance(reason);
        }
    }

    /// Begins a rebalance.
    pub(super) fn prepare_rebalance(&mut self, reason: &str) {
        log::debug!(
            "group {} begins a rebalance in state {} with generation {}: {reason}",
            self.id,
            self.group.state_name(),
            self.group.generation
        );
        if self.group.state == ClassicState::CompletingRebalance {
            self.fail_syncs(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.timers.cancel(&self.sync_timer());
        let initial = self.group.state == ClassicState::Empty;
        self.move_to(ClassicState::PreparingRebalance);
        if initial {
            let delay_ms = self.config.initial_rebalance_delay_ms;
            let timeout_ms = self.group.members.rebalance_timeout_ms();
            let remaining_ms = timeout_ms.saturating_sub(delay_ms).max(0);
            self.delay(InitialDelay { delay_ms, remaining_ms, more_came: false });
        } else if self.group.members.have_all_joined() {
            self.complete_join();
        } else {
            self.await_joins();
        }
    }

    fn delay(&mut self, delay: InitialDelay) {
        self.timers.set(self.join_timer(), self.after(delay.delay_ms));
        self.group.initial_delay = Some(delay);
    }

    fn await_joins(&mut self) {
        let timeout_ms = self.group.members.rebalance_timeout_ms().max(SHORTEST_WAIT_MS);
        self.timers.set(self.join_timer(), self.after(timeout_ms));
    }

    /// Ends the first part of a rebalance when nobody is missing; the first rebalance of all waits
    /// for its delay.
    pub(super) fn complete_join_if_all_joined(&mut self) {
        if self.group.state == ClassicState::PreparingRebalance
            && self.group.initial_delay.is_none()
            && self.group.members.have_all_joined()
        {
            self.complete_join();
        }
    }

    /// The time for joins is up.
    pub(super) fn join_time_is_up(&mut self) {
        if self.group.state != ClassicState::PreparingRebalance {
            return;
        }
        match self.group.initial_delay {
            Some(delay) if delay.more_came && delay.remaining_ms != 0 => {
                let InitialDelay { delay_ms, remaining_ms, .. } = delay;
                self.delay(InitialDelay {
                    delay_ms: self.config.initial_rebalance_delay_ms.min(remaining_ms),
                    remaining_ms: remaining_ms.saturating_sub(delay_ms).max(0),
                    more_came: false,
                });
            }
            _ => self.complete_join(),
        }
    }

    /// Begins the next generation with those who have joined, and with static members: they may
    /// be only restarting.
    fn complete_join(&mut self) {
        self.timers.cancel(&self.join_timer());
        self.group.initial_delay = None;
        self.drop_absent_members();
        if !self.group.members.is_empty() && !self.group.elect_leader_who_joined() {
            log::debug!("nobody of group {} has joined in time; it goes on waiting", self.id);
            self.await_joins();
            return;
        }
        self.group.generation = self.group.generation.wrapping_add(1);
        if self.group.members.is_empty() {
            self.become_empty();
        } else {
            self.begin_generation();
        }
    }

    fn drop_absent_members(&mut self) {
        if self.group.members.joins() == self.group.members.len() {
            return;
        }
        let absent = self.group.members.iter().filter(|(_, member)| member.join.is_none());
        let dynamic = absent.filter(|(_, member)| member.instance_id.is_none());
        let ids: Vec<_> = dynamic.map(|(id, _)| Arc::clone(id)).collect();
        for id in ids {
            log::debug!("member {id} of group {} has not joined in time", self.id);
            self.remove_member(&id);
            self.end_session(&id);
        }
    }

    fn become_empty(&mut self) {
        self.group.protocol = None;
        self.group.find_subscribed_topics();
        self.move_to(ClassicState::Empty);
        log::debug!("group {} is empty in generation {}", self.id, self.group.generation);
        let record = record::of(&self.id, self.group, |_, _| &[]);
        self.write(vec![record], InFlight::Emptied);
    }

    fn begin_generation(&mut self) {
        self.group.protocol = self.group.members.vote();
        self.group.find_subscribed_topics();
        self.move_to(ClassicState::CompletingRebalance);
        log::debug!(
            "group {} begins generation {} with {} members",
            self.id,
            self.group.generation,
            self.group.members.len()
        );
        let mut joined = Vec::with_capacity(self.group.members.joins());
        self.group.members.change_all(|id, member| {
            member.is_new = false;
            member.owes_sync = true;
            if let Some(ticket) = member.join.take() {
                joined.push((Arc::clone(id), ticket));
            }
        });
        for (id, ticket) in joined {
            let answer = self.group.joined(&id);
            self.answer_join(ticket, answer);
        }
        let sessions: Vec<_> = self.sessions().collect();
        for (id, timeout_ms) in sessions {
            self.set_session(&id, timeout_ms);
        }
        let timeout_ms = self.group.members.rebalance_timeout_ms();
        self.timers.set(self.sync_timer(), self.after(timeout_ms));
    }

    /// The members' ids and session timeouts.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (Arc<str>, i32)> {
        let members = self.group.members.iter();
        members.map(|(id, member)| (Arc::clone(id), member.session_timeout_ms))
    }

    /// Takes all assignments back and answers all SyncGroups that wait with an error.
    pub(super) fn fail_syncs(&mut self, error: ErrorCode) {
        let nothing: Arc<[u8]> = Arc::from([].as_slice());
        self.group.members.change_all(|_, member| member.assignment = Arc::clone(&nothing));
        self.answer_syncs(error);
    }

    /// Answers all SyncGroups that wait. The members have their whole session timeout again:
    /// they could not be heard of while they waited.
    pub(super) fn answer_syncs(&mut self, error: ErrorCode) {
        let mut waiting = Vec::new();
        self.group.members.change_all(|id, member| {
            if let Some(ticket) = member.sync.take() {
                let assignment = Arc::clone(&member.assignment);
                waiting.push((Arc::clone(id), member.session_timeout_ms, ticket, assignment));
            }
        });
        for (id, session_timeout_ms, ticket, assignment) in waiting {
            let answer = match error {
                ErrorCode::NONE => self.group.synced(assignment),
                _ => SyncAnswer::refusal(error),
            };
            self.answer_sync(ticket, answer);
            self.set_session(&id, session_timeout_ms);
        }
    }

    /// Nobody waits for SyncGroups any more once all are there.
    pub(super) fn stop_sync_timer_if_all_synced(&mut self) {
        if self.group.members.syncs_owed() == 0 {
            self.timers.cancel(&self.sync_timer());
        }
    }

    /// The time for SyncGroup is up: whoever has not sent one is taken out.
    pub(super) fn sync_time_is_up(&mut self) {
        let in_generation =
            matches!(self.group.state, ClassicState::CompletingRebalance | ClassicState::Stable);
        if !in_generation || self.group.members.syncs_owed() == 0 {
            return;
        }
        let owing = self.group.members.iter().filter(|(_, member)| member.owes_sync);
        let ids: Vec<_> = owing.map(|(id, _)| Arc::clone(id)).collect();
        for id in ids {
            self.end_session(&id);
            if let Some(member) = self.remove_member(&id) {
                self.refuse(&member, ErrorCode::UNKNOWN_MEMBER_ID, &id);
            }
        }
        self.prepare_rebalance("members have not sent SyncGroup in time");
    }
}

impl ClassicGroup {
    /// Makes one who has joined the leader unless the leader has. False when nobody has.
    fn elect_leader_who_joined(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(|leader| leader.join.is_some()) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.join.is_some());
        let Some((id, _)) = joined else { return false };
        self.leader = Some(Arc::clone(id));
        true
    }

    /// Whether this member is the leader.
    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The answer to a member that has joined this generation; the leader's has all members in it.
    pub(super) fn joined(&self, member_id: &Arc<str>) -> JoinAnswer {
        let is_leader = self.is_leader(member_id);
        JoinAnswer {
            members: if is_leader { self.joined_members() } else { Vec::new() },
            ..self.joined_as_follower(member_id)
        }
    }

    /// The answer to a member that has joined this generation, without members.
    pub(super) fn joined_as_follower(&self, member_id: &Arc<str>) -> JoinAnswer {
        JoinAnswer {
            error: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_else(|| Arc::from("")),
            skip_assignment: false,
            member_id: Arc::clone(member_id),
            members: Vec::new(),
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol().unwrap_or("");
        let members = self.members.iter().map(|(id, member)| JoinedMember {
            member_id: Arc::clone(id),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol).cloned().unwrap_or_else(|| Arc::from([])),
        });
        members.collect()
    }

    /// The answer to SyncGroup of a member with this assignment.
    pub(super) fn synced(&self, assignment: Arc<[u8]>) -> SyncAnswer {
        SyncAnswer {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}
