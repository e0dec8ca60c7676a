//! One connection with its socket: moves bytes between the socket and the pure state.

use std::io::{self, Read};

use mio::net::TcpStream;

use crate::acceptor::Accepted;
use crate::connection::{AnswerError, ConnectionState};
use crate::counters::{CloseReason, Counters};
use crate::frame::FrameError;
use crate::log_limit::LogLimit;
use crate::pool::{Frame, FramePool};
use crate::quota::QuotaSlot;
use crate::sendfile::{Scratch, Sent, send_some};
use crate::service::{Answer, Connection};

/// What one connection may read, and may write, in one turn, bytes; then others have theirs.
const TURN_BYTES: u64 = 1024 * 1024;
/// What is read and thrown away before a connection is closed on purpose, bytes: closing with
/// unread bytes would reset the connection and could cost the peer its last answer.
const DISCARD_BYTES_MAX: usize = 256 * 1024;

/// A connection that a Processor owns.
pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) facts: Connection,
    pub(crate) state: ConnectionState,
    /// When a byte moved last, ms since the server's start.
    pub(crate) active_ms: u64,
    /// It is on the list of connections to be driven.
    pub(crate) listed: bool,
    /// It is on the list of those that may be shrunk.
    pub(crate) mid_frame_listed: bool,
    /// It is on the list of those that wait for request memory.
    pub(crate) starved_listed: bool,
    readable: bool,
    writable: bool,
    /// The kernel has told that the peer sends nothing more: then a short read is not the last.
    read_closed: bool,
    pub(crate) quota: QuotaSlot,
}

/// An idle connection costs this, its descriptor and a timer, and no buffer.
const _: () = assert!(size_of::<Peer>() <= 512);

/// What a Processor lends to its connections.
pub(crate) struct Tools<'a> {
    pub(crate) pool: &'a FramePool,
    pub(crate) counters: &'a Counters,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) log_limit: &'a LogLimit,
    pub(crate) now_ms: u64,
    pub(crate) frame_bytes_max: u32,
}

/// What came of driving a connection.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    /// A request for the service.
    pub(crate) request: Option<Frame>,
    /// There is more to do at once.
    pub(crate) again: bool,
    /// It waits for request memory.
    pub(crate) starved: bool,
}

impl Peer {
    pub(crate) fn new(accepted: Accepted, frame_bytes_max: u32, now_ms: u64) -> Peer {
        Peer {
            stream: accepted.stream,
            facts: accepted.facts,
            state: ConnectionState::new(frame_bytes_max),
            active_ms: now_ms,
            listed: false,
            mid_frame_listed: false,
            starved_listed: false,
            readable: false,
            writable: true,
            read_closed: false,
            quota: accepted.slot,
        }
    }

    /// Makes a connection that another Processor had ready to be driven by this one. Its marks
    /// stay: the new poll tells of edges from now on, and again of what is so already.
    pub(crate) fn arrive(&mut self) {
        self.listed = false;
        self.mid_frame_listed = false;
        self.starved_listed = false;
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Notes what the poll said. Edges: a mark stays until the socket would block.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
        self.read_closed |= event.is_read_closed() || event.is_error();
    }

    /// Takes the service's answer.
    pub(crate) fn answer(&mut self, answer: Answer, now_ms: u64) -> Result<(), CloseReason> {
        self.active_ms = now_ms;
        self.state.answer(answer).map_err(|error| match error {
            AnswerError::Close => CloseReason::Service,
            AnswerError::TooLong => {
                log::error!("the response to {} exceeds 2 GiB", self.facts.peer);
                CloseReason::Response
            }
        })
    }

    /// Writes, takes a request, reads, as far as state and socket allow.
    pub(crate) fn drive(&mut self, tools: &mut Tools<'_>) -> Result<Driven, CloseReason> {
        let mut driven = Driven { again: self.write(tools)?, ..Driven::default() };
        driven.request = self.take_request(tools)?;
        self.read(tools, &mut driven)?;
        if driven.request.is_none() {
            driven.request = self.take_request(tools)?;
        }
        if self.state.is_finished() {
            return Err(CloseReason::Peer);
        }
        Ok(driven)
    }

    fn take_request(&mut self, tools: &Tools<'_>) -> Result<Option<Frame>, CloseReason> {
        self.state.take_request().map_err(|error| self.bad_length(error, tools))
    }

    /// True when the turn's share was used up.
    fn write(&mut self, tools: &mut Tools<'_>) -> Result<bool, CloseReason> {
        let mut left = TURN_BYTES;
        while let Some(out) = self.state.outgoing() {
            if out.is_done() {
                self.state.sent();
                tools.counters.responses.one();
                continue;
            }
            if !self.writable {
                return Ok(false);
            }
            if left == 0 {
                return Ok(true);
            }
            match send_some(&self.stream, out, tools.scratch, tools.counters) {
                Ok(Sent::Bytes(len)) => {
                    self.active_ms = tools.now_ms;
                    left = left.saturating_sub(len);
                }
                Ok(Sent::Blocked) => self.writable = false,
                Err(error) if is_file_error(&error) => {
                    let peer = self.facts.peer;
                    log::error!("the response to {peer} cannot be read from its file: {error}");
                    return Err(CloseReason::Response);
                }
                Err(_) => return Err(CloseReason::Peer),
            }
        }
        Ok(false)
    }

    fn read(&mut self, tools: &mut Tools<'_>, driven: &mut Driven) -> Result<(), CloseReason> {
        let mut left = TURN_BYTES;
        self.state.set_frame_bytes_max(tools.frame_bytes_max);
        while self.readable && self.state.wants_read() {
            if left == 0 {
                driven.again = true;
                return Ok(());
            }
            let Some(space) = self.state.space(tools.pool) else {
                driven.starved = true;
                return Ok(());
            };
            let room = space.len();
            tools.counters.read.one();
            match (&self.stream).read(space) {
                Ok(0) => self.state.end(),
                Ok(len) => {
                    tools.counters.bytes_in.add(len as u64);
                    self.active_ms = tools.now_ms;
                    left = left.saturating_sub(len as u64);
                    // A short read has emptied the socket; new bytes make a new edge. Saves the
                    // call that would only say so.
                    self.readable = len == room || self.read_closed;
                    self.state.filled(len).map_err(|error| self.bad_length(error, tools))?;
                    if driven.request.is_none() {
                        driven.request = self.take_request(tools)?;
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.readable = false,
                    io::ErrorKind::Interrupted => (),
                    _ => return Err(CloseReason::Peer),
                },
            }
        }
        if !self.readable {
            self.state.drained();
        }
        Ok(())
    }

    fn bad_length(&self, error: FrameError, tools: &Tools<'_>) -> CloseReason {
        tools.log_limit.warn(&format!("connection from {} closed: {error}", self.facts.peer));
        CloseReason::FrameLength
    }

    /// Empties the socket before a wanted close, as far as that is quickly done.
    pub(crate) fn discard_input(&mut self, scratch: &mut [u8]) {
        let mut discarded = 0;
        while discarded < DISCARD_BYTES_MAX {
            match (&self.stream).read(scratch) {
                Ok(0) | Err(_) => return,
                Ok(len) => discarded += len,
            }
        }
    }
}

/// Tells a fault of the file from one of the socket: the latter are about connections.
fn is_file_error(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
