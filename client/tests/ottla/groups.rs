//! Groups of consumers against a broker in the same process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ottla_client::{
    Consumer, ErrorKind, GroupMember, NewTopic, Producer, ProducerRecord, Properties,
    RebalanceListener, TopicPartition,
};
use ottla_protocol::error_code::ErrorCode;

use crate::site::Site;

const LONG: Duration = Duration::from_secs(40);
const SHORT: Duration = Duration::from_millis(50);

/// The ways to share partitions.
const WAYS: [&[(&str, &str)]; 6] = [
    &[("partition.assignment.strategy", "range")],
    &[("partition.assignment.strategy", "roundrobin")],
    &[("partition.assignment.strategy", "sticky")],
    &[("partition.assignment.strategy", "cooperative-sticky")],
    &[("group.protocol", "consumer")],
    &[("group.protocol", "consumer"), ("group.remote.assignor", "range")],
];

fn site() -> Site {
    Site::with(&[
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "500"),
        ("group.consumer.min.heartbeat.interval.ms", "100"),
        ("group.consumer.heartbeat.interval.ms", "100"),
        ("group.consumer.min.session.timeout.ms", "500"),
        ("group.consumer.session.timeout.ms", "3000"),
        ("group.consumer.assignment.interval.ms", "0"),
        ("group.consumer.min.assignment.interval.ms", "0"),
    ])
}

fn topic(site: &Site, name: &str, partitions: i32) {
    let created = site.admin().create_topics(&[NewTopic::new(name).partitions(partitions)]);
    created.unwrap()[0].1.as_ref().unwrap();
}

fn properties(site: &Site, way: &[(&str, &str)]) -> Properties {
    let mut properties = site
        .properties()
        .with("group.id", "g")
        .with("auto.offset.reset", "earliest")
        .with("metadata.max.age.ms", "500")
        .with("fetch.max.wait.ms", "50");
    if !way.iter().any(|(_, value)| *value == "consumer") {
        properties.set("session.timeout.ms", "3000");
        properties.set("heartbeat.interval.ms", "100");
    }
    way.iter().for_each(|(name, value)| properties.set(name, value));
    properties
}

