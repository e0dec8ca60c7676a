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
use crate::counters::{CloseReason, Counters};
use crate::inbox::Inbox;
use crate::log_limit::LogLimit;
use crate::quota::{ConnectionQuota, QuotaSlot};
use crate::service::Connection;

/// How long accepting rests when the process has no descriptor even to refuse with.
const BACK_OFF: Duration = Duration::from_millis(100);

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
    processors: Vec<Arc<Inbox>>,
    quota: ConnectionQuota,
    counters: Arc<Counters>,
    handle: Arc<AcceptorHandle>,
    /// A descriptor to give up when there are none, so that a connection can be taken and closed.
    reserve: Option<OwnedFd>,
    next_id: u64,
    log_limit: LogLimit,
}

/// How other threads stop the Acceptor.
pub(crate) struct AcceptorHandle {
    stop: AtomicBool,
    waker: Waker,
}

impl AcceptorHandle {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Err(error) = self.waker.wake() {
            log::error!("the acceptor cannot be woken: {error}");
        }
    }
}

impl Acceptor {
    pub(crate) fn new(
        config: &ServerConfig,
        processors: Vec<Arc<Inbox>>,
        counters: Arc<Counters>,
    ) -> io::Result<Acceptor> {
        let poll = Poll::new()?;
        let mut listeners = Vec::new();
        for (at, address) in config.listeners.iter().enumerate() {
            let mut listener = bind_listener(*address, config)
                .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
            poll.registry().register(&mut listener, Token(at), Interest::READABLE)?;
            listeners.push(listener);
        }
        let waker = Waker::new(poll.registry(), Token(listeners.len()))?;
        Ok(Acceptor {
            poll,
            listeners,
            processors,
            quota: ConnectionQuota::new(config),
            counters,
            handle: Arc::new(AcceptorHandle { stop: AtomicBool::new(false), waker }),
            reserve: reserve_descriptor(),
            next_id: 1,
            log_limit: LogLimit::default(),
        })
    }

    pub(crate) fn handle(&self) -> Arc<AcceptorHandle> {
        Arc::clone(&self.handle)
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
            // short does not come again.
            timeout = None;
            for listener in 0..self.listeners.len() {
                if !self.drain(listener) {
                    timeout = Some(BACK_OFF);
                }
            }
        }
    }

    /// Accepts what waits at one listener. False when some had to be left.
    fn drain(&mut self, listener: usize) -> bool {
        while !self.handle.stop.load(Ordering::SeqCst) {
            match self.listeners[listener].accept() {
                Ok((stream, peer)) => self.admit(stream, peer, listener),
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::EAGAIN => return true,
                    Errno::EMFILE | Errno::ENFILE => {
                        if !self.refuse_for_descriptors(listener) {
                            return false;
                        }
                    }
                    Errno::ENOBUFS | Errno::ENOMEM => return false,
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
                        return false;
                    }
                },
            }
        }
        true
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, listener: usize) {
        let slot = match self.quota.enter(peer.ip()) {
            Ok(slot) => slot,
            Err(reason) => {
                self.counters.close(reason);
                return self.warn(&format!("connection from {peer} refused: {reason:?} reached"));
            }
        };
        let facts = Connection { id: self.next_id, peer, listener };
        self.next_id += 1;
        self.counters.accepted.one();
        let owner = self
            .processors
            .iter()
            .min_by_key(|inbox| inbox.connections.load(Ordering::Relaxed))
            .expect("a server has a processor");
        owner.accepted(Accepted { stream, facts, slot });
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
                self.counters.close(CloseReason::Descriptors);
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
