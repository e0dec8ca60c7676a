//! Requests that find the broker to ask, and are asked again while that may help.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::metadata::{Choice, Metadata};
use super::{Answered, SessionSettings};
use crate::chance::{Backoff, Chance};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Net, Node, Outgoing, Readiness, Tag, Until, Versions};

/// Something to ask a broker.
pub(crate) trait Ask: Send {
    /// Whom.
    fn route(&self) -> Route;

    /// The kind of request, and the versions of it that this client knows.
    fn api(&self) -> (ApiKey, RangeInclusive<i16>);

    /// The request in one of these versions. The answer may take `timeout`.
    ///
    /// # Errors
    /// What is asked for has no form in this version.
    fn request(&mut self, version: i16, timeout: Duration) -> Result<Outgoing, Error>;

    /// Takes the answer.
    ///
    /// # Errors
    /// What the answer says. If it is retriable it is asked again.
    fn answered(&mut self, answer: &Answer) -> Result<(), Error>;

    /// Whether it is asked again after this error.
    fn is_repeated(&self, error: &Error) -> bool {
        error.is_retriable()
    }

    /// There will be no answer.
    fn failed(self: Box<Self>, error: Error);
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Any broker.
    Any,
    /// The one that metadata calls the controller; KRaft brokers pass on to it what they must.
    Controller,
    /// This one.
    Broker(i32),
    /// This one, and once: whoever asks finds out who is asked next. It fails when the broker
    /// cannot be reached, and with any error that the answer says.
    Once(i32),
    /// The coordinator of a group.
    Coordinator(Key),
}

/// What there is a coordinator of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Group(String),
}

impl Key {
    fn name(&self) -> &str {
        let Self::Group(name) = self;
        name
    }

    fn key_type(&self) -> i8 {
        match self {
            Self::Group(_) => 0,
        }
    }
}

/// All that is asked, until it is answered.
pub(crate) struct Calls {
    retry_backoff: Backoff,
    request_timeout: Duration,
    /// Not sent, or to be sent again.
    waiting: Vec<Call>,
    sent: HashMap<Tag, (Call, Node)>,
    coordinators: HashMap<Key, Coordinator>,
    chance: Chance,
}

struct Call {
    ask: Box<dyn Ask>,
    /// When it began, and when it fails.
    begun: Instant,
    deadline: Instant,
    tries: Tries,
}

/// How it went so far.
#[derive(Default)]
struct Tries {
    failed: u32,
    not_before: Option<Instant>,
    last_error: Option<Error>,
}

/// What is known of a coordinator.
enum Coordinator {
    Known(i32),
    /// It is to be asked for.
    Unknown(Tries),
    Asked(Tag, Tries),
    /// There will be none.
    Failed(Error),
}

/// Where a call can go now.
enum Place {
    Ready(Node, Arc<Versions>),
    Wait(Until),
    None(Error),
}

impl Calls {
    pub(super) fn new(settings: &SessionSettings) -> Self {
        Self {
            retry_backoff: settings.retry_backoff,
            request_timeout: settings.request_timeout,
            waiting: Vec::new(),
            sent: HashMap::new(),
            coordinators: HashMap::new(),
            chance: Chance::new(),
        }
    }

    /// Asks, and asks again until the deadline.
    pub(crate) fn ask(&mut self, ask: Box<dyn Ask>, deadline: Instant, now: Instant) {
        self.waiting.push(Call { ask, begun: now, deadline, tries: Tries::default() });
    }

    /// Sends what can be sent, ends what has taken too long; says when there is more to do.
    pub(crate) fn turn(
        &mut self,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
    ) -> Until {
        let mut until = Until::Event;
        for mut call in std::mem::take(&mut self.waiting) {
            if call.deadline <= now {
                call.time_out(metadata.unreachable(net), now);
                continue;
            }
            until = until.or(Until::Time(call.deadline));
            if let Some(time) = call.tries.waits(now) {
                until = until.or(Until::Time(time));
                self.waiting.push(call);
                continue;
            }
            match self.place(&call.ask.route(), metadata, net, now) {
                Place::Wait(time) => {
                    until = until.or(time);
                    self.waiting.push(call);
                }
                Place::None(error) => call.ask.failed(error),
                Place::Ready(node, versions) => {
                    match outgoing(&mut *call.ask, &versions, self.request_timeout) {
                        Err(error) => call.ask.failed(error.at(net.name(node))),
                        Ok(request) => {
                            let tag = net.send(node, request, now);
                            self.sent.insert(tag, (call, node));
                        }
                    }
                }
            }
        }
        until = until.or(self.end_late(now));
        // Whoever waited for these has been told.
        self.coordinators.retain(|_, known| !matches!(known, Coordinator::Failed(_)));
        until.or(self.seek(metadata, net, now))
    }

