//! Keeps fetching: one request on its way to each broker, as long as not too much waits to be
//! taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::chunk::Frame;
use super::fetch_session::{FetchSession, Wanted};
use super::positions::{Place, State as PlaceState};
use super::settings::FetchSettings;
use super::shared::{Shared, State};
use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Net, Node, Outgoing, Readiness, Tag, Until, Versions};
use crate::partition::TopicPartition;
use crate::session::{Answered, Metadata};

mod answer;
mod end;
mod request;
mod told;

use end::End;

/// Fetches from all brokers.
pub(super) struct Fetcher {
    shared: Arc<Shared>,
    brokers: HashMap<i32, Broker>,
    sent: HashMap<Tag, Sent>,
    end: End,
    chance: Chance,
}

/// What is known of fetching from a broker.
#[derive(Default)]
struct Broker {
    session: FetchSession,
    is_asked: bool,
    /// Requests in a row that failed, and when the next one may be sent.
    failed: u32,
    not_before: Option<Instant>,
    /// Answers in a row that came too soon for what they say.
    hasty: u32,
}

/// A request on its way.
struct Sent {
    broker: i32,
    at: Instant,
    /// The generations of the positions that it asks for.
    generations: Generations,
}

type Generations = HashMap<TopicPartition, u64>;

