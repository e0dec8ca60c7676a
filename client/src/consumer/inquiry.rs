//! What partitions' leaders are asked beside records: offsets of times, and where epochs end. Those
//! of many partitions go to a leader in one request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ottla_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};
use ottla_protocol::wire::WriteError;

use crate::chance::{Backoff, Chance};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Net, Node, Outgoing, Readiness, Tag, Until, Versions, millis};
use crate::partition::TopicPartition;
use crate::pending::Promise;
use crate::session::{Answered, Metadata, is_of_metadata};

/// A question to the leader of a partition.
pub(super) struct Inquiry {
    pub(super) partition: TopicPartition,
    pub(super) what: What,
    pub(super) whose: Whose,
    pub(super) deadline: Option<Instant>,
    pub(super) tries: u32,
    pub(super) not_before: Option<Instant>,
    /// The answer of metadata that was found wrong: it waits for another one.
    pub(super) wrong_metadata: Option<u64>,
}

impl Inquiry {
    pub(super) fn new(partition: TopicPartition, what: What, whose: Whose) -> Self {
        Self {
            partition,
            what,
            whose,
            deadline: None,
            tries: 0,
            not_before: None,
            wrong_metadata: None,
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The offset of the first record that is not older than this, ms; or -1 and so on.
    OffsetOf(i64),
    /// Where this leader epoch ends.
    EndOf(i32),
}

/// Whom the answer is for.
pub(super) enum Whose {
    /// The position of this generation.
    Position(u64),
    /// Whoever waits for it.
    Caller(Promise<Told>),
}

/// An answer; -1 for what there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) leader_epoch: i32,
}

/// A question and its answer.
pub(super) type Resolved = (Inquiry, Result<Told, Error>);

/// All that is asked.
pub(super) struct Inquiries {
    isolation_level: i8,
    request_timeout: Duration,
    backoff: Backoff,
    waiting: Vec<Inquiry>,
    sent: HashMap<Tag, (Node, Vec<Inquiry>)>,
    chance: Chance,
}

impl Inquiries {
    pub(super) fn new(isolation_level: i8, request_timeout: Duration, backoff: Backoff) -> Self {
        Self {
            isolation_level,
            request_timeout,
            backoff,
            waiting: Vec::new(),
            sent: HashMap::new(),
            chance: Chance::new(),
        }
    }

    pub(super) fn ask(&mut self, inquiry: Inquiry) {
        self.waiting.push(inquiry);
    }

    /// Sends what can be sent. Into `resolved` goes what has an answer without being asked.
    pub(super) fn turn(
        &mut self,
        metadata: &mut Metadata,
        net: &mut dyn Net,
        now: Instant,
        resolved: &mut Vec<Resolved>,
    ) -> Until {
        let mut until = Until::Event;
        let mut by_leader: BTreeMap<(i32, bool), Vec<Inquiry>> = BTreeMap::new();
        let mut taken = HashSet::new();
        for inquiry in std::mem::take(&mut self.waiting) {
            if inquiry.deadline.is_some_and(|deadline| deadline <= now) {
                // Whoever waits has seen the time pass as well.
                continue;
            }
            let TopicPartition { topic, partition } = &inquiry.partition;
            metadata.want(topic, now);
            if inquiry.wrong_metadata == Some(metadata.updates()) {
                until = until.or(inquiry.deadline.into());
                self.waiting.push(inquiry);
                continue;
            }
            if let Some(time) = inquiry.not_before.filter(|time| *time > now) {
                until = until.or(Until::Time(time));
                self.waiting.push(inquiry);
                continue;
            }
            let known = metadata.cluster().topic(topic);
            if let Some(error) = known.and_then(|topic| Error::of_code(topic.error, None).err())
                && !error.is_retriable()
            {
                let error = error.of_topic(topic);
                resolved.push((inquiry, Err(error)));
                continue;
            }
            let leader = metadata.cluster().partition(topic, *partition).and_then(|of| of.leader);
            let Some(leader) = leader else {
                metadata.seek();
                self.waiting.push(inquiry);
                continue;
            };
            let is_epoch = matches!(inquiry.what, What::EndOf(_));
            // A request names a partition once.
            if !taken.insert((is_epoch, inquiry.partition.clone())) {
                until = until.or(Until::Time(now));
                self.waiting.push(inquiry);
                continue;
            }
            by_leader.entry((leader, is_epoch)).or_default().push(inquiry);
        }
        for (of, asked) in by_leader {
            until = until.or(self.send(of, asked, metadata, (&mut *net, now), resolved));
        }
        until
    }

    /// Sends a request to a leader if it is ready.
    fn send(
        &mut self,
        (leader, is_epoch): (i32, bool),
        asked: Vec<Inquiry>,
        metadata: &mut Metadata,
        (net, now): (&mut dyn Net, Instant),
        resolved: &mut Vec<Resolved>,
    ) -> Until {
        let node = Node::Broker(leader);
        let versions = match net.ready(node, now) {
            Readiness::Ready(versions) => versions,
            Readiness::Connecting => {
                self.waiting.extend(asked);
                return Until::Event;
            }
            Readiness::NotBefore(time) => {
                // Another one may lead by now.
                metadata.refresh();
                self.waiting.extend(asked);
                return Until::Time(time);
            }
        };
        let request = match is_epoch {
            true => self.ends_request(&asked, metadata.cluster(), &versions),
            false => self.offsets_request(&asked, metadata.cluster(), &versions),
        };
        match request {
            Ok(request) => {
                let tag = net.send(node, request, now);
                self.sent.insert(tag, (node, asked));
            }
            Err(error) => {
                let error = error.at(net.name(node));
                resolved.extend(asked.into_iter().map(|inquiry| (inquiry, Err(error.clone()))));
            }
        }
        Until::Event
    }

