//! Connections that this process opens to others, on the same Processors: requests out, answers in,
//! matched by their order as on every connection of the protocol.
//!
//! The state is pure ([`Exchange`]); [`Outbounds`] moves the bytes. Answers have memory of their
//! own: were they to wait for the memory of requests, a request that waits for such an answer would
//! wait forever.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::counters::Counters;
use crate::frame::FrameReader;
use crate::inbox::Inbox;
use crate::peer::Tools;
use crate::pool::{Frame, FramePool};
use crate::response::{Chunk, Outgoing, Response};
use crate::sendfile::{Scratch, Sent, send_some};

/// Tokens from here on are outbound connections; the waker's is the very last.
pub(crate) const OUTBOUND_TOKENS: usize = 1 << 62;
/// Requests on one connection that wait for their answers, at most.
const WAITING_MAX: usize = 64;

/// A connection to another server, from [`Server::connect`](crate::Server::connect). May be used
/// from any thread. Dropping it closes the connection.
pub struct Outbound {
    inbox: Arc<Inbox>,
    key: usize,
    waiting: Arc<AtomicUsize>,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundError {
    /// 64 requests wait for their answers already. This one was not sent.
    Full,
    /// It is longer than a length prefix can say. It was not sent.
    TooLong,
    /// The connection could not be made, or has ended. The request may have been served or not.
    Closed,
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OutboundError::Full => "too many requests wait for their answers",
            OutboundError::TooLong => "the request exceeds 2 GiB",
            OutboundError::Closed => "the connection is closed",
        })
    }
}

impl std::error::Error for OutboundError {}

impl Outbound {
    pub(crate) fn new(inbox: Arc<Inbox>, key: usize, stream: TcpStream) -> Outbound {
        inbox.command(Command::Open { key, stream });
        Outbound { inbox, key, waiting: Arc::default() }
    }

    /// Sends a request, also while the connection is still being made. `answered` is called exactly
    /// once, usually on a Processor's thread: it must not block.
    pub fn send(
        &self,
        request: Vec<Chunk>,
        answered: impl FnOnce(Result<Frame, OutboundError>) + Send + 'static,
    ) {
        let Some(outgoing) = Outgoing::new(Response { chunks: request }) else {
            return answered(Err(OutboundError::TooLong));
        };
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return answered(Err(OutboundError::Full));
        }
        let count = Arc::clone(&self.waiting);
        let waiting = Waiting { answered: Some(Box::new(answered)), count };
        self.inbox.command(Command::Send { key: self.key, outgoing, waiting });
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.inbox.command(Command::Close { key: self.key });
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What the handle tells its Processor.
pub(crate) enum Command {
    Open {
        key: usize,
        stream: TcpStream,
    },
    /// Another Processor had it.
    Adopt {
        key: usize,
        peer: Box<Peer>,
    },
    Send {
        key: usize,
        outgoing: Outgoing,
        waiting: Waiting,
    },
    Close {
        key: usize,
    },
}

/// Somebody who waits for an answer, and is told in any case.
pub(crate) struct Waiting {
    answered: Option<Answered>,
    count: Arc<AtomicUsize>,
}

type Answered = Box<dyn FnOnce(Result<Frame, OutboundError>) + Send>;

impl Waiting {
    fn tell(mut self, answer: Result<Frame, OutboundError>) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        if let Some(answered) = self.answered.take() {
            answered(answer);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(answered) = self.answered.take() {
            self.count.fetch_sub(1, Ordering::AcqRel);
            answered(Err(OutboundError::Closed));
        }
    }
}

/// What is under way on one connection.
struct Exchange {
    reader: FrameReader,
    /// Requests not yet written whole.
    queue: VecDeque<Outgoing>,
    /// One for each request without an answer, in their order.
    waiting: VecDeque<Waiting>,
}

/// The peer has sent what it must not: a bad length, or an answer that nobody waits for.
#[derive(Debug)]
struct Unexpected;

impl Exchange {
    /// `len` bytes came; gives the answers that are whole to those who wait.
    fn filled(&mut self, len: usize) -> Result<(), Unexpected> {
        self.reader.filled(len);
        while let Some(frame) = self.reader.next_frame().map_err(|_| Unexpected)? {
            let unsent = self.queue.len();
            if self.waiting.len() <= unsent {
                return Err(Unexpected);
            }
            let waiting = self.waiting.pop_front().ok_or(Unexpected)?;
            waiting.tell(Ok(frame));
        }
        Ok(())
    }
}

/// One outbound connection with its socket.
pub(crate) struct Peer {
    stream: TcpStream,
    exchange: Exchange,
    connected: bool,
    readable: bool,
    writable: bool,
    read_closed: bool,
}

/// The outbound connections of one Processor.
pub(crate) struct Outbounds {
    peers: HashMap<usize, Peer>,
    frame_bytes_max: u32,
    pool: FramePool,
}

impl Outbounds {
    pub(crate) fn new(frame_bytes_max: u32) -> Outbounds {
        Outbounds { peers: HashMap::new(), frame_bytes_max, pool: FramePool::new(u64::MAX) }
    }

