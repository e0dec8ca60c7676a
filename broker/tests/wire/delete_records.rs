//! Deleting records: which offsets may be named, and what is left.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};

use crate::harness::{Client, TestBroker, batch};

type Told = (String, i32, i64, ErrorCode);

fn delete(client: &mut Client, asked: &[(&str, i32, i64)]) -> Vec<Told> {
    let topics = asked.iter().map(|(name, partition_index, offset)| DeleteRecordsTopic {
        name,
        partitions: vec![DeleteRecordsPartition {
            partition_index: *partition_index,
            offset: *offset,
        }],
    });
    let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms: 1000 };
    let answer = client.call(ApiKey::DeleteRecords, 2, &request);
    let response: DeleteRecordsResponse<'_> = answer.message();
    let mut told = vec![];
    for topic in &response.topics {
        for each in &topic.partitions {
            let name = topic.name.to_owned();
            told.push((name, each.partition_index, each.low_watermark, each.error_code));
        }
    }
    told
}

pub(super) fn delete_one(
    client: &mut Client,
    topic: &str,
    partition: i32,
    offset: i64,
) -> (i64, ErrorCode) {
    let told = delete(client, &[(topic, partition, offset)]);
    assert_eq!((told.len(), &*told[0].0, told[0].1), (1, topic, partition));
    (told[0].2, told[0].3)
}

#[test]
fn the_start_moves_and_never_back() {
    let mut broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 2, &[]);
    for _ in 0..5 {
        client.append("t", &batch(&[b"a", b"b"]));
    }
    let out_of_range = (-1, ErrorCode::OFFSET_OUT_OF_RANGE);
    let table = [
        (0, (0, ErrorCode::NONE)),
        (3, (3, ErrorCode::NONE)),
        (2, (3, ErrorCode::NONE)),
        (11, out_of_range),
        (i64::MAX, out_of_range),
        (-2, out_of_range),
        (i64::MIN, out_of_range),
    ];
    for (offset, expected) in table {
        assert_eq!(delete_one(&mut client, "t", 0, offset), expected, "{offset}");
    }
    assert_eq!(client.fetch("t", 2).code, ErrorCode::OFFSET_OUT_OF_RANGE);
    let left = client.fetch("t", 3);
    assert_eq!((left.code, left.log_start_offset, left.high_watermark), (ErrorCode::NONE, 3, 10));

    broker.restart();
    let mut client = broker.client();
    assert_eq!(client.fetch("t", 3).log_start_offset, 3, "a restart brings nothing back");
    assert_eq!(delete_one(&mut client, "t", 0, -1), (10, ErrorCode::NONE));
    assert_eq!(client.fetch("t", 10).records, b"");
    assert_eq!(client.append("t", &batch(&[b"c"])), 10);
    assert_eq!(client.fetch("t", 10).log_start_offset, 10);
}

#[test]
fn topics_that_keep_their_records() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("deleted", 1, &[]);
    client.create_topic("both", 1, &[("cleanup.policy", "compact,delete")]);
    client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    client.create_topic("kept", 1, &[("cleanup.policy", "")]);
    let unknown = (-1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let table = [
        ("both", 0, (0, ErrorCode::NONE)),
        ("kept", 0, (0, ErrorCode::NONE)),
        ("compacted", 0, (-1, ErrorCode::POLICY_VIOLATION)),
        ("compacted", 7, unknown),
        ("deleted", 1, unknown),
        ("deleted", -1, unknown),
        ("unknown", 0, unknown),
        ("", 0, unknown),
        ("__cluster_metadata", 0, unknown),
    ];
    for (topic, partition, expected) in table {
        assert_eq!(delete_one(&mut client, topic, partition, 0), expected, "{topic} {partition}");
    }
    client.append("deleted", &batch(&[b"a", b"b", b"c"]));
    let asked = [("unknown", 0, 0), ("deleted", 0, 1), ("compacted", 0, 0), ("deleted", 0, 2)];
    let told = delete(&mut client, &asked);
    let expected = [
        ("compacted".to_owned(), 0, -1, ErrorCode::POLICY_VIOLATION),
        ("deleted".to_owned(), 0, 2, ErrorCode::NONE),
        ("unknown".to_owned(), 0, -1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ];
    assert_eq!(told, expected, "each is answered once, and one's refusal is no other's");
}
