//! Elections that a client asks for.

use super::*;
use crate::image::NO_LEADER;

impl Cluster {
    /// A second and third broker, which are not fenced.
    pub(super) fn with_brokers(ids: &[i32]) -> Self {
        let mut cluster = Cluster::fresh();
        for id in ids {
            let broker = BrokerRegistration {
                id: *id,
                directories: vec![Uuid::from_bytes([*id as u8; 16])],
                ..node_start(*id as u8, -1).broker
            };
            let epoch = cluster.replay.offset() + 1;
            let records = register_broker(cluster.image(), &broker, epoch).unwrap();
            cluster.write(&records);
            let records = unfence_broker(cluster.image(), *id, &[]).unwrap();
            cluster.write(&records);
        }
        cluster
    }

    pub(super) fn fence(&mut self, id: i32) {
        let records = fence_broker(self.image(), id).unwrap();
        self.write(&records);
    }

    pub(super) fn unfence(&mut self, id: i32) {
        let records = unfence_broker(self.image(), id, &[]).unwrap();
        self.write(&records);
    }
}

fn elect(
    cluster: &mut Cluster,
    election_type: ElectionType,
    topic: &'static str,
    numbers: &[i32],
) -> Vec<ErrorCode> {
    let image = cluster.image().clone();
    let asked = [(topic, numbers.to_vec())];
    let (records, answers) = elect_leaders(&image, election_type, Some(&asked));
    cluster.write(&records);
    answers[0].1.iter().map(|(_, result)| code(result)).collect()
}

#[test]
fn elections_on_one_node_are_not_needed() {
    use ErrorCode as E;
    let mut cluster = Cluster::with_topics();
    for election_type in [ElectionType::Preferred, ElectionType::Unclean] {
        assert_eq!(
            elect(&mut cluster, election_type, "orders", &[0, 2]),
            [E::ELECTION_NOT_NEEDED; 2]
        );
        let unknown = [E::UNKNOWN_TOPIC_OR_PARTITION; 2];
        assert_eq!(elect(&mut cluster, election_type, "orders", &[3, -1]), unknown);
        assert_eq!(elect(&mut cluster, election_type, "nope", &[0, 0]), unknown);
        let (records, answers) = elect_leaders(cluster.image(), election_type, None);
        assert!(records.is_empty());
        assert_eq!(answers, [("a.b", vec![]), ("orders", vec![])]);
    }
}

#[test]
fn the_preferred_leader_comes_back() {
    use ErrorCode as E;
    let mut cluster = Cluster::with_brokers(&[2]);
    cluster.create(vec![assigned("t", &[(0, &[2, 1]), (1, &[1, 2])])]);
    cluster.fence(2);
    assert_eq!(cluster.partition("t", 0).leader, 1);
    let preferred = ElectionType::Preferred;
    assert_eq!(elect(&mut cluster, preferred, "t", &[0]), [E::PREFERRED_LEADER_NOT_AVAILABLE]);
    cluster.unfence(2);
    assert_eq!(elect(&mut cluster, preferred, "t", &[0]), [E::PREFERRED_LEADER_NOT_AVAILABLE]);

    // It has caught up.
    let mut records = Records::new();
    let partition = cluster.partition("t", 0).clone();
    let isr = PartitionRecord {
        partition_id: 0,
        topic_id: cluster.image().topics().by_name("t").unwrap().id,
        replicas: partition.replicas,
        isr: vec![1, 2],
        leader: 1,
        leader_epoch: 5,
        partition_epoch: 9,
        directories: partition.directories,
        ..PartitionRecord::default()
    };
    records.push(&MetadataRecord::Partition(isr), 2);
    cluster.write(&records);
    let (records, answers) = elect_leaders(cluster.image(), preferred, None);
    assert_eq!(answers, [("t", vec![(0, Ok(()))])], "what needs none is left out");
    assert_eq!(records.len(), 1);
    let told = elect(&mut cluster, preferred, "t", &[0, 0, 1]);
    assert_eq!(told, [E::NONE, E::ELECTION_NOT_NEEDED, E::ELECTION_NOT_NEEDED]);
    let partition = cluster.partition("t", 0);
    assert_eq!((partition.leader, partition.leader_epoch), (2, 6));
    assert_eq!(partition.isr, [1, 2]);
}

#[test]
fn an_unclean_election_takes_whom_there_is() {
    use ErrorCode as E;
    let mut cluster = Cluster::with_brokers(&[2]);
    cluster.create(vec![assigned("t", &[(0, &[1, 2])]), assigned("u", &[(0, &[2])])]);
    cluster.fence(1);
    let mut records = Records::new();
    let partition = cluster.partition("t", 0).clone();
    // Only broker 1 had all records, and it is gone.
    let alone = PartitionRecord {
        partition_id: 0,
        topic_id: cluster.image().topics().by_name("t").unwrap().id,
        replicas: partition.replicas,
        eligible_leader_replicas: Some(vec![1]),
        leader: NO_LEADER,
        leader_epoch: 5,
        partition_epoch: 9,
        directories: partition.directories,
        ..PartitionRecord::default()
    };
    records.push(&MetadataRecord::Partition(alone), 2);
    cluster.write(&records);
    let preferred = elect(&mut cluster, ElectionType::Preferred, "t", &[0]);
    assert_eq!(preferred, [E::PREFERRED_LEADER_NOT_AVAILABLE]);
    assert_eq!(elect(&mut cluster, ElectionType::Unclean, "t", &[0]), [E::NONE]);
    let partition = cluster.partition("t", 0);
    assert_eq!((partition.leader, partition.leader_recovery_state), (2, 1));
    assert_eq!((&*partition.isr, &*partition.elr), (&[2][..], &[1][..]));

    cluster.fence(2);
    let none = elect(&mut cluster, ElectionType::Unclean, "u", &[0]);
    assert_eq!(none, [E::ELIGIBLE_LEADERS_NOT_AVAILABLE]);
}
