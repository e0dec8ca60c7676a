//! Every answer that a client reads, changed by chance.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla_client::{
    AclFilter, Admin, CommittedOffset, ConfigChange, ConfigDetails, ConfigResource, Consumer,
    DeleteBefore, ElectionType, IsolationLevel, NewPartitions, NewTopic, OffsetAndMetadata,
    OffsetSpec, Producer, ProducerRecord, Properties, QuotaEntity, QuotaFilter, TopicPartition,
};
use ottla_protocol::error_code::ErrorCode;

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
        self.run_until(number("OTTLA_FUZZ_ANSWERS", 20), alone, proxy);
    }

    fn run_until(&self, count: u64, alone: &Alone, proxy: &Proxy) {
        let seed = number("OTTLA_FUZZ_SEED", 1);
        let count = usize::try_from(count).unwrap();
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
fn of_admin_calls_that_change() {
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
    let admin = Admin::new(&patient(&proxy)).unwrap();
    admin.create_topics(&[NewTopic::new("t").partitions(2)]).unwrap();
    let trial = Trial {
        kinds: &[
            "AlterClientQuotas",
            "AlterPartitionReassignments",
            "CreatePartitions",
            "DeleteRecords",
            "DescribeAcls",
            "ElectLeaders",
            "IncrementalAlterConfigs",
            "OffsetCommit",
            "OffsetDelete",
        ],
        make: |properties| Admin::new(&properties).unwrap(),
        act: |admin, _| {
            let of = TopicPartition::new("t", 0);
            let change =
                [(ConfigResource::topic("t"), vec![ConfigChange::set("retention.ms", "9")])];
            let quota =
                (QuotaEntity::new().user("u"), vec![("request_percentage".into(), Some(9.0))]);
            let committed = CommittedOffset {
                topic: "t".to_owned(),
                partition: 0,
                offset: 0,
                leader_epoch: None,
                metadata: String::new(),
            };
            // What cannot be done is an answer too.
            [
                admin.alter_client_quotas(&[quota]).is_ok(),
                admin.alter_partition_reassignments(&[(of.clone(), None)]).is_ok(),
                admin.create_partitions(&[NewPartitions::increase_to("t", 2)]).is_ok(),
                admin.delete_records(&[(of.clone(), DeleteBefore::Offset(0))]).is_ok(),
                admin.describe_acls(&AclFilter::any()).map_err(|error| error.code())
                    == Err(Some(ErrorCode::SECURITY_DISABLED)),
                admin
                    .elect_leaders(ElectionType::Preferred, Some(std::slice::from_ref(&of)))
                    .is_ok(),
                admin.incremental_alter_configs(&change).is_ok(),
                admin.alter_consumer_group_offsets("g", &[committed]).is_ok(),
                admin.delete_consumer_group_offsets("g", &[of]).is_ok(),
            ] == [true; 9]
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

#[test]
fn of_commits() {
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
    let trial = Trial {
        kinds: &["FindCoordinator", "OffsetCommit", "OffsetFetch"],
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
    let (alone, proxy) = (Alone::new(), Proxy::start(number("OTTLA_FUZZ_SEED", 1)));
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
    let count = number("OTTLA_FUZZ_ANSWERS", 20).div_ceil(4);
    Trial { kinds, make, act }.run_until(count, &alone, &proxy);
}

/// A member of a group of its own: a group waits for members that were lied to.
fn member(properties: Properties) -> Properties {
    static GROUPS: AtomicUsize = AtomicUsize::new(0);
    let group = GROUPS.fetch_add(1, Ordering::Relaxed).to_string();
    properties.with("group.id", &group).with("enable.auto.commit", "false")
}

#[test]
fn of_members_of_classic_groups() {
    of_members(&["JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup"], |properties| {
        let properties = member(properties)
            .with("session.timeout.ms", "1000")
            .with("heartbeat.interval.ms", "5");
        Consumer::new(&properties).unwrap()
    });
}

#[test]
fn of_members_of_consumer_groups() {
    of_members(&["ConsumerGroupHeartbeat"], |properties| {
        Consumer::new(&member(properties).with("group.protocol", "consumer")).unwrap()
    });
}