/// What happened to a consumer's partitions.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn put(&self, what: &str, partitions: &[TopicPartition]) {
        let mut names: Vec<String> = partitions.iter().map(TopicPartition::to_string).collect();
        names.sort();
        self.0.lock().unwrap().push(format!("{what} {}", names.join(" ")).trim().to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl RebalanceListener for Log {
    fn assigned(&mut self, _: &Consumer, partitions: &[TopicPartition]) {
        self.put("assigned", partitions);
    }

    fn revoked(&mut self, _: &Consumer, partitions: &[TopicPartition]) {
        self.put("revoked", partitions);
    }

    fn lost(&mut self, _: &Consumer, partitions: &[TopicPartition]) {
        self.put("lost", partitions);
    }
}

/// A consumer that polls on a thread of its own.
struct Member {
    stop: Arc<AtomicBool>,
    owned: Arc<Mutex<BTreeSet<TopicPartition>>>,
    thread: JoinHandle<()>,
}

/// The records that members have seen, by their values.
type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

impl Member {
    fn start(properties: &Properties, topic: &'static str, seen: &Seen) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let owned = Arc::<Mutex<BTreeSet<TopicPartition>>>::default();
        let consumer = Consumer::new(properties).unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let thread = thread::spawn({
            let (stop, owned, seen) = (Arc::clone(&stop), Arc::clone(&owned), Arc::clone(seen));
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let records = consumer.poll(SHORT).unwrap();
                    for record in &records {
                        let value = std::str::from_utf8(record.value().unwrap()).unwrap();
                        *seen.lock().unwrap().entry(value.to_owned()).or_default() += 1;
                    }
                    *owned.lock().unwrap() = consumer.assignment().into_iter().collect();
                }
                owned.lock().unwrap().clear();
                consumer.close(LONG).unwrap();
            }
        });
        Self { stop, owned, thread }
    }

    fn count(&self) -> usize {
        self.owned.lock().unwrap().len()
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// All partitions are shared out evenly.
fn wait_for_shares(what: &str, members: &[&Member], partitions: usize) {
    wait_for(what, || {
        let all: BTreeSet<_> =
            members.iter().flat_map(|member| member.owned.lock().unwrap().clone()).collect();
        let most = members.iter().map(|member| member.count()).max().unwrap_or(0);
        all.len() == partitions && most == partitions.div_ceil(members.len())
    });
}

/// Sends records and waits until they were seen.
struct Stream {
    producer: Producer,
    sent: u32,
    seen: Seen,
}

impl Stream {
    fn send(&mut self, count: u32) {
        for number in self.sent..self.sent + count {
            let value = format!("{number:06}");
            let record = ProducerRecord::new("t", value.as_bytes()).partition(number as i32 % 6);
            drop(self.producer.send(&record).unwrap());
        }
        self.producer.flush();
        self.sent += count;
    }

    fn wait(&self, what: &str) {
        wait_for(what, || self.seen.lock().unwrap().len() == self.sent as usize);
    }
}

#[test]
fn members_come_and_go_and_nothing_is_lost_or_doubled() {
    for way in WAYS {
        let site = site();
        topic(&site, "t", 6);
        let properties = properties(&site, way);
        let seen = Seen::default();
        let producer = Producer::new(&site.properties()).unwrap();
        let mut stream = Stream { producer, sent: 0, seen: Arc::clone(&seen) };
        let start = || Member::start(&properties, "t", &seen);
        let one = start();
        stream.send(100);
        wait_for_shares("one", &[&one], 6);
        stream.send(100);
        let two = start();
        let three = start();
        stream.send(100);
        wait_for_shares("three", &[&one, &two, &three], 6);
        stream.send(100);
        one.stop();
        stream.send(100);
        wait_for_shares("two", &[&two, &three], 6);
        let four = start();
        stream.send(100);
        two.stop();
        wait_for_shares("two others", &[&three, &four], 6);
        stream.send(100);
        stream.wait("all");
        three.stop();
        four.stop();
        let doubled: Vec<_> = seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|of| of.0.clone())
            .collect();
        assert!(doubled.is_empty(), "{way:?}: {doubled:?}");
        // All was committed.
        let committed = site.admin().committed_offsets("g").unwrap();
        let sum: i64 = committed.iter().map(|of| of.offset).sum();
        assert_eq!(sum, 700, "{way:?}");
    }
}

/// Polls until its partitions are as many.
fn poll_until(consumers: &[&Consumer], counts: &[usize]) {
    wait_for("their shares", || {
        for consumer in consumers {
            drop(consumer.poll(Duration::from_millis(20)).unwrap());
        }
        let owned = consumers.iter().map(|consumer| consumer.assignment().len());
        owned.collect::<Vec<_>>() == counts
    });
}

/// Polls until neither is told anything more.
fn poll_until_quiet(consumers: &[&Consumer], logs: &[&Log]) {
    wait_for("quiet", || {
        let until = Instant::now() + Duration::from_millis(600);
        while Instant::now() < until {
            for consumer in consumers {
                drop(consumer.poll(Duration::from_millis(20)).unwrap());
            }
        }
        logs.iter().map(|log| log.take().len()).sum::<usize>() == 0
    });
}

fn consumer(properties: &Properties, log: &Log) -> Consumer {
    let consumer = Consumer::new(properties).unwrap();
    consumer.subscribe_with(&["t"], log.clone()).unwrap();
    consumer
}

#[test]
fn listeners_are_told_in_order() {
    let site = site();
    topic(&site, "t", 2);
    for (way, gives_up) in [(WAYS[0], "revoked t-0 t-1"), (WAYS[3], "revoked t-1")] {
        let properties = properties(&site, way).with("group.id", gives_up);
        let (log, others) = (Log::default(), Log::default());
        let one = consumer(&properties, &log);
        poll_until(&[&one], &[2]);
        assert_eq!(log.take(), ["assigned t-0 t-1"]);
        let two = consumer(&properties, &others);
        poll_until(&[&one, &two], &[1, 1]);
        assert_eq!(log.take()[0], gives_up);
        two.close(LONG).unwrap();
        assert_eq!(others.take().last().unwrap().split(' ').next(), Some("revoked"));
        poll_until(&[&one], &[2]);
        let _ = log.take();
        one.unsubscribe().unwrap();
        assert_eq!(log.take(), ["revoked t-0 t-1"]);
        assert!(one.group_metadata().is_none());
    }
}

