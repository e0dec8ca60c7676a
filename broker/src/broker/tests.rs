//! What groups notice of who leads their partition, and what a broker does not outlive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla_coordinator::context::Caller;
use ottla_metadata::controller::{self, BrokerRegistration, Records};
use ottla_metadata::image::Image;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::topic::{PartitionChangeRecord, PartitionRecord};
use ottla_protocol::uuid::Uuid;
use ottla_storage::partition_dir::TopicPartition;
use tempfile::TempDir;

use super::{Refusal, RunningBroker};
use crate::cli::Start;
use crate::config::StaticConfig;
use crate::delayed::{DelayedOperation, Event, OperationId};
use crate::groups::OFFSETS_TOPIC;
use crate::node::Node;
use crate::stop::Stop;
use crate::topics::Partition;

const GROUP: &str = "g";

/// A broker with one partition of groups and the topic "t".
fn broker() -> (RunningBroker, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut statics = StaticConfig::standalone(dir.path().to_str().unwrap());
        for setting in ["listeners=PLAINTEXT://127.0.0.1:0", "offsets.topic.num.partitions=1"] {
            statics.set_override(setting).unwrap();
        }
        Start::new(statics).unwrap()
    };
    // The free port that a start has found may be gone again when it listens.
    let broker = (0..5).find_map(|_| RunningBroker::start(start()).ok()).expect("a broker starts");
    broker.node.auto_create(&["t"]);
    broker.node.groups.prepare(&broker.node).unwrap();
    (broker, dir)
}

fn partition(node: &Node) -> Result<Arc<Partition>, ErrorCode> {
    node.topics.by_name(OFFSETS_TOPIC).unwrap().partition(0).cloned()
}

/// Changes the partition of the groups, as an election or a reassignment does.
fn change(node: &Node, change: PartitionChangeRecord) {
    let topic_id = node.topics.by_name(OFFSETS_TOPIC).unwrap().id;
    let change = PartitionChangeRecord { partition_id: 0, topic_id, ..change };
    let mut records = Records::new();
    records.push(&MetadataRecord::PartitionChange(change), 2);
    node.change_partitions(|_| (records, ())).unwrap();
}

/// Commits an offset of partition 0 of "t".
fn commit(node: &Node, committed_offset: i64) -> ErrorCode {
    let partition = OffsetCommitRequestPartition { committed_offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: "t", partitions: vec![partition], ..Default::default() };
    let request =
        OffsetCommitRequest { group_id: GROUP, topics: vec![topic], ..Default::default() };
    let caller = Caller { client_id: "test", client_host: "/127.0.0.1", version: 9 };
    let committed = node
        .groups
        .run(node, GROUP, |shard, context| shard.commit_offsets(&request, &caller, context));
    committed.map_or_else(|error| error, |told| told.topics[0].partitions[0].error_code)
}

/// The offset that is committed of partition 0 of "t", as soon as the groups are loaded.
fn committed(node: &Node) -> Result<i64, ErrorCode> {
    let topic =
        OffsetFetchRequestTopics { name: "t", partition_indexes: vec![0], ..Default::default() };
    let request = OffsetFetchRequestGroup {
        group_id: GROUP,
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let told = node.groups.look(node, &[GROUP], |shards, context| {
            let answer = shards[0]?.fetch_offsets(&request, false, 9, context);
            Ok(answer.topics[0].partitions[0].committed_offset)
        });
        if told != Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) || Instant::now() > deadline {
            return told;
        }
        std::thread::yield_now();
    }
}

/// Counts what it is told of.
#[derive(Default)]
struct Heard {
    appended: AtomicUsize,
    gone: AtomicUsize,
}

