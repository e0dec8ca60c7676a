//! Offsets of records: looked up, and deleted up to.

use std::collections::BTreeMap;
use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};

use super::spread::{Asked, distinct, sorted};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing, millis};
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::Route;

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// That of the first record.
    Earliest,
    /// The one behind the last record that [`IsolationLevel`] lets see.
    Latest,
    /// That of the record with the largest timestamp. From Kafka 3.0 on.
    MaxTimestamp,
    /// That of the first record that the broker has on its own disks. From Kafka 3.4 on.
    EarliestLocal,
    /// That of the last record that is in tiered storage. From Kafka 3.8 on.
    LatestTiered,
    /// That of the first record that waits to be put into tiered storage. From Kafka 4.2 on.
    EarliestPendingUpload,
    /// That of the first record with this timestamp or a later one, in ms since 1970.
    Timestamp(i64),
}

impl OffsetSpec {
    /// As requests have it.
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::EarliestPendingUpload => -6,
            // Earlier than all is earlier than zero, but not one of those above.
            Self::Timestamp(time) => time.max(0),
        }
    }

    /// The first version of ListOffsets that knows it.
    fn version_min(self) -> i16 {
        match self {
            Self::Latest | Self::Earliest | Self::Timestamp(_) => 1,
            Self::MaxTimestamp => 7,
            Self::EarliestLocal => 8,
            Self::LatestTiered => 9,
            Self::EarliestPendingUpload => 11,
        }
    }
}

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Those of transactions that were committed, up to the last stable offset. From Kafka 0.11 on.
    ReadCommitted,
}

/// An offset that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedOffset {
    /// The offset; `None` when there is no such record.
    pub offset: Option<i64>,
    /// The record's timestamp in ms since 1970; `None` when the offset was not found by one.
    pub timestamp: Option<i64>,
    /// The leader's epoch of the record; `None` when the broker does not tell.
    pub leader_epoch: Option<i32>,
}

/// Up to where records are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteBefore {
    /// Those before this offset.
    Offset(i64),
    /// All up to the high watermark.
    HighWatermark,
}

impl Admin {
    /// Looks up offsets, one of each partition.
    ///
    /// # Errors
    /// A partition is there twice. Of a partition: its leader's, or that there is none; the broker
    /// is too old for what is looked up (`UnsupportedVersion`).
    pub fn list_offsets(
        &self,
        partitions: &[(TopicPartition, OffsetSpec)],
        isolation: IsolationLevel,
    ) -> Result<Results<TopicPartition, ListedOffset>, Error> {
        let asked: Vec<TopicPartition> = partitions.iter().map(|(at, _)| at.clone()).collect();
        distinct(&asked)?;
        let specs: BTreeMap<&TopicPartition, OffsetSpec> =
            partitions.iter().map(|(at, spec)| (at, *spec)).collect();
        self.of_leaders(&asked, |broker, items, deadline| {
            // What the broker may be too old for is asked apart.
            let mut requests: BTreeMap<i16, Vec<(TopicPartition, OffsetSpec)>> = BTreeMap::new();
            for at in items {
                let Some(&spec) = specs.get(&at) else { continue };
                requests.entry(spec.version_min()).or_default().push((at, spec));
            }
            let ask = |(version_min, items)| {
                self.offsets_of(broker, (version_min, isolation), items, deadline)
            };
            requests.into_iter().map(ask).collect()
        })
    }

