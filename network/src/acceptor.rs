//! The thread that accepts connections, applies the limits on their number, and gives them to the
//! Processors.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};

use crate::config::ServerConfig;
use crate::counters::CloseReason;
use crate::log_limit::LogLimit;
use crate::quota::{Admission, QuotaSlot};
use crate::service::Connection;
use crate::shared::Shared;

/// How long accepting rests when the process has no descriptor even to refuse with.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The token of the waker; listeners have their place in the configuration.
const WAKER: Token = Token(usize::MAX);

/// A connection on its way to its Processor.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) facts: Connection,
    pub(crate) slot: QuotaSlot,
}

/// What the Acceptor thread works with.
pub(crate) struct Acceptor {
    poll: Poll,
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    handle: Arc<AcceptorHandle>,
    /// A descriptor to give up when there are none, so that a connection can be taken and closed.
    reserve: Option<OwnedFd>,
    next_id: u64,
    log_limit: LogLimit,
}

/// How other threads stop the Acceptor, or make it look again whether it may accept.
#[derive(Debug)]
pub(crate) struct AcceptorHandle {
    stop: AtomicBool,
    waker: Waker,
}

impl AcceptorHandle {
    /// A handle, and the poll that it wakes.
    pub(crate) fn new() -> io::Result<(Poll, Arc<AcceptorHandle>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok((poll, Arc::new(AcceptorHandle { stop: AtomicBool::new(false), waker })))
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the acceptor cannot be woken: {error}");
        }
    }
}

impl Acceptor {
    /// Binds the listeners. `poll` is the one that `handle` wakes.
    pub(crate) fn new(
        config: &ServerConfig,
        shared: Arc<Shared>,
        (poll, handle): (Poll, Arc<AcceptorHandle>),
    ) -> io::Result<Acceptor> {
        let mut listeners = Vec::new();
        for (at, address) in config.listeners.iter().enumerate() {
            let mut listener = bind_listener(*address, config)
                .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
            poll.registry().register(&mut listener, Token(at), Interest::READABLE)?;
            listeners.push(listener);
        }
        Ok(Acceptor {
            poll,
            listeners,
            shared,
            handle,
            reserve: reserve_descriptor(),
            next_id: 1,
            log_limit: LogLimit::default(),
        })
    }

    pub(crate) fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    /// Accepts until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut timeout = None;
        loop {
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    log::error!("accepting connections ends: {error}");
                    return;
                }
                _ => (),
            }
            if self.handle.stop.load(Ordering::SeqCst) {
                return;
            }
            // All of them, whatever the events say: an edge that came while descriptors were
            // short, or a limit was reached, does not come again.
            let rests: Vec<_> = (0..self.listeners.len()).map(|at| self.drain(at)).collect();
            timeout = rests.into_iter().flatten().min();
        }
    }

    /// Accepts what waits at one listener and may come in. Tells for how long to rest when some
    /// had to be left that nobody will wake this thread for.
    fn drain(&mut self, listener: usize) -> Option<Duration> {
        while !self.handle.stop.load(Ordering::SeqCst) {
            match self.shared.quota.admission(listener) {
                Admission::Now => (),
                Admission::WhenOneEnds => return None,
                Admission::At(at_ns) => {
                    let rest_ns = at_ns.saturating_sub(self.shared.quota.now_ns());
                    // Whole milliseconds, rounded up: a shorter wait would only spin.
                    return Some(Duration::from_millis(rest_ns / 1_000_000 + 1));
                }
            }
            match self.listeners[listener].accept() {
                Ok((stream, peer)) => self.admit(stream, peer, listener),
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::EAGAIN => return None,
                    Errno::EMFILE | Errno::ENFILE => {
                        if !self.refuse_for_descriptors(listener) {
                            return Some(BACK_OFF);
                        }
                    }
                    Errno::ENOBUFS | Errno::ENOMEM => return Some(BACK_OFF),
                    Errno::EINTR => (),
                    // The peer or the way to it was gone before it was accepted: not our trouble.
                    Errno::ECONNABORTED
                    | Errno::EPERM
                    | Errno::EPROTO
                    | Errno::ETIMEDOUT
                    | Errno::ENETDOWN
                    | Errno::ENETUNREACH
                    | Errno::EHOSTDOWN
                    | Errno::EHOSTUNREACH => {
                        self.warn(&format!("a connection was lost while accepting: {error}"));
                    }
                    _ => {
                        self.warn(&format!("connections cannot be accepted: {error}"));
                        return Some(BACK_OFF);
                    }
                },
            }
        }
        None
    }

    fn admit(&mut self, stream: TcpStream, mut peer: SocketAddr, listener: usize) {
        // A listener for both IP versions reports IPv4 hosts by addresses that are mapped.
        peer.set_ip(peer.ip().to_canonical());
        let shared = &self.shared;
        let Ok(slot) = shared.quota.enter(peer.ip(), listener) else {
            shared.counters.close(CloseReason::ConnectionsPerIpMax);
            return self.warn(&format!("connection from {peer} refused: its address has too many"));
        };
        let facts = Connection { id: self.next_id, peer, listener };
        self.next_id += 1;
        shared.counters.accepted.one();
        shared.roster.accepted(Accepted { stream, facts, slot });
        if 0 < shared.quota.excess() {
            shared.roster.wake_all();
        }
    }

    /// Closes one waiting connection with the reserved descriptor, so that its peer learns of it
    /// and the listener does not report it again and again. False when even that is not possible.
    fn refuse_for_descriptors(&mut self, listener: usize) -> bool {
        self.warn("no file descriptors are left: new connections are closed");
        if self.reserve.take().is_none() {
            self.reserve = reserve_descriptor();
            return false;
        }
        let refused = self.listeners[listener].accept();
        let was_possible = match &refused {
            Ok(_) => {
                self.shared.counters.close(CloseReason::Descriptors);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        drop(refused);
        self.reserve = reserve_descriptor();
        was_possible && self.reserve.is_some()
    }

    fn warn(&self, text: &str) {
        self.log_limit.warn(text);
    }
}

fn reserve_descriptor() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}

/// A socket listening at `address`. What is set on it, its connections inherit.
fn bind_listener(address: SocketAddr, config: &ServerConfig) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    // A response is written whole; waiting for more to fill a segment would only delay it.
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    if let Some(bytes) = config.send_buffer_bytes {
        setsockopt(&socket, sockopt::SndBuf, &bytes)?;
    }
    if let Some(bytes) = config.receive_buffer_bytes {
        setsockopt(&socket, sockopt::RcvBuf, &bytes)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    let most = i32::from(Backlog::MAXCONN);
    let backlog = i32::try_from(config.backlog).map_or(most, |backlog| backlog.clamp(1, most));
    listen(&socket, Backlog::new(backlog)?)?;
    Ok(TcpListener::from_std(StdTcpListener::from(socket)))
}
