//! Starting and stopping: the threads of a server and the order in which they end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::acceptor::{Acceptor, AcceptorHandle};
use crate::config::ServerConfig;
use crate::control::{Control, Core};
use crate::counters::Counters;
use crate::inbox::{DRAIN, FORCE};
use crate::outbound::Outbound;
use crate::pool::FramePool;
use crate::service::Service;
use crate::shared::Shared;

/// How long threads get to see that they are forced to end. They do so at once, unless the service
/// blocks.
const FORCE_GRACE: Duration = Duration::from_millis(500);

/// A running server: one Acceptor, some Processors, some handlers. Dropping it stops it by force.
pub struct Server {
    core: Arc<Core>,
    local_addrs: Vec<SocketAddr>,
    stops: AtomicU32,
    next_outbound: AtomicUsize,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All that was in flight was answered, and all threads have ended.
    Drained,
    /// Connections were cut, but all threads have ended.
    Forced,
    /// Some threads are still in the service and were left behind.
    Stuck {
        /// How many.
        threads: usize,
    },
}

impl Server {
    /// Listens, starts all threads and returns.
    ///
    /// # Errors
    ///
    /// Whatever the system says to binding (with the address in the text), to making a poll or a
    /// thread. Nothing keeps running then.
    pub fn start(config: ServerConfig, service: Arc<dyn Service>) -> io::Result<Server> {
        let (poll, handle) = AcceptorHandle::new()?;
        let shared = Arc::new(Shared::new(&config, service, &handle));
        let acceptor = Acceptor::new(&config, Arc::clone(&shared), (poll, Arc::clone(&handle)))?;
        let server = Server {
            core: Arc::new(Core::new(shared, handle)),
            local_addrs: acceptor.local_addrs()?,
            stops: AtomicU32::new(0),
            next_outbound: AtomicUsize::new(0),
        };
        server.core.set_handlers(config.handlers)?;
        server.core.set_processors(config.processors)?;
        let run = move || acceptor.run();
        server.core.running.spawn("acceptor".to_owned(), |t| &mut t.acceptors, run)?;
        Ok(server)
    }

    /// A handle that changes the server's limits and the number of its threads.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.core))
    }

    /// Where it listens, in the order of the configuration.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.core.shared.counters
    }

    /// The memory that requests hold.
    pub fn pool(&self) -> &FramePool {
        &self.core.shared.pool
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.core.shared.roster.connections()
    }

    /// Requests that wait for a handler now.
    pub fn queue_depth(&self) -> usize {
        self.core.shared.channel.depth()
    }

    /// Opens a connection to another server, on one of the Processors. Returns at once; whether it
    /// was made shows in the answers.
    ///
    /// # Errors
    ///
    /// When the system refuses at once, for lack of descriptors say.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<Outbound> {
        let stream = TcpStream::connect(peer)?;
        stream.set_nodelay(true)?;
        let key = self.next_outbound.fetch_add(1, Ordering::Relaxed);
        let members = self.core.shared.roster.lock();
        let inbox = Arc::clone(&members.active[key % members.active.len()]);
        drop(members);
        Ok(Outbound::new(inbox, key, stream))
    }

    /// Stops: accepts nothing more, closes connections without a request in flight, waits until the
    /// others are answered and their answers sent, for `deadline` at most, then closes what is
    /// left and ends all threads. A second call, from another thread, makes the first one wait
    /// no longer. On a stopped server it only waits for threads that were left behind.
    pub fn stop(&self, deadline: Duration) -> Stopped {
        let Core { shared, acceptor, running, .. } = &*self.core;
        if self.stops.fetch_add(1, Ordering::SeqCst) > 0 {
            running.change(|threads| threads.forced = true);
        }
        let until = Instant::now() + deadline;
        let cuts = running.now().cuts;
        acceptor.stop();
        // The Acceptor first: else it could give a connection to a Processor that has ended.
        running.wait(until, |threads| threads.acceptors == 0 || threads.forced);
        shared.roster.stop(DRAIN);
        let drained = running.wait(until, |threads| threads.processors == 0 || threads.forced);
        // A second stop may have ended them before this thread could look.
        let drained = drained.processors == 0 && drained.cuts == cuts;
        if !drained {
            running.change(|threads| threads.cuts += 1);
            shared.roster.stop(FORCE);
        }
        shared.channel.close(!drained);
        let grace = Instant::now() + FORCE_GRACE;
        let until = if drained { until.max(grace) } else { grace };
        let left = running.wait(until, |threads| threads.all() == 0);
        shared.pool.unsubscribe_all();
        match left.all() {
            0 if drained => Stopped::Drained,
            0 => Stopped::Forced,
            threads => Stopped::Stuck { threads },
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addrs", &self.local_addrs).finish_non_exhaustive()
    }
}
