//! Keeps the cluster's metadata fresh: asks again when it is old, when a topic is missing, and when
//! somebody has found it wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

use super::{Answered, SessionSettings};
use crate::chance::{Backoff, Chance};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::net::{Net, Node, Outgoing, Readiness, Tag, Until, Versions};

/// Metadata with leader epochs, and in which asking may be told not to create.
const VERSIONS: std::ops::RangeInclusive<i16> = 7..=13;

/// The cluster as it was told last, and when to ask again.
pub(crate) struct Metadata {
    bootstrap: Vec<(String, u16)>,
    max_age: Duration,
    retry_backoff: Backoff,
    request_timeout: Duration,
    may_create_topics: bool,
    cluster: Arc<Cluster>,
    /// The topics that are asked for, and when they were wanted last.
    wanted: BTreeMap<String, Instant>,
    topic_idle_max: Duration,
    /// The request that has no answer yet.
    asked: Option<Tag>,
    /// Whether to ask as soon as allowed.
    is_stale: bool,
    /// When to ask at the earliest, since the last answer or its failure.
    not_before: Option<Instant>,
    /// When to ask although nothing is known to be wrong.
    expires: Option<Instant>,
    failed: u32,
    /// Answers in a row by which something wanted was not there yet: for a topic that was deleted
    /// for good, the time between them grows.
    unsettled: u32,
    last_error: Option<Error>,
    /// Counts the answers.
    updates: u64,
    located_bootstrap: bool,
    chance: Chance,
}

/// A node to send to, if there is one.
pub(crate) enum Choice {
    Ready(Node, Arc<Versions>),
    /// Not before this, or an event.
    Wait(Until),
}

impl Metadata {
    pub(super) fn new(settings: &SessionSettings) -> Self {
        Self {
            bootstrap: settings.bootstrap.clone(),
            max_age: settings.metadata_max_age,
            retry_backoff: settings.retry_backoff,
            request_timeout: settings.request_timeout,
            may_create_topics: settings.may_create_topics,
            cluster: Arc::default(),
            wanted: BTreeMap::new(),
            topic_idle_max: settings.topic_idle_max,
            asked: None,
            is_stale: true,
            not_before: None,
            expires: None,
            failed: 0,
            unsettled: 0,
            last_error: None,
            updates: 0,
            located_bootstrap: false,
            chance: Chance::new(),
        }
    }

    /// The cluster as it was told last.
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Whether the cluster has such a broker, as far as was told.
    pub(crate) fn knows(&self, node: Node) -> bool {
        match node {
            Node::Bootstrap(place) => place < self.bootstrap.len(),
            Node::Broker(id) | Node::Coordinator(id) => self.cluster.brokers.contains_key(&id),
        }
    }

    /// How many answers there were: another number means that the cluster may have changed.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// Why there is no answer; `None` when there is one.
    pub(crate) fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Asks for this topic too. Whoever wants it says so again and again, in each turn unless
    /// [`SessionSettings::topic_idle_max`] leaves more time: else it is not asked for any more.
    pub(crate) fn want(&mut self, topic: &str, now: Instant) {
        match self.wanted.get_mut(topic) {
            Some(last) => *last = now,
            None => {
                self.wanted.insert(topic.to_owned(), now);
                self.is_stale = true;
            }
        }
    }

    /// Asks again as soon as the backoff allows: what is known was found to be wrong.
    pub(crate) fn refresh(&mut self) {
        self.is_stale = true;
    }

    /// Asks for what is not known yet, unless an answer that may tell it is on its way. Whoever
    /// still misses it after that says so again.
    pub(crate) fn seek(&mut self) {
        if self.asked.is_none() {
            self.refresh();
        }
    }

    /// Notes who leads a partition now; see [`Cluster::set_leader`].
    pub(crate) fn set_leader(&mut self, topic: &str, partition: i32, leader: (i32, i32)) -> bool {
        Arc::make_mut(&mut self.cluster).set_leader(topic, partition, leader)
    }

    /// Asks when it is time to; says when it will be.
    pub(crate) fn turn(&mut self, net: &mut dyn Net, now: Instant) -> Until {
        if self.asked.is_some() {
            return Until::Event;
        }
        let is_expired = self.expires.is_some_and(|time| time <= now);
        if !self.is_stale && !is_expired {
            return self.expires.into();
        }
        if let Some(time) = self.not_before.filter(|time| *time > now) {
            return Until::Time(time);
        }
        match self.any_node(net, now) {
            Choice::Wait(until) => until,
            Choice::Ready(node, versions) => {
                if let Err(error) = self.ask(net, (node, &versions), now) {
                    self.failed(error.at(net.name(node)), now);
                    return Until::Time(self.not_before.unwrap_or(now));
                }
                Until::Event
            }
        }
    }

