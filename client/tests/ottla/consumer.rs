//! Records read from a broker in the same process.

use std::time::{Duration, Instant};

use ottla_client::{
    Consumer, ErrorKind, Header, NewTopic, OffsetAndMetadata, Producer, ProducerRecord,
    TopicPartition,
};

use crate::site::Site;

const LONG: Duration = Duration::from_secs(30);

fn consumer(site: &Site, settings: &[(&str, &str)]) -> Consumer {
    let mut properties = site.properties().with("auto.offset.reset", "earliest");
    settings.iter().for_each(|(name, value)| properties.set(name, value));
    Consumer::new(&properties).unwrap()
}

fn producer(site: &Site, settings: &[(&str, &str)]) -> Producer {
    let mut properties = site.properties();
    settings.iter().for_each(|(name, value)| properties.set(name, value));
    Producer::new(&properties).unwrap()
}

fn topic(site: &Site, name: &str, partitions: i32) {
    site.admin().create_topics(&[NewTopic::new(name).partitions(partitions)]).unwrap();
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// Sends values of these numbers, and waits until they are there.
fn send(producer: &Producer, topic: &str, partition: i32, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let value = format!("{number:08}");
        let record = ProducerRecord::new(topic, value.as_bytes()).partition(partition);
        drop(producer.send(&record).unwrap());
    }
    producer.flush();
}

/// The numbers that come next, as many as these.
fn numbers(consumer: &Consumer, count: usize) -> Vec<usize> {
    let until = Instant::now() + LONG;
    let mut all = Vec::new();
    while all.len() < count {
        assert!(Instant::now() < until, "{} of {count}", all.len());
        for record in &consumer.poll(Duration::from_secs(1)).unwrap() {
            let value = std::str::from_utf8(record.value().unwrap()).unwrap();
            all.push(value.parse().unwrap());
        }
    }
    all
}

#[test]
fn records_are_read_as_they_were_sent_by_every_codec() {
    let site = Site::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let name = format!("of-{codec}");
        topic(&site, &name, 1);
        let producer = producer(&site, &[("compression.type", codec)]);
        let headers = [
            Header { key: b"a", value: Some(b"1") },
            Header { key: b"a", value: None },
            Header { key: b"", value: Some(b"") },
        ];
        let sent = [
            ProducerRecord::new(&name, b"one").key(b"k").timestamp(1_000),
            ProducerRecord { topic: &name, timestamp: Some(2_000), ..Default::default() },
            ProducerRecord::new(&name, b"").key(b"").timestamp(3_000).headers(&headers),
        ];
        for record in &sent {
            drop(producer.send(record).unwrap());
        }
        producer.flush();
        let consumer = consumer(&site, &[]);
        consumer.assign(&[partition(&name, 0)]).unwrap();
        let records = consumer.poll(LONG).unwrap();
        assert_eq!(records.len(), 3, "{codec}");
        for (offset, (read, sent)) in (0..).zip(records.iter().zip(&sent)) {
            assert_eq!((read.topic(), read.partition(), read.offset()), (&*name, 0, offset));
            assert_eq!((read.key(), read.value()), (sent.key, sent.value));
            assert_eq!(Some(read.timestamp()), sent.timestamp);
            assert!(read.headers().eq(sent.headers.iter().copied()));
            assert_eq!(read.leader_epoch(), Some(0));
        }
        assert_eq!(consumer.position(&partition(&name, 0)).unwrap(), 3);
        assert_eq!(consumer.current_lag(&partition(&name, 0)), Some(0));
        // What is kept needs neither the others nor the consumer.
        let kept: Vec<_> = records.into_iter().skip(2).collect();
        drop(consumer);
        assert_eq!(kept[0].get().headers().len(), 3);
    }
}

#[test]
fn nothing_is_lost_or_doubled_over_restarts() {
    let mut site = Site::new();
    topic(&site, "t", 1);
    let producer = producer(&site, &[("batch.size", "2000")]);
    let consumer = consumer(&site, &[("fetch.max.wait.ms", "50")]);
    consumer.assign(&[partition("t", 0)]).unwrap();
    let mut read = Vec::new();
    for round in 0..4 {
        let begin = round * 5_000;
        send(&producer, "t", 0, begin..begin + 5_000);
        read.extend(numbers(&consumer, 2_000));
        site.stop();
        std::thread::sleep(Duration::from_millis(50));
        site.start();
    }
    read.extend(numbers(&consumer, 20_000 - read.len()));
    assert!(read.iter().copied().eq(0..20_000));
}

