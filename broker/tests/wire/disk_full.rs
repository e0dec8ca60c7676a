//! A disk that is full: producers are told, readers are served, and when there is space again all
//! goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla::broker::RunningBroker;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use ottla_storage::sim::SimDisk;

use crate::harness::{Client, PATIENCE, batch, start};

fn run(disk: &SimDisk) -> RunningBroker {
    let disk = Arc::new(disk.clone());
    // The free port that a start has found may be gone again when it listens.
    let started =
        (0..5).find_map(|_| RunningBroker::start_on(disk.clone(), start("/data", &[])).ok());
    started.expect("a broker starts")
}

/// Produces until it succeeds: what could not be opened is tried again about every second.
fn wait_for(client: &mut Client, topic: &str, records: &[u8]) {
    let begun = Instant::now();
    while client.produce(topic, records).code != ErrorCode::NONE {
        assert!(begun.elapsed() < PATIENCE, "{topic} is never served");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn create(client: &mut Client, name: &str) -> ErrorCode {
    let topic =
        CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let answer = client.call(ApiKey::CreateTopics, 7, &request);
    let response: CreateTopicsResponse<'_> = answer.message();
    response.topics[0].error_code
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads() {
    let disk = SimDisk::new();
    let broker = run(&disk);
    let mut client = Client::connect(broker.addresses()[0]);
    client.create_topic("t", 1, &[]);
    let values = batch(&[&[b'x'; 3000]]);
    for offset in 0..5 {
        assert_eq!(client.append("t", &values), offset);
    }
    let kept = client.fetch("t", 0).records;
    // Less than is there already.
    disk.set_capacity(Some(4096));
    for _ in 0..3 {
        let produced = client.produce("t", &values);
        assert_eq!(produced.code, ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(produced.base_offset, -1);
        let fetched = client.fetch("t", 0);
        assert_eq!((fetched.code, fetched.high_watermark), (ErrorCode::NONE, 5));
        assert_eq!(fetched.records, kept);
    }
    // The record of a topic may still find room where its log finds none.
    let created = create(&mut client, "new");
    assert_ne!(client.produce("new", &values).code, ErrorCode::NONE);
    disk.set_capacity(None);
    assert_eq!(client.append("t", &values), 5, "there is space again");
    if created != ErrorCode::NONE {
        assert_eq!(created, ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(create(&mut client, "new"), ErrorCode::NONE);
    }
    wait_for(&mut client, "new", &values);
    broker.stop().unwrap();

    let broker = run(&disk);
    let mut client = Client::connect(broker.addresses()[0]);
    assert_eq!(client.fetch("t", 0).high_watermark, 6);
    assert_eq!(client.fetch("new", 0).high_watermark, 1);
    broker.stop().unwrap();
}

#[test]
fn a_full_disk_keeps_no_member_waiting() {
    let disk = SimDisk::new();
    let broker = run(&disk);
    let mut client = Client::connect(broker.addresses()[0]);
    let find = FindCoordinatorRequest { coordinator_keys: vec!["g"], ..Default::default() };
    client.call(ApiKey::FindCoordinator, 4, &find);
    let request = JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"" }],
        ..Default::default()
    };
    disk.set_capacity(Some(4096));
    for version in [3, 9] {
        let answer = client.call(ApiKey::JoinGroup, version, &request);
        let response: JoinGroupResponse<'_> = answer.message();
        assert_eq!(response.error_code, ErrorCode::NOT_COORDINATOR, "{version}");
    }
    disk.set_capacity(None);
    let answer = client.call(ApiKey::JoinGroup, 9, &request);
    let response: JoinGroupResponse<'_> = answer.message();
    assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    broker.stop().unwrap();
}