    /// Ends calls whose answer has taken too long for those who wait for it, though not for the
    /// connection.
    fn end_late(&mut self, now: Instant) -> Until {
        let late = self.sent.iter().filter(|(_, (call, _))| call.deadline <= now);
        let late: Vec<Tag> = late.map(|(tag, _)| *tag).collect();
        for (call, _) in late.iter().filter_map(|tag| self.sent.remove(tag)) {
            call.time_out(None, now);
        }
        self.sent.values().map(|(call, _)| call.deadline).min().into()
    }

    /// Where to send, if it is known and connected.
    fn place(
        &mut self,
        route: &Route,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
    ) -> Place {
        let node = match route {
            Route::Any => return metadata.any_node(net, now).into(),
            Route::Broker(id) | Route::Once(id) => Node::Broker(*id),
            Route::Controller => match metadata.cluster().controller {
                Some(id) => Node::Broker(id),
                None => return metadata.any_node(net, now).into(),
            },
            Route::Coordinator(key) => {
                let known = self.coordinators.entry(key.clone());
                match known.or_insert_with(|| Coordinator::Unknown(Tries::default())) {
                    Coordinator::Known(id) => Node::Coordinator(*id),
                    Coordinator::Unknown(_) | Coordinator::Asked(..) => {
                        return Place::Wait(Until::Event);
                    }
                    Coordinator::Failed(error) => return Place::None(error.clone()),
                }
            }
        };
        if !metadata.knows(node) && !net.is_ready(node) {
            // It may have come to the cluster since metadata was asked for.
            metadata.seek();
            return Place::Wait(Until::Event);
        }
        match net.ready(node, now) {
            Readiness::Ready(versions) => Place::Ready(node, versions),
            Readiness::Connecting => Place::Wait(Until::Event),
            Readiness::NotBefore(time) => {
                if let Route::Coordinator(key) = route {
                    // It may be another broker by now.
                    self.coordinators.remove(key);
                }
                metadata.refresh();
                match net.last_error(node) {
                    Some(error) if matches!(route, Route::Once(_)) => Place::None(error),
                    _ => Place::Wait(Until::Time(time)),
                }
            }
        }
    }

    /// Asks for the coordinators that are not known.
    fn seek(&mut self, metadata: &mut Metadata, net: &mut dyn Net, now: Instant) -> Until {
        let mut until = Until::Event;
        for (key, known) in &mut self.coordinators {
            let Coordinator::Unknown(tries) = known else { continue };
            if let Some(time) = tries.waits(now) {
                until = until.or(Until::Time(time));
                continue;
            }
            let (node, versions) = match metadata.any_node(net, now) {
                Choice::Ready(node, versions) => (node, versions),
                Choice::Wait(time) => return until.or(time),
            };
            *known = match find(key, &versions, self.request_timeout) {
                Ok(request) => {
                    Coordinator::Asked(net.send(node, request, now), std::mem::take(tries))
                }
                Err(error) => {
                    // Nothing happens that would have the calls that wait for it look again.
                    until = until.or(Until::Time(now));
                    Coordinator::Failed(error.at(net.name(node)))
                }
            };
        }
        until
    }

    /// Takes the answer if it is to one of these calls; else gives it back.
    pub(crate) fn answered(
        &mut self,
        (tag, result): Answered,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
    ) -> Option<Answered> {
        let Some((mut call, node)) = self.sent.remove(&tag) else {
            return self.found((tag, result), now);
        };
        let Err(error) = result.and_then(|answer| call.ask.answered(&answer)) else {
            return None;
        };
        let error = if error.broker().is_some() { error } else { error.at(net.name(node)) };
        let route = call.ask.route();
        self.learn(&route, &error, metadata);
        let is_repeated = call.ask.is_repeated(&error) && !matches!(route, Route::Once(_));
        if !is_repeated {
            call.ask.failed(error);
        } else if now < call.deadline {
            call.tries.again(error, self.retry_backoff, &mut self.chance, now);
            self.waiting.push(call);
        } else {
            // There is no time left to try again.
            call.tries.last_error = Some(error);
            call.time_out(None, now);
        }
        None
    }

