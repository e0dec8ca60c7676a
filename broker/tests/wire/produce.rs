//! Producing: what is kept, what is answered, and what is not.

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::record::batch::{
    Attributes, BATCH_HEADER_BYTES, BatchHeader, HeaderFields, TimestampType,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression, DecompressLimits, decompress};
use ottla_protocol::record::set::Batches;
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::Records;

use crate::harness::{
    Client, Produced, TestBroker, batch, batch_of, compressed, now_ms, produce_request,
};

const VALUES: &[&[u8]] = &[b"first value, first value, first value", b"", b"third"];

/// The values of all records of a set.
fn values(set: &[u8]) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for batch in Batches::new(set) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        let limits = DecompressLimits::of_bytes(1 << 20);
        let payload = decompress(batch.codec().unwrap(), batch.payload(), limits).unwrap();
        for record in batch.records_in(&payload).unwrap() {
            values.push(record.unwrap().value.unwrap().to_vec());
        }
    }
    values
}

/// A batch in snappy's own format, without the framing that Java's library puts around it.
fn raw_snappy(values: &[&[u8]]) -> Vec<u8> {
    let plain = batch(values);
    let header = BatchHeader::new(&plain).unwrap();
    let payload = snap::raw::Encoder::new().compress_vec(&plain[BATCH_HEADER_BYTES..]).unwrap();
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    bytes.extend(payload);
    let fields = HeaderFields {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes(2),
        last_offset_delta: header.last_offset_delta(),
        base_timestamp: header.base_timestamp(),
        max_timestamp: header.max_timestamp(),
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records_count: header.records_count(),
    };
    fields.seal(&mut bytes).unwrap();
    bytes
}

#[test]
fn every_codec_and_both_framings_of_snappy_are_kept_as_they_came() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("kept", 1, &[]);
    client.create_topic("plain", 1, &[("compression.type", "uncompressed")]);
    client.create_topic("zstd", 1, &[("compression.type", "zstd")]);
    let mut batches: Vec<Vec<u8>> =
        Codec::ALL.iter().map(|codec| compressed(*codec, VALUES)).collect();
    batches.push(raw_snappy(VALUES));
    for (n, sent) in batches.iter().enumerate() {
        let offset = 3 * n as i64;
        assert_eq!(client.append("kept", sent), offset);
        let kept = client.fetch("kept", offset).records;
        // The base offset and the leader epoch are the broker's business, all else is as it was.
        assert_eq!(kept[16..], sent[16..], "batch {n}");
        for (topic, codec) in [("plain", 0), ("zstd", 4)] {
            assert_eq!(client.append(topic, sent), offset);
            let changed = client.fetch(topic, offset).records;
            assert_eq!(BatchHeader::new(&changed).unwrap().attributes().codec_id(), codec);
            assert_eq!(values(&changed), VALUES, "{topic}, batch {n}");
        }
    }
}

#[test]
fn max_message_bytes_is_enforced() {
    let broker = TestBroker::with(&["message.max.bytes=2000"]);
    let mut client = broker.client();
    client.create_topic("default", 1, &[]);
    client.create_topic("larger", 1, &[("max.message.bytes", "3000")]);
    client.create_topic("smaller", 1, &[("max.message.bytes", "1000")]);
    for (topic, limit) in [("default", 2000), ("larger", 3000), ("smaller", 1000)] {
        let empty = batch(&[&[0; 500]]).len() - 500;
        let fits = batch(&[&vec![0; limit - empty]]);
        assert_eq!(fits.len(), limit, "sizes are counted with the batch's header");
        client.append(topic, &fits);
        let produced = client.produce(topic, &batch(&[&vec![0; limit - empty + 1]]));
        assert_eq!(produced.code, ErrorCode::MESSAGE_TOO_LARGE, "{topic}");
        assert_eq!((produced.base_offset, produced.log_start_offset), (-1, -1));
        assert_eq!(client.fetch(topic, 0).high_watermark, 1);
    }
}

