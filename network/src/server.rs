//! Starting and stopping: the threads of a server and the order in which they end.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::acceptor::{Acceptor, AcceptorHandle};
use crate::channel::RequestChannel;
use crate::config::ServerConfig;
use crate::counters::Counters;
use crate::inbox::{DRAIN, FORCE, Inbox};
use crate::outbound::Outbound;
use crate::pool::FramePool;
use crate::processor::{Processor, Shared};
use crate::service::Service;

/// How long threads get to see that they are forced to end. They do so at once, unless the service
/// blocks.
const FORCE_GRACE: Duration = Duration::from_millis(500);

/// A running server: one Acceptor, some Processors, some handlers. Dropping it stops it by force.
pub struct Server {
    shared: Arc<Shared>,
    acceptor: Arc<AcceptorHandle>,
    processors: Vec<Arc<Inbox>>,
    local_addrs: Vec<SocketAddr>,
    running: Arc<Running>,
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

/// Counts the threads that run, so that a stop can wait for them with a deadline.
#[derive(Default)]
struct Running {
    threads: Mutex<Threads>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Threads {
    acceptors: usize,
    processors: usize,
    handlers: usize,
    /// A second stop wants the first to wait no longer.
    forced: bool,
}

impl Server {
    /// Listens, starts all threads and returns.
    ///
    /// # Errors
    ///
    /// Whatever the system says to binding (with the address in the text), to making a poll or a
    /// thread. Nothing keeps running then.
    pub fn start(config: ServerConfig, service: Arc<dyn Service>) -> io::Result<Server> {
        let counters = Arc::new(Counters::default());
        let handlers = config.handlers.max(1);
        let shared = Arc::new(Shared {
            service,
            channel: RequestChannel::new(config.requests_max, handlers, Arc::clone(&counters)),
            pool: FramePool::new(config.request_bytes_max),
            counters: Arc::clone(&counters),
            inline: config.inline,
            frame_bytes_max: config.frame_bytes_max.min(i32::MAX as u32),
            idle_ms: u64::try_from(config.idle_max.as_millis()).unwrap_or(u64::MAX),
        });
        let processors: Vec<Processor> = (0..config.processors.max(1))
            .map(|_| Processor::new(Arc::clone(&shared)))
            .collect::<io::Result<_>>()?;
        let inboxes: Vec<Arc<Inbox>> = processors.iter().map(Processor::inbox).collect();
        for inbox in &inboxes {
            let inbox = Arc::clone(inbox);
            shared.pool.subscribe(Box::new(move || inbox.wake()));
        }
        let acceptor = Acceptor::new(&config, inboxes.clone(), counters)?;
        let server = Server {
            acceptor: acceptor.handle(),
            local_addrs: acceptor.local_addrs()?,
            processors: inboxes,
            running: Arc::default(),
            stops: AtomicU32::new(0),
            next_outbound: AtomicUsize::new(0),
            shared,
        };
        for at in 0..handlers {
            let shared = Arc::clone(&server.shared);
            server.spawn(format!("handler-{at}"), |t| &mut t.handlers, move || handle(&shared))?;
        }
        for (at, processor) in processors.into_iter().enumerate() {
            let run = move || processor.run();
            server.spawn(format!("processor-{at}"), |t| &mut t.processors, run)?;
        }
        server.spawn("acceptor".to_owned(), |t| &mut t.acceptors, move || acceptor.run())?;
        Ok(server)
    }

    /// Where it listens, in the order of the configuration.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The memory that requests hold.
    pub fn pool(&self) -> &FramePool {
        &self.shared.pool
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.processors.iter().map(|inbox| inbox.connections.load(Ordering::Relaxed)).sum()
    }

    /// Requests that wait for a handler now.
    pub fn queue_depth(&self) -> usize {
        self.shared.channel.depth()
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
        let inbox = Arc::clone(&self.processors[key % self.processors.len()]);
        Ok(Outbound::new(inbox, key, stream))
    }

    /// Stops: accepts nothing more, closes connections without a request in flight, waits until the
    /// others are answered and their answers sent, for `deadline` at most, then closes what is
    /// left and ends all threads. A second call, from another thread, makes the first one wait
    /// no longer. On a stopped server it only waits for threads that were left behind.
    pub fn stop(&self, deadline: Duration) -> Stopped {
        if self.stops.fetch_add(1, Ordering::SeqCst) > 0 {
            self.running.change(|threads| threads.forced = true);
        }
        let until = Instant::now() + deadline;
        self.acceptor.stop();
        // The Acceptor first: else it could give a connection to a Processor that has ended.
        self.running.wait(until, |threads| threads.acceptors == 0 || threads.forced);
        self.processors.iter().for_each(|inbox| inbox.stop(DRAIN));
        let drained = self.running.wait(until, |threads| threads.processors == 0 || threads.forced);
        let drained = drained.processors == 0;
        if !drained {
            self.processors.iter().for_each(|inbox| inbox.stop(FORCE));
        }
        self.shared.channel.close(!drained);
        let grace = Instant::now() + FORCE_GRACE;
        let until = if drained { until.max(grace) } else { grace };
        let left = self.running.wait(until, |threads| threads.all() == 0);
        self.shared.pool.unsubscribe_all();
        match left.all() {
            0 if drained => Stopped::Drained,
            0 => Stopped::Forced,
            threads => Stopped::Stuck { threads },
        }
    }

    fn spawn(
        &self,
        name: String,
        count: fn(&mut Threads) -> &mut usize,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.running.change(|threads| *count(threads) += 1);
        let running = Arc::clone(&self.running);
        let result = thread::Builder::new().name(name).spawn(move || {
            let _ended = Ended { running, count };
            run();
        });
        if result.is_err() {
            self.running.change(|threads| *count(threads) -= 1);
        }
        result.map(drop)
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

/// A handler thread.
fn handle(shared: &Shared) {
    let mut calls = VecDeque::new();
    while shared.channel.take(&mut calls) {
        calls.drain(..).for_each(|call| shared.serve(call));
    }
}

/// Counts a thread out, however it ends.
struct Ended {
    running: Arc<Running>,
    count: fn(&mut Threads) -> &mut usize,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.running.change(|threads| *(self.count)(threads) -= 1);
    }
}

impl Threads {
    fn all(&self) -> usize {
        self.acceptors + self.processors + self.handlers
    }
}

impl Running {
    fn change(&self, change: impl FnOnce(&mut Threads)) {
        change(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until `done` or the deadline; tells what it is like then.
    fn wait(&self, until: Instant, done: impl Fn(&Threads) -> bool) -> Threads {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while !done(&threads) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(threads, left);
            threads = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *threads
    }
}
