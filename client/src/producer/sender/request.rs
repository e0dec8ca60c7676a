//! A Produce request out of batches, and what its answer says.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::Records;

use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing, Versions, millis};
use crate::producer::delivery::Appended;
use crate::producer::lane::BatchId;
use crate::producer::settings::ProducerSettings;

/// The last version in which topics are named.
const LAST_BY_NAME: i16 = 12;

/// A batch that goes into a request.
pub(super) struct Chosen {
    /// The partition's place with the sender.
    pub(super) place: usize,
    pub(super) id: BatchId,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// What an answer says of a partition.
pub(super) struct Told {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) result: Result<Appended, Error>,
}

/// A leader that an answer tells of.
pub(super) struct Leader {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) id: i32,
    pub(super) epoch: i32,
}

/// All that an answer says.
pub(super) struct Read {
    pub(super) results: Vec<Told>,
    pub(super) leaders: Vec<Leader>,
}

/// A request of these batches, which are sent from where they lie.
pub(super) fn produce(
    chosen: &[Chosen],
    cluster: &Cluster,
    versions: &Versions,
    settings: &ProducerSettings,
) -> Result<Outgoing, Error> {
    let mut topics: BTreeMap<&str, Vec<(u32, &Chosen)>> = BTreeMap::new();
    for (token, batch) in (0..).zip(chosen) {
        topics.entry(&batch.topic).or_default().push((token, batch));
    }
    let id = |name: &str| cluster.topic(name).map_or(Uuid::ZERO, |topic| topic.id);
    let all_have_ids = topics.keys().all(|name| id(name) != Uuid::ZERO);
    let last = if all_have_ids { LAST_BY_NAME + 1 } else { LAST_BY_NAME };
    let version = versions.pick(ApiKey::Produce, 3..=last)?;
    let partition = |(token, batch): &(u32, &Chosen)| {
        // A request's length is checked when it is sent.
        let length = u32::try_from(batch.bytes.len()).unwrap_or(u32::MAX);
        let records = Records::Spliced { token: *token, length };
        PartitionProduceData { index: batch.partition, records: Some(records) }
    };
    let topic_data = topics
        .iter()
        .map(|(name, batches)| TopicProduceData {
            name,
            topic_id: id(name),
            partition_data: batches.iter().map(partition).collect(),
        })
        .collect();
    let timeout_ms = millis(settings.request_timeout);
    let request =
        ProduceRequest { acks: settings.acks, timeout_ms, topic_data, ..Default::default() };
    let outgoing = Outgoing::new(&request, version, settings.request_timeout);
    let outgoing = outgoing.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))?;
    let parts = chosen.iter().map(|batch| Arc::clone(&batch.bytes)).collect();
    Ok(Outgoing { parts, is_answered: settings.acks != 0, ..outgoing })
}

/// What the answer says, by the names of topics.
pub(super) fn read(answer: &Answer, cluster: &Cluster) -> Result<Read, Error> {
    let read: ProduceResponse<'_> = answer.read()?;
    let mut all = Read { results: Vec::new(), leaders: Vec::new() };
    for topic in &read.responses {
        let name = match answer.version() {
            ..=LAST_BY_NAME => Some(topic.name),
            _ => cluster.name(topic.topic_id),
        };
        // Of a topic that was made anew meanwhile, the batches are told that nothing was said.
        let Some(name) = name else { continue };
        for told in &topic.partition_responses {
            let refused = told.record_errors.iter().find_map(|record| {
                let message = record.batch_index_error_message?;
                Some(format!("record {} of the batch: {message}", record.batch_index))
            });
            let message = refused.as_deref().or(told.error_message);
            let appended = Appended {
                base_offset: told.base_offset,
                log_append_time: told.log_append_time_ms,
            };
            let result = Error::of_code(told.error_code, message).map(|()| appended);
            let partition = told.index;
            all.results.push(Told { topic: name.to_owned(), partition, result });
            let leader = &told.current_leader;
            if leader.leader_id >= 0 {
                let (id, epoch) = (leader.leader_id, leader.leader_epoch);
                all.leaders.push(Leader { topic: name.to_owned(), partition, id, epoch });
            }
        }
    }
    Ok(all)
}