#[test]
fn null_records_are_answered() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    for version in 3..=12 {
        let answer = client.call(ApiKey::Produce, version, &produce_request("t", None, 1));
        let response: ProduceResponse<'_> = answer.message();
        let told = &response.responses[0].partition_responses[0];
        assert_eq!((told.error_code, told.base_offset), (ErrorCode::INVALID_RECORD, -1));
    }
    assert_eq!(client.produce("t", &[]).code, ErrorCode::INVALID_RECORD, "no batch");
}

#[test]
fn acks_0_is_never_answered() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let records = batch(&[b"v"]);
    for version in 3..=12 {
        client.send(ApiKey::Produce, version, &produce_request("t", Some(&records), 0));
    }
    // The first thing that comes back is the answer to this.
    assert_eq!(client.fetch("t", 0).high_watermark, 10);
    client.send(ApiKey::Produce, 9, &produce_request("unknown", Some(&records), 0));
    client.assert_closed("a failure with acks=0");
    let mut client = broker.client();
    client.send(ApiKey::Produce, 9, &produce_request("t", None, 0));
    client.assert_closed("null records with acks=0");
}

#[test]
fn acks_must_be_known() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let records = batch(&[b"v"]);
    for acks in [-2, 2, i16::MAX, i16::MIN] {
        let answer = client.call(ApiKey::Produce, 9, &produce_request("t", Some(&records), acks));
        let response: ProduceResponse<'_> = answer.message();
        let told = &response.responses[0].partition_responses[0];
        assert_eq!(told.error_code, ErrorCode::INVALID_REQUIRED_ACKS, "{acks}");
    }
    assert_eq!(client.fetch("t", 0).high_watermark, 0);
}

#[test]
fn topics_by_name_and_by_id() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let id = client.create_topic("t", 1, &[]);
    let records = batch(&[b"v"]);
    for (topic_id, expected) in [
        (id, ErrorCode::NONE),
        (Uuid::ONE, ErrorCode::UNKNOWN_TOPIC_ID),
        (Uuid::ZERO, ErrorCode::UNKNOWN_TOPIC_ID),
    ] {
        let mut request = produce_request("", Some(&records), 1);
        request.topic_data[0].topic_id = topic_id;
        let answer = client.call(ApiKey::Produce, 13, &request);
        let response: ProduceResponse<'_> = answer.message();
        assert_eq!(response.responses[0].topic_id, topic_id);
        assert_eq!(response.responses[0].partition_responses[0].error_code, expected);
    }
    for name in ["unknown", "", "in valid", "__cluster_metadata"] {
        let code = client.produce(name, &records).code;
        assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{name}");
    }
    for index in [-1, 1, i32::MAX, i32::MIN] {
        let mut request = produce_request("t", Some(&records), 1);
        request.topic_data[0].partition_data[0].index = index;
        let answer = client.call(ApiKey::Produce, 9, &request);
        let response: ProduceResponse<'_> = answer.message();
        let told = &response.responses[0].partition_responses[0];
        assert_eq!(told.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{index}");
    }
}

#[test]
fn what_is_listed_twice_is_one_append() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 2, &[]);
    let records = batch(&[b"v"]);
    let data = |index| PartitionProduceData { index, records: Some(Records::Bytes(&records)) };
    let topic = |indexes: &[i32]| TopicProduceData {
        name: "t",
        partition_data: indexes.iter().map(|index| data(*index)).collect(),
        ..Default::default()
    };
    let topic_data = vec![topic(&[0, 0]), topic(&[]), topic(&[1]), topic(&[0])];
    let request = ProduceRequest { acks: 1, topic_data, ..Default::default() };
    let answer = client.call(ApiKey::Produce, 9, &request);
    let response: ProduceResponse<'_> = answer.message();
    let mut told: Vec<(i32, ErrorCode, i64)> = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|told| (told.index, told.error_code, told.base_offset))
        .collect();
    told.sort_unstable_by_key(|(index, ..)| *index);
    assert_eq!(told, [(0, ErrorCode::NONE, 0), (1, ErrorCode::NONE, 0)]);
    // Nothing asked for, nothing told.
    let request = ProduceRequest { acks: 1, topic_data: vec![topic(&[])], ..Default::default() };
    let answer = client.call(ApiKey::Produce, 9, &request);
    assert!(answer.message::<ProduceResponse<'_>>().responses.is_empty());
}

