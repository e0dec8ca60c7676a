//! Reading what a fetch asks for, and writing the answer.

use std::ops::Range;
use std::sync::Arc;

use ottla_network::Response;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData,
};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Records, WriteError};
use ottla_storage::log::{FileRegion, Isolation, Offsets, Read, ReadResult};

use super::{FetchKey, grouped};
use crate::api::answer::Envelope;
use crate::errors;
use crate::fetch_session::{FetchContext, PartitionFetch, PartitionOutcome};
use crate::node::Node;
use crate::topics::{Partition, Topic, TopicRef};

/// From this version on an answer says where the new leader is (KIP-951).
const ENDPOINTS_FROM: i16 = 16;
/// Room for so many partitions of a topic is made at once: a session's answer has few of many.
const LIKELY_ANSWERED: usize = 16;

/// What holds for all partitions of a fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) isolation: Isolation,
    pub(super) bytes_max: u32,
    pub(super) bytes_min: u32,
    /// Brokers fetch to replicate, and no partition here has another replica.
    pub(super) is_follower: bool,
    /// It has waited, so that all its topics were known once.
    pub(super) has_waited: bool,
}

/// What there is for one partition.
enum Found {
    Read(ReadResult),
    Diverging { at: EpochEndOffset, offsets: Offsets },
    Failed { code: ErrorCode, leader_epoch: Option<i32> },
}

/// What there is for a whole fetch, in the order of its partitions.
pub(super) struct Reading {
    found: Vec<Found>,
    bytes: u64,
    /// Waiting brings nothing more: an error, or a segment that has ended.
    is_final: bool,
}

impl Reading {
    pub(super) fn of(node: &Node, context: &FetchContext<FetchKey>, wanted: &Wanted) -> Self {
        let mut reading =
            Self { found: Vec::with_capacity(context.partitions.len()), bytes: 0, is_final: false };
        for group in grouped(context) {
            let topic = topic_of(node, context, &group);
            for ((_, index), fetch) in &context.partitions[group] {
                let partition = topic.as_ref().map_err(|code| *code);
                let found = match partition.and_then(|topic| topic.partition(*index)) {
                    Ok(partition) => reading.read(node, partition, *fetch, wanted),
                    // Kafka looks an id up when the request comes, and knows the name from then on.
                    Err(ErrorCode::UNKNOWN_TOPIC_ID) if wanted.has_waited => Found::Failed {
                        code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        leader_epoch: None,
                    },
                    Err(code) => Found::Failed { code, leader_epoch: None },
                };
                reading.add(found);
            }
        }
        reading
    }

    fn add(&mut self, found: Found) {
        match &found {
            Found::Read(result) => {
                let length = result.region.as_ref().map_or(0, |region| region.length);
                self.bytes += u64::from(length);
                // The rest of a sealed segment is all that this read can ever give.
                self.is_final |= length > 0 && result.ends_segment;
            }
            _ => self.is_final = true,
        }
        self.found.push(found);
    }

    fn read(
        &self,
        node: &Node,
        partition: &Partition,
        fetch: PartitionFetch,
        wanted: &Wanted,
    ) -> Found {
        let leader_epoch = Some(partition.leader_epoch);
        if let Err(code) = partition.check_epoch(fetch.current_leader_epoch) {
            return Found::Failed { code, leader_epoch };
        }
        if wanted.is_follower {
            return Found::Failed { code: ErrorCode::NOT_LEADER_OR_FOLLOWER, leader_epoch };
        }
        if fetch.last_fetched_epoch >= 0 {
            let end = partition.log.end_offset_for_epoch(fetch.last_fetched_epoch);
            if end.leader_epoch < 0 {
                return Found::Failed { code: ErrorCode::OFFSET_OUT_OF_RANGE, leader_epoch };
            }
            if end.leader_epoch < fetch.last_fetched_epoch || end.end_offset < fetch.fetch_offset {
                let at = EpochEndOffset { epoch: end.leader_epoch, end_offset: end.end_offset };
                return Found::Diverging { at, offsets: partition.log.offsets() };
            }
        }
        let left = u32::try_from(u64::from(wanted.bytes_max).saturating_sub(self.bytes));
        let bytes_max = u32::try_from(fetch.partition_max_bytes).unwrap_or(0);
        let read = partition.log.read(Read {
            start_offset: fetch.fetch_offset,
            bytes_max: bytes_max.min(left.unwrap_or(u32::MAX)),
            isolation: wanted.isolation,
            // The first batch is sent whole however large, so that a reader gets on (KIP-74).
            min_one_batch: self.bytes == 0,
        });
        match read {
            Ok(mut result) => {
                if result.first_batch_incomplete {
                    // A part of a batch is of no use to anyone.
                    result.region = None;
                }
                Found::Read(result)
            }
            Err(error) => {
                let code = errors::of_read(&error);
                if matches!(code, ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::CORRUPT_MESSAGE) {
                    let from = partition.log.dir().display();
                    // Consumers ask again and again.
                    node.failures
                        .say(log::Level::Error, format_args!("fetch from {from}: {error}"));
                }
                Found::Failed { code, leader_epoch }
            }
        }
    }