/// What can be fetched from a broker.
#[derive(Default)]
struct Group {
    wanted: BTreeMap<TopicPartition, Wanted>,
    generations: Generations,
    /// Bytes that wait to be taken.
    untaken: usize,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            brokers: HashMap::new(),
            sent: HashMap::new(),
            end: End::default(),
            chance: Chance::new(),
        }
    }

    /// Sends what can be sent; says when there is more.
    pub(super) fn turn(
        &mut self,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
    ) -> Until {
        let mut until = Until::Event;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let mut groups = self.groups(&mut state, metadata, now, &mut until);
        let count = groups.len();
        groups.retain(|_, group| self.has_room(group));
        state.is_full = groups.len() < count;
        // What cannot be sent is told to those who poll, who may have the state then.
        drop(state);
        for (id, group) in groups {
            until = until.or(self.send(id, group, metadata, net, now));
        }
        until
    }

    /// Whether so little waits to be taken that more may come: less than half of what one answer
    /// may have.
    fn has_room(&self, group: &Group) -> bool {
        let settings = &self.shared.settings.fetch;
        let of_partitions = group.wanted.len() as i64 * i64::from(settings.partition_bytes_max);
        let answer = of_partitions.min(i64::from(settings.bytes_max));
        group.untaken == 0 || (group.untaken as i64) < answer / 2
    }

    /// The partitions that can be fetched, by the brokers to be asked.
    fn groups(
        &mut self,
        state: &mut State,
        metadata: &mut Metadata,
        now: Instant,
        until: &mut Until,
    ) -> BTreeMap<i32, Group> {
        let mut groups: BTreeMap<i32, Group> = BTreeMap::new();
        let cluster = Arc::clone(metadata.cluster());
        let State { positions, queue, errors, .. } = state;
        let told = errors.len();
        for (partition, place) in positions.iter_mut() {
            if place.error().is_some() {
                continue;
            }
            metadata.want(&partition.topic, now);
            let leader = cluster.partition(&partition.topic, partition.partition);
            let Some((leader, epoch)) = leader.and_then(|of| Some((of.leader?, of.leader_epoch)))
            else {
                match refused(&cluster, &partition.topic) {
                    Some(error) => {
                        place.fail(error.clone());
                        errors.push_back(error);
                    }
                    None => metadata.seek(),
                }
                continue;
            };
            let PlaceState::Known(known) = &place.state else { continue };
            if place.is_paused || known.is_checking || known.checked_epoch < epoch {
                continue;
            }
            if place.wrong_metadata == Some(metadata.updates()) {
                continue;
            }
            if let Some(time) = place.waits(now) {
                *until = until.or(Until::Time(time));
                continue;
            }
            let wanted = Wanted {
                topic_id: cluster.topic(&partition.topic).map_or(Uuid::ZERO, |topic| topic.id),
                offset: known.fetched.offset,
                leader_epoch: epoch,
                bytes_max: self.shared.settings.fetch.partition_bytes_max,
            };
            let broker = preferred(place, &cluster, now).unwrap_or(leader);
            let group = groups.entry(broker).or_default();
            group.wanted.insert(partition.clone(), wanted);
            group.generations.insert(partition.clone(), place.generation);
        }
        for cursor in queue.iter() {
            let is_paused = positions.get(&cursor.chunk.partition).is_none_or(|of| of.is_paused);
            if let Some(group) = groups.get_mut(&cursor.chunk.node)
                && !is_paused
            {
                group.untaken += cursor.bytes_left();
            }
        }
        if errors.len() > told {
            self.shared.notify();
        }
        groups
    }

    fn send(
        &mut self,
        id: i32,
        group: Group,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
    ) -> Until {
        let broker = self.brokers.entry(id).or_default();
        if broker.is_asked {
            return Until::Event;
        }
        if let Some(time) = broker.not_before.filter(|time| *time > now) {
            return Until::Time(time);
        }
        let node = Node::Broker(id);
        let versions = match net.ready(node, now) {
            Readiness::Ready(versions) => versions,
            Readiness::Connecting => return Until::Event,
            Readiness::NotBefore(time) => {
                // Another one may lead by now, and what it knew of the session may be gone.
                metadata.refresh();
                return Until::Time(time);
            }
        };
        match Self::request(&self.shared, broker, group.wanted, &versions) {
            Ok(request) => {
                broker.is_asked = true;
                let tag = net.send(node, request, now);
                let generations = group.generations;
                self.sent.insert(tag, Sent { broker: id, at: now, generations });
                Until::Event
            }
            Err(error) => {
                let error = error.at(net.name(node));
                self.request_failed(id, error, now);
                self.brokers[&id].not_before.into()
            }
        }
    }

    fn request(
        shared: &Shared,
        broker: &mut Broker,
        wanted: BTreeMap<TopicPartition, Wanted>,
        versions: &Versions,
    ) -> Result<Outgoing, Error> {
        let version = request::version(&wanted, versions)?;
        let plan = broker.session.next(wanted, request::has_ids(version));
        request::fetch(&plan, version, &shared.settings)
    }

    /// Takes an answer.
    pub(super) fn answered(
        &mut self,
        (tag, result): Answered,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
    ) {
        let Some(sent) = self.sent.remove(&tag) else { return self.end.answered(tag) };
        let Some(broker) = self.brokers.get_mut(&sent.broker) else { return };
        broker.is_asked = false;
        let name = net.name(Node::Broker(sent.broker));
        let read = result.and_then(|answer| {
            let read = answer::read(&answer, metadata.cluster())?;
            Ok((answer, read))
        });
        let (answer, read) = match read {
            Ok(read) => read,
            Err(error) => {
                broker.session.begin_anew();
                metadata.refresh();
                return self.request_failed(sent.broker, error.at(name), now);
            }
        };
        let partitions: BTreeSet<_> = read.parts.iter().map(|part| &part.partition).collect();
        let makes_sense = broker.session.answered(read.error, read.session_id, &partitions);
        if read.is_strange {
            // Of topics that were made anew meanwhile, for instance.
            broker.session.begin_anew();
            metadata.refresh();
        }
        let pace = broker.pace(&sent, &read, &self.shared.settings.fetch, now);
        broker.not_before = (!pace.is_zero()).then(|| now + pace);
        if !makes_sense {
            log::debug!("broker {name}: a new fetch session, because of {}", read.error);
            if !is_of_session(read.error) {
                let code = Error::of_code(read.error, None).err();
                let error = code.unwrap_or_else(|| {
                    let detail = "Fetch: not the partitions that were asked for";
                    Error::new(ErrorKind::Malformed, detail)
                });
                self.request_failed(sent.broker, error.at(name), now);
            }
            return;
        }
        broker.failed = 0;
        self.take(sent, answer, read, metadata, (&name, now));
    }

    /// Takes what an answer has of partitions.
    fn take(
        &mut self,
        sent: Sent,
        answer: Answer,
        read: answer::Read,
        metadata: &mut Metadata,
        (name, now): (&str, Instant),
    ) {
        let shared = Arc::clone(&self.shared);
        let has_records = read.parts.iter().any(|part| !part.range.is_empty());
        let bytes = if has_records { answer.into_frame() } else { Vec::new() };
        let frame = Arc::new(Frame::new(bytes, &shared.held));
        let mut state = shared.state();
        for part in read.parts {
            let Some(&generation) = sent.generations.get(&part.partition) else { continue };
            let of = told::Of { broker: sent.broker, generation, frame: &frame };
            let told = told::take(&mut state, of, part, &shared.settings, now);
            let mut is_wrong = told.is_of_metadata;
            if let Some((partition, leader)) = told.leader
                && metadata.set_leader(&partition.topic, partition.partition, leader)
            {
                is_wrong = false;
            }
            if told.is_of_metadata {
                metadata.refresh();
            }
            if let Some((partition, error)) = told.again {
                log::debug!("{partition}, broker {name}: fetched again because of {error}");
                if let Some(place) = state.positions.get_mut(&partition) {
                    place.wrong_metadata = is_wrong.then(|| metadata.updates());
                    place.failed = place.failed.saturating_add(1);
                    let wait = shared.settings.retry_backoff.after(place.failed, &mut self.chance);
                    place.not_before = Some(now + wait);
                }
            }
        }
        // Whoever takes the records is the last to have it.
        drop(frame);
        drop(state);
        shared.notify();
    }

    /// A request has no answer that can be used. What waiting does not heal is told.
    fn request_failed(&mut self, id: i32, error: Error, now: Instant) {
        log::debug!("fetching failed: {error}");
        let broker = self.brokers.entry(id).or_default();
        broker.failed = broker.failed.saturating_add(1);
        let wait = self.shared.settings.retry_backoff.after(broker.failed, &mut self.chance);
        broker.not_before = Some(now + wait);
        if !error.is_retriable() {
            self.shared.state().tell(error);
            self.shared.notify();
        }
    }
}