    fn offsets_request(
        &self,
        asked: &[Inquiry],
        cluster: &Cluster,
        versions: &Versions,
    ) -> Result<Outgoing, Error> {
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for Inquiry { partition, what, .. } in asked {
            let What::OffsetOf(timestamp) = *what else { continue };
            topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
                partition_index: partition.partition,
                current_leader_epoch: leader_epoch(cluster, partition),
                timestamp,
            });
        }
        let topics = topics.into_iter();
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: self.isolation_level,
            topics: topics
                .map(|(name, partitions)| ListOffsetsTopic { name, partitions })
                .collect(),
            timeout_ms: millis(self.request_timeout),
        };
        // Committed offsets alone cannot be asked for before version 2.
        let version = versions.pick(ApiKey::ListOffsets, 2..=10)?;
        outgoing(Outgoing::new(&request, version, self.request_timeout))
    }

    fn ends_request(
        &self,
        asked: &[Inquiry],
        cluster: &Cluster,
        versions: &Versions,
    ) -> Result<Outgoing, Error> {
        let mut topics: BTreeMap<&str, Vec<OffsetForLeaderPartition>> = BTreeMap::new();
        for Inquiry { partition, what, .. } in asked {
            let What::EndOf(epoch) = *what else { continue };
            topics.entry(&partition.topic).or_default().push(OffsetForLeaderPartition {
                partition: partition.partition,
                current_leader_epoch: leader_epoch(cluster, partition),
                leader_epoch: epoch,
            });
        }
        let topics = topics.into_iter();
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: topics
                .map(|(topic, partitions)| OffsetForLeaderTopic { topic, partitions })
                .collect(),
        };
        let version = versions.pick(ApiKey::OffsetForLeaderEpoch, 2..=4)?;
        outgoing(Outgoing::new(&request, version, self.request_timeout))
    }

    /// Takes the answer if it is to one of these requests; else gives it back. What is not to be
    /// asked again goes into `resolved`.
    pub(super) fn answered(
        &mut self,
        (tag, result): Answered,
        metadata: &mut Metadata,
        (net, now): (&dyn Net, Instant),
        resolved: &mut Vec<Resolved>,
    ) -> Option<Answered> {
        let Some((node, asked)) = self.sent.remove(&tag) else { return Some((tag, result)) };
        let is_epoch = asked.first().is_some_and(|asked| matches!(asked.what, What::EndOf(_)));
        let told = result.and_then(|answer| match is_epoch {
            true => ends(&answer),
            false => offsets(&answer),
        });
        for mut inquiry in asked {
            let result = match &told {
                Err(error) => Err(error.clone()),
                Ok(told) => told.get(&inquiry.partition).cloned().unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Malformed, "the answer has no word about it"))
                }),
            };
            let error = match result {
                Ok(told) => {
                    resolved.push((inquiry, Ok(told)));
                    continue;
                }
                Err(error) => error,
            };
            inquiry.wrong_metadata = is_of_metadata(&error).then(|| metadata.updates());
            if inquiry.wrong_metadata.is_some() {
                metadata.refresh();
            }
            if error.is_retriable() {
                inquiry.tries = inquiry.tries.saturating_add(1);
                let wait = self.backoff.after(inquiry.tries, &mut self.chance);
                inquiry.not_before = Some(now + wait);
                log::debug!("{}: asked again because of {error}", inquiry.partition);
                self.waiting.push(inquiry);
            } else {
                let TopicPartition { topic, partition } = &inquiry.partition;
                let error = error.of_partition(topic, *partition).at(net.name(node));
                resolved.push((inquiry, Err(error)));
            }
        }
        None
    }
}

fn outgoing(written: Result<Outgoing, WriteError>) -> Result<Outgoing, Error> {
    written.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))
}

fn leader_epoch(cluster: &Cluster, of: &TopicPartition) -> i32 {
    cluster.partition(&of.topic, of.partition).map_or(-1, |known| known.leader_epoch)
}

type ByPartition = HashMap<TopicPartition, Result<Told, Error>>;

fn offsets(answer: &Answer) -> Result<ByPartition, Error> {
    let read: ListOffsetsResponse<'_> = answer.read()?;
    let mut all = HashMap::new();
    for topic in &read.topics {
        let name: Arc<str> = topic.name.into();
        for told in &topic.partitions {
            let of = TopicPartition { topic: Arc::clone(&name), partition: told.partition_index };
            let (offset, timestamp) = (told.offset, told.timestamp);
            let result = Told { offset, timestamp, leader_epoch: told.leader_epoch };
            all.insert(of, Error::of_code(told.error_code, None).map(|()| result));
        }
    }
    Ok(all)
}

fn ends(answer: &Answer) -> Result<ByPartition, Error> {
    let read: OffsetForLeaderEpochResponse<'_> = answer.read()?;
    let mut all = HashMap::new();
    for topic in &read.topics {
        let name: Arc<str> = topic.topic.into();
        for told in &topic.partitions {
            let of = TopicPartition { topic: Arc::clone(&name), partition: told.partition };
            let (offset, leader_epoch) = (told.end_offset, told.leader_epoch);
            let result = Told { offset, timestamp: -1, leader_epoch };
            all.insert(of, Error::of_code(told.error_code, None).map(|()| result));
        }
    }
    Ok(all)
}
