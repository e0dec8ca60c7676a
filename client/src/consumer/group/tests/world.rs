//! Members with their sessions and users, a cluster of one broker, and a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator as Found, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::super::settings::{ClassicSettings, GroupSettings, Protocol};
use super::super::{Interest, Membership, Step};
use crate::chance::{Backoff, Chance};
use crate::error::{Error, ErrorKind};
use crate::net::tests::fake::{FakeNet, Sent};
use crate::net::{Event, Net, Node};
use crate::partition::TopicPartition;
use crate::session::{Session, SessionSettings};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// How much time passes at once.
const TICK: Duration = Duration::from_millis(50);

/// A group's coordinator.
pub(super) trait Coordinator {
    /// Takes a request, and answers it now or later.
    fn request(&mut self, from: usize, sent: Sent, world: &mut World);

    /// Does what is to be done by now.
    fn turn(&mut self, world: &mut World);
}

/// All but the coordinator.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) topics: BTreeMap<String, i32>,
    pub(super) clients: Vec<Client>,
}

/// A client: its member of the group, and its user.
pub(super) struct Client {
    pub(super) membership: Membership,
    pub(super) session: Session,
    pub(super) net: FakeNet,
    pub(super) is_alive: bool,
    /// Until when the user does not poll.
    pub(super) busy: Option<Instant>,
    pub(super) owned: BTreeSet<TopicPartition>,
    pub(super) steps: Vec<Step>,
    /// The topics whose metadata it has asked for last.
    pub(super) asked: Vec<String>,
}

pub(super) fn settings(protocol: Protocol, instance: Option<&str>) -> GroupSettings {
    GroupSettings {
        group: "g".into(),
        instance_id: instance.map(str::to_owned),
        rack: None,
        max_poll_interval: 5 * SECOND,
        excludes_internal: true,
        protocol,
        retry_backoff: Backoff { first: 100 * MS, max: SECOND },
        request_timeout: 30 * SECOND,
        metadata_max_age: SECOND,
    }
}

pub(super) fn classic(names: &[&str]) -> Protocol {
    let assignors =
        names.iter().map(|name| super::super::assignor::Assignor::of_name(name).unwrap()).collect();
    Protocol::Classic(ClassicSettings {
        assignors,
        session_timeout: 3 * SECOND,
        heartbeat_interval: 500 * MS,
    })
}

pub(super) fn interest(topics: &[&str]) -> Interest {
    Interest::Topics(topics.iter().map(|topic| Arc::from(*topic)).collect())
}

pub(super) fn topic_id(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Uuid::from_bytes(bytes)
}

impl Client {
    /// What the user does in a poll.
    fn poll(&mut self, now: Instant) {
        self.membership.polled(false, now);
        while let Some(step) = self.membership.step() {
            match &step {
                Step::Revoke(gone) | Step::Lost(gone) => {
                    for partition in gone {
                        assert!(self.owned.remove(partition), "{partition} was not there");
                    }
                }
                Step::Assign(new) => {
                    for partition in new {
                        assert!(self.owned.insert(partition.clone()), "{partition} twice");
                    }
                }
            }
            self.steps.push(step);
            self.membership.step_done();
        }
    }

    fn turn(&mut self, now: Instant) {
        while let Some(event) = self.net.next_event() {
            assert!(self.session.take(event, &mut self.net, now).is_none());
        }
        if self.busy.is_none_or(|until| until <= now) {
            self.poll(now);
        }
        self.membership.turn(&mut self.session, now);
        self.session.turn(&mut self.net, now);
    }

    /// Its connections break, while these requests have no answer.
    pub(super) fn cut(&mut self, parked: impl IntoIterator<Item = Sent>) {
        for sent in parked {
            let result = Err(Error::new(ErrorKind::Network, "the connection ended"));
            self.net.events.push_back(Event::Answered { tag: sent.tag, result });
        }
        for node in [Node::Broker(1), Node::Coordinator(1)] {
            self.net.locate(node, "h", 9092);
            self.net.set_there(node, false, None);
            self.net.set_there(node, true, None);
        }
    }
}

impl World {
    pub(super) fn new(topics: &[(&str, i32)]) -> Self {
        let topics = topics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Self { now: Instant::now(), topics, clients: Vec::new() }
    }

    /// What may happen to the members of any group, by a number that was drawn below 7; `newcomer`
    /// is who comes when one does, and `at` the member that it is about.
    pub(super) fn happen(
        &mut self,
        (drawn, at): (usize, usize),
        newcomer: GroupSettings,
        chance: &mut Chance,
    ) -> String {
        const WANTS: [&[&str]; 3] = [&["s", "t"], &["t"], &["s"]];
        match drawn {
            0 | 1 => {
                let wants = interest(WANTS[chance.below(3)]);
                self.add(newcomer, wants);
                "one comes".to_owned()
            }
            2 => {
                self.clients[at].is_alive = false;
                format!("{at} is killed")
            }
            3 => {
                self.clients[at].membership.subscribe(Interest::None).unwrap();
                format!("{at} leaves")
            }
            4 => {
                let count = self.topics["t"] + 1;
                self.topics.insert("t".to_owned(), count);
                "t grows".to_owned()
            }
            5 => {
                let wants = interest(WANTS[chance.below(3)]);
                self.clients[at].membership.subscribe(wants).unwrap();
                format!("{at} wants something else")
            }
            _ => {
                self.clients[at].busy = Some(self.now + chance.below(4000) as u32 * MS);
                format!("{at} is busy")
            }
        }
    }

