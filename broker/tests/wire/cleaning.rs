//! Retention and compaction by the settings of topics.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::set::Batches;

use crate::groups;
use crate::harness::{Client, PATIENCE, T, TestBroker, now_ms};

fn keyed(key: &[u8], value: &[u8], timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let (key, value) = (Some(key), Some(value));
    builder.append(&NewRecord { timestamp, key, value, ..Default::default() }).unwrap();
    builder.build().unwrap()
}

/// Keys and values, as a consumer reads them from `offset` to the end.
fn read_all(client: &mut Client, topic: &str, mut offset: i64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let fetched = client.fetch(topic, offset);
        let before = offset;
        for batch in Batches::new(&fetched.records) {
            let batch = batch.unwrap();
            for record in batch.records().unwrap() {
                let record = record.unwrap();
                if record.offset >= offset {
                    all.push((record.key.unwrap().to_vec(), record.value.unwrap().to_vec()));
                }
            }
            offset = batch.header().last_offset() + 1;
        }
        if offset == before {
            assert_eq!(offset, fetched.high_watermark);
            return all;
        }
    }
}

/// Asks until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn a_compacted_topic_keeps_the_last_of_each_key() {
    let mut broker = TestBroker::with(&["log.cleaner.backoff.ms=10"]);
    let mut client = broker.client();
    client.create_topic(
        "t",
        1,
        &[
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("internal.segment.bytes", "1000"),
        ],
    );
    for n in 0..100_u8 {
        client.append("t", &keyed(&[n % 5], &[n], T));
    }
    until(|| read_all(&mut client, "t", 0).len() < 25);
    broker.restart();
    let mut client = broker.client();
    let all = read_all(&mut client, "t", 0);
    let last: std::collections::BTreeMap<_, _> = all.into_iter().collect();
    let expected = (95..100).map(|n| (vec![n % 5], vec![n])).collect();
    assert_eq!(last, expected);
    // A stop may have come between the cleaning and its entry here, which is then made by the next.
    let checkpoint = broker.dir().join("cleaner-offset-checkpoint");
    until(|| checkpoint.metadata().is_ok_and(|meta| meta.len() > 4));
}

#[test]
fn records_that_are_too_old_go() {
    let broker =
        TestBroker::with(&["log.retention.check.interval.ms=10", "log.initial.task.delay.ms=0"]);
    let mut client = broker.client();
    client.create_topic("t", 1, &[("retention.ms", "3600000")]);
    for n in 0..3 {
        client.append("t", &keyed(b"k", &[n], T));
    }
    until(|| client.fetch("t", 3).log_start_offset == 3);
    client.append("t", &keyed(b"k", b"young", now_ms()));
    client.append("t", &keyed(b"k", b"old", T));
    // Segments go whole: the old record is in one with a young one.
    until(|| client.fetch("t", 3).high_watermark == 5);
    assert_eq!(read_all(&mut client, "t", 3).len(), 2);
}

#[test]
fn committed_offsets_outlive_the_compaction_of_their_topic() {
    let mut broker = TestBroker::with(&[
        "offsets.topic.num.partitions=1",
        "offsets.topic.segment.bytes=1048576",
        "log.cleaner.min.cleanable.ratio=0.01",
        "log.cleaner.backoff.ms=10",
    ]);
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    // The topic is made for the first who asks.
    until(|| groups::find(&mut client, "g0").0 == ErrorCode::NONE);
    let names = ["g0", "g1", "g2"];
    let metadata = "m".repeat(4000);
    for n in 0..120 {
        for group in names {
            let committed = groups::commit_with(&mut client, (group, "", -1), n, &metadata);
            assert_eq!(committed, ErrorCode::NONE);
        }
    }
    let checkpoint = broker.dir().join("cleaner-offset-checkpoint");
    until(|| std::fs::metadata(&checkpoint).is_ok_and(|meta| meta.len() > 4));
    broker.restart();
    let mut client = broker.client();
    // Groups are there when the topic was read.
    until(|| groups::commit_with(&mut client, ("g3", "", -1), 1, "") == ErrorCode::NONE);
    for group in names {
        let expected = vec![("t".to_owned(), 0, 119, metadata.clone())];
        assert_eq!(groups::committed(&mut client, group), expected);
    }
}
