//! Fetches that wait: who wakes them, when, and in which order answers come.

use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{FetchRequest, FetchResponse};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla_protocol::uuid::Uuid;

use crate::harness::{PATIENCE, TestBroker, batch, fetch_request};

/// Longer than any test: who waits so long was not woken.
const LONG_MS: i32 = 600_000;
/// Longer than anything here takes on a busy machine, and far shorter than a forgotten wake-up.
const SOON: Duration = PATIENCE;

fn waiting(topic: &str, topic_id: Uuid, offset: i64) -> FetchRequest<'_> {
    FetchRequest { max_wait_ms: LONG_MS, ..fetch_request(topic, topic_id, offset) }
}

#[test]
fn a_waiting_fetch_is_woken_by_an_append() {
    let broker = TestBroker::start();
    let (mut reader, mut writer) = (broker.client(), broker.client());
    writer.create_topic("t", 1, &[]);
    let mut quickest = Duration::MAX;
    for offset in 0..20 {
        reader.send(ApiKey::Fetch, 12, &waiting("t", Uuid::ZERO, offset));
        std::thread::sleep(Duration::from_millis(2));
        let begun = Instant::now();
        assert_eq!(writer.append("t", &batch(&[b"v"])), offset);
        let fetched = reader.fetched(12);
        quickest = quickest.min(begun.elapsed());
        assert_eq!((fetched.code, fetched.high_watermark), (ErrorCode::NONE, offset + 1));
        assert!(!fetched.records.is_empty());
    }
    // On a busy machine some take long, but not all.
    assert!(quickest < Duration::from_millis(50), "{quickest:?}");
}

#[test]
fn min_bytes_is_waited_for_and_max_wait_ends_it() {
    let broker = TestBroker::start();
    let (mut reader, mut writer) = (broker.client(), broker.client());
    writer.create_topic("t", 1, &[]);
    let one = batch(&[b"v"]);
    let min_bytes = 3 * one.len() as i32;
    reader.send(ApiKey::Fetch, 12, &FetchRequest { min_bytes, ..waiting("t", Uuid::ZERO, 0) });
    for _ in 0..3 {
        writer.append("t", &one);
    }
    assert_eq!(reader.fetched(12).records.len(), 3 * one.len());
    let begun = Instant::now();
    let request = FetchRequest {
        max_wait_ms: 80,
        min_bytes: min_bytes + 1,
        ..fetch_request("t", Uuid::ZERO, 0)
    };
    let fetched = reader.fetch_with(&request, 12);
    assert_eq!(fetched.records.len(), 3 * one.len(), "what there is comes in the end");
    assert!(begun.elapsed() >= Duration::from_millis(79) && begun.elapsed() < SOON);
}

#[test]
fn what_need_not_wait_is_answered_at_once() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.append("t", &batch(&[b"v"]));
    let begun = Instant::now();
    let no_minimum = FetchRequest { min_bytes: 0, ..waiting("t", Uuid::ZERO, 1) };
    assert!(client.fetch_with(&no_minimum, 12).records.is_empty());
    let negative = FetchRequest { max_wait_ms: -1, ..waiting("t", Uuid::ZERO, 1) };
    assert!(client.fetch_with(&negative, 12).records.is_empty());
    let failed = client.fetch_with(&waiting("t", Uuid::ZERO, 9), 12);
    assert_eq!(failed.code, ErrorCode::OFFSET_OUT_OF_RANGE);
    let unknown = client.fetch_with(&waiting("u", Uuid::ZERO, 0), 12);
    assert_eq!(unknown.code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    // No more than max_bytes can come, so that a larger minimum counts as so much.
    let huge = FetchRequest { min_bytes: i32::MAX, max_bytes: 1, ..waiting("t", Uuid::ZERO, 0) };
    assert!(!client.fetch_with(&huge, 12).records.is_empty());
    let none = FetchRequest { topics: Vec::new(), ..waiting("t", Uuid::ZERO, 0) };
    let answer = client.call(ApiKey::Fetch, 12, &none);
    assert!(answer.message::<FetchResponse<'_>>().responses.is_empty());
    assert!(begun.elapsed() < SOON);
}

#[test]
fn a_topic_that_is_deleted_ends_the_wait() {
    let broker = TestBroker::start();
    let (mut reader, mut writer) = (broker.client(), broker.client());
    for version in [4, 12, 13, 18] {
        let id = writer.create_topic("t", 1, &[]);
        reader.send(ApiKey::Fetch, version, &waiting("t", id, 0));
        std::thread::sleep(Duration::from_millis(5));
        let begun = Instant::now();
        writer.delete_topic("t");
        let fetched = reader.fetched(version);
        assert!(begun.elapsed() < SOON);
        assert_eq!(fetched.code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{version}");
    }
}

#[test]
fn answers_come_in_the_order_of_requests() {
    let broker = TestBroker::start();
    let (mut client, mut writer) = (broker.client(), broker.client());
    writer.create_topic("t", 1, &[]);
    client.send(ApiKey::Fetch, 12, &waiting("t", Uuid::ZERO, 0));
    let all = MetadataRequest { topics: None, ..Default::default() };
    client.send(ApiKey::Metadata, 12, &all);
    client.stream.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
    let mut byte = [0];
    assert!(client.stream.peek(&mut byte).is_err(), "the second answer waits for the first");
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writer.append("t", &batch(&[b"v"]));
    let first = client.receive().unwrap();
    assert_eq!(first[..4], 1_i32.to_be_bytes());
    let second = client.answer(ApiKey::Metadata, 12);
    assert_eq!(second.message::<MetadataResponse<'_>>().topics.len(), 1);
}

#[test]
fn many_requests_at_once_are_answered_in_order() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let none = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let mut bytes = Vec::new();
    for id in 100..400 {
        let frame = crate::harness::request(ApiKey::Metadata, 4 + (id % 9) as i16, id, &none);
        bytes.extend((frame.len() as u32).to_be_bytes());
        bytes.extend(frame);
    }
    client.send_raw(&bytes);
    for id in 100..400_i32 {
        assert_eq!(client.receive().unwrap()[..4], id.to_be_bytes());
    }
}

#[test]
fn a_stop_answers_who_waits() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.send(ApiKey::Fetch, 12, &waiting("t", Uuid::ZERO, 0));
    std::thread::sleep(Duration::from_millis(20));
    drop(broker);
    assert_eq!(client.fetched(12).code, ErrorCode::NONE);
    client.assert_closed("after the stop");
}
