//! Deleting topics: while they are written, and what becomes of their files.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;

use crate::harness::{Client, PATIENCE, TestBroker, batch};

/// The directories in `dir` of partitions of a topic, deleted or not.
fn directories(dir: &Path, topic: &str) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.starts_with(&format!("{topic}-"))).collect()
}

/// As in Kafka the delay is that of the broker, whatever the topic says for its segments.
#[test]
fn files_stay_for_the_delay_and_are_then_removed() {
    for (delay, is_over) in [("log.segment.delete.delay.ms=100", true), ("num.io.threads=2", false)]
    {
        let broker = TestBroker::with(&[delay]);
        let mut client = broker.client();
        client.create_topic("t", 2, &[("file.delete.delay.ms", "1")]);
        client.append("t", &batch(&[b"v"]));
        client.delete_topic("t");
        let begun = Instant::now();
        while is_over && !directories(&broker.dir(), "t").is_empty() {
            assert!(begun.elapsed() < PATIENCE, "the files are removed");
            std::thread::sleep(Duration::from_millis(20));
        }
        let left = directories(&broker.dir(), "t");
        assert!(left.iter().all(|name| name.ends_with("-delete")), "{left:?}");
        assert_eq!(left.len(), if is_over { 0 } else { 2 }, "a minute is not over");
        let id = client.create_topic("t", 1, &[]);
        assert!(directories(&broker.dir(), "t").contains(&"t-0".to_owned()));
        assert_eq!(client.append("t", &batch(&[b"v"])), 0, "{id}: the new one begins anew");
    }
}

#[test]
fn a_topic_is_deleted_while_it_is_written() {
    let broker = TestBroker::start();
    let stop = AtomicBool::new(false);
    let codes = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = broker.client();
                    let mut codes = vec![];
                    while !stop.load(Ordering::Relaxed) {
                        codes.push(client.produce("t", &batch(&[b"v", b"w"])).code);
                    }
                    codes
                })
            })
            .collect();
        let mut client = broker.client();
        for _ in 0..10 {
            let id = client.create_topic("t", 1, &[]);
            written(&mut client);
            client.delete_topic("t");
            assert_eq!(client.fetch("t", 0).code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{id}");
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let allowed = [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION];
    assert!(codes.iter().all(|code| allowed.contains(code)), "{codes:?}");
    assert!(allowed.iter().all(|code| codes.contains(code)));
    let left = directories(&broker.dir(), "t");
    assert!(left.iter().all(|name| name.ends_with("-delete")), "{left:?}");
}

/// Waits until the topic has a record.
fn written(client: &mut Client) {
    let begun = Instant::now();
    while client.fetch("t", 0).high_watermark == 0 {
        assert!(begun.elapsed() < PATIENCE, "somebody writes");
    }
}
