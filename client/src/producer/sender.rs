//! The client's thread: requests out of batches, and what their answers mean.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::delivery::Appended;
use super::lane::{After, BatchId, Identity, Lane, Sealed};
use super::queue::PartitionQueue;
use super::shared::Shared;
use crate::chance::Chance;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Driver, Event, Net, Node, Outgoing, Readiness, Tag, Until};
use crate::pending::Pending;
use crate::session::{Route, Session, is_of_metadata, question};

mod blocked;
mod ends;
mod request;
mod split;
mod topics;

use blocked::Blocked;
use ends::finish;
use request::Chosen;

/// A producer's driver.
pub(super) struct Sender {
    shared: Arc<Shared>,
    session: Session,
    identity: Who,
    partitions: Vec<Partition>,
    /// Where a partition is in the list.
    places: HashMap<(Arc<str>, i32), usize>,
    /// Those that have something to send or to wait for.
    active: Vec<usize>,
    /// Which of them is first at the next request, so that none starves.
    turn: usize,
    sent: HashMap<Tag, Sent>,
    next_batch: BatchId,
    /// The answers of metadata that were looked at.
    metadata_seen: u64,
    /// When the topics that are sent to were wanted last.
    topics_wanted: Option<Instant>,
    /// When partitions' loads were told last.
    loads_told: Option<Instant>,
    blocked: Blocked,
    chance: Chance,
}

/// A partition's batches: those that are taken out, and where there are more.
struct Partition {
    queue: Arc<PartitionQueue>,
    lane: Lane,
    /// Whether it is among those that are active.
    is_active: bool,
}

/// Who the producer is to brokers.
enum Who {
    /// Nobody: there is no idempotence.
    Nobody,
    Unknown,
    Asked(Pending<Identity>),
    Known(Identity),
}

/// A request on its way: which batches are in it.
struct Sent {
    node: Node,
    batches: Vec<(usize, BatchId)>,
}

impl Who {
    /// Whether an id is needed and not there.
    fn is_missing(&self) -> bool {
        matches!(self, Self::Unknown | Self::Asked(_))
    }
}

impl Driver for Sender {
    fn turn(&mut self, net: &mut dyn Net, now: Instant) -> Option<Until> {
        // From here on whoever puts something has it woken: what was put before is seen below.
        self.shared.is_asleep.store(true, Ordering::Release);
        while let Some(event) = net.next_event() {
            let left = self.session.take(event, net, now);
            if let Some(Event::Answered { tag, result }) = left
                && let Some(sent) = self.sent.remove(&tag)
            {
                self.answered(sent, result, net, now);
            }
        }
        self.learn(now);
        let listed = std::mem::take(&mut self.shared.news().listed);
        for queue in listed {
            self.session.metadata.want(&queue.topic, now);
            self.list(queue);
        }
        self.want_active(now);
        if self.is_over(now) {
            self.end();
            return None;
        }
        let mut until = self.expire(net, now);
        // In this order: a new id is taken by what has waited for it, and what cannot go on under
        // its own is given another one, without anything else that has to happen.
        self.take_identity();
        self.restart_broken();
        self.ask_identity(now);
        until = until.or(self.send(net, now));
        self.tell_loads(now);
        // Last, since all of these may have found that something is to be asked for.
        until = until.or(self.session.turn(net, now));
        if let Some(time) = self.shared.closing() {
            until = until.or(Until::Time(time));
        }
        Some(until)
    }
}