    pub(super) fn add(&mut self, settings: GroupSettings, wants: Interest) -> usize {
        let session = SessionSettings {
            bootstrap: vec![("boot".to_owned(), 1)],
            metadata_max_age: settings.metadata_max_age,
            retry_backoff: settings.retry_backoff,
            request_timeout: settings.request_timeout,
            may_create_topics: false,
            topic_idle_max: Duration::ZERO,
        };
        let mut membership = Membership::new(settings);
        membership.subscribe(wants).unwrap();
        self.clients.push(Client {
            membership,
            session: Session::new(&session),
            net: FakeNet::default(),
            is_alive: true,
            busy: None,
            owned: BTreeSet::new(),
            steps: Vec::new(),
            asked: Vec::new(),
        });
        self.clients.len() - 1
    }

    /// Lets this much time pass.
    pub(super) fn run(&mut self, coordinator: &mut impl Coordinator, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += TICK;
            // Each may have an answer that makes it ask again.
            let rounds = (0..20).take_while(|_| self.round(coordinator)).count();
            assert!(rounds < 20, "there is no end of it");
        }
    }

    /// Whether anything was asked or answered.
    fn round(&mut self, coordinator: &mut impl Coordinator) -> bool {
        let mut has_asked = false;
        for at in 0..self.clients.len() {
            if !self.clients[at].is_alive {
                continue;
            }
            self.clients[at].turn(self.now);
            for sent in std::mem::take(&mut self.clients[at].net.sent) {
                has_asked = true;
                match sent.request.api {
                    ApiKey::Metadata => self.answer_metadata(at, &sent),
                    ApiKey::FindCoordinator => self.answer_find(at, &sent),
                    _ => coordinator.request(at, sent, self),
                }
            }
        }
        coordinator.turn(self);
        has_asked || self.alive().any(|client| !client.net.events.is_empty())
    }

    fn answer_metadata(&mut self, at: usize, sent: &Sent) {
        let request: MetadataRequest<'_> = sent.read();
        let wanted: Vec<String> = match &request.topics {
            None => self.topics.keys().cloned().collect(),
            Some(topics) => {
                let by_id = |id| self.topics.keys().find(|name| topic_id(name) == id).cloned();
                let name = |name: Option<&str>, id| name.map(str::to_owned).or_else(|| by_id(id));
                topics.iter().filter_map(|topic| name(topic.name, topic.topic_id)).collect()
            }
        };
        if request.topics.is_some() {
            self.clients[at].asked.clone_from(&wanted);
        }
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1,
            leader_epoch: 1,
            ..Default::default()
        };
        let topic = |name: &'_ String| {
            let count = self.topics.get(name);
            MetadataResponseTopic {
                error_code: match count {
                    Some(_) => ErrorCode::NONE,
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                },
                topic_id: topic_id(name),
                is_internal: name.starts_with("__"),
                partitions: (0..count.copied().unwrap_or(0)).map(partition).collect(),
                ..Default::default()
            }
        };
        let topics =
            wanted.iter().map(|name| MetadataResponseTopic { name: Some(name), ..topic(name) });
        let broker = MetadataResponseBroker { node_id: 1, host: "h", port: 9092, rack: None };
        let answer = MetadataResponse {
            brokers: vec![broker],
            controller_id: 1,
            topics: topics.collect(),
            ..Default::default()
        };
        self.clients[at].net.answer(sent, &answer);
    }

    fn answer_find(&mut self, at: usize, sent: &Sent) {
        let request: FindCoordinatorRequest<'_> = sent.read();
        let keys = request.coordinator_keys.iter();
        let coordinators =
            keys.map(|key| Found { key, node_id: 1, ..Default::default() }).collect();
        let answer = FindCoordinatorResponse { coordinators, ..Default::default() };
        self.clients[at].net.answer(sent, &answer);
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| client.is_alive)
    }

    /// No partition has two owners.
    pub(super) fn check_exclusive(&self, what: &str) {
        let mut seen = BTreeSet::new();
        for partition in self.alive().flat_map(|client| &client.owned) {
            assert!(seen.insert(partition), "{what}: {partition} has two owners");
        }
    }

    /// Every partition of these topics has one owner.
    pub(super) fn check_whole(&self, topics: &BTreeSet<String>, what: &str) {
        self.check_exclusive(what);
        let owned: BTreeSet<String> =
            self.alive().flat_map(|client| client.owned.iter().map(ToString::to_string)).collect();
        let all: BTreeSet<String> = self
            .topics
            .iter()
            .filter(|(name, _)| topics.contains(*name))
            .flat_map(|(name, count)| (0..*count).map(move |number| format!("{name}-{number}")))
            .collect();
        assert_eq!(owned, all, "{what}");
    }
}
