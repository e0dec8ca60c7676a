//! The cluster as metadata tells it: brokers, topics, who leads which partition.

use std::collections::{BTreeMap, HashMap};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{MetadataResponse, MetadataResponseTopic};
use ottla_protocol::uuid::Uuid;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Where it listens: a host name or an address.
    pub host: String,
    /// Where it listens: the port.
    pub port: u16,
    /// Its rack; `None` when it has none.
    pub rack: Option<String>,
}

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) id: Option<String>,
    pub(crate) controller: Option<i32>,
    pub(crate) brokers: BTreeMap<i32, Broker>,
    topics: HashMap<String, Topic>,
    names: HashMap<Uuid, String>,
}

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Zero when the broker is too old to have told.
    pub(crate) id: Uuid,
    /// Why nothing more is known, or [`ErrorCode::NONE`].
    pub(crate) error: ErrorCode,
    pub(crate) is_internal: bool,
    /// By their numbers.
    pub(crate) partitions: Vec<Partition>,
}

/// What is known of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) index: i32,
    pub(crate) leader: Option<i32>,
    /// -1 when not known.
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) offline: Vec<i32>,
    pub(crate) error: ErrorCode,
}

impl Cluster {
    /// Takes what an answer tells. Of topics that it does not mention nothing changes, and of those
    /// that are not wanted, or not any more, nothing is kept: there is no end to what could be
    /// told.
    pub(crate) fn update(
        &mut self,
        answer: &MetadataResponse<'_>,
        is_wanted: impl Fn(&str) -> bool,
    ) {
        self.id = answer.cluster_id.map(str::to_owned);
        self.controller = (answer.controller_id >= 0).then_some(answer.controller_id);
        self.brokers.clear();
        for broker in &answer.brokers {
            // A port that is none is no place to connect to.
            let Ok(port) = u16::try_from(broker.port) else { continue };
            let (id, host) = (broker.node_id, broker.host.to_owned());
            let rack = broker.rack.map(str::to_owned);
            self.brokers.insert(id, Broker { id, host, port, rack });
        }
        self.topics.retain(|name, _| is_wanted(name));
        self.names.retain(|_, name| is_wanted(name));
        for topic in &answer.topics {
            let Some(name) = topic.name.filter(|name| is_wanted(name)) else { continue };
            let known = self.topics.get(name);
            let topic = Topic::of(topic, known);
            if let Some(known) = known.map(|known| known.id) {
                self.names.remove(&known);
            }
            if topic.id != Uuid::ZERO {
                self.names.insert(topic.id, name.to_owned());
            }
            self.topics.insert(name.to_owned(), topic);
        }
    }

    /// What is known of a topic.
    pub(crate) fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// What is known of a partition.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        let partitions = &self.topic(topic)?.partitions;
        let place = partitions.binary_search_by_key(&partition, |known| known.index).ok()?;
        partitions.get(place)
    }

    /// The name of the topic with this id.
    pub(crate) fn name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// Notes who leads a partition now, as an answer to Produce or Fetch has told (KIP-951).
    /// Whether that was news.
    pub(crate) fn set_leader(&mut self, topic: &str, partition: i32, leader: (i32, i32)) -> bool {
        let Some(topic) = self.topics.get_mut(topic) else { return false };
        let mut partitions = topic.partitions.iter_mut();
        let Some(known) = partitions.find(|known| known.index == partition) else { return false };
        let (id, epoch) = leader;
        if epoch <= known.leader_epoch || !self.brokers.contains_key(&id) {
            return false;
        }
        (known.leader, known.leader_epoch) = (Some(id), epoch);
        true
    }
}

impl Topic {
    /// Of a topic that is still the same, a leader of an older epoch is no news: brokers learn of
    /// elections at different times (KIP-320).
    fn of(told: &MetadataResponseTopic<'_>, known: Option<&Self>) -> Self {
        let known = known.filter(|known| known.id == told.topic_id);
        let mut partitions: Vec<Partition> = told
            .partitions
            .iter()
            .map(|partition| Partition {
                index: partition.partition_index,
                leader: (partition.leader_id >= 0).then_some(partition.leader_id),
                leader_epoch: partition.leader_epoch,
                replicas: partition.replica_nodes.clone(),
                isr: partition.isr_nodes.clone(),
                offline: partition.offline_replicas.clone(),
                error: partition.error_code,
            })
            .collect();
        partitions.sort_by_key(|partition| partition.index);
        partitions.dedup_by_key(|partition| partition.index);
        for known in known.map_or(&[][..], |known| &known.partitions) {
            let place = partitions.binary_search_by_key(&known.index, |now| now.index);
            if let Some(now) = place.ok().and_then(|place| partitions.get_mut(place))
                && now.leader_epoch < known.leader_epoch
                && now.leader_epoch >= 0
            {
                *now = known.clone();
            }
        }
        let (id, error, is_internal) = (told.topic_id, told.error_code, told.is_internal);
        Self { id, error, is_internal, partitions }
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    fn answer(id: u8, leader: (i32, i32)) -> MetadataResponse<'static> {
        let (leader_id, leader_epoch) = leader;
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id,
            leader_epoch,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("t"),
            topic_id: Uuid::from_bytes([id; 16]),
            partitions: vec![partition(1), partition(0)],
            ..Default::default()
        };
        let broker =
            |node_id| MetadataResponseBroker { node_id, host: "h", port: 9092, rack: None };
        MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![topic],
            ..Default::default()
        }
    }

    fn leader(cluster: &Cluster) -> (Option<i32>, i32) {
        let partition = cluster.partition("t", 1).unwrap();
        (partition.leader, partition.leader_epoch)
    }

    #[test]
    fn an_older_epoch_is_no_news_unless_the_topic_is_another() {
        let mut cluster = Cluster::default();
        for (id, told, expected) in [
            (1, (1, 5), (Some(1), 5)),
            (1, (2, 4), (Some(1), 5)),
            (1, (2, 6), (Some(2), 6)),
            (1, (-1, 7), (None, 7)),
            (2, (1, 0), (Some(1), 0)),
            // A broker that does not tell epochs.
            (2, (2, -1), (Some(2), -1)),
        ] {
            cluster.update(&answer(id, told), |_| true);
            assert_eq!(leader(&cluster), expected, "{told:?}");
        }
        assert_eq!(cluster.name(Uuid::from_bytes([2; 16])), Some("t"));
        assert_eq!(cluster.name(Uuid::from_bytes([1; 16])), None);
        cluster.update(&answer(2, (1, 0)), |_| false);
        assert_eq!(cluster.topic("t"), None);
        assert_eq!(cluster.name(Uuid::from_bytes([2; 16])), None);
    }

    #[test]
    fn a_new_leader_may_be_told_by_the_old_one() {
        let mut cluster = Cluster::default();
        cluster.update(&answer(1, (1, 5)), |_| true);
        assert!(!cluster.set_leader("t", 1, (2, 5)));
        assert!(!cluster.set_leader("t", 1, (9, 6)));
        assert!(!cluster.set_leader("t", 7, (2, 6)));
        assert!(cluster.set_leader("t", 1, (2, 6)));
        assert_eq!(leader(&cluster), (Some(2), 6));
    }
}
