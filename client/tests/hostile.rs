//! Servers that are no brokers: whatever they send, a call ends with an error, in time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Consumer, Error, ErrorKind, Properties, TopicPartition};
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::messages::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Reader, Records, Writer};

/// Serves every connection by `serve`, until the test's process ends.
fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}

/// Reads a request: its kind, version and correlation id. `None` at the connection's end.
fn request(stream: &mut TcpStream) -> Option<(i16, i16, i32)> {
    whole_request(stream).map(|(asked, _)| asked)
}

/// Reads a request, and its body.
fn whole_request(stream: &mut TcpStream) -> Option<((i16, i16, i32), Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut frame).ok()?;
    let mut reader = Reader::new(&frame);
    let header = RequestHeader::read(&mut reader).unwrap();
    let asked = (header.api_key, header.api_version, header.correlation_id);
    Some((asked, reader.remaining().to_vec()))
}

fn answer<'a>(
    stream: &mut TcpStream,
    (key, version, correlation_id): (i16, i16, i32),
    body: &impl Message<'a>,
) {
    let mut writer = Writer::on(vec![0; 4]);
    let api = ApiKey::from_i16(key).unwrap();
    ResponseHeader { correlation_id }.write(&mut writer, api, version);
    body.encode(&mut writer, version).unwrap();
    let mut frame = writer.finish().bytes;
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    _ = stream.write_all(&frame);
}

fn versions() -> ApiVersionsResponse<'static> {
    let of = |api: &ApiKey| ApiVersion {
        api_key: api.as_i16(),
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    ApiVersionsResponse { api_keys: ApiKey::ALL.iter().map(of).collect(), ..Default::default() }
}

/// Answers ApiVersions as a broker does, and everything else by `rest`.
fn after_versions(
    rest: impl Fn(&mut TcpStream, (i16, i16, i32)) + Send + Sync + Clone + 'static,
) -> SocketAddr {
    server(move |mut stream| {
        while let Some(asked) = request(&mut stream) {
            if asked.0 == 18 {
                answer(&mut stream, asked, &versions());
            } else {
                rest(&mut stream, asked);
            }
        }
    })
}

/// What a listing of topics ends with, after so many milliseconds at most.
fn listing(address: SocketAddr, timeout_ms: &str) -> Error {
    let properties = Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("default.api.timeout.ms", timeout_ms)
        .with("request.timeout.ms", "300")
        .with("receive.message.max.bytes", "50000000");
    let begun = Instant::now();
    let error = Admin::new(&properties).unwrap().list_topics(false).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}: {error}", begun.elapsed());
    error
}

#[test]
fn what_is_no_broker_is_told() {
    for (bytes, told) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "an answer of 1213486160 bytes"),
        (b"\xff\xff\xff\xff", "an answer of -1 bytes"),
        (b"\0\0\0\x02ab", "an answer of 2 bytes"),
        (b"\0\0\0\x06\0\0\0\x09ab", "correlation id is 9, expected 0"),
        (b"\0\0\0\x06\0\0\0\0ab", "malformed answer"),
        (b"", "closed the connection"),
    ] {
        let address = server(move |mut stream| {
            request(&mut stream);
            _ = stream.write_all(bytes);
            if !bytes.is_empty() {
                // Whoever is still there waits for more.
                _ = stream.read(&mut [0; 100]);
            }
        });
        let error = listing(address, "1000");
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    }
}

#[test]
fn silence_is_no_answer() {
    let address = server(|mut stream| while request(&mut stream).is_some() {});
    let error = listing(address, "1000");
    assert!(error.to_string().contains("no answer"), "{error}");
    let error = listing(after_versions(|_, _| {}), "1000");
    assert!(error.to_string().contains("Metadata"), "{error}");
}

#[test]
fn an_answer_that_is_announced_and_never_comes_is_none() {
    let address = after_versions(|stream, _| {
        _ = stream.write_all(&40_000_000u32.to_be_bytes());
        _ = stream.write_all(&[0; 1000]);
    });
    let error = listing(address, "1000");
    assert!(error.to_string().contains("no answer to Metadata"), "{error}");
}

#[test]
fn bodies_of_chance_are_no_answers() {
    let address = after_versions(|stream, (_, _, correlation_id)| {
        let mut state = correlation_id.cast_unsigned() | 1;
        let mut body = vec![0; 5000];
        for byte in &mut body {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        _ = stream.write_all(&(body.len() as u32 + 4).to_be_bytes());
        _ = stream.write_all(&correlation_id.to_be_bytes());
        _ = stream.write_all(&body);
    });
    let error = listing(address, "1000");
    assert!(error.to_string().contains("malformed answer: Metadata"), "{error}");
}

#[test]
fn a_million_brokers_are_only_names() {
    let address = after_versions(|stream, asked| {
        let broker = |node_id| MetadataResponseBroker { node_id, host: "h", port: 9, rack: None };
        let brokers: Vec<_> = (0..1_000_000).map(broker).collect();
        answer(stream, asked, &MetadataResponse { brokers, ..Default::default() });
    });
    let properties = Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("default.api.timeout.ms", "20000");
    // It names no topics, which is an answer.
    assert!(Admin::new(&properties).unwrap().list_topics(false).unwrap().is_empty());
}

/// A broker of topic `t` with one partition, whose answers to Fetch have these records.
fn with_records(
    records: impl Fn(i64) -> Vec<u8> + Send + Sync + Clone + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let port = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&port);
    let address = server(move |mut stream| {
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
                    let port = told.load(Ordering::SeqCst) as i32;
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
    port.store(address.port().into(), Ordering::SeqCst);
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
