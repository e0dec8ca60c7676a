//! What the settings of a consumer say about its group.

use std::sync::Arc;
use std::time::Duration;

use super::assignor::Assignor;
use crate::chance::Backoff;
use crate::config::Settings;
use crate::error::Error;
use crate::session::SessionSettings;

/// Settings of a [`Membership`](super::Membership).
#[derive(Clone, Debug)]
pub(crate) struct GroupSettings {
    /// `group.id`.
    pub(crate) group: Arc<str>,
    /// `group.instance.id`.
    pub(crate) instance_id: Option<String>,
    /// `client.rack`.
    pub(crate) rack: Option<String>,
    /// `max.poll.interval.ms`, which is also how long a rebalance waits for the member.
    pub(crate) max_poll_interval: Duration,
    /// `exclude.internal.topics`.
    pub(crate) excludes_internal: bool,
    pub(crate) protocol: Protocol,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub(crate) retry_backoff: Backoff,
    /// `request.timeout.ms`.
    pub(crate) request_timeout: Duration,
    /// `metadata.max.age.ms`.
    pub(crate) metadata_max_age: Duration,
}

/// `group.protocol`.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    /// Members assign.
    Classic(ClassicSettings),
    /// The coordinator assigns, by this assignor of its own (`group.remote.assignor`).
    Consumer { assignor: Option<String> },
}

/// Settings of the classic protocol.
#[derive(Clone, Debug)]
pub(crate) struct ClassicSettings {
    /// `partition.assignment.strategy`: the best first.
    pub(crate) assignors: Vec<Assignor>,
    /// `session.timeout.ms`.
    pub(crate) session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub(crate) heartbeat_interval: Duration,
}

impl ClassicSettings {
    /// Whether members keep partitions over a rebalance: only if all assignors can, since which
    /// one it will be is not known when partitions are given up.
    pub(super) fn is_cooperative(&self) -> bool {
        self.assignors.iter().all(|assignor| assignor.is_cooperative())
    }
}

impl GroupSettings {
    /// # Errors
    /// Settings that are not valid, or not for the other protocol.
    pub(crate) fn new(
        settings: &Settings<'_>,
        group: Arc<str>,
        session: &SessionSettings,
    ) -> Result<Self, Error> {
        let text = |name| settings.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let protocol = if settings.text("group.protocol").map(str::trim) == Some("consumer") {
            for name in
                ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"]
            {
                if settings.is_set(name) {
                    let wrong = "with group.protocol=consumer the broker decides this";
                    return Err(settings.error(name, wrong));
                }
            }
            Protocol::Consumer { assignor: text("group.remote.assignor") }
        } else {
            if settings.is_set("group.remote.assignor") {
                let wrong = "it is for group.protocol=consumer";
                return Err(settings.error("group.remote.assignor", wrong));
            }
            Protocol::Classic(classic(settings)?)
        };
        Ok(Self {
            group,
            instance_id: text("group.instance.id"),
            rack: text("client.rack"),
            max_poll_interval: settings.duration("max.poll.interval.ms"),
            excludes_internal: settings.flag("exclude.internal.topics"),
            protocol,
            retry_backoff: session.retry_backoff,
            request_timeout: session.request_timeout,
            metadata_max_age: session.metadata_max_age,
        })
    }
}

fn classic(settings: &Settings<'_>) -> Result<ClassicSettings, Error> {
    const STRATEGY: &str = "partition.assignment.strategy";
    let mut assignors = Vec::new();
    for name in settings.list(STRATEGY) {
        let assignor = Assignor::of_name(name).ok_or_else(|| {
            let wrong = format!(
                "{name:?} is none of range, roundrobin, sticky, cooperative-sticky, nor one of \
                 Java's classes for them"
            );
            settings.error(STRATEGY, &wrong)
        })?;
        if assignors.contains(&assignor) {
            return Err(settings.error(STRATEGY, &format!("{name} is there twice")));
        }
        assignors.push(assignor);
    }
    if assignors.is_empty() {
        return Err(settings.error(STRATEGY, "there has to be one"));
    }
    let session_timeout = settings.duration("session.timeout.ms");
    let heartbeat_interval = settings.duration("heartbeat.interval.ms");
    if session_timeout <= heartbeat_interval {
        let wrong = "it has to be less than session.timeout.ms";
        return Err(settings.error("heartbeat.interval.ms", wrong));
    }
    Ok(ClassicSettings { assignors, session_timeout, heartbeat_interval })
}
