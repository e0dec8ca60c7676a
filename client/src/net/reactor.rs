//! The thread of a client: sockets, names, attempts to connect. No rule of the protocol is here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::link::Link;
use super::socket::{self, SocketBuffers};
use super::{Driver, Event, Net, Node, Outgoing, Readiness, Tag, Until};
use crate::chance::{Backoff, Chance};
use crate::error::{Error, ErrorKind};

const WAKER: Token = Token(usize::MAX);
/// Readiness that is taken from the system at once.
const EVENTS_MAX: usize = 256;

/// How connections are made and kept. Names and defaults are those of Kafka's clients.
#[derive(Clone, Debug)]
pub(crate) struct NetSettings {
    pub(crate) client_id: Arc<str>,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
    pub(crate) reconnect_backoff: Backoff,
    /// `socket.connection.setup.timeout.ms` and `socket.connection.setup.timeout.max.ms`.
    pub(crate) setup_timeout: Backoff,
    /// `connections.max.idle.ms`; `None` for never.
    pub(crate) idle_max: Option<Duration>,
    /// `receive.message.max.bytes`: an answer may have as many bytes.
    pub(crate) frame_bytes_max: usize,
    pub(crate) socket_buffers: SocketBuffers,
}

/// Wakes a [`Driver`] from other threads, and waits for its end.
#[derive(Debug)]
pub(crate) struct Handle {
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Has the driver called soon.
    pub(crate) fn wake(&self) {
        // It fails for want of kernel memory; the driver's own deadlines come all the same.
        if let Err(error) = self.waker.wake() {
            log::warn!("the client's thread cannot be woken: {error}");
        }
    }

    /// Waits for the driver's end, unless the driver's own thread asks.
    pub(crate) fn join(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            log::error!("the client's thread panicked");
        }
    }
}

/// Starts a thread that serves the driver's connections.
///
/// # Errors
/// The system has no more threads or descriptors.
pub(crate) fn spawn(
    name: &str,
    settings: NetSettings,
    mut driver: impl Driver,
) -> Result<Handle, Error> {
    let start = || -> io::Result<Handle> {
        let mut reactor = Reactor::new(settings)?;
        let waker = Arc::clone(&reactor.waker);
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || reactor.run(&mut driver))?;
        Ok(Handle { waker, thread: Some(thread) })
    };
    start().map_err(|error| {
        Error::new(ErrorKind::Network, format!("the client's thread cannot be started: {error}"))
    })
}

struct Reactor {
    poll: Poll,
    waker: Arc<Waker>,
    settings: NetSettings,
    places: HashMap<Node, Place>,
    /// Whose socket a token stands for. Each connection has a new one.
    tokens: HashMap<Token, Node>,
    next_token: usize,
    events: VecDeque<Event>,
    next_tag: Tag,
    /// Connections that something was sent to since they were last written to.
    unwritten: Vec<Node>,
    found: (Sender<Found>, Receiver<Found>),
    chance: Chance,
}

/// A node, and the connection to it.
struct Place {
    host: String,
    port: u16,
    state: State,
    /// Attempts in a row that failed.
    failed: u32,
    last_error: Option<Error>,
    /// Addresses that are still to be tried.
    addresses: VecDeque<SocketAddr>,
}

enum State {
    Idle { not_before: Option<Instant> },
    Resolving,
    Opening { token: Token, stream: TcpStream, until: Instant },
    Open { token: Token, link: Box<Link<TcpStream>> },
}

/// What became of a name.
struct Found {
    node: Node,
    host: String,
    addresses: io::Result<Vec<SocketAddr>>,
}

