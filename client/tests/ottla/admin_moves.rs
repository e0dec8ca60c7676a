//! Elections, moves of partitions, and producers, against a broker in the same process.

use ottla_client::{
    ElectionType, ErrorKind, NewTopic, Producer, ProducerRecord, TopicPartition, TransactionFilter,
};

use crate::site::Site;

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

#[test]
fn leaders_are_elected_by_hand() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    let results = admin.elect_leaders(ElectionType::Preferred, Some(&[at(1), at(9)])).unwrap();
    let names: Vec<_> = results
        .iter()
        .map(|(at, told)| (at.partition, told.as_ref().unwrap_err().code().unwrap().name()))
        .collect();
    let expected = [(1, Some("ELECTION_NOT_NEEDED")), (9, Some("UNKNOWN_TOPIC_OR_PARTITION"))];
    assert_eq!(names, expected);
    // Of all, there is nothing to say about those that need none.
    assert!(admin.elect_leaders(ElectionType::Preferred, None).unwrap().is_empty());
    let results = admin.elect_leaders(ElectionType::Unclean, Some(&[at(0)])).unwrap();
    assert!(results[0].1.is_err());
}

#[test]
fn partitions_are_moved_and_moves_called_off() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    let moves = [(at(0), Some(vec![1])), (at(1), None), (at(0), Some(vec![1]))];
    let results = admin.alter_partition_reassignments(&moves[..2]).unwrap();
    assert!(results[0].1.is_ok(), "{results:?}");
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("NO_REASSIGNMENT_IN_PROGRESS"));
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(1)));
    let results = admin.alter_partition_reassignments(&[(at(0), Some(vec![7]))]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("INVALID_REPLICA_ASSIGNMENT"));
    let error = admin.alter_partition_reassignments(&moves).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "t-0 is there twice")
    );
    assert!(admin.list_partition_reassignments(None).unwrap().is_empty());
    assert!(admin.list_partition_reassignments(Some(&[at(0)])).unwrap().is_empty());
}

#[test]
fn producers_that_a_partition_remembers_are_told() {
    let site = Site::new();
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    let producer = Producer::new(&site.properties()).unwrap();
    for timestamp in [1000, 2000] {
        let record = ProducerRecord::new("t", b"value").partition(1).timestamp(timestamp);
        producer.send(&record).unwrap().wait().unwrap();
    }
    let results = admin.describe_producers(&[at(0), at(1), at(9)]).unwrap();
    assert!(results[0].1.as_ref().unwrap().is_empty());
    let states = results[1].1.as_ref().unwrap();
    assert_eq!((states.len(), states[0].producer_epoch), (1, 0));
    assert_eq!((states[0].last_sequence, states[0].last_timestamp), (Some(1), Some(2000)));
    assert_eq!(states[0].current_txn_start_offset, None);
    assert!(results[2].1.is_err());
}

#[test]
fn what_the_broker_does_not_serve_is_named() {
    let site = Site::new();
    let error = site.admin().list_transactions(&TransactionFilter::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(error.detail(), "the broker does not serve ListTransactions");
}