    fn offsets_of(
        &self,
        broker: i32,
        (version_min, isolation): (i16, IsolationLevel),
        items: Vec<(TopicPartition, OffsetSpec)>,
        deadline: Instant,
    ) -> Asked<TopicPartition, ListedOffset> {
        let asked: Vec<TopicPartition> = items.iter().map(|(at, _)| at.clone()).collect();
        let build = move |version, timeout| {
            let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
            for (at, spec) in &items {
                topics.entry(&at.topic).or_default().push(ListOffsetsPartition {
                    partition_index: at.partition,
                    timestamp: spec.timestamp(),
                    ..Default::default()
                });
            }
            let topic = |(name, partitions)| ListOffsetsTopic { name, partitions };
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: i8::from(isolation == IsolationLevel::ReadCommitted),
                topics: topics.into_iter().map(topic).collect(),
                timeout_ms: millis(timeout),
            };
            Outgoing::new(&request, version, timeout)
        };
        let of = asked.clone();
        let read = move |answer: &Answer| {
            let read: ListOffsetsResponse<'_> = answer.read()?;
            let told = read.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let listed = ListedOffset {
                        offset: (told.offset >= 0).then_some(told.offset),
                        timestamp: (told.timestamp >= 0).then_some(told.timestamp),
                        leader_epoch: (told.leader_epoch >= 0).then_some(told.leader_epoch),
                    };
                    let result = Error::of_code(told.error_code, None);
                    let at = TopicPartition::new(topic.name, told.partition_index);
                    (at, result.map(|()| listed))
                })
            });
            sorted(ApiKey::ListOffsets, &of, told)
        };
        let least = if isolation == IsolationLevel::ReadCommitted { 2 } else { 1 };
        let api = (ApiKey::ListOffsets, version_min.max(least)..=11);
        (asked, self.remote.ask_until(deadline, Route::Once(broker), api, build, read))
    }

    /// Deletes the first records of partitions. The result is where a partition begins now, as an
    /// offset.
    ///
    /// # Errors
    /// A partition is there twice, or an offset is below zero. Of a partition: its leader's, such
    /// as OFFSET_OUT_OF_RANGE or POLICY_VIOLATION of a topic that is compacted; or that there is no
    /// leader.
    pub fn delete_records(
        &self,
        partitions: &[(TopicPartition, DeleteBefore)],
    ) -> Result<Results<TopicPartition, i64>, Error> {
        let asked: Vec<TopicPartition> = partitions.iter().map(|(at, _)| at.clone()).collect();
        let end = |(at, before): &(TopicPartition, DeleteBefore)| match before {
            // -1 would stand for the high watermark.
            DeleteBefore::Offset(offset) if *offset < 0 => {
                let error = Error::new(ErrorKind::Usage, format!("no offset: {offset}"));
                Err(error.of_partition(&at.topic, at.partition))
            }
            DeleteBefore::Offset(offset) => Ok((at.clone(), *offset)),
            DeleteBefore::HighWatermark => Ok((at.clone(), -1)),
        };
        let ends = partitions.iter().map(end).collect::<Result<BTreeMap<_, _>, _>>()?;
        self.of_leaders(&asked, |broker, items, deadline| {
            let pending = self.delete_at(broker, &items, &ends, deadline);
            vec![(items, pending)]
        })
    }

    fn delete_at(
        &self,
        broker: i32,
        items: &[TopicPartition],
        ends: &BTreeMap<TopicPartition, i64>,
        deadline: Instant,
    ) -> Pending<Results<TopicPartition, i64>> {
        let of = items.to_vec();
        let ends: BTreeMap<TopicPartition, i64> =
            items.iter().filter_map(|at| Some((at.clone(), *ends.get(at)?))).collect();
        let build = move |version, timeout| {
            let mut topics: BTreeMap<&str, Vec<DeleteRecordsPartition>> = BTreeMap::new();
            for (at, &offset) in &ends {
                let partition = DeleteRecordsPartition { partition_index: at.partition, offset };
                topics.entry(&at.topic).or_default().push(partition);
            }
            let topic = |(name, partitions)| DeleteRecordsTopic { name, partitions };
            let topics = topics.into_iter().map(topic).collect();
            let request = DeleteRecordsRequest { topics, timeout_ms: millis(timeout) };
            Outgoing::new(&request, version, timeout)
        };
        let read = move |answer: &Answer| {
            let read: DeleteRecordsResponse<'_> = answer.read()?;
            let told = read.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let at = TopicPartition::new(topic.name, told.partition_index);
                    (at, Error::of_code(told.error_code, None).map(|()| told.low_watermark))
                })
            });
            sorted(ApiKey::DeleteRecords, &of, told)
        };
        let api = (ApiKey::DeleteRecords, 0..=2);
        self.remote.ask_until(deadline, Route::Once(broker), api, build, read)
    }
}