#[test]
fn offsets_are_sought_by_number_by_end_and_by_time() {
    let site = Site::new();
    topic(&site, "t", 2);
    let producer = producer(&site, &[]);
    for number in 0..100 {
        let value = format!("{number:08}");
        let record = ProducerRecord::new("t", value.as_bytes()).partition(0);
        drop(producer.send(&record.timestamp(1_000 + number * 10)).unwrap());
    }
    producer.flush();
    let consumer = consumer(&site, &[("max.poll.records", "7")]);
    let (full, empty) = (partition("t", 0), partition("t", 1));
    let both = [full.clone(), empty.clone()];
    consumer.assign(&both).unwrap();
    assert_eq!(numbers(&consumer, 7), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(consumer.position(&full).unwrap(), 7);
    consumer.seek(&full, 90).unwrap();
    assert_eq!(consumer.position(&full).unwrap(), 90);
    assert_eq!(numbers(&consumer, 10), (90..100).collect::<Vec<_>>());
    consumer.seek_to_beginning(&both[..1]).unwrap();
    assert_eq!(numbers(&consumer, 3)[0], 0);
    consumer.seek_to_end(&[]).unwrap();
    assert_eq!(consumer.position(&full).unwrap(), 100);
    assert!(consumer.poll(Duration::from_millis(50)).unwrap().is_empty());

    assert_eq!(consumer.beginning_offsets(&both).unwrap()[&full], 0);
    let ends = consumer.end_offsets(&both).unwrap();
    assert_eq!((ends[&full], ends[&empty]), (100, 0));
    let times = |time| [(full.clone(), time), (empty.clone(), time)];
    let found = consumer.offsets_for_times(&times(1_501)).unwrap();
    let first = found[&full].unwrap();
    assert_eq!((first.offset, first.timestamp, first.leader_epoch), (51, 1_510, Some(0)));
    assert_eq!(found[&empty], None);
    assert_eq!(consumer.offsets_for_times(&times(2_000)).unwrap()[&full], None);

    for (error, text) in [
        (consumer.seek(&full, -1).unwrap_err(), "t-0: the offset -1 is negative"),
        (
            consumer.seek(&partition("t", 5), 0).unwrap_err(),
            "t-5: the partition is not assigned to this consumer",
        ),
        (consumer.commit_sync().unwrap_err(), "without group.id there are no committed offsets"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_partition_without_an_offset_begins_as_its_settings_say() {
    let site = Site::new();
    topic(&site, "t", 1);
    let producer = producer(&site, &[]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = now.as_millis() as i64;
    for (number, ago_ms) in [(0, 7_200_000), (1, 5_400_000), (2, 1_800_000), (3, 0)] {
        let value = format!("{number:08}");
        let record = ProducerRecord::new("t", value.as_bytes()).timestamp(now - ago_ms);
        drop(producer.send(&record).unwrap());
    }
    producer.flush();
    let at = |reset: &str| {
        let consumer = consumer(&site, &[("auto.offset.reset", reset)]);
        consumer.assign(&[partition("t", 0)]).unwrap();
        consumer.position(&partition("t", 0))
    };
    assert_eq!(at("earliest").unwrap(), 0);
    assert_eq!(at("latest").unwrap(), 4);
    assert_eq!(at("by_duration:PT1H").unwrap(), 2);
    assert_eq!(at("by_duration:P1D").unwrap(), 0);
    let error = at("none").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoOffset);
    let text = "t-0: there is no committed offset, and auto.offset.reset is none";
    assert_eq!(error.to_string(), text);
    // One that is not there is as good as none.
    let consumer = consumer(&site, &[("auto.offset.reset", "none")]);
    consumer.assign(&[partition("t", 0)]).unwrap();
    assert_eq!(consumer.poll(LONG).unwrap_err().kind(), ErrorKind::NoOffset);
    consumer.seek(&partition("t", 0), 1_000).unwrap();
    let error = consumer.poll(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoOffset, "{error}");
    assert!(error.to_string().contains("offset 1000 is not in the log"), "{error}");
    // It is told again as long as it is so.
    assert!(consumer.poll(Duration::from_millis(10)).is_err());
    consumer.seek(&partition("t", 0), 3).unwrap();
    assert_eq!(numbers(&consumer, 1), [3]);
}

#[test]
fn a_group_goes_on_where_it_has_committed() {
    let site = Site::new();
    topic(&site, "t", 1);
    send(&producer(&site, &[]), "t", 0, 0..100);
    let of = partition("t", 0);
    let consumer_of = |group: &str, auto: &str| {
        let settings =
            [("group.id", group), ("enable.auto.commit", auto), ("max.poll.records", "10")];
        let consumer = consumer(&site, &settings);
        consumer.assign(std::slice::from_ref(&of)).unwrap();
        consumer
    };
    let first = consumer_of("g", "false");
    assert_eq!(first.committed(std::slice::from_ref(&of)).unwrap()[&of], None);
    assert_eq!(numbers(&first, 10)[9], 9);
    first.commit_sync().unwrap();
    let committed = first.committed(std::slice::from_ref(&of)).unwrap().remove(&of).unwrap();
    let committed = committed.unwrap();
    assert_eq!((committed.offset, committed.leader_epoch), (10, Some(0)));
    assert_eq!(numbers(&first, 10)[9], 19);
    first.commit_async().unwrap().wait().unwrap();
    // What is not committed is read again.
    assert_eq!(numbers(&first, 10)[9], 29);
    drop(first);
    let second = consumer_of("g", "true");
    assert_eq!(numbers(&second, 10)[0], 20);
    // What polls have returned is committed at the end.
    drop(second);
    let third = consumer_of("g", "false");
    assert_eq!(third.position(&of).unwrap(), 30);
    let note = OffsetAndMetadata { offset: 77, metadata: "a note".to_owned(), leader_epoch: None };
    third.commit_sync_offsets(&[(of.clone(), note.clone())]).unwrap();
    assert_eq!(third.committed(std::slice::from_ref(&of)).unwrap()[&of], Some(note));
    let wrong = third.commit_sync_offsets(&[(of.clone(), (-1).into())]).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Usage);
    let large = OffsetAndMetadata { metadata: "x".repeat(5_000), ..1.into() };
    let error = third.commit_sync_offsets(&[(of.clone(), large)]).unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("OFFSET_METADATA_TOO_LARGE"));
    assert_eq!(error.partition(), Some(0));
    third.close(LONG).unwrap();
}

#[test]
fn positions_are_committed_by_themselves_as_time_passes() {
    let site = Site::new();
    topic(&site, "t", 1);
    send(&producer(&site, &[]), "t", 0, 0..10);
    let of = partition("t", 0);
    let settings = [("group.id", "g"), ("auto.commit.interval.ms", "20")];
    let consumer = consumer(&site, &settings);
    consumer.assign(std::slice::from_ref(&of)).unwrap();
    assert_eq!(numbers(&consumer, 10).len(), 10);
    let until = Instant::now() + LONG;
    loop {
        consumer.poll(Duration::from_millis(10)).unwrap();
        let committed = consumer.committed(std::slice::from_ref(&of)).unwrap().remove(&of).unwrap();
        if committed.is_some_and(|committed| committed.offset == 10) {
            break;
        }
        assert!(Instant::now() < until);
    }
}

#[test]
fn storms_of_pauses_and_seeks_lose_nothing() {
    let site = Site::new();
    topic(&site, "t", 3);
    let producer = producer(&site, &[("batch.size", "500"), ("compression.type", "lz4")]);
    for number in 0..3 {
        send(&producer, "t", number, 0..3_000);
    }
    let settings = [
        ("max.partition.fetch.bytes", "3000"),
        ("max.poll.records", "50"),
        ("fetch.max.wait.ms", "20"),
    ];
    let consumer = consumer(&site, &settings);
    let all: Vec<_> = (0..3).map(|number| partition("t", number)).collect();
    consumer.assign(&all).unwrap();
    let (mut next, mut step) = ([0usize; 3], 0);
    let until = Instant::now() + LONG;
    while next != [3_000; 3] {
        assert!(Instant::now() < until, "{next:?}");
        step += 1;
        let one = &all[step % 3];
        match step % 7 {
            1 => consumer.pause(&all[step % 2..=step % 2]).unwrap(),
            3 => consumer.resume(&all).unwrap(),
            5 => {
                let place = &mut next[step % 3];
                *place = (*place).saturating_sub(step % 40);
                consumer.seek(one, *place as i64).unwrap();
            }
            _ => {}
        }
        let paused = consumer.paused();
        for record in &consumer.poll(Duration::from_millis(5)).unwrap() {
            assert!(!paused.contains(record.topic_partition()));
            let place = &mut next[record.partition() as usize];
            assert_eq!(record.offset(), *place as i64, "{record:?}");
            assert_eq!(record.value().unwrap(), format!("{place:08}").as_bytes());
            *place += 1;
        }
    }
}

#[test]
fn who_takes_nothing_holds_little() {
    let site = Site::new();
    topic(&site, "t", 2);
    let producer = producer(&site, &[]);
    let value = vec![b'x'; 1_000];
    for number in 0..20_000 {
        drop(producer.send(&ProducerRecord::new("t", &value).partition(number % 2)).unwrap());
    }
    producer.flush();
    let settings = [("max.partition.fetch.bytes", "100000"), ("fetch.max.bytes", "1000000")];
    let consumer = consumer(&site, &settings);
    consumer.assign(&[partition("t", 0), partition("t", 1)]).unwrap();
    let mut read = consumer.poll(LONG).unwrap().len();
    assert!(read > 0);
    std::thread::sleep(Duration::from_millis(300));
    // An answer, half of another one, what is being read; and buffers that are not filled.
    let most = consumer.buffered_bytes();
    assert!(100_000 < most && most < 1_000_000, "{most}");
    while read < 20_000 {
        read += consumer.poll(LONG).unwrap().len();
        assert!(consumer.buffered_bytes() < 1_000_000);
    }
    assert_eq!(read, 20_000);
    drop(consumer.poll(Duration::ZERO));
    assert_eq!(consumer.buffered_bytes(), 0);
}

#[test]
fn a_poll_is_woken_and_one_thread_polls() {
    let site = Site::new();
    topic(&site, "t", 1);
    let consumer = consumer(&site, &[]);
    consumer.assign(&[partition("t", 0)]).unwrap();
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| consumer.poll(LONG));
        let is_refused =
            || consumer.poll(Duration::ZERO).is_err_and(|error| error.kind() == ErrorKind::Usage);
        while !is_refused() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        consumer.wakeup();
        assert_eq!(polling.join().unwrap().unwrap_err().kind(), ErrorKind::Wakeup);
        assert!(begun.elapsed() < LONG / 2);
    });
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
}

