//! A member of a classic group.
//!
//! ```text
//!            join                 members' topics known     all have synced
//! Unjoined ───────▶ Joining ──────▶ Leading ──────▶ Syncing ──────▶ Taking ──────▶ Stable
//!    ▲                 └──────── follows ─────────────▲                 taken by the   │
//!    └──────────────────────────────────────────────────────────────────   user   ◀───┘
//!                    a rebalance, another subscription, no member any more
//! ```
//!
//! Before it joins it has the user give up what it must: all it has, or with the cooperative
//! protocol only what it does not want any more. A member that is none any more has lost all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;

use super::assignor::{Assignor, Member};
use super::holding::Holding;
use super::pattern::Pattern;
use super::protocol::Subscription;
use super::requests::{Asker, Joined, JoinedMember};
use super::settings::{ClassicSettings, GroupSettings, Protocol};
use super::{Identity, Interest, Step, taken};
use crate::chance::Chance;
use crate::error::{Error, ErrorKind};
use crate::net::Until;
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Session;

mod assigning;

use assigning::Leads;

/// See the [module](self).
pub(super) struct Classic {
    settings: Arc<GroupSettings>,
    classic: ClassicSettings,
    wants: Wants,
    state: State,
    /// Empty when it has none.
    member_id: String,
    /// `None` when it is no member.
    generation: Option<i32>,
    assignor: Option<Assignor>,
    holding: Holding,
    /// What it had last and in which generation, for the sticky assignor.
    had: (Vec<TopicPartition>, Option<i32>),
    /// The topics that it joined with.
    joined_with: BTreeSet<Arc<str>>,
    /// If it leads: what the assignment was made of.
    leads: Option<Leads>,
    /// Why it is to join anew.
    rejoins: Option<&'static str>,
    heartbeat: Option<Pending<()>>,
    next_heartbeat: Option<Instant>,
    /// When to try again, after so many failures.
    not_before: Option<Instant>,
    failed: u32,
    /// How often in a row, between two heartbeats, it had to join anew to give partitions up.
    given_up: u32,
    error: Option<Error>,
    leaving: Option<Pending<()>>,
    is_closing: bool,
    chance: Chance,
}

/// The topics that it wants.
enum Wants {
    Nothing,
    Topics(BTreeSet<Arc<str>>),
    Pattern(Box<Pattern>),
}

enum State {
    Unjoined,
    Joining(Option<Pending<Joined>>),
    Leading { since: Instant, members: Vec<Member>, skips_assignment: bool },
    Syncing(Option<Pending<Vec<u8>>>),
    Taking(BTreeSet<TopicPartition>),
    Stable,
}

