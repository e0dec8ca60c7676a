//! A partition that is damaged where it was durable: what clients are told, and that nobody else
//! notices.

use std::fs;
use std::path::Path;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};

use crate::delete_records::delete_one;
use crate::groups::{commit_with, find};
use crate::harness::{Client, TestBroker, batch};

const OFFLINE: ErrorCode = ErrorCode::KAFKA_STORAGE_ERROR;

/// Damages a record of a partition that had been stopped cleanly, and takes the mark of that away.
fn damage(dir: &Path, partition: &str) {
    let path = dir.join(partition).join("00000000000000000000.log");
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::remove_file(dir.join(".kafka_cleanshutdown")).unwrap();
}

fn list_offsets(client: &mut Client, name: &str, timestamp: i64) -> ErrorCode {
    let partition = ListOffsetsPartition { timestamp, ..Default::default() };
    let topic = ListOffsetsTopic { name, partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = client.call(ApiKey::ListOffsets, 5, &request);
    let response: ListOffsetsResponse<'_> = answer.message();
    response.topics[0].partitions[0].error_code
}

fn epoch_end(client: &mut Client, topic: &str) -> ErrorCode {
    let partition = OffsetForLeaderPartition::default();
    let topic = OffsetForLeaderTopic { topic, partitions: vec![partition] };
    let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
    let answer = client.call(ApiKey::OffsetForLeaderEpoch, 4, &request);
    let response: OffsetForLeaderEpochResponse<'_> = answer.message();
    response.topics[0].partitions[0].error_code
}

fn producers(client: &mut Client, name: &str) -> ErrorCode {
    let topic = TopicRequest { name, partition_indexes: vec![0] };
    let request = DescribeProducersRequest { topics: vec![topic] };
    let answer = client.call(ApiKey::DescribeProducers, 0, &request);
    let response: DescribeProducersResponse<'_> = answer.message();
    response.topics[0].partitions[0].error_code
}

/// Leader, and which replicas are offline.
fn led(client: &mut Client, name: &str) -> (i32, Vec<i32>) {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = client.call(ApiKey::Metadata, 12, &request);
    let response: MetadataResponse<'_> = answer.message();
    let topic = response.topics.iter().find(|topic| topic.name == Some(name)).unwrap();
    let partition = &topic.partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NONE);
    (partition.leader_id, partition.offline_replicas.clone())
}

#[test]
fn every_request_for_it_is_refused_and_others_are_served() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    for topic in ["t", "u"] {
        client.create_topic(topic, 1, &[]);
        client.append(topic, &batch(&[b"a", b"b"]));
        client.append(topic, &batch(&[b"c"]));
    }
    broker.restart_after(|dir| damage(dir, "t-0"));
    let path = broker.dir().join("t-0/00000000000000000000.log");
    let before = fs::read(&path).unwrap();
    for restarts in 0..2 {
        let mut client = broker.client();
        for (topic, expected) in [("t", OFFLINE), ("u", ErrorCode::NONE)] {
            assert_eq!(client.produce(topic, &batch(&[b"d"])).code, expected);
            // Records below are deleted in the first round.
            assert_eq!(client.fetch(topic, 1).code, expected);
            for timestamp in [-1, -2, 0] {
                assert_eq!(list_offsets(&mut client, topic, timestamp), expected, "{topic}");
            }
            assert_eq!(epoch_end(&mut client, topic), expected);
            assert_eq!(producers(&mut client, topic), expected);
            assert_eq!(delete_one(&mut client, topic, 0, 1).1, expected);
        }
        // It is led here, and clients that look for it go on asking: it may be repaired.
        let ((leader, offline), (_, none)) = (led(&mut client, "t"), led(&mut client, "u"));
        assert_eq!((offline, none), (vec![leader], vec![]));
        assert_eq!(fs::read(&path).unwrap(), before);
        if restarts == 0 {
            broker.restart();
        }
    }
    // It can be deleted, and made anew.
    let mut client = broker.client();
    client.delete_topic("t");
    client.create_topic("t", 1, &[]);
    assert_eq!(client.append("t", &batch(&[b"e"])), 0);
    assert_eq!(client.fetch("t", 0).code, ErrorCode::NONE);
}

/// Commits for a group without members, as soon as its coordinator has loaded it.
fn commit(client: &mut Client, group: &str) -> ErrorCode {
    find(client, group);
    loop {
        match commit_with(client, (group, "", -1), 5, "") {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => std::thread::yield_now(),
            code => return code,
        }
    }
}

/// Groups of a damaged partition have no coordinator here, as in Kafka when it cannot load one;
/// those of others have.
#[test]
fn groups_of_a_damaged_partition_find_no_coordinator() {
    let mut broker = TestBroker::with(&["offsets.topic.num.partitions=2"]);
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    // Two groups, one in each partition.
    let groups = ["a", "b"];
    for group in groups {
        assert_eq!(commit(&mut client, group), ErrorCode::NONE);
    }
    broker.restart_after(|dir| damage(dir, "__consumer_offsets-1"));
    let mut client = broker.client();
    let told = groups.map(|group| commit(&mut client, group));
    // "a" hashes to 97, "b" to 98.
    assert_eq!(told, [ErrorCode::NOT_COORDINATOR, ErrorCode::NONE]);
}