impl Reactor {
    fn new(settings: NetSettings) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            waker,
            settings,
            places: HashMap::new(),
            tokens: HashMap::new(),
            next_token: 0,
            events: VecDeque::new(),
            next_tag: 0,
            unwritten: Vec::new(),
            found: mpsc::channel(),
            chance: Chance::new(),
        })
    }

    fn run(&mut self, driver: &mut impl Driver) {
        let mut ready = Events::with_capacity(EVENTS_MAX);
        loop {
            let Some(until) = driver.turn(self, Instant::now()) else { return };
            self.write_all(Instant::now());
            if !self.events.is_empty() {
                // A connection that ended while it was written to: the driver is to know first.
                continue;
            }
            let until = until.or(self.earliest_deadline().into());
            let timeout = match until {
                // A little late rather than many times too early.
                Until::Time(time) => Some(
                    time.saturating_duration_since(Instant::now()) + Duration::from_micros(100),
                ),
                Until::Event => None,
            };
            match self.poll.poll(&mut ready, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::error!("the client's thread ends: {error}");
                    return;
                }
            }
            let now = Instant::now();
            for event in &ready {
                if let Some(&node) = self.tokens.get(&event.token()) {
                    self.serve(node, event.token(), now);
                }
            }
            while let Ok(found) = self.found.1.try_recv() {
                self.resolved(found, now);
            }
            self.end_late(now);
        }
    }

    /// Writes and reads what the socket lets.
    fn serve(&mut self, node: Node, of: Token, now: Instant) {
        let Some(place) = self.places.get_mut(&node) else { return };
        let served = match &mut place.state {
            State::Open { token, link } if *token == of => {
                link.write(now).and_then(|()| link.read(&mut self.events, now))
            }
            State::Opening { token, stream, .. } if *token == of => {
                match socket::is_connected(stream) {
                    Ok(true) => return self.begin(node, now),
                    Ok(false) => return,
                    Err(error) => return self.attempt_failed(node, &error, now),
                }
            }
            _ => return,
        };
        if let Err(error) = served {
            self.lost(node, &error, now);
        }
    }

    fn write_all(&mut self, now: Instant) {
        for node in std::mem::take(&mut self.unwritten) {
            let Some(Place { state: State::Open { link, .. }, .. }) = self.places.get_mut(&node)
            else {
                continue;
            };
            if let Err(error) = link.write(now) {
                self.lost(node, &error, now);
            }
        }
    }

    /// Ends what has taken too long, or was not used for long.
    fn end_late(&mut self, now: Instant) {
        let idle_max = self.settings.idle_max;
        let mut late = Vec::new();
        for (&node, place) in &self.places {
            match &place.state {
                State::Opening { until, .. } if *until <= now => late.push((node, None)),
                State::Open { link, .. } => {
                    if let Some(error) = link.overdue(now) {
                        late.push((node, Some(error)));
                    } else if link.waiting() == 0
                        && idle_max.is_some_and(|max| link.last_used() + max <= now)
                    {
                        late.push((node, None));
                    }
                }
                _ => {}
            }
        }
        for (node, error) in late {
            match (error, &self.places[&node].state) {
                (Some(error), _) => self.lost(node, &error, now),
                (None, State::Open { .. }) => self.close(node),
                (None, _) => self.attempt_failed(node, &io::ErrorKind::TimedOut.into(), now),
            }
        }
    }

    fn earliest_deadline(&self) -> Option<Instant> {
        let idle_max = self.settings.idle_max;
        let deadline = |place: &Place| match &place.state {
            State::Opening { until, .. } => Some(*until),
            State::Open { link, .. } => link.due().or_else(|| Some(link.last_used() + idle_max?)),
            State::Idle { .. } | State::Resolving => None,
        };
        self.places.values().filter_map(deadline).min()
    }

    /// Finds the addresses of a node, and connects to the first.
    fn connect(&mut self, node: Node, now: Instant) {
        let Some(place) = self.places.get_mut(&node) else { return };
        if let Ok(ip) = place.host.parse::<IpAddr>() {
            place.addresses = VecDeque::from([SocketAddr::new(ip, place.port)]);
            return self.attempt(node, None, now);
        }
        // The system's resolver blocks, for seconds when a name server does not answer.
        place.state = State::Resolving;
        let (host, port) = (place.host.clone(), place.port);
        let (found, waker) = (self.found.0.clone(), Arc::clone(&self.waker));
        let resolve = move || {
            let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            // Nobody is there to be told when the client has ended meanwhile.
            _ = found.send(Found { node, host, addresses });
            _ = waker.wake();
        };
        let thread = thread::Builder::new().name("ottla-resolve".to_owned());
        if let Err(error) = thread.spawn(resolve) {
            self.attempt_failed(node, &error, now);
        }
    }

    fn resolved(&mut self, found: Found, now: Instant) {
        let Some(place) = self.places.get_mut(&found.node) else { return };
        if !matches!(place.state, State::Resolving) || place.host != found.host {
            return;
        }
        match found.addresses {
            Ok(addresses) => {
                place.addresses = addresses.into();
                self.attempt(found.node, None, now);
            }
            Err(error) => self.attempt_failed(found.node, &error, now),
        }
    }

    /// Connects to the next address, if there is one.
    fn attempt(&mut self, node: Node, mut error: Option<io::Error>, now: Instant) {
        let Some(place) = self.places.get_mut(&node) else { return };
        while let Some(address) = place.addresses.pop_front() {
            let token = Token(self.next_token);
            let open = || -> io::Result<TcpStream> {
                let mut stream = socket::connect(address, self.settings.socket_buffers)?;
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, token, both)?;
                Ok(stream)
            };
            match open() {
                Ok(stream) => {
                    self.next_token += 1;
                    self.tokens.insert(token, node);
                    let timeout = self.settings.setup_timeout;
                    let until =
                        now + timeout.after(place.failed.saturating_add(1), &mut self.chance);
                    place.state = State::Opening { token, stream, until };
                    return;
                }
                Err(failed) => error = Some(failed),
            }
        }
        let error = error.unwrap_or_else(|| io::Error::other("the name has no address"));
        let host = &place.host;
        let detail = match error.kind() {
            io::ErrorKind::TimedOut => "no connection within the time for it".to_owned(),
            _ => format!("no connection to {host}: {error}"),
        };
        let error = Error::new(ErrorKind::Network, detail).at(self.name(node));
        self.back_off(node, error, now);
    }

    fn attempt_failed(&mut self, node: Node, error: &io::Error, now: Instant) {
        self.forget_socket(node);
        let error = io::Error::new(error.kind(), error.to_string());
        self.attempt(node, Some(error), now);
    }

    /// A socket is connected.
    fn begin(&mut self, node: Node, now: Instant) {
        let Some(place) = self.places.get_mut(&node) else { return };
        let idle = State::Idle { not_before: None };
        let State::Opening { token, stream, .. } = std::mem::replace(&mut place.state, idle) else {
            return;
        };
        let settings = &self.settings;
        let link = Link::new(
            stream,
            Arc::clone(&settings.client_id),
            settings.frame_bytes_max,
            (settings.setup_timeout.first, now),
        );
        match link {
            Ok(link) => {
                place.state = State::Open { token, link: Box::new(link) };
                self.serve(node, token, now);
            }
            Err(error) => self.lost(node, &error, now),
        }
    }

    /// A connection has ended by itself.
    fn lost(&mut self, node: Node, error: &Error, now: Instant) {
        let error = error.clone().at(self.name(node));
        log::debug!("{error}");
        self.end(node, &error);
        self.back_off(node, error, now);
    }

    fn back_off(&mut self, node: Node, error: Error, now: Instant) {
        let Some(place) = self.places.get_mut(&node) else { return };
        place.failed = place.failed.saturating_add(1);
        let wait = self.settings.reconnect_backoff.after(place.failed, &mut self.chance);
        place.state = State::Idle { not_before: Some(now + wait) };
        place.last_error = Some(error);
        self.events.push_back(Event::Changed);
    }

    /// Ends a connection that has no request on it.
    fn close(&mut self, node: Node) {
        self.end(node, &Error::new(ErrorKind::Network, "the connection was closed"));
        self.events.push_back(Event::Changed);
    }

    fn end(&mut self, node: Node, error: &Error) {
        let state = self.forget_socket(node);
        if let Some(State::Open { link, .. }) = state {
            link.fail(error, &mut self.events);
        }
    }

    /// The state that a node was in; it has no socket then.
    fn forget_socket(&mut self, node: Node) -> Option<State> {
        let place = self.places.get_mut(&node)?;
        let state = std::mem::replace(&mut place.state, State::Idle { not_before: None });
        if let State::Opening { token, .. } | State::Open { token, .. } = &state {
            self.tokens.remove(token);
        }
        Some(state)
    }
}