impl Drop for Sender {
    /// Also when its thread panics, nobody waits for it for ever.
    fn drop(&mut self) {
        self.end();
    }
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, session: Session) -> Self {
        let is_idempotent = shared.settings.is_idempotent;
        Self {
            shared,
            session,
            identity: if is_idempotent { Who::Unknown } else { Who::Nobody },
            partitions: Vec::new(),
            places: HashMap::new(),
            active: Vec::new(),
            turn: 0,
            sent: HashMap::new(),
            next_batch: 0,
            metadata_seen: 0,
            topics_wanted: None,
            loads_told: None,
            blocked: Blocked::default(),
            chance: Chance::new(),
        }
    }

    /// Puts a partition on the list of those that have something.
    fn list(&mut self, queue: Arc<PartitionQueue>) {
        let key = (Arc::clone(&queue.topic), queue.partition);
        let place = *self.places.entry(key).or_insert_with(|| {
            self.partitions.push(Partition { queue, lane: Lane::default(), is_active: false });
            self.partitions.len() - 1
        });
        if !std::mem::replace(&mut self.partitions[place].is_active, true) {
            self.active.push(place);
        }
    }

    /// Takes the producer id when it is there.
    fn take_identity(&mut self) {
        if let Who::Asked(pending) = &self.identity
            && pending.is_done()
        {
            let Who::Asked(pending) = std::mem::replace(&mut self.identity, Who::Unknown) else {
                return;
            };
            match pending.wait() {
                Ok(identity) => self.identity = Who::Known(identity),
                Err(error) if error.is_retriable() => {
                    log::warn!("no producer id yet: {error}");
                }
                Err(error) => self.fail_all(&error),
            }
        }
    }

    /// Asks for a producer id when one is needed.
    fn ask_identity(&mut self, now: Instant) {
        if matches!(self.identity, Who::Unknown) && !self.active.is_empty() {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            };
            let build = move |version, timeout| Outgoing::new(&request, version, timeout);
            let read = |answer: &Answer| {
                let read: InitProducerIdResponse = answer.read()?;
                Error::of_code(read.error_code, None)?;
                Ok(Identity { id: read.producer_id, epoch: read.producer_epoch })
            };
            let api = (ApiKey::InitProducerId, 0..=5);
            let (ask, pending) = question(Route::Any, api, build, read);
            let deadline = now + self.shared.settings.delivery_timeout;
            self.session.calls.ask(ask, deadline, now);
            self.identity = Who::Asked(pending);
        }
    }

    fn current(&self) -> Option<Identity> {
        match self.identity {
            Who::Known(identity) => Some(identity),
            _ => None,
        }
    }

    /// Sends what can be sent; says when there is more.
    fn send(&mut self, net: &mut dyn Net, now: Instant) -> Until {
        if self.identity.is_missing() {
            return Until::Event;
        }
        let (mut until, mut due) = (Until::Event, Vec::new());
        let linger = match self.shared.is_urgent() {
            true => Duration::ZERO,
            false => self.shared.settings.batch.linger,
        };
        let mut active = std::mem::take(&mut self.active);
        active.retain(|&place| {
            let partition = &self.partitions[place];
            let Some(time) = self.due(partition, linger, now) else {
                let is_active = partition.lane.len() > 0 || !partition.queue.unlist_if_empty();
                self.partitions[place].is_active = is_active;
                return is_active;
            };
            if time > now {
                until = until.or(Until::Time(time));
                return true;
            }
            let (topic, index) = (&partition.queue.topic, partition.queue.partition);
            let cluster = self.session.metadata.cluster();
            match cluster.partition(topic, index).and_then(|known| known.leader) {
                Some(leader) => due.push((leader, place)),
                None => self.session.metadata.seek(),
            }
            true
        });
        self.active = active;
        self.turn = self.turn.wrapping_add(1);
        // The same broker's are together, and of them another one is first each time.
        let turn = self.turn;
        due.sort_by_key(|&(leader, place)| (leader, place.wrapping_sub(turn)));
        for of_leader in due.chunk_by(|(one, _), (other, _)| one == other) {
            let places: Vec<usize> = of_leader.iter().map(|(_, place)| *place).collect();
            let leader = of_leader[0].0;
            until = until.or(self.send_to(leader, &places, linger, (net, now)));
            if !self.shared.settings.availability_timeout.is_zero() {
                let due = |place: &usize| self.due(&self.partitions[*place], linger, now);
                let has_left = places.iter().filter_map(due).any(|time| time <= now);
                self.blocked.note(leader, has_left, now);
            }
        }
        until
    }

    /// When a partition has a batch to send; `None` when it has none, or others are to be answered
    /// first.
    fn due(&self, partition: &Partition, linger: Duration, now: Instant) -> Option<Instant> {
        let Partition { queue, lane, .. } = partition;
        if let Some(time) = lane.retry_due(self.shared.settings.is_idempotent) {
            return Some(time);
        }
        if !lane.takes_more(self.current()) {
            return None;
        }
        queue.due(linger, now)
    }

    /// Sends requests to a broker as long as it is ready and there is something.
    fn send_to(
        &mut self,
        leader: i32,
        places: &[usize],
        linger: Duration,
        (net, now): (&mut dyn Net, Instant),
    ) -> Until {
        let node = Node::Broker(leader);
        let versions = match net.ready(node, now) {
            Readiness::Ready(versions) => versions,
            Readiness::Connecting => return Until::Event,
            Readiness::NotBefore(time) => {
                // Another one may lead by now.
                self.session.metadata.refresh();
                return Until::Time(time);
            }
        };
        while net.in_flight(node) < self.shared.settings.in_flight_max {
            let chosen = self.take(places, linger, now);
            if chosen.is_empty() {
                break;
            }
            let cluster = self.session.metadata.cluster();
            let settings = &self.shared.settings;
            let request = request::produce(&chosen, cluster, &versions, settings);
            let batches = chosen.iter().map(|chosen| (chosen.place, chosen.id)).collect();
            let sent = Sent { node, batches };
            match request {
                Ok(request) => {
                    let is_answered = request.is_answered;
                    let tag = net.send(node, request, now);
                    if is_answered {
                        self.sent.insert(tag, sent);
                    } else {
                        let appended = Appended { base_offset: -1, log_append_time: -1 };
                        self.all(&sent, &Ok(appended), now);
                    }
                }
                Err(error) => {
                    self.all(&sent, &Err(error.at(net.name(node))), now);
                    break;
                }
            }
        }
        Until::Event
    }

    /// A batch of each of these partitions that has one, as many as one request may have.
    fn take(&mut self, places: &[usize], linger: Duration, now: Instant) -> Vec<Chosen> {
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        for &place in places {
            let due = self.due(&self.partitions[place], linger, now);
            if due.is_none_or(|time| time > now) {
                continue;
            }
            // One that is larger by itself is refused when it is put, or by the broker.
            let more = self.next_bytes(place);
            if bytes > 0 && bytes + more > self.shared.settings.request_bytes_max {
                break;
            }
            if let Some(batch) = self.take_one(place, now) {
                bytes += batch.bytes.len();
                chosen.push(batch);
            }
        }
        chosen
    }

    /// The size of the batch that a partition has next; an estimate if it is compressed.
    fn next_bytes(&self, place: usize) -> usize {
        let Partition { queue, lane, .. } = &self.partitions[place];
        lane.retry_bytes().unwrap_or_else(|| queue.next_bytes())
    }

    fn take_one(&mut self, place: usize, now: Instant) -> Option<Chosen> {
        let (current, is_idempotent) = (self.current(), self.shared.settings.is_idempotent);
        let Partition { queue, lane, .. } = &mut self.partitions[place];
        if lane.retry_due(is_idempotent).is_none() {
            let batch = queue.take(true)?;
            self.next_batch += 1;
            let id = self.next_batch;
            let producer = lane.next(current, batch.records_count());
            let (built, rest) = batch.build(queue.ratio(), producer);
            let of = (rest.created, Arc::new(rest.room));
            let (bytes, error) = match built {
                Ok(bytes) => (bytes, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let sealed = Sealed::new((id, bytes), rest.records, rest.delivery, rest.callbacks, of);
            if let Some(error) = error {
                lane.left_out();
                finish(sealed, Err(error.of_partition(&queue.topic, queue.partition)));
                return None;
            }
            lane.push(sealed);
        }
        let batch = lane.send(is_idempotent, now)?;
        Some(Chosen {
            place,
            id: batch.id,
            topic: Arc::clone(&queue.topic),
            partition: queue.partition,
            bytes: Arc::clone(&batch.bytes),
        })
    }

    /// Begins anew where the broker's sequence is not known any more: under the next epoch, which a
    /// producer without transactions may take by itself (KIP-360).
    fn restart_broken(&mut self) {
        let broken = |place: &&usize| self.partitions[**place].lane.is_broken();
        let broken: Vec<usize> = self.active.iter().filter(broken).copied().collect();
        let Who::Known(Identity { id, epoch }) = self.identity else { return };
        if broken.is_empty() {
            return;
        }
        let mut is_fenced = false;
        for &place in &broken {
            is_fenced |= self.partitions[place].lane.take_fenced();
        }
        let next = if is_fenced { None } else { epoch.checked_add(1) };
        let Some(epoch) = next else {
            // All epochs are used up, or are another one's.
            self.identity = Who::Unknown;
            return;
        };
        let identity = Identity { id, epoch };
        self.identity = Who::Known(identity);
        for place in broken {
            self.partitions[place].lane.restart(identity);
        }
    }

    /// Takes the answer to a request.
    fn answered(
        &mut self,
        sent: Sent,
        result: Result<Answer, Error>,
        net: &mut dyn Net,
        now: Instant,
    ) {
        let name = net.name(sent.node);
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.session.metadata.refresh();
                return self.all(&sent, &Err(error), now);
            }
        };
        let read = request::read(&answer, self.session.metadata.cluster());
        let told = match read {
            Ok(told) => told,
            Err(error) => return self.all(&sent, &Err(error.at(name)), now),
        };
        for leader in &told.leaders {
            let partition = leader.partition;
            self.session.metadata.set_leader(&leader.topic, partition, (leader.id, leader.epoch));
        }
        for &(place, id) in &sent.batches {
            let queue = &self.partitions[place].queue;
            let result = told
                .results
                .iter()
                .find(|told| told.partition == queue.partition && *told.topic == *queue.topic);
            let result = match result {
                Some(told) => told.result.clone(),
                None => Err(Error::new(ErrorKind::Malformed, "the answer has no word about it")),
            };
            self.one((place, id), result.map_err(|error| error.at(&name)), now);
        }
    }

    /// All batches of a request have the same answer.
    fn all(&mut self, sent: &Sent, result: &Result<Appended, Error>, now: Instant) {
        for &batch in &sent.batches {
            self.one(batch, result.clone(), now);
        }
    }

    /// A batch has its answer.
    fn one(
        &mut self,
        (place, id): (usize, BatchId),
        result: Result<Appended, Error>,
        now: Instant,
    ) {
        let settings = self.shared.settings;
        let Partition { queue, lane, .. } = &mut self.partitions[place];
        let of = |error: Error| error.of_partition(&queue.topic, queue.partition);
        let result = result.map_err(of);
        if let Err(error) = &result
            && is_of_metadata(error)
        {
            self.session.metadata.refresh();
        }
        let chance = &mut self.chance;
        let again = |tries: u32| {
            let wait = || settings.retry_backoff.after(tries, chance);
            (tries <= settings.retries).then(wait)
        };
        match lane.answered(id, result, again, now) {
            After::Finished(batch, result) => finish(batch, result),
            After::Again | After::Unknown => {}
            After::Split(batch, at) => {
                queue.ratio().reset();
                let first = self.next_batch + 1;
                match split::halves(batch, first, settings.batch) {
                    Ok(parts) => {
                        self.next_batch += parts.len() as BatchId;
                        lane.replace(at, parts);
                    }
                    Err((batch, error)) => {
                        lane.left_out();
                        finish(batch, Err(of(error)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