    /// Does what a handle wants.
    pub(crate) fn obey(&mut self, command: Command, registry: &Registry, tools: &mut Tools<'_>) {
        match command {
            Command::Open { key, mut stream } => {
                let token = Token(OUTBOUND_TOKENS + key);
                let interest = Interest::READABLE | Interest::WRITABLE;
                if let Err(error) = registry.register(&mut stream, token, interest) {
                    return tools.log_limit.warn(&format!("an outbound connection: {error}"));
                }
                let exchange = Exchange {
                    reader: FrameReader::new(self.frame_bytes_max),
                    queue: VecDeque::new(),
                    waiting: VecDeque::new(),
                };
                let peer = Peer {
                    stream,
                    exchange,
                    connected: false,
                    readable: false,
                    writable: false,
                    read_closed: false,
                };
                self.peers.insert(key, peer);
            }
            Command::Adopt { key, mut peer } => {
                let token = Token(OUTBOUND_TOKENS + key);
                let interest = Interest::READABLE | Interest::WRITABLE;
                if let Err(error) = registry.register(&mut peer.stream, token, interest) {
                    return tools.log_limit.warn(&format!("an outbound connection: {error}"));
                }
                self.peers.insert(key, *peer);
                self.drive(key, tools);
            }
            Command::Send { key, outgoing, waiting } => {
                // Without a peer the one who waits is told by being dropped.
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.exchange.queue.push_back(outgoing);
                    peer.exchange.waiting.push_back(waiting);
                    self.drive(key, tools);
                }
            }
            Command::Close { key } => drop(self.peers.remove(&key)),
        }
    }

    /// Gives all connections away, as commands for another Processor.
    pub(crate) fn give_away(&mut self, registry: &Registry) -> Vec<Command> {
        let give = |(key, mut peer): (usize, Peer)| {
            if let Err(error) = registry.deregister(&mut peer.stream) {
                log::debug!("deregistering outbound connection {key}: {error}");
            }
            Command::Adopt { key, peer: Box::new(peer) }
        };
        self.peers.drain().map(give).collect()
    }

    /// Acts on what the poll said.
    pub(crate) fn note(&mut self, event: &mio::event::Event, tools: &mut Tools<'_>) {
        let key = event.token().0 - OUTBOUND_TOKENS;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let broken = event.is_error();
        peer.readable |= event.is_readable() || event.is_read_closed() || broken;
        peer.writable |= event.is_writable() || broken;
        peer.read_closed |= event.is_read_closed() || broken;
        self.drive(key, tools);
    }

    /// Writes and reads; a connection that fails is dropped, and so are those who wait on it.
    fn drive(&mut self, key: usize, tools: &mut Tools<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let result = peer.drive(&self.pool, tools);
        if let Err(error) = result {
            log::debug!("outbound connection {key} ends: {error}");
            self.peers.remove(&key);
        }
    }
}

impl Peer {
    fn drive(&mut self, pool: &FramePool, tools: &mut Tools<'_>) -> io::Result<()> {
        if !self.connected {
            if !self.writable {
                return Ok(());
            }
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            self.connected = true;
        }
        let written = self.write(tools.scratch, tools.counters);
        tools.scratch.forget();
        written?;
        self.read(pool, tools.counters)
    }

    fn write(&mut self, scratch: &mut Scratch, counters: &Counters) -> io::Result<()> {
        while let Some(out) = self.exchange.queue.front_mut() {
            if out.is_done() {
                self.exchange.queue.pop_front();
                continue;
            }
            if !self.writable {
                return Ok(());
            }
            if send_some(&self.stream, out, scratch, counters)? == Sent::Blocked {
                self.writable = false;
            }
        }
        Ok(())
    }

    fn read(&mut self, pool: &FramePool, counters: &Counters) -> io::Result<()> {
        while self.readable {
            let space = self.exchange.reader.space(pool).expect("this pool has no limit");
            let room = space.len();
            counters.read.one();
            match (&self.stream).read(space) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    counters.bytes_in.add(len as u64);
                    self.readable = len == room || self.read_closed;
                    let filled = self.exchange.filled(len);
                    filled.map_err(|Unexpected| io::ErrorKind::InvalidData)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        self.exchange.reader.settle();
        Ok(())
    }
}