impl Net for Reactor {
    fn locate(&mut self, node: Node, host: &str, port: u16) {
        if let Some(place) = self.places.get(&node) {
            if place.host == host && place.port == port {
                return;
            }
            self.end(node, &Error::new(ErrorKind::Network, "the broker is elsewhere now"));
        }
        let place = Place {
            host: host.to_owned(),
            port,
            state: State::Idle { not_before: None },
            failed: 0,
            last_error: None,
            addresses: VecDeque::new(),
        };
        self.places.insert(node, place);
    }

    fn forget_unless(&mut self, is_kept: &dyn Fn(Node) -> bool) {
        let is_idle = |place: &Place| matches!(place.state, State::Idle { .. });
        self.places.retain(|node, place| is_kept(*node) || !is_idle(place));
    }

    fn ready(&mut self, node: Node, now: Instant) -> Readiness {
        let Some(place) = self.places.get_mut(&node) else {
            // Nobody has said where it is: what will is an answer, which is an event.
            return Readiness::Connecting;
        };
        match &place.state {
            State::Open { link, .. } => match link.versions() {
                Some(versions) => {
                    place.failed = 0;
                    place.last_error = None;
                    Readiness::Ready(Arc::clone(versions))
                }
                None => Readiness::Connecting,
            },
            State::Resolving | State::Opening { .. } => Readiness::Connecting,
            State::Idle { not_before: Some(time) } if *time > now => Readiness::NotBefore(*time),
            State::Idle { .. } => {
                self.connect(node, now);
                match self.places.get(&node).map(|place| &place.state) {
                    Some(State::Idle { not_before: Some(time) }) => Readiness::NotBefore(*time),
                    _ => Readiness::Connecting,
                }
            }
        }
    }