#[test]
fn a_seek_makes_good_what_was_wrong_before_it() {
    let site = Site::new();
    topic(&site, "t", 2);
    send(&producer(&site, &[]), "t", 0, 0..3);
    let consumer = consumer(&site, &[("auto.offset.reset", "none")]);
    let (first, other) = (partition("t", 0), partition("t", 1));
    consumer.assign(&[first.clone(), other.clone()]).unwrap();
    // Both are told to have no place to begin, without a poll that could tell it.
    let until = Instant::now() + LONG;
    while consumer.position(&first).is_ok() || consumer.position(&other).is_ok() {
        assert!(Instant::now() < until);
    }
    consumer.seek(&first, 0).unwrap();
    let error = consumer.poll(LONG).unwrap_err();
    assert_eq!((error.topic(), error.partition()), (Some("t"), Some(1)), "{error}");
    assert_eq!(numbers(&consumer, 3), [0, 1, 2]);
}

#[test]
fn topics_and_partitions_are_listed() {
    let site = Site::new();
    topic(&site, "t", 3);
    let consumer = consumer(&site, &[]);
    let partitions = consumer.partitions_for("t").unwrap();
    let told: Vec<_> = partitions.iter().map(|of| (of.index, of.leader)).collect();
    assert_eq!(told, [(0, Some(1)), (1, Some(1)), (2, Some(1))]);
    let error = consumer.partitions_for("nothing").unwrap_err();
    assert_eq!(error.to_string(), "nothing: UNKNOWN_TOPIC_OR_PARTITION (3)");
    let listed = consumer.list_topics().unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["t"]);
    assert_eq!(listed["t"], partitions);
}

