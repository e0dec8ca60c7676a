//! Servers that are no brokers: whatever they send, a call ends with an error, in time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Error, ErrorKind, Properties};
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker};
use ottla_protocol::wire::{Message, Reader, Writer};

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
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut frame).ok()?;
    let header = RequestHeader::read(&mut Reader::new(&frame)).unwrap();
    Some((header.api_key, header.api_version, header.correlation_id))
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
