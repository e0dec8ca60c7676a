//! Connections to brokers, as state machines and one thread that serves them.
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | answers out of a stream of bytes |
//! | [`versions`] | which requests a broker serves |
//! | [`link`] | one connection: requests out, answers in, matched by their order |
//! | [`socket`] | sockets as the settings want them |
//! | [`reactor`] | the thread: sockets, names, attempts to connect |
//!
//! What a client does is a [`Driver`]: it is called whenever something has happened, and sees the
//! connections as a [`Net`], which tests make without any.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::header::ResponseHeader;
use ottla_protocol::messages::Request;
use ottla_protocol::wire::{Encoded, Message, Reader, WriteError, Writer};

use crate::error::{Error, ErrorKind};

pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod reactor;
pub(crate) mod socket;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod versions;

pub(crate) use versions::Versions;

/// A server that requests are sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    /// The n-th address of `bootstrap.servers`.
    Bootstrap(usize),
    /// A broker by its id, at the address that metadata has told.
    Broker(i32),
    /// The same broker as the coordinator of something, over a connection of its own: an answer
    /// that waits for the other members of a group would hold up all that is behind it.
    Coordinator(i32),
}

/// Which request an answer belongs to; each is another one.
pub(crate) type Tag = u64;

/// The connections, as a [`Driver`] sees them.
pub(crate) trait Net {
    /// Says where a node is. When it was elsewhere before, its connection is closed.
    fn locate(&mut self, node: Node, host: &str, port: u16);

    /// Forgets the nodes that are not to be kept, but for those with a connection: a broker that
    /// metadata does not mention for a moment may still answer.
    fn forget_unless(&mut self, is_kept: &dyn Fn(Node) -> bool);

    /// Whether the node can be sent a request now. If it has no connection, one is begun, unless
    /// the last attempt was too short a time ago.
    fn ready(&mut self, node: Node, now: Instant) -> Readiness;

    /// Whether the node is ready, without beginning anything.
    fn is_ready(&self, node: Node) -> bool;

    /// Sends a request to a node that is ready. Its answer, or that there is none, comes as an
    /// [`Event`].
    fn send(&mut self, node: Node, request: Outgoing, now: Instant) -> Tag;

    /// Requests to the node that have no answer yet.
    fn in_flight(&self, node: Node) -> usize;

    /// What the node is called: `1 (localhost:9092)`.
    fn name(&self, node: Node) -> String;

    /// Why the node has no connection; `None` when it has one, or none was tried.
    fn last_error(&self, node: Node) -> Option<Error>;

    /// What has happened.
    fn next_event(&mut self) -> Option<Event>;
}

/// Whether a node can be sent a request.
#[derive(Clone, Debug)]
pub(crate) enum Readiness {
    /// Yes, these ones.
    Ready(Arc<Versions>),
    /// Not yet: a connection is being made, and an [`Event::Changed`] follows.
    Connecting,
    /// Not before this time, because the last attempt failed.
    NotBefore(Instant),
}

/// What has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request has its answer, or will never have one.
    Answered { tag: Tag, result: Result<Answer, Error> },
    /// A node became ready, or lost its connection.
    Changed,
}

/// What a client does, on its thread.
pub(crate) trait Driver: Send + 'static {
    /// Takes all events, does what can be done by now, and says when there is something to do
    /// although nothing has happened. `None`: it has ended, and is not called any more.
    fn turn(&mut self, net: &mut dyn Net, now: Instant) -> Option<Until>;
}

/// How long a [`Driver`] has nothing to do, unless something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until then.
    Time(Instant),
    /// For ever.
    Event,
}

impl Until {
    /// The earlier one.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => Self::Time(one.min(other)),
            (Self::Time(time), Self::Event) | (Self::Event, Self::Time(time)) => Self::Time(time),
            (Self::Event, Self::Event) => Self::Event,
        }
    }
}

impl From<Option<Instant>> for Until {
    fn from(time: Option<Instant>) -> Self {
        time.map_or(Self::Event, Self::Time)
    }
}

/// Milliseconds as requests have them.
pub(crate) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    /// The body. The token of a splice is a place in `parts`.
    pub(crate) body: Encoded,
    /// Bytes that are sent from where they lie.
    pub(crate) parts: Vec<Arc<Vec<u8>>>,
    /// How long the answer may take. The connection is closed when it takes longer, since answers
    /// behind it would too.
    pub(crate) timeout: Duration,
    /// Whether there is an answer: there is none to a Produce request with acks=0.
    pub(crate) is_answered: bool,
}

impl Outgoing {
    /// A request in this version.
    pub(crate) fn new<'a, R: Request<'a>>(
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Self, WriteError> {
        let mut writer = Writer::new();
        request.encode(&mut writer, version)?;
        Ok(Self {
            api: R::API_KEY,
            version,
            body: writer.finish(),
            parts: Vec::new(),
            timeout,
            is_answered: true,
        })
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    version: i16,
    frame: Vec<u8>,
    /// Where its body begins.
    body: usize,
}

impl Answer {
    /// The frame of an answer to a request of this kind and version, and its correlation id.
    pub(crate) fn new((api, version): (ApiKey, i16), frame: Vec<u8>) -> Result<(Self, i32), Error> {
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::read(&mut reader, api, version);
        let body = frame.len() - reader.remaining().len();
        match header {
            Ok(header) => Ok((Self { version, frame, body }, header.correlation_id)),
            Err(error) => Err(Error::new(ErrorKind::Malformed, format!("{}: {error}", api.name()))),
        }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when it is none.
    pub(crate) fn read<'a, M: Message<'a>>(&'a self) -> Result<M, Error> {
        M::from_bytes(self.body(), self.version)
            .map_err(|error| Error::new(ErrorKind::Malformed, format!("{}: {error}", M::NAME)))
    }

    /// The bytes of the body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.frame[self.body..]
    }

    /// All of its bytes.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// All of its bytes, to be kept.
    pub(crate) fn into_frame(self) -> Vec<u8> {
        self.frame
    }

    /// The version of request and answer.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }
}
