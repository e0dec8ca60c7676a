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
fn a_start_takes_the_other_brokers_out_of_service() {
    let mut cluster = Cluster::with_brokers(&[2, 3]);
    cluster.create(vec![
        assigned("t0", &[(0, &[2, 1])]),
        assigned("t1", &[(0, &[1, 2, 3])]),
        assigned("t2", &[(0, &[2])]),
        assigned("t3", &[(0, &[1])]),
    ]);
    // Broker 1 stops in order, gives up what it leads, and is not in sync any more.
    let epoch = cluster.stop();
    assert_eq!(cluster.partition("t0", 0).leader, 2);
    assert_eq!(cluster.partition("t1", 0).isr, [2, 3]);
    cluster.start(epoch);
    for id in [2, 3] {
        assert!(cluster.image().brokers()[&id].fenced, "broker {id}");
    }
    let leaders = ["t0", "t1", "t2", "t3"].map(|name| cluster.partition(name, 0).leader);
    assert_eq!(leaders, [NO_LEADER, NO_LEADER, NO_LEADER, 1]);
    assert_eq!(cluster.partition("t2", 0).replicas, [2], "it is theirs still");

    // The others were gone first: what is in sync here is led here.
    let mut cluster = Cluster::with_brokers(&[2]);
    cluster.create(vec![assigned("t", &[(0, &[2, 1])])]);
    cluster.start(-1);
    assert_eq!(cluster.partition("t", 0).isr, [1]);
    assert_eq!(cluster.partition("t", 0).leader, 1);
}

#[test]
fn nothing_is_placed_on_brokers_that_a_start_took_out_of_service() {
    let mut cluster = Cluster::with_brokers(&[2, 3]);
    let epoch = cluster.stop();
    cluster.start(epoch);
    cluster.create(vec![topic("t", 9, 1)]);
    for number in 0..9 {
        assert_eq!(cluster.partition("t", number).replicas, [1]);
    }
    let asked = CreateTopics { topics: vec![topic("u", 9, 2)], validate_only: false };
    let (_, answers) = create_topics(cluster.image(), &asked, DEFAULTS, &Rules, &mut random());
    assert_eq!(code(&answers[0].1), ErrorCode::INVALID_REPLICATION_FACTOR);
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
