//! What all clients of a run share: the broker's address, the history, when to pause and to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use ottla_check::event::{Event, Place, Policy, Topic, TopicId, What};

use super::wire::Connection;

/// A port at which nothing listens.
const NOBODY: u16 = 1;

/// A topic of the load, with the name that some requests want.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) topic: Topic,
    /// Bytes of padding in a value are below this.
    pub(crate) padding_bytes: u64,
}

impl Target {
    /// Its partitions.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let topic = self.topic.id;
        (0..self.topic.partitions).map(move |partition| Place { topic, partition })
    }

    /// The modulus of its keys, if it is compacted.
    pub(crate) fn keys(&self) -> Option<u64> {
        match self.topic.policy {
            Policy::Compact { keys } => Some(keys),
            _ => None,
        }
    }
}

/// Shared by all threads of a run.
pub(crate) struct Shared {
    pub(crate) address: SocketAddr,
    /// Tells this run's records from others'.
    pub(crate) run: u64,
    start: Instant,
    history: Mutex<Vec<Event>>,
    /// What went wrong that no event tells.
    complaints: Mutex<Vec<String>>,
    /// Held by each attempt, and by the harness alone while it changes the world.
    gate: RwLock<()>,
    stop: AtomicBool,
    /// Attempts that were answered.
    pub(crate) answered: AtomicU64,
    /// Records that were acknowledged.
    pub(crate) acked: AtomicU64,
    /// Those of them that real clients sent.
    pub(crate) relayed: AtomicU64,
    next_client: AtomicU64,
}

impl Shared {
    pub(crate) fn new(address: SocketAddr, run: u64) -> Arc<Shared> {
        Arc::new(Shared {
            address,
            run,
            start: Instant::now(),
            history: Mutex::new(Vec::new()),
            complaints: Mutex::new(Vec::new()),
            gate: RwLock::new(()),
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            relayed: AtomicU64::new(0),
            next_client: AtomicU64::new(1),
        })
    }

    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn note(&self, event: Event) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Notes what the harness did or saw just now.
    pub(crate) fn note_now(&self, what: What) {
        let now_ns = self.now_ns();
        self.note(Event { began_ns: now_ns, ended_ns: now_ns, client: 0, what });
    }

    /// Gives out the history so far.
    pub(crate) fn with_history<T>(&self, look: impl FnOnce(&mut Vec<Event>) -> T) -> T {
        look(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn complain(&self, text: String) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn take_complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs something while no client attempts anything.
    pub(crate) fn alone<T>(&self, run: impl FnOnce() -> T) -> T {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        run()
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// How an attempt ended.
pub(crate) enum Attempt<T> {
    /// Nothing was sent.
    NotSent,
    /// Something was, and no answer came.
    Broken(Times),
    /// It was answered.
    Answered(Times, T),
}

/// When an attempt began and ended, ns.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
}

/// A client: its connection, which it opens again when it breaks.
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: u32,
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    /// A client with a number of its own.
    pub(crate) fn new(shared: &Arc<Shared>) -> Client {
        let id = shared.next_client.fetch_add(1, Ordering::Relaxed);
        let id = u32::try_from(id).unwrap_or(0);
        Client { shared: shared.clone(), id, address: shared.address, connection: None }
    }

    /// A client that never gets a connection.
    pub(crate) fn cut_off(shared: &Arc<Shared>) -> Client {
        Client { address: SocketAddr::from(([127, 0, 0, 1], NOBODY)), ..Client::new(shared) }
    }

    /// Runs a conversation on the connection. What fails in it breaks the connection.
    pub(crate) fn attempt<T>(
        &mut self,
        talk: impl FnOnce(&mut Connection) -> io::Result<T>,
    ) -> Attempt<T> {
        let shared = self.shared.clone();
        let gate = shared.gate.read().unwrap_or_else(PoisonError::into_inner);
        if self.connection.is_none() {
            self.connection = Connection::open(self.address).ok();
        }
        let Some(connection) = &mut self.connection else {
            drop(gate);
            thread::sleep(Duration::from_millis(2));
            return Attempt::NotSent;
        };
        let began_ns = shared.now_ns();
        let result = talk(connection);
        let times = Times { began_ns, ended_ns: shared.now_ns() };
        match result {
            Ok(answer) => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
                Attempt::Answered(times, answer)
            }
            Err(_) => {
                self.connection = None;
                drop(gate);
                thread::sleep(Duration::from_millis(1));
                Attempt::Broken(times)
            }
        }
    }

    /// Attempts it until it is answered, or the limit has passed.
    pub(crate) fn insist<T>(
        &mut self,
        limit: Duration,
        mut talk: impl FnMut(&mut Connection) -> io::Result<T>,
    ) -> Option<(Times, T)> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Attempt::Answered(times, answer) = self.attempt(&mut talk) {
                return Some((times, answer));
            }
        }
        None
    }

    pub(crate) fn note(&self, times: Times, what: What) {
        let Times { began_ns, ended_ns } = times;
        self.shared.note(Event { began_ns, ended_ns, client: self.id, what });
    }

    /// Notes that it is to get on from now on.
    pub(crate) fn start(&self) {
        let now_ns = self.shared.now_ns();
        self.note(Times { began_ns: now_ns, ended_ns: now_ns }, What::Started);
    }

    /// Notes that nothing more is to be expected from this client.
    pub(crate) fn retire(&self) {
        let now_ns = self.shared.now_ns();
        self.note(Times { began_ns: now_ns, ended_ns: now_ns }, What::Stopped);
    }
}

/// The checker's form of an id.
pub(crate) fn topic_id(id: ottla_protocol::uuid::Uuid) -> TopicId {
    TopicId(*id.as_bytes())
}

/// The protocol's form of an id.
pub(crate) fn uuid(id: TopicId) -> ottla_protocol::uuid::Uuid {
    ottla_protocol::uuid::Uuid::from_bytes(id.0)
}
