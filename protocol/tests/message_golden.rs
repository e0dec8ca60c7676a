//! Messages as others write them: first requests captured from real clients, and what
//! `golden/GoldenMessages.java` has put into `golden/messages.hex`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::RequestHeader;
use ottla_protocol::internal::consumer_group::ConsumerGroupMemberMetadataValue;
use ottla_protocol::messages::api_versions::ApiVersionsRequest;
use ottla_protocol::messages::describe_topic_partitions::*;
use ottla_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, ReplicaState,
};
use ottla_protocol::messages::join_group::*;
use ottla_protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Reader, Records, Writer};

const ID: Uuid = Uuid::from_u64s(0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10);

/// The first request of a client on a fresh connection, without its length.
const CLIENTS: [(&str, &str, i16, i32); 3] = [
    // librdkafka 2.16.0 below Python.
    (
        "00120003000000010006676f6c64656e0017636f6e666c75656e742d6b61666b612d707974686f6e\
         16322e31362e312d72646b61666b612d322e31362e3000",
        "confluent-kafka-python 2.16.1-rdkafka-2.16.0",
        3,
        1,
    ),
    (
        "00120004000000010006676f6c64656e000d6b61666b612d707974686f6e07332e302e313200",
        "kafka-python 3.0.12",
        4,
        1,
    ),
    (
        "00120004000000000006676f6c64656e00126170616368652d6b61666b612d6a61766106342e332e3100",
        "apache-kafka-java 4.3.1",
        4,
        0,
    ),
];

#[test]
fn first_requests_of_clients() {
    for (hex, software, api_version, correlation_id) in CLIENTS {
        let bytes = unhex(hex);
        let mut reader = Reader::new(&bytes);
        let header = RequestHeader::read(&mut reader).unwrap();
        assert_eq!(
            header,
            RequestHeader { api_key: 18, api_version, correlation_id, client_id: Some("golden") }
        );
        let request = ApiVersionsRequest::decode(&mut reader, api_version).unwrap();
        let ApiVersionsRequest { client_software_name, client_software_version } = &request;
        assert_eq!(format!("{client_software_name} {client_software_version}"), software);
        assert_eq!(reader.remaining(), b"");
        let mut writer = Writer::new();
        header.write(&mut writer).unwrap();
        request.encode(&mut writer, api_version).unwrap();
        assert_eq!(writer.bytes(), bytes, "{software}");
        for cut in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..cut]);
            let request = RequestHeader::read(&mut reader)
                .and_then(|_| ApiVersionsRequest::decode(&mut reader, api_version));
            assert!(request.is_err(), "{software} cut at {cut}");
        }
    }
}

/// Compares a vector with a message in both directions, and cuts its bytes at each place.
macro_rules! check {
    ($message:ident, $vector:expr, $value:expr $(,)?) => {{
        let (name, version, bytes) = $vector;
        let value = $value;
        assert_eq!($message::NAME, name);
        assert_eq!(value.to_bytes(version).unwrap(), bytes, "{value:?}");
        let mut reader = Reader::new(&bytes);
        assert_eq!($message::decode(&mut reader, version).unwrap(), value);
        assert_eq!(reader.remaining(), b"");
        for cut in 0..bytes.len() {
            let read = $message::from_bytes(&bytes[..cut], version);
            assert!(read.is_err(), "{name} {version} cut at {cut}");
        }
    }};
}