impl Broker {
    /// How long to leave the broker alone: as long as it says, and if it answers without records
    /// again and again although it was to wait for some, half as long as it was to wait. Sessions
    /// that it does not know may be such answers as well. Errors of partitions have their own pace.
    fn pace(
        &mut self,
        sent: &Sent,
        read: &answer::Read,
        settings: &FetchSettings,
        now: Instant,
    ) -> Duration {
        let has_news = |part: &answer::Part| !part.range.is_empty() || !part.error.is_none();
        let due = sent.at + settings.wait_max / 2;
        let early = due.saturating_duration_since(now);
        // Who asks for no bytes asks for no wait.
        let waits = settings.bytes_min > 0 || !read.error.is_none();
        let is_hasty = waits && !early.is_zero() && !read.parts.iter().any(has_news);
        self.hasty = if is_hasty { self.hasty.saturating_add(1) } else { 0 };
        match self.hasty > HASTY_MAX {
            true => read.throttle.max(early),
            false => read.throttle,
        }
    }
}

/// A broker may have its reasons to answer too soon, such as a session that it has just dropped.
const HASTY_MAX: u32 = 2;

/// Why nothing is known of a topic, if that does not pass by waiting.
fn refused(cluster: &Cluster, topic: &str) -> Option<Error> {
    let error = Error::of_code(cluster.topic(topic)?.error, None).err()?;
    (!error.is_retriable()).then(|| error.of_topic(topic))
}

/// The replica that the leader has named, as long as it is there.
fn preferred(place: &Place, cluster: &Cluster, now: Instant) -> Option<i32> {
    let (replica, until) = place.preferred?;
    (now < until && cluster.brokers.contains_key(&replica)).then_some(replica)
}

/// Whether an error is about the session, and another one can be begun at once.
fn is_of_session(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND
            | ErrorCode::INVALID_FETCH_SESSION_EPOCH
            | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
    )
}
