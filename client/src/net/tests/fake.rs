//! Brokers of which a test says whether they are there, and what they answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::wire::{Message, Writer};

use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Event, Net, Node, Outgoing, Readiness, Tag, Versions};

/// All of them, and what they were asked.
#[derive(Default)]
pub(crate) struct FakeNet {
    nodes: BTreeMap<Node, State>,
    /// What was sent and has no answer.
    pub(crate) sent: VecDeque<Sent>,
    pub(crate) events: VecDeque<Event>,
    next_tag: Tag,
    /// All that the brokers serve; in all versions when empty.
    pub(crate) served: Vec<ApiVersion>,
}

/// A node, and where it is.
struct State {
    address: String,
    is_ready: bool,
    /// When it can be tried again.
    not_before: Option<Instant>,
    /// Whether it is there when it is connected to.
    is_there: bool,
}

/// A request.
pub(crate) struct Sent {
    pub(crate) tag: Tag,
    pub(crate) node: Node,
    pub(crate) request: Outgoing,
}

impl Sent {
    pub(crate) fn read<'a, M: Message<'a>>(&'a self) -> M {
        M::from_bytes(&self.request.body.bytes, self.request.version).unwrap()
    }
}

impl FakeNet {
    /// Says that a node is there, or is not.
    pub(crate) fn set_there(&mut self, node: Node, is_there: bool, not_before: Option<Instant>) {
        let state = self.nodes.get_mut(&node).unwrap();
        state.is_there = is_there;
        state.not_before = not_before;
        if !is_there && std::mem::take(&mut state.is_ready) {
            let (lost, kept): (VecDeque<Sent>, _) =
                std::mem::take(&mut self.sent).into_iter().partition(|sent| sent.node == node);
            self.sent = kept;
            for sent in lost {
                let result = Err(Error::new(ErrorKind::Network, "the connection ended"));
                self.events.push_back(Event::Answered { tag: sent.tag, result });
            }
        }
        self.events.push_back(Event::Changed);
    }

    /// The oldest request without an answer.
    pub(crate) fn take(&mut self) -> Sent {
        self.sent.pop_front().expect("something was asked")
    }

    /// Answers a request.
    pub(crate) fn answer<'a>(&mut self, sent: &Sent, body: &impl Message<'a>) {
        let (api, version) = (sent.request.api, sent.request.version);
        let mut writer = Writer::new();
        ottla_protocol::header::ResponseHeader { correlation_id: 0 }.write(
            &mut writer,
            api,
            version,
        );
        body.encode(&mut writer, version).unwrap();
        let answer = Answer::new((api, version), writer.finish().bytes).unwrap().0;
        self.events.push_back(Event::Answered { tag: sent.tag, result: Ok(answer) });
    }

    fn versions(&self) -> Arc<Versions> {
        let all = |api: &ApiKey| ApiVersion {
            api_key: api.as_i16(),
            min_version: *api.versions().start(),
            max_version: *api.versions().end(),
        };
        let api_keys = match &self.served[..] {
            [] => ApiKey::ALL.iter().map(all).collect(),
            served => served.to_vec(),
        };
        Arc::new(Versions::of(&ApiVersionsResponse { api_keys, ..Default::default() }).unwrap())
    }
}

impl Net for FakeNet {
    fn locate(&mut self, node: Node, host: &str, port: u16) {
        let address = format!("{host}:{port}");
        if self.nodes.get(&node).is_none_or(|state| state.address != address) {
            let state = State { address, is_ready: false, not_before: None, is_there: true };
            self.nodes.insert(node, state);
        }
    }

    fn forget_unless(&mut self, is_kept: &dyn Fn(Node) -> bool) {
        self.nodes.retain(|node, state| is_kept(*node) || state.is_ready);
    }

    fn ready(&mut self, node: Node, now: Instant) -> Readiness {
        let versions = self.versions();
        match self.nodes.get_mut(&node) {
            Some(state) if state.is_there => {
                state.is_ready = true;
                Readiness::Ready(versions)
            }
            Some(State { not_before: Some(time), .. }) if *time > now => {
                Readiness::NotBefore(*time)
            }
            _ => Readiness::Connecting,
        }
    }

    fn is_ready(&self, node: Node) -> bool {
        self.nodes.get(&node).is_some_and(|state| state.is_ready)
    }

    fn send(&mut self, node: Node, request: Outgoing, _now: Instant) -> Tag {
        assert!(self.is_ready(node), "{node:?} is not ready");
        self.next_tag += 1;
        let tag = self.next_tag;
        self.sent.push_back(Sent { tag, node, request });
        tag
    }

    fn in_flight(&self, node: Node) -> usize {
        self.sent.iter().filter(|sent| sent.node == node).count()
    }

    fn name(&self, node: Node) -> String {
        format!("{node:?}")
    }

    fn last_error(&self, node: Node) -> Option<Error> {
        let state = self.nodes.get(&node)?;
        (!state.is_there).then(|| Error::new(ErrorKind::Network, "nobody is there"))
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
