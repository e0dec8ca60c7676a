//! Records that are none, or too many of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ottla_client::{Consumer, ErrorKind, Properties, TopicPartition};
use ottla_protocol::messages::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Records};

use crate::server::{answer, server_that_knows_itself, versions, whole_request};

/// A broker of topic `t` with one partition, whose answers to Fetch have these records.
fn with_records(
    records: impl Fn(i64) -> Vec<u8> + Send + Sync + Clone + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let address = server_that_knows_itself(move |mut stream, own| {
        while let Some((asked, frame)) = whole_request(&mut stream) {
            match asked.0 {
                18 => answer(&mut stream, asked, &versions()),
                1 => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let request = FetchRequest::from_bytes(&frame, asked.1).unwrap();
                    let offset = request.topics[0].partitions[0].fetch_offset;
                    let records = records(offset);
                    let partition = PartitionData {
                        high_watermark: i64::MAX,
                        records: Some(Records::Bytes(&records)),
                        ..Default::default()
                    };
                    let topic = FetchableTopicResponse {
                        topic: if asked.1 > 12 { "" } else { "t" },
                        topic_id: if asked.1 > 12 { Uuid::from_bytes([1; 16]) } else { Uuid::ZERO },
                        partitions: vec![partition],
                    };
                    let body = FetchResponse { responses: vec![topic], ..Default::default() };
                    answer(&mut stream, asked, &body);
                }
                _ => {
                    let port = own.port().into();
                    let host = "127.0.0.1";
                    let broker = MetadataResponseBroker { node_id: 1, host, port, rack: None };
                    let partition = MetadataResponsePartition {
                        leader_id: 1,
                        leader_epoch: 1,
                        ..Default::default()
                    };
                    let topic = MetadataResponseTopic {
                        name: Some("t"),
                        topic_id: Uuid::from_bytes([1; 16]),
                        partitions: vec![partition],
                        ..Default::default()
                    };
                    let (brokers, topics) = (vec![broker], vec![topic]);
                    let body = MetadataResponse { brokers, topics, ..Default::default() };
                    answer(&mut stream, asked, &body);
                }
            }
        }
    });
    (address, fetches)
}

/// A consumer of it at offset 100.
fn consumer(address: SocketAddr) -> Consumer {
    let properties = Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("receive.message.max.bytes", "1000000");
    let consumer = Consumer::new(&properties).unwrap();
    let partition = TopicPartition::new("t", 0);
    consumer.assign(std::slice::from_ref(&partition)).unwrap();
    consumer.seek(&partition, 100).unwrap();
    consumer
}

fn batch(base_offset: i64, codec: Codec, count: usize, value: &[u8]) -> Vec<u8> {
    let compression = Compression::new(codec);
    let options = BatchOptions { base_offset, compression, ..Default::default() };
    let mut builder = BatchBuilder::new(options).unwrap();
    for _ in 0..count {
        builder.append(&NewRecord { value: Some(value), ..Default::default() }).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn records_that_lead_nowhere_are_told_once_and_not_fetched_without_end() {
    type Make = fn(i64) -> Vec<u8>;
    let cases: [(Make, &str); 6] = [
        (|_| batch(0, Codec::None, 5, b"before"), "comes where 100 is due"),
        (|at| batch(at - 5, Codec::None, 5, b"before"), "comes where 100 is due"),
        (
            |at| [batch(at, Codec::None, 1, b"a"), batch(at, Codec::None, 1, b"a")].concat(),
            "is due",
        ),
        (|at| batch(at, Codec::None, 9, b"cut")[..70].to_vec(), "no whole batch"),
        (|_| vec![0xff; 500], "has length -1"),
        (
            |at| {
                let mut batch = batch(at, Codec::None, 2, b"flipped");
                *batch.last_mut().unwrap() ^= 1;
                batch
            },
            "CRC",
        ),
    ];
    for (make, told) in cases {
        let (address, fetches) = with_records(make);
        let consumer = consumer(address);
        let error = consumer.poll(Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().starts_with("t-0: "), "{error}");
        assert!(error.to_string().contains(told), "{told}: {error}");
        // It is said again, and the position can be told and moved.
        let again = consumer.poll(Duration::from_millis(50)).unwrap_err();
        assert_eq!(again.to_string(), error.to_string());
        assert_eq!(consumer.position(&TopicPartition::new("t", 0)).unwrap(), 100);
        assert!(fetches.load(Ordering::SeqCst) <= 3);
    }
}

#[test]
fn a_bomb_takes_no_more_memory_than_a_batch_may() {
    let (address, _) = with_records(|at| batch(at, Codec::Zstd, 4_000, &[0; 10_000]));
    let consumer = consumer(address);
    let error = consumer.poll(Duration::from_secs(20)).unwrap_err();
    let text = "t-0: at offset 100: the data decompresses to more than 1000000 bytes; \
                receive.message.max.bytes is the limit for a batch; seek past it to go on";
    assert_eq!(error.to_string(), text);
}

#[test]
fn records_without_end_are_held_back() {
    let (address, fetches) = with_records(|at| batch(at, Codec::None, 100, &[7; 1_000]));
    let consumer = consumer(address);
    let mut next = 100;
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(50));
        // Half of an answer, and one that is larger than what was asked for.
        assert!(consumer.buffered_bytes() < 2_000_000, "{}", consumer.buffered_bytes());
        for record in &consumer.poll(Duration::from_secs(20)).unwrap() {
            assert_eq!(record.offset(), next);
            next += 1;
        }
    }
    assert!(fetches.load(Ordering::SeqCst) < 100);
}

#[test]
fn answers_that_are_too_long_are_told() {
    let (address, fetches) = with_records(|at| batch(at, Codec::None, 2_000, &[7; 1_000]));
    let consumer = consumer(address);
    let error = consumer.poll(Duration::from_secs(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(error.to_string().contains("of 1000000 at most"), "{error}");
    thread::sleep(Duration::from_millis(300));
    assert!(fetches.load(Ordering::SeqCst) < 20);
}

#[test]
fn nothing_behind_a_corrupt_batch_is_given_before_it_is_sought_past() {
    let (address, _) = with_records(|at| {
        let mut batch = batch(at, Codec::None, 2, b"value");
        if at == 102 {
            *batch.last_mut().unwrap() ^= 1;
        }
        batch
    });
    let consumer = consumer(address);
    let mut read = Vec::new();
    let error = loop {
        match consumer.poll(Duration::from_millis(300)) {
            Ok(records) => read.extend(records.iter().map(|record| record.offset())),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().starts_with("t-0: at offset 102: the batch's CRC"), "{error}");
    assert_eq!(read, [100, 101]);
    assert!(consumer.poll(Duration::from_millis(300)).is_err());
    consumer.seek(&TopicPartition::new("t", 0), 104).unwrap();
    let records = consumer.poll(Duration::from_secs(20)).unwrap();
    assert_eq!(records.iter().next().unwrap().offset(), 104);
}

#[test]
fn empty_answers_that_come_at_once_are_not_asked_for_without_a_pause() {
    let (address, fetches) = with_records(|_| Vec::new());
    let consumer = consumer(address);
    assert!(consumer.poll(Duration::from_secs(2)).unwrap().is_empty());
    // Three at once, then one in 250 ms: half of `fetch.max.wait.ms`.
    let count = fetches.load(Ordering::SeqCst);
    assert!((2..=12).contains(&count), "{count}");
}
