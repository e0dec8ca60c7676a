//! From the members of a generation to what each of them has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::super::assignor::{Layout, Member, Racks};
use super::super::protocol;
use super::{Classic, State};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::net::Until;
use crate::session::{Metadata, Session};

/// What a leader has made an assignment of.
pub(super) struct Leads {
    /// The topics of all members.
    topics: BTreeSet<Arc<str>>,
    /// Whether members have told racks.
    has_racks: bool,
    layout: Layout,
    /// The answers with metadata up to which it has been compared.
    updates: u64,
}

impl Leads {
    fn new(topics: BTreeSet<Arc<str>>, members: &[Member], metadata: &Metadata) -> Self {
        let has_racks = members.iter().any(|member| member.subscription.rack.is_some());
        let layout = layout(metadata.cluster(), &topics, has_racks);
        Self { topics, has_racks, layout, updates: metadata.updates() }
    }

    /// The topics of all members.
    pub(super) fn topics(&self) -> &BTreeSet<Arc<str>> {
        &self.topics
    }

    /// Whether it would be made of something else now.
    fn is_old(&mut self, metadata: &Metadata) -> bool {
        if self.updates == metadata.updates() {
            return false;
        }
        self.updates = metadata.updates();
        self.layout != layout(metadata.cluster(), &self.topics, self.has_racks)
    }
}

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
        let leads = Leads::new(topics, members, &session.metadata);
        let mut assignments = Vec::new();
        if !skips_assignment {
            for (id, partitions) in assignor.assign(members, &leads.layout) {
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
            self.leads = Some(leads);
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
        if self.leads.as_mut().is_some_and(|leads| leads.is_old(&session.metadata)) {
            self.rejoins = Some("topics have changed");
        }
    }
}

/// The partitions of the topics that exist.
fn layout(cluster: &Cluster, topics: &BTreeSet<Arc<str>>, has_racks: bool) -> Layout {
    let with_racks = cluster.brokers.values().filter(|_| has_racks);
    let of_brokers: BTreeMap<i32, Arc<str>> =
        with_racks.filter_map(|broker| Some((broker.id, broker.rack.as_deref()?.into()))).collect();
    let racks = |replicas: &[i32]| -> Racks {
        replicas.iter().filter_map(|broker| of_brokers.get(broker).cloned()).collect()
    };
    let known = topics.iter().filter_map(|name| Some((name, cluster.topic(name)?)));
    let there = known.filter(|(_, topic)| !topic.partitions.is_empty());
    let layout = there.map(|(name, topic)| {
        let partitions = topic.partitions.iter().map(|partition| racks(&partition.replicas));
        (Arc::clone(name), partitions.collect())
    });
    layout.collect()
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::metadata::{
        MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };

    use super::*;

    #[test]
    fn partitions_are_in_the_racks_of_their_replicas() {
        let racks = [Some("x"), Some("y"), None];
        let broker = |(rack, node_id)| MetadataResponseBroker { node_id, host: "h", port: 1, rack };
        let partition = |(replicas, partition_index): (&[i32], _)| MetadataResponsePartition {
            partition_index,
            replica_nodes: replicas.to_vec(),
            ..Default::default()
        };
        // Of broker 9 nothing is known.
        let replicas: [&[i32]; 3] = [&[0, 1], &[2, 9], &[1]];
        let topics = vec![
            MetadataResponseTopic {
                name: Some("t"),
                partitions: replicas.into_iter().zip(0..).map(partition).collect(),
                ..Default::default()
            },
            MetadataResponseTopic { name: Some("none"), ..Default::default() },
        ];
        let brokers = racks.into_iter().zip(0..).map(broker).collect();
        let mut cluster = Cluster::default();
        cluster.update(&MetadataResponse { brokers, topics, ..Default::default() }, |_| true);
        let wanted = ["gone", "none", "t"].map(Arc::from).into();
        let of = |racks: &[&str]| racks.iter().map(|&rack| Arc::from(rack)).collect::<Racks>();
        let racked = layout(&cluster, &wanted, true);
        assert_eq!(
            racked,
            Layout::from([("t".into(), vec![of(&["x", "y"]), of(&[]), of(&["y"])])])
        );
        // Who has told no rack does not care.
        let plain = layout(&cluster, &wanted, false);
        assert_eq!(plain, Layout::from([("t".into(), vec![of(&[]); 3])]));
    }
}
