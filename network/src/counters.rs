//! What a server counts, so that system calls and wake-ups per request can be told.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts events; may be read at any time from any thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The events so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed, or the connection broke.
    Peer,
    /// Nothing went over it for [`idle_max`](crate::ServerConfig::idle_max).
    Idle,
    /// A length prefix was negative or beyond the limit.
    FrameLength,
    /// The service asked for it, or dropped its reply.
    Service,
    /// A file region or a whole response was not what was promised.
    Response,
    /// [`connections_max`](crate::ServerConfig::connections_max) was lowered, and this was the
    /// connection longest unused; or it had to make room for the brokers' listener.
    ConnectionsMax,
    /// Over [`connections_per_ip_max`](crate::ServerConfig::connections_per_ip_max).
    ConnectionsPerIpMax,
    /// The process has no file descriptors left.
    Descriptors,
    /// It held request memory without getting on while others waited for memory.
    Memory,
    /// The server stops.
    Stop,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [CloseReason; 10] = [
        CloseReason::Peer,
        CloseReason::Idle,
        CloseReason::FrameLength,
        CloseReason::Service,
        CloseReason::Response,
        CloseReason::ConnectionsMax,
        CloseReason::ConnectionsPerIpMax,
        CloseReason::Descriptors,
        CloseReason::Memory,
        CloseReason::Stop,
    ];
}

/// The counters of one server.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted and kept.
    pub accepted: Counter,
    closed: [Counter; CloseReason::ALL.len()],
    /// Requests given to the service.
    pub requests: Counter,
    /// Of those, how many ran on a Processor's own thread.
    pub requests_inline: Counter,
    /// Responses written whole.
    pub responses: Counter,
    /// Panics of the service that were caught.
    pub panics: Counter,
    /// Turns in which a Processor found the request queue full.
    pub queue_full: Counter,
    /// Handler threads woken.
    pub handler_wakeups: Counter,
    /// Processors woken by an answer, a new connection or free memory.
    pub processor_wakeups: Counter,
    /// System calls: `epoll_wait`.
    pub epoll_wait: Counter,
    /// System calls: `recv`.
    pub read: Counter,
    /// System calls: `sendmsg`, which writes many pieces at once.
    pub writev: Counter,
    /// System calls: `sendfile`.
    pub sendfile: Counter,
    /// System calls: `pread` of small file regions.
    pub pread: Counter,
    /// Bytes received.
    pub bytes_in: Counter,
    /// Bytes sent.
    pub bytes_out: Counter,
}

impl Counters {
    /// Connections closed for `reason`.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize].get()
    }

    /// Connections closed for any reason, those refused included.
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().map(Counter::get).sum()
    }

    /// System calls that moved or awaited data, and wake-ups, which are one each.
    pub fn syscalls(&self) -> u64 {
        let calls = [&self.epoll_wait, &self.read, &self.writev, &self.sendfile, &self.pread];
        let wakeups = [&self.handler_wakeups, &self.processor_wakeups];
        calls.into_iter().chain(wakeups).map(Counter::get).sum()
    }

    pub(crate) fn close(&self, reason: CloseReason) {
        self.closed[reason as usize].one();
    }
}