#[test]
fn static_members_come_back_to_what_they_had() {
    for way in [WAYS[0], WAYS[3], WAYS[4]] {
        let site = site();
        topic(&site, "t", 4);
        let properties = |name| properties(&site, way).with("group.instance.id", name);
        let (log, others) = (Log::default(), Log::default());
        let one = consumer(&properties("one"), &log);
        let two = consumer(&properties("two"), &others);
        poll_until(&[&one, &two], &[2, 2]);
        // The listener is told of every assignment, also of one that brings nothing.
        poll_until_quiet(&[&one, &two], &[&log, &others]);
        let before = one.group_metadata().unwrap().generation_id;
        let had = two.assignment();
        let _ = log.take();
        two.close(LONG).unwrap();
        let two = consumer(&properties("two"), &others);
        poll_until(&[&one, &two], &[2, 2]);
        assert_eq!(two.assignment(), had, "{way:?}");
        assert_eq!(one.group_metadata().unwrap().generation_id, before, "{way:?}");
        assert!(log.take().is_empty(), "{way:?}");
        // One that does not come back is missed after its session.
        two.close(LONG).unwrap();
        poll_until(&[&one], &[4]);
    }
}

#[test]
fn of_two_with_one_name_one_is_told() {
    let site = site();
    topic(&site, "t", 2);
    let log = Log::default();
    for (way, is_first) in [(WAYS[0], true), (WAYS[4], false)] {
        let properties = properties(&site, way)
            .with("group.id", if is_first { "a" } else { "b" })
            .with("group.instance.id", "same");
        let one = consumer(&properties, &log);
        poll_until(&[&one], &[2]);
        let two = consumer(&properties, &log);
        let mut told = None;
        wait_for("one to be fenced", || {
            for (of_first, consumer) in [(false, &two), (true, &one)] {
                if let Err(error) = consumer.poll(Duration::from_millis(20)) {
                    told = Some((of_first, error));
                }
            }
            told.is_some()
        });
        // The first one has to go in a classic group; in the other the second one may not come.
        let (of_first, error) = told.unwrap();
        assert_eq!(of_first, is_first, "{error}");
        assert!(error.is_fatal(), "{error}");
    }
}

#[test]
fn who_does_not_poll_loses_its_partitions_and_comes_back() {
    for way in [WAYS[0], WAYS[3], WAYS[4]] {
        let site = site();
        topic(&site, "t", 4);
        let (log, others) = (Log::default(), Log::default());
        let slow = properties(&site, way).with("max.poll.interval.ms", "800");
        let one = consumer(&slow, &log);
        poll_until(&[&one], &[4]);
        let two = consumer(&properties(&site, way), &others);
        poll_until(&[&one, &two], &[2, 2]);
        let _ = log.take();
        poll_until(&[&two], &[4]);
        assert!(one.commit_sync_offsets(&[(one.assignment()[0].clone(), 1.into())]).is_err());
        poll_until(&[&one, &two], &[2, 2]);
        assert_eq!(log.take()[0].split(' ').next(), Some("lost"), "{way:?}");
    }
}

#[test]
fn patterns_take_topics_as_they_come() {
    let site = site();
    topic(&site, "orders-1", 1);
    topic(&site, "orders", 1);
    for (way, there) in [(WAYS[0], 1), (WAYS[4], 3)] {
        let properties = properties(&site, way).with("group.id", way[0].1);
        let consumer = Consumer::new(&properties).unwrap();
        consumer.subscribe_pattern("orders-.*").unwrap();
        poll_until(&[&consumer], &[there]);
        let name = format!("orders-{}", way[0].1);
        topic(&site, &name, 2);
        wait_for("the new one", || {
            drop(consumer.poll(Duration::from_millis(20)).unwrap());
            let owned = consumer.assignment();
            owned.iter().filter(|of| *of.topic == *name).count() == 2
        });
    }
}

#[test]
fn partitions_that_are_added_are_shared_too() {
    for way in [WAYS[0], WAYS[4]] {
        let site = site();
        topic(&site, "t", 2);
        let properties = properties(&site, way);
        let (one, two) =
            (consumer(&properties, &Log::default()), consumer(&properties, &Log::default()));
        poll_until(&[&one, &two], &[1, 1]);
        let more = ottla_client::NewPartitions::increase_to("t", 6);
        site.admin().create_partitions(&[more]).unwrap()[0].1.as_ref().unwrap();
        poll_until(&[&one, &two], &[3, 3]);
    }
}

