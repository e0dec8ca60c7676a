//! ListOffsets: the ends of a log, and offsets by time.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};

use crate::delete_records::delete_one;
use crate::harness::{Client, T, TestBroker, batch};

type Told = (ErrorCode, i64, i64, i32);

fn ask(client: &mut Client, version: i16, timestamp: i64) -> Told {
    ask_in(client, version, timestamp, -1)
}

fn ask_in(client: &mut Client, version: i16, timestamp: i64, epoch: i32) -> Told {
    let partition =
        ListOffsetsPartition { partition_index: 0, current_leader_epoch: epoch, timestamp };
    let topic = ListOffsetsTopic { name: "t", partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = client.call(ApiKey::ListOffsets, version, &request);
    let response: ListOffsetsResponse<'_> = answer.message();
    let told = &response.topics[0].partitions[0];
    (told.error_code, told.offset, told.timestamp, told.leader_epoch)
}

const UNKNOWN: Told = (ErrorCode::UNSUPPORTED_VERSION, -1, -1, -1);
const NOTHING: Told = (ErrorCode::NONE, -1, -1, -1);

#[test]
fn special_timestamps_in_every_version() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    for (timestamp, told) in [
        (-1, (ErrorCode::NONE, 0, -1, 0)),
        (-2, (ErrorCode::NONE, 0, -1, 0)),
        (-3, NOTHING),
        (0, NOTHING),
    ] {
        assert_eq!(ask(&mut client, 11, timestamp), told, "an empty log, {timestamp}");
    }
    client.append("t", &batch(&[b"a", b"b", b"c"]));
    client.append("t", &batch(&[b"d"]));
    for version in 1..=11 {
        let epoch = if version < 4 { -1 } else { 0 };
        let since = |first: i16, told: Told| if version < first { UNKNOWN } else { told };
        for (timestamp, told) in [
            (-1, (ErrorCode::NONE, 4, -1, epoch)),
            (-2, (ErrorCode::NONE, 0, -1, epoch)),
            (-3, since(7, (ErrorCode::NONE, 2, T + 2, 0))),
            (-4, since(8, (ErrorCode::NONE, 0, -1, 0))),
            (-5, since(9, NOTHING)),
            (-6, since(11, NOTHING)),
            (-7, UNKNOWN),
            (i64::MIN, UNKNOWN),
            (0, (ErrorCode::NONE, 0, T, epoch)),
            (T, (ErrorCode::NONE, 0, T, epoch)),
            (T + 1, (ErrorCode::NONE, 1, T + 1, epoch)),
            (T + 2, (ErrorCode::NONE, 2, T + 2, epoch)),
            (T + 3, NOTHING),
            (i64::MAX, NOTHING),
        ] {
            assert_eq!(ask(&mut client, version, timestamp), told, "{version}, {timestamp}");
        }
    }
}

#[test]
fn the_largest_timestamp_outlives_its_record() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.append("t", &batch(&[b"a", b"b", b"c"]));
    let latest = (ErrorCode::NONE, 2, T + 2, 0);
    assert_eq!(ask(&mut client, 11, -3), latest);
    assert_eq!(delete_one(&mut client, "t", 0, -1), (3, ErrorCode::NONE));
    assert_eq!((ask(&mut client, 11, -3), ask(&mut client, 11, T)), (latest, NOTHING));
    client.append("t", &batch(&[b"d"]));
    assert_eq!(ask(&mut client, 11, -3), latest);
    assert_eq!(ask(&mut client, 11, 0), (ErrorCode::NONE, 3, T, 0));
}

#[test]
fn epochs_are_compared() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    assert_eq!(ask_in(&mut client, 4, -1, 0).0, ErrorCode::NONE);
    assert_eq!(ask_in(&mut client, 4, -1, 1).0, ErrorCode::UNKNOWN_LEADER_EPOCH);
}

#[test]
fn unknown_partitions_and_those_listed_twice() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 2, &[]);
    let partitions = |indexes: &[i32]| {
        let asked = indexes.iter().map(|index| ListOffsetsPartition {
            partition_index: *index,
            timestamp: -1,
            ..Default::default()
        });
        asked.collect()
    };
    let topics = vec![
        ListOffsetsTopic { name: "t", partitions: partitions(&[0, 1, 0, -1, 2]) },
        ListOffsetsTopic { name: "unknown", partitions: partitions(&[0]) },
        ListOffsetsTopic { name: "t", partitions: partitions(&[2]) },
    ];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let answer = client.call(ApiKey::ListOffsets, 5, &request);
    let response: ListOffsetsResponse<'_> = answer.message();
    let told: Vec<(&str, i32, ErrorCode)> = response
        .topics
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(|told| (topic.name, told.partition_index, told.error_code))
        })
        .collect();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let expected = [
        ("t", 0, ErrorCode::INVALID_REQUEST),
        ("t", 1, ErrorCode::NONE),
        ("t", -1, unknown),
        ("t", 2, ErrorCode::INVALID_REQUEST),
        ("unknown", 0, unknown),
    ];
    assert_eq!(told, expected);
}
