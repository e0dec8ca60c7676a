//! Every answer that a client reads, changed by chance.

use std::time::{Duration, Instant};

use ottla_client::{
    Admin, ConfigDetails, ConfigResource, Consumer, IsolationLevel, NewTopic, OffsetSpec, Producer,
    ProducerRecord, Properties, QuotaFilter, TopicPartition,
};

use crate::memory::Alone;
use crate::proxy::Proxy;

/// What a client may take at most while it is lied to in answers of some KiB, with what the broker
/// in the same process takes.
const PEAK_BYTES_MAX: usize = 48 << 20;
/// What it may still have when it was lied to many times.
const HELD_BYTES_MAX: usize = 16 << 20;
/// How long to go on for the sake of rare answers.
const PATIENCE: Duration = Duration::from_secs(600);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Settings of one who is lied to, and gives up soon.
fn impatient(proxy: &Proxy) -> Properties {
    patient(proxy)
        .with("default.api.timeout.ms", "60")
        .with("request.timeout.ms", "40")
        .with("metadata.max.age.ms", "50")
        .with("retry.backoff.ms", "1")
        .with("retry.backoff.max.ms", "2")
        .with("reconnect.backoff.ms", "0")
        .with("reconnect.backoff.max.ms", "1")
        .with("socket.connection.setup.timeout.ms", "40")
}

fn patient(proxy: &Proxy) -> Properties {
    Properties::new().with("bootstrap.servers", &proxy.address.to_string())
}

/// What is done, again and again, with a client.
struct Trial<T> {
    /// Those of its answers that are to be changed often enough.
    kinds: &'static [&'static str],
    /// A client with these settings.
    make: fn(Properties) -> T,
    /// Whether all went well that it does, within the time.
    act: fn(&T, Duration) -> bool,
}

impl<T> Trial<T> {
    /// Lies until enough answers of each kind were changed, and then no more.
    fn run(&self, alone: &Alone, proxy: &Proxy) {
        let seed = number("OTTLA_FUZZ_SEED", 1);
        let count = usize::try_from(number("OTTLA_FUZZ_ANSWERS", 20)).unwrap();
        let is_sound = || (self.act)(&(self.make)(patient(proxy)), Duration::from_secs(20));
        assert!(is_sound(), "it works while nobody lies");
        proxy.lie(true);
        let begun = Instant::now();
        let is_done = || {
            let changed = proxy.changed();
            let mut kinds = self.kinds.iter();
            kinds.all(|kind| changed.get(kind).is_some_and(|changed| *changed >= count))
        };
        while !is_done() {
            // A lie that is believed, of a later leader epoch say, is believed for good.
            let client = (self.make)(impatient(proxy));
            for _ in 0..5 {
                (self.act)(&client, Duration::from_millis(60));
            }
            assert_eq!(alone.panics(), [""; 0], "seed {seed}");
            assert!(begun.elapsed() < PATIENCE, "{:?} of {:?}", proxy.changed(), self.kinds);
        }
        proxy.lie(false);
        let (peak, took) = (alone.peak_bytes(), begun.elapsed());
        assert!(peak < PEAK_BYTES_MAX, "{peak} bytes; {:?}", proxy.changed());
        assert!(is_sound(), "it works when nobody lies any more");
        let held = alone.held_bytes();
        assert!(held < HELD_BYTES_MAX, "{held} bytes");
        assert_eq!(alone.panics(), [""; 0], "seed {seed}");
        println!("{took:?}: {peak} bytes, then {held}; {:?}", proxy.changed());
    }
}

#[test]
fn of_admin_calls() {
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
    let trial = Trial {
        kinds: &[
            "ApiVersions",
            "Metadata",
            "CreateTopics",
            "DeleteTopics",
            "FindCoordinator",
            "ListGroups",
            "OffsetFetch",
            "DeleteGroups",
            "DescribeCluster",
        ],
        make: |properties| Admin::new(&properties).unwrap(),
        act: |admin, _| {
            let topics = [NewTopic::new("t").partitions(2), NewTopic::new("u")];
            // What is there already, or not, is an answer too.
            let created = admin.create_topics(&topics).is_ok();
            let deleted = admin.delete_topics(&["u", "v"]).is_ok();
            let groups = admin.delete_groups(&["g"]).is_ok();
            let listed = admin.list_topics(true).is_ok_and(|topics| !topics.is_empty());
            let described = admin.describe_topics(&["t"]).is_ok();
            let cluster = admin.describe_cluster().is_ok();
            let offsets = admin.committed_offsets("g").is_ok();
            let listed_groups = admin.list_groups().is_ok();
            [created, deleted, groups, listed, described, cluster, offsets, listed_groups]
                == [true; 8]
        },
    };
    trial.run(&alone, &proxy);
}

#[test]
fn of_admin_calls_that_look() {
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
    Producer::new(&patient(&proxy))
        .unwrap()
        .send(&ProducerRecord::new("t", b"a"))
        .unwrap()
        .wait()
        .unwrap();
    let trial = Trial {
        kinds: &[
            "DescribeClientQuotas",
            "DescribeConfigs",
            "DescribeLogDirs",
            "DescribeProducers",
            "DescribeQuorum",
            "ListOffsets",
            "ListPartitionReassignments",
        ],
        make: |properties| Admin::new(&properties).unwrap(),
        act: |admin, _| {
            let partition = TopicPartition::new("t", 0);
            let resources = [ConfigResource::topic("t"), ConfigResource::broker(1)];
            let offsets = [(partition.clone(), OffsetSpec::Latest)];
            let isolation = IsolationLevel::ReadUncommitted;
            [
                admin.describe_client_quotas(&QuotaFilter::new()).is_ok(),
                admin.describe_configs(&resources, ConfigDetails::default()).is_ok(),
                admin.describe_log_dirs(&[1]).is_ok(),
                admin.describe_producers(&[partition]).is_ok(),
                admin.describe_quorum().is_ok(),
                admin.list_offsets(&offsets, isolation).is_ok(),
                admin.list_partition_reassignments(None).is_ok(),
            ] == [true; 7]
        },
    };
    trial.run(&alone, &proxy);
}

#[test]
fn of_producers() {
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
    let trial = Trial {
        kinds: &["Produce", "InitProducerId", "Metadata"],
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

#[test]
fn of_consumers() {
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
    let producer = Producer::new(&patient(&proxy).with("batch.size", "200")).unwrap();
    for _ in 0..200 {
        let record = ProducerRecord::new("t", b"a value of some bytes").key(b"k").partition(0);
        drop(producer.send(&record).unwrap());
    }
    producer.flush();
    let trial = Trial {
        kinds: &["Fetch", "ListOffsets", "Metadata"],
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
