//! Which topics and partitions there are.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};

use super::Consumer;
use crate::admin::PartitionDescription;
use crate::error::{Error, ErrorKind};
use crate::net::{Answer, Outgoing};
use crate::session::{Route, question};

/// Partitions by the names of their topics, or why those of a topic are not known.
type Listed = BTreeMap<String, Result<Vec<PartitionDescription>, Error>>;

impl Consumer {
    /// The partitions of a topic, which need not be assigned. It makes no topic.
    ///
    /// # Errors
    /// There is no such topic, or this client may not see it; no broker answers within
    /// `default.api.timeout.ms`.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionDescription>, Error> {
        let mut listed = self.listed(Some(topic.to_owned()))?;
        listed.remove(topic).unwrap_or_else(|| {
            let detail = "Metadata: no word about it";
            Err(Error::new(ErrorKind::Malformed, detail).of_topic(topic))
        })
    }

    /// All topics that this client may see, and their partitions.
    ///
    /// # Errors
    /// No broker answers within `default.api.timeout.ms`.
    pub fn list_topics(&self) -> Result<BTreeMap<String, Vec<PartitionDescription>>, Error> {
        let listed = self.listed(None)?.into_iter();
        Ok(listed.filter_map(|(name, of)| Some((name, of.ok()?))).collect())
    }

    fn listed(&self, topic: Option<String>) -> Result<Listed, Error> {
        let build = move |version, timeout: Duration| {
            let of = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
            let request = MetadataRequest {
                topics: topic.as_deref().map(|topic| vec![of(topic)]),
                allow_auto_topic_creation: false,
                ..Default::default()
            };
            Outgoing::new(&request, version, timeout)
        };
        // Before version 4 to ask for a topic could create it.
        let (ask, waiting) = question(Route::Any, (ApiKey::Metadata, 4..=13), build, read);
        self.ask(ask)?;
        waiting.wait()
    }
}

fn read(answer: &Answer) -> Result<Listed, Error> {
    let read: MetadataResponse<'_> = answer.read()?;
    Error::of_code(read.error_code, None)?;
    let mut listed = Listed::new();
    for topic in &read.topics {
        let name = topic.name.unwrap_or_default();
        // A topic that is being made will be there when it is asked for again.
        if topic.error_code == ErrorCode::LEADER_NOT_AVAILABLE {
            Error::of_code(topic.error_code, None).map_err(|error| error.of_topic(name))?;
        }
        listed.insert(name.to_owned(), partitions(topic).map_err(|error| error.of_topic(name)));
    }
    Ok(listed)
}

fn partitions(topic: &MetadataResponseTopic<'_>) -> Result<Vec<PartitionDescription>, Error> {
    Error::of_code(topic.error_code, None)?;
    let mut all: Vec<_> = topic.partitions.iter().map(PartitionDescription::of).collect();
    all.sort_by_key(|partition| partition.index);
    Ok(all)
}
