//! A Fetch request.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use ottla_protocol::uuid::Uuid;

use crate::consumer::fetch_session::{Plan, Wanted};
use crate::consumer::settings::ConsumerSettings;
use crate::error::{Error, ErrorKind};
use crate::net::{Outgoing, Versions, millis};
use crate::partition::TopicPartition;

/// The last version in which topics are named.
const LAST_BY_NAME: i16 = 12;
/// Behind it is only what followers say.
const LAST: i16 = 17;

/// Whether topics have ids in this version, and no names.
pub(super) fn has_ids(version: i16) -> bool {
    version > LAST_BY_NAME
}

/// The version to ask for these in.
pub(super) fn version(
    wanted: &BTreeMap<TopicPartition, Wanted>,
    versions: &Versions,
) -> Result<i16, Error> {
    let all_have_ids = wanted.values().all(|wanted| wanted.topic_id != Uuid::ZERO);
    versions.pick(ApiKey::Fetch, 4..=if all_have_ids { LAST } else { LAST_BY_NAME })
}

pub(super) fn fetch(
    plan: &Plan,
    version: i16,
    settings: &ConsumerSettings,
) -> Result<Outgoing, Error> {
    let fetch = &settings.fetch;
    let of_one = |one: &(TopicPartition, Wanted), other: &(TopicPartition, Wanted)| {
        Arc::ptr_eq(&one.0.topic, &other.0.topic) || one.0.topic == other.0.topic
    };
    let partition = |(of, wanted): &(TopicPartition, Wanted)| FetchPartition {
        partition: of.partition,
        current_leader_epoch: wanted.leader_epoch,
        fetch_offset: wanted.offset,
        partition_max_bytes: wanted.bytes_max,
        ..Default::default()
    };
    let topics = plan.wanted.chunk_by(of_one).map(|of_topic| FetchTopic {
        topic: &of_topic[0].0.topic,
        topic_id: of_topic[0].1.topic_id,
        partitions: of_topic.iter().map(partition).collect(),
    });
    let forgotten =
        plan.forgotten.chunk_by(|one, other| one.0.topic == other.0.topic && one.1 == other.1);
    let forgotten = forgotten.map(|of_topic| ForgottenTopic {
        topic: &of_topic[0].0.topic,
        topic_id: of_topic[0].1,
        partitions: of_topic.iter().map(|(of, _)| of.partition).collect(),
    });
    let request = FetchRequest {
        max_wait_ms: millis(fetch.wait_max),
        min_bytes: fetch.bytes_min,
        max_bytes: fetch.bytes_max,
        isolation_level: settings.isolation_level(),
        session_id: plan.session_id,
        session_epoch: plan.session_epoch,
        topics: topics.collect(),
        forgotten_topics_data: forgotten.collect(),
        rack_id: &fetch.rack,
        ..Default::default()
    };
    // What the broker waits for data is not the answer's delay.
    let timeout = settings.request_timeout + fetch.wait_max;
    let outgoing = Outgoing::new(&request, version, timeout);
    outgoing.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))
}