impl DelayedOperation for Heard {
    fn on_event(&self, event: Event) {
        let counter = match event {
            Event::Appended(_) => &self.appended,
            Event::Gone => &self.gone,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }

    fn on_deadline(&self) {}
}

#[test]
fn groups_write_in_the_epoch_that_their_partition_is_led_in() {
    let (broker, _dir) = broker();
    let node = &broker.node;
    assert_eq!(commit(node, 1), ErrorCode::NONE);
    let before = partition(node).unwrap();

    change(node, PartitionChangeRecord { leader: 1, ..Default::default() });
    let led = partition(node).unwrap();
    assert_eq!(led.leader_epoch, before.leader_epoch + 1);
    let waiting = Arc::new(Heard::default());
    led.fetches.add(OperationId::next(), waiting.clone());
    let offset = led.log.offsets().log_end_offset;
    assert_eq!(commit(node, 2), ErrorCode::NONE);
    assert_eq!(led.log.epoch_for_offset(offset), Some(led.leader_epoch));
    assert_eq!(waiting.appended.load(Ordering::SeqCst), 1, "who waits for records is told of them");
    assert_eq!(committed(node), Ok(2));
    broker.stop().unwrap();
}

#[test]
fn groups_go_with_their_partition_and_come_back_with_it() {
    let (broker, _dir) = broker();
    let node = &broker.node;
    assert_eq!(commit(node, 1), ErrorCode::NONE);

    let replicas = |id| PartitionChangeRecord {
        replicas: Some(vec![id]),
        isr: Some(vec![id]),
        leader: id,
        ..Default::default()
    };
    change(node, replicas(2));
    assert!(partition(node).is_err(), "it is another broker's");
    assert_eq!(commit(node, 2), ErrorCode::NOT_COORDINATOR);
    assert_eq!(committed(node), Err(ErrorCode::NOT_COORDINATOR));

    change(node, replicas(1));
    assert_eq!(committed(node), Ok(1), "they are read from the log");
    assert_eq!(commit(node, 3), ErrorCode::NONE);
    assert_eq!(committed(node), Ok(3));
    broker.stop().unwrap();
}

#[test]
fn what_another_broker_leads_is_not_served() {
    let (broker, _dir) = broker();
    let node = &broker.node;
    let led_by = |leader| PartitionChangeRecord {
        replicas: Some(vec![1, 2]),
        isr: Some(vec![leader]),
        leader,
        ..Default::default()
    };
    let offline = || {
        let (image, served) = (node.cluster.image(), node.topics.by_name(OFFSETS_TOPIC));
        let partition = image.topics().partition(OFFSETS_TOPIC, 0).unwrap();
        node.offline_replicas(&image, served.as_deref(), 0, partition)
    };
    let waiting = Arc::new(Heard::default());
    partition(node).unwrap().fetches.add(OperationId::next(), waiting.clone());
    change(node, led_by(2));
    assert_eq!(partition(node).err(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(waiting.gone.load(Ordering::SeqCst), 1, "who waits there learns of it");
    assert_eq!(commit(node, 1), ErrorCode::NOT_COORDINATOR);
    assert_eq!(offline(), [2], "the replica here is out of sync, not out of reach");
    node.serve_unopened();
    assert_eq!(partition(node).err(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));

    change(node, PartitionChangeRecord { leader: -1, ..Default::default() });
    assert_eq!(partition(node).err(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    change(node, led_by(1));
    assert_eq!(partition(node).unwrap().isr_count, 1);
    assert_eq!(committed(node), Ok(-1));
    broker.stop().unwrap();
}

#[test]
fn no_log_is_made_for_what_another_broker_leads() {
    let (broker, _dir) = broker();
    let node = &broker.node;
    let topic_id = node.topics.by_name(OFFSETS_TOPIC).unwrap().id;
    let mut records = Records::new();
    let new = PartitionRecord {
        partition_id: 1,
        topic_id,
        replicas: vec![1, 2],
        isr: vec![2],
        leader: 2,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid::UNASSIGNED_DIR; 2],
        ..Default::default()
    };
    records.push(&new.into(), 1);
    node.change_partitions(|_| (records, ())).unwrap();
    assert!(node.logs.get(&TopicPartition::new(OFFSETS_TOPIC, 1)).is_none());
    let topic = node.topics.by_name(OFFSETS_TOPIC).unwrap();
    assert_eq!(topic.partition(1).err(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(topic.unopened_count(), 0);
    assert!(topic.partition(0).is_ok());
    broker.stop().unwrap();
}

#[test]
fn brokers_that_are_not_here_are_taken_out_of_service_by_a_start_that_accepts_them() {
    let (broker, dir) = broker();
    let node = &broker.node;
    let other = BrokerRegistration {
        id: 2,
        incarnation_id: Uuid::from_bytes([2; 16]),
        endpoints: node.cluster.image().brokers()[&1].endpoints.clone(),
        features: node.cluster.image().brokers()[&1].features.clone(),
        rack: None,
        directories: vec![Uuid::from_bytes([3; 16])],
        previous_broker_epoch: -1,
    };
    let joins = node.cluster.write(node.clock.now_ms(), |replay, next_offset| {
        controller::register_broker(replay.image(), &other, next_offset)
            .map(|records| vec![records])
            .map_err(Refusal::from)
    });
    joins.map_err(|Refusal(error)| error).unwrap();
    let unfence = |image: &Image| (controller::unfence_broker(image, 2, &[]).unwrap(), ());
    node.change(unfence).unwrap();
    // It takes the lead when this one stops.
    change(
        node,
        PartitionChangeRecord {
            replicas: Some(vec![1, 2]),
            isr: Some(vec![1, 2]),
            directories: Some(vec![Uuid::UNASSIGNED_DIR; 2]),
            ..Default::default()
        },
    );
    broker.stop().unwrap();

    let start = |accept: &str| {
        let mut statics = StaticConfig::standalone(dir.path().to_str().unwrap());
        statics.set_override("listeners=PLAINTEXT://127.0.0.1:0").unwrap();
        statics.accept(accept).unwrap();
        Start::new(statics).unwrap()
    };
    let refused = RunningBroker::start(start("acls")).err().unwrap().to_string();
    assert!(refused.contains("1 partitions, such as __consumer_offsets-0"), "{refused}");
    assert!(refused.contains("broker 2 is in service"), "{refused}");
    let broker = (0..5)
        .find_map(|_| RunningBroker::start(start("other-brokers")).ok())
        .expect("it starts when that is accepted");
    let node = &broker.node;
    assert!(node.cluster.image().brokers()[&2].fenced);
    assert_eq!(partition(node).err(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    let image = node.cluster.image();
    assert_eq!(image.topics().partition(OFFSETS_TOPIC, 0).unwrap().leader, -1);
    node.topics.by_name("t").unwrap().partition(0).unwrap();
    broker.stop().unwrap();
}

#[test]
fn groups_go_with_the_directory_of_their_partition() {
    let (broker, _dir) = broker();
    let node = &broker.node;
    assert_eq!(commit(node, 1), ErrorCode::NONE);
    partition(node).unwrap().log.log_dir().take_offline("a test");
    assert_eq!(commit(node, 2), ErrorCode::NOT_COORDINATOR);
    node.groups.close_offline();
    assert_eq!(committed(node), Err(ErrorCode::NOT_COORDINATOR));
    // Its only directory is gone, so that it cannot stop cleanly.
    let _ = broker.stop();
}

/// A broker on a log directory, with a setting, and what is asked of it when it has to end.
fn started(log_dir: &str, setting: &str) -> (RunningBroker, Stop) {
    let start = || {
        let mut statics = StaticConfig::standalone(log_dir);
        for setting in ["listeners=PLAINTEXT://127.0.0.1:0", setting] {
            statics.set_override(setting).unwrap();
        }
        Start::new(statics).unwrap()
    };
    // The free port that a start has found may be gone again when it listens.
    let mut tries = (0..5).map(|_| start());
    tries
        .find_map(|start| {
            let stop = start.stop.clone();
            RunningBroker::start(start).ok().map(|broker| (broker, stop))
        })
        .expect("a broker starts")
}

#[test]
fn nothing_of_a_broker_outlives_its_stop() {
    let (broker, _dir) = broker();
    assert_eq!(commit(&broker.node, 1), ErrorCode::NONE);
    let node = Arc::downgrade(&broker.node);
    broker.stop().unwrap();
    assert!(node.upgrade().is_none());
}

#[test]
fn a_broker_does_not_outlive_the_directory_of_its_metadata() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let paths = [&dirs[0], &dirs[1]].map(|dir| dir.path().to_str().unwrap());
    let (broker, stop) = started(paths[0], &format!("log.dirs={}", paths.join(",")));
    assert!(!stop.wait_timeout(Duration::ZERO));
    broker.node.cluster.log_dir().take_offline("a test");
    assert!(stop.wait_timeout(Duration::from_secs(30)), "it goes on");
    assert!(!broker.node.logs.is_all_offline());
    let error = broker.stop().unwrap_err().to_string();
    assert!(error.contains(paths[0]), "{error}");
}

#[test]
fn a_broker_that_has_lost_all_directories_of_its_logs_says_so_by_its_end() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [logs, home] = [&dirs[0], &dirs[1]].map(|dir| dir.path().to_str().unwrap());
    let (broker, stop) = started(logs, &format!("metadata.log.dir={home}"));
    broker.node.logs.log_dirs().next().unwrap().take_offline("it was pulled out");
    assert!(stop.wait_timeout(Duration::from_secs(30)), "it goes on");
    assert!(broker.node.cluster.log_dir().is_online());
    let error = broker.stop().unwrap_err().to_string();
    for part in [logs, "it was pulled out", "start again"] {
        assert!(error.contains(part), "{error}");
    }
}

/// The nice values of this process's threads of that name.
fn nice_values(name: &str) -> Vec<i32> {
    let mut values = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end meanwhile.
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if let Some((before, after)) = stat.rsplit_once(") ")
            && before.ends_with(&format!("({name}"))
        {
            // The name is the second field, the nice value the 19th.
            values.push(after.split(' ').nth(16).unwrap().parse().unwrap());
        }
    }
    values
}

#[test]
fn files_are_removed_at_a_lower_priority() {
    let (broker, _dir) = broker();
    let own = nice_values("scheduler")[0];
    let deadline = Instant::now() + Duration::from_secs(10);
    // Other tests have brokers too, and a thread steps back a moment after its start.
    while !nice_values("remover").iter().any(|value| *value > own || *value == 19) {
        assert!(Instant::now() < deadline, "{:?}", nice_values("remover"));
        std::thread::sleep(Duration::from_millis(1));
    }
    broker.stop().unwrap();
}
