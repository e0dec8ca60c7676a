//! Requests that more than one kind of client sends.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_check::event::TopicId;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};

use crate::torture::shared::topic_id;
use crate::torture::wire::{Connection, Kind, read};

const METADATA: Kind = Kind(ApiKey::Metadata, 12);
const CREATE: Kind = Kind(ApiKey::CreateTopics, 7);
const DELETE: Kind = Kind(ApiKey::DeleteTopics, 6);
const LIST_OFFSETS: Kind = Kind(ApiKey::ListOffsets, 7);
const INIT_PRODUCER_ID: Kind = Kind(ApiKey::InitProducerId, 4);
const FIND_COORDINATOR: Kind = Kind(ApiKey::FindCoordinator, 4);

/// The wall clock, ms.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

/// A topic as the broker lists it.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) id: TopicId,
    pub(crate) partitions: i32,
    /// Whether all partitions can be used.
    pub(crate) whole: bool,
}

/// All topics but internal ones.
pub(crate) fn topics(connection: &mut Connection) -> io::Result<Vec<Listed>> {
    let request =
        MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
    let response: MetadataResponse = read(connection.call(METADATA, &request)?, METADATA)?;
    if response.brokers.is_empty() {
        return Err(io::Error::other("no broker yet"));
    }
    let topics = response.topics.iter().filter(|topic| !topic.is_internal);
    let listed = topics.map(|topic| Listed {
        name: topic.name.unwrap_or_default().to_owned(),
        id: topic_id(topic.topic_id),
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(0),
        whole: topic.partitions.iter().all(|p| p.error_code.is_none() && p.leader_id >= 0),
    });
    Ok(listed.collect())
}

/// Creates a topic; its id, or why not.
pub(crate) fn create(
    connection: &mut Connection,
    name: &str,
    num_partitions: i32,
    configs: &[(&str, &str)],
) -> io::Result<Result<TopicId, ErrorCode>> {
    let configs =
        configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
    let topic = CreatableTopic {
        name,
        num_partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
    let response: CreateTopicsResponse = read(connection.call(CREATE, &request)?, CREATE)?;
    let topic = response.topics.first().ok_or_else(|| io::Error::other("an empty answer"))?;
    Ok(if topic.error_code.is_none() {
        Ok(topic_id(topic.topic_id))
    } else {
        Err(topic.error_code)
    })
}

/// Deletes a topic.
pub(crate) fn delete(connection: &mut Connection, name: &str) -> io::Result<ErrorCode> {
    let topics = vec![DeleteTopicState { name: Some(name), ..Default::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() };
    let response: DeleteTopicsResponse = read(connection.call(DELETE, &request)?, DELETE)?;
    let topic = response.responses.first().ok_or_else(|| io::Error::other("an empty answer"))?;
    Ok(topic.error_code)
}

/// The id and epoch of a new idempotent producer; `None` when the broker cannot say now.
pub(crate) fn init_producer_id(connection: &mut Connection) -> io::Result<Option<(i64, i16)>> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let body = connection.call(INIT_PRODUCER_ID, &request)?;
    let response: InitProducerIdResponse = read(body, INIT_PRODUCER_ID)?;
    let ids = (response.producer_id, response.producer_epoch);
    Ok(response.error_code.is_none().then_some(ids))
}

/// Earliest and latest offset of a partition; `None` when the broker cannot say now.
pub(crate) fn ends(
    connection: &mut Connection,
    name: &str,
    partition: i32,
) -> io::Result<Option<(i64, i64)>> {
    let start = list_offset(connection, name, partition, -2)?;
    let end = list_offset(connection, name, partition, -1)?;
    Ok(start.zip(end).map(|(start, end)| (start.0, end.0)))
}

/// The first record with this timestamp or a later one, as offset and timestamp.
pub(crate) fn lookup(
    connection: &mut Connection,
    name: &str,
    partition: i32,
    timestamp_ms: i64,
) -> io::Result<Option<Option<(i64, i64)>>> {
    let found = list_offset(connection, name, partition, timestamp_ms)?;
    Ok(found.map(|found| (found.0 >= 0).then_some(found)))
}

fn list_offset(
    connection: &mut Connection,
    name: &str,
    partition_index: i32,
    timestamp: i64,
) -> io::Result<Option<(i64, i64)>> {
    let partition = ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name, partitions: vec![partition] }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let body = connection.call(LIST_OFFSETS, &request)?;
    let response: ListOffsetsResponse = read(body, LIST_OFFSETS)?;
    let partition = response.topics.first().and_then(|topic| topic.partitions.first());
    let partition = partition.ok_or_else(|| io::Error::other("an empty answer"))?;
    let found = (partition.offset, partition.timestamp);
    Ok(partition.error_code.is_none().then_some(found))
}

/// Has the offsets topic made, if it is not there.
pub(crate) fn coordinator(connection: &mut Connection) -> io::Result<bool> {
    let request = FindCoordinatorRequest { coordinator_keys: vec!["group"], ..Default::default() };
    let body = connection.call(FIND_COORDINATOR, &request)?;
    let response: FindCoordinatorResponse = read(body, FIND_COORDINATOR)?;
    Ok(response.coordinators.first().is_some_and(|found| found.error_code.is_none()))
}