impl Wants {
    /// The topics; `None` while those of a pattern are not known.
    fn topics(&self) -> Option<&BTreeSet<Arc<str>>> {
        match self {
            Self::Nothing => None,
            Self::Topics(topics) => Some(topics),
            Self::Pattern(pattern) => pattern.matching(),
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Classic {
    pub(super) fn new(settings: Arc<GroupSettings>) -> Self {
        let Protocol::Classic(classic) = &settings.protocol else {
            unreachable!("whoever makes it has looked");
        };
        Self {
            classic: classic.clone(),
            settings,
            wants: Wants::Nothing,
            state: State::Unjoined,
            member_id: String::new(),
            generation: None,
            assignor: None,
            holding: Holding::default(),
            had: (Vec::new(), None),
            joined_with: BTreeSet::new(),
            leads: None,
            rejoins: None,
            heartbeat: None,
            next_heartbeat: None,
            not_before: None,
            failed: 0,
            given_up: 0,
            error: None,
            leaving: None,
            is_closing: false,
            chance: Chance::new(),
        }
    }

    pub(super) fn subscribe(&mut self, interest: Interest) -> Result<(), Error> {
        self.wants = match interest {
            Interest::None => Wants::Nothing,
            Interest::Topics(topics) => Wants::Topics(topics),
            Interest::Pattern(pattern) => Wants::Pattern(Box::new(Pattern::new(&pattern)?)),
        };
        Ok(())
    }

    /// What the user is to do, as things are now.
    pub(super) fn due(&self) -> Option<Step> {
        let owned = self.holding.owned();
        let all = || owned.iter().cloned().collect();
        if self.generation.is_none() {
            return (!owned.is_empty()).then(|| Step::Lost(all()));
        }
        let (gone, new) = match &self.state {
            _ if self.wants.is_nothing() => (all(), None),
            State::Unjoined => (self.to_give_up(), None),
            State::Taking(new) => (owned.difference(new).cloned().collect(), Some(new)),
            _ => return None,
        };
        if !gone.is_empty() {
            return Some(Step::Revoke(gone));
        }
        new.map(|new| Step::Assign(new.difference(owned).cloned().collect()))
    }

    pub(super) fn step(&mut self) -> Option<Step> {
        let due = self.holding.step().is_none().then(|| self.due()).flatten();
        self.holding.begin(due)
    }

    /// What it may not have while it joins.
    fn to_give_up(&self) -> Vec<TopicPartition> {
        let owned = self.holding.owned().iter();
        if !self.classic.is_cooperative() {
            return owned.cloned().collect();
        }
        let Some(topics) = self.wants.topics() else { return Vec::new() };
        owned.filter(|partition| !topics.contains(&partition.topic)).cloned().collect()
    }

    pub(super) fn step_done(&mut self) {
        let step = self.holding.done();
        let State::Taking(_) = self.state else { return };
        match step {
            Some(Step::Assign(_)) => {
                self.had = (self.holding.owned().iter().cloned().collect(), self.generation);
                self.state = State::Stable;
            }
            // Who gets it learns so at the next rebalance.
            Some(Step::Revoke(_)) => {
                self.rejoins = Some("it has given partitions up");
                self.given_up = self.given_up.saturating_add(1);
            }
            _ => {}
        }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        let is_leaving = self.wants.is_nothing() && self.holding.is_free();
        Some(Identity {
            member_id: self.member_id.clone(),
            generation_or_epoch: self.generation.filter(|_| !is_leaving)?,
            instance_id: self.settings.instance_id.clone(),
        })
    }

    pub(super) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    pub(super) fn error(&mut self) -> Option<Error> {
        if self.is_finished() { self.error.clone() } else { self.error.take() }
    }

    /// Whether it cannot go on.
    fn is_finished(&self) -> bool {
        self.error
            .as_ref()
            .is_some_and(|error| error.is_fatal() || error.kind() == ErrorKind::UnsupportedVersion)
    }

    pub(super) fn leave(&mut self) {
        self.wants = Wants::Nothing;
        self.holding.clear();
        self.is_closing = true;
    }

    pub(super) fn has_left(&self) -> bool {
        self.is_closing && self.member_id.is_empty() && self.leaving.is_none()
    }

    pub(super) fn turn(&mut self, session: &mut Session, is_polled: bool, now: Instant) -> Until {
        if taken(&mut self.leaving).is_some_and(|left| left.is_err()) {
            log::debug!("the group {} was not told of a leave", self.settings.group);
        }
        let mut until = Until::Event;
        if let Wants::Pattern(pattern) = &mut self.wants {
            until = pattern.turn(session, &self.settings, now);
        }
        let watched = self.leads.iter().flat_map(Leads::topics);
        for topic in self.wants.topics().into_iter().flatten().chain(watched) {
            session.metadata.want(topic, now);
        }
        self.take_answers(now);
        let is_joining =
            matches!(self.state, State::Joining(_) | State::Leading { .. } | State::Syncing(_));
        if self.wants.is_nothing() {
            if self.holding.is_free() {
                self.part("it wants nothing", session, now);
            }
        } else if !is_polled && !is_joining && self.generation.is_some() {
            log::warn!(
                "no poll within max.poll.interval.ms ({} ms): leaving the group {}; poll more \
                 often, or raise it, or lower max.poll.records",
                self.settings.max_poll_interval.as_millis(),
                self.settings.group
            );
            self.part("no poll in time", session, now);
        } else {
            until = until.or(self.advance(session, is_polled, now));
        }
        until.or(self.beat(session, now))
    }

    /// Leaves the group. A static member only stops: it may come back before the session is over.
    fn part(&mut self, why: &str, session: &mut Session, now: Instant) {
        self.state = State::Unjoined;
        self.rejoins = None;
        let asker = self.asker();
        self.forget();
        if self.settings.instance_id.is_none() && !asker.member_id.is_empty() {
            log::debug!("{} leaves the group {}: {why}", asker.member_id, asker.group);
            let deadline = now + self.settings.request_timeout;
            self.leaving = Some(asker.leave(deadline, session, now));
        }
        self.member_id.clear();
    }

    /// It is no member any more; its id may still be good.
    fn forget(&mut self) {
        self.generation = None;
        self.leads = None;
        self.heartbeat = None;
        self.next_heartbeat = None;
    }

    fn asker(&self) -> Asker {
        Asker {
            group: self.settings.group.to_string(),
            instance_id: self.settings.instance_id.clone(),
            member_id: self.member_id.clone(),
            generation: self.generation.unwrap_or(-1),
        }
    }

    /// Goes on to the next state where it can.
    fn advance(&mut self, session: &mut Session, is_polled: bool, now: Instant) -> Until {
        if let State::Stable = self.state {
            self.notice(session);
            if let Some(why) = self.rejoins.take() {
                log::debug!("{} joins {} anew: {why}", self.member_id, self.settings.group);
                self.state = State::Unjoined;
            }
        }
        match &self.state {
            State::Unjoined => self.join(session, is_polled, now),
            State::Leading { .. } => self.lead(session, now),
            _ => Until::Event,
        }
    }

    /// Joins when everything that must be given up was.
    fn join(&mut self, session: &mut Session, is_polled: bool, now: Instant) -> Until {
        let is_lost = self.generation.is_none() && !self.holding.owned().is_empty();
        let has_step = self.holding.step().is_some() || is_lost || !self.to_give_up().is_empty();
        if !is_polled || has_step || self.is_finished() {
            return Until::Event;
        }
        if let Some(time) = self.not_before.filter(|time| *time > now) {
            return Until::Time(time);
        }
        let Some(topics) = self.wants.topics().cloned() else { return Until::Event };
        match self.subscriptions(&topics) {
            Ok(protocols) => {
                let settings = (&*self.settings, &self.classic);
                let pending = self.asker().join(protocols, settings, session, now);
                self.state = State::Joining(Some(pending));
            }
            Err(error) => self.failed(error, now),
        }
        self.rejoins = None;
        // It may be answered after the join, and is about another generation then.
        self.heartbeat = None;
        self.joined_with = topics;
        Until::Event
    }

    /// What it tells the assignors of other members.
    fn subscriptions(
        &self,
        topics: &BTreeSet<Arc<str>>,
    ) -> Result<Vec<(Assignor, Vec<u8>)>, Error> {
        let (had, had_generation) = &self.had;
        let with = |assignor: Assignor| {
            let subscription = Subscription {
                topics: topics.iter().cloned().collect(),
                user_data: assignor.user_data(had, *had_generation)?,
                owned: self.holding.owned().iter().cloned().collect(),
                generation: self.generation,
                rack: self.settings.rack.clone(),
            };
            Ok((assignor, subscription.to_bytes()?))
        };
        let all: Result<_, ottla_protocol::wire::WriteError> =
            self.classic.assignors.iter().copied().map(with).collect();
        all.map_err(|error| Error::new(ErrorKind::Usage, format!("the subscription: {error}")))
    }

    /// Heartbeats keep the membership while the user is busy.
    fn beat(&mut self, session: &mut Session, now: Instant) -> Until {
        let is_there = matches!(self.state, State::Unjoined | State::Taking(_) | State::Stable);
        if self.generation.is_none() || !is_there || self.heartbeat.is_some() {
            return Until::Event;
        }
        let next = *self.next_heartbeat.get_or_insert(now + self.classic.heartbeat_interval);
        if next > now {
            return Until::Time(next);
        }
        let deadline = now + self.classic.session_timeout;
        self.heartbeat = Some(self.asker().heartbeat(deadline, session, now));
        self.next_heartbeat = Some(now + self.classic.heartbeat_interval);
        Until::Event
    }

    fn take_answers(&mut self, now: Instant) {
        if let Some(told) = taken(&mut self.heartbeat) {
            self.given_up = 0;
            told.unwrap_or_else(|error| self.heartbeat_failed(error, now));
        }
        match &mut self.state {
            State::Joining(asked) => match taken(asked) {
                None => {}
                Some(Ok(joined)) => self.joined(joined, now),
                Some(Err(error)) => self.not_joined(error, now),
            },
            State::Syncing(asked) => match taken(asked) {
                None => {}
                Some(Ok(assignment)) => self.synced(&assignment, now),
                Some(Err(error)) => self.not_joined(error, now),
            },
            _ => {}
        }
    }

    fn joined(&mut self, joined: Joined, now: Instant) {
        match joined {
            Joined::NeedsId(id) => {
                // Once is how groups work.
                if !self.member_id.is_empty() {
                    self.wait_longer(now);
                }
                self.member_id = id;
                self.state = State::Unjoined;
            }
            Joined::Member(JoinedMember {
                member_id,
                generation,
                assignor,
                leads,
                skips_assignment,
            }) => {
                self.member_id = member_id;
                self.generation = Some(generation);
                self.assignor = Some(assignor);
                self.leads = None;
                // A follower is like a leader that has nobody to assign to.
                let members = leads.unwrap_or_default();
                self.state = State::Leading { since: now, members, skips_assignment };
            }
        }
    }

    fn heartbeat_failed(&mut self, error: Error, now: Instant) {
        match error.code() {
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => {
                self.rejoins = Some("others join or leave");
            }
            Some(ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID) => {
                log::info!(
                    "{} is out of the group {}: {error}",
                    self.member_id,
                    self.settings.group
                );
                self.expelled(&error);
            }
            None if error.is_retriable() => {
                log::debug!("no heartbeat to the group {}: {error}", self.settings.group);
            }
            _ => self.failed(error, now),
        }
    }

    /// The coordinator does not know it, or not in this generation: all it has is lost.
    fn expelled(&mut self, error: &Error) {
        self.forget();
        if error.code() == Some(ErrorCode::UNKNOWN_MEMBER_ID) {
            self.member_id.clear();
        }
        self.rejoins = None;
        self.state = State::Unjoined;
    }

    /// It did not get through to an assignment.
    fn not_joined(&mut self, error: Error, now: Instant) {
        self.state = State::Unjoined;
        match error.code() {
            // The next generation has begun already.
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => {}
            Some(ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID) => {
                self.expelled(&error);
            }
            _ => return self.failed(error, now),
        }
        // That is how groups work; a coordinator that says so each time is waited for.
        if self.failed > 0 {
            self.wait_longer(now);
        }
        self.failed = self.failed.saturating_add(1);
    }

    /// Tries again later, and tells the user if that may not help.
    fn failed(&mut self, error: Error, now: Instant) {
        if error.is_retriable() {
            log::debug!("the group {}: {error}", self.settings.group);
        } else {
            if error.code() == Some(ErrorCode::FENCED_INSTANCE_ID) {
                // Another one has its name, and its partitions.
                self.forget();
                self.member_id.clear();
            }
            if !self.is_finished() {
                self.error = Some(error);
            }
        }
        self.state = State::Unjoined;
        self.wait_longer(now);
    }

    fn wait_longer(&mut self, now: Instant) {
        self.failed = self.failed.saturating_add(1);
        let wait: Duration = self.settings.retry_backoff.after(self.failed, &mut self.chance);
        self.not_before = Some(now + wait);
    }
}
