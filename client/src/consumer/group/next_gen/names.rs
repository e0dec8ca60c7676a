//! The names of topics that the coordinator calls by their ids.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ottla_protocol::uuid::Uuid;

use super::super::{GroupSettings, taken};
use super::heartbeat::Owned;
use crate::error::Error;
use crate::net::{Answer, Outgoing, Until};
use crate::partition::TopicPartition;
use crate::pending::Pending;
use crate::session::{Route, Session, question};

/// In which topics can be asked for by their ids.
const VERSIONS: RangeInclusive<i16> = 12..=13;

/// Names that are known, and the question for others.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<Uuid, Arc<str>>,
    asked: Option<Pending<Vec<(Uuid, String)>>>,
    /// When to ask again, for topics that the broker did not know yet.
    not_before: Option<Instant>,
}

impl Names {
    /// Whether all of these have names.
    pub(super) fn know(&self, target: &Owned) -> bool {
        target.keys().all(|id| self.known.contains_key(id))
    }

    /// Those of these that have names.
    pub(super) fn of(&self, target: &Owned) -> BTreeMap<TopicPartition, Uuid> {
        let named = target.iter().filter_map(|(id, of)| Some((id, self.known.get(id)?, of)));
        let each = named.flat_map(|(id, topic, partitions)| {
            partitions.iter().map(move |partition| {
                (TopicPartition { topic: Arc::clone(topic), partition: *partition }, *id)
            })
        });
        each.collect()
    }

    /// Looks for the names that are missing.
    pub(super) fn turn(
        &mut self,
        target: &Owned,
        session: &mut Session,
        settings: &GroupSettings,
        now: Instant,
    ) -> Until {
        if let Some(answered) = taken(&mut self.asked) {
            match answered {
                Ok(told) => {
                    self.known.extend(told.into_iter().map(|(id, name)| (id, name.into())));
                }
                Err(error) => log::debug!("no names of topics by their ids: {error}"),
            }
            self.not_before = Some(now + settings.retry_backoff.max);
        }
        self.known.retain(|id, _| target.contains_key(id));
        let cluster = session.metadata.cluster();
        for id in target.keys() {
            if !self.known.contains_key(id)
                && let Some(name) = cluster.name(*id)
            {
                self.known.insert(*id, name.into());
            }
        }
        if self.know(target) {
            self.not_before = None;
            return Until::Event;
        }
        if self.asked.is_some() {
            return Until::Event;
        }
        if let Some(time) = self.not_before.filter(|time| *time > now) {
            return Until::Time(time);
        }
        let missing = target.keys().filter(|id| !self.known.contains_key(*id)).copied();
        let missing: Vec<Uuid> = missing.collect();
        let build = move |version, timeout| {
            let of = |id: &Uuid| MetadataRequestTopic { topic_id: *id, name: None };
            let request = MetadataRequest {
                topics: Some(missing.iter().map(of).collect()),
                allow_auto_topic_creation: false,
                ..MetadataRequest::default()
            };
            Outgoing::new(&request, version, timeout)
        };
        let (ask, pending) = question(Route::Any, (ApiKey::Metadata, VERSIONS), build, names);
        session.calls.ask(ask, now + settings.request_timeout, now);
        self.asked = Some(pending);
        Until::Event
    }
}

fn names(answer: &Answer) -> Result<Vec<(Uuid, String)>, Error> {
    let read: MetadataResponse<'_> = answer.read()?;
    Error::of_code(read.error_code, None)?;
    let there = read.topics.iter().filter(|topic| topic.error_code.is_none());
    Ok(there.filter_map(|topic| Some((topic.topic_id, topic.name?.to_owned()))).collect())
}
