//! Membership in a group: who has which partitions.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | what the settings say about it |
//! | [`assignor`] | who gets which partition, as the leader of a classic group works it out |
//! | [`protocol`] | subscriptions and assignments as bytes |
//! | [`holding`] | what a member has, and what its user's thread is to do about it |
//! | [`pattern`] | topics by a regular expression |
//! | [`classic`] | a member of a classic group: join, sync, heartbeat |
//! | [`requests`] | what it asks its coordinator |
//! | [`next_gen`] | a member of a group of KIP-848, whose coordinator assigns |
//!
//! Heartbeats, joining and leaving are done on the client's thread. Partitions come and go only
//! where the user looks, in a poll: what is to be done there is a [`Step`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::net::Until;
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Session;

mod assignor;
mod classic;
mod holding;
mod next_gen;
mod pattern;
mod protocol;
mod requests;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use settings::{GroupSettings, Protocol};

use classic::Classic;
use next_gen::NextGen;

/// What a member wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Nothing: it is no member.
    #[default]
    None,
    /// These topics.
    Topics(BTreeSet<Arc<str>>),
    /// The topics whose whole name a regular expression matches.
    Pattern(String),
}

/// What the user's thread is to do with partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To give them up: commit, tell the listener, and read them no more.
    Revoke(Vec<TopicPartition>),
    /// They are gone, others may have them already: tell the listener, without a commit.
    Lost(Vec<TopicPartition>),
    /// To take them, beside those that are there: begin at what is committed, then tell the
    /// listener. There may be none: it is told all the same that the group has a new assignment.
    Assign(Vec<TopicPartition>),
}

/// Who a member is, for commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) member_id: String,
    /// The generation, or the member's epoch.
    pub(crate) generation_or_epoch: i32,
    pub(crate) instance_id: Option<String>,
}

/// A member of a group, or who could be one.
pub(crate) struct Membership {
    settings: Arc<GroupSettings>,
    member: Member,
    /// When the user looked last.
    polled: Option<Instant>,
    /// Whether the user is looking.
    is_polling: bool,
}

enum Member {
    Classic(Box<Classic>),
    NextGen(Box<NextGen>),
}

macro_rules! each {
    ($self:expr, $member:ident => $do:expr) => {
        match $self {
            Member::Classic($member) => $do,
            Member::NextGen($member) => $do,
        }
    };
}

impl Membership {
    pub(crate) fn new(settings: GroupSettings) -> Self {
        let settings = Arc::new(settings);
        let member = match settings.protocol {
            Protocol::Classic(_) => Member::Classic(Box::new(Classic::new(Arc::clone(&settings)))),
            Protocol::Consumer { .. } => {
                Member::NextGen(Box::new(NextGen::new(Arc::clone(&settings))))
            }
        };
        Self { settings, member, polled: None, is_polling: false }
    }

    /// Wants something else from now on. Who wants nothing leaves the group, when the steps that
    /// come of it are done.
    ///
    /// # Errors
    /// A regular expression that is none.
    pub(crate) fn subscribe(&mut self, interest: Interest) -> Result<(), Error> {
        each!(&mut self.member, member => member.subscribe(interest))
    }

    /// Notes that the user looks, and whether it goes on to. Who does not within
    /// `max.poll.interval.ms` leaves the group.
    pub(crate) fn polled(&mut self, is_polling: bool, now: Instant) {
        self.polled = Some(now);
        self.is_polling = is_polling;
    }

    /// Whether there is a step to be done, or an error to be told.
    pub(crate) fn needs_user(&self) -> bool {
        each!(&self.member, member => member.has_error() || member.due().is_some())
    }

    /// What the user's thread is to do now. It is the same until [`Self::step_done`].
    pub(crate) fn step(&mut self) -> Option<Step> {
        each!(&mut self.member, member => member.step())
    }

    /// The step was done. The client's thread is to be woken then.
    pub(crate) fn step_done(&mut self) {
        each!(&mut self.member, member => member.step_done());
    }

    /// Does what can be done by now, and says when there is more to do. The session's turn has to
    /// come after it, since this asks for things.
    pub(crate) fn turn(&mut self, session: &mut Session, now: Instant) -> Until {
        let until = self.polled.map(|polled| polled + self.settings.max_poll_interval);
        let until = until.filter(|until| *until > now && !self.is_polling);
        let is_polled = self.is_polling || until.is_some();
        let next = each!(&mut self.member, member => member.turn(session, is_polled, now));
        next.or(until.into())
    }

    /// Who the member is; `None` when it is none now.
    pub(crate) fn identity(&self) -> Option<Identity> {
        each!(&self.member, member => member.identity())
    }

    /// What the user is to be told. One that is fatal is there again at the next call, others pass
    /// or come up anew when what they are about is tried again.
    pub(crate) fn error(&mut self) -> Option<Error> {
        each!(&mut self.member, member => member.error())
    }

    /// Leaves for good, without steps: whoever closes a consumer has done before what is to be done
    /// with its partitions.
    pub(crate) fn leave(&mut self) {
        each!(&mut self.member, member => member.leave());
    }

    /// Whether, after [`Self::leave`], there is nothing more to wait for.
    pub(crate) fn has_left(&self) -> bool {
        each!(&self.member, member => member.has_left())
    }
}

/// The result, when there is one.
fn taken<T>(asked: &mut Option<Pending<T>>) -> Option<Result<T, Error>> {
    asked.take_if(|asked| asked.is_done()).map(Pending::wait)
}
