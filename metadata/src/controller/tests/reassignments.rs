//! Reassignments, and brokers that are forgotten.

use super::*;
use crate::image::NO_LEADER;

fn alter(
    cluster: &mut Cluster,
    topic: &'static str,
    partition: i32,
    replicas: Option<&[i32]>,
) -> ErrorCode {
    let asked = PartitionReassignment { partition, replicas: replicas.map(<[i32]>::to_vec) };
    let request = [(topic, vec![asked])];
    let (records, answers) = alter_partition_reassignments(cluster.image(), &request, true);
    let told = code(&answers[0].1[0].1);
    assert!(told == ErrorCode::NONE || records.is_empty());
    cluster.write(&records);
    told
}

#[test]
fn reassignments_that_are_refused() {
    use ErrorCode as E;
    let mut cluster = Cluster::with_topics();
    let before = cluster.image().clone();
    type Row = (&'static str, i32, Option<&'static [i32]>, ErrorCode);
    let table: [Row; 11] = [
        ("orders", 0, Some(&[1]), E::NONE),
        ("orders", 0, None, E::NO_REASSIGNMENT_IN_PROGRESS),
        ("orders", 0, Some(&[]), E::INVALID_REPLICA_ASSIGNMENT),
        ("orders", 0, Some(&[2]), E::INVALID_REPLICA_ASSIGNMENT),
        ("orders", 0, Some(&[1, 2]), E::INVALID_REPLICA_ASSIGNMENT),
        ("orders", 0, Some(&[1, 1]), E::INVALID_REPLICA_ASSIGNMENT),
        ("orders", 0, Some(&[-1]), E::INVALID_REPLICA_ASSIGNMENT),
        ("orders", 3, Some(&[1]), E::UNKNOWN_TOPIC_OR_PARTITION),
        ("orders", -1, None, E::UNKNOWN_TOPIC_OR_PARTITION),
        ("nope", 0, Some(&[1]), E::UNKNOWN_TOPIC_OR_PARTITION),
        ("nope", 0, None, E::UNKNOWN_TOPIC_OR_PARTITION),
    ];
    for (topic, partition, replicas, expected) in table {
        let told = alter(&mut cluster, topic, partition, replicas);
        assert_eq!(told, expected, "{topic} {partition} {replicas:?}");
    }
    assert_eq!(*cluster.image(), before);
    assert!(list_partition_reassignments(cluster.image(), None).is_empty());
}

#[test]
fn what_only_shrinks_is_complete_at_once() {
    let mut cluster = Cluster::with_brokers(&[2, 3]);
    cluster.create(vec![assigned("t", &[(0, &[2, 1, 3])])]);
    cluster.fence(2);
    cluster.fence(3);
    assert_eq!(alter(&mut cluster, "t", 0, Some(&[1])), ErrorCode::NONE);
    let partition = cluster.partition("t", 0);
    assert_eq!((&*partition.replicas, &*partition.isr), (&[1][..], &[1][..]));
    assert!(partition.adding_replicas.is_empty() && partition.removing_replicas.is_empty());
    assert!(partition.elr.is_empty());
    assert_eq!((partition.leader, &*partition.directories), (1, &[DIRECTORY][..]));
    assert!(list_partition_reassignments(cluster.image(), None).is_empty());
}

