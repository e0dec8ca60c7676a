//! From the members of a generation to what each of them has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::assignor::Counts;
use super::super::protocol;
use super::{Classic, State};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::net::Until;
use crate::session::Session;

impl Classic {
    /// Assigns, when it leads, as soon as the topics of all members are known, and syncs.
    pub(super) fn lead(&mut self, session: &mut Session, now: Instant) -> Until {
        let State::Leading { since, members, skips_assignment } = &self.state else {
            return Until::Event;
        };
        let topics: BTreeSet<Arc<str>> =
            members.iter().flat_map(|member| member.subscription.topics.iter().cloned()).collect();
        topics.iter().for_each(|topic| session.metadata.want(topic, now));
        let cluster = session.metadata.cluster();
        let patience = *since + self.settings.request_timeout;
        if now < patience && topics.iter().any(|topic| cluster.topic(topic).is_none()) {
            return Until::Time(patience);
        }
        let Some(assignor) = self.assignor else { return Until::Event };
        let counts = counts(cluster, &topics);
        let mut assignments = Vec::new();
        if !skips_assignment {
            for (id, partitions) in assignor.assign(members, &counts) {
                match protocol::assignment_bytes(&partitions) {
                    Ok(bytes) => assignments.push((id, bytes)),
                    Err(error) => {
                        let detail = format!("the assignment of {id}: {error}");
                        self.failed(Error::new(ErrorKind::Usage, detail), now);
                        return Until::Event;
                    }
                }
            }
        }
        if !members.is_empty() {
            self.leads = Some((topics, counts));
        }
        let asker = self.asker();
        let pending = asker.sync(assignor, assignments, &self.settings, session, now);
        self.state = State::Syncing(Some(pending));
        Until::Event
    }

    /// Takes what the leader has assigned.
    pub(super) fn synced(&mut self, assignment: &[u8], now: Instant) {
        let assigned = match protocol::assignment_of(assignment) {
            Ok(assigned) => assigned,
            Err(error) => {
                let detail = format!("the leader's assignment: {error}");
                return self.failed(Error::new(ErrorKind::Malformed, detail), now);
            }
        };
        let topics = self.wants.topics();
        // What it does not want any more it does not take; it is about to join without.
        let is_wanted = |topic: &Arc<str>| topics.is_some_and(|topics| topics.contains(topic));
        let wanted = assigned.into_iter().filter(|partition| is_wanted(&partition.topic));
        self.state = State::Taking(wanted.collect());
        self.failed = 0;
        self.not_before = None;
        // A leader that takes partitions back and forth is waited for.
        if self.given_up > 1 {
            let wait = self.settings.retry_backoff.after(self.given_up, &mut self.chance);
            self.not_before = Some(now + wait);
        }
        self.next_heartbeat = Some(now + self.classic.heartbeat_interval);
    }

    /// Looks whether the assignment is still what it should be.
    pub(super) fn notice(&mut self, session: &Session) {
        if self.wants.topics().is_some_and(|topics| *topics != self.joined_with) {
            self.rejoins = Some("it wants other topics");
        }
        if let Some((topics, then)) = &self.leads
            && counts(session.metadata.cluster(), topics) != *then
        {
            self.rejoins = Some("topics have changed");
        }
    }
}

/// How many partitions there are of the topics that exist.
fn counts(cluster: &Cluster, topics: &BTreeSet<Arc<str>>) -> Counts {
    let known = topics.iter().filter_map(|name| Some((name, cluster.topic(name)?)));
    let there = known.filter(|(_, topic)| !topic.partitions.is_empty());
    there.map(|(name, topic)| (Arc::clone(name), topic.partitions.len() as i32)).collect()
}
