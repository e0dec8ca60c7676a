//! Large lies, each of which is an answer, and how little of them is kept.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, Error, ErrorKind, Producer, ProducerRecord, Properties};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterResponse};
use ottla_protocol::messages::init_producer_id::InitProducerIdResponse;
use ottla_protocol::messages::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use crate::coordinator::{
    BEAT, JOIN, SYNC, TOPIC, assignment, beaten, coordinator, joined, synced,
};
use crate::memory::Alone;
use crate::server::{
    Asked, after_versions, answer, framed, request, server_that_knows_itself, versions,
};

fn properties(address: SocketAddr) -> Properties {
    Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("default.api.timeout.ms", "20000")
        .with("retry.backoff.ms", "1")
        .with("retry.backoff.max.ms", "1")
        .with("reconnect.backoff.ms", "0")
        .with("reconnect.backoff.max.ms", "0")
}

/// A count with nothing behind it takes nothing.
#[test]
fn counts_are_not_believed() {
    let alone = Alone::new();
    let address = after_versions(|stream, asked| {
        let mut bytes = framed(asked, &MetadataResponse::default());
        // A compact count of 2^31 - 2 brokers, in the place of none, behind the length, the
        // correlation id, the header's tags and the throttle time.
        bytes.splice(13..14, *b"\xff\xff\xff\xff\x07");
        let length = bytes.len() as u32 - 4;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        _ = stream.write_all(&bytes);
    });
    let properties = properties(address).with("default.api.timeout.ms", "500");
    let error = Admin::new(&properties).unwrap().list_topics(false).unwrap_err();
    assert!(error.to_string().contains("malformed answer: Metadata"), "{error}");
    let peak = alone.peak_bytes();
    assert!(peak < 2 << 20, "{peak} bytes");
}

/// Answers that a producer gets, each of which names so many others than the one before.
const ROUNDS: usize = 20;
const EACH: usize = 4_000;

/// A topic that is asked for again and again, since it may be there soon.
fn wanted() -> MetadataResponseTopic<'static> {
    let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    MetadataResponseTopic { name: Some("mine"), error_code, ..Default::default() }
}

/// A broker at this address.
fn broker(node_id: usize, address: SocketAddr) -> MetadataResponseBroker<'static> {
    let node_id = i32::try_from(node_id).unwrap();
    let port = i32::from(address.port());
    MetadataResponseBroker { node_id, host: "127.0.0.1", port, rack: None }
}

/// Has a producer ask for metadata again and again; `tell` answers the n-th time. What it has then
/// is not much more than after a few answers.
fn is_not_kept(tell: impl Fn(&mut TcpStream, Asked, usize, SocketAddr) + Send + Sync + 'static) {
    let alone = Alone::new();
    let rounds = Arc::new(AtomicUsize::new(0));
    let (count, tell) = (Arc::clone(&rounds), Arc::new(tell));
    let address = server_that_knows_itself(move |mut stream, own| {
        while let Some(asked) = request(&mut stream) {
            match asked.0 {
                3 => tell(&mut stream, asked, count.fetch_add(1, Ordering::SeqCst), own),
                18 => answer(&mut stream, asked, &versions()),
                _ => answer(&mut stream, asked, &InitProducerIdResponse::default()),
            }
        }
    });
    let properties = properties(address)
        .with("max.block.ms", "15000")
        .with("request.timeout.ms", "400")
        .with("delivery.timeout.ms", "500");
    let producer = Producer::new(&properties).unwrap();
    let begun = Instant::now();
    let held = thread::scope(|scope| {
        let sending = scope.spawn(|| producer.send(&ProducerRecord::new("mine", b"a")).map(drop));
        let mut held = Vec::new();
        for goal in [3, ROUNDS] {
            while rounds.load(Ordering::SeqCst) < goal && !sending.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            held.push(alone.held_bytes());
        }
        // The topic is there at last, or it would wait on.
        rounds.store(usize::MAX / 2, Ordering::SeqCst);
        sending.join().unwrap().unwrap();
        held
    });
    assert_eq!(alone.panics(), [""; 0]);
    assert!(held[1] < held[0] + (1 << 20), "{held:?} bytes in {:?}", begun.elapsed());
    drop(producer);
}

/// The wanted topic, with a partition once the rounds are over.
fn mine(round: usize) -> MetadataResponseTopic<'static> {
    if round < usize::MAX / 2 {
        return wanted();
    }
    let partitions = vec![MetadataResponsePartition { leader_id: -1, ..Default::default() }];
    MetadataResponseTopic { name: Some("mine"), partitions, ..Default::default() }
}

#[test]
fn brokers_that_are_no_more_are_not_kept() {
    is_not_kept(|stream, asked, round, own| {
        let first = round % 1000 * EACH;
        let brokers = (first..first + EACH).map(|id| broker(id, own)).collect();
        let told = MetadataResponse { brokers, topics: vec![mine(round)], ..Default::default() };
        answer(stream, asked, &told);
    });
}

#[test]
fn topics_that_nobody_asked_for_are_not_kept() {
    is_not_kept(|stream, asked, round, own| {
        let names: Vec<String> =
            (0..EACH).map(|number| format!("{}-{number}", round % 1000)).collect();
        let others = names.iter().enumerate().map(|(number, name)| MetadataResponseTopic {
            name: Some(name),
            topic_id: Uuid::from_bytes(((round % 1000 * EACH + number) as u128).to_be_bytes()),
            ..Default::default()
        });
        let topics = others.chain([mine(round)]).collect();
        let brokers = vec![broker(1, own)];
        answer(stream, asked, &MetadataResponse { brokers, topics, ..Default::default() });
    });
}