    fn is_ready(&self, node: Node) -> bool {
        let state = self.places.get(&node).map(|place| &place.state);
        matches!(state, Some(State::Open { link, .. }) if link.versions().is_some())
    }

    fn send(&mut self, node: Node, request: Outgoing, now: Instant) -> Tag {
        let tag = self.next_tag;
        self.next_tag += 1;
        let sent = match self.places.get_mut(&node) {
            Some(Place { state: State::Open { link, .. }, .. }) => {
                let is_answered = request.is_answered;
                let sent = link.send(request, tag, now);
                if sent.is_ok() && !self.unwritten.contains(&node) {
                    self.unwritten.push(node);
                }
                sent.map(|()| is_answered)
            }
            _ => Err(Error::new(ErrorKind::Network, "there is no connection")),
        };
        if let Err(error) = sent {
            let result = Err(error.at(self.name(node)));
            self.events.push_back(Event::Answered { tag, result });
        }
        tag
    }

    fn in_flight(&self, node: Node) -> usize {
        match self.places.get(&node).map(|place| &place.state) {
            Some(State::Open { link, .. }) => link.waiting(),
            _ => 0,
        }
    }

    fn name(&self, node: Node) -> String {
        let Some(place) = self.places.get(&node) else { return format!("{node:?}") };
        let (host, port) = (&place.host, place.port);
        match node {
            Node::Broker(id) | Node::Coordinator(id) => format!("{id} ({host}:{port})"),
            Node::Bootstrap(_) => format!("at {host}:{port}"),
        }
    }

    fn last_error(&self, node: Node) -> Option<Error> {
        self.places.get(&node)?.last_error.clone()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