#[test]
fn what_was_read_is_committed_before_other_partitions_are_taken() {
    let site = Site::new();
    topic(&site, "t", 2);
    send(&producer(&site, &[]), "t", 0, 0..10);
    let first = partition("t", 0);
    let consumer = consumer(&site, &[("group.id", "g")]);
    consumer.assign(std::slice::from_ref(&first)).unwrap();
    assert_eq!(numbers(&consumer, 10).len(), 10);
    consumer.assign(&[partition("t", 1)]).unwrap();
    let committed = consumer.committed(std::slice::from_ref(&first)).unwrap();
    assert_eq!(committed[&first].as_ref().unwrap().offset, 10);
}

#[test]
fn a_consumer_can_be_shared_and_its_records_sent() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Consumer>();
    is_shared::<ottla_client::Records>();
    is_shared::<ottla_client::OwnedRecord>();
}

#[test]
fn who_polls_has_subscribed_or_has_partitions() {
    let site = Site::new();
    topic(&site, "t", 1);
    let consumer = consumer(&site, &[("group.id", "g")]);
    let refused = |consumer: &Consumer| {
        let error = consumer.poll(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        let text = "there is nothing to poll: subscribe() to topics or assign() partitions first";
        assert_eq!(error.to_string(), text);
    };
    refused(&consumer);
    consumer.assign(&[partition("t", 0)]).unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    let error = consumer.subscribe(&["t"]).unwrap_err();
    assert!(error.to_string().contains("unsubscribe() before subscribe()"), "{error}");
    consumer.assign(&[]).unwrap();
    refused(&consumer);
    consumer.subscribe(&["t"]).unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    let error = consumer.assign(&[partition("t", 0)]).unwrap_err();
    assert!(error.to_string().contains("unsubscribe() before assign()"), "{error}");
    let error = consumer.subscribe_pattern("t.*").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(error.to_string().contains("unsubscribe() first"), "{error}");
    // As in Java: no partitions are no subscription.
    consumer.assign(&[]).unwrap();
    assert!(consumer.subscription().is_empty());
    refused(&consumer);
    consumer.subscribe_pattern("t.*").unwrap();
    assert!(consumer.subscribe(&["t"]).is_err());
    consumer.unsubscribe().unwrap();
    refused(&consumer);
}

#[test]
fn records_are_given_one_by_one_and_positions_are_not_ahead_of_them() {
    let site = Site::new();
    topic(&site, "t", 1);
    let producer = producer(&site, &[]);
    send(&producer, "t", 0, 0..5);
    let first = partition("t", 0);
    let consumer = consumer(&site, &[("group.id", "g"), ("enable.auto.commit", "false")]);
    consumer.assign(std::slice::from_ref(&first)).unwrap();
    for (offset, record) in consumer.iter().take(3).enumerate() {
        let record = record.unwrap();
        assert_eq!(record.get().offset(), offset as i64);
        assert_eq!(consumer.position(&first).unwrap(), offset as i64 + 1);
    }
    consumer.commit_sync().unwrap();
    let committed = consumer.committed(std::slice::from_ref(&first)).unwrap();
    assert_eq!(committed[&first].as_ref().unwrap().offset, 3);
    // What another iterator, or a poll, has not given comes next; it waits for what is to come.
    let mut records = (&consumer).into_iter();
    assert_eq!(records.next().unwrap().unwrap().get().offset(), 3);
    assert_eq!(consumer.poll(LONG).unwrap().iter().next().unwrap().offset(), 4);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            send(&producer, "t", 0, 5..6);
        });
        assert_eq!(records.next().unwrap().unwrap().get().offset(), 5);
    });
    consumer.wakeup();
    assert_eq!(records.next().unwrap().unwrap_err().kind(), ErrorKind::Wakeup);
    consumer.unsubscribe().unwrap();
    assert_eq!(records.next().unwrap().unwrap_err().kind(), ErrorKind::Usage);
}