#[test]
fn a_broker_that_comes_back_has_its_group_again() {
    for way in [WAYS[3], WAYS[4]] {
        let mut site = site();
        topic(&site, "t", 4);
        let properties = properties(&site, way);
        let (one, two) =
            (consumer(&properties, &Log::default()), consumer(&properties, &Log::default()));
        poll_until(&[&one, &two], &[2, 2]);
        site.stop();
        drop(one.poll(Duration::from_millis(300)));
        site.start();
        let producer = Producer::new(&site.properties()).unwrap();
        for partition in 0..4 {
            let record = ProducerRecord::new("t", b"x").partition(partition);
            producer.send(&record).unwrap().wait().unwrap();
        }
        let mut count = 0;
        wait_for("records", || {
            for consumer in [&one, &two] {
                count +=
                    consumer.poll(Duration::from_millis(20)).map_or(0, |records| records.len());
            }
            count >= 4
        });
        poll_until(&[&one, &two], &[2, 2]);
    }
}

#[test]
fn what_makes_no_sense_is_said_at_once() {
    let site = site();
    topic(&site, "t", 1);
    let alone = Consumer::new(&site.properties()).unwrap();
    let error = alone.subscribe(&["t"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("group.id"), "{error}");
    let consumer = Consumer::new(&properties(&site, &[])).unwrap();
    assert_eq!(consumer.subscribe_pattern("a(").unwrap_err().kind(), ErrorKind::Usage);
    consumer.subscribe(&["t"]).unwrap();
    assert_eq!(consumer.subscription(), BTreeSet::from(["t".to_owned()]));
    let of = TopicPartition::new("t", 0);
    assert_eq!(consumer.assign(std::slice::from_ref(&of)).unwrap_err().kind(), ErrorKind::Usage);
    consumer.unsubscribe().unwrap();
    consumer.assign(&[of]).unwrap();
    assert_eq!(consumer.subscribe(&["t"]).unwrap_err().kind(), ErrorKind::Usage);
    for (name, value, text) in [
        ("partition.assignment.strategy", "fair", "none of range, roundrobin"),
        ("partition.assignment.strategy", "range,range", "twice"),
        ("heartbeat.interval.ms", "45000", "less than session.timeout.ms"),
        ("group.remote.assignor", "uniform", "group.protocol=consumer"),
    ] {
        let properties = site.properties().with("group.id", "g").with(name, value);
        let error = Consumer::new(&properties).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(text), "{error}");
    }
    let both = site
        .properties()
        .with("group.id", "g")
        .with("group.protocol", "consumer")
        .with("session.timeout.ms", "6000");
    assert_eq!(Consumer::new(&both).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_commit_that_comes_too_late_says_what_that_means() {
    let site = site();
    topic(&site, "t", 1);
    // The member is not to hear of it otherwise.
    let properties = properties(&site, WAYS[3]).with("heartbeat.interval.ms", "2999");
    let consumer = consumer(&properties, &Log::default());
    poll_until(&[&consumer], &[1]);
    let member = GroupMember::Id(consumer.group_metadata().unwrap().member_id);
    site.admin().remove_members_from_group("g", &[member], "a test").unwrap();
    let offset = (TopicPartition::new("t", 0), 0.into());
    let error = consumer.commit_sync_offsets(&[offset]).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UNKNOWN_MEMBER_ID), "{error}");
    assert!(error.to_string().contains("the group goes on without this consumer"), "{error}");
}

#[test]
fn a_close_that_cannot_commit_says_why() {
    let mut site = site();
    topic(&site, "t", 1);
    let producer = Producer::new(&site.properties()).unwrap();
    producer.send(&ProducerRecord::new("t", b"x")).unwrap().wait().unwrap();
    let consumer = consumer(&properties(&site, WAYS[3]), &Log::default());
    wait_for("the record", || {
        consumer.poll(Duration::from_millis(20)).is_ok_and(|records| !records.is_empty())
    });
    site.stop();
    let begun = Instant::now();
    let error = consumer.close(Duration::from_millis(700)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("OffsetCommit: ") && text.contains("127.0.0.1"), "{text}");
}
