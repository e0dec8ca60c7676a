//! What can be changed while a server runs: the number of its threads, and its limits.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::acceptor::AcceptorHandle;
use crate::processor::Processor;
use crate::shared::Shared;
use crate::threads::Running;

/// Changes a running server, from any thread. Cheap to clone, and outlives the server: on a stopped
/// one it changes nothing. See [`ServerConfig`](crate::ServerConfig) for what each setting means.
///
/// Everything acts at once, under load too: no request is lost or overtaken, and no connection is
/// closed but those that [`Control::set_connections_max`] and [`Control::set_idle_max`] name.
#[derive(Clone)]
pub struct Control {
    core: Arc<Core>,
}

/// What a server and its controls share.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) acceptor: Arc<AcceptorHandle>,
    pub(crate) running: Arc<Running>,
    threads_named: AtomicUsize,
}

impl Control {
    pub(crate) fn new(core: Arc<Core>) -> Control {
        Control { core }
    }

    /// Threads that run the service, or will when those that are to end have (`num.io.threads`).
    pub fn handlers(&self) -> usize {
        self.core.shared.channel.handlers()
    }

    /// Threads that own connections, without those that hand theirs over (`num.network.threads`).
    pub fn processors(&self) -> usize {
        self.core.shared.roster.lock().active.len()
    }

    /// Has `handlers` threads run the service, at least 1. Returns at once: a thread that is one
    /// too many ends after the request that it is in.
    ///
    /// # Errors
    /// The system refuses a thread. Those started until then stay.
    pub fn set_handlers(&self, handlers: usize) -> io::Result<()> {
        self.core.set_handlers(handlers)
    }

    /// Has `processors` threads own the connections, at least 1. Returns at once. New threads get
    /// new connections; those that are too many hand theirs over and end. A connection whose
    /// request is with the service goes too, and its answer follows it.
    ///
    /// # Errors
    /// The system refuses a thread or its descriptors. Those started until then stay.
    pub fn set_processors(&self, processors: usize) -> io::Result<()> {
        self.core.set_processors(processors)
    }

    /// Limits the connections of all listeners (`max.connections`). If there are more now, those
    /// longest unused are closed, as Kafka does, but none of the brokers' listener.
    pub fn set_connections_max(&self, connections_max: usize) {
        self.core.shared.quota.set(|quota, _| quota.set_connections_max(connections_max));
        self.core.shared.roster.wake_all();
    }

    /// Limits the connections of one listener, by its place in the configuration
    /// (`listener.name.x.max.connections`). If there are more now, they stay.
    pub fn set_listener_connections_max(&self, listener: usize, connections_max: usize) {
        let set = |quota: &mut crate::quota::Quota, _| {
            quota.set_listener_connections_max(listener, connections_max);
        };
        self.core.shared.quota.set(set);
    }

    /// Limits the connections from one address (`max.connections.per.ip`). If there are more now,
    /// they stay.
    pub fn set_connections_per_ip_max(&self, connections_max: usize) {
        self.core.shared.quota.set(|quota, _| quota.set_per_ip_max(connections_max));
    }

    /// Replaces all exceptions from it (`max.connections.per.ip.overrides`).
    pub fn set_connections_per_ip_overrides(&self, overrides: &HashMap<IpAddr, usize>) {
        self.core.shared.quota.set(|quota, _| quota.set_per_ip_overrides(overrides));
    }

    /// Limits the connections accepted per second (`max.connection.creation.rate`).
    pub fn set_connection_rate_max(&self, per_second: u32) {
        self.core.shared.quota.set(|quota, now_ns| quota.set_rate(per_second, now_ns));
    }

    /// Limits those of one listener, by its place in the configuration
    /// (`listener.name.x.max.connection.creation.rate`).
    pub fn set_listener_connection_rate_max(&self, listener: usize, per_second: u32) {
        let set = |quota: &mut crate::quota::Quota, now_ns| {
            quota.set_listener_rate(listener, per_second, now_ns);
        };
        self.core.shared.quota.set(set);
    }

    /// How long a connection may be idle (`connections.max.idle.ms`).
    pub fn set_idle_max(&self, idle_max: Duration) {
        self.core.shared.set_idle_max(idle_max);
        self.core.shared.roster.wake_all();
    }

    /// The longest request, bytes (`socket.request.max.bytes`). A longer one that has begun costs
    /// its connection.
    pub fn set_frame_bytes_max(&self, bytes: u32) {
        self.core.shared.set_frame_bytes_max(bytes);
    }

    /// What all requests in memory may hold together, bytes (`queued.max.request.bytes`). What
    /// they hold beyond it now, they keep until they are answered.
    pub fn set_request_bytes_max(&self, bytes: u64) {
        self.core.shared.pool.set_budget(bytes);
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("handlers", &self.handlers())
            .field("processors", &self.processors())
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, acceptor: Arc<AcceptorHandle>) -> Core {
        Core { shared, acceptor, running: Arc::default(), threads_named: AtomicUsize::new(0) }
    }

    pub(crate) fn set_handlers(&self, handlers: usize) -> io::Result<()> {
        let to_start = self.shared.channel.set_handlers(handlers);
        for left in (1..=to_start).rev() {
            let shared = Arc::clone(&self.shared);
            let name = self.name("handler");
            let result = self.running.spawn(name, |t| &mut t.handlers, move || handle(&shared));
            if result.is_err() {
                self.shared.channel.not_started(left);
                return result;
            }
        }
        Ok(())
    }

    pub(crate) fn set_processors(&self, processors: usize) -> io::Result<()> {
        let mut members = self.shared.roster.lock();
        if members.stopped {
            return Ok(());
        }
        members.retire_beyond(processors);
        while members.active.len() < processors.max(1) {
            let processor = Processor::new(Arc::clone(&self.shared))?;
            let inbox = processor.inbox();
            let name = self.name("processor");
            self.running.spawn(name, |t| &mut t.processors, move || processor.run())?;
            members.active.push(inbox);
        }
        Ok(())
    }

    fn name(&self, role: &str) -> String {
        format!("{role}-{}", self.threads_named.fetch_add(1, Ordering::Relaxed))
    }
}

/// A handler thread.
fn handle(shared: &Shared) {
    let mut calls = VecDeque::new();
    while shared.channel.take(&mut calls, |request| shared.service.may_run_inline(request)) {
        calls.drain(..).for_each(|call| shared.serve(call));
    }
}
