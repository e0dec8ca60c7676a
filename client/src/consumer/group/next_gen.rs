//! A member of a group whose coordinator assigns (KIP-848): one request, the heartbeat, does all.
//!
//! The coordinator tells which partitions the member shall have, and only such as nobody else has
//! any more. The member has the user give up what is not among them, then take what is new, and
//! tells what it has: that acknowledges the assignment. A fenced member has lost all, and joins
//! anew with the id that it has had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::holding::Holding;
use super::settings::{GroupSettings, Protocol};
use super::{Identity, Interest, Step, taken};
use crate::chance::Chance;
use crate::error::{Error, ErrorKind};
use crate::net::Until;
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Session;

mod heartbeat;
mod names;

use heartbeat::{Beat, Owned, Sent, Told};
use names::Names;

/// The epoch of who joins, and of who leaves: for good, or as a static member for a while.
const JOINING: i32 = 0;
const LEAVING: i32 = -1;
const LEAVING_FOR_A_WHILE: i32 = -2;
/// Until the coordinator has told how often it wants heartbeats.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);

/// See the [module](self).
pub(super) struct NextGen {
    settings: Arc<GroupSettings>,
    assignor: Option<String>,
    interest: Interest,
    /// Its own, for as long as the client is there.
    member_id: String,
    /// More than 0 when it is a member.
    epoch: i32,
    holding: Holding,
    /// What it shall have, and whether the user has taken it.
    target: Owned,
    is_taken: bool,
    names: Names,
    /// The topics' ids of what it has, and of what is being taken: a topic that was made anew is
    /// another one.
    held: BTreeMap<TopicPartition, Uuid>,
    taking: BTreeMap<TopicPartition, Uuid>,
    /// What the coordinator knows of it; nothing when that is not certain.
    sent: Sent,
    heartbeat: Option<Pending<Told>>,
    interval: Duration,
    next_heartbeat: Option<Instant>,
    /// Whether there is something to say at once.
    has_news: bool,
    failed: u32,
    /// How often in a row it was put out of the group.
    fenced: u32,
    error: Option<Error>,
    leaving: Option<Pending<Told>>,
    is_closing: bool,
    chance: Chance,
}

impl NextGen {
    pub(super) fn new(settings: Arc<GroupSettings>) -> Self {
        let assignor = match &settings.protocol {
            Protocol::Consumer { assignor } => assignor.clone(),
            Protocol::Classic(_) => None,
        };
        Self {
            settings,
            assignor,
            interest: Interest::None,
            member_id: member_id(),
            epoch: JOINING,
            holding: Holding::default(),
            target: Owned::new(),
            is_taken: true,
            names: Names::default(),
            held: BTreeMap::new(),
            taking: BTreeMap::new(),
            sent: Sent::default(),
            heartbeat: None,
            interval: FIRST_INTERVAL,
            next_heartbeat: None,
            has_news: false,
            failed: 0,
            fenced: 0,
            error: None,
            leaving: None,
            is_closing: false,
            chance: Chance::new(),
        }
    }

    pub(super) fn subscribe(&mut self, interest: Interest) -> Result<(), Error> {
        self.interest = interest;
        self.has_news = true;
        Ok(())
    }

    /// What the user is to do, as things are now.
    pub(super) fn due(&self) -> Option<Step> {
        let owned = self.holding.owned();
        let all = || owned.iter().cloned().collect();
        if self.epoch <= JOINING {
            return (!owned.is_empty()).then(|| Step::Lost(all()));
        }
        if self.interest == Interest::None {
            return (!owned.is_empty()).then(|| Step::Revoke(all()));
        }
        if self.is_taken {
            return None;
        }
        let shall = self.names.of(&self.target);
        let is_other = |partition: &&TopicPartition| {
            shall.get(*partition).is_none_or(|id| self.held.get(*partition) != Some(id))
        };
        let gone: Vec<_> = owned.iter().filter(is_other).cloned().collect();
        if !gone.is_empty() {
            return Some(Step::Revoke(gone));
        }
        let new: Vec<_> =
            shall.into_keys().filter(|partition| !owned.contains(partition)).collect();
        // What has no name yet is taken when it has.
        let is_all = self.names.know(&self.target);
        (is_all || !new.is_empty()).then_some(Step::Assign(new))
    }

