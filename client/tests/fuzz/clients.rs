//! Answers that producers and consumers read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla_client::{
    Admin, Consumer, NewTopic, OffsetAndMetadata, Producer, ProducerRecord, Properties,
    TopicPartition,
};

use crate::memory::Alone;
use crate::proxy::Proxy;
use crate::trial::{Trial, answers, patient, seed};

pub(crate) const PRODUCERS: &[&str] = &["Produce", "InitProducerId", "Metadata"];

#[test]
fn of_producers() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    let trial = Trial {
        kinds: PRODUCERS,
        make: |properties| {
            let timeout = properties.get("default.api.timeout.ms").unwrap_or("20000").to_owned();
            let properties = properties
                .with("delivery.timeout.ms", &timeout)
                .with("request.timeout.ms", &(timeout.parse::<u64>().unwrap() / 2).to_string())
                .with("max.block.ms", &timeout)
                .with("batch.size", "100")
                .with("linger.ms", "0");
            Producer::new(&properties).unwrap()
        },
        act: |producer, _| {
            let record = ProducerRecord::new("t", b"a value of some bytes");
            let sent: Vec<_> = (0..20).filter_map(|_| producer.send(&record).ok()).collect();
            sent.into_iter().filter_map(|sent| sent.wait().ok()).count() == 20
        },
    };
    trial.run(&alone, &proxy);
}

pub(crate) const CONSUMERS: &[&str] = &["Fetch", "ListOffsets", "Metadata"];

#[test]
fn of_consumers() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    let producer = Producer::new(&patient(&proxy).with("batch.size", "200")).unwrap();
    for _ in 0..200 {
        let record = ProducerRecord::new("t", b"a value of some bytes").key(b"k").partition(0);
        drop(producer.send(&record).unwrap());
    }
    producer.flush();
    let trial = Trial {
        kinds: CONSUMERS,
        make: |properties| {
            let properties =
                properties.with("auto.offset.reset", "earliest").with("fetch.max.wait.ms", "10");
            Consumer::new(&properties).unwrap()
        },
        act: |consumer, timeout| {
            // One that cannot go on where it is begins anew, as whoever has got an error does.
            consumer.assign(&[]).unwrap();
            consumer.assign(&[TopicPartition::new("t", 0)]).unwrap();
            let until = Instant::now() + timeout;
            let mut count = 0;
            while count < 200 && Instant::now() < until {
                if let Ok(records) = consumer.poll(Duration::from_millis(20)) {
                    count += records.iter().filter(|record| record.key() == Some(b"k")).count();
                }
            }
            count == 200
        },
    };
    trial.run(&alone, &proxy);
}

pub(crate) const COMMITS: &[&str] = &["FindCoordinator", "OffsetCommit", "OffsetFetch"];

#[test]
fn of_commits() {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    let trial = Trial {
        kinds: COMMITS,
        make: |properties| Consumer::new(&properties.with("group.id", "g")).unwrap(),
        act: |consumer, _| {
            let partition = TopicPartition::new("t", 0);
            let offset = (partition.clone(), OffsetAndMetadata::from(7));
            let committed = consumer.commit_sync_offsets(&[offset]).is_ok();
            let told = consumer.committed(std::slice::from_ref(&partition));
            committed
                && told.is_ok_and(|told| told[&partition].as_ref().is_some_and(|at| at.offset == 7))
        },
    };
    let admin = Admin::new(&patient(&proxy)).unwrap();
    admin.create_topics(&[NewTopic::new("t")]).unwrap();
    trial.run(&alone, &proxy);
}

/// A member that leaves and comes again; only what it is told of the group is changed.
fn of_members(kinds: &'static [&'static str], make: fn(Properties) -> Consumer) {
    let (alone, proxy) = (Alone::new(), Proxy::start(seed()));
    let admin = Admin::new(&patient(&proxy)).unwrap();
    admin.create_topics(&[NewTopic::new("t")]).unwrap();
    proxy.lie_only_of(kinds);
    let act = |consumer: &Consumer, timeout| {
        // One that is out for good begins anew, as whoever has got an error does.
        if consumer.unsubscribe().is_err() || consumer.subscribe(&["t"]).is_err() {
            return false;
        }
        let until = Instant::now() + timeout;
        while Instant::now() < until {
            let polled = consumer.poll(Duration::from_millis(10));
            if polled.is_ok() && consumer.assignment() == [TopicPartition::new("t", 0)] {
                return consumer.poll(Duration::from_millis(20)).is_ok();
            }
        }
        false
    };
    // Members take their time: heartbeats and leaves are rare.
    let count = answers().div_ceil(4);
    Trial { kinds, make, act }.run_until(count, &alone, &proxy);
}

/// A member of a group of its own: a group waits for members that were lied to.
fn member(properties: Properties) -> Properties {
    static GROUPS: AtomicUsize = AtomicUsize::new(0);
    let group = GROUPS.fetch_add(1, Ordering::Relaxed).to_string();
    properties.with("group.id", &group).with("enable.auto.commit", "false")
}

pub(crate) const CLASSIC_MEMBERS: &[&str] = &["JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup"];

#[test]
fn of_members_of_classic_groups() {
    of_members(CLASSIC_MEMBERS, |properties| {
        let properties = member(properties)
            .with("session.timeout.ms", "1000")
            .with("heartbeat.interval.ms", "5");
        Consumer::new(&properties).unwrap()
    });
}

pub(crate) const CONSUMER_MEMBERS: &[&str] = &["ConsumerGroupHeartbeat"];

#[test]
fn of_members_of_consumer_groups() {
    of_members(CONSUMER_MEMBERS, |properties| {
        Consumer::new(&member(properties).with("group.protocol", "consumer")).unwrap()
    });
}
