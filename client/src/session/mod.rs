//! What producer, consumer and admin have in common: the cluster's metadata, kept fresh, and
//! requests that find their broker and are tried again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;

use crate::chance::Backoff;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Event, Net, Tag, Until};

pub(crate) mod calls;
pub(crate) mod metadata;
pub(crate) mod question;

pub(crate) use calls::{Ask, Calls, Route};
pub(crate) use metadata::Metadata;
pub(crate) use question::question;

/// Settings of a [`Session`]. Names and defaults are those of Kafka's clients.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    /// `bootstrap.servers`: hosts and ports, at least one.
    pub(crate) bootstrap: Vec<(String, u16)>,
    /// `metadata.max.age.ms`.
    pub(crate) metadata_max_age: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub(crate) retry_backoff: Backoff,
    /// `request.timeout.ms`.
    pub(crate) request_timeout: Duration,
    /// Whether to ask for a topic may create it.
    pub(crate) may_create_topics: bool,
    /// How long after it was wanted last a topic is asked for; zero: as long as it is wanted in
    /// each turn.
    pub(crate) topic_idle_max: Duration,
}

/// Metadata and calls.
pub(crate) struct Session {
    pub(crate) metadata: Metadata,
    pub(crate) calls: Calls,
    inbox: Inbox,
}

/// Where other threads leave what they ask for.
pub(crate) type Inbox = Arc<Mutex<VecDeque<(Box<dyn Ask>, Instant)>>>;

impl Session {
    pub(crate) fn new(settings: &SessionSettings) -> Self {
        Self {
            metadata: Metadata::new(settings),
            calls: Calls::new(settings),
            inbox: Inbox::default(),
        }
    }

    /// Where to leave what is to be asked, and until when; then the thread is to be woken.
    pub(crate) fn inbox(&self) -> Inbox {
        Arc::clone(&self.inbox)
    }

    /// Takes an event if it belongs here; else gives it back.
    pub(crate) fn take(&mut self, event: Event, net: &mut dyn Net, now: Instant) -> Option<Event> {
        let Event::Answered { tag, result } = event else {
            // Whatever has changed, the turn that follows looks at it.
            return None;
        };
        let answered = self.metadata.answered((tag, result), net, now)?;
        let (tag, result) = self.calls.answered(answered, &mut self.metadata, net, now)?;
        Some(Event::Answered { tag, result })
    }

    /// Sends what can be sent.
    pub(crate) fn turn(&mut self, net: &mut dyn Net, now: Instant) -> Until {
        loop {
            let asked = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((ask, deadline)) = asked else { break };
            self.calls.ask(ask, deadline, now);
        }
        // Calls may find that they need metadata.
        let calls = self.calls.turn(&mut self.metadata, net, now);
        calls.or(self.metadata.turn(net, now))
    }
}

/// An answer, or why there is none, by the request's tag.
pub(crate) type Answered = (Tag, Result<Answer, Error>);

/// Whether another broker may have to be asked.
pub(crate) fn is_of_metadata(error: &Error) -> bool {
    match error.code() {
        None => error.kind() == ErrorKind::Network,
        Some(code) => is_code_of_metadata(code),
    }
}

/// Whether a code says that another broker may have to be asked.
pub(crate) fn is_code_of_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::INCONSISTENT_TOPIC_ID
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::REPLICA_NOT_AVAILABLE
    )
}

#[cfg(test)]
mod tests;
