//! What becomes of a classic group when its record is in the log, or could not be put there.
//!
//! The group is ahead of its record meanwhile: it has the state that the record tells of, but
//! nobody is told yet. Each write has its entry in the group's queue, in the order of the writes.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

use super::members::Member;
use super::rebalance::Turn;
use super::{ClassicGroup, ClassicState};
use crate::context::Context;
use crate::effects::{Answer, Effects, JoinAnswer, SyncAnswer, Ticket, append_error};
use crate::group::{Group, GroupShard};

/// A record that is being written.
pub(super) enum InFlight {
    /// The group has come to be.
    Creation {
        /// The answer to the JoinGroup that it came to be for, unless that one waits for others.
        answer: Option<(Ticket, JoinAnswer)>,
        /// A group of the other kind, whose place it has taken.
        replaced: Option<Group>,
    },
    /// The leader has made the assignment.
    Assignment {
        /// For this generation.
        generation: i32,
        /// By member id.
        assignments: Vec<(Arc<str>, Arc<[u8]>)>,
    },
    /// The last member has gone.
    Emptied,
    /// A static member has come back under another id.
    Replacement(Box<Replacement>),
}

/// A static member that has come back under another id.
pub(super) struct Replacement {
    /// Its id now.
    pub(super) id: Arc<str>,
    /// Its id before.
    pub(super) old_id: Arc<str>,
    /// What it was before.
    pub(super) old: Member,
    /// Who led the group before.
    pub(super) old_leader: Option<Arc<str>>,
    /// Its JoinGroup.
    pub(super) ticket: Ticket,
    /// The generation that it came back to.
    pub(super) generation: i32,
    /// Whether its client knows of answers that spare it the assignment.
    pub(super) may_skip_assignment: bool,
}

impl GroupShard {
    /// Goes on or back after a group's record was appended, or could not be.
    pub(in crate::group) fn complete_classic(
        &mut self,
        group_id: &str,
        result: Result<(), ErrorCode>,
        cx: &Context<'_>,
    ) -> Effects {
        let result = result.map_err(|error| {
            // Whoever writes says so where an operator sees it, and not more often than is of use.
            log::debug!("the record of group {group_id} could not be written: {error:?}");
            append_error(error)
        });
        let Some(mut turn) = self.turn(group_id, cx) else { return Effects::response(()) };
        match turn.group.in_flight.pop_front() {
            Some(InFlight::Creation { answer, replaced }) => match result {
                Ok(()) => {
                    if let Some((ticket, answer)) = answer {
                        turn.answer_join(ticket, answer);
                    }
                }
                Err(error) => {
                    turn.take_back_creation(answer, error);
                    let effects = turn.effects(());
                    match replaced {
                        Some(old) => self.groups.insert(Arc::from(group_id), old),
                        None => self.groups.remove(group_id),
                    };
                    return effects;
                }
            },
            Some(InFlight::Assignment { generation, assignments }) => {
                turn.assign(generation, assignments, result);
            }
            Some(InFlight::Replacement(replacement)) => match result {
                Ok(()) => turn.confirm_replacement(&replacement),
                Err(error) => turn.take_back_replacement(*replacement, error),
            },
            // Should the record be lost, the log has a generation whose members are gone: after
            // a restart they time out.
            Some(InFlight::Emptied) | None => {}
        }
        turn.effects(())
    }
}

impl Turn<'_> {
    /// The group was never there.
    fn take_back_creation(&mut self, answer: Option<(Ticket, JoinAnswer)>, error: ErrorCode) {
        if let Some((ticket, answer)) = answer {
            self.answer_join(ticket, JoinAnswer::refusal(error, &answer.member_id));
        }
        self.stop_timers();
        for (ticket, answer) in self.group.take_waiting(error) {
            self.push_answer(ticket, answer);
        }
    }

    /// The members get their assignments, or must join again since these are not in the log.
    fn assign(
        &mut self,
        generation: i32,
        assignments: Vec<(Arc<str>, Arc<[u8]>)>,
        result: Result<(), ErrorCode>,
    ) {
        // Meanwhile somebody may have joined, and another rebalance begun.
        let current = self.group.state == ClassicState::CompletingRebalance
            && self.group.generation == generation;
        if !current {
            return;
        }
        if let Err(error) = result {
            self.fail_syncs(error);
            self.prepare_rebalance("the assignment could not be written");
            return;
        }
        for (id, assignment) in assignments {
            self.group.members.change(&id, |member| member.assignment = assignment);
        }
        self.answer_syncs(ErrorCode::NONE);
        self.move_to(ClassicState::Stable);
    }

    /// Whether the static member still waits to hear that it has its old place.
    fn awaits(&self, replacement: &Replacement) -> bool {
        let member = self.group.members.get(&replacement.id);
        self.group.state == ClassicState::Stable
            && self.group.generation == replacement.generation
            && member.is_some_and(|member| member.join == Some(replacement.ticket))
    }

    fn confirm_replacement(&mut self, replacement: &Replacement) {
        // If a rebalance has begun, that will answer.
        if !self.awaits(replacement) {
            return;
        }
        let id = &replacement.id;
        self.group.members.change(id, |member| member.join = None);
        let answer = if replacement.may_skip_assignment {
            let is_leader = self.group.is_leader(id);
            JoinAnswer { skip_assignment: is_leader, ..self.group.joined(id) }
        } else {
            // It would make an assignment if it were told that it leads. So it is told that its
            // old self does.
            let leader = replacement.old_leader.clone().unwrap_or_else(|| Arc::from(""));
            JoinAnswer { leader, ..self.group.joined_as_follower(id) }
        };
        self.answer_join(replacement.ticket, answer);
    }

    fn take_back_replacement(&mut self, replacement: Replacement, error: ErrorCode) {
        if !self.awaits(&replacement) {
            return;
        }
        let Replacement { id, old_id, old, old_leader, ticket, .. } = replacement;
        let answer = JoinAnswer {
            error,
            leader: old_leader.unwrap_or_else(|| Arc::from("")),
            ..self.group.joined_as_follower(&Arc::from(""))
        };
        self.answer_join(ticket, answer);
        self.end_session(&id);
        self.group.members.remove(&id);
        if self.group.is_leader(&id) {
            self.group.leader = Some(Arc::clone(&old_id));
        }
        let session_timeout_ms = old.session_timeout_ms;
        self.group.members.insert(Arc::clone(&old_id), old);
        self.set_session(&old_id, session_timeout_ms);
    }
}

impl ClassicGroup {
    /// Answers all requests that wait with an error; nobody waits afterwards.
    pub(in crate::group) fn take_waiting(&mut self, error: ErrorCode) -> Vec<(Ticket, Answer)> {
        let mut answers = Vec::new();
        for in_flight in &mut self.in_flight {
            if let InFlight::Creation { answer, .. } = in_flight
                && let Some((ticket, answer)) = answer.take()
            {
                let refusal = JoinAnswer::refusal(error, &answer.member_id);
                answers.push((ticket, Answer::Join(refusal)));
            }
        }
        self.members.change_all(|id, member| {
            if let Some(ticket) = member.join.take() {
                answers.push((ticket, Answer::Join(JoinAnswer::refusal(error, id))));
            }
            if let Some(ticket) = member.sync.take() {
                answers.push((ticket, Answer::Sync(SyncAnswer::refusal(error))));
            }
        });
        answers
    }
}
