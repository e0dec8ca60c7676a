//! The heartbeat: all that a member says, or only what is new, and what the coordinator answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::WriteError;

use super::super::GroupSettings;
use crate::error::Error;
use crate::net::{Answer, Outgoing, millis};
use crate::pending::Pending;
use crate::session::calls::Key;
use crate::session::{Route, Session, question};

/// Partitions by their topics' ids.
pub(super) type Owned = BTreeMap<Uuid, BTreeSet<i32>>;

/// What the coordinator was told last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent(Option<Known>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    topics: Vec<String>,
    regex: Option<String>,
    owned: Owned,
}

impl Sent {
    /// Whether it knows nothing for certain.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

/// A heartbeat to be sent.
pub(super) struct Beat {
    pub(super) settings: Arc<GroupSettings>,
    pub(super) member_id: String,
    pub(super) epoch: i32,
    pub(super) topics: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) assignor: Option<String>,
    pub(super) owned: Owned,
    /// What need not be said, unless it is full.
    pub(super) known: Sent,
    pub(super) is_full: bool,
}

/// What the coordinator answers.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) member_id: Option<String>,
    pub(super) epoch: i32,
    pub(super) interval: Duration,
    /// `None` when nothing has changed.
    pub(super) assignment: Option<Owned>,
}

impl Beat {
    /// What the coordinator knows when it has it.
    pub(super) fn sent(&self) -> Sent {
        let (topics, regex) = (self.topics.clone(), self.regex.clone());
        Sent(Some(Known { topics, regex, owned: self.owned.clone() }))
    }

    /// Asks the coordinator.
    pub(super) fn send(
        mut self,
        session: &mut Session,
        deadline: Instant,
        now: Instant,
    ) -> Pending<Told> {
        let route = Route::Coordinator(Key::Group(self.settings.group.to_string()));
        let build = move |version, timeout| {
            let outgoing = self.request(version, timeout);
            // Sent again it says all, since nobody knows whether the first one was heard.
            self.is_full |= self.epoch >= 0;
            outgoing
        };
        let api = (ApiKey::ConsumerGroupHeartbeat, 0..=1);
        let (ask, pending) = question(route, api, build, told);
        session.calls.ask(ask, deadline, now);
        pending
    }

    fn request(&self, version: i16, timeout: Duration) -> Result<Outgoing, WriteError> {
        let settings = &*self.settings;
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: &settings.group,
            member_id: &self.member_id,
            member_epoch: self.epoch,
            instance_id: settings.instance_id.as_deref(),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        if self.epoch >= 0 {
            let known = self.known.0.as_ref().filter(|_| !self.is_full);
            if known.is_none() {
                request.rack_id = settings.rack.as_deref();
                request.rebalance_timeout_ms = millis(settings.max_poll_interval);
                request.server_assignor = self.assignor.as_deref();
            }
            if known.is_none_or(|known| known.topics != self.topics) {
                let topics = self.topics.iter().map(String::as_str);
                request.subscribed_topic_names = Some(topics.collect());
            }
            request.subscribed_topic_regex = match known {
                None => self.regex.as_deref(),
                // An empty one takes it back.
                Some(known) if known.regex != self.regex => {
                    Some(self.regex.as_deref().unwrap_or_default())
                }
                Some(_) => None,
            };
            if known.is_none_or(|known| known.owned != self.owned) {
                let owned = self.owned.iter().map(|(id, partitions)| TopicPartitions {
                    topic_id: *id,
                    partitions: partitions.iter().copied().collect(),
                });
                request.topic_partitions = Some(owned.collect());
            }
        }
        Outgoing::new(&request, version, timeout)
    }
}

fn told(answer: &Answer) -> Result<Told, Error> {
    let read: ConsumerGroupHeartbeatResponse<'_> = answer.read()?;
    Error::of_code(read.error_code, read.error_message)?;
    let assignment = read.assignment.map(|assignment| {
        let mut owned = Owned::new();
        for of in assignment.topic_partitions {
            owned.entry(of.topic_id).or_default().extend(of.partitions);
        }
        owned.retain(|_, partitions| !partitions.is_empty());
        owned
    });
    Ok(Told {
        member_id: read.member_id.filter(|id| !id.is_empty()).map(str::to_owned),
        epoch: read.member_epoch,
        interval: Duration::from_millis(u64::try_from(read.heartbeat_interval_ms).unwrap_or(0)),
        assignment,
    })
}