    /// What an error says about who is asked next time.
    fn learn(&mut self, route: &Route, error: &Error, metadata: &mut Metadata) {
        let is_elsewhere = match error.code() {
            None => error.kind() == ErrorKind::Network,
            Some(code) => matches!(
                code,
                ErrorCode::NOT_COORDINATOR
                    | ErrorCode::COORDINATOR_NOT_AVAILABLE
                    | ErrorCode::NOT_CONTROLLER
            ),
        };
        if !is_elsewhere {
            return;
        }
        match route {
            Route::Coordinator(key) => {
                self.coordinators.remove(key);
            }
            Route::Any | Route::Controller | Route::Broker(_) | Route::Once(_) => {
                metadata.refresh()
            }
        }
    }

    /// Takes the answer if it tells where a coordinator is.
    fn found(&mut self, (tag, result): Answered, now: Instant) -> Option<Answered> {
        let is_asked =
            |known: &Coordinator| matches!(known, Coordinator::Asked(of, _) if *of == tag);
        let Some((key, known)) = self.coordinators.iter_mut().find(|(_, known)| is_asked(known))
        else {
            return Some((tag, result));
        };
        let Coordinator::Asked(_, tries) = known else { return Some((tag, result)) };
        let mut tries = std::mem::take(tries);
        *known = match result.and_then(|answer| coordinator_of(key, &answer)) {
            Ok(id) => Coordinator::Known(id),
            Err(error) if error.is_retriable() => {
                tries.again(error, self.retry_backoff, &mut self.chance, now);
                Coordinator::Unknown(tries)
            }
            Err(error) => Coordinator::Failed(error),
        };
        None
    }
}

impl Call {
    /// Tells that it was not done in time, and why it was not.
    fn time_out(self, unreachable: Option<Error>, now: Instant) {
        let after = now.saturating_duration_since(self.begun);
        let (api, _) = self.ask.api();
        let why = self.tries.last_error.or(unreachable);
        let detail = match why {
            Some(error) => format!("{}: {error}", api.name()),
            None => format!("{}: no answer", api.name()),
        };
        self.ask.failed(Error::new(ErrorKind::Timeout(after), detail));
    }
}

impl Tries {
    /// Until when to wait, if at all.
    fn waits(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|time| *time > now)
    }

    fn again(&mut self, error: Error, backoff: Backoff, chance: &mut Chance, now: Instant) {
        self.failed = self.failed.saturating_add(1);
        self.not_before = Some(now + backoff.after(self.failed, chance));
        self.last_error = Some(error);
    }
}

impl From<Choice> for Place {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Ready(node, versions) => Self::Ready(node, versions),
            Choice::Wait(until) => Self::Wait(until),
        }
    }
}

fn outgoing(ask: &mut dyn Ask, versions: &Versions, timeout: Duration) -> Result<Outgoing, Error> {
    let (api, ours) = ask.api();
    ask.request(versions.pick(api, ours)?, timeout)
}

/// One key at a time, as all versions can.
fn find(key: &Key, versions: &Versions, timeout: Duration) -> Result<Outgoing, Error> {
    let version = versions.pick(ApiKey::FindCoordinator, 1..=6)?;
    let (key_type, name) = (key.key_type(), key.name());
    let request = if version < 4 {
        FindCoordinatorRequest { key: name, key_type, ..Default::default() }
    } else {
        FindCoordinatorRequest { key_type, coordinator_keys: vec![name], ..Default::default() }
    };
    let outgoing = Outgoing::new(&request, version, timeout);
    outgoing.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))
}

fn coordinator_of(key: &Key, answer: &Answer) -> Result<i32, Error> {
    let read: FindCoordinatorResponse<'_> = answer.read()?;
    if answer.version() < 4 {
        Error::of_code(read.error_code, read.error_message)?;
        return Ok(read.node_id);
    }
    let Some(found) = read.coordinators.iter().find(|found| found.key == key.name()) else {
        let detail = format!("FindCoordinator: no word about {:?}", key.name());
        return Err(Error::new(ErrorKind::Malformed, detail));
    };
    Error::of_code(found.error_code, found.error_message)?;
    Ok(found.node_id)
}
