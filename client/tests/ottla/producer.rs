//! Records sent to a broker in the same process, and looked for in its files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ottla_client::{
    ErrorKind, Header, NewTopic, Partitioner, Producer, ProducerRecord, Properties,
    partition_of_key,
};
use ottla_protocol::record::compression::{DecompressLimits, decompress};
use ottla_protocol::record::set::Batches;

use crate::site::Site;

/// A record as a log has it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// All records of a log, in their order.
fn records(log: &[u8]) -> Vec<Read> {
    let mut read = Vec::new();
    for batch in Batches::new(log) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        let limits = DecompressLimits::of_bytes(1 << 30);
        let payload = decompress(batch.codec().unwrap(), batch.payload(), limits).unwrap();
        for record in batch.records_in(&payload).unwrap() {
            let record = record.unwrap();
            let headers = record
                .headers
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
            read.push(Read {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect(),
            });
        }
    }
    read
}

fn values(log: &[u8]) -> Vec<String> {
    let text = |read: Read| String::from_utf8(read.value.unwrap()).unwrap();
    records(log).into_iter().map(text).collect()
}

fn producer(site: &Site, settings: &[(&str, &str)]) -> Producer {
    let mut properties = site.properties();
    settings.iter().for_each(|(name, value)| properties.set(name, value));
    Producer::new(&properties).unwrap()
}

#[test]
fn records_arrive_as_they_were_sent_by_every_codec() {
    let site = Site::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("of-{codec}");
        site.admin().create_topics(&[NewTopic::new(&topic).partitions(1)]).unwrap();
        let producer = producer(&site, &[("compression.type", codec)]);
        let headers = [
            Header { key: b"a", value: Some(b"1") },
            Header { key: b"a", value: None },
            Header { key: b"", value: Some(b"") },
        ];
        let records = [
            ProducerRecord::new(&topic, b"one").key(b"k").timestamp(1_000),
            ProducerRecord { topic: &topic, timestamp: Some(2_000), ..Default::default() },
            ProducerRecord::new(&topic, b"").key(b"").timestamp(3_000).headers(&headers),
        ];
        let sent = records.map(|record| producer.send(&record).unwrap());
        for (offset, delivery) in (0..).zip(sent) {
            let metadata = delivery.wait().unwrap();
            assert_eq!((metadata.offset, metadata.partition), (Some(offset), 0));
            assert_eq!(metadata.timestamp, (offset + 1) * 1_000);
        }
        let read = self::records(&site.log(&topic, 0));
        assert_eq!(read.len(), 3, "{codec}");
        for (read, sent) in read.iter().zip(&records) {
            assert_eq!(read.key.as_deref(), sent.key);
            assert_eq!(read.value.as_deref(), sent.value);
            assert_eq!(Some(read.timestamp), sent.timestamp);
            let headers: Vec<_> =
                read.headers.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
            let expected: Vec<_> = sent.headers.iter().map(|of| (of.key, of.value)).collect();
            assert_eq!(headers, expected);
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_or_out_of_order_over_restarts() {
    let mut site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(1)]).unwrap();
    let producer = producer(&site, &[("linger.ms", "0"), ("batch.size", "200")]);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let count = 20_000;
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for number in 0..count {
                let value = format!("{number:08}");
                let acknowledged = Arc::clone(&acknowledged);
                let record = ProducerRecord::new("t", value.as_bytes());
                producer
                    .send_then(&record, move |result| {
                        result.unwrap();
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                    })
                    .unwrap();
            }
        });
        for _ in 0..3 {
            let before = acknowledged.load(Ordering::SeqCst);
            while acknowledged.load(Ordering::SeqCst) < before + 2_000 {
                thread::sleep(Duration::from_millis(1));
            }
            site.stop();
            thread::sleep(Duration::from_millis(50));
            site.start();
        }
        sending.join().unwrap();
    });
    producer.flush();
    assert_eq!(acknowledged.load(Ordering::SeqCst), count);
    let expected: Vec<String> = (0..count).map(|number| format!("{number:08}")).collect();
    assert!(values(&site.log("t", 0)) == expected);
}

