//! What a request and its answer cost to read and to write: `cargo bench -p ottla-protocol --bench
//! messages`. One partition of one topic, in the versions that Kafka's own clients speak.
//!
//! Times are those of one message. Allocations are counted: reading makes a block for each array
//! that is not empty, and writing should make one for the answer.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::{AllocProfiler, Bencher, black_box};
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};
use ottla_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Reader, Records, Writer};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const PRODUCE: i16 = 13;
const FETCH: i16 = 17;
const RECORDS: [u8; 16 << 10] = [7; 16 << 10];

fn main() {
    divan::main();
}

/// A request as it stands in a frame, behind the length.
fn frame<'m>(api: ApiKey, api_version: i16, body: &impl Message<'m>) -> Vec<u8> {
    let api_key = api as i16;
    let header =
        RequestHeader { api_key, api_version, correlation_id: 7, client_id: Some("producer-1") };
    let mut writer = Writer::new();
    header.write(&mut writer).unwrap();
    body.encode(&mut writer, api_version).unwrap();
    writer.finish().bytes
}

fn decode<'a, M: Message<'a>>(frame: &'a [u8]) -> (RequestHeader<'a>, M) {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::read(&mut reader).unwrap();
    let body = M::decode(&mut reader, header.api_version).unwrap();
    (header, body)
}

/// The header, and then the body.
fn answer<'m>(api: ApiKey, version: i16, body: &impl Message<'m>) -> Vec<u8> {
    let mut writer = Writer::new();
    ResponseHeader { correlation_id: 7 }.write(&mut writer, api, version);
    body.encode(&mut writer, version).unwrap();
    writer.finish().bytes
}

#[divan::bench]
fn decode_produce_request(bencher: Bencher<'_, '_>) {
    let records = Some(Records::Bytes(&RECORDS));
    let request = ProduceRequest {
        acks: 1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            topic_id: Uuid::ONE,
            partition_data: vec![PartitionProduceData { index: 3, records }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let frame = frame(ApiKey::Produce, PRODUCE, &request);
    bencher.bench(|| {
        let (header, request) = decode::<ProduceRequest<'_>>(black_box(&frame));
        (header.correlation_id, request.topic_data[0].partition_data[0].index)
    });
}

fn decode_fetch(bencher: Bencher<'_, '_>, topics: Vec<FetchTopic<'_>>) {
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        session_id: 1,
        session_epoch: 1,
        topics,
        ..Default::default()
    };
    let frame = frame(ApiKey::Fetch, FETCH, &request);
    bencher.bench(|| {
        let (header, request) = decode::<FetchRequest<'_>>(black_box(&frame));
        (header.correlation_id, request.topics.len(), request.max_bytes)
    });
}

/// As in a session, when an offset has moved on.
#[divan::bench]
fn decode_fetch_request(bencher: Bencher<'_, '_>) {
    let partition = FetchPartition { fetch_offset: 7, ..Default::default() };
    let partitions = vec![partition];
    let topic = FetchTopic { topic_id: Uuid::ONE, partitions, ..Default::default() };
    decode_fetch(bencher, vec![topic]);
}

/// As in a session, when no offset has.
#[divan::bench]
fn decode_fetch_request_of_nothing(bencher: Bencher<'_, '_>) {
    decode_fetch(bencher, Vec::new());
}

fn produced() -> ProduceResponse<'static> {
    ProduceResponse {
        responses: vec![TopicProduceResponse {
            topic_id: Uuid::ONE,
            partition_responses: vec![PartitionProduceResponse {
                index: 3,
                base_offset: 1_000_000,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn fetched() -> FetchResponse<'static> {
    FetchResponse {
        session_id: 1,
        responses: vec![FetchableTopicResponse {
            topic_id: Uuid::ONE,
            partitions: vec![PartitionData {
                high_watermark: 1_000_000,
                records: Some(Records::Spliced { token: 0, length: 1 << 20 }),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[divan::bench]
fn encode_produce_response(bencher: Bencher<'_, '_>) {
    let response = produced();
    bencher.bench(|| answer(ApiKey::Produce, PRODUCE, black_box(&response)));
}

/// With the making of the message.
#[divan::bench]
fn make_and_encode_produce_response(bencher: Bencher<'_, '_>) {
    bencher.bench(|| answer(ApiKey::Produce, PRODUCE, &black_box(produced())));
}

/// The records are sent from the file and stand in the message by their length only.
#[divan::bench]
fn encode_fetch_response(bencher: Bencher<'_, '_>) {
    let response = fetched();
    bencher.bench(|| answer(ApiKey::Fetch, FETCH, black_box(&response)));
}

/// With the making of the message.
#[divan::bench]
fn make_and_encode_fetch_response(bencher: Bencher<'_, '_>) {
    bencher.bench(|| answer(ApiKey::Fetch, FETCH, &black_box(fetched())));
}