/// An answer is read into at most eight times its size, as the protocol's tables are; what is kept
/// of it is of the same order.
#[test]
fn a_million_of_each_takes_what_a_million_take() {
    let alone = Alone::new();
    let address = after_versions(|stream, asked| {
        let partition = MetadataResponsePartition { leader_id: 1, ..Default::default() };
        let topics: Vec<_> = ["a", "b"]
            .map(|name| MetadataResponseTopic {
                name: Some(name),
                partitions: vec![partition.clone(); 500_000],
                ..Default::default()
            })
            .into();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let brokers = (0..1_000_000).map(|id| broker(id, nobody)).collect();
        answer(stream, asked, &MetadataResponse { brokers, topics, ..Default::default() });
    });
    let topics = Admin::new(&properties(address)).unwrap().list_topics(true).unwrap();
    assert_eq!(topics.len(), 2);
    // The server that makes it up is in the same process.
    let peak = alone.peak_bytes();
    assert!(peak < 1 << 30, "{peak} bytes");
    assert_eq!(alone.panics(), [""; 0]);
}

/// Enough that what is quadratic in it does not end in time.
const MANY: i32 = 100_000;

/// A member that is told something large for a while, and then leaves in time.
fn is_a_member_all_the_same(
    way: &[(&str, &str)],
    lie: impl Fn(Asked, usize) -> Option<Vec<u8>> + Send + Sync + Clone + 'static,
) {
    let alone = Alone::new();
    let (address, asks) = coordinator(lie);
    let mut properties =
        properties(address).with("group.id", "g").with("auto.offset.reset", "earliest");
    way.iter().for_each(|(name, value)| properties.set(name, value));
    let consumer = Consumer::new(&properties).unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while consumer.assignment().is_empty() {
        assert!(Instant::now() < until, "{:?}", asks.lock().unwrap());
        _ = consumer.poll(Duration::from_millis(100));
    }
    let begun = Instant::now();
    _ = consumer.close(Duration::from_secs(1));
    let peak = alone.peak_bytes();
    println!("{way:?}: closed in {:?}, {peak} bytes", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(4), "closed in {:?}", begun.elapsed());
    assert!(peak < 128 << 20, "{peak} bytes");
    assert_eq!(alone.panics(), [""; 0]);
}

#[test]
fn very_many_partitions_are_assigned() {
    let partitions: Arc<Vec<i32>> = Arc::new((0..MANY).collect());
    let bytes = Arc::new(assignment(&partitions));
    let ways: [&[(&str, &str)]; 2] =
        [&[("partition.assignment.strategy", "range")], &[("group.protocol", "consumer")]];
    for way in ways {
        let (partitions, bytes) = (Arc::clone(&partitions), Arc::clone(&bytes));
        is_a_member_all_the_same(way, move |asked, _| match asked.0 {
            SYNC => Some(framed(asked, &synced(&bytes))),
            BEAT => Some(framed(asked, &beaten(1, TOPIC, &partitions))),
            _ => None,
        });
    }
}

#[test]
fn very_many_members_are_led() {
    for name in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let way = [("partition.assignment.strategy", name)];
        is_a_member_all_the_same(&way, move |asked, turn| {
            if asked.0 != JOIN {
                return None;
            }
            let ids: Vec<String> = (0..MANY).map(|number| format!("m-{number}")).collect();
            // It wants `t`.
            let metadata = [0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            let members = ids.iter().map(|member_id| JoinGroupResponseMember {
                member_id,
                group_instance_id: None,
                metadata: &metadata,
            });
            let told = JoinGroupResponse {
                protocol_name: Some(name),
                leader: "m",
                members: members.collect(),
                ..joined(turn)
            };
            Some(framed(asked, &told))
        });
    }
}

/// What a listing of groups ends with where so many brokers are told, and metadata knows none.
fn listing_of_groups(count: i32) -> Error {
    let address = after_versions(move |stream, asked| match asked.0 {
        60 => {
            let host = "127.0.0.1";
            let broker =
                |broker_id| DescribeClusterBroker { broker_id, host, ..Default::default() };
            let brokers = (0..count).map(broker).collect();
            answer(stream, asked, &DescribeClusterResponse { brokers, ..Default::default() });
        }
        _ => answer(stream, asked, &MetadataResponse::default()),
    });
    let properties = properties(address).with("default.api.timeout.ms", "2000");
    Admin::new(&properties).unwrap().list_groups().unwrap_err()
}

#[test]
fn very_many_brokers_are_asked_until_the_deadline() {
    let alone = Alone::new();
    let begun = Instant::now();
    let error = listing_of_groups(MANY);
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let peak = alone.peak_bytes();
    assert!(peak < 192 << 20, "{peak} bytes");
    assert_eq!(alone.panics(), [""; 0]);
}

#[test]
fn a_million_brokers_are_not_asked() {
    let alone = Alone::new();
    let error = listing_of_groups(1_000_000);
    assert!(error.to_string().contains("DescribeCluster: 1000000 brokers"), "{error}");
    let peak = alone.peak_bytes();
    assert!(peak < 256 << 20, "{peak} bytes");
    assert_eq!(alone.panics(), [""; 0]);
}
