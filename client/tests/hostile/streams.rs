//! Right answers that arrive badly: in pieces, slowly, not whole, with something behind them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_client::{Admin, Properties};
use ottla_protocol::messages::metadata::{MetadataResponse, MetadataResponseTopic};

use crate::frames::listing;
use crate::server::{Asked, framed, request, server, versions};

/// The right answers to ApiVersions and to a listing of topics, which name one.
fn right(asked: Asked) -> Vec<u8> {
    if asked.0 == 18 {
        return framed(asked, &versions());
    }
    let topic = MetadataResponseTopic { name: Some("t"), ..Default::default() };
    framed(asked, &MetadataResponse { topics: vec![topic], ..Default::default() })
}

fn impatient(address: std::net::SocketAddr) -> Admin {
    let properties = Properties::new()
        .with("bootstrap.servers", &address.to_string())
        .with("default.api.timeout.ms", "20000")
        .with("retry.backoff.ms", "1")
        .with("retry.backoff.max.ms", "1")
        .with("reconnect.backoff.ms", "0")
        .with("reconnect.backoff.max.ms", "0");
    Admin::new(&properties).unwrap()
}

#[test]
fn connections_that_end_after_each_byte_are_made_anew() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let address = server(move |mut stream| {
        // One byte more than the connection before.
        let mut left = count.fetch_add(1, Ordering::SeqCst);
        while let Some(asked) = request(&mut stream) {
            let answer = right(asked);
            _ = stream.write_all(&answer[..answer.len().min(left)]);
            if answer.len() > left {
                return;
            }
            left -= answer.len();
        }
    });
    let topics = impatient(address).list_topics(false).unwrap();
    assert_eq!(topics[0].name, "t");
    // The answers, without one byte, with two, and so on.
    let whole = right((18, 3, 0)).len() + right((3, 12, 1)).len();
    assert!(connections.load(Ordering::SeqCst) > whole / 2, "{connections:?} of {whole}");
}

#[test]
fn answers_in_single_bytes_are_answers() {
    let address = server(|mut stream| {
        stream.set_nodelay(true).unwrap();
        while let Some(asked) = request(&mut stream) {
            for byte in right(asked) {
                _ = stream.write_all(&[byte]);
                thread::yield_now();
            }
        }
    });
    assert_eq!(impatient(address).list_topics(false).unwrap()[0].name, "t");
}

#[test]
fn an_answer_that_does_not_get_on_is_not_waited_for() {
    let address = server(|mut stream: TcpStream| {
        while let Some(asked) = request(&mut stream) {
            if asked.0 == 18 {
                _ = stream.write_all(&right(asked));
                continue;
            }
            // Something always comes, and never all of it.
            for byte in right(asked).iter().chain(&[0; 1000]) {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(150));
            }
        }
    });
    let begun = Instant::now();
    let error = listing(address, "1000");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("no answer to Metadata"), "{error}");
}

#[test]
fn what_comes_behind_an_answer_ends_the_connection_and_not_the_client() {
    for behind in [&b"\0\0\0\x08\0\0\0\x01abcd"[..], b"HTTP/1.1 200 OK\r\n\r\n", &[0; 10_000]] {
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        let address = server(move |mut stream| {
            while let Some(asked) = request(&mut stream) {
                let mut bytes = right(asked);
                if asked.0 != 18 {
                    bytes.extend_from_slice(behind);
                    count.fetch_add(1, Ordering::SeqCst);
                }
                _ = stream.write_all(&bytes);
            }
        });
        let admin = impatient(address);
        for _ in 0..20 {
            assert_eq!(admin.list_topics(false).unwrap()[0].name, "t");
        }
        assert!(answered.load(Ordering::SeqCst) >= 20);
    }
}

#[test]
fn an_answer_nobody_asked_for_is_none() {
    let address = server(|mut stream| {
        // Before a word was said.
        _ = stream.write_all(b"\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0");
        while request(&mut stream).is_some() {}
    });
    let error = listing(address, "1000");
    assert!(error.to_string().contains("ApiVersions") || error.to_string().contains("asked for"));
}