#[test]
fn what_grows_waits_for_the_new_replica_and_can_be_taken_back() {
    let mut cluster = Cluster::with_brokers(&[2]);
    cluster.create(vec![assigned("t", &[(0, &[1]), (1, &[1])])]);
    let before = cluster.partition("t", 0).clone();
    assert_eq!(alter(&mut cluster, "t", 0, Some(&[2])), ErrorCode::NONE);
    let partition = cluster.partition("t", 0).clone();
    assert_eq!((&*partition.replicas, &*partition.isr), (&[2, 1][..], &[1][..]));
    assert_eq!((&*partition.adding_replicas, &*partition.removing_replicas), (&[2][..], &[1][..]));
    assert_eq!(partition.directories, [Uuid::from_bytes([2; 16]), DIRECTORY]);
    assert_eq!((partition.leader, partition.leader_epoch), (1, before.leader_epoch));

    let under_way = Reassignment { partition: 0, state: &partition };
    let list = |asked: Option<&[(&str, Vec<i32>)]>| {
        let found = list_partition_reassignments(cluster.image(), asked);
        found
            .iter()
            .map(|(name, list)| (*name, list.len(), list[0] == under_way))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None), [("t", 1, true)]);
    assert_eq!(list(Some(&[("t", vec![0, 1, 9]), ("nope", vec![0])])), [("t", 1, true)]);
    assert_eq!(list(Some(&[("t", vec![1])])), []);
    assert_eq!(list(Some(&[])), []);

    assert_eq!(alter(&mut cluster, "t", 0, Some(&[1, 2])), ErrorCode::NONE);
    let partition = cluster.partition("t", 0);
    assert_eq!((&*partition.replicas, &*partition.adding_replicas), (&[1, 2][..], &[2][..]));
    assert!(partition.removing_replicas.is_empty());
    assert_eq!(alter(&mut cluster, "t", 0, None), ErrorCode::NONE);
    let after = cluster.partition("t", 0).clone();
    assert_eq!(Partition { partition_epoch: before.partition_epoch, ..after }, before);
    assert_eq!(alter(&mut cluster, "t", 0, None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
}

#[test]
fn the_number_of_replicas_stays_when_it_must() {
    let mut cluster = Cluster::with_brokers(&[2]);
    cluster.create(vec![assigned("t", &[(0, &[1])])]);
    let told = |cluster: &Cluster, replicas: &[i32]| {
        let asked = PartitionReassignment { partition: 0, replicas: Some(replicas.to_vec()) };
        let request = [("t", vec![asked])];
        let (_, answers) = alter_partition_reassignments(cluster.image(), &request, false);
        code(&answers[0].1[0].1)
    };
    assert_eq!(told(&cluster, &[1, 2]), ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(told(&cluster, &[2]), ErrorCode::NONE);
    alter(&mut cluster, "t", 0, Some(&[2]));
    assert_eq!(told(&cluster, &[1]), ErrorCode::NONE, "one that is added does not count yet");

    let asked = |replicas: &[i32]| PartitionReassignment {
        partition: 0,
        replicas: Some(replicas.to_vec()),
    };
    let request = [("t", vec![asked(&[1, 2]), asked(&[2, 1])])];
    let (records, answers) = alter_partition_reassignments(cluster.image(), &request, true);
    let codes: Vec<_> = answers[0].1.iter().map(|(_, result)| code(result)).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::INVALID_REQUEST]);
    assert_eq!(records.len(), 1);
}

#[test]
fn a_broker_is_forgotten() {
    let mut cluster = Cluster::with_brokers(&[2]);
    cluster.create(vec![assigned("t", &[(0, &[2, 1])]), assigned("u", &[(0, &[2])])]);
    let result = unregister_broker(cluster.image(), 7);
    assert_eq!(code(&result), ErrorCode::BROKER_ID_NOT_REGISTERED);
    let records = unregister_broker(cluster.image(), 2).unwrap();
    cluster.write(&records);
    assert_eq!(cluster.image().brokers().keys().collect::<Vec<_>>(), [&1]);
    let partition = cluster.partition("t", 0);
    assert_eq!(
        (partition.leader, &*partition.replicas, &*partition.isr),
        (1, &[2, 1][..], &[1][..])
    );
    assert_eq!(cluster.partition("u", 0).leader, NO_LEADER);
    let again = unregister_broker(cluster.image(), 2);
    assert_eq!(code(&again), ErrorCode::BROKER_ID_NOT_REGISTERED);
    // The operator lets its replicas go.
    assert_eq!(alter(&mut cluster, "t", 0, Some(&[1])), ErrorCode::NONE);
    assert_eq!(cluster.partition("t", 0).replicas, [1]);
}
