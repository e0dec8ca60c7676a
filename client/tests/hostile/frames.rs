//! Streams that are none of answers.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Error, ErrorKind, Properties};

use crate::server::{after_versions, request, server};

/// What a listing of topics ends with, after so many milliseconds at most.
pub(crate) fn listing(address: SocketAddr, timeout_ms: &str) -> Error {
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
