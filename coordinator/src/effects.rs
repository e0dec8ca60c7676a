//! What an event leads to.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

use crate::record::Record;

/// Names a request that may wait for its answer. Every ticket given to a shard is answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What is to be done, and what to answer.
///
/// The order: `write` is appended; then the shard's `complete` is called, and what that leads to is
/// done; only then `response` is sent, or when the write failed an answer with the error that it
/// led to. `answers` do not depend on the write.
#[derive(Debug)]
#[must_use]
pub struct Effects<R = ()> {
    /// What to append, if anything.
    pub write: Option<Write>,
    /// The answer to the request at hand.
    pub response: R,
    /// Answers to requests that waited.
    pub answers: Vec<(Ticket, Answer)>,
}

impl<R> Effects<R> {
    /// Nothing but an answer.
    pub fn response(response: R) -> Self {
        Self { write: None, response, answers: Vec::new() }
    }

    /// The same with another answer.
    pub fn map<T>(self, to: impl FnOnce(R) -> T) -> Effects<T> {
        Effects { write: self.write, response: to(self.response), answers: self.answers }
    }
}

/// Records to append to the shard's partition as one batch: all or none.
#[derive(Debug)]
#[must_use]
pub struct Write {
    /// The records, at least one.
    pub records: Vec<Record>,
    /// What the shard does about it afterwards.
    pub then: Then,
}

/// What the shard does when its records are in the log, or could not be put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// They are replayed; if they could not be written, nothing has happened.
    Replay,
    /// A classic group, which was ahead of its records, goes on or goes back.
    Classic(Arc<str>),
    /// A consumer group becomes a classic one; if it could not be written, nothing has happened.
    Downgrade {
        /// The group's id.
        group: Arc<str>,
        /// Whether its members must join again at once.
        rebalance: bool,
    },
}

/// An answer to a request that waited.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To JoinGroup.
    Join(JoinAnswer),
    /// To SyncGroup.
    Sync(SyncAnswer),
}

/// An answer to JoinGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinAnswer {
    /// What went wrong, or NONE.
    pub error: ErrorCode,
    /// The generation; -1 for none.
    pub generation: i32,
    /// What the group is for.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that was chosen.
    pub protocol: Option<Arc<str>>,
    /// The leader's member id; empty for none.
    pub leader: Arc<str>,
    /// Whether the leader shall not make an assignment this time.
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: Arc<str>,
    /// The members, for the leader only.
    pub members: Vec<JoinedMember>,
}

/// A member, as its leader is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its own lasting name, if it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// Its subscription in the protocol that was chosen.
    pub metadata: Arc<[u8]>,
}

impl JoinAnswer {
    /// A refusal, which names `member_id` back to the client.
    pub fn refusal(error: ErrorCode, member_id: &str) -> Self {
        Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id: Arc::from(member_id),
            members: Vec::new(),
        }
    }
}

/// An answer to SyncGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncAnswer {
    /// What went wrong, or NONE.
    pub error: ErrorCode,
    /// What the group is for.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that was chosen.
    pub protocol: Option<Arc<str>>,
    /// The member's assignment; empty when there is none.
    pub assignment: Arc<[u8]>,
}

impl SyncAnswer {
    /// A refusal.
    pub fn refusal(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol: None, assignment: Arc::from([].as_slice()) }
    }
}

/// What a group answers when its records could not be appended, as Kafka does.
pub fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::REQUEST_TIMED_OUT => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::MESSAGE_TOO_LARGE
        | ErrorCode::RECORD_LIST_TOO_LARGE
        | ErrorCode::INVALID_FETCH_SIZE => ErrorCode::UNKNOWN_SERVER_ERROR,
        other => other,
    }
}