    fn ask(
        &mut self,
        net: &mut dyn Net,
        (node, versions): (Node, &Versions),
        now: Instant,
    ) -> Result<(), Error> {
        let version = versions.pick(ApiKey::Metadata, VERSIONS)?;
        let idle_max = self.topic_idle_max;
        self.wanted.retain(|_, last| now.saturating_duration_since(*last) <= idle_max);
        let of = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(self.wanted.keys().map(|name| of(name.as_str())).collect()),
            allow_auto_topic_creation: self.may_create_topics,
            ..Default::default()
        };
        let outgoing = Outgoing::new(&request, version, self.request_timeout);
        let outgoing = outgoing.map_err(|e| Error::new(ErrorKind::Usage, e.to_string()))?;
        // A topic that is wanted from here on makes it stale again.
        self.is_stale = false;
        self.asked = Some(net.send(node, outgoing, now));
        Ok(())
    }

    /// Takes the answer if it is to its own request; else gives it back.
    pub(crate) fn answered(
        &mut self,
        (tag, result): Answered,
        net: &mut dyn Net,
        now: Instant,
    ) -> Option<Answered> {
        if self.asked.take_if(|asked| *asked == tag).is_none() {
            return Some((tag, result));
        }
        let updated = result.and_then(|answer| {
            let read: MetadataResponse<'_> = answer.read()?;
            Error::of_code(read.error_code, None)?;
            self.update(&read, net);
            Ok(())
        });
        match updated {
            Ok(()) => {
                self.failed = 0;
                self.last_error = None;
                self.expires = Some(now + self.max_age);
                let wait = self.retry_backoff.after(self.unsettled.max(1), &mut self.chance);
                self.not_before = Some(now + wait);
            }
            Err(error) => self.failed(error, now),
        }
        None
    }

    fn update(&mut self, read: &MetadataResponse<'_>, net: &mut dyn Net) {
        let cluster = Arc::make_mut(&mut self.cluster);
        cluster.update(read, |topic| self.wanted.contains_key(topic));
        net.forget_unless(&|node| match node {
            Node::Bootstrap(_) => true,
            Node::Broker(id) | Node::Coordinator(id) => cluster.brokers.contains_key(&id),
        });
        for broker in cluster.brokers.values() {
            for node in [Node::Broker(broker.id), Node::Coordinator(broker.id)] {
                net.locate(node, &broker.host, broker.port);
            }
        }
        self.updates += 1;
        // A topic that was just made, or a partition without a leader, may be there soon.
        let is_passing = |code: ErrorCode| {
            matches!(code, ErrorCode::LEADER_NOT_AVAILABLE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        let is_wanted = |name: &str| self.wanted.contains_key(name);
        let is_unsettled = read.topics.iter().any(|topic| {
            topic.name.is_some_and(is_wanted)
                && (is_passing(topic.error_code)
                    || topic.partitions.iter().any(|partition| is_passing(partition.error_code)))
        });
        self.is_stale |= is_unsettled;
        self.unsettled = if is_unsettled { self.unsettled.saturating_add(1) } else { 0 };
    }

    fn failed(&mut self, error: Error, now: Instant) {
        log::debug!("no metadata: {error}");
        self.failed = self.failed.saturating_add(1);
        self.is_stale = true;
        self.not_before = Some(now + self.retry_backoff.after(self.failed, &mut self.chance));
        self.last_error = Some(error);
    }

    /// A node that is ready, the one with the fewest requests in flight; else begins to connect to
    /// one. Brokers first; when none of them can be reached, also those of `bootstrap.servers`
    /// (KIP-899).
    pub(crate) fn any_node(&mut self, net: &mut dyn Net, now: Instant) -> Choice {
        let brokers: Vec<Node> = self.cluster.brokers.keys().copied().map(Node::Broker).collect();
        let is_lost = brokers.iter().all(|&node| net.last_error(node).is_some());
        let mut nodes = brokers;
        if is_lost {
            if !self.located_bootstrap {
                for (place, (host, port)) in self.bootstrap.iter().enumerate() {
                    net.locate(Node::Bootstrap(place), host, *port);
                }
                self.located_bootstrap = true;
            }
            nodes.extend((0..self.bootstrap.len()).map(Node::Bootstrap));
        }
        choose(&nodes, net, now, &mut self.chance)
    }

    /// Why none of the known nodes can be reached; `None` when one can, or none was tried.
    pub(crate) fn unreachable(&self, net: &dyn Net) -> Option<Error> {
        let brokers = self.cluster.brokers.keys().copied().map(Node::Broker);
        let nodes = brokers.chain((0..self.bootstrap.len()).map(Node::Bootstrap));
        let mut last = None;
        for node in nodes {
            last = Some(net.last_error(node)?);
        }
        last
    }
}

/// Of these the one that is ready and has the fewest requests in flight; if none is, one begins to
/// be connected to.
fn choose(nodes: &[Node], net: &mut dyn Net, now: Instant, chance: &mut Chance) -> Choice {
    let is_ready = nodes.iter().copied().filter(|node| net.is_ready(*node));
    if let Some(node) = is_ready.min_by_key(|node| net.in_flight(*node))
        && let Readiness::Ready(versions) = net.ready(node, now)
    {
        return Choice::Ready(node, versions);
    }
    let (begin, end) = nodes.split_at(chance.below(nodes.len()));
    let mut wait = Until::Event;
    for &node in end.iter().chain(begin) {
        match net.ready(node, now) {
            Readiness::Ready(versions) => return Choice::Ready(node, versions),
            Readiness::Connecting => return Choice::Wait(Until::Event),
            Readiness::NotBefore(time) => wait = wait.or(Until::Time(time)),
        }
    }
    Choice::Wait(wait)
}