    /// How many bytes there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The high watermarks that were seen, of partitions that were found.
    pub(super) fn high_watermarks(&self) -> Vec<i64> {
        self.found
            .iter()
            .filter_map(|found| match found {
                Found::Read(result) => Some(result.offsets.high_watermark),
                _ => None,
            })
            .collect()
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_enough(&self, wanted: &Wanted) -> bool {
        self.is_final || self.bytes >= u64::from(wanted.bytes_min)
    }

    /// The answer.
    pub(super) fn response(
        self,
        node: &Node,
        envelope: Envelope,
        context: &FetchContext<FetchKey>,
    ) -> Result<Response, WriteError> {
        let outcomes: Vec<PartitionOutcome> = self.found.iter().map(Found::outcome).collect();
        let sent = node.fetch_sessions().finish(context, &outcomes);
        let mut regions: Vec<FileRegion> = Vec::new();
        let mut responses = Vec::new();
        for group in grouped(context) {
            let (topic, _) = &context.partitions[group.start].0;
            let mut partitions = Vec::with_capacity(group.len().min(LIKELY_ANSWERED));
            for at in group.filter(|at| sent[*at]) {
                let index = context.partitions[at].0.1;
                partitions.push(self.found[at].data(index, node, envelope.version(), &mut regions));
            }
            if partitions.is_empty() {
                continue;
            }
            let (topic, topic_id) = match topic {
                TopicRef::Name(name) => (&**name, Uuid::ZERO),
                TopicRef::Id(id) => ("", *id),
            };
            responses.push(FetchableTopicResponse { topic, topic_id, partitions });
        }
        let has_moved = self.found.iter().any(Found::names_leader);
        let node_endpoints = if envelope.version() >= ENDPOINTS_FROM && has_moved {
            vec![endpoint(node)]
        } else {
            Vec::new()
        };
        let response = FetchResponse {
            session_id: context.session_id,
            responses,
            node_endpoints,
            ..Default::default()
        };
        envelope.response(&response, &regions)
    }
}

impl Found {
    fn outcome(&self) -> PartitionOutcome {
        let (offsets, has_records) = match self {
            Self::Read(result) => (Some(result.offsets), result.region.is_some()),
            Self::Diverging { offsets, .. } => (Some(*offsets), false),
            Self::Failed { .. } => (None, false),
        };
        PartitionOutcome {
            high_watermark: offsets.map_or(-1, |offsets| offsets.high_watermark),
            log_start_offset: offsets.map_or(-1, |offsets| offsets.log_start_offset),
            has_records,
            is_error: offsets.is_none(),
            must_send: matches!(self, Self::Diverging { .. }),
        }
    }

    /// Whether the client asked in an epoch that is over, and is told who leads.
    fn names_leader(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                code: ErrorCode::FENCED_LEADER_EPOCH | ErrorCode::NOT_LEADER_OR_FOLLOWER,
                leader_epoch: Some(_)
            }
        )
    }

    fn data(
        &self,
        index: i32,
        node: &Node,
        version: i16,
        regions: &mut Vec<FileRegion>,
    ) -> PartitionData<'static> {
        match self {
            Self::Failed { code, leader_epoch } => {
                let mut data = failed(index, *code);
                if let Some(leader_epoch) = *leader_epoch
                    && self.names_leader()
                    && version >= ENDPOINTS_FROM
                {
                    data.current_leader =
                        LeaderIdAndEpoch { leader_id: node.config.node_id, leader_epoch };
                }
                data
            }
            Self::Diverging { at, offsets } => PartitionData {
                partition_index: index,
                aborted_transactions: None,
                records: Some(Records::default()),
                diverging_epoch: at.clone(),
                ..with_offsets(*offsets)
            },
            Self::Read(result) => {
                let records = match &result.region {
                    Some(region) => {
                        regions.push(region.clone());
                        let token = (regions.len() - 1) as u32;
                        Records::Spliced { token, length: region.length }
                    }
                    // Length 0, never null: librdkafka fails on null.
                    None => Records::default(),
                };
                let aborted = result.aborted.as_ref().map(|aborted| {
                    let told = aborted.iter().map(|aborted| AbortedTransaction {
                        producer_id: aborted.producer_id,
                        first_offset: aborted.first_offset,
                    });
                    told.collect()
                });
                PartitionData {
                    partition_index: index,
                    aborted_transactions: aborted,
                    records: Some(records),
                    ..with_offsets(result.offsets)
                }
            }
        }
    }
}

fn with_offsets(offsets: Offsets) -> PartitionData<'static> {
    PartitionData {
        high_watermark: offsets.high_watermark,
        last_stable_offset: offsets.last_stable_offset,
        log_start_offset: offsets.log_start_offset,
        preferred_read_replica: -1,
        ..Default::default()
    }
}

/// A partition that failed.
pub(super) fn failed(partition_index: i32, error_code: ErrorCode) -> PartitionData<'static> {
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        records: Some(Records::default()),
        ..Default::default()
    }
}

fn endpoint(node: &Node) -> NodeEndpoint<'_> {
    let endpoint = node.endpoint_for(0);
    NodeEndpoint {
        node_id: node.config.node_id,
        host: &endpoint.host,
        port: i32::from(endpoint.port),
        rack: node.config.rack.as_deref(),
    }
}

/// The partitions that a fetch can wait on.
pub(super) fn partitions(node: &Node, context: &FetchContext<FetchKey>) -> Vec<Arc<Partition>> {
    let mut found = Vec::with_capacity(context.partitions.len());
    for group in grouped(context) {
        if let Ok(topic) = topic_of(node, context, &group) {
            let indexes = context.partitions[group].iter().map(|((_, index), _)| *index);
            found.extend(indexes.filter_map(|index| topic.partition(index).ok().cloned()));
        }
    }
    found
}

/// The topic of neighbors: looked up once for all of them.
fn topic_of(
    node: &Node,
    context: &FetchContext<FetchKey>,
    group: &Range<usize>,
) -> Result<Arc<Topic>, ErrorCode> {
    let (topic, _) = &context.partitions[group.start].0;
    node.topics.find(topic).ok_or(topic.unknown())
}