#[test]
fn the_bytes_of_an_answer() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let records = batch(&[b"v"]);
    let answer = client.call(ApiKey::Produce, 10, &produce_request("t", Some(&records), 1));
    // No current_leader and no node_endpoints: fields at their defaults are not written.
    let expected = b"\0\0\0\x02\0\x02\x02t\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0";
    assert_eq!(answer.bytes, expected);
}

fn at(timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let value = Some(&b"v"[..]);
    builder.append(&NewRecord { timestamp, value, ..Default::default() }).unwrap();
    builder.build().unwrap()
}

#[test]
fn log_append_time() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    for (codec, offset) in Codec::ALL.iter().zip(0..) {
        let produced = client.produce("t", &compressed(*codec, &[b"v"]));
        assert_eq!((produced.code, produced.base_offset), (ErrorCode::NONE, offset));
        assert!((before..=now_ms()).contains(&produced.log_append_time_ms));
        let set = client.fetch("t", offset).records;
        let header = BatchHeader::new(&set).unwrap();
        assert_eq!(header.attributes().timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(header.max_timestamp(), produced.log_append_time_ms);
        assert_eq!(values(&set), [b"v"], "the checksum is right too");
    }
}

#[test]
fn limits_on_timestamps() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let limit = ("message.timestamp.before.max.ms", "60000");
    client.create_topic("t", 1, &[limit, ("message.timestamp.after.max.ms", "60000")]);
    client.create_topic("free", 1, &[]);
    let now = now_ms();
    for timestamp in [now - 30_000, now, now + 30_000] {
        client.append("t", &at(timestamp));
    }
    for timestamp in [0, now - 120_000, now + 120_000] {
        let produced = client.produce("t", &at(timestamp));
        assert_eq!(produced.code, ErrorCode::INVALID_TIMESTAMP, "{timestamp}");
        assert_eq!((produced.base_offset, produced.log_start_offset), (-1, 0));
        assert_eq!(produced.record_errors, [0]);
        assert!(produced.message.is_some());
    }
    client.append("free", &at(0));
    client.append("free", &at(now + 1_800_000));
    // An hour ahead is Kafka's default limit.
    let produced = client.produce("free", &at(now + 7_200_000));
    assert_eq!(produced.code, ErrorCode::INVALID_TIMESTAMP);
}

#[test]
fn compacted_topics_want_keys() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[("cleanup.policy", "compact")]);
    let produced = client.produce("t", &batch(&[b"a", b"b"]));
    assert_eq!(produced.code, ErrorCode::INVALID_RECORD);
    assert_eq!(produced.record_errors, [0, 1]);
}

#[test]
fn zstd_before_version_7_is_refused() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let records = compressed(Codec::Zstd, VALUES);
    let code =
        |client: &mut Client, version| -> Produced { client.produce_at(version, "t", &records) };
    assert_eq!(code(&mut client, 6).code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    assert_eq!(code(&mut client, 7).code, ErrorCode::NONE);
}

#[test]
fn transactional_batches_need_a_transaction() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    let options = BatchOptions {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        compression: Compression::NONE,
        ..Default::default()
    };
    let records = batch_of(options, &[b"v"]);
    let produced = client.produce("t", &records);
    assert_eq!(produced.code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    let mut request = produce_request("t", Some(&records), 1);
    request.transactional_id = Some("x");
    let answer = client.call(ApiKey::Produce, 9, &request);
    let response: ProduceResponse<'_> = answer.message();
    let told = &response.responses[0].partition_responses[0];
    assert_eq!(told.error_code, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(client.fetch("t", 0).high_watermark, 0);
}