#[test]
fn keys_lead_to_partitions_and_those_without_are_spread() {
    let site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(5)]).unwrap();
    let producer = producer(&site, &[("batch.size", "1000")]);
    assert_eq!(producer.partitions("t").unwrap(), 5);
    for number in 0..200 {
        let key = format!("key-{number}");
        let record = ProducerRecord::new("t", b"v").key(key.as_bytes());
        let metadata = producer.send(&record).unwrap();
        if number % 50 == 0 {
            let partition = metadata.wait().unwrap().partition;
            assert_eq!(partition as usize, partition_of_key(key.as_bytes(), 5));
        }
    }
    producer.flush();
    for partition in 0..5 {
        for read in records(&site.log("t", partition)) {
            assert_eq!(partition_of_key(&read.key.unwrap(), 5), partition as usize);
        }
    }
    let value = vec![b'x'; 100];
    let sent: Vec<_> =
        (0..2_000).map(|_| producer.send(&ProducerRecord::new("t", &value)).unwrap()).collect();
    let mut counts = [0; 5];
    for delivery in sent {
        counts[delivery.wait().unwrap().partition as usize] += 1;
    }
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[derive(Debug)]
struct Last;

impl Partitioner for Last {
    fn partition(
        &self,
        _topic: &str,
        key: Option<&[u8]>,
        _value: Option<&[u8]>,
        count: usize,
    ) -> Option<usize> {
        key.map(|key| if key == b"beyond" { count } else { count - 1 })
    }
}

#[test]
fn a_partitioner_of_ones_own_is_asked() {
    let site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(3)]).unwrap();
    let producer = Producer::with_partitioner(&site.properties(), Last).unwrap();
    let sent = producer.send(&ProducerRecord::new("t", b"v").key(b"k")).unwrap();
    assert_eq!(sent.wait().unwrap().partition, 2);
    let error = producer.send(&ProducerRecord::new("t", b"v").key(b"beyond")).unwrap_err();
    assert_eq!(error.to_string(), "t: the partitioner chose 3 of 3 partitions");
    let error = producer.send(&ProducerRecord::new("t", b"v").partition(7)).unwrap_err();
    assert_eq!(error.to_string(), "t: there is no partition 7, but 3 of them");
}

#[test]
fn a_batch_that_is_too_large_for_the_broker_is_split() {
    let site = Site::new();
    let topic = NewTopic::new("t").partitions(1).config("max.message.bytes", "2000");
    site.admin().create_topics(&[topic]).unwrap();
    let producer = producer(&site, &[("batch.size", "100000"), ("linger.ms", "50")]);
    let value = vec![b'x'; 300];
    let sent: Vec<_> =
        (0..60).map(|_| producer.send(&ProducerRecord::new("t", &value)).unwrap()).collect();
    for (offset, delivery) in (0..).zip(sent) {
        assert_eq!(delivery.wait().unwrap().offset, Some(offset));
    }
    // One record alone has to fail.
    let large = vec![b'x'; 3_000];
    let error = producer.send(&ProducerRecord::new("t", &large)).unwrap().wait().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("MESSAGE_TOO_LARGE"));
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(0)));
    // And what follows does not.
    let sent = producer.send(&ProducerRecord::new("t", &value)).unwrap();
    assert_eq!(sent.wait().unwrap().offset, Some(60));
}

#[test]
fn acks_are_as_asked_for() {
    let site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(1)]).unwrap();
    for (acks, offset) in [("0", None), ("1", Some(1)), ("-1", Some(2)), ("all", Some(3))] {
        let producer = producer(&site, &[("acks", acks)]);
        let metadata = producer.send(&ProducerRecord::new("t", b"v")).unwrap().wait().unwrap();
        assert_eq!(metadata.offset, offset, "{acks}");
        producer.close(Duration::from_secs(10)).unwrap();
        while records(&site.log("t", 0)).len() < offset.unwrap_or(0) as usize + 1 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn memory_is_bounded_while_nobody_takes_records() {
    let mut site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(1)]).unwrap();
    let settings = [("buffer.memory", "100000"), ("max.block.ms", "100")];
    let producer = producer(&site, &settings);
    producer.partitions("t").unwrap();
    site.stop();
    let value = vec![b'x'; 1_000];
    let mut sent = 0;
    let error = loop {
        match producer.send(&ProducerRecord::new("t", &value)) {
            Ok(_delivery) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!((60..=100).contains(&sent), "{sent}");
    assert_eq!(error.kind(), ErrorKind::Timeout(Duration::from_millis(100)));
    assert!(error.to_string().contains("buffer.memory, 100000 bytes, is full"), "{error}");
    site.start();
    producer.flush();
    assert_eq!(records(&site.log("t", 0)).len(), sent);
}

#[test]
fn what_cannot_be_delivered_fails_in_time() {
    let mut site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(1)]).unwrap();
    let settings = [
        ("delivery.timeout.ms", "1500"),
        ("request.timeout.ms", "500"),
        ("linger.ms", "0"),
        ("reconnect.backoff.max.ms", "100"),
    ];
    let producer = producer(&site, &settings);
    producer.send(&ProducerRecord::new("t", b"first")).unwrap().wait().unwrap();
    site.stop();
    let (told, results) = mpsc::channel();
    producer
        .send_then(&ProducerRecord::new("t", b"lost"), move |result| {
            told.send(result).unwrap();
        })
        .unwrap();
    let error = results.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Duration::from_millis(1500)), "{error}");
    assert_eq!(error.partition(), Some(0));
    site.start();
    // The producer goes on.
    let sent = producer.send(&ProducerRecord::new("t", b"second")).unwrap();
    sent.wait().unwrap();
    assert_eq!(values(&site.log("t", 0)), ["first", "second"]);
}