    pub(super) fn step(&mut self) -> Option<Step> {
        if self.holding.step().is_some() {
            return self.holding.begin(None);
        }
        let due = self.due();
        if let Some(Step::Assign(new)) = &due {
            self.taking = self.names.of(&self.target);
            let new: BTreeSet<&TopicPartition> = new.iter().collect();
            self.taking.retain(|partition, _| new.contains(partition));
        }
        self.holding.begin(due)
    }

    pub(super) fn step_done(&mut self) {
        let Some(step) = self.holding.done() else { return };
        if let Step::Assign(_) = step {
            self.held.append(&mut self.taking);
        }
        let owned = self.holding.owned();
        self.held.retain(|partition, _| owned.contains(partition));
        if let Step::Assign(_) = step {
            self.is_taken = by_id(&self.held) == self.target;
        }
        self.has_news = true;
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        let is_leaving = self.interest == Interest::None && self.holding.is_free();
        (self.epoch > JOINING && !is_leaving).then(|| Identity {
            member_id: self.member_id.clone(),
            generation_or_epoch: self.epoch,
            instance_id: self.settings.instance_id.clone(),
        })
    }

    pub(super) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    pub(super) fn error(&mut self) -> Option<Error> {
        if self.is_finished() { self.error.clone() } else { self.error.take() }
    }

    /// Whether it cannot go on. All that the coordinator refuses for good is fatal with this
    /// protocol, as in Java, except that of topics: who may not read them yet may later.
    fn is_finished(&self) -> bool {
        let of_topics = Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        self.error.as_ref().is_some_and(|error| error.code() != of_topics)
    }

    pub(super) fn leave(&mut self) {
        self.interest = Interest::None;
        self.holding.clear();
        self.is_closing = true;
    }

    pub(super) fn has_left(&self) -> bool {
        self.is_closing && self.epoch <= JOINING && self.leaving.is_none()
    }

    pub(super) fn turn(&mut self, session: &mut Session, is_polled: bool, now: Instant) -> Until {
        drop(taken(&mut self.leaving));
        if let Interest::Topics(topics) = &self.interest {
            topics.iter().for_each(|topic| session.metadata.want(topic, now));
        }
        if let Some(told) = taken(&mut self.heartbeat) {
            match told {
                Ok(told) => self.told(told, now),
                Err(error) => self.refused(error, now),
            }
        }
        let names = self.names.turn(&self.target, session, &self.settings, now);
        if self.interest == Interest::None {
            if self.holding.is_free() {
                self.part(session, now);
            }
            return names;
        }
        if !is_polled && self.epoch > JOINING {
            log::warn!(
                "no poll within max.poll.interval.ms ({} ms): leaving the group {}; poll more \
                 often, or raise it, or lower max.poll.records",
                self.settings.max_poll_interval.as_millis(),
                self.settings.group
            );
            self.part(session, now);
        }
        names.or(self.beat(session, is_polled, now))
    }

    /// Leaves the group.
    fn part(&mut self, session: &mut Session, now: Instant) {
        if self.epoch <= JOINING && self.heartbeat.is_none() {
            return;
        }
        let is_static = self.settings.instance_id.is_some();
        let epoch = if is_static { LEAVING_FOR_A_WHILE } else { LEAVING };
        self.forget();
        let beat = Beat { epoch, ..self.news(false) };
        self.leaving = Some(beat.send(session, now + self.settings.request_timeout, now));
    }

    /// It is no member any more.
    fn forget(&mut self) {
        self.epoch = JOINING;
        self.target.clear();
        self.is_taken = true;
        self.sent = Sent::default();
        self.heartbeat = None;
        self.next_heartbeat = None;
    }

    /// Sends a heartbeat when it is time, or when there is news.
    fn beat(&mut self, session: &mut Session, is_polled: bool, now: Instant) -> Until {
        if self.heartbeat.is_some() || self.leaving.is_some() || self.is_finished() {
            return Until::Event;
        }
        let may_join = is_polled && self.holding.is_free();
        if self.epoch <= JOINING && !may_join {
            return Until::Event;
        }
        let is_due = self.has_news && self.failed == 0;
        if let Some(next) = self.next_heartbeat.filter(|next| *next > now && !is_due) {
            return Until::Time(next);
        }
        self.has_news = false;
        let beat = self.news(self.sent.is_nothing());
        self.sent = beat.sent();
        self.next_heartbeat = Some(now + self.interval);
        self.heartbeat = Some(beat.send(session, now + self.settings.request_timeout, now));
        Until::Event
    }

