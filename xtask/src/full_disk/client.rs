//! What the lane asks of the broker: records that can be told apart, read back whole.

use std::io;

use anyhow::{Context, Result, ensure};
use ottla_check::event::TopicId;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::set::Batches;
use ottla_protocol::wire::Records;

use crate::torture::load::ask;
use crate::torture::shared::uuid;
use crate::torture::wire::{Connection, Kind, read};

const PRODUCE: Kind = Kind(ApiKey::Produce, 13);
const FETCH: Kind = Kind(ApiKey::Fetch, 17);
const DELETE_RECORDS: Kind = Kind(ApiKey::DeleteRecords, 2);

/// Bytes at the start of a value that say which one it is.
const NUMBER_BYTES: usize = 8;
/// Bytes of a record before its value, and the number in it.
const HEAD_BYTES: usize = 40;

/// A topic of one partition, and what was acknowledged in it: the number of the record at each
/// offset.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) id: TopicId,
    acked: Vec<u64>,
    next: u64,
}

impl Topic {
    /// Creates it.
    pub(super) fn create(
        connection: &mut Connection,
        name: &str,
        configs: &[(&str, &str)],
    ) -> Result<Topic> {
        let id = ask::create(connection, name, 1, configs)?;
        let id = id.map_err(|code| anyhow::anyhow!("{name} is not created: {code}"))?;
        Ok(Topic { name: name.to_owned(), id, acked: Vec::new(), next: 0 })
    }

    /// Offsets that were acknowledged.
    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.acked.len()).unwrap_or(i64::MAX)
    }

    /// Sends a record of about so many bytes.
    pub(super) fn produce(
        &mut self,
        connection: &mut Connection,
        bytes: usize,
    ) -> Result<ErrorCode> {
        let number = self.next;
        self.next += 1;
        let value = value(number, bytes);
        let mut builder = BatchBuilder::new(BatchOptions::default())?;
        let timestamp = ask::wall_ms();
        builder.append(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] })?;
        let batch = builder.build()?;
        let data = PartitionProduceData { index: 0, records: Some(Records::Bytes(&batch)) };
        let topic_data = vec![TopicProduceData {
            topic_id: uuid(self.id),
            partition_data: vec![data],
            ..Default::default()
        }];
        let request =
            ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 5_000, topic_data };
        let response: ProduceResponse = read(connection.call(PRODUCE, &request)?, PRODUCE)?;
        let told = response.responses.first().and_then(|topic| topic.partition_responses.first());
        let told = told.context("an empty answer")?;
        if told.error_code.is_none() {
            ensure!(told.base_offset == self.end(), "offset {}", told.base_offset);
            self.acked.push(number);
        }
        Ok(told.error_code)
    }

    /// Reads all that is there from `start` on: exactly what was acknowledged, and nothing else.
    pub(super) fn check(&self, connection: &mut Connection, start: i64) -> Result<()> {
        let mut at = start;
        while at < self.end() {
            at = self.check_from(connection, at)?;
        }
        let ends = ask::ends(connection, &self.name, 0)?;
        ensure!(ends == Some((start, self.end())), "{}: it is {ends:?}", self.name);
        Ok(())
    }

    fn check_from(&self, connection: &mut Connection, from: i64) -> Result<i64> {
        let partition = FetchPartition {
            fetch_offset: from,
            partition_max_bytes: 4 << 20,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic_id: uuid(self.id),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 8 << 20,
            topics: vec![topic],
            ..Default::default()
        };
        let response: FetchResponse = read(connection.call(FETCH, &request)?, FETCH)?;
        let data = response.responses.first().and_then(|topic| topic.partitions.first());
        let data = data.context("an empty answer")?;
        ensure!(data.error_code.is_none(), "fetch at {from}: {}", data.error_code);
        let mut next = from;
        for batch in Batches::new(data.records.map(|it| it.bytes()).unwrap_or_default()) {
            let batch = batch.map_err(io::Error::other)?;
            let base_offset = batch.header().base_offset();
            ensure!(base_offset == next, "offset {base_offset} instead of {next}");
            let payload = &batch.payload()[..batch.payload().len().min(HEAD_BYTES)];
            let wanted = self.acked.get(usize::try_from(next)?).context("never acknowledged")?;
            ensure!(
                payload.windows(NUMBER_BYTES).any(|bytes| bytes == wanted.to_be_bytes()),
                "another record at offset {next}"
            );
            batch.check_crc().map_err(io::Error::other)?;
            next += 1;
        }
        ensure!(from < next, "nothing at offset {from}");
        Ok(next)
    }

    /// Deletes all records.
    pub(super) fn delete_records(&self, connection: &mut Connection) -> Result<ErrorCode> {
        let partition = DeleteRecordsPartition { partition_index: 0, offset: self.end() };
        let topics = vec![DeleteRecordsTopic { name: &self.name, partitions: vec![partition] }];
        let request = DeleteRecordsRequest { topics, timeout_ms: 5_000 };
        let body = connection.call(DELETE_RECORDS, &request)?;
        let response: DeleteRecordsResponse = read(body, DELETE_RECORDS)?;
        let told = response.topics.first().and_then(|topic| topic.partitions.first());
        Ok(told.context("an empty answer")?.error_code)
    }
}

/// A value that no codec makes much smaller and that tells its number.
fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut value = number.to_be_bytes().to_vec();
    value.resize(bytes.max(NUMBER_BYTES), b'x');
    value
}