#[test]
fn a_topic_that_is_not_there_is_made_or_told() {
    let site = Site::new();
    let first = producer(&site, &[]);
    first.send(&ProducerRecord::new("new", b"v")).unwrap().wait().unwrap();
    let error = first.send(&ProducerRecord::new("not valid!", b"v")).unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("INVALID_TOPIC_EXCEPTION"));
    let properties =
        Properties::new().with("bootstrap.servers", "127.0.0.1:1").with("max.block.ms", "100");
    let producer = Producer::new(&properties).unwrap();
    let error = producer.send(&ProducerRecord::new("t", b"v")).unwrap_err();
    assert!(error.to_string().starts_with("t: not done within 100 ms: no metadata"), "{error}");
}

#[test]
fn what_was_sent_before_the_end_is_there_after_it() {
    let site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(3)]).unwrap();
    let producer = producer(&site, &[("linger.ms", "100000")]);
    for number in 0..100 {
        drop(producer.send(&ProducerRecord::new("t", b"v").partition(number % 3)).unwrap());
    }
    drop(producer);
    let count: usize = (0..3).map(|partition| records(&site.log("t", partition)).len()).sum();
    assert_eq!(count, 100);
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    let refused = |settings: &[(&str, &str)]| {
        let mut properties = Properties::new().with("bootstrap.servers", "127.0.0.1:1");
        settings.iter().for_each(|(name, value)| properties.set(name, value));
        Producer::new(&properties).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(refused(&[("acks", "1")]), Ok(()));
    let told = refused(&[("acks", "1"), ("enable.idempotence", "true")]);
    assert_eq!(told, Err("acks=1: enable.idempotence=true needs acks=all".to_owned()));
    let told = refused(&[("linger.m", "1")]);
    assert_eq!(told, Err("linger.m=1: unknown setting; did you mean linger.ms?".to_owned()));
    let told = refused(&[("compression.type", "lzma")]);
    let expected = "compression.type=lzma: not one of none, gzip, snappy, lz4, zstd";
    assert_eq!(told, Err(expected.to_owned()));
    let told = refused(&[("delivery.timeout.ms", "10")]);
    let expected = "delivery.timeout.ms=10: less than linger.ms and request.timeout.ms together";
    assert_eq!(told, Err(expected.to_owned()));
}

#[test]
fn a_flush_ends_while_others_go_on_sending() {
    let site = Site::new();
    site.admin().create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    let settings = [("linger.ms", "100"), ("batch.size", "500"), ("buffer.memory", "10000")];
    let producer = producer(&site, &settings);
    let is_over = AtomicBool::new(false);
    let flushed = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                drop(producer.send(&ProducerRecord::new("t", b"other").partition(1)).unwrap());
            }
        });
        let flush = |_| {
            let own = producer.send(&ProducerRecord::new("t", b"own").partition(0)).ok()?;
            producer.flush();
            own.is_done().then_some(())
        };
        let flushed = (0..20).filter_map(flush).count();
        is_over.store(true, Ordering::SeqCst);
        flushed
    });
    assert_eq!(flushed, 20);
    producer.close(Duration::from_secs(30)).unwrap();
}