#[test]
fn messages_of_kafkas_own_classes() {
    let mut golden = golden().into_iter();
    let mut next = || golden.next().unwrap();
    check!(FetchRequest, next(), fetch());
    check!(FetchRequest, next(), FetchRequest { cluster_id: Some("c"), rack_id: "r", ..fetch() });
    let mut follower = fetch();
    follower.replica_state = ReplicaState { replica_id: 3, replica_epoch: 8 };
    follower.topics[0].topic = "";
    follower.topics[0].topic_id = ID;
    follower.topics[0].partitions[0].replica_directory_id = ID;
    check!(FetchRequest, next(), follower);
    check!(FetchResponse, next(), fetched());
    let mut moved = fetched();
    moved.session_id = 9;
    moved.responses[0].topic = "";
    moved.responses[0].topic_id = ID;
    moved.responses[0].partitions[0].log_start_offset = 3;
    moved.responses[0].partitions[0].current_leader =
        LeaderIdAndEpoch { leader_id: 4, leader_epoch: 5 };
    moved.node_endpoints.push(NodeEndpoint { node_id: 4, host: "h", port: 9092, rack: None });
    check!(FetchResponse, next(), moved);
    check!(ProduceResponse, next(), produced());
    check!(ProduceResponse, next(), produced());
    check!(JoinGroupRequest, next(), join());
    check!(
        JoinGroupRequest,
        next(),
        JoinGroupRequest { group_instance_id: Some("i"), reason: Some("why"), ..join() }
    );
    check!(DescribeTopicPartitionsResponse, next(), described());
    let next_cursor = Some(Cursor { topic_name: "u", partition_index: 0 });
    check!(
        DescribeTopicPartitionsResponse,
        next(),
        DescribeTopicPartitionsResponse { next_cursor, ..described() }
    );
    check!(ConsumerGroupMemberMetadataValue, next(), ConsumerGroupMemberMetadataValue::default());
    let classic_member_metadata = None;
    check!(
        ConsumerGroupMemberMetadataValue,
        next(),
        ConsumerGroupMemberMetadataValue { classic_member_metadata, ..Default::default() },
    );
    assert!(golden.next().is_none());
}

fn fetch() -> FetchRequest<'static> {
    let partition = FetchPartition {
        partition: 2,
        fetch_offset: 77,
        partition_max_bytes: 4096,
        ..FetchPartition::default()
    };
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation_level: 1,
        topics: vec![FetchTopic {
            topic: "t",
            partitions: vec![partition],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

fn fetched() -> FetchResponse<'static> {
    let partition = PartitionData {
        partition_index: 2,
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        high_watermark: 80,
        last_stable_offset: 79,
        aborted_transactions: None,
        records: Some(Records::Bytes(&[1, 2, 3])),
        ..PartitionData::default()
    };
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t",
            partitions: vec![partition],
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    }
}

fn produced() -> ProduceResponse<'static> {
    let record_error =
        BatchIndexAndErrorMessage { batch_index: 1, batch_index_error_message: Some("bad") };
    let partition = PartitionProduceResponse {
        index: 2,
        error_code: ErrorCode::INVALID_RECORD,
        base_offset: -1,
        error_message: Some("no"),
        record_errors: vec![record_error],
        ..PartitionProduceResponse::default()
    };
    ProduceResponse {
        throttle_time_ms: 5,
        responses: vec![TopicProduceResponse {
            name: "t",
            partition_responses: vec![partition],
            ..TopicProduceResponse::default()
        }],
        ..ProduceResponse::default()
    }
}

fn join() -> JoinGroupRequest<'static> {
    JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: &[0, 1] }],
        ..JoinGroupRequest::default()
    }
}

fn described() -> DescribeTopicPartitionsResponse<'static> {
    let partition = DescribeTopicPartitionsResponsePartition {
        leader_id: 1,
        leader_epoch: 4,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        eligible_leader_replicas: Some(Vec::new()),
        ..DescribeTopicPartitionsResponsePartition::default()
    };
    DescribeTopicPartitionsResponse {
        topics: vec![DescribeTopicPartitionsResponseTopic {
            name: Some("t"),
            topic_id: ID,
            partitions: vec![partition],
            ..DescribeTopicPartitionsResponseTopic::default()
        }],
        ..DescribeTopicPartitionsResponse::default()
    }
}

/// The vectors: a line with name and version, then indented lines of hex.
fn golden() -> Vec<(String, i16, Vec<u8>)> {
    let mut vectors: Vec<(String, i16, Vec<u8>)> = Vec::new();
    for line in include_str!("golden/messages.hex").lines() {
        match line.strip_prefix("  ") {
            Some(hex) => vectors.last_mut().unwrap().2.extend(unhex(hex)),
            None => {
                let (name, version) = line.split_once(' ').unwrap();
                vectors.push((name.to_owned(), version.parse().unwrap(), Vec::new()));
            }
        }
    }
    vectors
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
