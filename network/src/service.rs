//! The border to what requests mean: [`Service`] gets a [`Request`] and answers through a
//! [`Reply`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::inbox::{Answers, Inbox};
use crate::pool::Frame;
use crate::response::Response;

/// What the server serves: a plain function that does not know which thread runs it.
pub trait Service: Send + Sync {
    /// Handles one request. It may block on a disk write, and on nothing else: whatever else takes
    /// time keeps the reply and completes it later, from any thread.
    ///
    /// The next request of the same connection is handed over when this one is answered. A panic
    /// in here closes the connection, where panics unwind.
    fn call(&self, request: Request, reply: Reply);

    /// Whether a Processor may run this request itself, should the policy allow it. Say no to what
    /// takes long: the Processor's other connections would wait. A handler that takes several
    /// requests at a time runs such a one last. It is asked under a lock, so look at the first
    /// bytes and no more.
    fn may_run_inline(&self, request: &Request) -> bool {
        let _ = request;
        true
    }
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// The bytes behind the length prefix.
    pub frame: Frame,
    /// Where it came from.
    pub connection: Connection,
}

/// Facts about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Unique in the life of the server, from 1.
    pub id: u64,
    /// The other side. An IPv4 host has its IPv4 address, however the listener was reached.
    pub peer: SocketAddr,
    /// Which of [`ServerConfig::listeners`](crate::ServerConfig::listeners) accepted it.
    pub listener: usize,
}

/// How a request was answered.
#[derive(Debug)]
pub enum Answer {
    /// With these chunks.
    Response(Response),
    /// Not at all, and the connection goes on: produce with acks=0.
    Nothing,
    /// Not at all, and the connection is to be closed.
    Close,
}

/// The one answer to one request, to be given now or later, from any thread. Dropped without an
/// answer it closes the connection, so that no client waits forever.
///
/// Nothing tells a service that the client has gone meanwhile: the answer to a connection that is
/// closed is dropped, which costs about as much as to leave it with the Processor. A client that
/// only shuts its sending side down still gets its answer, so the connection counts until then.
///
/// Completed one by one, thousands of replies wake their Processors some dozens of times, because
/// most find them awake (5,000 from one thread: 16 to 251 wake-ups, measured on 2 busy cores).
/// [`Reply::send_all`] wakes each once.
pub struct Reply {
    target: Option<Target>,
}

enum Target {
    Connection { inbox: Arc<Inbox>, address: Address },
    Function(Box<dyn FnOnce(Answer) + Send>),
}

/// Which connection of a Processor an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Where the Processor keeps it.
    pub(crate) slot: usize,
    /// [`Connection::id`]: the slot may have a new tenant meanwhile.
    pub(crate) id: u64,
}

/// The slot of a connection that was handed over since.
const MOVED: usize = usize::MAX;

impl Address {
    /// The address under which another Processor knows this connection: by its id alone.
    pub(crate) fn moved(self) -> Address {
        Address { slot: MOVED, ..self }
    }

    pub(crate) fn is_moved(self) -> bool {
        self.slot == MOVED
    }
}

impl Reply {
    /// A reply that is given to `answered`: to call a service without a socket.
    pub fn detached(answered: impl FnOnce(Answer) + Send + 'static) -> Reply {
        Reply { target: Some(Target::Function(Box::new(answered))) }
    }

    pub(crate) fn new(inbox: Arc<Inbox>, address: Address) -> Reply {
        Reply { target: Some(Target::Connection { inbox, address }) }
    }

    /// Answers with `response`.
    pub fn send(self, response: Response) {
        self.complete(Answer::Response(response));
    }

    /// Answers many requests, as one thread that completes a whole group does. Each Processor is
    /// told of its answers at once, and woken once at most.
    pub fn send_all(answers: impl IntoIterator<Item = (Reply, Response)>) {
        let mut left = Answers::default();
        for (mut reply, response) in answers {
            let answer = Answer::Response(response);
            match reply.target.take() {
                Some(Target::Connection { inbox, address }) => left.add(inbox, address, answer),
                Some(target) => target.complete(answer),
                None => (),
            }
        }
        left.leave();
    }

    /// Lets the connection go on without an answer, as produce with acks=0 wants it.
    pub fn nothing(self) {
        self.complete(Answer::Nothing);
    }

    /// Closes the connection.
    pub fn close(self) {
        self.complete(Answer::Close);
    }

    fn complete(mut self, answer: Answer) {
        if let Some(target) = self.target.take() {
            target.complete(answer);
        }
    }
}

impl Target {
    fn complete(self, answer: Answer) {
        match self {
            Target::Connection { inbox, address } => inbox.answer(address, answer),
            Target::Function(answered) => answered(answer),
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(target) = self.target.take() {
            target.complete(Answer::Close);
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(Target::Connection { address, .. }) => write!(f, "Reply(to {})", address.id),
            _ => f.write_str("Reply(detached)"),
        }
    }
}
