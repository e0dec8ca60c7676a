//! Topics with many partitions, told in pages.

use std::collections::BTreeMap;
use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, TopicRequest,
};

use super::operations::authorized;
use super::spread::{TopicName, distinct, sorted};
use super::topics::{PartitionDescription, TopicDescription, named};
use super::{Admin, Results};
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::Route;

/// As many partitions in an answer as Kafka's client asks for.
const PARTITIONS_MAX: i32 = 2000;

/// A place in the list of all partitions: it goes on there.
type Place = (String, i32);

/// A part of an answer.
struct Page {
    topics: Vec<(String, Result<TopicDescription, Error>)>,
    /// Where the next one begins.
    next: Option<Place>,
    bytes: usize,
}

impl Admin {
    /// Topics as DescribeTopicPartitions tells of them.
    ///
    /// # Errors
    /// No broker answered, or it does not serve the request (`UnsupportedVersion`).
    pub(super) fn described_in_pages(
        &self,
        topics: &[&str],
    ) -> Result<Results<String, TopicDescription>, Error> {
        if topics.is_empty() {
            // None would stand for all.
            return Ok(Vec::new());
        }
        let asked: Vec<TopicName> = topics.iter().map(|&name| TopicName(name.to_owned())).collect();
        distinct(&asked)?;
        let deadline = Instant::now() + self.remote.timeout;
        let mut told: BTreeMap<String, Result<TopicDescription, Error>> = BTreeMap::new();
        let mut place: Option<Place> = None;
        let mut bytes = 0;
        loop {
            let page = self.page(topics, place.clone(), deadline)?;
            bytes += page.bytes;
            let bytes_max = self.remote.answer_bytes_max;
            if bytes > bytes_max {
                let detail = format!(
                    "DescribeTopicPartitions: more than {bytes_max} bytes in all pages; \
                     receive.message.max.bytes is the limit"
                );
                return Err(Error::new(ErrorKind::Malformed, detail));
            }
            for (name, topic) in page.topics {
                if !topics.contains(&name.as_str()) {
                    let detail = format!("DescribeTopicPartitions: {name} was not asked for");
                    return Err(Error::new(ErrorKind::Malformed, detail));
                }
                match (told.get_mut(&name), topic) {
                    (Some(Ok(known)), Ok(more)) => known.partitions.extend(more.partitions),
                    (_, topic) => _ = told.insert(name, topic),
                }
            }
            if page.next.is_none() {
                break;
            }
            // Kafka goes through topics by their names.
            if page.next <= place {
                let detail = "DescribeTopicPartitions: the next page is not behind this one";
                return Err(Error::new(ErrorKind::Malformed, detail));
            }
            place = page.next;
        }
        let told = told.into_iter().map(|(name, topic)| {
            let topic = topic.and_then(|mut topic| {
                topic.partitions.sort_by_key(|partition| partition.index);
                let mut pairs = topic.partitions.windows(2);
                if pairs.any(|pair| matches!(pair, [one, next] if one.index == next.index)) {
                    let detail = "DescribeTopicPartitions: a partition was told twice";
                    return Err(Error::new(ErrorKind::Malformed, detail));
                }
                Ok(topic)
            });
            (TopicName(name), topic)
        });
        named(sorted(ApiKey::DescribeTopicPartitions, &asked, told))
    }

    fn page(
        &self,
        topics: &[&str],
        place: Option<Place>,
        deadline: Instant,
    ) -> Result<Page, Error> {
        // Those before it have been told.
        let is_open = |name: &&str| place.as_ref().is_none_or(|(topic, _)| topic.as_str() <= *name);
        let mut names: Vec<String> =
            topics.iter().copied().filter(is_open).map(str::to_owned).collect();
        names.sort();
        let build = move |version, timeout| {
            let cursor = place.as_ref().map(|(topic_name, partition_index)| Cursor {
                topic_name,
                partition_index: *partition_index,
            });
            let request = DescribeTopicPartitionsRequest {
                topics: names.iter().map(|name| TopicRequest { name }).collect(),
                response_partition_limit: PARTITIONS_MAX,
                cursor,
            };
            Outgoing::new(&request, version, timeout)
        };
        let read = |answer: &Answer| {
            let read: DescribeTopicPartitionsResponse<'_> = answer.read()?;
            let told = read.topics.iter().map(|topic| {
                (topic.name.unwrap_or_default().to_owned(), TopicDescription::of_page(topic))
            });
            let next = read.next_cursor.as_ref();
            let next = next.map(|next| (next.topic_name.to_owned(), next.partition_index));
            Ok(Page { topics: told.collect(), next, bytes: answer.frame().len() })
        };
        let api = (ApiKey::DescribeTopicPartitions, 0..=0);
        self.remote.ask_until(deadline, Route::Any, api, build, read).wait()
    }
}

impl TopicDescription {
    fn of_page(told: &DescribeTopicPartitionsResponseTopic<'_>) -> Result<Self, Error> {
        Error::of_code(told.error_code, None)?;
        let partition = |told: &DescribeTopicPartitionsResponsePartition| PartitionDescription {
            index: told.partition_index,
            leader: (told.leader_id >= 0).then_some(told.leader_id),
            leader_epoch: told.leader_epoch,
            replicas: told.replica_nodes.clone(),
            isr: told.isr_nodes.clone(),
            elr: told.eligible_leader_replicas.clone(),
            last_known_elr: told.last_known_elr.clone(),
            offline: told.offline_replicas.clone(),
        };
        Ok(Self {
            name: told.name.unwrap_or_default().to_owned(),
            id: told.topic_id,
            is_internal: told.is_internal,
            partitions: told.partitions.iter().map(partition).collect(),
            authorized_operations: authorized(told.topic_authorized_operations),
        })
    }
}