    /// What there is to say: all, or only what the coordinator does not know.
    fn news(&self, is_full: bool) -> Beat {
        let (topics, regex) = match &self.interest {
            Interest::None => (Vec::new(), None),
            Interest::Topics(topics) => {
                (topics.iter().map(|topic| topic.to_string()).collect(), None)
            }
            Interest::Pattern(pattern) => (Vec::new(), Some(pattern.clone())),
        };
        Beat {
            settings: Arc::clone(&self.settings),
            member_id: self.member_id.clone(),
            epoch: self.epoch,
            topics,
            regex,
            assignor: self.assignor.clone(),
            owned: by_id(&self.held),
            known: self.sent.clone(),
            is_full,
        }
    }

    fn told(&mut self, told: Told, now: Instant) {
        if told.epoch <= JOINING {
            // Only a leave is answered so.
            let detail = format!("ConsumerGroupHeartbeat: the epoch {}", told.epoch);
            return self.put_out(&Error::new(ErrorKind::Malformed, detail), now);
        }
        self.failed = 0;
        if self.epoch > JOINING {
            self.fenced = 0;
        }
        if let Some(member_id) = told.member_id {
            self.member_id = member_id;
        }
        self.epoch = told.epoch;
        if !told.interval.is_zero() {
            self.interval = told.interval;
        }
        self.next_heartbeat = Some(now + self.interval);
        if let Some(target) = told.assignment {
            self.is_taken = by_id(&self.held) == target && self.is_taken;
            self.target = target;
        }
    }

    fn refused(&mut self, error: Error, now: Instant) {
        match error.code() {
            Some(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH) => {
                self.put_out(&error, now);
            }
            Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                self.error = Some(error);
                self.try_again(now);
            }
            _ if error.is_retriable() => {
                log::debug!("no heartbeat to the group {}: {error}", self.settings.group);
                self.try_again(now);
            }
            _ => {
                self.forget();
                self.error = Some(explained(error));
            }
        }
    }

    /// Says all again, later: whether it was heard is not known.
    fn try_again(&mut self, now: Instant) {
        self.sent = Sent::default();
        self.failed = self.failed.saturating_add(1);
        self.wait_longer(now);
    }

    /// It is no member any more, and has lost all. It joins at once for the first time; a
    /// coordinator that puts it out each time, if only after it has joined, is waited for.
    fn put_out(&mut self, error: &Error, now: Instant) {
        log::info!("{} is out of the group {}: {error}", self.member_id, self.settings.group);
        self.forget();
        self.failed = self.failed.max(self.fenced);
        if self.failed > 0 {
            self.wait_longer(now);
        }
        self.fenced = self.fenced.saturating_add(1);
        self.failed = self.failed.saturating_add(1);
    }

    fn wait_longer(&mut self, now: Instant) {
        let wait = self.settings.retry_backoff.after(self.failed, &mut self.chance);
        self.next_heartbeat = Some(now + wait);
    }
}

/// By topic, as the coordinator has it.
fn by_id(held: &BTreeMap<TopicPartition, Uuid>) -> Owned {
    let mut owned = Owned::new();
    for (partition, id) in held {
        owned.entry(*id).or_default().insert(partition.partition);
    }
    owned
}

/// As Java's clients have it: the text of a random id.
fn member_id() -> String {
    let random = |_| {
        let halves = [getrandom::u64().ok()?.to_be_bytes(), getrandom::u64().ok()?.to_be_bytes()];
        Uuid::random_v4(halves.concat().try_into().ok()?)
    };
    let mut chance = Chance::new();
    let mut weak = || Uuid::from_u64s(chance.next(), chance.next());
    (0..8).find_map(random).unwrap_or_else(&mut weak).to_string()
}

/// Says what to do about a broker that cannot do what is asked for.
fn explained(error: Error) -> Error {
    if error.kind() != ErrorKind::UnsupportedVersion {
        return error;
    }
    let detail = format!(
        "{}; group.protocol=consumer needs ConsumerGroupHeartbeat, which Kafka has since 4.0: set \
         group.protocol=classic",
        error.detail()
    );
    let explained = Error::new(error.kind(), detail);
    match error.broker() {
        Some(broker) => explained.at(broker),
        None => explained,
    }
}
