//! Partitions and offsets, against a broker in the same process.

use ottla_client::{
    AclOperation, Admin, DeleteBefore, ErrorKind, IsolationLevel, ListedOffset, NewPartitions,
    NewTopic, OffsetSpec, Producer, ProducerRecord, TopicPartition,
};

use crate::site::Site;

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A topic whose partition 0 has records with these timestamps.
fn topic(site: &Site, timestamps: &[i64]) -> Admin {
    let admin = site.admin();
    let created = admin.create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    created[0].1.as_ref().unwrap();
    let producer = Producer::new(&site.properties()).unwrap();
    for timestamp in timestamps {
        let record = ProducerRecord::new("t", b"v").partition(0).timestamp(*timestamp);
        producer.send(&record).unwrap().wait().unwrap();
    }
    admin
}

fn listed(admin: &Admin, partition: i32, spec: OffsetSpec) -> ListedOffset {
    let asked = [(at(partition), spec)];
    let results = admin.list_offsets(&asked, IsolationLevel::ReadCommitted).unwrap();
    assert_eq!(results[0].0, at(partition));
    *results[0].1.as_ref().unwrap()
}

#[test]
fn offsets_are_looked_up() {
    let site = Site::new();
    let admin = topic(&site, &[1000, 3000, 2000]);
    for (spec, offset, timestamp) in [
        (OffsetSpec::Earliest, Some(0), None),
        (OffsetSpec::Latest, Some(3), None),
        (OffsetSpec::MaxTimestamp, Some(1), Some(3000)),
        (OffsetSpec::EarliestLocal, Some(0), None),
        (OffsetSpec::LatestTiered, None, None),
        (OffsetSpec::Timestamp(1001), Some(1), Some(3000)),
        (OffsetSpec::Timestamp(0), Some(0), Some(1000)),
        (OffsetSpec::Timestamp(3001), None, None),
    ] {
        let found = listed(&admin, 0, spec);
        assert_eq!((found.offset, found.timestamp), (offset, timestamp), "{spec:?}");
    }
    assert_eq!(listed(&admin, 0, OffsetSpec::Latest).leader_epoch, Some(0));
    assert_eq!(listed(&admin, 1, OffsetSpec::MaxTimestamp).offset, None);
    // Each partition has a result of its own.
    let asked = [(at(1), OffsetSpec::Latest), (at(9), OffsetSpec::Latest)];
    let results = admin.list_offsets(&asked, IsolationLevel::ReadUncommitted).unwrap();
    assert_eq!(results[0].1.as_ref().unwrap().offset, Some(0));
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(9)));
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let site = Site::new();
    let admin = topic(&site, &[1, 2, 3, 4]);
    let results =
        admin.delete_records(&[(at(0), DeleteBefore::Offset(3)), (at(9), DeleteBefore::Offset(0))]);
    let results = results.unwrap();
    assert_eq!(*results[0].1.as_ref().unwrap(), 3);
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("UNKNOWN_TOPIC_OR_PARTITION"));
    assert_eq!(listed(&admin, 0, OffsetSpec::Earliest).offset, Some(3));
    let results = admin.delete_records(&[(at(0), DeleteBefore::Offset(5))]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "t-0: OFFSET_OUT_OF_RANGE (1)");
    let results = admin.delete_records(&[(at(0), DeleteBefore::HighWatermark)]).unwrap();
    assert_eq!(*results[0].1.as_ref().unwrap(), 4);
    let error = admin.delete_records(&[(at(0), DeleteBefore::Offset(-1))]).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Usage, "t-0: no offset: -1")
    );
}

#[test]
fn topics_get_more_partitions() {
    let site = Site::new();
    let admin = topic(&site, &[]);
    let count = || admin.describe_topics(&["t"]).unwrap()[0].1.as_ref().unwrap().partitions.len();
    let more = [NewPartitions::increase_to("t", 4)];
    admin.validate_partitions(&more).unwrap()[0].1.as_ref().unwrap();
    assert_eq!(count(), 2);
    admin.create_partitions(&more).unwrap()[0].1.as_ref().unwrap();
    assert_eq!(count(), 4);
    let chosen = NewPartitions::increase_to("t", 6).assignments(vec![vec![1], vec![1]]);
    admin.create_partitions(&[chosen]).unwrap()[0].1.as_ref().unwrap();
    assert_eq!(count(), 6);
    let nobody = NewPartitions::increase_to("nothing", 6);
    let results = admin.create_partitions(&[NewPartitions::increase_to("t", 5), nobody]).unwrap();
    for (place, name) in ["INVALID_PARTITIONS", "UNKNOWN_TOPIC_OR_PARTITION"].iter().enumerate() {
        let error = results[place].1.as_ref().unwrap_err();
        assert_eq!(error.code().unwrap().name(), Some(*name));
    }
}

#[test]
fn a_topic_is_described_as_a_whole() {
    let site = Site::new();
    let admin = topic(&site, &[]);
    let results = admin.describe_topics(&["nothing", "t"]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.topic(), Some("nothing"));
    let topic = results[1].1.as_ref().unwrap();
    assert!(!topic.is_internal && !topic.id.is_zero());
    let operations = topic.authorized_operations.as_ref().unwrap();
    assert!(operations.contains(&AclOperation::Read), "{operations:?}");
    let partition = &topic.partitions[1];
    assert_eq!((partition.index, partition.leader, partition.leader_epoch), (1, Some(1), 0));
    assert_eq!((&*partition.replicas, &*partition.isr), (&[1][..], &[1][..]));
    assert_eq!(partition.elr.as_deref(), Some(&[][..]));
    assert!(partition.offline.is_empty());
}
