//! Brokers that send a client from one to the next, for ever.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla_client::{Admin, ErrorKind, Producer, ProducerRecord, Properties};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use ottla_protocol::messages::init_producer_id::InitProducerIdResponse;
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{OffsetFetchResponse, OffsetFetchResponseGroup};
use ottla_protocol::messages::produce::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use crate::server::{answer, request, server_that_knows_itself, versions};

/// Two brokers of this address; in each epoch the other one leads the topic `t`.
fn metadata(port: i32, epoch: i32) -> MetadataResponse<'static> {
    let broker = |node_id| MetadataResponseBroker { node_id, host: "127.0.0.1", port, rack: None };
    let partition = MetadataResponsePartition {
        leader_id: epoch % 2,
        leader_epoch: epoch,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t"),
        partitions: vec![partition],
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![broker(0), broker(1)],
        topics: vec![topic],
        ..Default::default()
    }
}

/// Serves a cluster in which it is always the other broker; and how many requests there were.
fn elsewhere() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked_for = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked_for);
    let address = server_that_knows_itself(move |mut stream, own| {
        let port = i32::from(own.port());
        while let Some(asked) = request(&mut stream) {
            let turn = i32::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
            match asked.0 {
                0 => {
                    let leader = LeaderIdAndEpoch { leader_id: turn % 2, leader_epoch: turn };
                    let partition = PartitionProduceResponse {
                        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                        current_leader: leader,
                        ..Default::default()
                    };
                    let topic = TopicProduceResponse {
                        name: "t",
                        partition_responses: vec![partition],
                        ..Default::default()
                    };
                    let node =
                        NodeEndpoint { node_id: turn % 2, host: "127.0.0.1", port, rack: None };
                    let told = ProduceResponse {
                        responses: vec![topic],
                        node_endpoints: vec![node],
                        ..Default::default()
                    };
                    answer(&mut stream, asked, &told);
                }
                3 => answer(&mut stream, asked, &metadata(port, turn)),
                9 => {
                    let group = OffsetFetchResponseGroup {
                        group_id: "g",
                        error_code: ErrorCode::NOT_COORDINATOR,
                        ..Default::default()
                    };
                    let told = OffsetFetchResponse { groups: vec![group], ..Default::default() };
                    answer(&mut stream, asked, &told);
                }
                10 => {
                    let found = Coordinator {
                        key: "g",
                        node_id: turn % 2,
                        host: "127.0.0.1",
                        port,
                        ..Default::default()
                    };
                    let told =
                        FindCoordinatorResponse { coordinators: vec![found], ..Default::default() };
                    answer(&mut stream, asked, &told);
                }
                18 => answer(&mut stream, asked, &versions()),
                22 => answer(&mut stream, asked, &InitProducerIdResponse::default()),
                other => panic!("a request of kind {other}"),
            }
        }
    });
    (address, asked_for)
}

fn properties(address: SocketAddr) -> Properties {
    Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("default.api.timeout.ms", "1500")
        .with("request.timeout.ms", "300")
}

#[test]
fn a_leader_that_is_always_another_is_given_up() {
    let (address, asked_for) = elsewhere();
    let producer = Producer::new(
        &properties(address).with("delivery.timeout.ms", "1500").with("linger.ms", "0"),
    )
    .unwrap();
    let begun = Instant::now();
    let sent = producer.send(&ProducerRecord::new("t", b"a")).unwrap();
    let error = sent.wait().unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)), "{error}");
    assert!(error.to_string().contains("NOT_LEADER_OR_FOLLOWER"), "{error}");
    // With a backoff between them.
    let asked_for = asked_for.load(Ordering::SeqCst);
    assert!(asked_for < 150, "{asked_for} requests");
}

#[test]
fn a_coordinator_that_is_always_another_is_given_up() {
    let (address, asked_for) = elsewhere();
    let begun = Instant::now();
    let error = Admin::new(&properties(address)).unwrap().committed_offsets("g").unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("NOT_COORDINATOR"), "{error}");
    let asked_for = asked_for.load(Ordering::SeqCst);
    assert!(asked_for < 150, "{asked_for} requests");
}
